# SPDX-License-Identifier: Apache-2.0
"""What pages of the web may make a browser on this machine ask of a server without a key."""

import json
import socket

import pytest
from program import Program, http, http_bytes, read_response


def ask(s, host, *headers):
    lines = [f"GET /healthz HTTP/1.{int(host is not None)}", "Connection: keep-alive", *headers]
    lines += [] if host is None else [f"Host: {host}"]
    s.sendall("\r\n".join([*lines, "", ""]).encode())
    return read_response(s)[0]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8080", 200),
        ("https://127.0.0.1", 200),
        ("http://[::1]:80", 200),
        ("http://shop.localhost:80", 200),
        ("http://localhost.", 403),
        ("http://127.0.0.1.example.org", 403),
        ("http://127.example.org", 403),
        ("http://localhost.example.org", 403),
        ("https://example.org", 403),
        ("http://127.0.0.1@example.org", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_pages_of_elsewhere_are_refused_without_a_key(server, origin, status):
    """What a browser sends for a page without asking first: a POST of text."""
    with server.connect() as s:
        for _ in range(2):
            s.sendall(http_bytes("POST", "/create_database", b'{"database_name": "page"}',
                                 f"Origin: {origin}", "Content-Type: text/plain"))
            assert read_response(s)[0] == status
        assert ("page" in http(s, "POST", "/list_databases")[1]["params"]["databases"]) == (
            status == 200)
        http(s, "POST", "/drop_database", {"database_name": "page"})


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LocalHost:7637", 200),
        ("shop.localhost:80", 200),
        ("127.0.0.1:1", 200),
        ("127.8.8.8", 200),
        ("[::1]:7637", 200),
        (None, 200),  # HTTP/1.0: no browser
        ("example.org", 403),
        ("localhost.example.org:7637", 403),
        ("127.0.0.1.example.org", 403),
        ("notlocalhost", 403),
        (".localhost.example", 403),
        ("[::2]", 403),
        ("10.0.0.1", 403),
        ("", 403),
    ],
)
def test_a_name_of_elsewhere_is_refused_without_a_key(server, host, status):
    """What a page can do whose name leads to this machine since: the browser takes it for ours."""
    with server.connect() as s:
        assert [ask(s, host), ask(s, host)] == [status] * 2
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(server.socket_path)
        assert ask(s, host) == 200


def test_strangers_are_told_no_path(tmp_path):
    with Program(tmp_path / "d", "--api-key", "key") as program:
        with program.connect() as s:
            assert http(s, "GET", "/readyz") == (200, {"status": "ready"})
            s.sendall(http_bytes("GET", "/readyz", b"", "Authorization: Bearer key"))
            assert json.loads(read_response(s)[2])["root_path"] == str(tmp_path / "d")
        r = program.rpc()
        assert r.call("ready") == {"status": "ready"}
        r.call("authenticate", api_key="key")
        assert r.call("ready")["root_path"] == str(tmp_path / "d")
        assert program.stop() == 0


def test_with_a_key_any_name_will_do(tmp_path):
    with Program(tmp_path / "d", "--api-key", "key") as program:
        with program.connect() as s:
            assert ask(s, "example.org", "Origin: http://example.org") == 200
        assert program.stop() == 0
