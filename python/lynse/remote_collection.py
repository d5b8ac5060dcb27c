# SPDX-License-Identifier: Apache-2.0
"""A collection of a server: its methods, one each.  It is known by its name: of one that was
dropped and made again, this is the new one."""

from __future__ import annotations

import os
import time
from typing import Any

from . import _fields, _wire
from ._marshal import c_text, join_hits
from ._requests import ID_BYTES, id_of_group
from .errors import Deadline, LynseError, ShuttingDown
from .transport import Transport
from .types import (
    CollectionInfo,
    FloatArray,
    Hits,
    Id,
    IdBatch,
    PackedFields,
    Ranking,
)

IDS_PER_CALL = 100_000
QUERIES_PER_CALL = 1_000
LONGEST_SEARCH_S = 600.0  # what a search gets that was given no time-out
LARGEST = 3.4028234663852886e38  # of float32; the wire has no infinite thresholds


def _id_text(request_id: bytes | None) -> str:
    return (request_id or os.urandom(ID_BYTES)).hex()


class RemoteCollection:
    """Any thread.  Closing it concerns this object alone; the server keeps what it likes open."""

    def __init__(self, transport: Transport, database: str, name: str) -> None:
        self._transport = transport
        self._names = {"database_name": database, "collection_name": name}
        self._is_closed = False

    def close(self) -> None:
        self._is_closed = True

    def _call(
        self, method: str, params: dict[str, Any], deadline: float | None, is_write: bool
    ) -> Any:
        if self._is_closed:
            raise ShuttingDown("this collection is closed")
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Deadline(f"{method}: its time was over before it was sent")
            params["timeout_ms"] = max(1, int(left * 1000))
        return self._transport.call(
            method, {**self._names, **params}, is_write=is_write, deadline=deadline
        )

    def _read(self, method: str, deadline: float | None = None, **params: Any) -> Any:
        return self._call(method, params, deadline, False)

    def _write(self, method: str, deadline: float | None = None, **params: Any) -> Any:
        return self._call(method, params, deadline, True)

    # ---- What it is ----

    def info(self) -> CollectionInfo:
        answer = self._read("collection_info")
        return CollectionInfo(
            dim=answer["dim"],
            metric=answer["metric"] or "ip",
            sync=answer["sync"],
            live_count=answer["live_count"],
            deleted_count=answer["deleted_count"],
            max_id=answer["max_id"],
            is_read_only=answer["is_read_only"],
            index_mode=answer["index_mode"] or "",
            directory=answer["directory"],
        )

    def description(self) -> str | None:
        return self._read("collection_info").get("description") or None

    def describe(self, text: str | None) -> None:
        self._write("update_collection_description", description=text or "")

    def list_fields(self) -> list[str]:
        names: list[str] = self._read("list_fields")["fields"]
        return names

    # ---- Writing ----

    # Each write has the id of a request, the caller's or a new one: what is sent again after a lost
    # connection is applied once.

    def add(
        self,
        ids: IdBatch | None,
        vectors: FloatArray,
        fields: PackedFields | None,
        request_id: bytes | None,
    ) -> int:
        answer = self._write(
            "add",
            ids=None if ids is None else _wire.ids_value(ids),
            vectors=_wire.vectors_value(vectors),
            fields=None if fields is None else _wire.fields_value(fields),
            request_id=_id_text(request_id),
            return_ids=False,
        )
        return int(answer["first_id"]) if ids is None else 0

    def upsert(
        self,
        ids: IdBatch,
        vectors: FloatArray,
        fields: PackedFields | None,
        request_id: bytes | None,
    ) -> None:
        self._write(
            "upsert",
            ids=_wire.ids_value(ids),
            vectors=_wire.vectors_value(vectors),
            fields=None if fields is None else _wire.fields_value(fields),
            request_id=_id_text(request_id),
            return_ids=False,
        )

    def _mark(
        self, method: str, ids: IdBatch, deadline: float | None, request_id: bytes | None
    ) -> int:
        count = 0
        for start in range(0, ids.size, IDS_PER_CALL):
            part = ids.slice(start, start + IDS_PER_CALL)
            group_id = _id_text(id_of_group(request_id, start))
            try:
                answer = self._write(
                    method, deadline, ids=_wire.ids_value(part), request_id=group_id
                )
                count += int(answer["row_count"])
            except LynseError as failed:
                failed.rows_applied += count
                raise
        return count

    def delete(self, ids: IdBatch, deadline: float | None, request_id: bytes | None) -> int:
        return self._mark("delete", ids, deadline, request_id)

    def delete_where(self, where: str, deadline: float | None, request_id: bytes | None) -> int:
        c_text(where, "where")
        given = {} if request_id is None else {"request_id": request_id.hex()}
        return int(self._write("delete", deadline, where=where, **given)["row_count"])

    def restore(self, ids: IdBatch, request_id: bytes | None) -> int:
        return self._mark("restore", ids, None, request_id)

    def build_index(self, index_mode: str) -> None:
        self._write("build_index", index_mode=index_mode)

    def remove_index(self) -> None:
        self._write("remove_index")

    def sync(self) -> None:
        self._write("sync")

    def flush(self) -> None:
        self._write("flush")

    def checkpoint(self) -> None:
        self._write("checkpoint")

    # ---- Hooks ----

    def set_hook(self, point: str, source: str, options: bytes, on_failure: str) -> int:
        answer = self._write(
            "set_hook",
            point=point,
            source=source,
            options=_wire.options_value(options),
            on_failure=on_failure,
        )
        return int(answer["version"])

    def drop_hook(self, point: str) -> None:
        self._write("drop_hook", point=point)

    def hooks(self) -> list[tuple[str, int, str, bytes, str, bool, bool]]:
        return [
            (
                hook["point"],
                hook["version"],
                hook["source"],
                _fields.pack([hook["options"] or {}]).data,
                hook["on_failure"],
                hook["is_trusted"],
                hook["is_disabled"],
            )
            for hook in self._read("list_hooks")["hooks"]
        ]

    # ---- Searching ----

    def search(
        self,
        queries: FloatArray,
        k: int,
        ranking: Ranking,
        deadline: float | None,
        *,
        with_fields: bool,
        with_vectors: bool,
    ) -> list[Hits]:
        latest = deadline or time.monotonic() + LONGEST_SEARCH_S
        for name, text in zip(ranking._fields[:3], ranking[:3]):
            if text is not None:
                c_text(text, name)
        found: list[Hits] = []
        for start in range(0, len(queries), QUERIES_PER_CALL):
            part = queries[start : start + QUERIES_PER_CALL]
            answer = self._read(
                "batch_search",
                latest,
                vectors=_wire.vectors_value(part),
                k=k,
                where=ranking.where,
                score=ranking.score,
                rerank=ranking.rerank,
                score_options=_wire.options_value(ranking.score_options),
                rerank_options=_wire.options_value(ranking.rerank_options),
                no_hooks=not ranking.hooks,
                return_fields=with_fields,
                raw=True,
            )["results"]
            found += _wire.read_hits(answer, with_fields=with_fields, with_vectors=with_vectors)
        return found

    def search_range(
        self,
        query: FloatArray,
        threshold: float,
        max_results: int,
        deadline: float | None,
        *,
        hooks: bool,
    ) -> Hits:
        answer = self._read(
            "search_range",
            deadline or time.monotonic() + LONGEST_SEARCH_S,
            vector=_wire.vector_value(query),
            threshold=max(-LARGEST, min(LARGEST, threshold)),
            max_results=max_results,
            no_hooks=not hooks,
            raw=True,
        )["result"]
        return _wire.read_hits(answer, with_fields=False, with_vectors=False)[0]

    # ---- Reading ----

    def get(self, ids: IdBatch, *, with_fields: bool, with_vectors: bool) -> Hits:
        parts = []
        for start in range(0, max(1, ids.size), IDS_PER_CALL):
            part = ids.slice(start, start + IDS_PER_CALL)
            answer = self._read(
                "get",
                ids=_wire.ids_value(part),
                return_fields=with_fields,
                return_vectors=with_vectors,
                raw=True,
            )["items"]
            parts += _wire.read_hits(answer, with_fields=with_fields, with_vectors=with_vectors)
        dim = parts[0].vectors.shape[1] if parts[0].vectors is not None else 0
        return join_hits(parts, dim, with_fields=with_fields, with_vectors=with_vectors)

    def query(self, where: str, *, with_fields: bool, with_vectors: bool) -> Hits:
        c_text(where, "where")
        if with_vectors:
            answer = self._read("query_vectors", where=where, raw=True)["result"]
        else:
            ids_only = not with_fields
            answer = self._read("query", where=where, return_ids_only=ids_only, raw=True)["result"]
        return _wire.read_hits(answer, with_fields=with_fields, with_vectors=with_vectors)[0]

    def count(self, where: str) -> int:
        c_text(where, "where")
        return int(self._read("count", where=where)["count"])

    def has(self, id_: Id) -> bool:
        return bool(self._read("is_id_exists", id=id_)["is_id_exists"])

    def head(self, count: int) -> Hits:
        return self._rows("head", count)

    def tail(self, count: int) -> Hits:
        return self._rows("tail", count)

    def _rows(self, method: str, count: int) -> Hits:
        answer = self._read(method, n=count, raw=True)[method]
        return _wire.read_hits(answer, with_fields=True, with_vectors=True)[0]

    def deleted_ids(self) -> list[Id]:
        answer = self._read("list_deleted_ids", raw=True)["ids"]
        ids: list[Id] = answer
        if isinstance(answer, dict):
            ids = _wire.read_hits(answer, with_fields=False, with_vectors=False)[0].ids.tolist()
        return ids
