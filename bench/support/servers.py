# SPDX-License-Identifier: Apache-2.0
"""Servers of the benchmarks: started on a port of their own, filled, asked, stopped."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator

import msgpack
import numpy as np
from support.peers import peer_python
from support.results import DATA, ROOT, build_program, fresh, run

LOAD = "bench_server"
DATABASE = "bench"
PROGRAM = ROOT / "build" / "release" / "bin" / "lynse"


def free_port() -> int:
    """Below 32,000: LynseDB listens 10,000 above its port too."""
    for port in range(20000, 32000):
        with contextlib.closing(socket.socket()) as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            if port not in taken:
                taken.add(port)
                return port
    raise RuntimeError("no port is free")


taken: set[int] = set()


class Server:
    """A process that listens; `with` ends it."""

    def __init__(self, name: str, command: list[object], port: int, env: dict | None = None):
        self.name, self.port = name, port
        self.log = DATA / f"{name}.log"
        DATA.mkdir(parents=True, exist_ok=True)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(c) for c in command],
                stdout=log,
                stderr=log,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        self.wait()

    def wait(self) -> None:
        for _ in range(600):
            with contextlib.suppress(OSError), contextlib.closing(self.connect()):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} does not listen: {self.log.read_text()[-400:]}")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=600)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    # ---- Requests in Python: for what is not measured ----

    def post(self, path: str, body: object) -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with contextlib.closing(connection):
            connection.request("POST", path, data, {"Content-Type": kind})
            response = connection.getresponse()
            text = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{self.name} {path}: {response.status} {text[:300]!r}")
        return json.loads(text) if text else {}

    def call(self, method: str, **params: object) -> dict:
        with contextlib.closing(self.connect()) as peer:
            peer.sendall(frame(0, method, params))
            unpacker = msgpack.Unpacker(strict_map_key=False)
            while True:
                unpacker.feed(peer.recv(1 << 20))
                for _, _, error, result in unpacker:
                    if error is not None:
                        raise RuntimeError(f"{method}: {error}")
                    return result

    def stay_on(self, processor: int) -> None:
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            os.sched_setaffinity(int(thread), {processor})

    # ---- What it costs to be there ----

    def rss_kib(self) -> int:
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def cpu_ticks(self) -> int:
        words = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(words[11]) + int(words[12])


def lynse(folder: str, *options: object) -> Server:
    port = free_port()
    path = fresh(folder)
    path.mkdir(parents=True)
    command = [PROGRAM, "serve", "--data-dir", path, "--port", port, *options]
    return Server("lynse", command, port)


def lynsedb() -> Server | None:
    python = peer_python("lynsedb")
    if not python:
        return None
    port, path = free_port(), fresh("server-lynsedb")
    path.mkdir(parents=True)
    return Server(
        "lynsedb",
        [python.parent / "lynse", "--data-dir", path, "--port", port, "--no-audit-log"],
        port,
    )


def chroma() -> Server | None:
    python = peer_python("chromadb")
    if not python:
        return None
    port, path = free_port(), fresh("server-chroma")
    command = [python.parent / "chroma", "run", "--path", path, "--port", port]
    return Server("chroma", [*command, "--host", "127.0.0.1"], port, {"ANONYMIZED_TELEMETRY": "0"})


def redis() -> Server | None:
    port, path = free_port(), fresh("server-redis")
    path.mkdir(parents=True)
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", path]
    try:
        return Server("redis", [*command, "--appendonly", "no"], port)
    except FileNotFoundError:
        return None


# ---- Filling ----


def fill_lynse(server: Server, name: str, vectors: np.ndarray, fields: list | None = None) -> None:
    where = {"database_name": DATABASE, "collection_name": name}
    server.call("required_collection", dim=vectors.shape[1], metric="ip", **where)
    for at in range(0, len(vectors), 10_000):
        part = vectors[at : at + 10_000]
        ids = list(range(at, at + len(part)))
        more = {"fields": fields[at : at + len(part)]} if fields else {}
        server.call("add", ids=ids, vectors=part.tobytes(), **more, **where)


def fill_lynsedb(server: Server, name: str, vectors: np.ndarray) -> None:
    where = {"database_name": DATABASE, "collection_name": name}
    with contextlib.suppress(RuntimeError):  # it is there
        server.post("/create_database", {"database_name": DATABASE, "drop_if_exists": False})
    server.post("/required_collection", {"dim": vectors.shape[1], "drop_if_exists": False, **where})
    for at in range(0, len(vectors), 10_000):
        part = vectors[at : at + 10_000]
        query = f"dim={part.shape[1]}&n_vectors={len(part)}"
        path = f"/bulk_add_binary?database_name={DATABASE}&collection_name={name}&{query}"
        server.post(path, part.tobytes())
    server.post("/commit", where)


CHROMA = "/api/v2/tenants/default_tenant/databases/default_database/collections"


def fill_chroma(server: Server, name: str, vectors: np.ndarray) -> str:
    """The path of the collection."""
    path = f"{CHROMA}/{server.post(CHROMA, {'name': name})['id']}"
    for at in range(0, len(vectors), 2000):
        part = vectors[at : at + 2000]
        ids = [str(at + i) for i in range(len(part))]
        server.post(f"{path}/add", {"ids": ids, "embeddings": part.tolist()})
    return path


# ---- Requests made beforehand, and the load client ----


def frame(number: int, method: str, params: object) -> bytes:
    return msgpack.packb([0, number, method, params], use_single_float=True)


def http_request(path: str, body: object) -> bytes:
    """JSON, or the bytes as they are."""
    is_binary = isinstance(body, bytes)
    kind = "application/octet-stream" if is_binary else "application/json"
    text = body if is_binary else json.dumps(body, separators=(",", ":")).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text


def redis_request(*words: str) -> bytes:
    parts = [f"*{len(words)}\r\n", *(f"${len(w)}\r\n{w}\r\n" for w in words)]
    return "".join(parts).encode()


def write_requests(name: str, requests: Iterable[bytes]) -> pathlib.Path:
    path = DATA / f"{name}.requests"
    with path.open("wb") as out:
        for request in requests:
            out.write(struct.pack("<I", len(request)) + request)
    return path


def drive(
    server: Server,
    protocol: str,
    requests: pathlib.Path,
    connections: int = 1,
    depth: int = 1,
    seconds: float = 1,
    processor: int | None = None,
) -> dict[str, float]:
    """What bench_server says, on `processor` alone; an answer that failed is an error here."""
    address = f"127.0.0.1:{server.port}"
    command = [build_once(LOAD), "load", protocol, address, connections, depth, seconds, requests]
    if processor is not None:
        command = ["taskset", "-c", processor, *command]
    said = {name: float(values[0][0]) for name, values in run(*command).items()}
    if said["failed"]:
        raise RuntimeError(f"{server.name}: {said['failed']:.0f} requests failed")
    return said


built: dict[str, pathlib.Path] = {}


def build_once(name: str) -> pathlib.Path:
    if name not in built:
        built[name] = build_program(name)
    return built[name]


@contextlib.contextmanager
def idle_connections(server: Server, count: int) -> Iterator[None]:
    """Each has asked for something once."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            peer = stack.enter_context(contextlib.closing(server.connect()))
            peer.sendall(frame(1, "health", {}))
            peer.recv(4096)
        yield


@contextlib.contextmanager
def slow_connections(server: Server, count: int) -> Iterator[None]:
    """Each has begun a request, and goes on with a byte each half second, when others do not."""
    stop = threading.Event()

    def trickle(peers: list[socket.socket]) -> None:
        for turn in itertools.count():
            if stop.wait(0.005):
                return
            for peer in peers[turn % 100 :: 100]:
                with contextlib.suppress(OSError):  # the server may have cut it
                    peer.send(b"P")

    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(contextlib.closing(server.connect())) for _ in range(count)]
        feeder = threading.Thread(target=trickle, args=(peers,))
        feeder.start()
        stack.callback(feeder.join)
        stack.callback(stop.set)
        yield
