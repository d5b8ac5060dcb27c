# SPDX-License-Identifier: Apache-2.0
"""A server of msgpack-RPC that hangs up when it is told to."""

import socket
import threading

import msgpack


class Fake:
    """A server of msgpack-RPC that does to each connection what it is told: a list of functions
    of (connection, requests it gets)."""

    def __init__(self, *acts):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"lynse://127.0.0.1:{self._listener.getsockname()[1]}"
        self.seen = []
        self._acts = acts
        self._open = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        for act in self._acts:
            connection, _ = self._listener.accept()
            self._open.append(connection)
            act(connection, self._requests(connection))

    def _requests(self, connection):
        unpacker = msgpack.Unpacker()
        while data := connection.recv(65536):
            unpacker.feed(data)
            for request in unpacker:
                self.seen.append(request[2])
                yield request


def answer(count):
    """Answers so many requests, then hangs up."""

    def act(connection, requests):
        for _ in range(count):
            request = next(requests)
            result = {"databases": [], "exists": True, "count": 7}
            connection.sendall(msgpack.packb([1, request[1], None, result]))
        connection.close()

    return act


def hang_up_after(count, requests_read):
    def act(connection, requests):
        for _ in range(count):
            request = next(requests)
            connection.sendall(msgpack.packb([1, request[1], None, {"databases": []}]))
        for _ in range(requests_read):
            next(requests)
        connection.close()

    return act


class Vanishing(Fake):
    """Reads one request, and is gone."""

    def __init__(self):
        super().__init__(self._vanish)

    def _vanish(self, connection, requests):
        next(requests)
        self._listener.close()
        connection.close()
