#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that do everything at once, for builds with a sanitizer.

    mixed_load.py [--seconds N] [--clients N] [--workers N] [--seed N]

Each client does what chance says: writes, searches with and without scripts, pipelines, requests
that are wrong, connections that are cut in the middle, collections that come and go.  At the end
SIGTERM comes while they go on; the exit must be 0, and no sanitizer may have said anything.
"""

import argparse
import json
import random
import signal
import socket
import struct
import sys
import tempfile
import threading
import time

import msgpack
from program import Closed, Program, Rpc, RpcError, http_bytes, read_response

DIM = 16
SCORE = "return function(f, base) return base + 1 end"


class Client:
    def __init__(self, number, seed, program):
        self.number, self.program = number, program
        self.chance = random.Random(seed)
        self.ids = number << 32
        self.peer = None
        self.counts = {}

    def vector(self):
        return [self.chance.random() for _ in range(DIM)]

    def rpc(self):
        if not self.peer:
            if self.chance.random() < 0.3:
                s = socket.socket(socket.AF_UNIX)
                s.settimeout(120)
                s.connect(self.program.socket_path)
                self.peer = Rpc(s)
            else:
                self.peer = self.program.rpc(120)
        return self.peer

    def add(self):
        count = self.chance.choice([1, 8, 300])
        ids = list(range(self.ids, self.ids + count))
        self.ids += count
        self.rpc().call(
            "add",
            collection_name="docs",
            ids=ids,
            vectors=[self.vector() for _ in ids],
            fields=[{"n": i % 100, "tag": "a"} for i in ids],
        )

    def upsert(self):
        self.rpc().call(
            "upsert",
            collection_name="docs",
            ids=[self.chance.randrange(50)],
            vectors=[self.vector()],
        )

    def delete(self):
        if self.chance.random() < 0.1:
            self.rpc().call("delete", collection_name="docs", where="n = 7")
        else:
            self.rpc().call(
                "delete", collection_name="docs", ids=[self.ids - self.chance.randrange(1, 50)]
            )

    def search(self):
        more = self.chance.choice(
            [
                {},
                {"where": "n < 50"},
                {"score": SCORE},
                {"rerank": "mmr"},
                {"timeout_ms": 1},
                {"return_fields": True},
            ]
        )
        self.rpc().call(
            "search",
            collection_name="docs",
            vector=self.vector(),
            k=self.chance.choice([1, 10, 1000]),
            **more,
        )

    def read(self):
        self.rpc().call(
            "get",
            collection_name="docs",
            ids=list(range(self.ids - 100, self.ids)),
            return_vectors=True,
            raw=self.chance.random() < 0.5,
        )
        self.rpc().call("count", collection_name="docs", where="n > 3")

    def come_and_go(self):
        name = f"c{self.chance.randrange(3)}"
        r = self.rpc()
        r.call("required_collection", collection_name=name, dim=4)
        r.call("add", collection_name=name, vectors=[[1.0, 2, 3, 4]])
        r.call(
            self.chance.choice(["flush", "stats", "collection_info", "checkpoint"]),
            collection_name=name,
        )
        if self.chance.random() < 0.3:
            r.call("drop_collection", collection_name=name)

    def pipeline(self):
        r = self.rpc()
        numbers = [
            r.send("search", collection_name="docs", vector=self.vector(), k=5)
            for _ in range(self.chance.choice([5, 200]))
        ]
        assert sorted(numbers) == sorted(r.read()[0] for _ in numbers)

    def http(self):
        with self.program.connect(120) as s:
            for _ in range(3):
                s.sendall(
                    http_bytes(
                        "POST",
                        "/search",
                        json.dumps(
                            {"collection_name": "docs", "vector": self.vector(), "k": 5}
                        ).encode(),
                    )
                )
                read_response(s)
            s.sendall(http_bytes("GET", self.chance.choice(["/healthz", "/metrics", "/nothing"])))
            read_response(s)

    def cut(self):
        s = self.program.connect(120)
        body = json.dumps({"collection_name": "docs", "vector": self.vector(), "k": 100}).encode()
        request = self.chance.choice(
            [
                http_bytes("POST", "/search", body),
                msgpack.packb(
                    [
                        0,
                        1,
                        "search",
                        {
                            "collection_name": "docs",
                            "vector": self.vector(),
                            "where": "n < 90",
                            "score": SCORE,
                        },
                    ]
                )
                * 20,
            ]
        )
        s.sendall(request[: self.chance.choice([len(request), len(request) // 2])])
        if self.chance.random() < 0.5:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()

    def wrong(self):
        self.rpc().call("search", collection_name="docs", vector=[1.0, 2.0], k=-1)

    def run(self, stop):
        deeds = [
            self.add,
            self.add,
            self.upsert,
            self.delete,
            self.search,
            self.search,
            self.read,
            self.come_and_go,
            self.pipeline,
            self.http,
            self.cut,
            self.wrong,
        ]
        while not stop.is_set():
            deed = self.chance.choice(deeds)
            try:
                deed()
            except RpcError as e:
                if e.name == "INTERNAL":
                    self.counts["INTERNAL " + str(e)] = 1
            except (OSError, Closed):
                self.peer = None
                if self.program.process.poll() is not None:
                    break
            self.counts[deed.__name__] = self.counts.get(deed.__name__, 0) + 1


def run(folder, seconds, client_count, workers, seed):
    """(what was wrong, deeds by name)."""
    with Program(folder, "--workers", str(workers)) as program:
        program.rpc().call("required_collection", collection_name="docs", dim=DIM)
        stop = threading.Event()
        clients = [Client(n, seed * 1000 + n, program) for n in range(client_count)]
        threads = [threading.Thread(target=c.run, args=(stop,), daemon=True) for c in clients]
        for t in threads:
            t.start()
        time.sleep(seconds)
        early = program.process.poll()
        begun = time.monotonic()
        program.process.send_signal(signal.SIGTERM)
        code = program.process.wait(120)
        took = time.monotonic() - begun
        stop.set()
        for t in threads:
            t.join(60)
        program.reader.join(10)
    counts = {}
    for c in clients:
        for name, count in c.counts.items():
            counts[name] = counts.get(name, 0) + count
    text = "".join(program.lines)
    errors = [name for name in counts if name.startswith("INTERNAL")]
    if early is not None:
        errors.append(f"it ended by itself with {early}")
    if code != 0:
        errors.append(f"exit {code}")
    if "Sanitizer" in text or "runtime error" in text:
        errors.append(text[-20000:])
    counts["stop_seconds"] = round(took, 2)
    return errors, counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        errors, counts = run(folder + "/data", o.seconds, o.clients, o.workers, o.seed)
    for e in errors:
        print(e)
    print(f"seed {o.seed}: {counts}, {len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
