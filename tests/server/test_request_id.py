# SPDX-License-Identifier: Apache-2.0
"""A write that is sent again with the id of its request is applied once, across a kill of the
server as well."""

import array
import json
import uuid

import pytest
from program import Program, RpcError, http_bytes, read_response

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
        r.call(
            "upsert",
            ids=[7],
            vectors=VECTORS[:1],
            fields=[{"n": 1}],
            request_id=uuid.uuid4().hex,
            **DOCS,
        )
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


FLOATS = array.array("f", [1, 0, 0, 0, 0, 1, 0, 0]).tobytes()


def binary_write(program, route, body, **query):
    """A binary write over HTTP: its status and answer."""
    pairs = "&".join(f"{key}={value}" for key, value in {**DOCS, **query}.items())
    with program.connect() as s:
        s.sendall(http_bytes("POST", f"/{route}?{pairs}", body))
        status, _, answer, _ = read_response(s)
    return status, json.loads(answer)


def test_a_binary_write_is_applied_once(tmp_path):
    """By its route, by msgpack-RPC after it, and across a kill."""
    shape = {"dim": 4, "n_vectors": 2}
    numbers = array.array("Q", [70, 71]).tobytes()
    writes = (
        ("bulk_add_binary", FLOATS),
        ("add_records_binary", FLOATS + numbers),
        ("upsert_records_binary", FLOATS + numbers),
    )
    firsts = []
    with Program(tmp_path / "data") as program:
        program.rpc().call("required_collection", dim=4, **DOCS)
        for route, body in writes:
            one = uuid.uuid4()
            status, first = binary_write(program, route, body, request_id=one.hex, **shape)
            assert status == 200 and "is_repeat" not in first["params"]
            status, again = binary_write(program, route, body, request_id=one.hex, **shape)
            assert status == 200 and again["params"].pop("is_repeat") is True
            assert again["params"] == first["params"]
            firsts.append((one, first["params"]))
        status, failed = binary_write(program, "bulk_add_binary", FLOATS, request_id="7", **shape)
        assert status == 400 and failed["error"].startswith("request_id: must be 16 bytes")
        program.kill()
    with Program(tmp_path / "data") as program:
        r = program.rpc()
        for (route, body), (one, first) in zip(writes, firsts):
            for id_ in (one.hex, one.bytes):
                again = r.call(route, data=body, request_id=id_, **shape, **DOCS)
                assert again.pop("is_repeat") is True and again == first
        assert r.call("count", **DOCS)["count"] == 4


def test_an_id_is_a_bin_as_well(server):
    r, one = server.rpc(), uuid.uuid4()
    first = r.call("add", vectors=VECTORS, request_id=one.bytes, **DOCS)
    for same in (one.hex, one.hex.upper(), one.bytes):
        again = r.call("add", vectors=VECTORS, request_id=same, **DOCS)
        assert again.pop("is_repeat") is True and again == first


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "12",
        "g" * 32,
        "0" * 32,
        "1" * 33,
        5,
        [1],
        b"",
        b"\0" * 16,
        b"1" * 15,
        b"1" * 17,
        b"1" * 32,
    ],
)
def test_what_is_no_id_is_refused(server, bad):
    r = server.rpc()
    for method, rest in (
        ("add", {"vectors": VECTORS}),
        ("delete", {"ids": [1]}),
        ("restore", {"ids": [1]}),
        ("delete", {"where": "n = 1"}),
    ):
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
