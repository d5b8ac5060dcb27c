# SPDX-License-Identifier: Apache-2.0
"""AsyncVectorDBClient: the methods of the client, its databases and collections as coroutines.

All requests of a client go over one connection of msgpack-RPC and are answered in any order.  What
is checked before a request and shaped after it is the code of the other clients, on threads of the
client's own, so that the event loop never waits for it; THREADS calls are under way at once, and
further ones wait for their turn.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

from . import address, rpc
from ._wire import encode
from .client import Database, VectorDBClient, _check_key
from .collection import Collection
from .errors import Deadline, Invalid, Io, LynseError, OutcomeUnknown, ShuttingDown, Unsupported
from .remote import RemoteRoot
from .transport import GRACE_S, LONGEST_CALL_S

THREADS = 64


class PipelinedTransport:
    """One connection, used by the loop's thread alone; `call` is for the other threads."""

    def __init__(self, where: address.Address, loop: asyncio.AbstractEventLoop) -> None:
        self._where = where
        self._loop = loop
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._broken = ""

    async def open(self, api_key: str | None) -> None:
        try:
            if self._where.scheme == "unix":
                pair = await asyncio.open_unix_connection(self._where.path)
            else:
                pair = await asyncio.open_connection(self._where.host, self._where.port)
        except OSError as error:
            raise Io(f"{self._where.uri}: no connection: {error.strerror or error}") from None
        self._reader, self._writer = pair
        self._task = asyncio.ensure_future(self._read())
        if api_key is not None:
            await self._exchange("authenticate", {"api_key": api_key}, LONGEST_CALL_S, False)

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
        except (OSError, ValueError, LynseError) as error:
            reason = str(error)
        self._break(reason)

    def _break(self, reason: str) -> None:
        self._broken = reason
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(ConnectionError(reason))
        self._writer.close()

    async def _exchange(
        self, method: str, params: Mapping[str, Any], seconds: float, is_write: bool
    ) -> Any:
        if self._broken:
            raise Io(f"{self._where.uri}: the connection was lost: {self._broken}")
        self._number = (self._number + 1) & 0xFFFFFFFF
        number = self._number
        future = self._waiting[number] = self._loop.create_future()
        try:
            self._writer.writelines(rpc.frame_of(number, method, encode(params)))
            await self._writer.drain()
            answer = await asyncio.wait_for(future, seconds)
        except asyncio.TimeoutError:
            kind = OutcomeUnknown if is_write else Deadline
            raise kind(f"{self._where.uri}: no answer to {method} in time") from None
        except OSError as error:
            lost = OutcomeUnknown if is_write else Io
            text = f"{self._where.uri}: the connection was lost during {method}: {error}"
            raise lost(text) from None
        finally:
            self._waiting.pop(number, None)
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
        seconds = LONGEST_CALL_S if deadline is None else deadline - time.monotonic()
        waits = self._exchange(method, params, max(0.0, seconds) + GRACE_S, is_write)
        return asyncio.run_coroutine_threadsafe(waits, self._loop).result()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._break, "this client is closed")


def _wrapped(name: str, method: Any) -> Callable[..., Any]:
    @functools.wraps(method)
    async def call(self: Any, *arguments: Any, **options: Any) -> Any:
        def work() -> Any:
            return getattr(self._plain, name)(*arguments, **options)

        return self._client._wrap(await self._client._run(work))

    return call


def _as_coroutines(plain: type) -> Callable[[type], type]:
    """Every public method of `plain` as a coroutine; a property as one without arguments."""

    def fill(made: type) -> type:
        for name in dir(plain):
            member = getattr(plain, name)
            if name.startswith("_") or name in made.__dict__:
                continue
            if isinstance(member, property):
                setattr(made, name, _read_property(name, member))
            elif callable(member):
                setattr(made, name, _wrapped(name, member))
        return made

    return fill


def _read_property(name: str, member: property) -> Callable[..., Any]:
    async def read(self: Any) -> Any:
        return await self._client._run(lambda: getattr(self._plain, name))

    read.__doc__ = member.__doc__
    return read


class _Handle:
    def __init__(self, client: AsyncVectorDBClient, plain: Any) -> None:
        self._client = client
        self._plain = plain


@_as_coroutines(Collection)
class AsyncCollection(_Handle):
    """A :class:`lynse.Collection`; its properties are coroutines too: ``await docs.shape()``."""

    def insert_session(self) -> Any:
        """Gather rows yourself, and add them in one call."""
        raise Unsupported("insert_session() is for the other clients; add rows in one call")


@_as_coroutines(Database)
class AsyncDatabase(_Handle):
    """A :class:`lynse.Database`."""


@_as_coroutines(VectorDBClient)
class AsyncVectorDBClient(_Handle):
    """A client of a server, "lynse://host:port" or "unix:/path", for asyncio.

    ``async with AsyncVectorDBClient(uri) as client:`` opens the connection and closes it.
    """

    def __init__(self, uri: str, api_key: str | None = None) -> None:
        where = address.parse(uri) if address.is_remote(uri) else None
        if where is None or where.scheme == "http":
            raise Invalid("uri must be lynse://host:port or unix:/path")
        self._client = self
        self._plain: Any = None
        self._where = where
        self._api_key = _check_key(api_key)

    async def __aenter__(self) -> AsyncVectorDBClient:
        transport = PipelinedTransport(self._where, asyncio.get_running_loop())
        await transport.open(self._api_key)
        self._threads = ThreadPoolExecutor(THREADS, "lynse-aio")
        plain = VectorDBClient.__new__(VectorDBClient)
        plain._root = RemoteRoot(self._where.uri, transport)
        self._plain = plain
        try:
            await self.list_databases()  # type: ignore[attr-defined]
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closing twice is fine."""
        if self._plain is None:
            return
        plain, self._plain = self._plain, None
        plain.close()
        self._threads.shutdown(wait=False)

    async def _run(self, work: Callable[[], Any]) -> Any:
        if self._plain is None:
            raise ShuttingDown("this client is closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _wrap(self, value: Any) -> Any:
        if isinstance(value, Collection):
            return AsyncCollection(self, value)
        return AsyncDatabase(self, value) if isinstance(value, Database) else value
