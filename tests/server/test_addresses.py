# SPDX-License-Identifier: Apache-2.0
"""connections_per_address: one address does not take the connections of all others."""

import re
import socket

import pytest
from program import Closed, Program, Rpc, RpcError, http, http_bytes, read_response, wait_until

LIMIT, TOLD = 5, 8  # as many over the limit are told why


@pytest.fixture
def program(tmp_path):
    with Program(
        tmp_path / "data", "--workers", "2", "--connections-per-address", str(LIMIT)
    ) as program:
        yield program
        assert program.stop() == 0


def connect_from(program, address):
    """All of 127.0.0.0/8 is this machine."""
    return socket.create_connection(("127.0.0.1", program.port), 20, (address, 0))


def fill(program, count=LIMIT):
    crowd = [program.rpc() for _ in range(count)]
    for r in crowd:
        assert r.call("health") == {"status": "ok"}
    return crowd


def refused(program):
    with connect_from(program, "127.0.0.99") as s:
        s.sendall(http_bytes("GET", "/metrics"))
        text = read_response(s)[2].decode()
    found = re.findall(r'^lynse_refused_connections_total{reason="(\w+)"} (\d+)', text, re.M)
    return {reason: int(count) for reason, count in found}


def test_who_has_too_many_is_told(program):
    crowd = fill(program)
    r = program.rpc()
    with pytest.raises(
        RpcError, match=r"5 connections of this address .*connections_per_address"
    ) as failed:
        r.call("list_databases")
    assert failed.value.name == "BUSY"
    with pytest.raises((Closed, OSError)):
        r.call("list_databases")
    with program.connect() as s:
        s.sendall(http_bytes("POST", "/list_databases"))
        status, headers, _, _ = read_response(s)
        assert status == 503 and int(headers["retry-after"]) >= 1
    with program.connect() as s:
        assert http(s, "GET", "/healthz") == (200, {"status": "ok"})
    assert refused(program) == {"connections_max": 0, "connections_per_address": 3}
    for r in crowd:
        assert "databases" in r.call("list_databases")


def test_others_are_not_concerned(program):
    fill(program)
    for address in ("127.0.0.2", "127.1.2.3"):
        for _ in range(LIMIT):
            assert Rpc(connect_from(program, address)).call("list_databases")
    for _ in range(3 * LIMIT):
        s = socket.socket(socket.AF_UNIX)
        s.connect(program.socket_path)
        assert Rpc(s).call("list_databases")


def test_a_place_is_free_again(program):
    crowd = fill(program)
    for _ in range(20):
        crowd.pop().close()

        def enters():
            r = program.rpc()
            try:
                r.call("list_databases")
            except (RpcError, Closed, OSError):
                return False
            crowd.append(r)
            return True

        wait_until(enters)
    assert len(crowd) == LIMIT


def test_a_flood_is_closed_and_forgotten(program):
    crowd = fill(program)
    flood = [program.connect() for _ in range(200)]
    closed = 0
    for s in flood:
        s.settimeout(0.01)
        try:
            closed += s.recv(1) == b""
        except TimeoutError:
            pass
        except OSError:
            closed += 1
    assert closed >= 200 - TOLD
    assert Rpc(connect_from(program, "127.0.0.3")).call("list_databases")
    assert refused(program)["connections_per_address"] == 200
    for s in (*flood, *(r.socket for r in crowd)):
        s.close()
    wait_until(lambda: b"lynse_connections 1\n" in metrics_from(program, "127.0.0.4"))
    fill(program)


def metrics_from(program, address):
    with connect_from(program, address) as s:
        s.sendall(http_bytes("GET", "/metrics"))
        return read_response(s)[2]


def test_without_a_limit(tmp_path):
    with Program(tmp_path / "data", "--connections-per-address", "0") as program:
        assert len(fill(program, 1100)) == 1100
        assert program.stop() == 0
