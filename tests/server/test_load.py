# SPDX-License-Identifier: Apache-2.0
"""While all that works is at work: deadlines hold, whoever goes away is forgotten, the sick are
told, and questions about health are answered."""

import array
import socket
import struct
import time

import msgpack
import pytest
from program import (
    IS_SANITIZED,
    Program,
    Rpc,
    RpcError,
    http,
    http_bytes,
    read_response,
    wait_until,
)

DIM, ROWS, QUERIES = 64, 40000, 4000
pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="figures of the release build")


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A server with a collection in which one request has seconds of work."""
    with Program(
        tmp_path_factory.mktemp("busy") / "data",
        "--workers",
        "1",
        "--calls-max",
        "64",
        "--held-limit-mb",
        "160",
    ) as program:
        r = program.rpc()
        # By a metric that no shadow helps: all of the numbers are looked at.
        r.call(
            "required_collection",
            collection_name="large",
            dim=DIM,
            metric="canberra",
        )
        block = array.array("f", [float(i % 97) for i in range(DIM * 10000)]).tobytes()
        for first in range(0, ROWS, 10000):
            r.call(
                "add", collection_name="large", ids=list(range(first, first + 10000)), vectors=block
            )
        yield program
        assert program.stop() == 0


VECTORS = array.array("f", [float(i % 89) for i in range(DIM * QUERIES)]).tobytes()


def heavy(number=1, **more):
    return msgpack.packb(
        [
            0,
            number,
            "batch_search",
            {"collection_name": "large", "vectors": VECTORS, "k": 10, **more},
        ]
    )


def heavy_body():
    row = b"[" + b",".join([b"1.5"] * DIM) + b"]"
    return b'{"collection_name":"large","k":10,"vectors":[' + b",".join([row] * QUERIES) + b"]}"


def is_idle(program):
    ticks = program.cpu_ticks()
    time.sleep(0.3)
    return program.cpu_ticks() - ticks <= 2


def test_a_deadline_ends_a_search(busy):
    s = busy.connect(60)
    begun = time.monotonic()
    s.sendall(heavy(timeout_ms=150))
    _, error, _ = Rpc(s).read()
    assert error[2]["name"] == "DEADLINE" and time.monotonic() - begun < 1
    s.close()
    with busy.connect(60) as s:
        s.sendall(http_bytes("POST", "/batch_search", heavy_body(), "X-Lynse-Timeout-Ms: 150"))
        assert read_response(s)[0] == 504
    wait_until(lambda: is_idle(busy))


def test_what_waits_past_its_deadline_is_never_begun(busy):
    s = busy.connect(60)
    s.sendall(b"".join(heavy(n, timeout_ms=300) for n in range(40)))
    r, begun = Rpc(s), time.monotonic()
    names = [r.read()[1][2]["name"] for _ in range(40)]
    assert set(names) == {"DEADLINE"} and time.monotonic() - begun < 3
    s.close()


@pytest.mark.parametrize("is_reset", [False, True])
def test_who_goes_away_is_worked_for_no_more(busy, is_reset):
    s = busy.connect(60)
    s.sendall(b"".join(heavy(n, timeout_ms=600000) for n in range(20)))
    time.sleep(0.3)
    if is_reset:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    wait_until(lambda: is_idle(busy), 6)
    with busy.connect(60) as s:  # of HTTP too, though its connection is busy with the request
        s.sendall(http_bytes("POST", "/batch_search", heavy_body(), "X-Lynse-Timeout-Ms: 600000"))
        time.sleep(0.5)
    wait_until(lambda: is_idle(busy), 6)


def calls_under_way(program):
    with program.connect() as h:
        h.sendall(http_bytes("GET", "/metrics"))
        text = read_response(h)[2].decode()
    return int(text.split("\nlynse_engine_calls_in_flight ")[1].split()[0])


def test_health_is_told_and_more_work_refused_while_all_is_busy(busy):
    s = busy.connect(60)
    others = [busy.connect(60) for _ in range(3)]
    for n, other in enumerate([s, *others]):
        other.sendall(b"".join(heavy(n * 100 + i, timeout_ms=20000) for i in range(17)))
    # Metrics that are asked for before all of them have come wait for a worker, behind seconds of
    # searches: the first look is when they have.
    time.sleep(1)
    wait_until(lambda: calls_under_way(busy) >= 64)
    times = []
    for path in ("/healthz", "/readyz", "/metrics") * 5:
        begun = time.monotonic()
        with busy.connect() as h:
            h.sendall(http_bytes("GET", path))
            assert read_response(h)[0] == 200, path
        times.append(time.monotonic() - begun)
    with busy.connect() as h:
        body = b'{"collection_name":"large","where":"x = 1"}'
        h.sendall(http_bytes("POST", "/count", body))
        status, headers, _, _ = read_response(h)
    assert status == 503 and int(headers["retry-after"]) >= 1
    assert max(times) < 1, times
    r = busy.rpc()
    with pytest.raises(RpcError) as refused:
        r.call("count", collection_name="large", where="x = 1")
    assert refused.value.name == "BUSY"
    r.close()
    for other in (s, *others):
        other.close()
    wait_until(lambda: is_idle(busy), 8)
    with busy.connect() as h:  # what could not be asked meanwhile is not forgotten
        h.sendall(http_bytes("GET", "/metrics"))
        assert b'collection="large"' in read_response(h)[2]


def test_bytes_of_requests_have_a_budget(busy):
    """Bodies of 30 MB that stop at 20, from many: it takes so many, and tells the others."""
    crowd, refused = [], 0
    part = b"x" * (1 << 20)
    for _ in range(12):
        s = busy.connect(30)
        s.sendall(b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30000000\r\n\r\n")
        crowd.append(s)
        try:
            for _ in range(20):
                s.sendall(part)
        except OSError:
            refused += 1
    for s in crowd:
        s.settimeout(0.2)
        try:
            if read_response(s)[0] == 503:
                refused += 1
        except OSError:
            pass
    assert refused >= 3
    assert busy.status("VmRSS") < 500 << 10
    with busy.connect() as s:
        assert http(s, "GET", "/healthz")[0] == 200
    r = busy.rpc()
    assert r.call("count", collection_name="large")["count"] == ROWS, "small ones go on"
    r.close()
    for s in crowd:
        s.close()
