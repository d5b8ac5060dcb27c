# SPDX-License-Identifier: Apache-2.0
"""Scripts that are not trusted can do no harm."""

import time

import pytest
from lynse.errors import LynseError

ROW = [1.0, 0, 0, 0]


@pytest.mark.parametrize(
    "score",
    [
        "function() while true do end end",
        "function() local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end end",
        "function() while true do pcall(function() while true do end end) end end",
        "function() io.open('/etc/passwd') end",
        "function() return os.exit() end",
        "function() local ffi = require 'ffi' end",
    ],
)
def test_the_sandbox_holds(collection, score):
    collection.add(ids=[1, 2], vectors=[ROW, ROW])
    begin = time.monotonic()
    with pytest.raises(LynseError):
        collection.search(ROW, score=score)
    assert time.monotonic() - begin < 10
    assert collection.search(ROW).ids.tolist() == [1, 2]
