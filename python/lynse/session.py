# SPDX-License-Identifier: Apache-2.0
"""Insert sessions: rows are gathered, and stored when the block ends well."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._records import (
    check_batch_size,
    check_fields,
    check_ids,
    check_matrix,
    check_record_vectors,
    check_wire_dtype,
)
from .errors import Invalid
from .planned import later
from .types import FloatArray, Id, Ids, Vectors

if TYPE_CHECKING:
    from .collection import Collection


class _Rows(NamedTuple):
    ids: list[Id] | None
    vectors: FloatArray
    fields: list[Mapping[str, Any] | None] | None

    def goes_with(self, other: _Rows) -> bool:
        return (self.ids is None) == (other.ids is None)


class DataInsertionSession:
    """``with collection.insert_session() as session: session.add(...)``.

    Each ``add`` is checked at once and kept in memory.  When the block ends, everything is added
    and committed; when it ends with an exception, nothing is.  Other attributes are those of the
    collection.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._waiting: list[_Rows] = []

    def __enter__(self) -> DataInsertionSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._store()
            self._collection.commit()
        self._waiting.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)

    def add(
        self,
        ids: Ids | None = None,
        *,
        vectors: Vectors | None = None,
        documents: Any = None,
        fields: Any = None,
        batch_size: int = 50_000,
        wire_dtype: str = "float32",
        embed_func: Any = None,
    ) -> Any:
        """As :meth:`Collection.add`, later.  Answers the given ids; None when it gave none."""
        check_batch_size(batch_size)
        check_wire_dtype(wire_dtype)
        if documents is not None or embed_func is not None:
            later("documents=")
        if vectors is None:
            raise Invalid("add() requires vectors or documents")
        if ids is None:
            if fields is not None:
                raise Invalid("add(ids=None) takes vectors alone; give ids to store fields")
            matrix = np.array(check_matrix(self._collection.numbers_of(vectors)))
            self._waiting.append(_Rows(None, matrix, None))
            return None
        batch = check_ids(ids)
        # A copy: the caller may reuse the array before the block ends.
        numbers = self._collection.numbers_of(vectors)
        matrix = np.array(check_record_vectors(numbers, batch.size))
        rows = check_fields(fields, batch.size)
        self._waiting.append(_Rows(batch.to_list(), matrix, rows))
        return batch.to_list()[0] if batch.is_scalar else batch.to_list()

    def _store(self) -> None:
        """Neighbours of one kind go in one call."""
        start = 0
        waiting = self._waiting
        for stop in range(1, len(waiting) + 1):
            if stop == len(waiting) or not waiting[start].goes_with(waiting[stop]):
                self._store_run(waiting[start:stop])
                start = stop

    def _store_run(self, run: list[_Rows]) -> None:
        vectors = np.concatenate([rows.vectors for rows in run])
        if run[0].ids is None:
            self._collection.add(vectors=vectors)
            return
        ids = [id_ for rows in run for id_ in rows.ids or ()]
        fields: list[Any] | None = None
        if any(rows.fields is not None for rows in run):
            fields = [row for rows in run for row in rows.fields or [None] * len(rows.vectors)]
        self._collection.add(ids=ids, vectors=vectors, fields=fields)
