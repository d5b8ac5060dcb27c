# SPDX-License-Identifier: Apache-2.0
"""Calls of a server's methods over one connection of msgpack-RPC, many under way at once.

A connection that was lost is made anew by the next call.  What was under way on it is sent again
once where transport.py would: a read, a write that was not sent, or one with a request id, which
the server applies once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from . import rpc
from ._wire import Chunks, encode
from .address import Address
from .errors import Deadline, Io, LynseError, ShuttingDown
from .transport import CONNECT_TIMEOUT_S, GRACE_S, LONGEST_CALL_S, Attempts, Broken


class Channel:
    """A connection and what waits on it; the event loop's thread alone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self.is_broken = False
        self._task = asyncio.ensure_future(self._read())

    @staticmethod
    async def open(where: Address, api_key: str | None) -> Channel:
        try:
            if where.scheme == "unix":
                opening = asyncio.open_unix_connection(where.path)
            else:
                opening = asyncio.open_connection(where.host, where.port)
            made = Channel(*await asyncio.wait_for(opening, CONNECT_TIMEOUT_S))
        except (OSError, asyncio.TimeoutError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "no answer"
            raise Io(f"{where.uri}: no connection: {reason}") from None
        if api_key is not None:
            await made._authenticate(where, api_key)
        return made

    async def _authenticate(self, where: Address, api_key: str) -> None:
        key = encode({"api_key": api_key})
        try:
            answer = await self.exchange("authenticate", key, CONNECT_TIMEOUT_S)
            if isinstance(answer, LynseError):
                raise answer
        except (Broken, asyncio.TimeoutError) as error:
            self.end("no answer")
            raise Io(f"{where.uri}: authenticate: {error or 'no answer'}") from None
        except BaseException:
            self.end("refused")
            raise

    async def _read(self) -> None:
        unpacker = rpc.new_unpacker()
        reason = "it was closed by the server"
        try:
            while data := await self._reader.read(rpc.READ_BYTES):
                unpacker.feed(data)
                for frame in unpacker:
                    number, answer = rpc.read_frame(frame)
                    future = self._waiting.pop(number, None)
                    if future is not None and not future.done():
                        future.set_result(answer)
        except Exception as error:  # whatever came: who waits must hear of it
            reason = str(error) or type(error).__name__
        self.end(reason)

    def end(self, reason: str) -> None:
        """What waits is told that the connection is lost."""
        self.is_broken = True
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(Broken(reason, was_sent=True))
        self._writer.close()

    async def exchange(self, method: str, params: Chunks, seconds: float) -> LynseError | Any:
        """The answer, or the error that is the answer.  Broken; asyncio.TimeoutError."""
        if self.is_broken:
            raise Broken("it was closed", was_sent=False)
        self._number = (self._number + 1) & 0xFFFFFFFF
        number = self._number
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.writelines(rpc.frame_of(number, method, params))
            return await asyncio.wait_for(self._answer(future), seconds)
        except OSError as error:
            raise Broken(str(error), was_sent=True, os_errno=error.errno or 0) from None
        finally:
            self._waiting.pop(number, None)
            if future.done() and not future.cancelled():
                future.exception()  # nobody else asks for it where sending failed first

    async def _answer(self, future: asyncio.Future[Any]) -> Any:
        await self._writer.drain()
        return await future


class PipelinedTransport:
    """The channel of the moment; `call` is for all threads but the event loop's."""

    def __init__(
        self, where: Address, api_key: str | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._where = where
        self._api_key = api_key
        self._loop = loop
        self._opening = asyncio.Lock()
        self._channel: Channel | None = None
        self._is_closed = False

    async def _take(self) -> Channel:
        async with self._opening:
            if self._is_closed:
                raise ShuttingDown("this client is closed")
            if self._channel is None or self._channel.is_broken:
                self._channel = await Channel.open(self._where, self._api_key)
                if self._is_closed:  # meanwhile
                    self._end()
                    raise ShuttingDown("this client is closed")
            return self._channel

    async def _take_by(self, method: str, latest: float) -> Channel:
        """As _take; who waits for others that find no server keeps its own time."""
        if self._channel is not None and not self._channel.is_broken and not self._is_closed:
            return self._channel
        try:
            return await asyncio.wait_for(self._take(), latest - time.monotonic())
        except asyncio.TimeoutError:
            raise Deadline(f"{self._where.uri}: {method} could not be sent in time") from None

    async def _exchange(
        self, method: str, params: Mapping[str, Any], seconds: float, is_write: bool
    ) -> Any:
        chunks = encode(params)
        latest = time.monotonic() + seconds
        attempts = Attempts(self._where.uri, method, params, is_write, latest)
        while True:
            try:
                channel = await self._take_by(method, latest)
            except LynseError as refusal:
                raise attempts.told(refusal) from None
            try:
                answer = await channel.exchange(method, chunks, latest - time.monotonic())
            except Broken as broken:
                attempts.go_on_after(broken)
                continue
            except asyncio.TimeoutError:
                raise attempts.late() from None
            if isinstance(answer, LynseError):
                raise answer
            return answer

    def call(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        is_write: bool = False,
        deadline: float | None = None,
    ) -> Any:
        """What the method answers; raises what it raises."""
        seconds = LONGEST_CALL_S if deadline is None else deadline - time.monotonic()
        waits = self._exchange(method, params, max(0.0, seconds) + GRACE_S, is_write)
        return asyncio.run_coroutine_threadsafe(waits, self._loop).result()

    def _end(self) -> None:
        self._is_closed = True
        if self._channel is not None:
            self._channel.end("this client is closed")

    def close(self) -> None:
        """Any thread."""
        self._loop.call_soon_threadsafe(self._end)
