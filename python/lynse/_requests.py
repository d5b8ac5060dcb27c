# SPDX-License-Identifier: Apache-2.0
"""Ids of requests, with which a write that is sent again is applied once."""

from __future__ import annotations

import hashlib
from uuid import UUID

from .errors import Invalid
from .types import RequestId

ID_BYTES = 16


def check_request_id(value: RequestId | None) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, (bytes, UUID)):
        raise TypeError(f"request_id must be bytes or a uuid.UUID, not {type(value).__name__}")
    id_ = value.bytes if isinstance(value, UUID) else value
    if len(id_) != ID_BYTES:
        raise Invalid(f"request_id: {len(id_)} bytes, must be {ID_BYTES}")
    if not any(id_):
        raise Invalid("request_id: all zero, which stands for none")
    return id_


def id_of_group(id_: bytes | None, start: int) -> bytes | None:
    """Of the group that begins at that row: a call of many rows is several groups, each of which
    the engine knows by itself."""
    if id_ is None or start == 0:
        return id_
    return hashlib.blake2b(id_ + start.to_bytes(8, "little"), digest_size=ID_BYTES).digest()
