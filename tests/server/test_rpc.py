# SPDX-License-Identifier: Apache-2.0
"""Whoever waits for an answer of msgpack-RPC gets one, or sees the end of the connection."""

import math
import resource

import msgpack
import pytest
from program import IS_SANITIZED, Closed, Program, Rpc, http

HEALTH = msgpack.packb([0, 7, "health", {}])


@pytest.mark.parametrize(
    "msgid", [-1, 1 << 32, 1 << 63, 1.0, None, True, "1", b"1", [], {}]
)
def test_a_request_whose_number_cannot_be_read_ends_the_connection(server, msgid):
    with server.connect() as s:
        s.sendall(HEALTH + msgpack.packb([0, msgid, "health", {}]) + HEALTH)
        r = Rpc(s)
        assert r.read() == (7, None, {"status": "ok"}), "what came before is answered"
        with pytest.raises(Closed):
            r.read()


@pytest.mark.parametrize("frame", [[3, 1, "health", {}], ["0", 1, "health", {}], [0, 1, "health"]])
def test_a_frame_of_no_kind_ends_it_or_is_answered(server, frame):
    with server.connect() as s:
        s.sendall(msgpack.packb(frame))
        try:
            number, error, _ = Rpc(s).read()
            assert number == 1 and error[2]["name"] == "INVALID"
        except Closed:
            pass


def test_a_wrong_notification_is_passed_over(server):
    """Nobody waits for its answer."""
    with server.connect() as s:
        for frame in ([2, "no_such", {}], [2, 5, {}], [2, "health", 5]):
            s.sendall(msgpack.packb(frame))
        s.sendall(HEALTH)
        assert Rpc(s).read()[0] == 7


def test_what_json_has_no_word_for(server):
    r = server.rpc()
    r.call("required_collection", collection_name="vast", dim=1)
    r.call("add", collection_name="vast", ids=[1, 2], vectors=[[3e38], [-3e38]])
    params = {"collection_name": "vast", "vector": [3e38], "k": 2}
    scores = r.call("search", **params)["items"]["scores"]
    assert all(math.isinf(score) for score in scores)
    with server.connect() as s:
        assert http(s, "POST", "/search", params)[1]["params"]["items"]["scores"] == [None] * 2
    r.call("drop_collection", collection_name="vast")


@pytest.mark.skipif(IS_SANITIZED, reason="it has no address space to spare")
def test_an_answer_that_finds_no_memory_says_so(tmp_path):
    with Program(tmp_path / "d", "--workers", "1") as program:
        r = program.rpc()
        r.call("required_collection", collection_name="docs", dim=1)
        for first in range(0, 40, 20):
            r.call("add", collection_name="docs", ids=list(range(first, first + 20)),
                   vectors=[[1.0]] * 20, fields=[{"text": "x" * 900000}] * 20)
        r.call("query", collection_name="docs", limit=1)
        told = set()
        for spare in range(10, 150, 10):
            used = program.status("VmSize") << 10
            limit = (used + (spare << 20), resource.RLIM_INFINITY)
            resource.prlimit(program.process.pid, resource.RLIMIT_AS, limit)
            r.send("query", collection_name="docs")
            _, error, _ = r.read()
            told.add(error[2]["name"] if error else "done")
            resource.prlimit(program.process.pid, resource.RLIMIT_AS,
                             (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert told <= {"NO_MEMORY", "done"} and "NO_MEMORY" in told
        assert program.stop() == 0
