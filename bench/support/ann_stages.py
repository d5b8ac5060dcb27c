# SPDX-License-Identifier: Apache-2.0
"""Stages of a long run: each one's rows are kept when it ends, so that a run that was cut off goes
on where it was, and a report is made of what there is.

A stage is a case over a data set.  Its rows are in build/bench-data/ann/results/STAGE.json, with
when and on what they were measured; it is measured again when that is gone, or with --again.
"""

from __future__ import annotations

import datetime
import functools
import json
import os

from support.ann_data import DataSet
from support.ann_driver import core_version
from support.peers import PEER_PACKAGES, peer_version
from support.results import DATA, PEERS, Table, machine, say

RESULTS = DATA / "ann" / "results"
PRODUCTS = ("qdrant", "zvec", "lancedb", "chromadb")


def stage_name(case: str, data: str) -> str:
    return f"{case}-{data}".replace("/", "_")


def has_stage(name: str) -> bool:
    return (RESULTS / f"{name}.json").exists()


@functools.cache
def peer_versions() -> str:
    """Of those that are installed; their packages are PEER_PACKAGES'."""
    out = []
    for name in ("ann-hnswlib", "ann-faiss", "ann-usearch", "lynsedb", *PRODUCTS):
        package = next(p for p in PEER_PACKAGES[name] if not p.startswith("-"))
        if (PEERS / name / "ready").exists():
            out.append(f"{package} {peer_version(PEERS / name / 'bin' / 'python', package)}")
    return ", ".join(out)


def keep_stage(name: str, data: DataSet, table: Table) -> None:
    """Whole or not at all."""
    kept = {
        "rows": table.rows,
        "data": f"{data.name} {data.rows:,} × {data.dim}, {data.queries:,} queries",
        "core": core_version() or "changed",
        "date": str(datetime.date.today()),
        "machine": machine(),
        "peers": peer_versions(),
        "load": [round(x, 1) for x in os.getloadavg()],
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.with_suffix(".part").write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
    path.with_suffix(".part").rename(path)


def all_stages(names: list[str]) -> Table:
    """The rows of all that are kept, these first and in this order; below, of what each was
    measured."""
    out, measured, sets, peers = Table(), [], {}, ""
    others = sorted({path.stem for path in RESULTS.glob("*.json")} - set(names))
    for name in names + others:
        if not has_stage(name):
            say(f"not measured yet: {name}")
            continue
        kept = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        out.rows += [tuple(row) for row in kept["rows"]]
        measured.append(f"{name} {kept['core']} ({kept['date']})")
        sets[kept["data"]] = peers = kept["peers"]
    out.notes = [
        f"Data: {'; '.join(sets)}. Peers: {peers}.",
        "Each stage is a run of `./dev bench ann CASE --data SET --full`, here by the commit that "
        f"last changed `core/`: {', '.join(measured)}.",
    ]
    return out
