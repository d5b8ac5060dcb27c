# SPDX-License-Identifier: Apache-2.0
"""Lynse, an embedded-first vector database.

>>> import numpy as np
>>> import lynse
>>> client = lynse.VectorDBClient(":memory:")
>>> docs = client.create_database("notes").require_collection("docs", dim=3)
>>> docs.add(ids=["a", "b"], vectors=np.eye(2, 3), fields=[{"title": "A"}, {"title": "B"}])
['a', 'b']
>>> docs.search([0.9, 0.1, 0], k=1, return_fields=True).to_list()[0]["title"]
'A'
>>> client.close()
"""

from __future__ import annotations

from ._neighbour import refuse_lynsedb

refuse_lynsedb()

from . import errors, rerank, types  # noqa: E402
from .aio import AsyncVectorDBClient  # noqa: E402
from .client import Database, VectorDBClient  # noqa: E402
from .collection import Collection  # noqa: E402
from .distance import compute_distance  # noqa: E402
from .errors import LynseError  # noqa: E402
from .local import library_version  # noqa: E402
from .result_view import ResultView  # noqa: E402
from .session import DataInsertionSession  # noqa: E402

__version__ = library_version()
__all__ = [
    "AsyncVectorDBClient",
    "Collection",
    "DataInsertionSession",
    "Database",
    "LynseError",
    "ResultView",
    "VectorDBClient",
    "__version__",
    "compute_distance",
    "errors",
    "rerank",
    "types",
]
