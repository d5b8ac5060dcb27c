# SPDX-License-Identifier: Apache-2.0
"""Params and answers as msgpack, without a Python object for each number of an array."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgpack
import numpy as np
import numpy.typing as npt

from . import errors
from .errors import Internal, Invalid, LynseError, from_code
from .types import FloatArray, Hits, IdBatch, PackedFields

LARGE_BYTES = 64 << 10  # what is at least so large is not copied once more
NULL = b"\xc0"
# What reading may raise of bytes, or of a value, that are not what they should be.
UNREADABLE = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError,
    ValueError, msgpack.UnpackException,
)  # fmt: skip

Chunks = list[Any]  # of bytes and of memoryviews of bytes


class Packed(NamedTuple):
    """A value that is msgpack already."""

    chunks: Chunks


def _bin(array: npt.NDArray[Any]) -> Packed:
    size = array.nbytes
    data = memoryview(array).cast("B") if size else b""
    if size < 1 << 8:
        head = struct.pack(">BB", 0xC4, size)
    elif size < 1 << 16:
        head = struct.pack(">BH", 0xC5, size)
    else:
        head = struct.pack(">BI", 0xC6, size)
    return Packed([head, data])


def ids_value(ids: IdBatch) -> Any:
    """A bin of u64 when all are numbers, else a list."""
    if ids.numbers is None:
        return ids.mixed
    numbers = np.ascontiguousarray(ids.numbers, dtype="<u8")
    return _bin(numbers)


def vector_value(vector: FloatArray) -> Packed:
    floats = np.ascontiguousarray(vector, dtype="<f4").reshape(-1)
    return _bin(floats)


def vectors_value(vectors: FloatArray) -> Packed:
    """{"shape": [rows, dim], "data": bin}"""
    packer = msgpack.Packer(autoreset=False)
    packer.pack_map_header(2)
    packer.pack("shape")
    packer.pack(list(vectors.shape))
    packer.pack("data")
    return Packed([packer.bytes(), *vector_value(vectors).chunks])


def fields_value(fields: PackedFields) -> Packed:
    head: bytes = msgpack.Packer().pack_array_header(len(fields.sizes))
    if fields.sizes.all():
        return Packed([head, fields.data])
    rows, start = [head], 0
    for size in fields.sizes.tolist():
        rows.append(fields.data[start : start + size] if size else NULL)
        start += size
    return Packed([b"".join(rows)])


def options_value(options: bytes) -> Packed | None:
    """A map that was packed, or nothing."""
    return Packed([options]) if options else None


def encode(params: Mapping[str, Any]) -> Chunks:
    """A map of those params that are not None; small pieces become one."""
    packer = msgpack.Packer(use_bin_type=True)
    given = {name: value for name, value in params.items() if value is not None}
    chunks: Chunks = []
    small = [packer.pack_map_header(len(given))]
    for name, value in given.items():
        small.append(packer.pack(name))
        if not isinstance(value, Packed):
            small.append(_pack_one(packer, name, value))
            continue
        for chunk in value.chunks:
            if len(chunk) < LARGE_BYTES:
                small.append(bytes(chunk))
                continue
            chunks += [b"".join(small), chunk]
            small = []
    chunks.append(b"".join(small))
    return chunks


def _pack_one(packer: msgpack.Packer, name: str, value: Any) -> bytes:
    try:
        packed: bytes = packer.pack(value)
        return packed
    except UnicodeEncodeError as error:
        raise Invalid(f"{name} is not valid UTF-8: {error.reason}") from None


def size_of(chunks: Chunks) -> int:
    return sum(map(len, chunks))


def decode(data: bytes) -> Any:
    """Instants stay msgpack's, for not each of them is a datetime."""
    return msgpack.unpackb(data, raw=False, strict_map_key=False, timestamp=0)


def read_error(answer: Any) -> LynseError:
    """[code, text, {name, retry_after_ms}] as an exception."""
    if not isinstance(answer, list) or len(answer) < 2 or not isinstance(answer[0], int):
        return Internal(f"the server answered with an error that is none: {answer!r:.200}")
    more = answer[2] if len(answer) > 2 and isinstance(answer[2], dict) else {}
    retry = more.get("retry_after_ms")
    return from_code(answer[0], str(answer[1]), 0, retry if isinstance(retry, int) else 0)


def read_named_error(name: object, text: str, retry_after_ms: int, usual: int) -> LynseError:
    """By the name that HTTP's envelope has; by `usual`, a code, where it has none of ours."""
    for code, kind in errors.CLASSES.items():
        if kind.name == name:
            return from_code(code, text, 0, retry_after_ms)
    return from_code(usual, text, 0, retry_after_ms)


# ---- Hits ----


def _ids_of(answer: Any) -> npt.NDArray[Any]:
    """int64; uint64 when one is 2^63 or more; object as soon as one is text."""
    if not isinstance(answer, bytes):
        array = np.empty(len(answer), dtype=object)
        array[:] = answer
        return array if len(array) else np.empty(0, dtype=np.int64)
    numbers = np.frombuffer(answer, dtype="<u8")
    if len(numbers) and int(numbers.max()) > np.iinfo(np.int64).max:
        return numbers.astype(np.uint64)
    return numbers.astype(np.int64)


def _floats_of(answer: Any) -> FloatArray:
    if isinstance(answer, bytes):
        return np.frombuffer(answer, dtype="<f4").astype(np.float32)
    return np.asarray(answer, dtype=np.float32)


def _narrowed(ids: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The ids of one query of several, in the type that they alone would have."""
    if ids.dtype == np.uint64 and (not len(ids) or int(ids.max()) <= np.iinfo(np.int64).max):
        return ids.astype(np.int64)
    return ids


def read_hits(answer: Mapping[str, Any], *, with_fields: bool, with_vectors: bool) -> list[Hits]:
    """The hits of each query, of what a method answers to raw=True."""
    ids = _ids_of(answer["ids"])
    scores = _floats_of(answer["scores"]) if "scores" in answer else None
    fields: list[bytes] | None = None
    if with_fields:
        fields = answer.get("fields") or [b""] * len(ids)
    vectors = None
    if with_vectors:
        shape = (len(ids), answer["dim"])
        flat = _floats_of(answer["vectors"]) if len(ids) else np.empty(0, np.float32)
        vectors = flat.reshape(shape)
    whole = Hits(
        ids,
        scores,
        fields,
        vectors,
        answer["metric"] or "ip",
        tuple(answer["skipped_hooks"]),
        str(answer.get("index_kind", "flat")),
    )
    ends: Sequence[int] = answer["ends"]
    if len(ends) <= 1:
        return [whole]
    starts = [0, *ends[:-1]]
    return [_part(whole, start, stop) for start, stop in zip(starts, ends)]


def _part(whole: Hits, start: int, stop: int) -> Hits:
    return whole._replace(
        ids=_narrowed(whole.ids[start:stop]),
        scores=None if whole.scores is None else whole.scores[start:stop],
        fields=None if whole.fields is None else whole.fields[start:stop],
        vectors=None if whole.vectors is None else whole.vectors[start:stop],
    )
