# SPDX-License-Identifier: Apache-2.0
"""A collection of the engine in this process: calls of lynse.h, one method each.

Every call releases the interpreter's lock.  Searches and scans run in steps, and builds of indexes
are looked at, so that Ctrl-C ends them, or the waiting for them, within a twentieth of a second.
"""

from __future__ import annotations

import contextlib
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ._index import await_index
from ._marshal import (
    c_text,
    check,
    copy_hits,
    failure_of,
    id_structs,
    join_hits,
    join_ids,
    names_to_list,
    new_error,
    one_id,
    row_structs,
    where_text,
)
from ._native import ffi, lib
from ._requests import id_of_group
from .errors import LynseError, ShuttingDown
from .types import (
    DTYPES,
    HOOK_POLICIES,
    METRICS,
    SCORE_MODES,
    SYNC_LEVELS,
    CollectionInfo,
    Effort,
    FloatArray,
    Hits,
    Id,
    IdBatch,
    PackedFields,
    Ranking,
    Recall,
)

if TYPE_CHECKING:
    from .local import Guard, LocalRoot

STEP_US = 50_000
SEARCH_TIMEOUT_US = 600_000_000  # the library's longest: Ctrl-C is there for less
QUERIES_PER_CALL = 1_000
SCAN_ROWS = 4_096
LONGEST_PAUSE_S = 0.05  # between two looks at what is built
IDS_PER_CALL = 100_000
# What every search needs, looked up once: a small one takes no longer than such look-ups.
SEARCH_DESC = ffi.typeof("struct lynse_search_desc *")
SEARCH_DESC_BYTES = ffi.sizeof("struct lynse_search_desc")
SEARCH_OUT, HITS_OUT = ffi.typeof("struct lynse_search **"), ffi.typeof("struct lynse_hits **")
FLOATS = ffi.typeof("float[]")
MORE = lib.LYNSE_MORE
DEFAULT_EFFORT, PLAIN_RANKING = Effort(), Ranking()


class LocalCollection:
    """Holds its client's `LocalRoot`, so that the root stays open as long as this is in use."""

    def __init__(self, root: LocalRoot, guard: Guard, close: Callable[[Guard], None]) -> None:
        self._root = root
        self._guard = guard
        self._close = weakref.finalize(self, close, guard)

    def close(self) -> None:
        self._close()

    def _call(self, function: Any, *arguments: Any) -> None:
        with self._guard.use() as collection:
            error = new_error()
            check(function(collection, *arguments, error), error)

    # ---- What it is ----

    def info(self) -> CollectionInfo:
        out = ffi.new("struct lynse_collection_info *")
        out.struct_bytes = ffi.sizeof("struct lynse_collection_info")
        self._call(lib.lynse_collection_info, out)
        return CollectionInfo(
            dim=out.dim,
            metric=METRICS[out.metric - 1] if out.metric else METRICS[0],
            sync=SYNC_LEVELS[out.sync - 1] if out.sync else SYNC_LEVELS[0],
            live_count=out.live_count,
            deleted_count=out.deleted_count,
            max_id=out.max_int_id if out.has_int_id else -1,
            is_read_only=bool(out.is_read_only) or self._root.is_read_only,
            index_mode=ffi.string(out.index_mode).decode(),
            directory=ffi.string(out.directory).decode(),
            index_params={
                ffi.string(param.name).decode(): param.value
                for param in (out.index_params[i] for i in range(out.index_param_count))
            },
            index_progress=out.index_progress,
            indexed_segment_count=out.indexed_segment_count,
            segment_count=out.segment_count,
            dtype=DTYPES[out.storage - 1] if out.storage else DTYPES[0],
            recall=Recall(
                out.recall_measured, out.recall_query_count, out.recall_measured_at_us / 1e6
            )
            if out.recall_query_count
            else None,
            index_failure=failure_of(out.index_failure),
            index_is_auto=bool(out.index_is_auto),
        )

    def description(self) -> str | None:
        out = ffi.new("struct lynse_names **")
        self._call(lib.lynse_collection_description, out)
        names = names_to_list(out[0])
        return names[0] if names else None

    def describe(self, text: str | None) -> None:
        self._root.refuse_write()
        encoded = ffi.NULL if text is None else c_text(text, "description")
        self._call(lib.lynse_collection_describe, encoded)

    def list_fields(self) -> list[str]:
        out = ffi.new("struct lynse_names **")
        self._call(lib.lynse_list_fields, out)
        return names_to_list(out[0])

    def verify(self, level: int) -> tuple[list[str], list[str]]:
        findings, indexes = ffi.new("struct lynse_names **"), ffi.new("struct lynse_names **")
        desc = ffi.new("struct lynse_verify_desc *")
        desc.struct_bytes = ffi.sizeof("struct lynse_verify_desc")
        desc.level = level
        desc.out_indexes = indexes
        self._call(lib.lynse_verify, desc, findings)
        return names_to_list(findings[0]), names_to_list(indexes[0])

    # ---- Writing ----

    def _write(
        self,
        function: Any,
        *arguments: Any,
        deadline: float | None = None,
        request_id: bytes | None = None,
    ) -> Any:
        self._root.refuse_write()
        result = ffi.new("struct lynse_write_result *")
        options = ffi.NULL
        if deadline is not None or request_id is not None:
            options = ffi.new("struct lynse_write_options *")
            options.struct_bytes = ffi.sizeof("struct lynse_write_options")
            if deadline is not None:
                options.timeout_us = us_left(deadline)
            if request_id is not None:
                options.request_id = list(request_id)
        try:
            self._call(function, *arguments, options, result)
        except LynseError as failed:  # of a deletion by filter some groups may have gone
            failed.rows_applied += int(result.row_count)
            raise
        return result

    def add(
        self,
        ids: IdBatch | None,
        vectors: FloatArray,
        fields: PackedFields | None,
        request_id: bytes | None,
    ) -> int:
        rows, keep = row_structs(ids, vectors, fields)
        result = self._write(lib.lynse_add, rows, request_id=request_id)
        del keep  # until here the call could look at what it holds
        return int(result.first_number)

    def upsert(
        self,
        ids: IdBatch,
        vectors: FloatArray,
        fields: PackedFields | None,
        request_id: bytes | None,
    ) -> None:
        rows, keep = row_structs(ids, vectors, fields)
        self._write(lib.lynse_upsert, rows, request_id=request_id)
        del keep

    def _mark(
        self, function: Any, ids: IdBatch, deadline: float | None, request_id: bytes | None
    ) -> int:
        count = 0
        for start in range(0, ids.size, IDS_PER_CALL):
            part = ids.slice(start, start + IDS_PER_CALL)
            pointer, keep = id_structs(part)
            try:
                written = self._write(
                    function,
                    pointer,
                    part.size,
                    deadline=deadline,
                    request_id=id_of_group(request_id, start),
                )
                count += written.row_count
            except LynseError as failed:
                failed.rows_applied += count
                raise
            del keep
        return count

    def delete(self, ids: IdBatch, deadline: float | None, request_id: bytes | None) -> int:
        return self._mark(lib.lynse_delete, ids, deadline, request_id)

    def delete_where(self, where: str, deadline: float | None, request_id: bytes | None) -> int:
        text = c_text(where, "where")
        written = self._write(
            lib.lynse_delete_where, text, deadline=deadline, request_id=request_id
        )
        return int(written.row_count)

    def restore(self, ids: IdBatch, request_id: bytes | None) -> int:
        return self._mark(lib.lynse_restore, ids, None, request_id)

    def build_index(self, index_mode: str, params: dict[str, float], wait: bool) -> None:
        self._root.refuse_write()
        desc = ffi.new("struct lynse_index_desc *")
        given = ffi.new("struct lynse_index_param[]", len(params))
        keep = [ffi.from_buffer(c_text(index_mode, "index mode") + b"\0")]
        for i, (name, value) in enumerate(params.items()):
            keep.append(ffi.from_buffer(c_text(name, "params") + b"\0"))
            given[i].name, given[i].value = keep[-1], value
        desc.struct_bytes = ffi.sizeof("struct lynse_index_desc")
        desc.flags = lib.LYNSE_INDEX_NO_WAIT  # the library's own waiting does not see Ctrl-C
        desc.mode, desc.params, desc.param_count = keep[0], given, len(params)
        self._call(lib.lynse_index_set, desc)
        del keep
        if wait:
            await_index(self.info, LONGEST_PAUSE_S)

    def remove_index(self) -> None:
        self._root.refuse_write()
        self._call(lib.lynse_remove_index)

    def sync(self) -> None:
        self._call(lib.lynse_collection_sync, ffi.NULL)

    def flush(self) -> None:
        self._root.refuse_write()
        self._call(lib.lynse_flush)

    def checkpoint(self) -> None:
        self._root.refuse_write()
        self._call(lib.lynse_checkpoint)

    # ---- Hooks ----

    def set_hook(self, point: str, source: str, options: bytes, on_failure: str) -> int:
        self._root.refuse_write()
        desc = ffi.new("struct lynse_hook_desc *")
        keep = [ffi.from_buffer(c_text(point, "point") + b"\0")]
        keep.append(ffi.from_buffer(c_text(source, "source") + b"\0"))
        keep.append(ffi.from_buffer(options))
        desc.struct_bytes = ffi.sizeof("struct lynse_hook_desc")
        desc.point, desc.source = keep[:2]
        desc.options = keep[2], len(options)
        desc.on_failure = HOOK_POLICIES.index(on_failure)
        version = ffi.new("uint64_t *")
        self._call(lib.lynse_hook_set, desc, version)
        del keep
        return int(version[0])

    def drop_hook(self, point: str) -> None:
        self._root.refuse_write()
        self._call(lib.lynse_hook_drop, c_text(point, "point"))

    def hooks(self) -> list[tuple[str, int, str, bytes, str, bool, bool]]:
        out = ffi.new("struct lynse_hooks **")
        self._call(lib.lynse_hook_list, out)
        try:
            return [
                (
                    ffi.string(hook.point).decode(),
                    hook.version,
                    ffi.string(hook.source).decode("utf-8", "replace"),
                    ffi.buffer(hook.options.data, hook.options.size)[:]
                    if hook.options.size
                    else b"",
                    HOOK_POLICIES[hook.on_failure],
                    bool(hook.is_trusted),
                    bool(hook.is_disabled),
                )
                for hook in (out[0].hooks[i] for i in range(out[0].count))
            ]
        finally:
            lib.lynse_hooks_free(out[0])

    # ---- Searching ----

    def _new_search(
        self, queries: FloatArray, flags: int, effort: Effort, deadline: float | None
    ) -> tuple[Any, Any]:
        desc = ffi.new(SEARCH_DESC)
        vectors = ffi.from_buffer(FLOATS, queries)
        desc.struct_bytes = SEARCH_DESC_BYTES
        desc.query_count, desc.dim = queries.shape
        desc.vector = vectors
        desc.flags = flags | (lib.LYNSE_EXACT if effort.exact else 0)
        if effort != DEFAULT_EFFORT:  # a new desc is zero, and zero the default
            desc.effort, desc.oversample = effort.effort, effort.oversample
            desc.eps = effort.eps
        desc.timeout_us = SEARCH_TIMEOUT_US if deadline is None else us_left(deadline)
        return desc, vectors

    def _run(self, desc: Any, *, with_fields: bool, with_vectors: bool) -> list[Hits]:
        """Step until there are hits.

        Ctrl-C may strike between any two instructions, also right after the step that ended the
        search.  What the library has written into `hits` and `error` tells what is left to free.
        """
        error = desc.error = new_error()
        search = ffi.new(SEARCH_OUT)
        hits = ffi.new(HITS_OUT)
        guard, token = self._guard, object()
        users = guard.users
        try:
            check(lib.lynse_search_begin(guard.enter(token), desc, search), error)
            code = MORE
            while code == MORE:
                if guard.is_closing:
                    raise ShuttingDown("this collection was closed during the search")
                code = lib.lynse_search_step(search[0], STEP_US, hits)
            check(code, error)
            return copy_hits(hits[0], with_fields=with_fields, with_vectors=with_vectors)
        finally:
            try:
                if hits[0]:
                    lib.lynse_hits_free(hits[0])
                elif search[0] and error.code == lib.LYNSE_OK:
                    lib.lynse_search_cancel(search[0])
            finally:
                users.discard(token)

    def _new_ranked_search(
        self,
        queries: FloatArray,
        k: int,
        ranking: Ranking,
        effort: Effort,
        deadline: float | None,
        flags: int,
    ) -> tuple[Any, Any]:
        flags |= 0 if ranking.hooks else lib.LYNSE_NO_HOOKS
        desc, vectors = self._new_search(queries, flags, effort, deadline)
        desc.k = k
        where = ranking.where
        if where is not None:
            where = desc.where = where_text(where)
        if ranking[1:] == PLAIN_RANKING[1:]:
            return desc, (vectors, where)
        texts = [
            ffi.NULL if text is None else ffi.from_buffer(c_text(text, name) + b"\0")
            for name, text in zip(ranking._fields[1:3], ranking[1:3])
        ]
        options = [ffi.from_buffer(packed) for packed in ranking[3:5]]
        desc.score_mode = SCORE_MODES.index(ranking.score_mode)
        desc.score, desc.rerank = texts
        desc.score_options = options[0], len(options[0])
        desc.rerank_options = options[1], len(options[1])
        return desc, (vectors, where, texts, options)

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
        found: list[Hits] = []
        flags = _flags(with_fields, with_vectors)
        for start in range(0, len(queries), QUERIES_PER_CALL):
            part = queries[start : start + QUERIES_PER_CALL]
            desc, keep = self._new_ranked_search(part, k, ranking, effort, deadline, flags)
            found += self._run(desc, with_fields=with_fields, with_vectors=with_vectors)
            del keep
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
        flags = _flags(with_fields, False) | lib.LYNSE_PAGES
        deadline = None if timeout is None else time.monotonic() + timeout
        desc, keep = self._new_ranked_search(query, k, ranking, effort, deadline, flags)
        error = desc.error = new_error()
        search = ffi.new("struct lynse_search **")
        with self._guard.use() as collection:
            check(lib.lynse_search_begin(collection, desc, search), error)
        is_there = True
        try:
            while True:
                hits = ffi.new("struct lynse_hits **")
                with self._guard.use():
                    code = lib.LYNSE_MORE
                    while code == lib.LYNSE_MORE:
                        if self._guard.is_closing:
                            raise ShuttingDown("this collection was closed during the search")
                        code = lib.lynse_search_step(search[0], STEP_US, hits)
                    is_there = code == lib.LYNSE_OK
                    check(code, error)
                    try:
                        page = copy_hits(hits[0], with_fields=with_fields, with_vectors=False)[0]
                    finally:
                        lib.lynse_hits_free(hits[0])
                if len(page.ids):
                    yield page
                if len(page.ids) < k:
                    return
                with self._guard.use():
                    check(lib.lynse_search_next(search[0], k), error)
        finally:
            if is_there:
                # Where the root is closed the search has ended with it.
                with contextlib.suppress(LynseError), self._guard.use():
                    lib.lynse_search_cancel(search[0])
            del keep

    def search_range(
        self,
        query: FloatArray,
        threshold: float,
        max_results: int,
        ranking: Ranking,
        effort: Effort,
        deadline: float | None,
    ) -> Hits:
        flags = lib.LYNSE_RANGE | (0 if ranking.hooks else lib.LYNSE_NO_HOOKS)
        desc, keep = self._new_search(query, flags, effort, deadline)
        if ranking.where is not None:
            keep = (keep, where_text(ranking.where))
            desc.where = keep[1]
        desc.threshold = threshold
        desc.max_results = max_results
        found = self._run(desc, with_fields=False, with_vectors=False)
        del keep
        return found[0]

    # ---- Reading ----

    def get(self, ids: IdBatch, *, with_fields: bool, with_vectors: bool) -> Hits:
        flags = _flags(with_fields, with_vectors)
        parts = []
        for start in range(0, ids.size, IDS_PER_CALL):
            part = ids.slice(start, start + IDS_PER_CALL)
            pointer, keep = id_structs(part)
            hits = ffi.new("struct lynse_hits **")
            self._call(lib.lynse_get, pointer, part.size, flags, hits)
            del keep
            parts += _take_hits(hits[0], with_fields, with_vectors)
        return join_hits(parts, self.info().dim, with_fields=with_fields, with_vectors=with_vectors)

    def has(self, id_: Id) -> bool:
        pointer, keep = one_id(id_)
        out = ffi.new("int *")
        self._call(lib.lynse_exists, pointer, out)
        del keep
        return bool(out[0])

    def _scan(
        self, flags: int, skip: int, limit: int | None, where: str | None = None
    ) -> list[Hits]:
        """Up to `limit` rows after the first `skip`, of one version."""
        text = None if where is None else c_text(where, "where")
        with_fields = bool(flags & lib.LYNSE_WITH_FIELDS)
        with_vectors = bool(flags & lib.LYNSE_WITH_VECTORS)
        scan = ffi.new("struct lynse_scan **")
        parts: list[Hits] = []
        count = 0
        with self._guard.use() as collection:
            error = new_error()
            try:
                if text is None:
                    check(lib.lynse_scan_begin(collection, flags, scan, error), error)
                else:
                    check(lib.lynse_query_begin(collection, text, flags, scan, error), error)
                if skip:
                    lib.lynse_scan_skip(scan[0], skip)
                while limit is None or count < limit:
                    room = SCAN_ROWS if limit is None else min(SCAN_ROWS, limit - count)
                    hits = ffi.new("struct lynse_hits **")
                    check(lib.lynse_scan_next(scan[0], room, hits, error), error)
                    part = _take_hits(hits[0], with_fields, with_vectors)[0]
                    if not len(part.ids):
                        break
                    parts.append(part)
                    count += len(part.ids)
            finally:
                lib.lynse_scan_free(scan[0])
        return parts

    def head(self, count: int) -> Hits:
        flags = _flags(True, True)
        parts = self._scan(flags, 0, count)
        return join_hits(parts, self.info().dim, with_fields=True, with_vectors=True)

    def tail(self, count: int) -> Hits:
        info = self.info()
        parts = self._scan(_flags(True, True), max(0, info.live_count - count), None)
        hits = join_hits(parts, info.dim, with_fields=True, with_vectors=True)
        first = max(0, len(hits.ids) - count)  # rows that came after the count was taken
        assert hits.fields is not None and hits.vectors is not None
        return hits._replace(
            ids=hits.ids[first:], fields=hits.fields[first:], vectors=hits.vectors[first:]
        )

    def query(self, where: str, *, with_fields: bool, with_vectors: bool) -> Hits:
        parts = self._scan(_flags(with_fields, with_vectors), 0, None, where)
        return join_hits(parts, self.info().dim, with_fields=with_fields, with_vectors=with_vectors)

    def count(self, where: str) -> int:
        out = ffi.new("uint64_t *")
        self._call(lib.lynse_count_where, c_text(where, "where"), out)
        return int(out[0])

    def deleted_ids(self) -> list[Id]:
        parts = self._scan(lib.LYNSE_SCAN_DELETED, 0, None)
        ids: list[Id] = join_ids([part.ids for part in parts] or [np.empty(0, np.int64)]).tolist()
        return ids


def us_left(deadline: float) -> int:
    """Until then, at least the least that the library takes for a time-out."""
    return max(1, int((deadline - time.monotonic()) * 1e6))


def _flags(with_fields: bool, with_vectors: bool) -> int:
    flags = lib.LYNSE_WITH_FIELDS if with_fields else 0
    if with_vectors:
        flags |= lib.LYNSE_WITH_VECTORS
    return int(flags)


def _take_hits(hits: Any, with_fields: bool, with_vectors: bool) -> list[Hits]:
    try:
        return copy_hits(hits, with_fields=with_fields, with_vectors=with_vectors)
    finally:
        lib.lynse_hits_free(hits)
