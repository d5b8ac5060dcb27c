# SPDX-License-Identifier: Apache-2.0
"""What clients that are wrong, slow, greedy or gone do to the server: nothing.

After every attack the server answers a good client on both protocols.
"""

import contextlib
import json
import random
import re
import socket
import struct
import threading
import time

import msgpack
import pytest
from program import (
    IS_SANITIZED,
    Closed,
    Program,
    Rpc,
    RpcError,
    http,
    http_bytes,
    read_response,
    wait_until,
)

SEARCH = {"collection_name": "docs", "vector": [1.0, 0, 0, 0], "k": 3}
TOO_LARGE = b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"


def assert_serves(program):
    r = program.rpc()
    assert r.call("search", **SEARCH)["items"]["k"] == 3
    r.close()
    with program.connect() as s:
        status, answer = http(s, "POST", "/search", SEARCH)
    assert status == 200 and len(answer["params"]["items"]["ids"]) == 3


@pytest.fixture(autouse=True)
def serves_afterwards(request):
    yield
    if "server" in request.fixturenames:
        assert_serves(request.getfixturevalue("server"))


def read_to_end(s):
    kept = b""
    try:
        while True:
            chunk = s.recv(1 << 16)
            if not chunk:
                return kept
            kept += chunk
    except ConnectionResetError:
        return kept


# ---- Bytes that are wrong ----


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes(server, seed):
    chance = random.Random(seed)
    for _ in range(100):
        first = chance.choice([b"P", b"G", b"\x94", b"\xdc", b"\x16", b"\x00", b"\xff", b"\r"])
        with server.connect() as s:
            try:
                s.sendall(first + chance.randbytes(chance.randrange(1, 3000)))
                if chance.random() < 0.5:
                    s.shutdown(socket.SHUT_WR)
                    read_to_end(s)
            except OSError:
                pass


@pytest.mark.parametrize("kind", ["rpc", "http"])
def test_damaged_and_truncated_requests(server, kind):
    chance = random.Random(7)
    good = (
        msgpack.packb([0, 1, "search", SEARCH])
        if kind == "rpc"
        else http_bytes("POST", "/search", json.dumps(SEARCH).encode())
    )
    for _ in range(300):
        bad = bytearray(good[: chance.randrange(1, len(good) + 1)])
        for _ in range(chance.randrange(4)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        with server.connect() as s:
            try:
                s.sendall(bad)
                s.shutdown(socket.SHUT_WR)
                read_to_end(s)
            except OSError:
                pass


def test_a_first_byte_of_no_protocol_closes(server):
    for first in (b"\x16\x03\x01", b"\x00", b"\x80", b"\xc1", b" GET"):
        with server.connect() as s:
            s.sendall(first)
            assert read_to_end(s) == b""


def test_protocols_do_not_mix(server):
    with server.connect() as s:
        r = Rpc(s)
        r.call("health")
        s.sendall(http_bytes("GET", "/healthz"))
        read_to_end(s)
    with server.connect() as s:
        assert http(s, "GET", "/healthz")[0] == 200
        s.sendall(msgpack.packb([0, 1, "health", {}]) + b"\r\n\r\n")
        answer = read_to_end(s)
    assert answer.startswith(b"HTTP/1.1 400")


# ---- Requests in pieces and in heaps ----


def test_byte_by_byte(server):
    with server.connect() as s:
        for byte in msgpack.packb([0, 9, "search", SEARCH]):
            s.sendall(bytes([byte]))
        assert Rpc(s).read()[0] == 9
    with server.connect() as s:
        for byte in http_bytes("POST", "/search", json.dumps(SEARCH).encode()) * 2:
            s.sendall(bytes([byte]))
        kept = b""
        for _ in range(2):
            status, _, _, kept = read_response(s, kept)
            assert status == 200


def test_targets_that_name_the_server_are_served(server):
    requests = [
        (b"GET", b"http://proxied:80/healthz", 200),
        (b"GET", b"HTTP://here", 200),
        (b"GET", b"http://here?x=1", 200),
        (b"GET", b"http://here/nowhere", 404),
        (b"GET", b"/healthz", 200),
    ]
    with server.connect() as s:
        for verb, target, expected in requests:
            s.sendall(verb + b" " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read_response(s)[0] == expected, target
    for head in (b"http://here/healthz HTTP/1.1\r\n",
                 b"http:///healthz HTTP/1.1\r\nHost: localhost\r\n",
                 b"https://here/healthz HTTP/1.1\r\nHost: localhost\r\n"):
        with server.connect() as s:
            s.sendall(b"GET " + head + b"\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            status, _, _, behind = read_response(s)
            assert (status, behind + read_to_end(s)) == (400, b"")


def test_pipelined_requests_are_all_answered(server):
    count = 2000
    with server.connect() as s:
        r = Rpc(s)
        frames = b"".join(msgpack.packb([0, i, "search", SEARCH]) for i in range(count))
        sender = threading.Thread(target=s.sendall, args=(frames,))
        sender.start()
        assert sorted(r.read()[0] for _ in range(count)) == list(range(count))
        sender.join()
    with server.connect() as s:
        requests = b"".join(http_bytes("GET", "/healthz") for _ in range(count))
        sender = threading.Thread(target=s.sendall, args=(requests,))
        sender.start()
        kept, last = b"", 0
        for _ in range(count):
            status, headers, _, kept = read_response(s, kept)
            assert status == 200 and int(headers["x-request-id"]) > last, "in their order"
            last = int(headers["x-request-id"])
        sender.join()


def test_answers_larger_than_what_may_be_owed_all_come(server):
    """One small write asks for far more than a connection may be owed."""
    r = server.rpc(60)
    r.call("required_collection", collection_name="large", dim=1024)
    for begin in range(0, 1000, 100):
        r.call(
            "add",
            collection_name="large",
            ids=list(range(begin, begin + 100)),
            vectors=[[1.0] * 1024] * 100,
        )
    ask = {"collection_name": "large", "return_vectors": True, "raw": True}
    for ids, count in ((list(range(64)), 200), (list(range(1000)), 12)):
        s = server.connect(60)
        s.sendall(b"".join(msgpack.packb([0, i, "get", {**ask, "ids": ids}]) for i in range(count)))
        answers = Rpc(s)
        assert sorted(answers.read()[0] for _ in range(count)) == list(range(count))
        s.close()
    r.close()


# ---- Requests that are too large ----


def test_a_body_over_the_limit_is_refused_before_it_is_sent(server):
    with server.connect() as s:
        s.sendall(TOO_LARGE)
        assert read_response(s)[0] == 413
    with server.connect() as s:
        s.sendall(
            b"POST /search HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            b"Content-Length: 99999999999\r\n\r\n"
        )
        assert read_response(s)[0] == 413


def test_a_refused_body_is_not_asked_for(server):
    with server.connect() as s:
        s.sendall(
            b"POST /no_such_path HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            b"Content-Length: 1000\r\n\r\n"
        )
        assert read_response(s)[0] == 404
        assert read_to_end(s) == b""


def test_who_is_refused_while_writing_reads_why(server):
    """The answer is not overtaken by a reset."""
    for _ in range(20):
        with server.connect() as s:
            s.sendall(TOO_LARGE)
            with contextlib.suppress(OSError):
                s.sendall(b"x" * 300000)
            assert read_response(s)[0] == 413


def test_declared_sizes_cost_nothing(server):
    before = server.status("VmRSS")
    kept = []
    for _ in range(50):
        s = server.connect()
        s.sendall(b"\x94\x00\x01\xa3add\xc6" + struct.pack(">I", 250 << 20))
        kept.append(s)
    time.sleep(0.3)
    assert server.status("VmRSS") - before < 8 << 10 or IS_SANITIZED
    for s in kept:
        s.close()


def test_nesting_ends(server):
    with server.connect() as s:
        s.sendall(b"\x94\x00\x05\xa6search" + b"\x91" * 100000 + b"\xc0")
        number, error, _ = Rpc(s).read()
        assert number == 5 and error
    with server.connect() as s:
        s.sendall(http_bytes("POST", "/search", b"[" * 100000))
        assert read_response(s)[0] == 400


# ---- Peers that go, or stop ----


def test_half_closed_peers_are_answered(server):
    with server.connect() as s:
        s.sendall(msgpack.packb([0, 3, "search", SEARCH]))
        s.shutdown(socket.SHUT_WR)
        assert Rpc(s).read()[0] == 3
        assert read_to_end(s) == b""
    with server.connect() as s:
        s.sendall(http_bytes("POST", "/search", json.dumps(SEARCH).encode()))
        s.shutdown(socket.SHUT_WR)
        assert read_response(s)[0] == 200


def test_half_a_body_and_the_end_leave_nothing(server):
    count = server.status("FDSize")
    for _ in range(200):
        s = server.connect()
        s.sendall(b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        s.shutdown(socket.SHUT_WR)
        assert read_response(s)[0] == 400
        assert read_to_end(s) == b""
        s.close()
    assert server.status("FDSize") <= max(count, 256)


def test_peers_that_vanish_with_requests_under_way(server):
    for i in range(200):
        s = server.connect()
        s.sendall(b"".join(msgpack.packb([0, n, "search", SEARCH]) for n in range(20)))
        if i % 2:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()


def test_who_does_not_read_is_held_back(server):
    """The server stops reading from it, and owes it a bounded number of bytes."""
    before = server.status("VmRSS")
    s = server.connect()
    s.settimeout(2)
    frame = (
        msgpack.packb(
            [
                0,
                1,
                "get",
                {"collection_name": "docs", "ids": list(range(100)), "return_vectors": True},
            ]
        )
        * 100
    )
    sent = 0
    try:
        while sent < 256 << 20:
            sent += s.send(frame)
    except (socket.timeout, TimeoutError):
        pass
    assert sent < 256 << 20, "its writes stall"
    assert server.status("VmRSS") - before < 64 << 10 or IS_SANITIZED
    assert_serves(server)
    s.close()


# ---- Time ----


def test_a_timeout_is_kept(server):
    r = server.rpc()
    with pytest.raises(RpcError, match="timeout_ms"):
        r.call("health", timeout_ms=700000)
    assert r.call("health", timeout_ms=1000) == {"status": "ok"}
    r.close()


@pytest.mark.slow
def test_who_is_slow_is_closed_in_time(server):
    """Heads have 10 s, bodies 5 s and then 1 KiB a second."""
    head, body, frame = server.connect(30), server.connect(30), server.connect(30)
    begun = time.monotonic()
    head.sendall(b"POST /sea")
    body.sendall(b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{")
    frame.sendall(b"\x94\x00\x07")
    ends = {}
    for name, s in (("frame", frame), ("body", body), ("head", head)):
        ends[name] = read_to_end(s), time.monotonic() - begun
    assert ends["body"][0].startswith(b"HTTP/1.1 408") and 4.5 < ends["body"][1] < 9
    assert 4.5 < ends["frame"][1] < 9
    assert ends["head"][0].startswith(b"HTTP/1.1 408") and 9.5 < ends["head"][1] < 13.5


@pytest.mark.slow
def test_a_thousand_slow_clients_do_not_keep_a_good_one_waiting(server):
    """What its slowest answers take is printed (-s), beside and alone; it is no assertion."""

    def p99():
        r = server.rpc()
        times = []
        for _ in range(2000):
            begun = time.perf_counter()
            assert r.call("search", **SEARCH)["items"]["k"] == SEARCH["k"]
            times.append(time.perf_counter() - begun)
        r.close()
        return sorted(times)[-20]

    alone = min(p99() for _ in range(3))
    slow = [server.connect() for _ in range(1000)]
    stop = threading.Event()

    def trickle():
        while not stop.wait(0.5):
            for s in slow:
                with contextlib.suppress(OSError):
                    s.send(b"P")

    feeder = threading.Thread(target=trickle)
    feeder.start()
    try:
        beside = min(p99() for _ in range(3))
    finally:
        stop.set()
        feeder.join()
        for s in slow:
            s.close()
    print(f"p99 alone {alone * 1e6:.0f} us, beside 1,000 slow clients {beside * 1e6:.0f} us")


# ---- Heaps of connections ----


def test_idle_connections_are_cheap_and_take_no_time(tmp_path):
    with Program(tmp_path / "d", "--workers", "1", "--connections-per-address", "0") as program:
        program.rpc().call("health")
        for method in ("rpc", "http"):
            before = program.status("VmRSS")
            idle = [program.connect() for _ in range(1000)]
            for s in idle:
                s.sendall(
                    msgpack.packb([0, 1, "health", {}])
                    if method == "rpc"
                    else http_bytes("GET", "/healthz")
                )
            for s in idle:
                s.recv(1000)
            each = (program.status("VmRSS") - before) / 1000
            assert each <= 16 or IS_SANITIZED, f"{each} KiB for an idle {method} connection"
            ticks = program.cpu_ticks()
            time.sleep(5)
            assert program.cpu_ticks() - ticks <= 2, "ticks of 10 ms within 5 s"
            for s in idle:
                s.close()
        assert program.stop() == 0


def test_nothing_listens_in_vain(tmp_path):
    with Program(tmp_path / "d") as program:
        program.rpc().call("health")
        time.sleep(0.5)
        ticks = program.cpu_ticks()
        time.sleep(3)
        assert program.cpu_ticks() - ticks <= 1
        assert program.stop() == 0


def test_descriptors_run_out_for_connections_and_not_for_the_engine(tmp_path):
    with Program(tmp_path / "d", files=200) as program:
        r = program.rpc()
        r.call("required_collection", collection_name="docs", dim=4)
        crowd, told = [], set()
        for _ in range(150):
            s = program.connect(5)
            s.sendall(http_bytes("POST", "/list_databases"))
            crowd.append(s)
        for s in crowd:
            try:
                status, headers, _, _ = read_response(s)
                told.add(status)
                assert status != 503 or "retry-after" in headers
            except (Closed, OSError):
                told.add(None)
        assert 503 in told, told
        for i in range(20):  # new files are made for these
            r.call("required_collection", collection_name=f"c{i}", dim=4)
        r.call("add", collection_name="docs", ids=[1], vectors=[[1.0, 2, 3, 4]])
        ticks = program.cpu_ticks()
        time.sleep(1)
        assert program.cpu_ticks() - ticks <= 5, "it does not spin"
        for s in crowd:
            s.close()
        wait_until(lambda: http(program.connect(), "GET", "/healthz")[0] == 200)
        assert program.stop() == 0


def test_memory_does_not_grow(tmp_path):
    rounds, each = 5, 10000
    with Program(tmp_path / "d") as program:
        r = program.rpc()
        r.call("required_collection", collection_name="docs", dim=4)
        r.call("add", collection_name="docs", ids=[1, 2, 3, 4], vectors=[[1.0, 2, 3, 4]] * 4)
        sizes = []
        for _ in range(rounds + 1):
            for _ in range(each // 100):
                r.socket.sendall(
                    b"".join(msgpack.packb([0, n, "search", SEARCH]) for n in range(100))
                )
                for _ in range(100):
                    assert r.read()[1] is None
            sizes.append(program.status("VmRSS"))
        assert sizes[-1] - sizes[0] < 1024 or IS_SANITIZED, f"KiB after 10,000 requests: {sizes}"
        assert program.stop() == 0


# ---- What came whole, and what is owed ----


def test_what_came_whole_before_the_end_is_answered(server):
    """Also what was more than may be under way at once."""
    search = {**SEARCH, "where": "nothing = 1"}  # runs on a worker: one after the other over HTTP
    with server.connect() as s:
        s.sendall(http_bytes("POST", "/search", json.dumps(search).encode()) * 20)
        s.shutdown(socket.SHUT_WR)
        assert read_to_end(s).count(b"HTTP/1.1 200") == 20
    with server.connect() as s:
        s.sendall(b"".join(msgpack.packb([0, n, "search", search]) for n in range(500)))
        s.shutdown(socket.SHUT_WR)
        answers = msgpack.Unpacker(strict_map_key=False)
        answers.feed(read_to_end(s))
        assert sorted(a[1] for a in answers if a[2] is None) == list(range(500))


def test_notifications_before_the_end_are_carried_out(server):
    r = server.rpc()
    r.call("required_collection", collection_name="told", dim=1)
    with server.connect() as s:
        for n in range(500):
            params = {"collection_name": "told", "ids": [n], "vectors": [[1.0]]}
            s.sendall(msgpack.packb([2, "add", params]))
        s.shutdown(socket.SHUT_WR)
        assert read_to_end(s) == b""
    assert r.call("count", collection_name="told")["count"] == 500
    r.call("drop_collection", collection_name="told")
    r.close()


def test_half_a_request_behind_whole_ones_is_refused_once(server):
    with server.connect() as s:
        whole = http_bytes("POST", "/search", json.dumps(SEARCH).encode())
        s.sendall(whole * 3 + whole[:-5])
        s.shutdown(socket.SHUT_WR)
        answer = read_to_end(s)
    assert answer.count(b"HTTP/1.1 200") == 3 and answer.count(b"HTTP/1.1 400") == 1


def test_http_1_0_is_told_whether_the_connection_stays(server):
    with server.connect() as s:
        for _ in range(2):
            s.sendall(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert read_response(s)[1]["connection"] == "keep-alive"
        s.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert read_response(s)[1]["connection"] == "close"
        assert read_to_end(s) == b""


def test_fields_are_as_deep_on_both_protocols(server):
    fields = 1
    for _ in range(32):
        fields = {"a": fields}
    r = server.rpc()
    r.call("required_collection", collection_name="deep", dim=1)
    params = {"collection_name": "deep", "ids": [1], "vectors": [[1.0]], "fields": [fields]}
    r.call("upsert", **params)
    with server.connect() as s:
        assert http(s, "POST", "/upsert", params)[0] == 200
    with pytest.raises(RpcError, match="nesting of 33"):
        r.call("upsert", **{**params, "fields": [{"a": fields}]})
    assert r.call("get", collection_name="deep", ids=[1])["items"]["fields"] == [fields]
    r.call("drop_collection", collection_name="deep")
    r.close()


def test_strangers_learn_no_names_of_methods(tmp_path):
    with Program(tmp_path / "d", "--api-key", "key") as program:
        for method in ("serch", "search"):
            with pytest.raises(RpcError, match="UNAUTHORIZED"):
                program.rpc().call(method)
        assert program.stop() == 0


def engine_bytes(r):
    text = r.call("metrics")
    return int(re.search(r"^lynse_engine_memory_bytes (\d+)$", text, re.M).group(1))


def test_answers_under_way_are_bounded(tmp_path):
    """What is found for callers who do not read it counts, and goes with their requests."""
    with Program(tmp_path / "d", "--held-limit-mb", "32", "--out-limit-mb", "64") as program:
        r = program.rpc()
        r.call("required_collection", collection_name="docs", dim=1)
        for n in range(0, 40, 8):
            r.call("add", collection_name="docs", ids=list(range(n, n + 8)),
                   vectors=[[1.0]] * 8, fields=[{"text": "x" * 1000000}] * 8)
        before = engine_bytes(r)
        with pytest.raises(RpcError, match=r"TOO_LARGE.*in parts"):
            r.call("query", collection_name="docs")
        assert len(r.call("query", collection_name="docs", limit=10)["result"]) == 10
        for _ in range(20):
            r.send("query", collection_name="docs", limit=10)
        answers = [r.read() for _ in range(20)]
        assert {error[2]["name"] for _, error, _ in answers if error} == {"BUSY"}
        assert any(error is None for _, error, _ in answers)
        for _ in range(5):
            with program.connect() as s:
                s.sendall(msgpack.packb([0, 1, "query", {"collection_name": "docs", "limit": 10}]))
        wait_until(lambda: engine_bytes(r) < before + (4 << 20))
        assert program.stop() == 0


def test_the_engine_has_a_budget(tmp_path):
    with Program(tmp_path / "d", "--memory-limit-mb", "64") as program:
        r = program.rpc()
        r.call("required_collection", collection_name="docs", dim=1)
        r.call("add", collection_name="docs", vectors=[[float(n)] for n in range(2000)])
        queries = struct.pack("<10000f", *range(10000))
        with pytest.raises(RpcError, match="NO_MEMORY"):
            r.call("batch_search", collection_name="docs", k=2000, raw=True,
                   vectors={"shape": [10000, 1], "data": queries})
        assert r.call("search", collection_name="docs", vector=[1.0], k=3)["items"]["k"] == 3
        assert program.stop() == 0
