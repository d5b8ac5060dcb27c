# SPDX-License-Identifier: Apache-2.0
"""Rerank hooks: a callable of the caller's that orders the hits of a search anew.

It gets ``{"query": {...}, "items": [{"id", "score", "field"}, ...]}`` and answers one of

* ids in their new order,
* ``(id, score)`` pairs, or dicts with "id" and "score", or a mapping ``{id: score}``,
* ``{"ids": [...], "scores": [...]}`` or the tuple ``(ids, scores)``,
* one float for each item, in the order of the items.

Scored items are ordered by score, the largest first.  Hits that the answer leaves out follow in
their old order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

import numpy as np

from .errors import Invalid
from .types import Hits, Id

Reranker = Callable[[dict[str, Any]], Any]
Ranking = list[tuple[Id, Optional[float]]]


def _plain_id(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _pairs(ids: Any, scores: Any) -> Ranking:
    ids, scores = list(ids), list(scores)
    if len(ids) != len(scores):
        raise Invalid(f"reranker answered {len(ids)} ids and {len(scores)} scores")
    return [(_plain_id(i), float(score)) for i, score in zip(ids, scores)]


def _is_vector(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))


def _read_list(reply: Sequence[Any], ids: list[Id]) -> Ranking:
    if not len(reply):
        return []
    first = reply[0]
    if isinstance(first, Mapping):
        return _pairs([row["id"] for row in reply], [row["score"] for row in reply])
    if _is_vector(first):
        return _pairs([pair[0] for pair in reply], [pair[1] for pair in reply])
    if isinstance(first, (float, np.floating)):
        if len(reply) != len(ids):
            raise Invalid(f"reranker answered {len(reply)} scores for {len(ids)} items")
        return _pairs(ids, reply)
    return [(_plain_id(value), None) for value in reply]


def _read(reply: Any, ids: list[Id]) -> Ranking:
    if isinstance(reply, Mapping):
        if set(reply) == {"ids", "scores"}:
            return _pairs(reply["ids"], reply["scores"])
        return _pairs(reply.keys(), reply.values())
    if isinstance(reply, tuple) and len(reply) == 2 and all(map(_is_vector, reply)):
        return _pairs(*reply)
    if not _is_vector(reply):
        raise TypeError(f"reranker answered {type(reply).__name__}; see help(lynse.rerank)")
    return _read_list(reply, ids)


def rerank(reranker: Reranker, query: dict[str, Any], hits: Hits, fields: list[Any]) -> Hits:
    """The hits in the order that `reranker` gives them; `fields` may be empty."""
    if not callable(reranker):
        raise TypeError(f"reranker must be callable, not {type(reranker).__name__}")
    ids: list[Id] = hits.ids.tolist()
    assert hits.scores is not None
    scores = hits.scores.tolist()
    items = [
        {"id": id_, "score": scores[i], "field": fields[i] if fields else None}
        for i, id_ in enumerate(ids)
    ]
    ranking = _read(reranker({"query": query, "items": items}), ids)
    if ranking and ranking[0][1] is not None:
        ranking.sort(key=lambda pair: -(pair[1] or 0.0))
    place = {id_: i for i, id_ in enumerate(ids)}
    order: dict[int, float | None] = {}
    for id_, score in ranking:
        if id_ not in place:
            raise Invalid(f"reranker answered id {id_!r}, which is not among the items")
        order.setdefault(place[id_], score)
    for i in range(len(ids)):
        order.setdefault(i, None)
    rows = list(order)
    new_scores = [scores[i] if order[i] is None else order[i] for i in rows]
    return Hits(
        hits.ids[rows],
        np.array(new_scores, dtype=np.float32),
        None if hits.fields is None else [hits.fields[i] for i in rows],
        None,
        hits.metric,
    )
