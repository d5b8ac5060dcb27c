#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kill a loaded server over and over, and look for what it had acknowledged.

    kill_loop.py [--rounds N] [--signal KILL|TERM] [--clients N] [--workers N] [--seed N]
                 [--mutant fresh-ids]

Clients on both protocols and both kinds of socket add, replace and delete records while the server
gets the signal at a random moment; then it is started on the same folder and asked for everything.
An acknowledged write must be there, whole; the one that a client waited for at the signal may be
there, whole; there is nothing else.  With TERM the exit must be 0 and within ten seconds besides.

Then each client sends the write that it has no answer to again, with the same request id, until it
is acknowledged.  The server must say `is_repeat` exactly where the write was already there, and it
must then be there once.  Now and then a client hangs up instead, while the server works at it, and
sends it again by another connection: both may be under way at once.  Half of the adds leave their
ids to the collection, so that one that is applied twice leaves two rows.  The mutant gives each
retry a request id of its own: the loop must fail.  (Tiny limits remember too few for hang-ups.)
"""

import argparse
import array
import collections
import json
import random
import signal
import socket
import sys
import tempfile
import threading
import time

from program import IS_SANITIZED, Closed, Program, Rpc, RpcError, http_bytes, read_response

OWN = "own"  # of each client's own ids
GIVEN = "given"  # ids given by the collection; a row says whose it is, and of which write
IDS_EACH = 1 << 32
HANG_UPS = 0.02
PATIENCE = 300  # seconds without an answer that are a hang, and not a machine that stands still
STOP_SECONDS = 60 if IS_SANITIZED else 10
MUTANTS = ("fresh-ids",)


class Write:
    """A request, and what it makes of the records: of `ids` version `wanted`, None for deleted
    ones; or `count` rows more, marked `version`, in the collection that gives ids."""

    def __init__(self, method, version, ids=None, count=0):
        self.method, self.version, self.ids, self.count = method, version, ids, count
        self.wanted = None if method == "delete" else version
        self.request_id = None
        self.was_there = None  # as the records show after a restart; before, nobody knows

    def params(self, client):
        name = {"collection_name": OWN if self.ids else GIVEN, "request_id": self.request_id}
        if self.method == "delete":
            return {**name, "ids": self.ids}
        if self.ids:
            rows = [[float(i - client.first), float(self.version), 0.0, 0.0] for i in self.ids]
            return {**name, "ids": self.ids, "vectors": rows}
        rows = [
            [float(client.number), float(self.version), float(n), 0.0] for n in range(self.count)
        ]
        return {**name, "vectors": rows}


class Client:
    """Writes records that no other client touches, and knows what must be there.

    `own` is id → version of its own ids; `given` is write → rows of it where ids are given;
    `pending` is the write that has no answer yet, which is sent again before anything else.
    """

    def __init__(self, number, seed, mutant=None):
        self.number, self.chance, self.mutant = number, random.Random(seed), mutant
        self.first = self.next = number * IDS_EACH
        self.own, self.given = {}, {}
        self.pending = None
        self.version = 0
        self.counts = collections.Counter()
        self.failure = None

    def connect(self, program):
        if self.number % 4 == 1:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(PATIENCE)
            self.socket.connect(program.socket_path)
        else:
            self.socket = program.connect(PATIENCE)
        self.peer = Rpc(self.socket)

    def send(self, write):
        if self.number % 2:
            return self.peer.send(write.method, **write.params(self))
        body = json.dumps(write.params(self)).encode()
        return self.socket.sendall(
            http_bytes("POST", "/" + write.method, body, "Content-Type: application/json")
        )

    def receive(self):
        """The result, or raises RpcError, or OSError and Closed when the server is gone."""
        if self.number % 2:
            _, error, result = self.peer.read()
            if error is not None:
                raise RpcError(*error)
            return result
        status, _, body, _ = read_response(self.socket)
        answer = json.loads(body)
        if status != 200:
            raise RpcError(status, answer["error"], {"name": answer["code"]})
        return answer["params"]

    def choose(self):
        self.version += 1
        chosen = self.chance.random()
        if chosen < 0.4 and self.own:
            ids = self.chance.sample(list(self.own), min(3, len(self.own)))
            return Write("delete" if chosen < 0.2 else "upsert", self.version, ids)
        count = self.chance.choice([1, 1, 4, 64])
        if chosen < 0.7:
            return Write("add", self.version, count=count)
        self.next += count
        return Write("add", self.version, list(range(self.next - count, self.next)))

    def fresh_request_id(self):
        return f"{self.chance.randrange(1, 1 << 128):032x}"

    def write(self, program):
        self.pending = self.choose()
        self.pending.request_id = self.fresh_request_id()
        self.send(self.pending)
        if self.chance.random() < HANG_UPS:
            self.socket.close()
            self.connect(program)
            self.retry()
            return
        answer = self.receive()
        assert "is_repeat" not in answer, f"the first time, and yet {answer}"
        self.settle()

    def retry(self):
        if self.mutant == "fresh-ids":
            self.pending.request_id = self.fresh_request_id()
        try:
            self.send(self.pending)
            answer = self.receive()
        except RpcError as e:
            if not self.mutant or e.name.lower() != "already_exists":
                raise
            answer = {}  # what a client has to guess who knows no request ids
        is_repeat, was_there = answer.get("is_repeat", False), self.pending.was_there
        if was_there is None:
            self.counts["hung up"] += 1
            self.counts["hung up and applied"] += is_repeat
        else:
            self.counts["retried"] += 1
            self.counts["already applied"] += was_there
            if is_repeat != was_there and not self.mutant:
                self.failure = f"is_repeat {is_repeat} of {vars(self.pending)}: {answer}"
        self.settle()

    def settle(self):
        """It was acknowledged: from here on it must be there."""
        self.counts["acknowledged"] += 1
        self.apply(self.pending, self.own, self.given)
        self.pending = None

    def run(self, program, is_last=False):
        """Until the server is gone; the last time only to its first answer."""
        try:
            self.connect(program)
            if self.pending:
                self.retry()
            while not is_last:
                self.write(program)
        except TimeoutError:
            self.failure = f"no answer in {PATIENCE} s to {vars(self.pending)}"
        except (OSError, Closed):
            pass
        except RpcError as e:
            if e.name not in ("SHUTTING_DOWN", "shutting_down"):
                self.failure = str(e)
        except Exception as e:
            self.failure = repr(e)
        finally:
            self.socket.close()

    @staticmethod
    def apply(write, own, given):
        if not write.ids:
            given[write.version] = write.count
        elif write.method == "delete":
            for i in write.ids:
                own.pop(i, None)
        else:
            own.update(dict.fromkeys(write.ids, write.wanted))

    def is_there(self, write, own, given):
        """Whether what was found has a trace of it."""
        if not write.ids:
            return write.version in given
        return any(own.get(i) == write.wanted for i in write.ids)

    def check(self, own, given):
        """What is lost, doubled or wrong in what was found of this client."""
        must_own, must_given = dict(self.own), dict(self.given)
        if self.pending:
            self.pending.was_there = self.is_there(self.pending, own, given)
            if self.pending.was_there:
                self.apply(self.pending, must_own, must_given)
        errors = []
        for i in (i for i in {*must_own, *own} if must_own.get(i) != own.get(i)):
            self.counts["lost" if i not in own else "wrong"] += 1
            errors.append(f"id {i} is {own.get(i)}, must be {must_own.get(i)}")
        for n in (n for n in {*must_given, *given} if must_given.get(n) != given.get(n)):
            has, must = given.get(n, 0), must_given.get(n, 0)
            self.counts["lost" if has < must else "doubled"] += 1
            errors.append(f"client {self.number}'s add {n} has {has} rows, must have {must}")
        return errors


def walk(r, collection):
    """(id, vector) of every record of it."""
    offset, page = 0, 100_000
    while True:
        found = r.call(
            "query_vectors", collection_name=collection, limit=page, offset=offset, raw=True
        )["result"]
        ids, floats = array.array("Q", found["ids"]), array.array("f", found["vectors"])
        yield from ((i, floats[4 * n : 4 * n + 4]) for n, i in enumerate(ids))
        if len(ids) < page:
            break
        offset += page


def check_all(program, clients):
    """Everything that is there against what each client knows: errors."""
    r = program.rpc(PATIENCE)
    own = [{} for _ in clients]
    given = [collections.Counter() for _ in clients]
    seen, total, errors = set(), 0, []
    for i, vector in walk(r, OWN):
        total += 1
        own[i // IDS_EACH][i] = int(vector[1])
        if vector[0] != i % IDS_EACH:
            errors.append(f"id {i} has the vector of {vector[0]:.0f}")
    for i, vector in walk(r, GIVEN):
        total += 1
        seen.add(i)
        given[int(vector[0])][int(vector[1])] += 1
    counted = sum(r.call("count", collection_name=c)["count"] for c in (OWN, GIVEN))
    r.close()
    if counted != total or len(seen) != given_rows(given):
        errors.append(f"{counted} records are counted, {total} are there")
    for c, mine, rows in zip(clients, own, given):
        errors += c.check(mine, rows)
    return errors


def given_rows(given):
    return sum(sum(rows.values()) for rows in given)


def one_round(folder, clients, how, chance, arguments):
    """Errors, seconds that the stop took."""
    with Program(folder, *arguments) as program:
        errors = check_all(program, clients)
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


def last_round(folder, clients, arguments):
    """Nothing is in doubt any more: the rows are those of the acknowledged writes, each once."""
    with Program(folder, *arguments) as program:
        errors = check_all(program, clients)
        for c in clients:
            c.run(program, is_last=True)
        errors += [c.failure or f"client {c.number} has no answer" for c in clients if c.pending]
        errors += check_all(program, clients)
        program.stop()
    return errors


def run(rounds, how, client_count, workers, seed, folder, mutant=None):
    """(errors, counts: acknowledged, retried, already applied …, slowest stop in seconds)."""
    chance = random.Random(seed)
    clients = [Client(n, seed * 1000 + n, mutant) for n in range(client_count)]
    arguments = ["--workers", str(workers)]
    with Program(folder, *arguments) as program:
        r = program.rpc()
        for name in (OWN, GIVEN):
            r.call("required_collection", collection_name=name, dim=4)
        r.close()
        program.stop()
    errors, slowest = [], 0.0
    for n in range(rounds):
        found, seconds = one_round(folder, clients, how, chance, arguments)
        errors += [f"round {n}: {e}" for e in found]
        slowest = max(slowest, seconds)
        if errors:
            break
    for c in clients:
        c.failure = None
    errors += last_round(folder, clients, arguments)
    return errors, sum((c.counts for c in clients), collections.Counter()), slowest


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--signal", choices=["KILL", "TERM"], default="KILL")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--mutant", choices=MUTANTS)
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        errors, counts, slowest = run(
            o.rounds, o.signal, o.clients, o.workers, o.seed, folder + "/data", o.mutant
        )
    for e in errors[:20]:
        print(e)
    print(
        f"seed {o.seed}: SIG{o.signal} x {o.rounds}, {counts['acknowledged']} acknowledged "
        f"writes; {counts['retried']} retried, {counts['already applied']} of them already "
        f"applied; {counts['hung up']} after hanging up, {counts['hung up and applied']} of them "
        f"already applied; {counts['lost']} lost, {counts['doubled']} doubled, {len(errors)} "
        f"errors, slowest stop {slowest:.2f} s"
    )
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
