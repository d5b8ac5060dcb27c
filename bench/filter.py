# SPDX-License-Identifier: Apache-2.0
"""Filters: `./dev bench filter [--write]`.

Parsing and matching come from bench_filter; what a user sees (the first use of a field, filtered
searches beside the unfiltered one, in turns) from the Python package.
"""

from __future__ import annotations

import pathlib
import re
import statistics
import subprocess
import sys

from support.results import (
    PAIRS,
    ROOT,
    Table,
    build_program,
    fresh,
    lower_quartile,
    main,
    number,
    run,
)

ROWS, DIM = 1_000_000, 128
SEARCHES = """
import sys, time, numpy as np, lynse
path, threads = sys.argv[1], int(sys.argv[2])
n, d = 1_000_000, 128
langs = ["c", "lua", "python", "rust"]
rng = np.random.default_rng(1)
numbers = rng.integers(0, 1000, n).tolist()
client = lynse.VectorDBClient(path, threads=threads)
col = client.create_database("b").require_collection("c", dim=d, default_index="FLAT-L2")
if col.shape[0] == 0:
    size = 0
    for first in range(0, n, 100_000):
        rows = range(first, first + 100_000)
        col.add(ids=np.arange(first, first + 100_000),
                vectors=rng.standard_normal((100_000, d), dtype=np.float32),
                fields=[{"number": numbers[i], "lang": langs[i % 4], "stars": numbers[i] / 7,
                         "name": f"row number {i}", "note": "x" * 80} for i in rows])
    col.checkpoint()
    client.close()
    client = lynse.VectorDBClient(path, threads=threads)
    col = client.get_database("b").get_collection("c")
def seconds(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
print("cold_ns", seconds(lambda: col.count("number < 10")) / n * 1e9)
def matching(where):  # a text is matched once: each of these is another one
    texts = [where + " " * i for i in range(1, 10)]
    return min(seconds(lambda t=t: col.count(t)) for t in texts) / n * 1e9
print("warm_ns", matching("number < 10"))
print("again_ns", min(seconds(lambda: col.count("number < 10")) for _ in range(9)) / n * 1e9)
five = "number > 10 AND lang = 'lua' AND stars < 100.5 AND name LIKE 'row%' OR number = 5"
col.count(five)
print("five_ns", matching(five))
queries = rng.standard_normal((64, d), dtype=np.float32)
def search(where):
    times = [seconds(lambda: col.search(q, k=10, where=where)) for q in queries[:9]]
    return sorted(times)[len(times) // 2]
search(None)
for where in ("number < 10", "number < 100", "number < 500"):
    for _ in range(int(sys.argv[3])):
        print("pair", where.replace(" ", ""), search(where) * 1e3, search(None) * 1e3)
"""


def case_match(table: Table) -> None:
    """Medians of bench_filter, which prints ns."""
    out = subprocess.run(
        [build_program("bench_filter")], capture_output=True, text=True, check=True
    ).stdout
    for line in out.splitlines():
        found = re.match(r"  (\S.*?) {2,}([\d.]+) +([\d.]+)", line)
        if not found:
            continue
        what, median = found.group(1), float(found.group(3))
        limit = 5000 if what.startswith("parse") else 60 if "five" in what else 10
        is_numeric = "one comparison" in what and not what.endswith("comparison, texts")
        is_target = "parse" in what or "five" in what or is_numeric
        table.add(
            f"filter: {what}",
            f"≤ {limit} ns" if is_target else "–",
            f"{median:.1f} ns",
            "–",
            "",
            median <= limit if is_target else None,
        )


def case_search(table: Table) -> None:
    ours = ROOT / "build" / "venv" / "bin" / "python"
    path: pathlib.Path = fresh("filter")
    for threads in (1, 2):
        result = run(ours, "-c", SEARCHES, path, threads, PAIRS)
        if threads == 1:
            for name, what, limit in (
                ("cold_ns", "first use of a field, documents of 160 B", 500),
                ("warm_ns", "count with one comparison, through Python", 10),
                ("again_ns", "the same text once more", 1),
                ("five_ns", "count with five mixed ones, through Python", 60),
            ):
                value = number(result, name)
                table.add(what, f"≤ {limit} ns a row", f"{value:.1f} ns", "–", "", value <= limit)
        for where in dict.fromkeys(row[0] for row in result["pair"]):
            pairs = [(float(a), float(b)) for w, a, b in result["pair"] if w == where]
            quartile = lower_quartile([b / a for a, b in pairs])
            share = int(where.split("<")[1]) / 10
            table.add(
                f"exact search with where, {share:.0f} % match, 1M × 128, {threads} thread(s)",
                "faster than without" if share == 1 else "–",
                f"{statistics.median(a for a, _ in pairs):.1f} ms",
                f"own, without where: {statistics.median(b for _, b in pairs):.1f} ms",
                f"{quartile:.2f}",
                quartile > 1 if share == 1 else None,
            )


CASES = {"match": case_match, "search": case_search}


if __name__ == "__main__":
    sys.exit(main("filter", __doc__, CASES))
