# SPDX-License-Identifier: Apache-2.0
"""Bodies of JSON that are too large to be decoded on the loop: the same answers, in order."""

import json
import select
import socket
import struct

import pytest
from program import Program, http_bytes, read_response, wait_until

JSON = "Content-Type: application/json"


def searches(at_least):
    """A search whose body has so many bytes: what its vector lacks is spaces."""
    body = b'{"collection_name":"docs","vector":[1,0,0,0],"k":1' + b" " * at_least + b"}"
    return http_bytes("POST", "/search", body, JSON)


@pytest.mark.parametrize("size", [0, 262000, 262143, 262144, 262145, 3000000])
def test_a_body_of_any_size_is_answered_alike(server, size):
    with server.connect() as s:
        s.sendall(searches(size))
        status, _, answer, _ = read_response(s)
        assert status == 200
        assert len(json.loads(answer)["params"]["items"]["ids"]) == 1


def test_answers_keep_their_order(server):
    """A small request behind a large one, in one go."""
    count = http_bytes("POST", "/count", b'{"collection_name":"docs"}', JSON)
    with server.connect() as s:
        s.sendall((searches(1000000) + count) * 3)
        kept, seen = b"", []
        for _ in range(6):
            status, _, answer, kept = read_response(s, kept)
            seen.append((status, "items" in json.loads(answer)["params"]))
    assert seen == [(200, True), (200, False)] * 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda body: body[:-1], "at the end of the JSON"),
        (lambda body: body + b"x", "expected the end of the JSON"),
        (lambda body: b"[" + body + b"]", "must be a JSON object"),
        (lambda body: body.replace(b"docs", b"d\xffcs"), "not UTF-8"),
    ],
)
def test_what_is_wrong_with_it_is_said(server, change, said):
    body = b'{"collection_name":"docs","vector":[1,0,0,0],"k":1' + b" " * 300000 + b"}"
    with server.connect() as s:
        s.sendall(http_bytes("POST", "/search", change(body), JSON))
        status, _, answer, _ = read_response(s)
        assert status == 400 and said in json.loads(answer)["error"]
        s.sendall(searches(0))  # the connection can be used further
        assert read_response(s)[0] == 200


def in_flight(program):
    """Requests, of which the one that asks is one, and calls."""
    with program.connect() as s:
        s.sendall(http_bytes("GET", "/metrics"))
        text = read_response(s)[2].decode()
    return [int(text.split(f"\nlynse_{name}_in_flight ")[1].split("\n")[0])
            for name in ("requests", "engine_calls")]


def hang_up(s):
    """So that the server is told at once."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def test_a_caller_that_goes_away_meanwhile_leaves_nothing(tmp_path):
    with Program(tmp_path / "d", "--workers", "1") as program:
        program.rpc().call("required_collection", collection_name="docs", dim=4)
        for _ in range(20):
            s = program.connect()
            s.sendall(searches(2000000))
            hang_up(s)
        wait_until(lambda: in_flight(program) == [1, 0])
        assert program.stop() == 0


@pytest.mark.parametrize("end", [b"}", b"]"])
def test_one_that_goes_away_while_its_body_is_decoded(tmp_path, end):
    """Right or wrong: whoever would be told is gone."""
    body = b'{"collection_name":"docs","vector":[' + b"1.5," * (8 << 20) + b'0],"k":1' + end
    with Program(tmp_path / "d", "--workers", "1") as program:
        for _ in range(3):
            s = program.connect()
            s.sendall(http_bytes("POST", "/search", body, JSON))
            wait_until(lambda s=s: in_flight(program)[1] == 1 or select.select([s], [], [], 0)[0])
            hang_up(s)
            wait_until(lambda: in_flight(program) == [1, 0])
        assert program.stop() == 0


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_strangers_have_no_large_bodies(tmp_path, framing):
    """Of methods that need no key, either: it would be kept, and decoded, for nobody."""
    def ask(program, size, *headers):
        body = b"{" + b" " * size + b"}"
        sent = http_bytes("POST", "/health", body, *headers)
        if framing == "chunked":
            sent = http_bytes("POST", "/health", b"", "Transfer-Encoding: chunked", *headers)
            sent = sent.replace(b"Content-Length: 0\r\n", b"")
            sent += b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        with program.connect() as s:
            s.sendall(sent)
            return read_response(s)[0]

    with Program(tmp_path / "d", "--api-key", "key") as program:
        assert ask(program, 60000) == 200
        assert ask(program, 1 << 20) == 401
        assert ask(program, 1 << 20, "Authorization: Bearer key") == 200
        assert program.stop() == 0
