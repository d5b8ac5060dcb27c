# SPDX-License-Identifier: Apache-2.0
"""Functions in Lua that rank: those of one search, and those that a collection keeps."""

from __future__ import annotations

from collections.abc import Mapping

from . import _fields
from ._records import check_text
from .errors import Invalid
from .types import HOOK_POLICIES, SCORE_MODES, CollectionBackend, Fields, InstalledHook, Ranking


def _pack_options(options: object, name: str) -> bytes:
    if options is None:
        return b""
    if not isinstance(options, Mapping):
        raise Invalid(f"{name}: a {type(options).__name__}, must be a dict")
    return _fields.pack([options]).data


def ranking_of(
    where: object,
    score: object,
    rerank: object,
    score_options: object,
    rerank_options: object,
    hooks: bool,
    score_mode: object = "all",
) -> Ranking:
    if score_mode not in SCORE_MODES:
        raise Invalid(f"score_mode must be one of {SCORE_MODES}, not {score_mode!r}")
    if score is None and rerank is None and score_options is None and rerank_options is None:
        return Ranking(
            check_text(where, "where"), None, None, b"", b"", bool(hooks), str(score_mode)
        )
    return Ranking(
        check_text(where, "where"),
        check_text(score, "score"),
        check_text(rerank, "rerank"),
        _pack_options(score_options, "score_options"),
        _pack_options(rerank_options, "rerank_options"),
        bool(hooks),
        str(score_mode),
    )


class HookMethods:
    """Of a collection."""

    _backend: CollectionBackend

    def set_hook(
        self,
        point: str,
        source: str,
        options: Fields | None = None,
        on_failure: str = "fail",
    ) -> int:
        """Keep a function in Lua with the collection; answers its version.

        point       "score" or "rerank": for searches that bring none of their own
        source      as `score` and `rerank` of :meth:`search`; compiled at once
        options     a dict that the function gets as its last argument
        on_failure  "fail": the search fails with it; "skip": it answers without it, and
                    `skipped_hooks` of the result says so
        """
        if on_failure not in HOOK_POLICIES:
            raise Invalid(f"on_failure must be one of {HOOK_POLICIES}, not {on_failure!r}")
        if check_text(point, "point") is None or check_text(source, "source") is None:
            raise Invalid("set_hook() needs a point and a source")
        packed = _pack_options(options, "options")
        return self._backend.set_hook(point, source, packed, on_failure)

    def drop_hook(self, point: str) -> None:
        """The versions of the point go on from where they are."""
        if check_text(point, "point") is None:
            raise Invalid("drop_hook() needs a point")
        self._backend.drop_hook(point)

    def hooks(self) -> list[InstalledHook]:
        """What is installed."""
        return [
            InstalledHook(*hook[:3], _fields.unpack(hook[3]), *hook[4:])
            for hook in self._backend.hooks()
        ]
