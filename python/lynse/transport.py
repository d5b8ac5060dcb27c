# SPDX-License-Identifier: Apache-2.0
"""Calls of a server's methods: a pool of connections, time-outs, and what a broken one means.

A thread takes a connection for the length of a call and gives it back; none is shared.  After a
fork the child begins with an empty pool.

A connection that was idle is looked at before it is used, so that one which the server has closed
meanwhile costs nothing.  Where one breaks during a call, a read is asked again once.  A write is
sent again only if it cannot have been carried out: not all of it was sent, or the server knows it
by its request id and applies it once.  Otherwise its outcome is unknown, and the error says so.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ._wire import Chunks, encode
from .address import Address
from .errors import Deadline, Io, LynseError, OutcomeUnknown, ShuttingDown

IDLE_MAX = 16
CONNECT_TIMEOUT_S = 10.0
LONGEST_CALL_S = 600.0
TIMEOUTS = (TimeoutError, socket.timeout)  # until Python 3.10 the second was not the first
GRACE_S = 5.0  # what an answer that was in time may take to come


class Broken(Exception):
    """The connection was lost; `was_sent`: the server may have the whole request."""

    def __init__(self, reason: str, was_sent: bool, os_errno: int = 0) -> None:
        super().__init__(reason)
        self.was_sent = was_sent
        self.os_errno = os_errno


class Connection(Protocol):
    def exchange(self, method: str, params: Chunks, deadline: float) -> LynseError | Any:
        """The answer, or the error that is the answer.  Broken; TimeoutError: it did not come."""

    def is_stale(self) -> bool: ...
    def close(self) -> None: ...


class Pool:
    """Idle connections, the last one used first."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._pid = os.getpid()
        self._is_closed = False

    def take(self) -> Connection:
        if self._pid != os.getpid():  # the parent's connections are the parent's
            was_closed = self._is_closed
            self._begin()
            self._is_closed = was_closed
        while True:
            with self._lock:
                if self._is_closed:
                    raise ShuttingDown("this client is closed")
                if not self._idle:
                    break
                connection = self._idle.pop()
            if not connection.is_stale():
                return connection
            connection.close()
        return self._connect()

    def give(self, connection: Connection) -> None:
        with self._lock:
            if not self._is_closed and len(self._idle) < IDLE_MAX:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        if self._pid == os.getpid():
            for connection in idle:
                connection.close()


class Transport:
    """Calls over the connections that `connect` makes."""

    def __init__(self, uri: str, connect: Callable[[], Connection]) -> None:
        self._uri = uri
        self._pool = Pool(connect)

    def close(self) -> None:
        self._pool.close()

    def call(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        is_write: bool = False,
        deadline: float | None = None,
    ) -> Any:
        """What the method answers; raises what it raises."""
        chunks = encode(params)
        latest = (deadline or time.monotonic() + LONGEST_CALL_S) + GRACE_S
        attempts = Attempts(self._uri, method, params, is_write, latest)
        while True:
            try:
                connection = self._pool.take()
            except LynseError as refusal:
                raise attempts.told(refusal) from None
            try:
                answer = connection.exchange(method, chunks, latest)
            except Broken as broken:
                connection.close()
                attempts.go_on_after(broken)
                continue
            except TIMEOUTS:
                connection.close()
                raise attempts.late() from None
            except BaseException:  # Ctrl-C: what the answer is to, nobody knows any more
                connection.close()
                raise
            self._pool.give(connection)
            if isinstance(answer, LynseError):
                raise answer
            return answer


class Attempts:
    """What came of a call so far: it is sent again once, where that can do no harm."""

    def __init__(
        self, uri: str, method: str, params: Mapping[str, Any], is_write: bool, latest: float
    ) -> None:
        self._uri, self._method, self._latest = uri, method, latest
        self._is_write = is_write
        self._may_repeat = not is_write or "request_id" in params
        self._first: Broken | None = None

    def go_on_after(self, broken: Broken) -> None:
        """Raises where it is not sent again."""
        if self._first is None and (self._may_repeat or not broken.was_sent):
            self._first = broken
            return
        in_doubt = self._first if self._first is not None and self._first.was_sent else broken
        raise self._lost(in_doubt) from None

    def told(self, refusal: LynseError) -> LynseError:
        """Of what was not sent for want of a connection; but what was sent before may be done."""
        if self._is_write and self._first is not None and self._first.was_sent:
            return self._lost(self._first)
        return refusal

    def late(self) -> LynseError:
        kind = OutcomeUnknown if self._is_write else Deadline
        return kind(f"{self._uri}: no answer to {self._method} in time")

    def _lost(self, broken: Broken) -> LynseError:
        text = f"{self._uri}: the connection was lost during {self._method}: {broken}"
        if self._is_write and broken.was_sent:
            return OutcomeUnknown(f"{text}; it may or may not have been carried out")
        if not broken.was_sent and time.monotonic() >= self._latest:
            return Deadline(f"{self._uri}: {self._method} could not be sent in time")
        return _io_error(text, broken.os_errno)


def _io_error(text: str, os_errno: int) -> Io:
    error = Io(text)
    error.os_errno = os_errno
    if os_errno:
        error.errno = os_errno
    return error


def open_socket(address: Address, timeout: float) -> socket.socket:
    """Io: nobody listens there, or the name is not known."""
    try:
        if address.scheme == "unix":
            connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connected.settimeout(timeout)
            connected.connect(address.path)
        else:
            connected = socket.create_connection((address.host, address.port), timeout)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        text = f"{address.uri}: no connection: {reason}"
        raise _io_error(text, getattr(error, "errno", 0) or 0) from None
    return connected


def is_readable(connected: socket.socket) -> bool:
    """Of an idle connection: the server has closed it, or said what nobody asked for."""
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(connected, selectors.EVENT_READ)
            return bool(selector.select(0))
    except (OSError, ValueError):
        return True


def seconds_to(deadline: float) -> float:
    """TimeoutError when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
