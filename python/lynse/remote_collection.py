# SPDX-License-Identifier: Apache-2.0
"""A collection of a server: its methods, one each.  It is known by its name: of one that was
dropped and made again, this is the new one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from . import _answers, _wire
from ._index import await_index
from ._marshal import c_text, join_hits
from ._requests import ID_BYTES, id_of_group
from .errors import Deadline, Limit, LynseError, ShuttingDown
from .transport import Transport
from .types import (
    VERIFY_LEVELS,
    CollectionInfo,
    Effort,
    FloatArray,
    Hits,
    Id,
    IdBatch,
    PackedFields,
    Ranking,
)

T = TypeVar("T")
IDS_PER_CALL = 100_000
HITS_MAX = 100_000
QUERIES_PER_CALL = 1_000
LONGEST_PAUSE_S = 0.5
LONGEST_SEARCH_S = 600.0  # what a search gets that was given no time-out
LARGEST = 3.4028234663852886e38  # of float32; the wire has no infinite thresholds


def _id_text(request_id: bytes | None) -> str:
    return (request_id or os.urandom(ID_BYTES)).hex()


def _effort_params(effort: Effort) -> dict[str, Any]:
    """What was asked for; of its three names on the wire the oldest one."""
    given = {"nprobe": effort.effort, "oversample": effort.oversample, "exact": effort.exact}
    if effort.eps:
        given.update(approx=True, eps=effort.eps)
    return {name: value for name, value in given.items() if value}


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

    def _read(
        self,
        method: str,
        reading: Callable[[Any], T],
        deadline: float | None = None,
        **params: Any,
    ) -> T:
        return _answers.take(method, self._call(method, params, deadline, False), reading)

    def _write(
        self,
        method: str,
        reading: Callable[[Any], T],
        deadline: float | None = None,
        **params: Any,
    ) -> T:
        return _answers.take(method, self._call(method, params, deadline, True), reading)

    # ---- What it is ----

    def info(self) -> CollectionInfo:
        return self._read("collection_info", _answers.info)

    def description(self) -> str | None:
        return self._read("collection_info", _answers.description)

    def describe(self, text: str | None) -> None:
        self._write("update_collection_description", _answers.nothing, description=text or "")

    def list_fields(self) -> list[str]:
        return self._read("list_fields", _answers.names("fields"))

    def verify(self, level: int) -> tuple[list[str], list[str]]:
        return self._read("verify", _answers.report, level=VERIFY_LEVELS[level - 1])

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
        return self._write(
            "add",
            _answers.first_id(ids is None),
            ids=None if ids is None else _wire.ids_value(ids),
            vectors=_wire.vectors_value(vectors),
            fields=None if fields is None else _wire.fields_value(fields),
            request_id=_id_text(request_id),
            return_ids=False,
        )

    def upsert(
        self,
        ids: IdBatch,
        vectors: FloatArray,
        fields: PackedFields | None,
        request_id: bytes | None,
    ) -> None:
        self._write(
            "upsert",
            _answers.nothing,
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
                count += self._write(
                    method,
                    _answers.count("row_count"),
                    deadline,
                    ids=_wire.ids_value(part),
                    request_id=group_id,
                )
            except LynseError as failed:
                failed.rows_applied += count
                raise
        return count

    def delete(self, ids: IdBatch, deadline: float | None, request_id: bytes | None) -> int:
        return self._mark("delete", ids, deadline, request_id)

    def delete_where(self, where: str, deadline: float | None, request_id: bytes | None) -> int:
        c_text(where, "where")
        given = {} if request_id is None else {"request_id": request_id.hex()}
        reading = _answers.count("row_count")
        return self._write("delete", reading, deadline, where=where, **given)

    def restore(self, ids: IdBatch, request_id: bytes | None) -> int:
        return self._mark("restore", ids, None, request_id)

    def build_index(self, index_mode: str, params: dict[str, float], wait: bool) -> None:
        self._write(
            "build_index", _answers.nothing, index_mode=index_mode, params=params, wait=False
        )
        if wait:
            await_index(self.info, LONGEST_PAUSE_S)

    def remove_index(self) -> None:
        self._write("remove_index", _answers.nothing)

    def sync(self) -> None:
        self._write("sync", _answers.nothing)

    def flush(self) -> None:
        self._write("flush", _answers.nothing)

    def checkpoint(self) -> None:
        self._write("checkpoint", _answers.nothing)

    # ---- Hooks ----

    def set_hook(self, point: str, source: str, options: bytes, on_failure: str) -> int:
        return self._write(
            "set_hook",
            _answers.count("version"),
            point=point,
            source=source,
            options=_wire.options_value(options),
            on_failure=on_failure,
        )

    def drop_hook(self, point: str) -> None:
        self._write("drop_hook", _answers.nothing, point=point)

    def hooks(self) -> list[tuple[str, int, str, bytes, str, bool, bool]]:
        return self._read("list_hooks", _answers.hooks)

    # ---- Searching ----

    def search(
        self,
        queries: FloatArray,
        k: int,
        ranking: Ranking,
        effort: Effort,
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
            found += self._read(
                "batch_search",
                _answers.hits(
                    "results", len(part), with_fields=with_fields, with_vectors=with_vectors
                ),
                latest,
                vectors=_wire.vectors_value(part),
                k=k,
                where=ranking.where,
                score=ranking.score,
                rerank=ranking.rerank,
                score_options=_wire.options_value(ranking.score_options),
                rerank_options=_wire.options_value(ranking.rerank_options),
                score_mode=ranking.score_mode,
                no_hooks=not ranking.hooks,
                **_effort_params(effort),
                return_fields=with_fields,
                raw=True,
            )
        return found

    def search_pages(
        self,
        query: FloatArray,
        k: int,
        ranking: Ranking,
        effort: Effort,
        timeout: float | None,
        *,
        with_fields: bool,
    ) -> Iterator[Hits]:
        """The server keeps no cursors: each page is a search for all so far, of the version that
        is there then, without what was given."""
        given: set[Id] = set()
        while True:
            wanted = len(given) + k
            if wanted > HITS_MAX:
                raise Limit(f"k is {k} after {len(given)} results, allowed are {HITS_MAX} in all")
            deadline = None if timeout is None else time.monotonic() + timeout
            hits = self.search(
                query,
                wanted,
                ranking,
                effort,
                deadline,
                with_fields=with_fields,
                with_vectors=False,
            )[0]
            ids = hits.ids.tolist()
            fresh = [i for i, id_ in enumerate(ids) if id_ not in given][:k]
            given.update(ids[i] for i in fresh)
            if fresh:
                yield hits._replace(
                    ids=hits.ids[fresh],
                    scores=None if hits.scores is None else hits.scores[fresh],
                    fields=None if hits.fields is None else [hits.fields[i] for i in fresh],
                )
            if len(ids) < wanted or len(fresh) < k:
                return

    def search_range(
        self,
        query: FloatArray,
        threshold: float,
        max_results: int,
        ranking: Ranking,
        effort: Effort,
        deadline: float | None,
    ) -> Hits:
        if ranking.where is not None:
            c_text(ranking.where, "where")
        return self._read(
            "search_range",
            _answers.hits("result", 1, with_fields=False, with_vectors=False),
            deadline or time.monotonic() + LONGEST_SEARCH_S,
            vector=_wire.vector_value(query),
            threshold=max(-LARGEST, min(LARGEST, threshold)),
            max_results=max_results,
            where=ranking.where,
            no_hooks=not ranking.hooks,
            **_effort_params(effort),
            raw=True,
        )[0]

    # ---- Reading ----

    def get(self, ids: IdBatch, *, with_fields: bool, with_vectors: bool) -> Hits:
        parts = []
        for start in range(0, max(1, ids.size), IDS_PER_CALL):
            part = ids.slice(start, start + IDS_PER_CALL)
            parts += self._read(
                "get",
                _answers.hits("items", 1, with_fields=with_fields, with_vectors=with_vectors),
                ids=_wire.ids_value(part),
                return_fields=with_fields,
                return_vectors=with_vectors,
                raw=True,
            )
        dim = parts[0].vectors.shape[1] if parts[0].vectors is not None else 0
        return join_hits(parts, dim, with_fields=with_fields, with_vectors=with_vectors)

    def query(self, where: str, *, with_fields: bool, with_vectors: bool) -> Hits:
        c_text(where, "where")
        reading = _answers.hits("result", 1, with_fields=with_fields, with_vectors=with_vectors)
        if with_vectors:
            return self._read("query_vectors", reading, where=where, raw=True)[0]
        ids_only = not with_fields
        return self._read("query", reading, where=where, return_ids_only=ids_only, raw=True)[0]

    def count(self, where: str) -> int:
        c_text(where, "where")
        return self._read("count", _answers.count("count"), where=where)

    def has(self, id_: Id) -> bool:
        return self._read("is_id_exists", _answers.flag("is_id_exists"), id=id_)

    def head(self, count: int) -> Hits:
        return self._rows("head", count)

    def tail(self, count: int) -> Hits:
        return self._rows("tail", count)

    def _rows(self, method: str, count: int) -> Hits:
        reading = _answers.hits(method, 1, with_fields=True, with_vectors=True)
        return self._read(method, reading, n=count, raw=True)[0]

    def deleted_ids(self) -> list[Id]:
        return self._read("list_deleted_ids", _answers.deleted_ids, raw=True)
