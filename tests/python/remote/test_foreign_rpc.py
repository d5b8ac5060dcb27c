# SPDX-License-Identifier: Apache-2.0
"""msgpack-RPC as its specification has it, by a client that is not ours: msgpack and a socket."""

import socket

import msgpack
import numpy as np
import pytest


class Client:
    def __init__(self, server):
        self._socket = socket.create_connection(("127.0.0.1", server.port), 30)
        self._unpacker = msgpack.Unpacker()
        self._number = 0

    def send(self, method, *params):
        self._number += 1
        self._socket.sendall(msgpack.packb([0, self._number, method, list(params)]))
        return self._number

    def receive(self):
        """(number, error, result) of the next response."""
        while True:
            for kind, *rest in self._unpacker:
                assert kind == 1
                return rest
            data = self._socket.recv(65536)
            assert data, "closed"
            self._unpacker.feed(data)

    def call(self, method, *params):
        number = self.send(method, *params)
        answered, error, result = self.receive()
        assert answered == number
        assert error is None, error
        return result

    def close(self):
        self._socket.close()


@pytest.fixture
def rpc(served):
    client = Client(served())
    client.call("authenticate", served().api_key)
    client.call("create_database", {"database_name": "foreign", "drop_if_exists": True})
    yield client
    client.close()


DOCS = {"collection_name": "docs", "database_name": "foreign"}


def test_by_name_and_by_position(rpc):
    rpc.call("required_collection", {**DOCS, "dim": 2})
    rows = {"ids": [1, "b"], "vectors": [[1, 0], [0, 1]], "fields": [{"n": 1}, None]}
    assert rpc.call("add", {**DOCS, **rows})["ids"] == [1, "b"]
    by_name = rpc.call("search", {**DOCS, "vector": [1, 0], "k": 1})["items"]
    by_position = rpc.call("search", "docs", [1, 0], 1, {"database_name": "foreign"})["items"]
    assert by_name == by_position
    assert (by_name["ids"], by_name["scores"]) == ([1], [1.0])


def test_vectors_as_bins(rpc):
    rpc.call("required_collection", {**DOCS, "dim": 4})
    vectors = np.arange(8, dtype="<f4")
    rows = {"ids": [1, 2], "vectors": vectors.tobytes()}
    rpc.call("add", {**DOCS, **rows})
    found = rpc.call("get", {**DOCS, "ids": [2], "return_vectors": True})["items"]
    assert found["vectors"] == [[4, 5, 6, 7]]


def test_answers_are_told_apart_by_their_numbers(rpc):
    rpc.call("required_collection", {**DOCS, "dim": 2})
    sent = {rpc.send("count", DOCS) for _ in range(50)} | {rpc.send("list_databases")}
    got = {}
    while len(got) < len(sent):
        number, error, result = rpc.receive()
        assert error is None and number not in got
        got[number] = result
    assert set(got) == sent


def test_an_error_has_a_code_a_text_and_a_name(rpc):
    rpc.send("count", {**DOCS, "colection_name": "docs"})
    _, (code, text, more), result = rpc.receive()
    assert result is None and isinstance(code, int)
    assert "did you mean 'collection_name'?" in text
    assert more["name"] == "INVALID"
    rpc.send("serch")
    _, (_, text, more), _ = rpc.receive()
    assert more["name"] == "NOT_FOUND" and "did you mean 'search'?" in text


def test_a_notification_is_not_answered(rpc):
    rpc._socket.sendall(msgpack.packb([2, "create_database", [{"database_name": "noted"}]]))
    while not rpc.call("database_exists", {"database_name": "noted"})["exists"]:
        pass  # the notification is under way; every response is one to a request
    rpc.call("drop_database", {"database_name": "noted"})


def test_without_the_key_only_public_methods_answer(served):
    client = Client(served())
    assert client.call("health") == {"status": "ok"}
    client.send("list_databases")
    _, (_, _, more), _ = client.receive()
    assert more["name"] == "UNAUTHORIZED"
    client.close()
