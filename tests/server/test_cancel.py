# SPDX-License-Identifier: Apache-2.0
"""cancel(request_id): what is under way by that id ends soon, on whichever worker it is."""

import array
import json
import threading
import time
import uuid

import pytest
from program import Program, Rpc, RpcError, http, http_bytes, read_response, wait_until

DIM, ROWS, QUERIES = 64, 100000, 4000
LARGE = {"collection_name": "large"}
FLOATS = array.array("f", [float(i % 89) for i in range(DIM * QUERIES)])
# Each takes seconds where nothing ends it.
SLOW_SCORE = """return function(n, distance, field, out)
    for i = 0, n - 1 do
        local sum = 0
        for j = 1, 3000 do sum = sum + (j * i) % 7 end
        out[i] = sum
    end
end"""
SLOW = {
    "batch_search": {"vectors": FLOATS.tobytes()},
    "batch_search_binary": {"dim": DIM, "n_queries": QUERIES, "data": FLOATS.tobytes()},
    "search": {"vector": FLOATS[:DIM].tobytes(), "score": SLOW_SCORE},
}
WORKERS = 3


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    with Program(
        tmp_path_factory.mktemp("cancel") / "data", "--workers", str(WORKERS), "--trust-scripts"
    ) as program:
        r = program.rpc(60)
        r.call("required_collection", dim=DIM, **LARGE)
        block = array.array("f", [float(i % 97) for i in range(DIM * 10000)]).tobytes()
        for first in range(0, ROWS, 10000):
            r.call("add", ids=list(range(first, first + 10000)), vectors=block, **LARGE)
        yield program
        assert program.stop() == 0


def cancel_until_found(r, request_id):
    """It may not have begun yet; the time at which it was told."""
    wait_until(lambda: r.call("cancel", request_id=request_id)["cancelled"])
    return time.monotonic()


@pytest.mark.parametrize("method", SLOW)
def test_a_search_ends_when_it_is_cancelled(program, method):
    """From many other connections, of which the kernel gives some to other workers."""
    for i in range(2 * WORKERS):
        slow, other, one = program.rpc(60), program.rpc(), uuid.uuid4()
        slow.send(method, request_id=one.hex, timeout_ms=60000, **SLOW[method], **LARGE)
        told = cancel_until_found(other, one.bytes if i % 2 else one.hex)
        _, error, _ = slow.read()
        assert error[2]["name"] == "CANCELLED" and time.monotonic() - told < 2, error
        assert other.call("cancel", request_id=one.hex) == {"cancelled": False}
        assert slow.call("count", **LARGE)["count"] == ROWS, "the connection goes on"
        slow.close()
        other.close()


def test_a_search_of_http_too(program):
    one = uuid.uuid4().hex
    body = json.dumps({"k": 3, "vectors": [[1.5] * DIM] * QUERIES, "request_id": one, **LARGE})
    with program.connect(60) as slow, program.connect() as other:
        slow.sendall(http_bytes("POST", "/batch_search", body.encode()))
        wait_until(
            lambda: http(other, "POST", "/cancel", {"request_id": one})[1]["params"]["cancelled"]
        )
        status, _, answer, _ = read_response(slow)
        assert status == 499 and json.loads(answer)["name"] == "CANCELLED"
        assert http(slow, "POST", "/count", LARGE)[1]["params"]["count"] == ROWS


def test_over_the_same_connection(program):
    r, one = program.rpc(60), uuid.uuid4().bytes
    slow = r.send("batch_search", request_id=one, **SLOW["batch_search"], **LARGE)
    told = r.send("cancel", request_id=one)
    answers = {number: (error, result) for number, error, result in (r.read(), r.read())}
    assert answers[told] == (None, {"cancelled": True})
    assert answers[slow][0][2]["name"] == "CANCELLED"


def test_all_by_one_id_and_no_other(program):
    """What waits is not begun, and what came by another id is done."""
    one, other = uuid.uuid4().bytes, uuid.uuid4().bytes
    r = program.rpc(60)
    slow = {
        r.send("batch_search", request_id=one, timeout_ms=60000, **SLOW["batch_search"], **LARGE)
        for _ in range(20)
    }  # more than there are threads for
    kept = r.send(
        "search",
        request_id=other,
        timeout_ms=60000,
        k=7,
        vector=FLOATS[:DIM].tobytes(),
        where="no_such_field IS NULL",
        **LARGE,
    )
    told = r.send("cancel", request_id=one)
    answers = {number: (error, result) for number, error, result in (r.read() for _ in range(22))}
    assert answers[told] == (None, {"cancelled": True})
    assert {answers[number][0][2]["name"] for number in slow} == {"CANCELLED"}
    assert len(answers[kept][1]["items"]["ids"]) == 7


def test_queries_and_counts(program):
    """A filter that looks at each record: few milliseconds, so many are tried."""
    for method in ("query", "count", "query_vectors"):
        for _ in range(200):
            r, one = program.rpc(60), uuid.uuid4().bytes
            r.send(method, where="missing = 1 OR absent LIKE '%x%'", request_id=one, **LARGE)
            r.send("cancel", request_id=one)
            answers = [r.read(), r.read()]
            r.close()
            if any(error and error[2]["name"] == "CANCELLED" for _, error, _ in answers):
                break
        else:
            pytest.fail(f"{method} was never cancelled")


def test_a_write_answers_what_became_of_it(program):
    r, writer = program.rpc(), program.rpc(60)
    r.call("required_collection", collection_name="written", dim=DIM)
    for _ in range(20):
        one = uuid.uuid4().hex
        before = r.call("count", collection_name="written")["count"]
        writer.send("add", collection_name="written", vectors=FLOATS.tobytes(), request_id=one)
        for _ in range(5):
            r.call("cancel", request_id=one)
        _, error, _ = writer.read()
        assert error is None or error[2]["name"] == "CANCELLED"
        after = r.call("count", collection_name="written")["count"]
        assert after - before == (0 if error else QUERIES)


def test_nothing_to_cancel(program):
    r = program.rpc()
    one = uuid.uuid4().hex
    assert r.call("cancel", request_id=one) == {"cancelled": False}
    assert r.call("cancel", request_id=one) == {"cancelled": False}, "not itself either"
    r.call("search", vector=FLOATS[:DIM].tobytes(), request_id=one, **LARGE)
    assert r.call("cancel", request_id=one) == {"cancelled": False}
    with pytest.raises(RpcError, match="request_id: missing"):
        r.call("cancel")


def test_it_needs_the_key(tmp_path):
    with Program(tmp_path / "data", "--api-key", "secret") as program:
        r = program.rpc()
        with pytest.raises(RpcError, match="Unauthorized"):
            r.call("cancel", request_id=uuid.uuid4().hex)
        r.call("authenticate", api_key="secret")
        assert r.call("cancel", request_id=uuid.uuid4().hex) == {"cancelled": False}


def test_ids_come_and_go_from_everywhere(program):
    """Searches and cancels of a few ids from many threads: each answers, the right way."""
    ids = [uuid.uuid4().bytes for _ in range(4)]
    wrong = []

    def work(number):
        r = Rpc(program.connect(60))
        for i in range(150):
            one = ids[(number + i) % len(ids)]
            r.send("search", request_id=one, vector=FLOATS[:DIM].tobytes(), k=5, **LARGE)
            r.send("cancel", request_id=ids[i % len(ids)])
            for _, error, result in (r.read(), r.read()):
                if error and error[2]["name"] != "CANCELLED":
                    wrong.append(error)
                if result and "items" in result and len(result["items"]["ids"]) != 5:
                    wrong.append(result)
        r.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong and not any(thread.is_alive() for thread in threads)
