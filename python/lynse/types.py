# SPDX-License-Identifier: Apache-2.0
"""The names of types that the API uses, and the seam between it and what carries it out.

``client`` and ``collection`` check arguments and shape results; a *backend* does the work.  The
engine in the process (``local``) is one; a server behind a socket is another of the same shape.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Union
from uuid import UUID

import numpy as np
import numpy.typing as npt

from .errors import LynseError

# A record's id: a whole number of 0..2^64-2, or a text of 1..255 bytes of UTF-8.  5 and "5" differ.
Id = Union[int, str]
Ids = Union[Id, Sequence[Id], npt.NDArray[Any]]
Fields = Mapping[str, Any]
FloatArray = npt.NDArray[np.float32]
Vectors = Union[npt.NDArray[Any], Sequence[float], Sequence[Sequence[float]]]
RequestId = Union[bytes, UUID]  # 16 bytes
Path = Union[str, "os.PathLike[str]"]

SYNC_LEVELS = ("always", "interval", "os", "none")
METRICS = (
    "ip", "l2", "cosine", "l1", "chebyshev", "canberra", "bray_curtis", "hamming", "jaccard",
    "dice", "haversine", "correlation", "hellinger", "wasserstein", "jensen_shannon",
)  # fmt: skip
# What vectors are kept as: the library's words in the order of its numbers, and numpy's names.
STORAGES = {
    "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i8": "int8", "u8": "uint8",
    "bit": "bit",
}  # fmt: skip
DTYPES = tuple(STORAGES.values())
SCORE_MODES = ("all", "collect", "beam")  # as in lynse.h
HOOK_POLICIES = ("fail", "skip")  # by their numbers
VERIFY_LEVELS = ("quick", "full", "deep")  # from 1


class IdBatch(NamedTuple):
    """Checked ids: ``numbers`` (uint64, contiguous) when all are integers, else ``mixed``."""

    numbers: npt.NDArray[np.uint64] | None
    mixed: list[Id]
    is_scalar: bool

    @property
    def size(self) -> int:
        return len(self.mixed) if self.numbers is None else len(self.numbers)

    def slice(self, start: int, stop: int) -> IdBatch:
        if self.numbers is None:
            return IdBatch(None, self.mixed[start:stop], False)
        return IdBatch(self.numbers[start:stop], [], False)

    def to_list(self) -> list[Id]:
        return self.mixed if self.numbers is None else self.numbers.tolist()


class PackedFields(NamedTuple):
    """The fields of some rows as msgpack, end to end; a size of 0: none."""

    data: bytes
    sizes: npt.NDArray[np.uint64]

    def slice(self, start: int, stop: int) -> PackedFields:
        first = int(self.sizes[:start].sum())
        last = first + int(self.sizes[start:stop].sum())
        return PackedFields(self.data[first:last], self.sizes[start:stop])


class Hits(NamedTuple):
    """Rows that were read: arrays of one order, ours to keep."""

    ids: npt.NDArray[Any]
    scores: FloatArray | None
    fields: list[bytes] | None
    vectors: FloatArray | None
    metric: str
    skipped_hooks: tuple[str, ...] = ()
    index_kind: str = "flat"


class InstalledHook(NamedTuple):
    """A hook that a collection keeps; of each point the versions are numbered from 1."""

    point: str
    version: int
    source: str
    options: dict[str, Any]
    on_failure: str
    is_trusted: bool
    is_disabled: bool


class Recall(NamedTuple):
    """Of searches that were made again while nobody searched: how much of what looking at every
    record finds; how many; when the last was, in seconds since 1970."""

    measured: float
    query_count: int
    measured_at: float


class CollectionInfo(NamedTuple):
    """What a collection says of itself; ``index_mode`` is empty when no index was asked for."""

    dim: int
    metric: str
    sync: str
    live_count: int
    deleted_count: int
    max_id: int
    is_read_only: bool
    index_mode: str
    directory: str
    index_params: dict[str, float]
    index_progress: float
    indexed_segment_count: int
    segment_count: int
    dtype: str
    recall: Recall | None
    index_failure: LynseError | None
    index_is_auto: bool


class Ranking(NamedTuple):
    """What says which records a search finds, and in which order; texts that were checked, and the
    options of the last two as msgpack maps."""

    where: str | None = None
    score: str | None = None
    rerank: str | None = None
    score_options: bytes = b""
    rerank_options: bytes = b""
    hooks: bool = True
    score_mode: str = "all"


class Effort(NamedTuple):
    """How hard an index looks; 0: as it was built to."""

    effort: int = 0
    oversample: float = 0.0
    exact: bool = False
    eps: float = 0.0


class CollectionBackend(Protocol):
    """An open collection.  Arguments are checked; errors are those of ``lynse.errors``.

    A deadline is of ``time.monotonic``; None: as long as the backend allows.
    """

    def info(self) -> CollectionInfo: ...
    def description(self) -> str | None: ...
    def describe(self, text: str | None) -> None: ...
    def close(self) -> None: ...

    # One group, all or nothing; answers the first id that the collection gave.
    # request_id: 16 bytes; sent again with them, it is applied once.  A deadline is a time of
    # time.monotonic(); None: the longest that there is.
    def add(
        self,
        ids: IdBatch | None,
        vectors: FloatArray,
        fields: PackedFields | None,
        request_id: bytes | None,
    ) -> int: ...
    def upsert(
        self,
        ids: IdBatch,
        vectors: FloatArray,
        fields: PackedFields | None,
        request_id: bytes | None,
    ) -> None: ...
    def delete(self, ids: IdBatch, deadline: float | None, request_id: bytes | None) -> int: ...
    def delete_where(self, where: str, deadline: float | None, request_id: bytes | None) -> int: ...
    def restore(self, ids: IdBatch, request_id: bytes | None) -> int: ...

    # wait: until everything that is there is indexed.
    def build_index(self, index_mode: str, params: dict[str, float], wait: bool) -> None: ...
    def remove_index(self) -> None: ...
    def sync(self) -> None: ...
    def flush(self) -> None: ...
    def checkpoint(self) -> None: ...

    def set_hook(self, point: str, source: str, options: bytes, on_failure: str) -> int: ...
    def drop_hook(self, point: str) -> None: ...
    def hooks(self) -> list[tuple[str, int, str, bytes, str, bool, bool]]: ...

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
    ) -> list[Hits]: ...
    # Pages of k hits, until there are no more; each within timeout seconds.
    def search_pages(
        self,
        query: FloatArray,
        k: int,
        ranking: Ranking,
        effort: Effort,
        timeout: float | None,
        *,
        with_fields: bool,
    ) -> Iterator[Hits]: ...
    def search_range(
        self,
        query: FloatArray,
        threshold: float,
        max_results: int,
        ranking: Ranking,
        effort: Effort,
        deadline: float | None,
    ) -> Hits: ...
    def get(self, ids: IdBatch, *, with_fields: bool, with_vectors: bool) -> Hits: ...
    def query(self, where: str, *, with_fields: bool, with_vectors: bool) -> Hits: ...
    def count(self, where: str) -> int: ...
    def has(self, id_: Id) -> bool: ...
    def head(self, count: int) -> Hits: ...
    def tail(self, count: int) -> Hits: ...
    def deleted_ids(self) -> list[Id]: ...
    def list_fields(self) -> list[str]: ...
    # level: 1 to 3.  What is wrong, and what each sound index finds.
    def verify(self, level: int) -> tuple[list[str], list[str]]: ...


class RootBackend(Protocol):
    """An open root: databases and the collections in them.  ``place`` is "Local" or "Remote"."""

    @property
    def place(self) -> str: ...
    @property
    def is_read_only(self) -> bool: ...
    @property
    def path(self) -> str: ...
    def close(self) -> None: ...
    def refresh(self) -> None: ...
    def database_create(self, database: str) -> None: ...
    def database_drop(self, database: str) -> None: ...
    def database_exists(self, database: str) -> bool: ...
    def database_list(self) -> list[str]: ...
    def collection_open(self, database: str, name: str) -> CollectionBackend: ...
    def collection_require(
        self,
        database: str,
        name: str,
        *,
        dim: int,
        metric: str | None,
        description: str | None,
        dtype: str | None,
    ) -> CollectionBackend: ...
    def collection_drop(self, database: str, name: str) -> None: ...
    def collection_exists(self, database: str, name: str) -> bool: ...
    def collection_list(self, database: str) -> list[str]: ...
