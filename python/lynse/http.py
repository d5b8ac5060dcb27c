# SPDX-License-Identifier: Apache-2.0
"""HTTP: POST /<method> with keep-alive, bodies as msgpack (docs/PROTOCOL.md).

msgpack and not JSON, because fields may hold bytes and instants, and vectors are sent as they are
in memory.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
from typing import Any

from . import errors
from ._wire import UNREADABLE, Chunks, decode, read_named_error, size_of
from .address import Address
from .errors import Internal, LynseError
from .rpc import LARGEST_ANSWER, READ_BYTES
from .transport import (
    CONNECT_TIMEOUT_S,
    TIMEOUTS,
    Broken,
    Transport,
    is_readable,
    open_socket,
    seconds_to,
)

MSGPACK = "application/msgpack"
BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")
# Of answers that do not come from our server, a proxy's: the class by the status.
USUAL = {
    400: errors.Invalid, 401: errors.Unauthorized, 403: errors.ReadOnly, 404: errors.NotFound,
    409: errors.AlreadyExists, 413: errors.TooLarge, 501: errors.Unsupported, 502: errors.Io,
    503: errors.Busy, 504: errors.Deadline,
}  # fmt: skip


class DeadlineSocket(socket.socket):
    """In whatever drops a peer sends or takes bytes, `deadline` is that of the whole exchange."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__(fileno=connected.detach())
        self.deadline = 0.0

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(seconds_to(self.deadline))
        return super().recv_into(*arguments)

    def sendall(self, *arguments: Any) -> None:
        self.settimeout(seconds_to(self.deadline))
        super().sendall(*arguments)


class HttpConnection:
    """One request at a time; its owner's thread alone."""

    def __init__(self, address: Address, api_key: str | None) -> None:
        self._address = address
        self._connection = http.client.HTTPConnection(address.host, address.port)
        self._connection.auto_open = 0
        self._socket = DeadlineSocket(open_socket(address, CONNECT_TIMEOUT_S))
        self._connection.sock = self._socket
        self._headers = {"Content-Type": MSGPACK, "Accept": MSGPACK}
        if api_key is not None:
            self._headers["Authorization"] = _authorization(api_key)

    def exchange(self, method: str, params: Chunks, deadline: float) -> LynseError | Any:
        was_sent = False
        headers = {**self._headers, "Content-Length": str(size_of(params))}
        try:
            self._socket.deadline = deadline
            self._connection.request("POST", f"{self._address.path}/{method}", params, headers)
            was_sent = True
            response = self._connection.getresponse()
            body = _read_body(response)
        except TIMEOUTS:
            if was_sent:
                raise
            raise Broken("the server does not take the request", was_sent=False) from None
        except (OSError, http.client.HTTPException) as error:
            number = getattr(error, "errno", 0) or 0
            text = str(error) or type(error).__name__
            raise Broken(text, was_sent=was_sent, os_errno=number) from None
        except (ArithmeticError, MemoryError) as error:  # of sizes that the server made up
            raise Internal(f"the server's answer cannot be held: {error or 'too large'}") from None
        return _read(response, body)

    def is_stale(self) -> bool:
        """http.client lets the socket go after an answer that ends the connection."""
        return self._connection.sock is None or is_readable(self._connection.sock)

    def close(self) -> None:
        self._connection.close()


def _authorization(api_key: str) -> str:
    """Bearer has room for some characters alone, Basic for all."""
    if BEARER.fullmatch(api_key):
        return f"Bearer {api_key}"
    return "Basic " + base64.b64encode(b"lynse:" + api_key.encode()).decode()


def _read_body(response: http.client.HTTPResponse) -> bytes:
    """MemoryError: more than any answer of a server has."""
    if response.length is not None:
        if response.length > LARGEST_ANSWER:
            raise MemoryError(f"Content-Length {response.length}")
        return response.read()
    pieces, size = [], 0
    while piece := response.read(READ_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST_ANSWER:
            raise MemoryError(f"more than {LARGEST_ANSWER} bytes")
    return b"".join(pieces)


def _read(response: http.client.HTTPResponse, body: bytes) -> LynseError | Any:
    if response.status != 200:
        return _read_error(response, body)
    if not (response.headers.get_content_type() or "").endswith("msgpack"):
        return Internal(f"the server answered with {response.headers.get_content_type()}")
    try:
        answer = decode(body)
    except UNREADABLE as error:
        what = f"{type(error).__name__}: {error}"
        return Internal(f"the server's answer is no msgpack: {what:.200}")
    if isinstance(answer, dict) and "params" in answer:
        return answer["params"]
    return answer


def _read_error(response: http.client.HTTPResponse, body: bytes) -> LynseError:
    usual = USUAL.get(response.status, errors.Internal).code
    try:
        answer = json.loads(body)
    except UNREADABLE:
        answer = None
    if not isinstance(answer, dict):
        text = body.decode("utf-8", "replace").strip() or response.reason
        return read_named_error(None, f"HTTP {response.status}: {text:.300}", 0, usual)
    retry = answer.get("retry_after_ms")
    return read_named_error(
        answer.get("name"),
        str(answer.get("error", response.reason)),
        retry if isinstance(retry, int) else 0,
        usual,
    )


def connect(address: Address, api_key: str | None) -> Transport:
    return Transport(address.uri, lambda: HttpConnection(address, api_key))
