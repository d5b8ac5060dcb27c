# SPDX-License-Identifier: Apache-2.0
"""What pages of the web may make a browser on this machine ask of a server without a key."""

import pytest
from program import http, http_bytes, read_response


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8080", 200),
        ("https://127.0.0.1", 200),
        ("http://[::1]:80", 200),
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
