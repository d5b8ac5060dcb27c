# SPDX-License-Identifier: Apache-2.0
"""The program under test, once for the session, and a client of each protocol written out."""

import http.client
import itertools
import json
import os
import pathlib
import socket
import sys

import msgpack
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from served import Served  # noqa: E402

BUILD = os.environ.get("LYNSE_BUILD", str(ROOT / "build" / "release"))
OPTIONS = ("--scripts", str(ROOT / "tests" / "methods" / "scripts"))  # a method of an operator's


class RpcError(Exception):
    """What an answer of msgpack-RPC has as its error."""

    def __init__(self, error):
        super().__init__(error[1])
        self.code, self.text, self.name = error[0], error[1], error[2]["name"]


class Rpc:
    """Calls one after the other over one connection."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._unpacker = msgpack.Unpacker(max_buffer_size=1 << 30)
        self._numbers = itertools.count(1)

    def answer(self):
        while True:
            for message in self._unpacker:
                return message
            received = self._socket.recv(1 << 16)
            assert received, "the server closed the connection"
            self._unpacker.feed(received)

    def call(self, method, params):
        number = next(self._numbers)
        self._socket.sendall(msgpack.packb([0, number, method, params]))
        kind, answered, error, result = self.answer()
        assert (kind, answered) == (1, number)
        if error is not None:
            raise RpcError(error)
        return result

    def __call__(self, method, *positional, **named):
        return self.call(method, [*positional, named] if positional else named)

    def close(self):
        self._socket.close()


class Http:
    """Requests one after the other over one connection; `status` is that of the last answer."""

    def __init__(self, port):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.status = None
        self.headers = {}

    def send(self, verb, path, body=None, **headers):
        self._connection.request(verb, path, body, headers)
        answer = self._connection.getresponse()
        self.status, self.headers = answer.status, dict(answer.getheaders())
        return answer.read()

    def get(self, path):
        return json.loads(self.send("GET", path))

    def post(self, path, **body):
        packed = json.dumps(body)
        return json.loads(self.send("POST", path, packed, **{"content-type": "application/json"}))

    def params(self, path, **body):
        answer = self.post(path, **body)
        assert self.status == 200, answer
        assert answer["status"] == "success"
        return answer["params"]

    def close(self):
        self._connection.close()


@pytest.fixture(scope="session")
def served():
    with Served(BUILD, *OPTIONS) as running:
        yield running
        assert running.process.poll() is None, "the server ended"


@pytest.fixture
def rpc(served):
    client = Rpc(served.port)
    yield client
    client.close()


@pytest.fixture
def web(served):
    client = Http(served.port)
    yield client
    client.close()


@pytest.fixture
def docs(rpc, request):
    """The names of a collection of three dimensions with three records: 1, 2 and "x"."""
    names = {"database_name": "tests", "collection_name": request.node.name[:100].partition("[")[0]}
    rpc("required_collection", dim=3, drop_if_exists=True, **names)
    rpc(
        "add", ids=[1, 2, "x"], vectors=[[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        fields=[{"a": 1}, {"a": 2}, None], **names,
    )  # fmt: skip
    return names
