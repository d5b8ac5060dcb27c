# SPDX-License-Identifier: Apache-2.0
"""What a server answers, looked at before anything is made of it.

A server is another program, of another version or none of ours: what does not have the shape that
a method's answer has is Internal, with the method's name, and never an error of Python's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from . import _fields
from ._wire import UNREADABLE, read_hits, read_named_error
from .errors import Internal, LynseError
from .types import STORAGES, CollectionInfo, Hits, Id, Recall

T = TypeVar("T")


def take(method: str, answer: Any, reading: Callable[[Any], T]) -> T:
    """What `reading` makes of the answer.  Internal: it cannot."""
    try:
        return reading(answer)
    except LynseError:
        raise
    except UNREADABLE as error:
        what = f"{type(error).__name__}: {error}"
        raise Internal(f"the server's answer to {method} is none: {what:.200}") from None


def nothing(_answer: Any) -> None:
    """Of a write: that it came is all."""


def _typed(value: Any, kind: type[T]) -> T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{kind.__name__} expected, not {type(value).__name__}")
    return value


def first_id(is_asked: bool) -> Callable[[Any], int]:
    return count("first_id") if is_asked else lambda _answer: 0


def flag(name: str) -> Callable[[Any], bool]:
    return lambda answer: _typed(answer[name], bool)


def count(name: str) -> Callable[[Any], int]:
    return lambda answer: _typed(answer[name], int)


def names(name: str) -> Callable[[Any], list[str]]:
    return lambda answer: [_typed(text, str) for text in _typed(answer[name], list)]


def report(answer: Any) -> tuple[list[str], list[str]]:
    return names("findings")(answer), names("indexes")(answer)


def description(answer: Any) -> str | None:
    text = answer.get("description")
    return _typed(text, str) or None if text is not None else None


def _recall(answer: Any) -> Recall | None:
    if answer.get("recall_measured") is None:
        return None
    return Recall(
        float(answer["recall_measured"]),
        _typed(answer["recall_query_count"], int),
        float(answer["recall_measured_at"]),
    )


def _index_failure(answer: Any) -> LynseError | None:
    name = answer.get("index_failure_code")
    text = _typed(answer.get("index_failure") or "", str)
    return read_named_error(name, text, 0, Internal.code) if name else None


def info(answer: Any) -> CollectionInfo:
    max_id = answer["max_id"]
    return CollectionInfo(
        dim=_typed(answer["dim"], int),
        metric=_typed(answer["metric"] or "ip", str),
        sync=_typed(answer["sync"], str),
        live_count=_typed(answer["live_count"], int),
        deleted_count=_typed(answer["deleted_count"], int),
        max_id=None if max_id is None else _typed(max_id, int),
        is_read_only=_typed(answer["is_read_only"], bool),
        index_mode=_typed(answer["index_mode"] or "", str),
        directory=_typed(answer["directory"], str),
        index_params={
            _typed(name, str): float(value)
            for name, value in _typed(answer.get("index_params") or {}, dict).items()
        },
        index_progress=float(answer.get("index_progress", 0)),
        indexed_segment_count=_typed(answer.get("indexed_segment_count", 0), int),
        segment_count=_typed(answer.get("segment_count", 0), int),
        dtype=STORAGES[_typed(answer.get("storage") or "f32", str)],
        recall=_recall(answer),
        index_failure=_index_failure(answer),
        index_is_auto=_typed(answer.get("index_is_auto", False), bool),
    )


def hooks(answer: Any) -> list[tuple[str, int, str, bytes, str, bool, bool]]:
    return [
        (
            _typed(hook["point"], str),
            _typed(hook["version"], int),
            _typed(hook["source"], str),
            _fields.pack([_typed(hook["options"] or {}, dict)]).data,
            _typed(hook["on_failure"], str),
            _typed(hook["is_trusted"], bool),
            _typed(hook["is_disabled"], bool),
        )
        for hook in _typed(answer["hooks"], list)
    ]


def _check_hits(hits: list[Hits], queries: int) -> list[Hits]:
    if len(hits) != queries:
        raise ValueError(f"hits of {len(hits)} queries, not of {queries}")
    for found in hits:
        rows = len(found.ids)
        for column in (found.scores, found.fields, found.vectors):
            if column is not None and len(column) != rows:
                raise ValueError(f"{len(column)} values for {rows} ids")
        if not all(isinstance(row, (bytes, dict)) for row in found.fields or ()):
            raise TypeError("fields that are no map")
        if found.ids.dtype == object and not all(type(id_) in (int, str) for id_ in found.ids):
            raise TypeError("an id that is neither a number nor a text")
    return hits


def hits(
    name: str, queries: int, *, with_fields: bool, with_vectors: bool
) -> Callable[[Any], list[Hits]]:
    """Those of so many queries."""

    def reading(answer: Any) -> list[Hits]:
        found = read_hits(answer[name], with_fields=with_fields, with_vectors=with_vectors)
        return _check_hits(found, queries)

    return reading


def deleted_ids(answer: Any) -> list[Id]:
    ids = answer["ids"]
    if isinstance(ids, dict):
        found = hits("ids", 1, with_fields=False, with_vectors=False)(answer)[0]
        listed: list[Id] = found.ids.tolist()
        return listed
    return [id_ if type(id_) is str else _typed(id_, int) for id_ in _typed(ids, list)]
