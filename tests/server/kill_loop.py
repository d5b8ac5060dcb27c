#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kill a loaded server over and over, and look for what it had acknowledged.

    kill_loop.py [--rounds N] [--signal KILL|TERM] [--clients N] [--workers N] [--seed N]

Clients on both protocols and both kinds of socket add, replace and delete records of their own
while the server gets the signal at a random moment; then it is started on the same folder and
asked for everything.  An acknowledged write must be there; one under way at the signal may be;
there is nothing else.  With TERM the exit must be 0 and within ten seconds besides.
"""

import argparse
import json
import random
import signal
import socket
import sys
import tempfile
import threading
import time

from program import IS_SANITIZED, Closed, Program, Rpc, RpcError, http_bytes, read_response

NAME = {"collection_name": "docs"}
IDS_EACH = 1 << 32
STOP_SECONDS = 60 if IS_SANITIZED else 10


class Client:
    """Writes records of ids that no other client uses, and knows what each of them must be.

    `known` is id → version, None for a deleted one; `unsure` is id → versions that it may have
    besides, of a write whose answer did not come.
    """

    def __init__(self, number, seed):
        self.number, self.chance = number, random.Random(seed)
        self.first = number * IDS_EACH
        self.next = self.first
        self.known, self.unsure = {}, {}
        self.version = 0
        self.acknowledged = 0
        self.failure = None

    def connect(self, program):
        if self.number % 4 == 1:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(60)
            self.socket.connect(program.socket_path)
        else:
            self.socket = program.connect(60)
        self.peer = Rpc(self.socket)

    def call(self, method, **params):
        """Answers with the result, or raises RpcError, or OSError and Closed when it is gone."""
        if self.number % 2:
            return self.peer.call(method, **NAME, **params)
        body = json.dumps({**NAME, **params}).encode()
        self.socket.sendall(http_bytes("POST", "/" + method, body,
                                       "Content-Type: application/json"))
        status, _, body, _ = read_response(self.socket)
        answer = json.loads(body)
        if status != 200:
            raise RpcError(status, answer["error"], {"name": answer["code"]})
        return answer["params"]

    def write(self):
        self.version += 1
        chosen = self.chance.random()
        if chosen < 0.2 and self.known:
            ids = self.chance.sample(list(self.known), min(3, len(self.known)))
            wanted, method, params = None, "delete", {"ids": ids}
        elif chosen < 0.4 and self.known:
            ids = self.chance.sample(list(self.known), min(3, len(self.known)))
            wanted, method = self.version, "upsert"
            params = {"ids": ids, "vectors": self.vectors(ids)}
        else:
            count = self.chance.choice([1, 1, 4, 64])
            ids = list(range(self.next, self.next + count))
            self.next += count
            wanted, method = self.version, "add"
            params = {"ids": ids, "vectors": self.vectors(ids)}
        for i in ids:
            self.unsure.setdefault(i, []).append(wanted)
        self.call(method, **params)
        self.acknowledged += 1
        for i in ids:
            self.known[i] = wanted
            del self.unsure[i]

    def vectors(self, ids):
        return [[float(i - self.first), float(self.version), 0.0, 0.0] for i in ids]

    def run(self, program):
        try:
            self.connect(program)
            while True:
                self.write()
        except (OSError, Closed):
            pass
        except RpcError as e:
            if e.name not in ("SHUTTING_DOWN", "shutting_down"):
                self.failure = str(e)
        except Exception as e:
            self.failure = repr(e)
        finally:
            self.socket.close()

    def check(self, found):
        """found: id → version of the records that are there, of this client."""
        errors = []
        for i in {*self.known, *self.unsure, *found}:
            may_be = [self.known.get(i), *self.unsure.get(i, [])]
            if found.get(i) not in may_be:
                errors.append(f"{i}: is {found.get(i)}, must be one of {may_be}")
        self.known = {**dict.fromkeys(self.known), **found}
        self.unsure = {}
        return errors


def read_all(program, clients):
    """Of each client's ids those that are there: id → version."""
    r = program.rpc(60)
    found = [{} for _ in clients]
    for c, mine in zip(clients, found):
        ids = list(range(c.first, c.next))
        for begin in range(0, len(ids), 5000):
            items = r.call("get", **NAME, ids=ids[begin:begin + 5000], return_vectors=True)["items"]
            for i, vector in zip(items["ids"], items["vectors"]):
                assert vector[0] == i - c.first, (i, vector)
                mine[i] = int(vector[1])
    total = r.call("count", **NAME)["count"]
    r.close()
    assert total == sum(map(len, found)), f"{total} records, {sum(map(len, found))} of the clients"
    return found


def one_round(folder, clients, how, chance, arguments):
    """Errors, seconds that the stop took."""
    with Program(folder, *arguments) as program:
        errors = []
        for c, found in zip(clients, read_all(program, clients)):
            errors += c.check(found)
        threads = [threading.Thread(target=c.run, args=(program,)) for c in clients]
        for t in threads:
            t.start()
        time.sleep(chance.uniform(0.02, 0.4) * (5 if IS_SANITIZED else 1))
        begun = time.monotonic()
        if how == "KILL":
            program.kill()
        else:
            program.process.send_signal(signal.SIGTERM)
            code = program.process.wait(STOP_SECONDS)
            if code != 0:
                errors.append(f"exit {code}: {''.join(program.lines)[-3000:]}")
        seconds = time.monotonic() - begun
        for t in threads:
            t.join()
        errors += [c.failure for c in clients if c.failure]
    return errors, seconds


def run(rounds, how, client_count, workers, seed, folder):
    """(errors, acknowledged writes, slowest stop in seconds)."""
    chance = random.Random(seed)
    clients = [Client(n, seed * 1000 + n) for n in range(client_count)]
    arguments = ["--workers", str(workers)]
    with Program(folder, *arguments) as program:
        r = program.rpc()
        r.call("required_collection", **NAME, dim=4)
        r.close()
        program.stop()
    errors, slowest = [], 0.0
    for n in range(rounds):
        found, seconds = one_round(folder, clients, how, chance, arguments)
        errors += [f"round {n}: {e}" for e in found]
        slowest = max(slowest, seconds)
        if errors:
            break
    with Program(folder, *arguments) as program:
        for c, found in zip(clients, read_all(program, clients)):
            errors += c.check(found)
        program.stop()
    return errors, sum(c.acknowledged for c in clients), slowest


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--signal", choices=["KILL", "TERM"], default="KILL")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        errors, acknowledged, slowest = run(o.rounds, o.signal, o.clients, o.workers, o.seed,
                                            folder + "/data")
    for e in errors[:20]:
        print(e)
    print(f"seed {o.seed}: SIG{o.signal} x {o.rounds}, {acknowledged} acknowledged writes, "
          f"{len(errors)} lost or wrong, slowest stop {slowest:.2f} s")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
