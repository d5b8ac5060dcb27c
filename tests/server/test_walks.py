# SPDX-License-Identifier: Apache-2.0
"""Walks are whole or an error, and end in time."""

import array
import json
import time

import pytest
from program import (
    IS_SANITIZED,
    Program,
    RpcError,
    http_bytes,
    read_response,
    wait_until,
)

NAMES = {"collection_name": "docs"}
MOST = 100000  # records of an answer


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """One with a collection of one record more than an answer may have."""
    with Program(tmp_path_factory.mktemp("walks") / "data") as program:
        r = program.rpc(60)
        r.call("required_collection", dim=1, **NAMES)
        for first, count in ((0, MOST), (MOST, 1)):
            r.call(
                "add",
                ids=array.array("Q", range(first, first + count)).tobytes(),
                vectors=array.array("f", [1.0] * count).tobytes(),
                fields=[{"n": 1, "text": "ab" * 20}] * count,
                **NAMES,
            )
        yield program
        assert program.stop() == 0


@pytest.mark.parametrize(
    "method,given",
    [
        ("query", {"return_ids_only": True}),
        ("query", {"where": "n = 1"}),
        ("query_vectors", {}),
    ],
)
def test_what_does_not_fit_an_answer_is_refused_and_never_cut(program, method, given):
    r = program.rpc(60)
    with pytest.raises(RpcError, match="more than 100000 records; ask for them in parts") as failed:
        r.call(method, **given, **NAMES)
    assert failed.value.name == "LIMIT"
    with program.connect(60) as s:
        s.sendall(http_bytes("POST", f"/{method}", json.dumps({**given, **NAMES}).encode()))
        status, _, answer, _ = read_response(s)
    assert status == 400 and b"in parts, with a limit" in answer


def test_deleted_ids_too(program):
    r = program.rpc(60)
    ids = array.array("Q", range(MOST + 1)).tobytes()
    for start in (0, 8 * MOST):
        r.call("delete", ids=ids[start : start + 8 * MOST], **NAMES)
    try:
        with pytest.raises(RpcError, match="more than 100000 records"):
            r.call("list_deleted_ids", **NAMES)
    finally:
        for start in (0, 8 * MOST):
            r.call("restore", ids=ids[start : start + 8 * MOST], **NAMES)


def test_parts_are_all_of_it(program):
    r = program.rpc(60)
    found = []
    while True:
        part = r.call(
            "query", where="n = 1", return_ids_only=True, limit=MOST, offset=len(found), **NAMES
        )["result"]
        found += part
        if not part:
            break
    assert sorted(found) == list(range(MOST + 1))
    one = r.call("query", return_ids_only=True, limit=MOST, **NAMES)["result"]
    assert len(one) == MOST, "with a limit of as many there is nothing to refuse"
    assert r.call("count", where="n = 1", **NAMES)["count"] == MOST + 1


@pytest.mark.parametrize("method", ["query", "query_vectors", "count"])
def test_a_walk_keeps_its_timeout(program, method):
    r = program.rpc(60)
    begun = time.monotonic()
    with pytest.raises(RpcError) as failed:
        # A condition that takes long, and another one each time: no answer is remembered.
        r.call(
            method, where="text LIKE '%a%c%' OR text LIKE '%b%d%' OR n = 2", timeout_ms=2, **NAMES
        )
    assert failed.value.name == "DEADLINE" and time.monotonic() - begun < 2


@pytest.mark.skipif(IS_SANITIZED, reason="figures of the release build")
def test_memory_of_large_answers_goes_back(tmp_path):
    """What threads made that are idle since is the system's again."""
    with Program(tmp_path / "data") as program:
        r = program.rpc(60)
        r.call("required_collection", dim=1, **NAMES)
        for first in range(0, 60, 20):
            r.call("add", ids=list(range(first, first + 20)), vectors=[[1.0]] * 20,
                   fields=[{"text": f"{i:08}" * 110000} for i in range(20)], **NAMES)
        r.call("flush", **NAMES)
        r.call("query", **NAMES)
        before = program.status("VmRSS")
        for _ in range(5):
            r.send("query", **NAMES)
        for _ in range(5):
            assert len(r.read()[2]["result"]) == 60
        assert program.status("VmHWM") - before > 150 << 10, "it was large"
        wait_until(lambda: program.status("VmRSS") - before < 64 << 10)
        assert program.stop() == 0
