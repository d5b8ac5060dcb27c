# SPDX-License-Identifier: Apache-2.0
"""Checks what a caller hands in: ids, vectors, fields, counts.

Everything is checked here before anything is sent, so that bad input gets one clear sentence and
leaves no trace.  Arrays that are right already (float32, C order; integer ids) are not copied.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set, Sized
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from .errors import DuplicateId, Invalid, Limit
from .types import FloatArray, Id, IdBatch, PackedFields

MAX_NUMBER = 2**64 - 2
MAX_TEXT_BYTES = 255
MAX_COUNT = 100_000  # of rows in a group, and of hits
MAX_TIMEOUT = 600
GROUP_BYTES = 256 << 20
FLOAT32 = np.dtype(np.float32)  # numpy has one of each machine type
ROW_OVERHEAD_BYTES = 300  # of a record in the log: its id and its lengths


def _refuse_id(value: object) -> NoReturn:
    raise TypeError(
        "an id is a non-negative integer or a non-empty string, "
        f"not {type(value).__name__} ({value!r:.60})"
    )


def _one_id(value: object) -> Id:
    if isinstance(value, (bool, np.bool_)):
        _refuse_id(value)
    if isinstance(value, (int, np.integer)):
        number = int(value)
        if number < 0:
            raise Invalid(f"ids must be non-negative integers, not {number}")
        if number > MAX_NUMBER:
            raise Invalid(f"id {number} is over the largest, {MAX_NUMBER}")
        return number
    if isinstance(value, str):
        if not value:
            raise Invalid("ids must not be empty strings")
        if len(value) > MAX_TEXT_BYTES or not value.isascii():
            _check_text_bytes(value)
        return str(value)
    _refuse_id(value)


def _check_text_bytes(text: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise Invalid(f"id {text!r:.60} is not valid UTF-8: {error.reason}") from None
    if size > MAX_TEXT_BYTES:
        raise Limit(f"id {text[:60]!r}… has {size} bytes of UTF-8; at most {MAX_TEXT_BYTES}")


def _numbers_of_array(array: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    if array.dtype.kind == "i" and array.size:
        smallest = int(array.min())
        if smallest < 0:
            raise Invalid(f"ids must be non-negative integers, not {smallest}")
    numbers = np.require(array, np.uint64, ["C", "A"])
    if numbers.size and int(numbers.max()) > MAX_NUMBER:
        raise Invalid(f"id {numbers.max()} is over the largest, {MAX_NUMBER}")
    return numbers


def _ids_of_list(ids: list[Any], is_scalar: bool) -> IdBatch:
    kinds = set(map(type, ids))
    if kinds == {int}:
        try:
            return IdBatch(_numbers_of_array(np.array(ids, dtype=np.uint64)), [], is_scalar)
        except OverflowError:
            pass  # below 0 or over 2^64: the loop names the one
    checked = [_one_id(value) for value in ids]
    if checked and all(isinstance(value, int) for value in checked):
        return IdBatch(np.array(checked, dtype=np.uint64), [], is_scalar)
    return IdBatch(None, checked, is_scalar)


def _id_batch(ids: object) -> IdBatch:
    if isinstance(ids, (str, int, np.integer, np.bool_)):
        return _ids_of_list([_one_id(ids)], True)
    if isinstance(ids, range):
        return _ids_of_list(list(ids), False)
    if not isinstance(ids, (np.ndarray, list, tuple)) and hasattr(ids, "__array__"):
        ids = np.asarray(ids)  # a column of pandas, polars or pyarrow
    if isinstance(ids, np.ndarray):
        if ids.ndim == 0:
            return _ids_of_list([_one_id(ids.item())], True)
        if ids.ndim != 1:
            raise Invalid(f"ids must be one-dimensional, not of shape {ids.shape}")
        if ids.dtype.kind in "iu":
            return IdBatch(_numbers_of_array(ids), [], False)
        if ids.dtype.kind not in "UOT" and ids.size:
            _refuse_id(ids[0].item())
        ids = ids.tolist()
    if isinstance(ids, (bytes, bytearray, memoryview, Mapping)) or not isinstance(ids, Iterable):
        _refuse_id(ids)
    return _ids_of_list(list(ids), False)


def _first_duplicate(values: Iterable[Any]) -> object:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None


def _refuse_duplicates(batch: IdBatch) -> None:
    if batch.numbers is None:
        if len(set(batch.mixed)) < len(batch.mixed):
            raise DuplicateId(f"duplicate id {_first_duplicate(batch.mixed)!r} in one call")
        return
    numbers = batch.numbers
    if np.all(numbers[1:] > numbers[:-1]):
        return
    if len(np.unique(numbers)) < len(numbers):
        raise DuplicateId(f"duplicate id {_first_duplicate(numbers.tolist())} in one call")


def check_ids(ids: object, *, is_write: bool = True) -> IdBatch:
    """One id or many.  A write takes at least one and none twice, in the order of the vectors."""
    if is_write and isinstance(ids, Set):
        raise TypeError(f"ids must be in the order of the vectors; a {type(ids).__name__} has none")
    batch = _id_batch(ids)
    if is_write:
        if batch.size == 0:
            raise Invalid("ids cannot be empty")
        _refuse_duplicates(batch)
    return batch


def distinct_ids(batch: IdBatch) -> IdBatch:
    """The same ids, each once, in the order in which they first came."""
    if batch.numbers is None:
        return batch._replace(mixed=list(dict.fromkeys(batch.mixed)))
    _, first = np.unique(batch.numbers, return_index=True)
    if len(first) == len(batch.numbers):
        return batch
    return batch._replace(numbers=batch.numbers[np.sort(first)])


def _row_size(row: object) -> int | None:
    return len(row) if isinstance(row, Sized) else None


def _row_text(size: int | None) -> str:
    return "no row" if size is None else f"of {size}"


def _refuse_ragged(values: object, what: str, reason: Exception) -> NoReturn:
    """numpy made no array of this; of rows of several lengths it does not say which."""
    sizes = [_row_size(row) for row in values] if isinstance(values, (list, tuple)) else []
    for i, size in enumerate(sizes):
        if size != sizes[0]:
            raise Invalid(
                f"{what} must be rows of numbers, all of one length: row {i} is "
                f"{_row_text(size)}, row 0 {_row_text(sizes[0])}"
            ) from None
    raise Invalid(f"{what} must be rows of numbers, all of one length: {reason}") from None


def _array_of(values: object, what: str) -> npt.NDArray[Any]:
    if type(values) is np.ndarray and values.dtype.kind != "O":
        return values
    if values is None or isinstance(values, (str, bytes, bytearray, Mapping, Set)):
        raise TypeError(f"{what} must be rows of numbers, not {type(values).__name__}")
    # numpy imports it late: who has such an array, has it.  Another thread may be importing it now.
    masked = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)
    if masked is not None and isinstance(values, masked) and np.any(values.mask):
        raise Invalid(f"{what} must not have masked components")
    try:
        if not hasattr(values, "__array__") and hasattr(values, "__dlpack__"):
            return np.from_dlpack(values)
        array = np.asarray(values)
        if array.dtype.kind == "O" and array.ndim == 1 and array.size:
            array = np.stack([np.asarray(row, dtype=np.float32) for row in array])
        return array
    except (ValueError, TypeError, BufferError) as error:
        _refuse_ragged(values, what, error)


def _floats(array: npt.NDArray[Any], what: str) -> FloatArray:
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{what} must hold numbers, not {array.dtype}")
    if array.dtype == np.float32 and array.flags.c_contiguous and array.flags.aligned:
        return array
    try:
        with np.errstate(over="raise"):
            floats: FloatArray = np.require(array, np.float32, ["C", "A"])
    except FloatingPointError:
        largest = np.finfo(np.float32).max
        over = array[np.isfinite(array) & (np.abs(array) > largest)]
        raise Invalid(
            f"{what} must be finite as float32: {over.flat[0]} is over {largest}"
        ) from None
    return floats


def is_of_bits(vectors: object) -> bool:
    """May it be bits, of a collection that keeps them: an array of bool or of bytes?"""
    return isinstance(vectors, np.ndarray) and vectors.dtype.char in "?B"  # bool and uint8


def bits_as_numbers(vectors: npt.NDArray[Any], dim: int) -> FloatArray:
    """Zeros and ones.  Bytes that are as many as `dim` bits need are unpacked, the highest bit of a
    byte first, as numpy.packbits has it; other ones are taken as they are."""
    packed = vectors.dtype == np.uint8 and vectors.ndim in (1, 2) and vectors.shape[-1] != dim
    if packed and dim > 0 and vectors.shape[-1] == (dim + 7) // 8:
        vectors = np.unpackbits(vectors, axis=-1, count=dim)
    return vectors.astype(np.float32)


def check_matrix(vectors: object, what: str = "vectors") -> FloatArray:
    """float32 of shape (n, dim); one vector is a matrix of one row."""
    array = _array_of(vectors, what)
    if array.size == 0:
        raise Invalid(f"{what} cannot be empty")
    if array.ndim not in (1, 2):
        raise Invalid(f"{what} must have one or two dimensions, not {array.ndim}")
    matrix = _floats(array, what)
    return matrix.reshape(1, -1) if matrix.ndim == 1 else matrix


def check_vector(vector: object, what: str = "vector") -> FloatArray:
    """float32 of shape (1, dim)."""
    # What most searches bring, by checks that are cheap.
    if type(vector) is np.ndarray and vector.dtype is FLOAT32 and vector.ndim == 1:
        flags = vector.flags
        if vector.size and flags.c_contiguous and flags.aligned:
            row: FloatArray = vector[np.newaxis]
            return row
    matrix = check_matrix(vector, what)
    if len(matrix) != 1:
        raise Invalid(f"{what} must be one vector, not {len(matrix)}; see batch_search()")
    return matrix


def check_record_vectors(vectors: object, count: int) -> FloatArray:
    """The vectors of `count` records."""
    array = _array_of(vectors, "vectors")
    if array.ndim == 1 and array.size and count > 1:
        raise Invalid("a single 1D vector can only be used with one ID")
    matrix = check_matrix(array)
    if len(matrix) != count:
        raise Invalid(f"vectors row count ({len(matrix)}) must match ids length ({count})")
    return matrix


def check_fields(fields: object, count: int) -> list[Mapping[str, Any] | None] | None:
    """One dict or None for each of `count` records; None: no fields at all."""
    if fields is None:
        return None
    if isinstance(fields, Mapping):
        if count != 1:
            raise Invalid("fields must be a list of dicts when adding multiple records")
        return [fields]
    if hasattr(fields, "columns") and hasattr(fields, "to_dict"):
        fields = fields.to_dict(orient="records")  # a DataFrame of pandas
    if isinstance(fields, (str, bytes)) or not isinstance(fields, (Sequence, Iterable)):
        raise TypeError(f"fields must be a dict or a list of dicts, not {type(fields).__name__}")
    rows = list(fields)
    if len(rows) != count:
        raise Invalid(f"fields length ({len(rows)}) must match ids length ({count})")
    for kind in set(map(type, rows)):  # a check for each kind, not for each of 100,000 rows
        if kind is not type(None) and not issubclass(kind, Mapping):
            raise TypeError(f"fields entries must be dict or None, not {kind.__name__}")
    return rows


def check_finite(vectors: FloatArray) -> None:
    """Of a call that is cut into groups: before the first of them is stored."""
    rows = np.isfinite(vectors).all(axis=1)
    if not rows.all():
        row = int(np.argmin(rows))
        column = int(np.argmin(np.isfinite(vectors[row])))
        value = vectors[row, column]
        raise Invalid(f"vectors: component {column} of row {row} is {value}, it must be finite")


def check_threshold(value: object) -> float:
    """A number, infinite ones too."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        raise TypeError(f"threshold must be a number, not {type(value).__name__}")
    try:
        nearest = float(value)
    except OverflowError:
        raise Invalid("threshold must be a number that a float can hold") from None
    if nearest != nearest:
        raise Invalid("threshold must be a number, not NaN")
    return nearest


def check_flag(value: object, name: str) -> bool:
    """A bool, or 0 or 1; not "no", which is true."""
    if isinstance(value, (bool, int, np.bool_)) and value in (0, 1):
        return bool(value)
    raise TypeError(f"{name} must be True or False, not {value!r:.60}")


def check_batch_size(batch_size: object) -> None:
    if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)):
        raise Invalid("batch_size must be a positive integer")
    if batch_size <= 0:
        raise Invalid("batch_size must be a positive integer")


def check_wire_dtype(wire_dtype: object) -> None:
    if wire_dtype not in ("float32", "float16"):
        raise Invalid(f"wire_dtype must be 'float32' or 'float16', not {wire_dtype!r}")


def check_count(value: object, name: str, smallest: int = 0) -> int:
    """A whole number of `smallest`..100,000."""
    if type(value) is int and smallest <= value <= MAX_COUNT:
        return value
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
    if value < smallest:
        raise Invalid(f"{name} must be at least {smallest}, not {value}")
    if value > MAX_COUNT:
        raise Limit(f"{name} {value} is over the limit of {MAX_COUNT}")
    return int(value)


def deadline_of(timeout: object) -> float | None:
    """When so many seconds will have passed, by time.monotonic(); more than 0, 600 at the most."""
    if timeout is None:
        return None
    if isinstance(timeout, (bool, np.bool_)) or not isinstance(
        timeout, (int, float, np.integer, np.floating)
    ):
        raise TypeError(f"timeout must be a number of seconds, not {type(timeout).__name__}")
    if not timeout > 0:
        raise Invalid(f"timeout must be more than 0 seconds, not {timeout}")
    if timeout > MAX_TIMEOUT:
        raise Limit(f"timeout {timeout} is over the limit of {MAX_TIMEOUT} seconds")
    return time.monotonic() + float(timeout)


def check_name(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a string, not {type(value).__name__}")
    return value


def check_text(text: object, name: str) -> str | None:
    """The text of a filter or hook, or None."""
    if text is None or isinstance(text, str):
        return text
    raise Invalid(f"{name} must be a string or None, not {type(text).__name__}")


def groups_of(vectors: FloatArray, fields: PackedFields | None) -> Iterator[tuple[int, int]]:
    """Cuts rows into groups that the engine takes whole: 100,000 rows, 256 MiB."""
    count, dim = vectors.shape
    row_bytes = dim * 4 + ROW_OVERHEAD_BYTES
    if count <= MAX_COUNT and count * row_bytes + len(fields.data if fields else b"") < GROUP_BYTES:
        yield 0, count
        return
    sizes = np.full(count, row_bytes, dtype=np.int64)
    if fields is not None:
        sizes += fields.sizes.astype(np.int64)
    ends = np.cumsum(sizes)
    start = 0
    while start < count:
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + GROUP_BYTES, side="right"))
        stop = max(start + 1, min(stop, start + MAX_COUNT))
        yield start, stop
        start = stop
