# SPDX-License-Identifier: Apache-2.0
"""Fields between Python and msgpack.

dict, list, tuple, str, bytes, int (of 64 bits), float, bool, None and aware datetimes are stored as
they are; numpy's scalars and arrays as the Python values that they hold.  Instants are msgpack's
timestamps and come back as datetimes in UTC, with microseconds.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
import numpy as np

from .errors import Invalid, Limit
from .types import PackedFields


def _plain(value: Any) -> Any:
    """What msgpack does not know, as something that it does."""
    if isinstance(value, np.datetime64):
        if np.isnat(value):
            return None
        nanoseconds = int(value.astype("datetime64[ns]").astype(np.int64))
        return msgpack.Timestamp.from_unix_nano(nanoseconds)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, datetime.datetime):
        if value != value:  # pandas.NaT
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime needs a time zone, as in .replace(tzinfo=timezone.utc)")
        return msgpack.Timestamp.from_datetime(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, int):
        raise ValueError(f"an integer has at most 64 bits, {value} more")
    raise TypeError(f"cannot store a value of type {type(value).__name__}")


def _packed_row(packer: msgpack.Packer, row: Mapping[str, Any], row_index: int) -> bytes:
    try:
        packed: bytes = packer.pack(row)
        return packed
    except TypeError as error:
        raise TypeError(f"fields of row {row_index}: {error}") from None
    except (ValueError, OverflowError) as error:
        text = str(error)
        if text.startswith("recursion limit"):  # of the packer, far above the engine's
            raise Limit(f"fields of row {row_index}: nesting is over the limit of 32") from None
        raise Invalid(f"fields of row {row_index}: {text}") from None


def pack(rows: Sequence[Mapping[str, Any] | None]) -> PackedFields:
    """The rows end to end; None takes no bytes, an empty dict one."""
    packer = msgpack.Packer(use_bin_type=True, default=_plain)
    try:
        chunks = [b"" if row is None else packer.pack(row) for row in rows]
    except (TypeError, ValueError, OverflowError):  # again, to say which row it is
        packer = msgpack.Packer(use_bin_type=True, default=_plain)
        chunks = [b"" if row is None else _packed_row(packer, row, i) for i, row in enumerate(rows)]
    sizes = np.fromiter(map(len, chunks), dtype=np.uint64, count=len(chunks))
    return PackedFields(b"".join(chunks), sizes)


def unpack(packed: bytes) -> dict[str, Any]:
    """The fields of one row; of none, an empty dict."""
    if not packed:
        return {}
    try:
        fields: dict[str, Any] = msgpack.unpackb(packed, timestamp=3, strict_map_key=False)
    except (OverflowError, ValueError):  # an instant beyond the years of datetime
        fields = msgpack.unpackb(packed, timestamp=0, strict_map_key=False)
    return fields
