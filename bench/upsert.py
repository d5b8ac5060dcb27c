# SPDX-License-Identifier: Apache-2.0
"""Upserts, with builds and merges beside them: `./dev bench upsert [CASE]... [--write]`.

Ours is bench_upsert.c, of two job threads, searched meanwhile; the peer is hnswlib, built for this
machine's processor, which two threads insert into.  Ours ends when everything is indexed, and again
when nothing is left to be merged: five seconds of quiet and a merge of all later.

    rate      as fast as rows are taken: rows a second to both ends, beside hnswlib's
    paced     6,000 rows a second: the longest stall of an upsert and of a search

LYNSE_UPSERT_ROWS sets the number of rows (200,000).
"""

from __future__ import annotations

import os
import shutil
import sys

from support.ann_data import DataSet, data_set
from support.peers import PEERS, peer_python
from support.results import ROOT, Table, build_program, fresh, main, number, run, say

ROWS = int(os.environ.get("LYNSE_UPSERT_ROWS", "200000"))
DATA = "sift-like@1m"
STALL_MS, UNINDEXED_MAX, SEGMENTS_MAX = 20, 131_072, 24


def shape_of(rows: int) -> str:
    return f"{rows // 1000}k × 128"


def the_set() -> DataSet:
    data = data_set(DATA)
    assert data  # a generated one
    return data


def ours(data: DataSet, rate: int) -> dict[str, list[list[str]]]:
    root = fresh("upserts")
    out = run(build_program("bench_upsert"), root, data.folder, "HNSW-L2", rate, 1, ROWS)
    shutil.rmtree(root, ignore_errors=True)
    return out


def curve(out: dict[str, list[list[str]]]) -> str:
    qps = dict(out["qps"])
    points = (f"{float(share):.3f} at {qps[ef]}/s (ef {ef})" for ef, share in out["recall"])
    return "recall " + ", ".join(points)


def bound(table: Table, out: dict, rate: str) -> None:
    """What waits is bounded, whatever the rate."""
    for name, what, most in (
        ("unindexed_max", "rows without an index at most", UNINDEXED_MAX),
        ("segments_max", "segments at most", SEGMENTS_MAX),
    ):
        value = number(out, name)
        case = f"{what}, {shape_of(ROWS)}, {rate}"
        table.add(case, f"≤ {most:,}", f"{value:,.0f}", "–", "–", value <= most)


def bench_rate(table: Table) -> None:
    data, python = the_set(), peer_python("ann-hnswlib")
    own = ours(data, 0)
    mine, text, ratio, met = number(own, "settled_per_s"), "–", "–", None
    indexed = number(own, "indexed_per_s")
    if python:
        peer = run(python, ROOT / "bench" / "support" / "upsert_peer.py", data.folder, ROWS)
        theirs = number(peer, "inserts_per_s")
        text = f"hnswlib {theirs:,.0f}/s; {curve(peer)}"
        ratio = f"{indexed / theirs:.2f}×, {mine / theirs:.2f}× (1 pair)"
        met = indexed >= theirs
    case = f"upserts until all are indexed, and to the end of all merges, {shape_of(ROWS)}"
    measured = f"{indexed:,.0f}/s, {mine:,.0f}/s; {curve(own)}"
    table.add(case, "≥ 1.0×, goal 3×", measured, text, ratio, met)
    bound(table, own, "as fast as it goes")


def bench_paced(table: Table) -> None:
    out = ours(the_set(), 6000)
    for name in ("upsert", "search"):
        median, most_of, longest = map(float, out[f"{name}_ms"][0])
        measured = f"{longest:.1f} ms; median {median:.2f}, 99 of 100 {most_of:.2f}"
        case = f"longest stall of {name}s, {shape_of(ROWS)}, 6,000 rows/s"
        table.add(case, f"≤ {STALL_MS} ms", measured, "–", "–", longest <= STALL_MS)
    bound(table, out, "6,000 rows/s")


CASES = {"rate": bench_rate, "paced": bench_paced}

if __name__ == "__main__":
    say(f"peers in {PEERS}")
    sys.exit(main("upsert", __doc__, CASES))
