# SPDX-License-Identifier: Apache-2.0
"""Between numpy and the structs of lynse.h, without a Python loop where there is an array.

What goes in is passed by address: the arrays must outlive the call, which is what the returned
`keep` objects are for.  What comes out is copied once and freed, so that results outlive the root.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from ._native import ffi, lib
from .errors import Invalid, LynseError, from_code
from .types import METRICS, FloatArray, Hits, Id, IdBatch, PackedFields


def _dtype_of(struct: str, formats: dict[str, str]) -> np.dtype[Any]:
    """The numpy dtype of an array of a C struct, at the offsets that the compiler chose."""
    return np.dtype(
        {
            "names": list(formats),
            "formats": list(formats.values()),
            "offsets": [ffi.offsetof(struct, name) for name in formats],
            "itemsize": ffi.sizeof(struct),
        }
    )


_ID = _dtype_of("struct lynse_id", {"number": "u8", "text": "uintp", "text_bytes": "u4"})
_BYTES = _dtype_of("struct lynse_bytes", {"data": "uintp", "size": "uintp"})


ERROR = ffi.typeof("struct lynse_error *")


def new_error() -> Any:
    return ffi.new(ERROR)


def _exception(code: int, error: Any) -> LynseError:
    text = ffi.string(error.text).decode("utf-8", "replace")
    name = ffi.string(lib.lynse_error_name(code)).decode()
    return from_code(code, text or name, error.os_errno, error.retry_after_ms)


def check(code: int, error: Any) -> None:
    """Raise what `error` says unless `code` is LYNSE_OK."""
    if code != lib.LYNSE_OK:
        raise _exception(code, error)


def failure_of(error: Any) -> LynseError | None:
    """What an answer tells of something that failed before it."""
    return _exception(error.code, error) if error.code != lib.LYNSE_OK else None


def c_text(text: str, what: str) -> bytes:
    """For a NUL-terminated argument."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise Invalid(f"{what} {text!r:.60} is not valid UTF-8: {error.reason}") from None
    if b"\0" in encoded:
        raise Invalid(f"{what} {text!r:.60} has a NUL in it")
    return encoded


def where_text(where: str) -> Any:
    """const char *: the same texts come again and again, so that short ones are kept."""
    return _kept_where(where) if len(where) <= KEPT_WHERE_CHARS else _new_where(where)


def _new_where(where: str) -> Any:
    return ffi.from_buffer(c_text(where, "where") + b"\0")


KEPT_WHERE_CHARS = 1_000
_kept_where = functools.lru_cache(maxsize=256)(_new_where)


def _ends_to_end(chunks: list[bytes]) -> tuple[Any, npt.NDArray[np.uintp], npt.NDArray[np.uintp]]:
    """One block of all chunks; where each begins in memory, and its size."""
    block = ffi.from_buffer("char[]", b"".join(chunks))
    sizes = np.fromiter(map(len, chunks), dtype=np.uintp, count=len(chunks))
    return block, _addresses(block, sizes), sizes


def _addresses(block: Any, sizes: npt.NDArray[np.uintp]) -> npt.NDArray[np.uintp]:
    addresses = np.cumsum(sizes, dtype=np.uintp)
    addresses -= sizes
    addresses += np.uintp(int(ffi.cast("uintptr_t", block)))
    return addresses


def id_structs(batch: IdBatch) -> tuple[Any, list[Any]]:
    """(const struct lynse_id *, keep)"""
    array = np.zeros(batch.size, dtype=_ID)
    keep: list[Any] = []
    if batch.numbers is not None:
        array["number"] = batch.numbers
    else:
        is_text = np.fromiter((isinstance(id_, str) for id_ in batch.mixed), bool, batch.size)
        chunks = [id_.encode() if isinstance(id_, str) else b"" for id_ in batch.mixed]
        block, addresses, sizes = _ends_to_end(chunks)
        array["text"] = np.where(is_text, addresses, 0)
        array["text_bytes"] = sizes
        array["number"] = [0 if isinstance(id_, str) else id_ for id_ in batch.mixed]
        keep.append(block)
    pointer = ffi.from_buffer("struct lynse_id[]", array)
    return pointer, [*keep, array]


def field_structs(fields: PackedFields) -> tuple[Any, list[Any]]:
    """(const struct lynse_bytes *, keep)"""
    block = ffi.from_buffer("char[]", fields.data)
    array = np.zeros(len(fields.sizes), dtype=_BYTES)
    array["data"] = _addresses(block, fields.sizes.astype(np.uintp, copy=False))
    array["size"] = fields.sizes
    return ffi.from_buffer("struct lynse_bytes[]", array), [block, array]


def row_structs(
    ids: IdBatch | None, vectors: FloatArray, fields: PackedFields | None
) -> tuple[Any, list[Any]]:
    """(const struct lynse_rows *, keep): numbers and vectors are passed where they are."""
    rows = ffi.new("struct lynse_rows *")
    rows.struct_bytes = ffi.sizeof("struct lynse_rows")
    rows.count, rows.dim = vectors.shape
    keep: list[Any] = [rows]
    pointer = ffi.from_buffer("float[]", vectors)
    rows.vectors = pointer
    keep.append(pointer)
    if ids is not None and ids.numbers is not None:
        pointer = ffi.from_buffer("uint64_t[]", ids.numbers)
        rows.numbers = pointer
        keep.append(pointer)
    elif ids is not None:
        pointer, parts = id_structs(ids)
        rows.ids = pointer
        keep += [pointer, *parts]
    if fields is not None:
        pointer, parts = field_structs(fields)
        rows.fields = pointer
        keep += [pointer, *parts]
    return rows, keep


def _copy(pointer: Any, count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    array = np.empty(count, dtype)
    if count:
        ffi.memmove(array, pointer, count * dtype.itemsize)
    return array


INT64, FLOAT32 = np.dtype(np.int64), np.dtype(np.float32)
INT64S = ffi.typeof("int64_t *")
FEW_IDS = 64


def _least(source: Any, numbers: npt.NDArray[np.int64]) -> int:
    """Of few, numpy's minimum takes longer than Python's."""
    if len(numbers) <= FEW_IDS:
        return int(min(ffi.unpack(ffi.cast(INT64S, source), len(numbers))))
    return int(numbers.min())


def _copy_ids(hits: Any) -> npt.NDArray[Any]:
    """int64; uint64 when one is 2^63 or more; object as soon as one is text."""
    count = hits.count
    source = hits.numbers
    if count == 0 or source:
        numbers = _copy(source, count, INT64)
        if count and _least(source, numbers) < 0:  # 2^63 or more
            return numbers.view(np.uint64)
        return numbers
    array = np.empty(count, dtype=object)
    for i in range(count):
        id_ = hits.ids[i]
        if id_.text == ffi.NULL:
            array[i] = id_.number
        else:
            array[i] = ffi.buffer(id_.text, id_.text_bytes)[:].decode()
    return array


def _copy_fields(hits: Any) -> list[bytes]:
    if hits.fields == ffi.NULL:
        return [b""] * hits.count
    rows = []
    for i in range(hits.count):
        row = hits.fields[i]
        rows.append(ffi.buffer(row.data, row.size)[:] if row.size else b"")
    return rows


HOOK_BITS = ((lib.LYNSE_SKIPPED_SCORE, "score"), (lib.LYNSE_SKIPPED_RERANK, "rerank"))


def copy_hits(hits: Any, *, with_fields: bool, with_vectors: bool) -> list[Hits]:
    """The hits of each query.  The C object is the caller's to free."""
    count = hits.count
    ids = _copy_ids(hits)
    scores = fields = vectors = None
    if hits.scores:
        scores = _copy(hits.scores, count, FLOAT32)
    if with_fields:
        fields = _copy_fields(hits)
    if with_vectors:
        vectors = _copy(hits.vectors, count * hits.dim, FLOAT32)
        vectors = vectors.reshape(count, hits.dim)
    metric = METRICS[hits.metric - 1] if hits.metric else METRICS[0]
    kind = ffi.string(hits.index_kind).decode()
    flags = hits.skipped_hooks
    skipped = tuple(word for bit, word in HOOK_BITS if flags & bit) if flags else ()
    if hits.query_count <= 1:
        return [Hits(ids, scores, fields, vectors, metric, skipped, kind)]
    parts = []
    start = 0
    for i in range(hits.query_count):
        stop = hits.query_ends[i]
        parts.append(
            Hits(
                ids[start:stop],
                None if scores is None else scores[start:stop],
                None if fields is None else fields[start:stop],
                None if vectors is None else vectors[start:stop],
                metric,
                skipped,
                kind,
            )
        )
        start = stop
    return parts


def join_ids(arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """One array of all, of the narrowest type that holds them without a change."""
    kinds = {array.dtype for array in arrays if len(array)}
    if len(kinds) <= 1:
        filled = [array for array in arrays if len(array)]
        return np.concatenate(filled) if filled else np.empty(0, dtype=np.int64)
    if np.dtype(object) in kinds:
        return np.concatenate([array.astype(object) for array in arrays])
    return np.concatenate([array.astype(np.uint64) for array in arrays])


def join_hits(parts: list[Hits], dim: int, *, with_fields: bool, with_vectors: bool) -> Hits:
    vectors = fields = None
    if with_vectors:
        filled = [part.vectors for part in parts if part.vectors is not None and len(part.vectors)]
        vectors = np.concatenate(filled) if filled else np.empty((0, dim), dtype=np.float32)
    if with_fields:
        fields = [row for part in parts for row in part.fields or ()]
    metric = parts[0].metric if parts else METRICS[0]
    return Hits(join_ids([part.ids for part in parts]), None, fields, vectors, metric)


def names_to_list(names: Any) -> list[str]:
    """Copies, and frees `names`."""
    try:
        return [ffi.string(names.names[i]).decode("utf-8", "replace") for i in range(names.count)]
    finally:
        lib.lynse_names_free(names)


def one_id(id_: Id) -> tuple[Any, list[Any]]:
    return id_structs(IdBatch(None, [id_], True))
