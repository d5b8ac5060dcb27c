# SPDX-License-Identifier: Apache-2.0
"""timeout=: seconds that a call may take."""

import lynse
import numpy as np
import pytest
from lynse.errors import Deadline, Invalid, Limit

AT_ONCE = 1e-9
ROW = [1.0, 0, 0, 0]


@pytest.fixture
def filled(collection, random):
    vectors = random.standard_normal((3000, 4), dtype=np.float32)
    collection.add(ids=list(range(3000)), vectors=vectors, fields=[{"n": i} for i in range(3000)])
    return collection


def test_calls_end_when_their_time_is_over(filled):
    with pytest.raises(Deadline):
        filled.search(ROW, where="n >= 0", timeout=AT_ONCE)
    with pytest.raises(TimeoutError):
        filled.batch_search([ROW] * 2500, timeout=AT_ONCE)
    with pytest.raises(Deadline):
        filled.search_range(ROW, -1e9, timeout=AT_ONCE)
    with pytest.raises(Deadline):
        filled.delete(where="n >= 0", timeout=AT_ONCE)
    assert filled.count("n >= 0") == 3000


def test_calls_in_time_are_as_without(filled):
    ids = filled.search(ROW, k=5).ids.tolist()
    assert filled.search(ROW, k=5, timeout=60).ids.tolist() == ids
    assert len(filled.batch_search([ROW] * 1500, k=5, timeout=np.float32(60))) == 1500
    assert filled.search_range(ROW, -1e9, 5, timeout=600.0).ids.tolist() == ids
    assert filled.delete([1, 2], timeout=60) == 2
    assert filled.delete(where="n < 10", timeout=60) == 8


@pytest.mark.parametrize("call", ["search", "batch_search", "search_range", "delete"])
def test_a_timeout_is_a_number_of_seconds(collection, call):
    arguments = {
        "search": (ROW,),
        "batch_search": ([ROW],),
        "search_range": (ROW, 1.0),
        "delete": ([1],),
    }[call]
    for wrong, error in (
        ("1", TypeError),
        (True, TypeError),
        (0, Invalid),
        (-1, Invalid),
        (float("nan"), Invalid),
        (601, Limit),
        (float("inf"), Limit),
    ):
        with pytest.raises(error, match="timeout"):
            getattr(collection, call)(*arguments, timeout=wrong)
    with pytest.raises(lynse.LynseError, match="600"):
        getattr(collection, call)(*arguments, timeout=1000)
