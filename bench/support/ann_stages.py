# SPDX-License-Identifier: Apache-2.0
"""Stages of a long run: each one's rows are kept when it ends, so that a run that was cut off goes
on where it was, and a report is made of what there is.

A stage is a case over a data set.  Its rows are in build/bench-data/ann/results/STAGE.json, with
when and on what they were measured; it is measured again when that is gone, or with --again.
"""

from __future__ import annotations

import datetime
import json
import subprocess

from support.results import DATA, ROOT, Table, machine, say

RESULTS = DATA / "ann" / "results"


def stage_name(case: str, data: str) -> str:
    return f"{case}-{data}".replace("/", "_")


def has_stage(name: str) -> bool:
    return (RESULTS / f"{name}.json").exists()


def keep_stage(name: str, table: Table) -> None:
    """Whole or not at all."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()
    kept = {
        "rows": table.rows,
        "commit": commit,
        "date": str(datetime.date.today()),
        "machine": machine(),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.with_suffix(".part").write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
    path.with_suffix(".part").rename(path)


def all_stages(names: list[str]) -> Table:
    """The rows of those that there are, in this order."""
    out = Table()
    for name in names:
        if not has_stage(name):
            say(f"not measured yet: {name}")
            continue
        kept = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        out.rows += [tuple(row) for row in kept["rows"]]
    return out
