# SPDX-License-Identifier: Apache-2.0
"""A write that is sent again with the id of its request is applied once, across a kill of the
server as well."""

import uuid

import pytest
from program import Program, RpcError

DOCS = {"collection_name": "docs"}
VECTORS = [[1.0, 0, 0, 0], [0, 1.0, 0, 0]]


def test_a_retry_is_answered_as_the_first_time(tmp_path):
    add, delete, where = (uuid.uuid4().hex for _ in range(3))
    with Program(tmp_path / "data") as program:
        r = program.rpc()
        r.call("required_collection", dim=4, **DOCS)
        first = r.call("add", vectors=VECTORS, request_id=add, **DOCS)
        assert "is_repeat" not in first
        gone = r.call("delete", ids=[0], request_id=delete, **DOCS)
        r.call("restore", ids=[0], request_id=uuid.uuid4().hex, **DOCS)
        r.call("upsert", ids=[7], vectors=VECTORS[:1], fields=[{"n": 1}],
               request_id=uuid.uuid4().hex, **DOCS)
        assert r.call("delete", where="n = 1", request_id=where, **DOCS)["row_count"] == 1
        program.kill()
    with Program(tmp_path / "data") as program:
        r = program.rpc()
        again = r.call("add", vectors=VECTORS, request_id=add.upper(), **DOCS)
        assert again.pop("is_repeat") is True
        assert again == first
        again = r.call("delete", ids=[0], request_id=delete, **DOCS)
        assert again["is_repeat"] is True and again["lsn"] == gone["lsn"]
        assert r.call("delete", where="n = 1", request_id=where, **DOCS)["is_repeat"] is True
        assert r.call("count", **DOCS)["count"] == 2


@pytest.mark.parametrize("bad", ["", "12", "g" * 32, "0" * 32, "1" * 33, 5, [1]])
def test_what_is_no_id_is_refused(server, bad):
    r = server.rpc()
    for method, rest in (("add", {"vectors": VECTORS}), ("delete", {"ids": [1]}),
                         ("restore", {"ids": [1]}), ("delete", {"where": "n = 1"})):
        with pytest.raises(RpcError) as failed:
            r.call(method, request_id=bad, **rest, **DOCS)
        assert "request_id" in str(failed.value)


def test_an_id_is_for_one_write(server):
    r = server.rpc()
    one = uuid.uuid4().hex
    r.call("upsert", ids=[1], vectors=VECTORS[:1], request_id=one, **DOCS)
    with pytest.raises(RpcError) as failed:
        r.call("upsert", ids=[2], vectors=VECTORS[:1], request_id=one, **DOCS)
    assert "request_id" in str(failed.value)
