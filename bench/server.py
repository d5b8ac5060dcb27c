# SPDX-License-Identifier: Apache-2.0
"""The server beside its peers: `./dev bench server [CASE ...] [--write]`.

bench_server, a client in C with one thread, drives every server alike, with requests made
beforehand: ours by msgpack-RPC and by HTTP, `chroma run` and LynseDB's server by HTTP with JSON,
redis-server by its own protocol.  LynseDB's binary search, which its own client uses where it
can, is beside our msgpack-RPC too: each by the fastest protocol that it has.  All of them and the
client share the machine's cores, and take turns (A B A B ...).  Chroma answers from its graph,
which is its default; ours and LynseDB's searches are exact.
"""

from __future__ import annotations

import statistics
import sys
import time
from urllib.parse import urlencode

import numpy as np
from support import servers
from support.peers import peer_python, peer_version
from support.results import PAIRS, Table, fresh, lower_quartile, main, number, run
from support.servers import (
    DATABASE,
    build_once,
    drive,
    frame,
    http_request,
    redis_request,
    write_requests,
)

DIM, QUERIES, K = 384, 64, 10
CONNECTIONS = (1, 8, 64)
SYNC_ALWAYS = 1  # what a collection of the server begins with


def random_vectors(rows: int, dim: int = DIM) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((rows, dim), dtype=np.float32)


def where(name: str) -> dict[str, str]:
    return {"database_name": DATABASE, "collection_name": name}


# ---- search ----


class Rival:
    """One who is asked: a server, by one protocol."""

    def __init__(self, name: str, server: servers.Server, protocol: str, requests: list[bytes]):
        self.name, self.server, self.protocol = name, server, protocol
        self.requests = write_requests(f"search-{name}-{protocol}", requests)

    def rate(self, connections: int, seconds: float) -> float:
        """Answers a second."""
        said = drive(self.server, self.protocol, self.requests, connections, 1, seconds)
        return said["per_second"]


def fill_all(rows: int, ours: servers.Server, peers: dict[str, servers.Server]) -> list[Rival]:
    vectors, queries = random_vectors(rows), random_vectors(QUERIES)
    name = f"rows{rows}"
    servers.fill_lynse(ours, name, vectors)
    bodies = [{**where(name), "vector": q.tolist(), "k": K} for q in queries]
    frames = [
        frame(i, "search", {**where(name), "vector": q.tobytes(), "k": K})
        for i, q in enumerate(queries)
    ]
    plain = [http_request("/search", body) for body in bodies]
    rivals = [Rival("ours", ours, "http", plain), Rival("ours", ours, "rpc", frames)]
    if "lynsedb" in peers:
        servers.fill_lynsedb(peers["lynsedb"], name, vectors)
        rivals.append(Rival("lynsedb", peers["lynsedb"], "http", plain))
        path = f"/search_binary?{urlencode(where(name))}&dim={DIM}&k={K}"
        binary = [http_request(path, q.tobytes()) for q in queries]
        rivals.append(Rival("lynsedb-binary", peers["lynsedb"], "http", binary))
    if "chroma" in peers:
        path = servers.fill_chroma(peers["chroma"], name, vectors)
        asked = [
            http_request(
                f"{path}/query",
                {"query_embeddings": [q.tolist()], "n_results": K, "include": ["distances"]},
            )
            for q in queries
        ]
        rivals.append(Rival("chroma", peers["chroma"], "http", asked))
    return rivals


def versions() -> dict[str, str]:
    packages = {"lynsedb": "LynseDB", "chroma": "chromadb"}
    found = {}
    for name, package in packages.items():
        python = peer_python("chromadb" if name == "chroma" else name)
        found[name] = f"{name} {peer_version(python, package)}" if python else name
    return found


def compare(table: Table, rows: int, rivals: list[Rival], named: dict[str, str]) -> None:
    targets = {"lynsedb": 1.5, "chroma": 3.0} if rows == 1000 else {}
    seconds = 0.5 if rows == 1000 else 1.5  # each connection is answered several times
    for connections in CONNECTIONS:
        rates: dict[tuple[str, str], list[float]] = {}
        for rival in rivals:
            rival.rate(connections, 0.4 * seconds)  # warm
        for _ in range(PAIRS):
            for rival in rivals:
                rates.setdefault((rival.name, rival.protocol), []).append(
                    rival.rate(connections, seconds)
                )
        case = f"search of {rows:,} × {DIM}, {connections} connections"
        http, rpc = rates["ours", "http"], rates["ours", "rpc"]
        quartile = lower_quartile([a / b for a, b in zip(http, rpc)])
        table.add(
            f"{case}, HTTP with JSON beside RPC",
            "≥ 0.6×",
            f"{statistics.median(http):,.0f} /s",
            f"own RPC {statistics.median(rpc):,.0f} /s",
            f"{quartile:.2f}",
            quartile >= 0.6,
        )
        if ("lynsedb-binary", "http") in rates:
            binary = rates["lynsedb-binary", "http"]
            quartile = lower_quartile([a / b for a, b in zip(rpc, binary)])
            table.add(
                f"{case}, RPC beside binary HTTP",
                "–",
                f"{statistics.median(rpc):,.0f} /s",
                f"{named['lynsedb']}: {statistics.median(binary):,.0f} /s",
                f"{quartile:.2f}",
                None,
            )
        for name in ("lynsedb", "chroma"):
            if (name, "http") not in rates:
                continue
            theirs = rates[name, "http"]
            quartile = lower_quartile([a / b for a, b in zip(http, theirs)])
            target = targets.get(name)
            table.add(
                f"{case}, HTTP",
                f"≥ {target}×" if target else "–",
                f"{statistics.median(http):,.0f} /s",
                f"{named[name]}: {statistics.median(theirs):,.0f} /s",
                f"{quartile:.2f}",
                quartile >= target if target else None,
            )


def search_rows(table: Table, rows: int) -> None:
    started = {"lynsedb": servers.lynsedb(), "chroma": servers.chroma()}
    peers = {name: server for name, server in started.items() if server}
    try:
        with servers.lynse("server-search") as ours:
            compare(table, rows, fill_all(rows, ours, peers), versions())
    finally:
        for server in peers.values():
            server.__exit__()


def case_small(table: Table) -> None:
    search_rows(table, 1000)


def case_large(table: Table) -> None:
    search_rows(table, 100_000)


# ---- get, beside GET ----


def case_get(table: Table) -> None:
    count, connections, depth = 10_000, 8, 16
    ceiling = servers.redis()
    if not ceiling:
        table.add("pipelined get by id", "≥ 0.25×", "–", "redis-server is not installed", "–", None)
        return
    note = "x" * 100
    with ceiling, servers.lynse("server-get") as ours:
        servers.fill_lynse(ours, "c", random_vectors(count, 8), [{"note": note}] * count)
        setting = write_requests(
            "redis-set", (redis_request("SET", f"{i}", note) for i in range(count))
        )
        drive(ceiling, "redis", setting, 1, 64, 0)
        numbers = np.random.default_rng(2).integers(0, count, 4096)
        gets = write_requests("redis-get", (redis_request("GET", f"{i}") for i in numbers))
        frames = write_requests(
            "rpc-get",
            (frame(i, "get", {**where("c"), "ids": int(n)}) for i, n in enumerate(numbers)),
        )
        ratios, mine, theirs = [], [], []
        for _ in range(PAIRS):
            mine.append(drive(ours, "rpc", frames, connections, depth)["per_second"])
            theirs.append(drive(ceiling, "redis", gets, connections, depth)["per_second"])
            ratios.append(mine[-1] / theirs[-1])
    quartile = lower_quartile(ratios)
    table.add(
        f"get of one record by id, {connections} connections, {depth} under way on each",
        "≥ 0.25×",
        f"{statistics.median(mine):,.0f} /s",
        f"Redis GET {statistics.median(theirs):,.0f} /s",
        f"{quartile:.2f}",
        quartile >= 0.25,
    )


# ---- latency ----


def case_latency(table: Table) -> None:
    path = fresh("server-embedded")
    engine = build_once("bench_engine")
    run(engine, "bulk", path, 1000, DIM, SYNC_ALWAYS)
    queries = random_vectors(QUERIES)
    frames = [
        frame(i, "search", {**where("c"), "vector": q.tobytes(), "k": K})
        for i, q in enumerate(queries)
    ]
    with servers.lynse("server-latency") as ours:
        servers.fill_lynse(ours, "c", random_vectors(1000))
        requests = write_requests("latency", frames)
        ours.stay_on(1)  # and who asks on the other, as echo has it
        drive(ours, "rpc", requests, seconds=0.2, processor=0)
        measured, limits, embedded, trips = [], [], [], []
        for _ in range(PAIRS):
            trip = run(build_once(servers.LOAD), "echo", len(frames[0]), 250, 0.5)
            trips.append(number(trip, "p50_us"))
            embedded.append(number(run(engine, "search", path, 0.5, 1), "search_us"))
            said = drive(ours, "rpc", requests, seconds=0.5, processor=0)
            measured.append(said["p50_us"])
            limits.append(trips[-1] + 1.3 * embedded[-1])
    quartile = lower_quartile([limit / got for limit, got in zip(limits, measured)])
    table.add(
        f"p50 of a search of 1,000 × {DIM}, RPC, one connection",
        "≤ round trip + 1.3× embedded",
        f"{statistics.median(measured):.1f} µs",
        f"loopback {statistics.median(trips):.1f} µs, embedded "
        f"{statistics.median(embedded):.1f} µs: limit {statistics.median(limits):.1f} µs",
        f"{quartile:.2f}",
        quartile >= 1.0,
    )


# ---- bulk add ----


def case_bulk(table: Table) -> None:
    rows, step = 100_000, 10_000
    engine = build_once("bench_engine")
    part = random_vectors(step).tobytes()
    mine, theirs, ratios = [], [], []
    for _ in range(PAIRS):
        path = fresh("server-bulk-embedded")
        said = run(engine, "bulk", path, rows, DIM, SYNC_ALWAYS)
        theirs.append(number(said, "rows_per_second"))
        with servers.lynse("server-bulk") as ours:
            ours.call("required_collection", dim=DIM, **where("c"))
            numbers = np.arange(rows, dtype=np.uint64).reshape(-1, step)
            adds = (
                frame(i, "add", {**where("c"), "ids": ids.tobytes(), "vectors": part})
                for i, ids in enumerate(numbers)
            )
            requests = write_requests("bulk", adds)
            mine.append(drive(ours, "rpc", requests, 1, 1, 0)["per_second"] * step)
        ratios.append(mine[-1] / theirs[-1])
    quartile = lower_quartile(ratios)
    table.add(
        f"add of {rows:,} × {DIM} in bins of {step:,} rows, RPC",
        "≥ 0.5×",
        f"{statistics.median(mine):,.0f} rows/s",
        f"embedded {statistics.median(theirs):,.0f} rows/s",
        f"{quartile:.2f}",
        quartile >= 0.5,
    )


# ---- slow clients ----


def case_slow(table: Table) -> None:
    queries = random_vectors(QUERIES)
    frames = [
        frame(i, "search", {**where("c"), "vector": q.tobytes(), "k": K})
        for i, q in enumerate(queries)
    ]
    with servers.lynse("server-slow", "--connections-per-address", 0) as ours:
        servers.fill_lynse(ours, "c", random_vectors(1000))
        requests = write_requests("slow", frames)
        drive(ours, "rpc", requests, seconds=0.5)
        alone, beside = [], []
        for _ in range(PAIRS):
            alone.append(drive(ours, "rpc", requests, seconds=0.5)["p99_us"])
            with servers.slow_connections(ours, 1000):
                beside.append(drive(ours, "rpc", requests, seconds=0.5)["p99_us"])
    quartile = lower_quartile([2 * a / b for a, b in zip(alone, beside)])
    table.add(
        f"p99 of a search of 1,000 × {DIM}, RPC, beside 1,000 clients that send a byte each half "
        "second",
        "≤ 2× alone",
        f"{statistics.median(beside):.0f} µs",
        f"alone {statistics.median(alone):.0f} µs",
        f"{quartile:.2f}",
        quartile >= 1.0,
    )


# ---- idle ----


def case_idle(table: Table) -> None:
    count, seconds = 1000, 5
    with servers.lynse("server-idle", "--connections-per-address", 0) as ours:
        time.sleep(1)
        before = ours.rss_kib()
        ticks = ours.cpu_ticks()
        time.sleep(seconds)
        ticks = ours.cpu_ticks() - ticks
        with servers.idle_connections(ours, count):
            time.sleep(1)
            each = (ours.rss_kib() - before) / count
            busy = ours.cpu_ticks()
            time.sleep(seconds)
            busy = ours.cpu_ticks() - busy
    mib = before / 1024
    table.add("idle server, RSS", "≤ 20 MiB", f"{mib:.1f} MiB", "–", "–", mib <= 20)
    table.add(
        f"{count:,} idle connections, RSS",
        "≤ 16 KiB each",
        f"{each:.1f} KiB each",
        "–",
        "–",
        each <= 16,
    )
    table.add(
        f"CPU when idle, {seconds} s",
        "none",
        f"{ticks * 10} ms; with {count:,} connections {busy * 10} ms",
        "–",
        "–",
        ticks == 0,
    )


CASES = {
    "small": case_small,
    "large": case_large,
    "get": case_get,
    "latency": case_latency,
    "bulk": case_bulk,
    "slow": case_slow,
    "idle": case_idle,
}


if __name__ == "__main__":
    sys.exit(main("server", __doc__, CASES))
