# SPDX-License-Identifier: Apache-2.0
"""Arrays that are right already are used where they are."""

import numpy as np
from lynse._records import check_ids, check_matrix


def test_a_matrix_that_is_right_is_not_copied():
    matrix = np.ones((3, 4), dtype=np.float32)
    assert np.shares_memory(check_matrix(matrix), matrix)
    matrix.flags.writeable = False
    assert np.shares_memory(check_matrix(matrix), matrix)


def test_integer_ids_that_are_right_are_not_copied():
    ids = np.arange(5, dtype=np.uint64)
    assert np.shares_memory(check_ids(ids).numbers, ids)
