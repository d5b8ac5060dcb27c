# SPDX-License-Identifier: Apache-2.0
"""Filtered searches of `./dev bench ann filtered-products`: ours through its Python package beside
products through theirs, one query at a time.

The gates are those of ann_filter.py, as fields of documents.  A product is asked with the least
effort that reaches 0.95, ours with the least that finds as much as it does.  One that is slower at
its least effort than another that has reached it is not tuned: it says what it takes there.
"""

from __future__ import annotations

import statistics
from typing import NamedTuple

from support.ann_data import DataSet
from support.ann_driver import Driver, Gate, K, Load, System, truth_limits
from support.ann_filter import gated_set, gates_of, short_of_k
from support.results import Table, lower_quartile, say

RECALL = 0.95
EFFORTS = (10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512, 768, 1024)
QUERIES, FIRST_QUERIES = 100, 8
ONE = Load()
PEERS = (
    System("qdrant", ("m=16", "efc=200"), is_peer=True),
    System("qdrant", ("m=16", "efc=200", "acorn=1"), is_peer=True),
    System("zvec", ("m=16", "efc=200", "brute=0.1"), is_peer=True),
    System("zvec", ("m=16", "efc=200", "brute=0.01"), is_peer=True),
    System("lancedb", ("m=16", "efc=200", "refine=2"), is_peer=True),
    System("chroma", ("m=16", "efc=200"), is_peer=True),
)


class Choice(NamedTuple):
    """Who, how hard it looks, and how much that finds of the queries it was chosen by."""

    driver: Driver
    effort: int
    recall: float

    def seconds(self, queries: range) -> tuple[float, float]:
        """The median of one, and the mean."""
        whole = self.driver.seconds(self.effort, queries, ONE)
        return self.driver.median, whole / len(queries)


def few(queries: range) -> range:
    return queries[:QUERIES]


def narrowed(gate: Gate) -> Gate:
    return gate._replace(tuning=few(gate.tuning), measuring=few(gate.measuring))


def choose(driver: Driver, gate: Gate, recall: float) -> Choice | None:
    """The least effort that finds so much; None: the most does not."""
    found = {}

    def reaches(place: int) -> bool:
        found[place] = driver.recall(EFFORTS[place], gate.tuning, ONE)
        return found[place] >= recall

    low, high = -1, len(EFFORTS) - 1
    if reaches(0):
        return Choice(driver, EFFORTS[0], found[0])
    if not reaches(high):
        return None
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return Choice(driver, EFFORTS[high], found[high])


def floor_of(driver: Driver, gate: Gate) -> float:
    """The median of a query at the least effort."""
    driver.seconds(EFFORTS[0], gate.tuning[:FIRST_QUERIES], ONE)
    return driver.median


def best_of(peers: list[Driver], gate: Gate) -> tuple[Choice | None, list[str]]:
    """The fastest that finds enough, and a word about each other."""
    floors, best, best_median, words = {}, None, float("inf"), {}
    for peer in peers:
        peer.set_gate(gate)
        floors[peer] = floor_of(peer, gate)
    for peer in sorted(peers, key=floors.get):
        words[peer] = f"{peer.system.label()} {floors[peer] * 1e3:.2g} ms at least"
        if floors[peer] >= best_median:
            continue
        choice = choose(peer, gate, RECALL)
        if not choice:
            words[peer] = f"{peer.system.label()} does not reach it"
            continue
        median, _ = choice.seconds(gate.tuning)
        words[peer] = f"{peer.system.label()} {median * 1e3:.2g} ms"
        if median < best_median:
            best, best_median = choice, median
    return best, [word for peer, word in words.items() if not best or peer is not best.driver]


def describe(choice: Choice, gate: Gate, times: list[tuple[float, float]]) -> str:
    median, mean = (statistics.median(pair[i] for pair in times) * 1e3 for i in (0, 1))
    recall = choice.driver.recall(choice.effort, gate.measuring, ONE)
    short = short_of_k(choice.driver, choice.effort, ONE)
    return (
        f"p50 {median:.3g} ms, mean {mean:.3g} ms, effort {choice.effort} ({recall:.4f}), "
        f"{short} short of k"
    )


def add_gate(table: Table, ours: Driver, peers: list[Driver], gate: Gate, pairs: int) -> None:
    best, others = best_of(peers, gate)
    ours.set_gate(gate)
    own = choose(ours, gate, max(RECALL, best.recall if best else 0))
    what = f"{ours.data.name}, {gate.label}, k {K}, through Python"
    if not own:
        table.add(what, "≥ 1× (goal 3)", "does not find as much", "–", "", False)
        return
    mine, theirs, anew = [], [], []
    for _ in range(pairs):
        ours.set_gate(gate)
        mine.append(own.seconds(gate.measuring))
        if best:
            theirs.append(best.seconds(gate.measuring))
        ours.set_gate(gate, anew=True)
        anew.append(own.seconds(gate.measuring))
    ours.set_gate(gate)
    short = short_of_k(ours, own.effort, ONE)
    first = statistics.median(median for median, _ in anew)
    text = f"{describe(own, gate, mine)}; of a filter not seen before {first * 1e3:.3g} ms"
    if not best:
        table.add(what, "≥ 1× (goal 3)", text, f"none: {'; '.join(others)}", "–", not short)
        return
    ratio = lower_quartile([y / x for (x, _), (y, _) in zip(mine, theirs)])
    ratio_anew = lower_quartile([y / x for (x, _), (y, _) in zip(anew, theirs)])
    table.add(
        what,
        "≥ 1× (goal 3)",
        text,
        f"{best.driver.system.label()}: {describe(best, gate, theirs)}; {'; '.join(others)}",
        f"{ratio:.2f}; not seen before {ratio_anew:.2f}",
        ratio >= 1 and not short,
    )


def started(system: System, data: DataSet, metric: str) -> Driver | None:
    """With its documents; None: it cannot be had, and that was said."""
    try:
        driver = Driver(system, data, metric)
    except LookupError:
        return None
    try:
        built = driver.build()
    except RuntimeError as error:
        say(f"LEFT OUT: {system.label()}: {error}")
        driver.close()
        return None
    say(f"{system.label()}: made in {built.seconds:.0f} s, {built.bytes >> 20} MiB on the disk")
    return driver


def documents_of(whole: DataSet) -> tuple[DataSet, list[Gate]]:
    """The gated set, and the gates that are fields of its documents."""
    data = gated_set(whole)
    gates = gates_of(data)
    names = dict.fromkeys(gate.path.name for gate in gates)
    (data.folder / "fields").write_text("\n".join(names), encoding="utf-8")
    return data, gates


def prepare_products(mode: System, whole: DataSet, metric: str) -> None:
    data, gates = documents_of(whole)
    for gate in gates:
        truth_limits(data, metric, narrowed(gate))
    for system in (mode, *PEERS):
        driver = started(system, data, metric)
        if driver:
            driver.close()


def run_filtered_products(
    table: Table, mode: System, whole: DataSet, metric: str, pairs: int
) -> None:
    data, gates = documents_of(whole)
    drivers = [started(system, data, metric) for system in (mode, *PEERS)]
    there = [driver for driver in drivers if driver]
    try:
        if not drivers[0]:
            raise LookupError(f"{mode.label()} could not be started")
        for gate in gates:
            add_gate(table, drivers[0], there[1:], narrowed(gate), pairs)
    finally:
        for driver in there:
            driver.close()
