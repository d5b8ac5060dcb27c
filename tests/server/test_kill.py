# SPDX-License-Identifier: Apache-2.0
"""A loaded server that is killed or stopped loses nothing that it acknowledged.

The short forms; `./dev serverkill` has the long ones.
"""

import kill_loop
import mixed_load
import pytest


@pytest.mark.parametrize("how", ["KILL", "TERM"])
def test_nothing_acknowledged_is_lost(tmp_path, how):
    errors, acknowledged, slowest = kill_loop.run(10, how, 8, 2, 7, tmp_path / "data")
    assert errors == []
    assert acknowledged > 50, "a load it was not"
    assert slowest < kill_loop.STOP_SECONDS


def test_clients_that_do_everything_at_once(tmp_path):
    errors, counts = mixed_load.run(tmp_path / "data", 4, 16, 2, 7)
    assert errors == []
    assert counts["stop_seconds"] < kill_loop.STOP_SECONDS
