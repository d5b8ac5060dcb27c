# SPDX-License-Identifier: Apache-2.0
"""msgpack-RPC over TCP or a Unix socket (docs/PROTOCOL.md)."""

from __future__ import annotations

import socket
import time
from typing import Any

import msgpack

from ._wire import UNREADABLE, Chunks, encode, read_error
from .address import Address
from .errors import Internal, Io, LynseError
from .transport import (
    CONNECT_TIMEOUT_S,
    TIMEOUTS,
    Broken,
    Transport,
    is_readable,
    open_socket,
    seconds_to,
)

REQUEST, RESPONSE = 0, 1
READ_BYTES = 256 << 10
LARGEST_ANSWER = 2**31 - 1


def new_unpacker() -> msgpack.Unpacker:
    return msgpack.Unpacker(
        raw=False, strict_map_key=False, timestamp=0, max_buffer_size=LARGEST_ANSWER
    )


def frame_of(message_id: int, method: str, params: Chunks) -> Chunks:
    packer = msgpack.Packer(autoreset=False)
    packer.pack_array_header(4)
    packer.pack(REQUEST)
    packer.pack(message_id)
    packer.pack(method)
    return [packer.bytes() + bytes(params[0]), *params[1:]]


def read_frame(frame: Any) -> tuple[int, LynseError | Any]:
    """The message's number, and its answer or the error that is its answer."""
    is_answer = isinstance(frame, list) and len(frame) == 4 and frame[0] == RESPONSE
    if not is_answer or not isinstance(frame[1], int):
        raise Internal(f"the server sent what is no answer: {frame!r:.200}")
    return frame[1], frame[3] if frame[2] is None else read_error(frame[2])


class RpcConnection:
    """One request at a time; its owner's thread alone."""

    def __init__(self, address: Address, api_key: str | None) -> None:
        self._address = address
        self._socket: socket.socket = open_socket(address, CONNECT_TIMEOUT_S)
        self._unpacker = new_unpacker()
        self._number = 0
        if api_key is not None:
            self._authenticate(api_key)

    def _authenticate(self, api_key: str) -> None:
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        try:
            answer = self.exchange("authenticate", encode({"api_key": api_key}), deadline)
            if isinstance(answer, LynseError):
                raise answer
        except (Broken, *TIMEOUTS) as error:
            self.close()
            raise Io(f"{self._address.uri}: authenticate: {error or 'no answer'}") from None
        except BaseException:
            self.close()
            raise

    def exchange(self, method: str, params: Chunks, deadline: float) -> LynseError | Any:
        self._number = (self._number + 1) & 0xFFFFFFFF
        self._send(frame_of(self._number, method, params), deadline)
        try:
            while True:
                for frame in self._unpacker:
                    number, answer = read_frame(frame)
                    if number == self._number:
                        return answer
                self._socket.settimeout(seconds_to(deadline))
                data = self._socket.recv(READ_BYTES)
                if not data:
                    raise Broken("it was closed by the server", was_sent=True)
                self._unpacker.feed(data)
        except TIMEOUTS:
            raise
        except OSError as error:
            raise Broken(str(error), was_sent=True, os_errno=error.errno or 0) from None
        except UNREADABLE as error:
            raise Broken(f"what came is no msgpack: {error!r:.200}", was_sent=True) from None

    def _send(self, chunks: Chunks, deadline: float) -> None:
        try:
            for chunk in chunks:
                self._socket.settimeout(seconds_to(deadline))
                self._socket.sendall(chunk)
        except TIMEOUTS:
            raise Broken("the server does not take the request", was_sent=False) from None
        except OSError as error:
            raise Broken(str(error), was_sent=False, os_errno=error.errno or 0) from None

    def is_stale(self) -> bool:
        return is_readable(self._socket)

    def close(self) -> None:
        self._socket.close()


def connect(address: Address, api_key: str | None) -> Transport:
    return Transport(address.uri, lambda: RpcConnection(address, api_key))
