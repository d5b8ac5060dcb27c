# SPDX-License-Identifier: Apache-2.0
"""Collections: LynseDB's names, arguments and results over a backend that does the work."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NoReturn

import numpy as np

from . import _fields
from ._hooks import HookMethods, ranking_of
from ._index import check_params, effort_of
from ._records import (
    bits_as_numbers,
    check_batch_size,
    check_count,
    check_fields,
    check_finite,
    check_flag,
    check_ids,
    check_matrix,
    check_name,
    check_record_vectors,
    check_text,
    check_threshold,
    check_vector,
    check_wire_dtype,
    deadline_of,
    distinct_ids,
    groups_of,
    is_of_bits,
)
from ._requests import check_request_id, id_of_group
from .errors import Invalid, LynseError, RecordNotFound
from .planned import PlannedCollectionMethods, later
from .rerank import Reranker, rerank
from .result_view import ResultView, _parse_index_mode
from .session import DataInsertionSession
from .types import (
    VERIFY_LEVELS,
    CollectionBackend,
    Effort,
    Fields,
    FloatArray,
    Hits,
    Id,
    IdBatch,
    Ids,
    PackedFields,
    Ranking,
    RequestId,
    RootBackend,
    Vectors,
)


@functools.lru_cache(maxsize=64)
def _shown_names(index_kind: str, metric: str) -> tuple[str, str]:
    return _parse_index_mode(f"{index_kind}-{metric.replace('_', '-')}")


def _search_view(hits: Hits, k: int) -> ResultView:
    family, metric = _shown_names(hits.index_kind, hits.metric)
    return ResultView(
        ids=hits.ids,
        distances=hits.scores,
        fields=hits.fields,
        k=k,
        distance=metric,
        index=family,
        skipped_hooks=hits.skipped_hooks,
    )


def _data_view(hits: Hits) -> ResultView:
    return ResultView(ids=hits.ids, vectors=hits.vectors, fields=hits.fields, result_type="data")


class Collection(HookMethods, PlannedCollectionMethods):
    """Records: an id, a vector of float32, and fields.

    An id is a whole number of 0..2^64-2 or a string of 1..255 bytes of UTF-8; 5 and "5" differ.
    Vectors are anything that numpy makes a float32 array of; a C-ordered float32 array is not
    copied.  Fields are dicts with string keys.

    Errors are those of :mod:`lynse.errors`.  A call that fails has applied nothing, but for what
    ``rows_applied`` of the exception says of calls over 100,000 rows or 256 MiB.  Any thread may
    use a collection.  ``with collection:`` commits at the end of the block.
    """

    def __init__(
        self,
        root: RootBackend,
        backend: CollectionBackend,
        database: str,
        name: str,
        default_index: str | None = None,
    ) -> None:
        self._root = root
        self._backend = backend
        self._database = database
        self._name = name
        self._default_index = default_index
        self._is_closed = False

    def __enter__(self) -> Collection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and not self._is_closed and not self.is_read_only:
            self.commit()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a collection cannot be pickled or copied; open it where it is needed")

    def __repr__(self) -> str:
        full_name = f"{self._database}/{self._name}"
        if self._is_closed:
            return f"<Collection {full_name!r}, closed>"
        try:
            info = self._backend.info()
        except LynseError as error:
            return f"<Collection {full_name!r}: {error}>"
        mode = info.index_mode or info.metric
        return f"<Collection {full_name!r}: {info.live_count} records × {info.dim}, {mode}>"

    # ---- What it is ----

    @property
    def name(self) -> str:
        """Where the work is done: "Local" is this process, "Remote" a server."""
        return self._root.place

    @property
    def is_read_only(self) -> bool:
        return self._backend.info().is_read_only

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, dim); rows include deleted ones that are not reclaimed yet."""
        info = self._backend.info()
        return info.live_count + info.deleted_count, info.dim

    @property
    def max_id(self) -> int:
        """The largest integer id ever used; -1 before the first."""
        return self._backend.info().max_id

    @property
    def index_mode(self) -> str | None:
        """FLAT-IP, …; None before the first build."""
        return self._backend.info().index_mode or None

    def index_status(self) -> dict[str, Any]:
        """index_mode, is_auto ("AUTO" chose it, and will again), its params, and how far it is:
        progress (0..1, of the rows of segments), indexed_segment_count of segment_count, is_ready,
        and failure: why the last build failed (it is tried again), or None.  What is not indexed
        yet is scanned.

        recall_measured: of searches that were really made, and made again while nobody searched,
        how much of what looking at every record finds, 0 to 1; None: nothing was measured.
        recall_query_count says of how many, recall_measured_at when (as time.time())."""
        info = self._backend.info()
        recall = info.recall
        return {
            "index_mode": info.index_mode or None,
            "is_auto": info.index_is_auto,
            "params": {
                name: int(value) if value.is_integer() else value
                for name, value in info.index_params.items()
            },
            "progress": info.index_progress,
            "indexed_segment_count": info.indexed_segment_count,
            "segment_count": info.segment_count,
            "is_ready": bool(info.index_mode) and info.indexed_segment_count == info.segment_count,
            "recall_measured": recall.measured if recall else None,
            "recall_query_count": recall.query_count if recall else 0,
            "recall_measured_at": recall.measured_at if recall else None,
            "failure": str(info.index_failure) if info.index_failure else None,
        }

    @property
    def vector_dtype(self) -> str:
        """What vectors are kept as: "float32", "float16", …"""
        return self._backend.info().dtype

    def numbers_of(self, vectors: Any) -> Any:
        """Bits of a collection that keeps them, as zeros and ones; anything else as it is."""
        if not is_of_bits(vectors):
            return vectors
        info = self._backend.info()
        return bits_as_numbers(vectors, info.dim) if info.dtype == "bit" else vectors

    def stats(self) -> dict[str, Any]:
        """n_vectors, n_live, n_tombstoned, dimension, index_mode ("none": no index), max_id."""
        info = self._backend.info()
        return {
            "n_vectors": info.live_count + info.deleted_count,
            "n_live": info.live_count,
            "n_tombstoned": info.deleted_count,
            "dimension": info.dim,
            "index_mode": info.index_mode or "none",
            "max_id": info.max_id,
        }

    def refresh(self) -> None:
        """Opened read-only beside another process that writes: move on to what is durable there.
        Opening a collection does so too; otherwise there is nothing to do."""
        self._root.refresh()

    def exists(self) -> bool:
        """Whether the collection has not been dropped."""
        return self._root.collection_exists(self._database, self._name)

    def list_fields(self) -> list[str]:
        """The names of all fields of live records, sorted."""
        return self._backend.list_fields()

    def verify(self, level: str = "full") -> dict[str, Any]:
        """Look at everything of the collection, as it is now, and say what is wrong with it.

        level  "quick": what opening reads; "full": every checksum, record and id; "deep": also all
               that indexes hold, against their records

        Answers level, is_sound, findings (a sentence each), and indexes: what each one finds of
        what is near.  It writes nothing, and reads all of the collection."""
        if level not in VERIFY_LEVELS:
            raise Invalid(f"level must be one of {', '.join(VERIFY_LEVELS)}, not {level!r:.40}")
        findings, indexes = self._backend.verify(VERIFY_LEVELS.index(level) + 1)
        return {
            "level": level,
            "is_sound": not findings,
            "findings": findings,
            "indexes": indexes,
        }

    def list_vector_fields(self) -> list[dict[str, Any]]:
        info = self._backend.info()
        return [
            {
                "name": "default",
                "dimension": info.dim,
                "metric": info.metric,
                "index_mode": info.index_mode or None,
                "dtypes": info.dtype,
            }
        ]

    def update_description(self, description: str | None) -> dict[str, str]:
        """Up to 4,096 bytes; None: none."""
        if description is not None:
            check_name(description, "description")
        self._backend.describe(description)
        return {"status": "success"}

    def is_id_exists(self, id: Id) -> bool:
        batch = check_ids(id)
        if not batch.is_scalar:
            raise TypeError("is_id_exists() takes one id")
        return self._backend.has(batch.to_list()[0])

    # ---- Writing ----

    def add(
        self,
        ids: Ids | None = None,
        *,
        vectors: Vectors | None = None,
        documents: Any = None,
        embed_func: Any = None,
        fields: Any = None,
        batch_size: int = 1000,
        wire_dtype: str = "float32",
        request_id: RequestId | None = None,
    ) -> Any:
        """Add records; answers their ids, a scalar for a scalar.

        ids         one id or n of them, none twice; None: the collection numbers the records,
                    from ``max_id`` + 1 on
        vectors     (n, dim) or, of one record, (dim,); finite.  Of a collection of bits arrays of
                    bool too, and uint8 as numpy.packbits makes it, once the dimension is known
        fields      a dict, or a list of n dicts or None
        batch_size  checked and otherwise ignored: one call is one group, all or nothing
        request_id  16 bytes or a UUID, not all zero: however often the same call is made with it,
                    also after OutcomeUnknown or a crash, it is applied once and answers the same.
                    The collection knows its last 65,536, for ten minutes each; Invalid: it was
                    another write's

        AlreadyExists names the first id that is there already; then nothing is added.
        """
        check_batch_size(batch_size)
        check_wire_dtype(wire_dtype)
        request = check_request_id(request_id)
        if ids is None and (documents is not None or fields is not None):
            raise Invalid("add(ids=None) takes vectors alone; give ids to store fields")
        if documents is not None or embed_func is not None:
            later("documents=")
        if vectors is None:
            raise Invalid("add() requires vectors or documents")
        if ids is None:
            matrix = check_matrix(self.numbers_of(vectors))
            given = self._write_groups("add", None, matrix, None, request)
            return given[0] if np.ndim(vectors) == 1 else given
        batch = check_ids(ids)
        matrix = check_record_vectors(self.numbers_of(vectors), batch.size)
        rows = check_fields(fields, batch.size)
        packed = None if rows is None else _fields.pack(rows)
        self._write_groups("add", batch, matrix, packed, request)
        return batch.to_list()[0] if batch.is_scalar else batch.to_list()

    def upsert(
        self,
        ids: Ids,
        *,
        vectors: Vectors,
        fields: Any = None,
        batch_size: int = 1000,
        wire_dtype: str = "float32",
        request_id: RequestId | None = None,
    ) -> Any:
        """Add records, or replace those that are there.  Without fields (None, for all or for a
        row) a record keeps those that it has.  Otherwise as :meth:`add`."""
        check_batch_size(batch_size)
        check_wire_dtype(wire_dtype)
        request = check_request_id(request_id)
        batch = check_ids(ids)
        matrix = check_record_vectors(self.numbers_of(vectors), batch.size)
        rows = check_fields(fields, batch.size)
        packed = None if rows is None else _fields.pack(rows)
        self._write_groups("upsert", batch, matrix, packed, request)
        return batch.to_list()[0] if batch.is_scalar else batch.to_list()

    def _write_groups(
        self,
        verb: str,
        ids: IdBatch | None,
        vectors: FloatArray,
        fields: PackedFields | None,
        request: bytes | None,
    ) -> list[Id]:
        """Answers the ids that the collection gave, if it was asked to."""
        given: list[Id] = []
        groups = list(groups_of(vectors, fields))
        if len(groups) > 1:
            check_finite(vectors)
        for start, stop in groups:
            part_ids = None if ids is None else ids.slice(start, stop)
            part_fields = None if fields is None else fields.slice(start, stop)
            part = vectors[start:stop]
            part_request = id_of_group(request, start)
            try:
                if part_ids is None or verb == "add":
                    first = self._backend.add(part_ids, part, part_fields, part_request)
                else:
                    self._backend.upsert(part_ids, part, part_fields, part_request)
            except LynseError as error:
                if start:
                    error.rows_applied = start
                    error.args = (
                        f"{error} (the first {start} of {len(vectors)} rows are stored; a row that "
                        "is named is counted from there)",
                    )
                raise
            if part_ids is None:
                given.extend(range(first, first + stop - start))
        self._build_default_index()
        return given

    def _build_default_index(self) -> None:
        """Of a collection that this object created, with its first vectors."""
        mode, self._default_index = self._default_index, None
        if mode is not None and not self._backend.info().index_mode:
            self._backend.build_index(mode, {}, False)

    def delete(
        self,
        ids: Ids | None = None,
        *,
        where: str | None = None,
        timeout: float | None = None,
        request_id: RequestId | None = None,
    ) -> int:
        """Delete records and say how many; :meth:`restore` brings them back.

        ids      unknown ones are skipped
        where    instead of ids: a filter; records for which it is true at this moment are deleted,
                 and what others write meanwhile stays
        timeout  seconds, 30 without it; Deadline, or OutcomeUnknown while it is logged
        request_id  as :meth:`add` takes it; with where at most 100,000 records can go
        """
        deadline = deadline_of(timeout)
        text = check_text(where, "where")
        request = check_request_id(request_id)
        if text is not None:
            if ids is not None:
                raise Invalid("delete() takes ids or where, not both")
            return self._backend.delete_where(text, deadline, request)
        if ids is None:
            raise TypeError("delete() takes ids or where, and was given neither")
        batch = distinct_ids(check_ids(ids, is_write=False))
        return self._backend.delete(batch, deadline, request) if batch.size else 0

    def restore(self, ids: Ids, *, request_id: RequestId | None = None) -> None:
        """Bring deleted records back as they were; other ids are skipped.  request_id as
        :meth:`add` takes it."""
        request = check_request_id(request_id)
        batch = distinct_ids(check_ids(ids, is_write=False))
        if batch.size:
            self._backend.restore(batch, request)

    def list_deleted_ids(self) -> list[Id]:
        return self._backend.deleted_ids()

    def insert_session(self) -> DataInsertionSession:
        """A context manager: what is added in its block is stored when the block ends well."""
        return DataInsertionSession(self)

    def build_index(
        self,
        index_mode: str = "FLAT-IP",
        field_name: str = "default",
        *,
        wait: bool = True,
        **kwargs: Any,
    ) -> dict[str, str]:
        """Search with this index, by its metric, from now on (docs/INDEXES.md).

        index_mode  a kind and a metric, "FLAT-IP", "HNSW-L2", with a quantizer "HNSW-COS-SQ8";
                    "AUTO" or "AUTO-L2": chosen by what is there, and again as that grows, with
                    all parameters: no kwargs
        wait        False: build in the background, see :meth:`index_status`; searches are exact
                    until it is there
        kwargs      the parameters of the kind, by name: m=16, ef_construction=200; they apply
                    until the next build, over writes and restarts

        The metrics are those of docs/DISTANCES.md.  Haversine, Hellinger, Wasserstein and
        Jensen-Shannon are refused where a record's vector is none that they can measure.
        """
        check_name(index_mode, "index_mode")
        params = check_params(kwargs)
        is_awaited = check_flag(wait, "wait")
        if field_name != "default":
            later("field_name= (named vectors)")
        self._backend.build_index(index_mode, params, is_awaited)
        self._default_index = None
        return {"status": "success"}

    def remove_index(self, field_name: str = "default") -> dict[str, str]:
        """Searches look at every record again; the metric stays."""
        if field_name != "default":
            later("field_name= (named vectors)")
        self._backend.remove_index()
        self._default_index = None
        return {"status": "success"}

    def commit(self) -> dict[str, Any]:
        """Everything that was written before is on the disk when this returns."""
        self._backend.sync()
        names = {"database_name": self._database, "collection_name": self._name}
        return {"status": "Success", "result": names}

    def flush(self) -> dict[str, str]:
        """Move the rows in memory into a segment."""
        self._backend.flush()
        return {"status": "success"}

    def checkpoint(self) -> dict[str, str]:
        """Flush, and retire the log: the next open has nothing to replay."""
        self._backend.checkpoint()
        return {"status": "success"}

    def close(self) -> dict[str, str]:
        """Commit, and let the handle go.  Closing twice is fine."""
        if not self._is_closed:
            self._is_closed = True
            try:
                if not self._backend.info().is_read_only:
                    self._backend.sync()
            finally:
                self._backend.close()
        return {"status": "success"}

    # ---- Searching ----

    def search(
        self,
        vector: Vectors | None = None,
        k: int = 10,
        *,
        document: str | None = None,
        embed_func: Any = None,
        where: str | None = None,
        return_fields: bool = False,
        vector_field: str = "default",
        reranker: Reranker | None = None,
        rerank_k: int | None = None,
        rerank_with_fields: bool = False,
        nprobe: int | None = None,
        approx: bool = False,
        eps: float = 1e-4,
        wire_dtype: str = "float32",
        score: str | None = None,
        rerank: str | None = None,
        score_options: Fields | None = None,
        rerank_options: Fields | None = None,
        hooks: bool = True,
        timeout: float | None = None,
        ef: int | None = None,
        beam: int | None = None,
        oversample: float | None = None,
        exact: bool = False,
        score_mode: str = "all",
    ) -> ResultView:
        """The k records nearest to a vector, nearest first.

        vector      (dim,), finite
        k           1..100,000; fewer come back only when there are fewer
        where       a filter on the fields, as in SQL: "lang = 'c' AND stars > 100"; when k records
                    match it, k come back
        reranker    a callable that orders the hits anew (:mod:`lynse.rerank`); the first
                    `rerank_k` of them are answered, and it sees the fields if `return_fields`
                    or `rerank_with_fields`

        score       Lua source of a function that ranks every record that matches (docs/LUA.md):
                    "function(n, distance, field, out) … end"; smaller is nearer, and the scores of
                    the hits are what it writes
        rerank      Lua source of a function that puts the hits in a new order, or the name of a
                    shipped one: "mmr", "recency", "boost"
        score_options, rerank_options
                    a dict that the function gets as its last argument; of shipped ones as
                    rerank="mmr", rerank_options={"lambda": 0.7}
        hooks       False: without those that :meth:`set_hook` has installed
        timeout     seconds, 600 at the most and without; `reranker` is not bounded by it

        nprobe, ef, beam
                    how hard an index looks, up to 1,048,576: one option, by its names for IVF and
                    SPANN, for HNSW, for DiskANN.  None or 0: as it was built to
        oversample  1..1,000: of k, how many are measured exactly where a quantizer ranks
        exact       look at every record, whatever the index

        score_mode  which records `score`, or the one that is installed, is given: "all"; "collect":
                    the nearest, of k `oversample` times as many, 4 times without it, 100 and `ef`
                    at least; "beam": so, and then twice as many until these change nothing
        approx, eps a scan may pass over records that are nearer than the last hit by no more than
                    eps, and a graph stops sooner

        Every score is exact, with approx too.
        """
        if (vector is None) == (document is None):
            raise Invalid("search() requires exactly one of vector or document")
        if document is not None or embed_func is not None:
            later("document=")
        if vector_field != "default":
            later("vector_field= (named vectors)")
        query = check_vector(self.numbers_of(vector))
        ranking = ranking_of(where, score, rerank, score_options, rerank_options, hooks, score_mode)
        deadline = deadline_of(timeout)
        effort = effort_of(nprobe, ef, beam, oversample, exact, approx, eps)
        return self._search(
            query,
            k,
            ranking,
            effort,
            deadline,
            return_fields,
            reranker,
            rerank_k,
            rerank_with_fields,
            wire_dtype,
        )[0]

    def batch_search(
        self,
        vectors: Vectors,
        k: int = 10,
        *,
        where: str | None = None,
        return_fields: bool = False,
        nprobe: int | None = None,
        reranker: Reranker | None = None,
        rerank_k: int | None = None,
        rerank_with_fields: bool = False,
        wire_dtype: str = "float32",
        score: str | None = None,
        rerank: str | None = None,
        score_options: Fields | None = None,
        rerank_options: Fields | None = None,
        hooks: bool = True,
        timeout: float | None = None,
        ef: int | None = None,
        beam: int | None = None,
        oversample: float | None = None,
        exact: bool = False,
        score_mode: str = "all",
    ) -> list[ResultView]:
        """One result for each row of `vectors`, (n, dim), n as large as you like; otherwise as
        :meth:`search`."""
        if hasattr(vectors, "__len__") and len(vectors) == 0:
            return []
        queries = check_matrix(self.numbers_of(vectors))
        ranking = ranking_of(where, score, rerank, score_options, rerank_options, hooks, score_mode)
        deadline = deadline_of(timeout)
        effort = effort_of(nprobe, ef, beam, oversample, exact)
        return self._search(
            queries,
            k,
            ranking,
            effort,
            deadline,
            return_fields,
            reranker,
            rerank_k,
            rerank_with_fields,
            wire_dtype,
        )

    def search_pages(
        self,
        vector: Vectors,
        k: int = 10,
        *,
        where: str | None = None,
        return_fields: bool = False,
        nprobe: int | None = None,
        approx: bool = False,
        eps: float = 1e-4,
        score: str | None = None,
        rerank: str | None = None,
        score_options: Fields | None = None,
        rerank_options: Fields | None = None,
        hooks: bool = True,
        timeout: float | None = None,
        ef: int | None = None,
        beam: int | None = None,
        oversample: float | None = None,
        exact: bool = False,
        score_mode: str = "all",
    ) -> Iterator[ResultView]:
        """Page by page, k hits each, the last one fewer: 100,000 in all.  No record comes twice.

        In a folder all pages are of the version that the first one read; a server answers each from
        what is there then.  `timeout` is of each page; all else as of :meth:`search`.
        """
        query = check_vector(self.numbers_of(vector))
        count = check_count(k, "k", 1)
        ranking = ranking_of(where, score, rerank, score_options, rerank_options, hooks, score_mode)
        deadline_of(timeout)
        effort = effort_of(nprobe, ef, beam, oversample, exact, approx, eps)
        pages = self._backend.search_pages(
            query, count, ranking, effort, timeout, with_fields=bool(return_fields)
        )
        return (_search_view(hits, k) for hits in pages)

    def _search(
        self,
        queries: FloatArray,
        k: int,
        ranking: Ranking,
        effort: Effort,
        deadline: float | None,
        return_fields: bool,
        reranker: Reranker | None,
        rerank_k: int | None,
        rerank_with_fields: bool,
        wire_dtype: str,
    ) -> list[ResultView]:
        check_wire_dtype(wire_dtype)
        k = check_count(k, "k", 1)
        keep = None if rerank_k is None else check_count(rerank_k, "rerank_k", 1)
        with_fields = bool(return_fields or (reranker is not None and rerank_with_fields))
        found = self._backend.search(
            queries, k, ranking, effort, deadline, with_fields=with_fields, with_vectors=False
        )
        if reranker is not None:
            found = [
                self._rerank(hits, reranker, query, k, keep) for hits, query in zip(found, queries)
            ]
        if with_fields and not return_fields:
            found = [hits._replace(fields=None) for hits in found]
        return [_search_view(hits, k) for hits in found]

    @staticmethod
    def _rerank(
        hits: Hits, reranker: Reranker, query: FloatArray, k: int, keep: int | None
    ) -> Hits:
        fields = [_fields.unpack(row) for row in hits.fields or ()]
        asked = {"type": "vector", "vector": query, "vector_field": "default", "k": k}
        hits = rerank(reranker, asked, hits, fields)
        return hits._replace(
            ids=hits.ids[:keep],
            scores=None if hits.scores is None else hits.scores[:keep],
            fields=None if hits.fields is None else hits.fields[:keep],
        )

    def search_range(
        self,
        vector: Vectors,
        threshold: float,
        max_results: int = 1000,
        *,
        where: str | None = None,
        hooks: bool = True,
        timeout: float | None = None,
        nprobe: int | None = None,
        ef: int | None = None,
        beam: int | None = None,
        oversample: float | None = None,
        exact: bool = False,
    ) -> ResultView:
        """Records at or nearer than `threshold`, nearest first, `max_results` at most.

        Through an index some that lie farther out may be missed; `exact` finds all of them.

        threshold    a number.  IP: score >= threshold; L2 and cosine: distance <= threshold
        max_results  0..100,000
        where        a filter on the fields, as of :meth:`search`
        hooks        False: without those that :meth:`set_hook` has installed; what a score hook
                     gives is what `threshold` is compared with
        timeout      seconds, 600 at the most and without
        nprobe, ef, beam, oversample, exact
                     as of :meth:`search`
        """
        ranking = ranking_of(where, None, None, None, None, hooks)
        deadline = deadline_of(timeout)
        query = check_vector(self.numbers_of(vector))
        limit = check_count(max_results, "max_results")
        nearest = check_threshold(threshold)
        effort = effort_of(nprobe, ef, beam, oversample, exact)
        if limit == 0:
            return _search_view(
                Hits(np.empty(0, np.int64), np.empty(0, np.float32), None, None, "ip"), 0
            )
        found = self._backend.search_range(query, nearest, limit, ranking, effort, deadline)
        return _search_view(found, limit)

    # ---- Reading ----

    def get(
        self, ids: Ids, *, return_vectors: bool = True, return_fields: bool = True
    ) -> ResultView:
        """The records of these ids, in this order; unknown and deleted ones are left out."""
        batch = distinct_ids(check_ids(ids, is_write=False))
        hits = self._backend.get(batch, with_fields=return_fields, with_vectors=return_vectors)
        return _data_view(hits)

    def head(self, n: int = 5) -> ResultView:
        """The first n (0..100,000) records, in the order in which they were written."""
        return _data_view(self._backend.head(check_count(n, "n")))

    def tail(self, n: int = 5) -> ResultView:
        """The last n (0..100,000) records, in the order in which they were written."""
        return _data_view(self._backend.tail(check_count(n, "n")))

    def query(
        self,
        where: str | None = None,
        filter_ids: Ids | None = None,
        return_ids_only: bool = False,
    ) -> ResultView:
        """Fields of the records that a filter names, in the order in which they were written, or
        else by id.  Deleted records are left out; an id that never was is an error.  Without
        arguments the result is empty.

        where    a filter on the fields, as in SQL: "lang = 'c' AND stars > 100"
        """
        hits = self._read(where, filter_ids, with_fields=not return_ids_only, with_vectors=False)
        return ResultView(ids=hits.ids, fields=hits.fields, result_type="query")

    def query_vectors(self, where: str | None = None, filter_ids: Ids | None = None) -> ResultView:
        """Vectors and fields; otherwise as :meth:`query`."""
        return _data_view(self._read(where, filter_ids, with_fields=True, with_vectors=True))

    def count(self, where: str | None = None) -> int:
        """How many records there are, or for how many a filter is true; no deleted ones."""
        text = check_text(where, "where")
        return self._backend.info().live_count if text is None else self._backend.count(text)

    def read_by_only_id(self, id: Ids) -> ResultView:
        """Vectors and fields of one id or of a list."""
        return _data_view(self._read(None, id, with_fields=True, with_vectors=True))

    def _read(
        self, where: str | None, ids: Ids | None, *, with_fields: bool, with_vectors: bool
    ) -> Hits:
        text = check_text(where, "where")
        if text is not None:  # it wins, as in LynseDB
            return self._backend.query(text, with_fields=with_fields, with_vectors=with_vectors)
        batch = distinct_ids(check_ids([] if ids is None else ids, is_write=False))
        hits = self._backend.get(batch, with_fields=with_fields, with_vectors=with_vectors)
        if len(hits.ids) < batch.size:
            self._refuse_unknown(batch, hits)
        return hits

    def _refuse_unknown(self, asked: IdBatch, hits: Hits) -> None:
        found = set(hits.ids.tolist())
        missing = [id_ for id_ in asked.to_list() if id_ not in found]
        deleted = set(self._backend.deleted_ids())
        for id_ in missing:
            if id_ not in deleted:
                raise RecordNotFound(f"external id {id_!r} does not exist")
