# SPDX-License-Identifier: Apache-2.0
"""The score of two vectors, by any metric, without a database."""

from __future__ import annotations

from ._marshal import c_text, check, new_error
from ._native import ffi, lib
from ._records import check_vector
from .errors import Dimension
from .types import Vectors


def compute_distance(a: Vectors, b: Vectors, metric: str = "ip") -> float:
    """What a search would say: docs/DISTANCES.md has the metrics and their other names.

    >>> compute_distance([0, 0], [3, 4], "euclidean")
    25.0
    """
    first, second = check_vector(a, "a")[0], check_vector(b, "b")[0]
    if len(first) != len(second):
        raise Dimension(f"a has {len(first)} components, b has {len(second)}")
    out, error = ffi.new("float *"), new_error()
    vectors = [ffi.from_buffer("float[]", vector) for vector in (first, second)]
    code = lib.lynse_compute_distance(c_text(metric, "metric"), *vectors, len(first), out, error)
    check(code, error)
    return float(out[0])
