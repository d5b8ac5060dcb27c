# SPDX-License-Identifier: Apache-2.0
"""Hooks in Lua: `./dev bench lua [--write]`.

What a hook costs by itself comes from bench_lua; what it adds to a search from the Python package,
in turns with the search without it.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys

from support.results import PAIRS, ROOT, Table, build_program, lower_quartile, main, run

SEARCHES = """
import sys, time, numpy as np, lynse
n, d = int(sys.argv[1]), 128
rng = np.random.default_rng(1)
client = lynse.VectorDBClient(":memory:", threads=1, trusted_scripts=sys.argv[2] == "trusted")
col = client.create_database("b").require_collection("c", dim=d, default_index="FLAT-L2")
col.add(ids=np.arange(n), vectors=rng.standard_normal((n, d), dtype=np.float32),
        fields=[{"stars": i % 1000, "age": i / 7} for i in range(n)])
plain = "function(n, distance, field, out) end"
two = '''function(n, distance, field, out)
  local stars, age = field.stars, field.age
  for i = 0, n - 1 do out[i] = distance[i] - 0.3 * stars[i] + 0.1 * age[i] end
end'''
queries = rng.standard_normal((40, d), dtype=np.float32)
def median(**ranking):
    times = []
    for q in queries:
        begin = time.perf_counter()
        col.search(q, k=10, **ranking)
        times.append(time.perf_counter() - begin)
    return sorted(times)[len(times) // 2] * 1e6
for name, ranking in (("empty", {"score": plain}), ("two", {"score": two}),
                      ("rerank", {"rerank": "function(hits) return hits end"})):
    median(**ranking)
    for _ in range(int(sys.argv[3])):
        print("pair", name, median(**ranking), median())
"""


def case_hook(table: Table) -> None:
    out = subprocess.run(
        [build_program("bench_lua")], capture_output=True, text=True, check=True
    ).stdout
    found = re.findall(r"^(\S.*?), ns(.*?) +([\d.]+)$", out, re.M)
    values = {what: float(value) for what, _, value in found}
    loop = values["score in C, row by row"]
    limits = {"score trusted": 3.0, "score untrusted": 60.0, "tests for absent hooks": 1.0}
    for what, unit, value in found:
        ratio = f"{float(value) / loop:.2f}× C" if what == "score trusted" else ""
        limit = limits.get(what)
        met = None if limit is None else float(value) <= limit
        if what == "score trusted":
            met = met and float(value) <= 1.5 * loop
        target = "–" if limit is None else f"≤ {limit:.0f} ns"
        if what == "score trusted":
            target += ", ≤ 1.5× the loop in C"
        table.add(f"hook: {what}", target, f"{value} ns{unit}", "–", ratio, met)


def case_search(table: Table) -> None:
    ours = ROOT / "build" / "venv" / "bin" / "python"
    names = {"empty": "an empty score", "two": "a score over two columns", "rerank": "a rerank"}
    for trust in ("trusted", "untrusted"):
        result = run(ours, "-c", SEARCHES, 48_000, trust, PAIRS)
        for name, what in names.items():
            pairs = [(float(a), float(b)) for w, a, b in result["pair"] if w == name]
            added = statistics.median((a - b) / b for a, b in pairs)
            with_hook = statistics.median(a for a, _ in pairs)
            is_target = trust == "trusted" and name == "empty"
            table.add(
                f"search of 48,000 × 128 (1 ms) with {what}, {trust}",
                "≤ 5 % more" if is_target else "–",
                f"{with_hook:.0f} µs, {added:+.1%}",
                f"own, without: {statistics.median(b for _, b in pairs):.0f} µs",
                f"{lower_quartile([b / a for a, b in pairs]):.2f}",
                added <= 0.05 if is_target else None,
            )


CASES = {"hook": case_hook, "search": case_search}


if __name__ == "__main__":
    sys.exit(main("lua", __doc__, CASES))
