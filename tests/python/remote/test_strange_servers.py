# SPDX-License-Identifier: Apache-2.0
"""Servers that are none of ours: whatever they answer is an error of lynse's, and in time."""

import contextlib
import socket
import threading
import time

import lynse
import msgpack
import numpy as np
import pytest
from fake_server import Fake
from lynse.errors import Deadline, Internal, LynseError

STRANGE = [5, None, {}, [], "x", b"x", True, {"params": 5}, {"ids": 5}, [[]] * 3]
HITS = {"ids": 5, "scores": 5, "ends": 5, "dim": "x", "metric": 5, "skipped_hooks": 5}
INFO = {
    "dim": 2, "metric": "ip", "sync": "always", "live_count": 0, "deleted_count": 0,
    "max_id": None, "is_read_only": False, "index_mode": "FLAT-IP", "directory": "d",
    "description": None,
}  # fmt: skip
OPENING = {"list_databases": {"databases": ["default"]}, "collection_info": INFO,
           "database_exists": {"exists": True}, "is_collection_exists": {"exists": True},
           "show_collections": {"collections": ["docs"]}}  # fmt: skip
CALLS = {
    "list_databases": lambda client, docs: client.list_databases(),
    "show_collections": lambda client, docs: client.get_database("default").show_collections(),
    "collection_info": lambda client, docs: docs.shape,
    "list_fields": lambda client, docs: docs.list_fields(),
    "verify": lambda client, docs: docs.verify(),
    "add": lambda client, docs: docs.add(vectors=np.ones((1, 2), np.float32)),
    "delete": lambda client, docs: docs.delete(1),
    "batch_search": lambda client, docs: docs.search(np.ones(2, np.float32), k=1),
    "get": lambda client, docs: docs.get(1),
    "query": lambda client, docs: docs.query(where="a = 1"),
    "count": lambda client, docs: docs.count(where="a = 1"),
    "is_id_exists": lambda client, docs: docs.is_id_exists(1),
    "head": lambda client, docs: docs.head(1),
    "list_deleted_ids": lambda client, docs: docs.list_deleted_ids(),
    "list_hooks": lambda client, docs: docs.hooks(),
}
KEYS = {"batch_search": "results", "get": "items", "query": "result", "head": "head",
        "list_deleted_ids": "ids"}  # fmt: skip


class Strange:
    """Answers what it is told to; of what it is not told what opens a collection."""

    def __init__(self):
        self.told = {}
        fake = Fake(*[self._act] * 3)
        self.uri = fake.uri

    def _act(self, connection, requests):
        for request in requests:
            method = request[2]
            result = self.told.get(method, OPENING.get(method))
            connection.sendall(msgpack.packb([1, request[1], None, result]))


@pytest.fixture(scope="module")
def strange():
    server = Strange()
    client = lynse.VectorDBClient(server.uri)
    return server, client, client.get_database("default").get_collection("docs")


@pytest.mark.parametrize("method", CALLS)
def test_an_answer_of_another_shape_is_internal(strange, method):
    server, client, docs = strange
    key = KEYS.get(method, "count")
    names = ("databases", "collections", "fields", "hooks", "exists", "row_count", "first_id",
             "is_id_exists", "count")  # fmt: skip
    nested = [dict.fromkeys((*names, key), value) for value in (*STRANGE[:6], HITS)]
    empty = {**HITS, "ids": [], "ends": [0, 0], "scores": [], "fields": [], "skipped_hooks": []}
    for told in (*STRANGE, *nested, {key: empty}, {key: {**empty, "ids": [None], "ends": [1]}}):
        server.told = {method: told}
        try:
            CALLS[method](client, docs)  # some of it may pass for an answer
        except LynseError as error:
            assert isinstance(error, Internal), error
    server.told = {method: 5}
    with pytest.raises(Internal, match=f"answer to {method} is none"):
        CALLS[method](client, docs)


def serve_http(*answers):
    """A server that gives each connection one of these: bytes, or a function of the socket."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        for answer in answers:
            connection, _ = listener.accept()
            threading.Thread(target=act, args=(connection, answer), daemon=True).start()

    def act(connection, answer):
        connection.recv(65536)
        with contextlib.suppress(OSError):
            answer(connection) if callable(answer) else connection.sendall(answer)

    threading.Thread(target=run, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/msgpack\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: %d\r\n\r\n" % (1 << 62),
        HEAD + b"Content-Length: %d\r\n\r\n" % (1 << 80),
        HEAD + b"Content-Length: 3\r\n\r\n\x81\x90\x01",  # a list as a key
        HEAD + b"Content-Length: 5\r\n\r\n\xdd\xff\xff\xff\xff",
        HEAD + b"Content-Length: 1\r\n\r\n\x05",
        HEAD + b"Content-Length: 5000\r\n\r\n" + b"\x91" * 5000,
        b"HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100000,
    ],
)
def test_bytes_of_a_strange_server_of_http(answer):
    with pytest.raises(Internal):
        lynse.VectorDBClient(serve_http(answer))


@pytest.mark.parametrize("head", [b"", HEAD + b"Content-Length: 1000\r\n\r\n", HEAD + b"\r\n"])
def test_drops_of_an_answer_end_with_the_call(head, monkeypatch):
    monkeypatch.setattr("lynse.transport.LONGEST_CALL_S", 0.3)
    monkeypatch.setattr("lynse.transport.GRACE_S", 0.2)

    def drip(connection):
        connection.sendall(head)
        for byte in HEAD if not head else b"\xc0" * 1000:
            connection.sendall(bytes([byte]))
            time.sleep(0.1)

    begun = time.monotonic()
    with pytest.raises(Deadline):
        lynse.VectorDBClient(serve_http(drip, drip))
    assert time.monotonic() - begun < 3
