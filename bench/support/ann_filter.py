# SPDX-License-Identifier: Apache-2.0
"""Filtered searches of `./dev bench ann filtered`: gates, the queries that they are asked with, and
who is faster at equal recall.

Rows are ordered by how far they lie along one direction, the one in which they differ most.  A gate
lets the first of them through, and is asked by queries that lie there too (correlated), or at the
other end (anti); or it lets through as many at random.  Peers are those whose filter is code of
their own language: hnswlib's functor in C++, faiss's bitmap.
"""

from __future__ import annotations

import contextlib
import pathlib
import statistics

import numpy as np
from support.ann_data import DataSet
from support.ann_driver import (
    Bracket,
    Driver,
    Gate,
    K,
    Load,
    System,
    fastest_of,
    pairs_of,
    truth_limits,
)
from support.results import Table, lower_quartile

SHARES = (0.5, 0.1, 0.01, 0.001)
RELATIONS = ("correlated", "random", "anti")
RECALL = 0.95
SAMPLE = 10_000
PEERS = (
    System("hnswlib-gate", ("m=16", "efc=200"), is_peer=True),
    System("faiss-hnsw", ("m=16", "efc=200"), is_peer=True),
)


def direction_of(base: np.ndarray) -> np.ndarray:
    sample = base[:: max(1, len(base) // SAMPLE)].astype(np.float64)
    return np.linalg.svd(sample - sample.mean(0), full_matrices=False)[2][0]


def gated_set(data: DataSet) -> DataSet:
    """The same rows; queries of one end of the direction, then as many of the other."""
    folder = data.folder.with_name(data.folder.name + "+gates")
    count = data.queries // 4
    out = DataSet(data.name + "+gates", folder, data.dim, data.rows, 2 * count)
    if (folder / "shape").exists() and (folder / "base.f32").exists():
        return out
    folder.mkdir(exist_ok=True)
    along = direction_of(data.base())
    queries = data.query_rows()
    order = np.argsort(queries @ along)
    shuffled = np.random.default_rng(3).permutation(count)
    chosen = np.concatenate([order[-count:][shuffled], order[:count][shuffled]])
    queries[chosen].tofile(folder / "queries.f32")
    places = np.concatenate(
        [data.base()[i : i + SAMPLE] @ along for i in range(0, data.rows, SAMPLE)]
    )
    np.argsort(-places).astype(np.int32).tofile(folder / "order.i32")
    (folder / "base.f32").unlink(missing_ok=True)
    (folder / "base.f32").symlink_to(pathlib.Path("..", data.folder.name, "base.f32"))
    (folder / "shape").write_text(f"{data.dim} {data.rows} {2 * count}\n", encoding="utf-8")
    return out


def gate_of(data: DataSet, share: float, relation: str) -> Gate:
    """Of a gated set."""
    kind = "random" if relation == "random" else "first"
    path = data.folder / f"gate-{kind}-{share:g}.bits"
    if not path.exists():
        order = np.fromfile(data.folder / "order.i32", np.int32)
        if kind == "random":
            order = np.random.default_rng(4).permutation(data.rows)
        bits = np.zeros((data.rows + 63) // 64 * 64, np.uint8)
        bits[order[: max(1, round(share * data.rows))]] = 1
        np.packbits(bits, bitorder="little").tofile(path)
    begin = data.queries // 2 if relation == "anti" else 0
    middle, end = begin + data.queries // 4, begin + data.queries // 2
    return Gate(
        f"{share:.1%}, {relation}",
        path,
        max(1, round(share * data.rows)),
        range(begin, middle),
        range(middle, end),
    )


def short_of_k(driver: Driver, effort: int, load: Load) -> int:
    """Queries that got fewer than there are."""
    there = min(K, driver.gate.open_count)
    found = driver.found(effort, driver.gate.measuring, load)
    return int(np.sum((found >= 0).sum(1) < there))


def bracket(driver: Driver, gate: Gate, load: Load) -> Bracket | None:
    driver.set_gate(gate)
    try:
        return Bracket(driver, RECALL, load)
    except LookupError:
        return None


def add_gate(
    table: Table, ours: Driver, peers: list[Driver], gate: Gate, load: Load, pairs: int
) -> None:
    """Beside the fastest of those that find as much."""
    own = bracket(ours, gate, load)
    what = f"{ours.system.label()}, {ours.data.name}, {gate.label}, recall@10 {RECALL}"
    what += ", by processor time" if load.by_processor else ""
    if not own:
        table.add(what, "≥ 1× (goal 3)", "does not reach it", "–", "", False)
        return
    short = short_of_k(ours, own.efforts[1], load)
    reached = [b for b in (bracket(peer, gate, load) for peer in peers) if b]
    speed = len(own.queries) / own.seconds()
    note = f", effort {own.efforts[1]}, {short} short of k"
    if not reached:
        table.add(
            what, "≥ 1× (goal 3)", f"{speed:,.0f} /s{note}", "none reaches it", "–", not short
        )
        return
    best = fastest_of(reached)
    measured = pairs_of(own, best, pairs)
    quartile = lower_quartile([x / y for x, y in measured])
    table.add(
        what,
        "≥ 1× (goal 3)",
        f"{statistics.median(x for x, _ in measured):,.0f} /s{note}",
        f"{best.driver.system.label()}: {statistics.median(y for _, y in measured):,.0f} /s, "
        f"effort {best.efforts[1]}",
        f"{quartile:.2f}",
        quartile >= 1 and not short,
    )


def gates_of(data: DataSet) -> list[Gate]:
    return [gate_of(data, share, relation) for share in SHARES for relation in RELATIONS]


def prepare_filtered(mode: System, whole: DataSet, metric: str) -> None:
    """What takes long and is not measured."""
    data = gated_set(whole)
    for gate in gates_of(data):
        truth_limits(data, metric, gate)
    for system in (mode, *PEERS):
        with contextlib.suppress(LookupError), Driver(system, data, metric) as driver:
            driver.build()


def run_filtered(
    table: Table, mode: System, whole: DataSet, metric: str, load: Load, pairs: int
) -> None:
    data = gated_set(whole)
    drivers: list[Driver] = []
    try:
        for system in (mode, *PEERS):
            with contextlib.suppress(LookupError):  # a peer that cannot be had; it was said
                drivers.append(Driver(system, data, metric))
                drivers[-1].build()
        for gate in gates_of(data):
            add_gate(table, drivers[0], drivers[1:], gate, load, pairs)
    finally:
        for driver in drivers:
            driver.close()
