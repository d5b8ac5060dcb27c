# SPDX-License-Identifier: Apache-2.0
"""What a search or a read answers."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._fields import unpack
from .types import FloatArray

RESULT_TYPES = ("search", "data", "query")
REPR_ROWS = 3
INT64 = np.dtype(np.int64)  # numpy has one of each machine type

_FAMILIES = {"FLAT": "Flat", "IVF": "IVF", "SPANN": "SPANN", "HNSW": "HNSW", "DISKANN": "DiskANN"}
_METRICS = {
    "IP": "IP",
    "L2": "L2",
    "COS": "Cosine",
    "COSINE": "Cosine",
    "L1": "L1",
    "MANHATTAN": "L1",
    "CITYBLOCK": "L1",
    "HAVERSINE": "Haversine",
    "HAVERSINE-M": "Haversine",
    "GEO": "Haversine",
    "CORRELATION": "Correlation",
    "PEARSON": "Correlation",
    "HELLINGER": "Hellinger",
    "WASSERSTEIN": "Wasserstein-1D",
    "WASSERSTEIN-1D": "Wasserstein-1D",
    "WASSERSTEIN1D": "Wasserstein-1D",
    "EMD": "Wasserstein-1D",
    "JENSEN-SHANNON": "Jensen-Shannon",
    "JENSENSHANNON": "Jensen-Shannon",
    "JS": "Jensen-Shannon",
    "CHEBYSHEV": "Chebyshev",
    "CHEBYCHEV": "Chebyshev",
    "LINF": "Chebyshev",
    "CANBERRA": "Canberra",
    "BRAY-CURTIS": "Bray-Curtis",
    "BRAYCURTIS": "Bray-Curtis",
    "TANIMOTO": "Tanimoto",
    "JACCARD": "Jaccard",
    "HAMMING": "Hamming",
    "DICE": "Dice",
    "SORENSEN": "Dice",
    "SORENSEN-DICE": "Dice",
}


@functools.lru_cache(maxsize=64)
def _parse_index_mode(mode: str | None) -> tuple[str, str]:
    """Family and metric of an index mode, for display: "HNSW-COS-SQ8" → ("HNSW", "Cosine")."""
    if not mode:
        return "Flat", "IP"
    head, _, rest = mode.upper().partition("-")
    family = _FAMILIES.get(head, "Flat")
    if head not in _FAMILIES:
        rest = mode.upper()
    words = rest.split("-") if rest else []
    # The longest name that the mode begins with: "JENSEN-SHANNON" before "JENSEN".
    for count in range(len(words), 0, -1):
        metric = _METRICS.get("-".join(words[:count]))
        if metric is not None:
            return family, metric
    return family, "IP"


def _id_array(ids: object) -> npt.NDArray[Any]:
    """int64; uint64 when an id is over 2^63 - 1; object as soon as one is a string."""
    if ids is None:
        return np.empty(0, dtype=np.int64)
    if isinstance(ids, np.ndarray) and ids.dtype in (np.int64, object):
        return ids
    if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu":
        if ids.dtype == np.uint64 and ids.size and int(ids.max()) > np.iinfo(np.int64).max:
            return ids
        return ids.astype(np.int64)
    values: list[Any] = list(ids)  # type: ignore[call-overload]
    if not any(isinstance(value, str) for value in values):
        dtype = np.uint64 if any(value > np.iinfo(np.int64).max for value in values) else np.int64
        return np.array(values, dtype=dtype)
    array = np.empty(len(values), dtype=object)
    array[:] = [value.item() if isinstance(value, np.generic) else value for value in values]
    return array


def _plain_value(value: Any) -> Any:
    """For json.dumps: what only Python knows, as text or lists."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    return str(value)


def _module(name: str, extra: str) -> Any:
    """A package that only some applications want; ImportError says how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"{error}: pip install lynse[{extra}]", name=name) from error


class ResultView:
    """Rows as columns: ids, distances, vectors, fields.

    ``ids`` is int64 (uint64 when one is 2^63 or more, object as soon as one is text),
    ``distances`` float32 or None, ``vectors`` float32 of shape (n, dim) or None, ``fields`` a list
    with a dict for each row, empty when fields were not asked for.  Fields are decoded when they
    are first looked at.

    Unpacking gives ``ids, distances, fields`` of a search, ``vectors, ids, fields`` of data, and
    ``ids, fields`` or ``ids`` of a query.  For rows, use :meth:`to_list` or :meth:`to_pandas`.
    """

    __slots__ = (
        "_distance_metric", "_distances", "_fields", "_ids", "_index_type", "_k", "_packed",
        "_result_type", "_skipped_hooks", "_vectors",
    )  # fmt: skip
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        *,
        ids: Any = None,
        distances: Any = None,
        vectors: Any = None,
        fields: Sequence[Any] | None = None,
        k: int | None = None,
        distance: str | None = None,
        index: str | None = None,
        result_type: str = "search",
        skipped_hooks: tuple[str, ...] = (),
    ) -> None:
        if result_type not in RESULT_TYPES:
            raise ValueError(f"result_type must be one of {RESULT_TYPES}, not {result_type!r}")
        is_int64 = type(ids) is np.ndarray and ids.dtype is INT64
        self._ids = ids if is_int64 else _id_array(ids)
        self._distances = None if distances is None else np.asarray(distances, dtype=np.float32)
        self._vectors = None if vectors is None else np.asarray(vectors, dtype=np.float32)
        self._packed: Sequence[bytes] | None = None
        self._fields: list[Any] | None = None
        if fields is not None and len(fields) and all(type(row) is bytes for row in fields):
            self._packed = fields
        elif fields is not None:
            self._fields = list(fields)
        self._k = len(self) if k is None else k
        self._distance_metric = distance
        self._index_type = index
        self._result_type = result_type
        self._skipped_hooks = skipped_hooks

    @property
    def ids(self) -> npt.NDArray[Any]:
        """Public ids, nearest first."""
        return self._ids

    @property
    def skipped_hooks(self) -> tuple[str, ...]:
        """Installed hooks that failed, and that the search did without: "score", "rerank"."""
        return self._skipped_hooks

    @property
    def distances(self) -> FloatArray | None:
        """Scores: ip: the dot product, larger is nearer; l2: squared; cosine: 1 - cos."""
        return self._distances

    @property
    def vectors(self) -> FloatArray | None:
        """Of shape (n, dim); None unless vectors were read."""
        return self._vectors

    @property
    def fields(self) -> list[Any]:
        """One dict for each row; an empty list when fields were not asked for."""
        if self._packed is not None:
            self._fields = [unpack(row) for row in self._packed]
            self._packed = None
        return [] if self._fields is None else self._fields

    @property
    def k(self) -> int:
        """How many rows were asked for."""
        return self._k

    @property
    def distance_metric(self) -> str | None:
        """IP, L2, Cosine, …; None where nothing was scored."""
        return self._distance_metric

    @property
    def index_type(self) -> str | None:
        """Flat, HNSW, …"""
        return self._index_type

    @property
    def result_type(self) -> str:
        """search, data or query."""
        return self._result_type

    @property
    def _has_fields(self) -> bool:
        return self._packed is not None or self._fields is not None

    def __getitem__(self, key: str) -> Any:
        if not isinstance(key, str):
            raise TypeError(
                f"a ResultView is indexed by column name, not {type(key).__name__}; "
                "for rows use to_list()"
            )
        if key in ("distance", "distances"):
            return self._distances
        if key == "measure":
            return self._distance_metric
        if key == "index":
            return self._index_type
        if key == "n":
            return len(self)
        if key in ("ids", "vectors", "fields", "k"):
            return getattr(self, key)
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.to_tuple())

    def __len__(self) -> int:
        return len(self._ids)

    def __bool__(self) -> bool:
        return len(self._ids) > 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ResultView):
            return NotImplemented
        return (
            _same(self._ids, other._ids)
            and _same(self._distances, other._distances)
            and _same(self._vectors, other._vectors)
            and self.fields == other.fields
        )

    def __repr__(self) -> str:
        shown = self._ids[:REPR_ROWS].tolist()
        parts = [f"ids={_shortened(shown, len(self))}"]
        if self._distances is not None:
            rounded = [float(f"{value:.4g}") for value in self._distances[:REPR_ROWS].tolist()]
            parts.append(f"distances={_shortened(rounded, len(self))}")
        if self._vectors is not None:
            parts.append(f"vectors={'×'.join(map(str, self._vectors.shape))}")
        if self._has_fields:
            source = self._packed if self._fields is None else self._fields
            first = [unpack(row) if type(row) is bytes else row for row in list(source or ())[:1]]
            text = repr(first[0])[:60] if first else ""
            parts.append(f"fields=[{text}{', …' if len(self) > 1 else ''}]")
        if self._distance_metric:
            parts.append(f"{self._index_type}-{self._distance_metric}")
        return f"ResultView({', '.join(parts)})"

    def to_tuple(self) -> tuple[Any, ...]:
        """What unpacking gives."""
        if self._result_type == "search":
            return self._ids, self._distances, self.fields
        if self._result_type == "data":
            return self._vectors, self._ids, self.fields
        return (self._ids, self.fields) if self._has_fields else (self._ids,)

    def to_numpy(self) -> tuple[Any, ...]:
        """The arrays alone: (ids, distances), (vectors, ids) or (ids,)."""
        if self._result_type == "search":
            return self._ids, self._distances
        if self._result_type == "data":
            return self._vectors, self._ids
        return (self._ids,)

    def to_dict(self) -> dict[str, Any]:
        """Columns: "ids", "distances", "vectors", then one for each field, sorted by name.

        A row without a field has None there.
        """
        columns: dict[str, Any] = {"ids": self._ids.tolist()}
        if self._distances is not None:
            columns["distances"] = self._distances.tolist()
        if self._vectors is not None:
            columns["vectors"] = self._vectors.tolist()
        fields = self._field_columns()
        return {**columns, **{name: fields[name] for name in fields if name not in columns}}

    def _field_columns(self) -> dict[str, list[Any]]:
        rows = [row or {} for row in self.fields]
        names = sorted({name for row in rows for name in row}, key=str)
        return {str(name): [row.get(name) for row in rows] for name in names}

    def to_list(self) -> list[dict[str, Any]]:
        """Rows: "id", "distance", "vector", and the fields; "id" is always the record's."""
        rows = []
        fields = self.fields
        for i, id_ in enumerate(self._ids.tolist()):
            row: dict[str, Any] = {"id": id_}
            if self._distances is not None:
                row["distance"] = float(self._distances[i])
            if self._vectors is not None:
                row["vector"] = self._vectors[i].tolist()
            if i < len(fields):
                row.update((k, v) for k, v in (fields[i] or {}).items() if k not in row)
            rows.append(row)
        return rows

    def to_json(self, **kwargs: Any) -> str:
        """``to_list`` as JSON; keyword arguments are those of json.dumps."""
        kwargs.setdefault("default", _plain_value)
        return json.dumps(self.to_list(), **kwargs)

    def _columns(self) -> dict[str, Any]:
        """For a table: id, distance, vector, and one column for each field."""
        columns: dict[str, Any] = {"id": self._ids}
        if self._ids.dtype == object:
            mixed = len({type(value) for value in self._ids.tolist()}) > 1
            columns["id"] = [str(v) if mixed else v for v in self._ids.tolist()]
        if self._distances is not None:
            columns["distance"] = self._distances
        if self._vectors is not None:
            columns["vector"] = list(self._vectors)
        fields = self._field_columns()
        return {**columns, **{name: fields[name] for name in fields if name not in columns}}

    def to_pandas(self) -> Any:
        """A pandas.DataFrame with a row for each record."""
        pandas = _module("pandas", "pandas")

        columns = self._columns()
        if self._ids.dtype == object:
            columns["id"] = self._ids
        return pandas.DataFrame(columns)

    def to_polars(self) -> Any:
        """A polars.DataFrame with a row for each record; mixed ids are texts there."""
        polars = _module("polars", "polars")

        return polars.DataFrame(self._columns(), strict=False)

    def to_arrow(self) -> Any:
        """A pyarrow.Table with a row for each record; mixed ids are texts there."""
        pyarrow = _module("pyarrow", "arrow")

        return pyarrow.table(self._columns())


def _same(a: npt.NDArray[Any] | None, b: npt.NDArray[Any] | None) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.array_equal(a, b))


def _shortened(values: list[Any], count: int) -> str:
    text = ", ".join(map(repr, values))
    return f"[{text}, … {count} rows]" if count > len(values) else f"[{text}]"
