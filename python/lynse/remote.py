# SPDX-License-Identifier: Apache-2.0
"""The root of a server: databases and collections by its methods, over HTTP or msgpack-RPC."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from . import _answers, address, http, rpc
from .errors import NotFound
from .remote_collection import RemoteCollection
from .transport import Transport
from .types import DTYPES, CollectionBackend

T = TypeVar("T")


def open_transport(uri: str, api_key: str | None) -> Transport:
    where = address.parse(uri)
    return (http if where.scheme == "http" else rpc).connect(where, api_key)


class RemoteRoot:
    """A client's hold on a server.  Closing it closes its connections and collections."""

    place = "Remote"
    is_read_only = False

    def __init__(self, uri: str, transport: Any) -> None:
        self._uri = uri
        self._transport = transport
        self._collections: weakref.WeakSet[RemoteCollection] = weakref.WeakSet()

    @classmethod
    def open(cls, uri: str, api_key: str | None) -> RemoteRoot:
        """A wrong address or key is told now."""
        root = cls(uri, open_transport(uri, api_key))
        try:
            root.database_list()
        except BaseException:
            root.close()
            raise
        return root

    @property
    def path(self) -> str:
        return self._uri

    def close(self) -> None:
        for collection in list(self._collections):
            collection.close()
        self._transport.close()

    def refresh(self) -> None:
        """A server answers with what is there now."""

    def _read(self, method: str, reading: Callable[[Any], T], **params: Any) -> T:
        return _answers.take(method, self._transport.call(method, params), reading)

    def _write(self, method: str, **params: Any) -> None:
        self._transport.call(method, params, is_write=True)

    def database_create(self, database: str) -> None:
        self._write("create_database", database_name=database)

    def database_drop(self, database: str) -> None:
        self._write("drop_database", database_name=database)

    def database_exists(self, database: str) -> bool:
        return self._read("database_exists", _answers.flag("exists"), database_name=database)

    def database_list(self) -> list[str]:
        return self._read("list_databases", _answers.names("databases"))

    def collection_list(self, database: str) -> list[str]:
        return self._read("show_collections", _answers.names("collections"), database_name=database)

    def collection_exists(self, database: str, name: str) -> bool:
        return self._read(
            "is_collection_exists",
            _answers.flag("exists"),
            database_name=database,
            collection_name=name,
        )

    def collection_drop(self, database: str, name: str) -> None:
        self._write("drop_collection", database_name=database, collection_name=name)

    def collection_open(self, database: str, name: str) -> CollectionBackend:
        collection = self._adopt(database, name)
        try:
            collection.info()
        except NotFound:
            raise NotFound(f"Collection '{name}' does not exist.") from None
        return collection

    def collection_require(
        self,
        database: str,
        name: str,
        *,
        dim: int,
        metric: str | None,
        description: str | None,
        dtype: str | None,
    ) -> CollectionBackend:
        self._write(
            "required_collection",
            database_name=database,
            collection_name=name,
            dim=dim,
            metric=metric,
            description=description,
            dtypes=dtype or DTYPES[0],
        )
        return self._adopt(database, name)

    def _adopt(self, database: str, name: str) -> RemoteCollection:
        collection = RemoteCollection(self._transport, database, name)
        self._collections.add(collection)
        return collection
