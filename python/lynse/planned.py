# SPDX-License-Identifier: Apache-2.0
"""LynseDB's methods that come with later releases: each says so when it is called."""

from __future__ import annotations

from typing import Any, NoReturn

from .errors import Unsupported


def later(what: str) -> NoReturn:
    raise Unsupported(f"{what} comes with a later release of Lynse")


class PlannedDatabaseMethods:
    """Of a database."""

    __slots__ = ()

    def snapshot_collection(self, collection: str, snapshot_path: str) -> NoReturn:
        later("snapshot_collection()")

    def export_collection(self, collection: str, export_path: str) -> NoReturn:
        later("export_collection()")

    def restore_collection(
        self, collection: str, snapshot_path: str, overwrite: bool = False
    ) -> NoReturn:
        later("restore_collection()")

    def import_collection(
        self, collection: str, export_path: str, overwrite: bool = False
    ) -> NoReturn:
        later("import_collection()")

    def snapshot_database(self, snapshot_path: str) -> NoReturn:
        later("snapshot_database()")

    def restore_database(self, snapshot_path: str, overwrite: bool = False) -> NoReturn:
        later("restore_database()")


class PlannedCollectionMethods:
    """Of a collection."""

    def compact(self) -> NoReturn:
        later("compact()")

    def snapshot_to(self, snapshot_path: str) -> NoReturn:
        later("snapshot_to()")

    def export_to(self, export_path: str) -> NoReturn:
        later("export_to()")

    def write_blob(self, key: str, value: bytes) -> NoReturn:
        later("write_blob()")

    def read_blob(self, key: str) -> NoReturn:
        later("read_blob()")

    def read_blob_range(self, key: str, offset: int = 0, length: int | None = None) -> NoReturn:
        later("read_blob_range()")

    def delete_blob(self, key: str) -> NoReturn:
        later("delete_blob()")

    def create_vector_field(
        self,
        name: str,
        dim: int,
        metric: str = "ip",
        index_mode: str | None = None,
        dtypes: str | None = None,
    ) -> NoReturn:
        later("create_vector_field() (named vectors)")

    def add_named_vectors(self, field_name: str, vectors: Any, ids: Any) -> NoReturn:
        later("add_named_vectors()")

    def add_sparse_vectors(self, vectors: Any, ids: Any) -> NoReturn:
        later("add_sparse_vectors()")

    def search_profile(
        self, vector: Any, k: int = 10, *, where: str | None = None, nprobe: int = 10
    ) -> NoReturn:
        later("search_profile()")

    def search_sparse(
        self,
        vector: Any,
        k: int = 10,
        *,
        where: str | None = None,
        return_fields: bool = False,
        reranker: Any = None,
        rerank_k: int | None = None,
        rerank_with_fields: bool = True,
    ) -> NoReturn:
        later("search_sparse()")

    def bm25_search(
        self,
        text: str,
        k: int = 10,
        *,
        text_fields: Any = None,
        where: str | None = None,
        return_fields: bool = False,
        reranker: Any = None,
        rerank_k: int | None = None,
        rerank_with_fields: bool = True,
    ) -> NoReturn:
        later("bm25_search()")

    def hybrid_search(
        self,
        vector: Any = None,
        text: str | None = None,
        k: int = 10,
        *,
        where: str | None = None,
        text_fields: Any = None,
        fusion: str = "rrf",
        vector_weight: float = 1.0,
        text_weight: float = 1.0,
        rrf_k: float = 60.0,
        candidate_limit: int | None = None,
        nprobe: int = 10,
        return_fields: bool = False,
        reranker: Any = None,
        rerank_k: int | None = None,
        rerank_with_fields: bool = True,
    ) -> NoReturn:
        later("hybrid_search()")
