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
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

from . import address
from .client import Database, VectorDBClient, _check_key
from .collection import Collection
from .errors import Invalid, ShuttingDown, Unsupported
from .pipelined import PipelinedTransport
from .remote import RemoteRoot
from .result_view import ResultView

THREADS = 64


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
    """A :class:`lynse.Collection`; its properties are coroutines too: ``await docs.shape()``, and
    pages come one by one: ``async for page in docs.search_pages(vector): …``."""

    @functools.wraps(Collection.search_pages)
    async def search_pages(self, *arguments: Any, **options: Any) -> AsyncIterator[ResultView]:
        run = self._client._run
        pages = await run(lambda: self._plain.search_pages(*arguments, **options))
        while (page := await run(lambda: next(pages, None))) is not None:
            yield page

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
        loop = asyncio.get_running_loop()
        transport = PipelinedTransport(self._where, self._api_key, loop)
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
