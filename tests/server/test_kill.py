# SPDX-License-Identifier: Apache-2.0
"""A loaded server that is killed or stopped loses nothing that it acknowledged, and applies what is
sent again once.

The short forms; `./dev serverkill` has the long ones.
"""

import kill_loop
import mixed_load
import pytest


@pytest.mark.parametrize("how", ["KILL", "TERM"])
def test_nothing_acknowledged_is_lost(tmp_path, how):
    errors, counts, slowest = kill_loop.run(10, how, 8, 2, 7, tmp_path / "data")
    assert errors == []
    assert counts["acknowledged"] > 50, "a load it was not"
    assert counts["retried"] > 10
    if how == "KILL" and not kill_loop.IS_SANITIZED:
        assert counts["already applied"] > 0, "no retry met what it wanted"
    assert slowest < kill_loop.STOP_SECONDS


def test_the_loop_sees_a_retry_that_is_applied_twice(tmp_path):
    errors, counts, _ = kill_loop.run(40, "KILL", 8, 2, 7, tmp_path / "data", "fresh-ids")
    assert errors != []
    assert counts["doubled"] > 0


def test_clients_that_do_everything_at_once(tmp_path):
    errors, counts = mixed_load.run(tmp_path / "data", 4, 16, 2, 7)
    assert errors == []
    assert counts["stop_seconds"] < kill_loop.STOP_SECONDS
