#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lynse in half a minute, without a server: `./dev demo`.

Puts 5,000 descriptions of software into a folder, asks it questions in plain English, filters with
`where`, ranks with a function in Lua, deletes and restores, builds an index and measures what it
gains, opens the folder again, and then kills a writing process several times, to count what is
missing.
The vectors come with the checkout (data/packages-5k): nothing is fetched, no model is run.
"""

import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import lynse
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE / "data" / "packages-5k"
ROOT = HERE.parent / "build" / "demo"
BATCH = 250
QUESTIONS = 8
KILLS = 6
VARIANTS = 5  # of each description, for an index: 5,000 are looked through as fast as looked up
GROUP = 8  # records of one add of the process that is killed
WHERE = "tags CONTAINS 'interface::commandline' AND installed_kib < 1000"
# In a score smaller is nearer: a doubling of the size costs as much as 0.02 of likeness.
SCORE = """function(n, distance, field, out)
  for i = 0, n - 1 do
    out[i] = distance[i] + 0.02 * math.log(1 + field.installed_kib[i]) / math.log(2)
  end
end"""
FIELDS = ("section", "summary", "version", "installed_kib", "tags")


class Progress:
    """A bar on a terminal; elsewhere a line at every quarter."""

    def __init__(self, what, total):
        self.what, self.total, self.quarter = what, total, 0
        self.is_terminal = sys.stderr.isatty()

    def show(self, done):
        share = done / self.total
        if self.is_terminal:
            bar = "█" * int(30 * share)
            end = "\n" if done == self.total else ""
            print(f"\r  {self.what} {bar:<30} {share:4.0%}", end=end, file=sys.stderr, flush=True)
        elif int(share * 4) > self.quarter:
            self.quarter = int(share * 4)
            print(f"  {self.what} {share:.0%}", file=sys.stderr, flush=True)


def heading(text):
    print(f"\n{text}\n{'─' * len(text)}", flush=True)


def load():
    """ids, float32 vectors, fields; and the questions with their vectors."""
    with open(DATA / "packages.jsonl", encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    with open(DATA / "queries.jsonl", encoding="utf-8") as file:
        questions = [json.loads(line)["text"] for line in file]
    ids = [record["id"] for record in records]
    fields = [{name: record[name] for name in FIELDS if name in record} for record in records]
    vectors = np.load(DATA / "vectors.npy").astype(np.float32)
    return ids, vectors, fields, questions, np.load(DATA / "queries.npy").astype(np.float32)


def store(packages, ids, vectors, fields):
    heading(f"Import {len(ids):,} records of {vectors.shape[1]} dimensions")
    progress = Progress("storing", len(ids))
    started = time.perf_counter()
    for first in range(0, len(ids), BATCH):
        part = slice(first, first + BATCH)
        packages.add(ids=ids[part], vectors=vectors[part], fields=fields[part])
        progress.show(min(first + BATCH, len(ids)))
    seconds = time.perf_counter() - started
    print(
        f"  {len(ids) / seconds:,.0f} records/s: {len(ids) // BATCH} calls, "
        "each on the disk before it was answered"
    )


def ask(packages, questions, queries):
    heading("Questions in plain English")
    times = []
    for question, query in list(zip(questions, queries))[:QUESTIONS]:
        started = time.perf_counter()
        found = packages.search(query, k=3, return_fields=True)
        times.append(time.perf_counter() - started)
        print(f"  {question}?  ({times[-1] * 1e3:.1f} ms)")
        for row in found.to_list():
            print(f"    {row['distance']:.3f}  {row['id']:<22} {row['summary'][:56]}")
    started = time.perf_counter()
    packages.batch_search(queries, k=10)
    batch = (time.perf_counter() - started) / len(queries)
    print(
        f"  median {sorted(times)[len(times) // 2] * 1e3:.2f} ms one by one, "
        f"{batch * 1e3:.2f} ms a question in a batch of {len(queries)}"
    )


def ask_with_filter(packages, question, query):
    heading("The same question to small command-line programs alone")
    started = time.perf_counter()
    found = packages.search(query, k=3, where=WHERE, return_fields=True)
    seconds = time.perf_counter() - started
    print(f"  where {WHERE}")
    print(f"  {question}?  ({seconds * 1e3:.1f} ms, {packages.count(WHERE):,} records match)")
    rows = found.to_list()
    for row in rows:
        size = f"{row['installed_kib']:,} KiB"
        print(f"    {row['distance']:.3f}  {row['id']:<22} {size:>9}  {row['summary'][:46]}")
    is_right = [
        "interface::commandline" in row["tags"] and row["installed_kib"] < 1000 for row in rows
    ]
    return len(is_right) == 3 and all(is_right)


def ask_with_score(packages, question, query):
    heading("The same question, small programs first: a function in Lua ranks every record")
    started = time.perf_counter()
    found = packages.search(query, k=3, score=SCORE, return_fields=True)
    seconds = time.perf_counter() - started
    print(f"  {question}?  ({seconds * 1e3:.1f} ms)")
    for row in found.to_list():
        size = f"{row['installed_kib']:,} KiB"
        print(f"    {row['distance']:.3f}  {row['id']:<22} {size:>9}  {row['summary'][:46]}")
    values = [row["distance"] for row in found.to_list()]
    return len(values) == 3 and values == sorted(values)


def delete_and_restore(packages, questions, queries):
    heading("Delete, and bring back")
    best = packages.search(queries[0], k=1).ids[0]
    packages.delete(best)
    second = packages.search(queries[0], k=1).ids[0]
    print(f"  '{questions[0]}' finds {best}; without it, {second}")
    packages.restore(best)
    again = packages.search(queries[0], k=1).ids[0]
    print(f"  restored: it finds {again} again")
    return best == again != second


def time_each(records, queries, **options):
    """The ids that are found, and the median of the seconds, one by one."""
    found, times = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(set(records.search(query, k=10, **options).ids.tolist()))
        times.append(time.perf_counter() - started)
    return found, sorted(times)[len(times) // 2]


def build_an_index(client, vectors, queries):
    count = VARIANTS * len(vectors)
    heading(f"An index: {count:,} records, {VARIANTS} variants of each description")
    chance = np.random.default_rng(1)
    noise = np.float32(0.5 / np.sqrt(vectors.shape[1]))
    records = client.create_collection("demo", "variants", dim=vectors.shape[1])
    for turn in range(VARIANTS):
        ids = np.arange(turn * len(vectors), (turn + 1) * len(vectors))
        off = noise * chance.standard_normal(vectors.shape, dtype=np.float32)
        records.add(ids=ids, vectors=vectors + off)
    time_each(records, queries)  # what is looked at first comes from the disk
    every, seconds = time_each(records, queries)
    print(f"  looking at every record  {seconds * 1e3:.3f} ms")
    started = time.perf_counter()
    records.build_index("HNSW-IP-SQ8")
    built = time.perf_counter() - started
    time_each(records, queries)
    found, faster = time_each(records, queries)
    right = sum(len(a & b) for a, b in zip(every, found)) / sum(map(len, every))
    print(f"  with HNSW-IP-SQ8         {faster * 1e3:.3f} ms: {seconds / faster:.1f} times as fast")
    print(f"  {right:.1%} of the 10 nearest are the same; built in {built:.1f} s")
    report = records.verify(level="deep")
    state = "it is sound" if report["is_sound"] else report["findings"]
    print(f"  verified, to the last number: {state}")
    return right > 0.8 and report["is_sound"]


def open_again(folder, count):
    heading("Close, and open again")
    started = time.perf_counter()
    with lynse.VectorDBClient(folder) as client:
        packages = client.get_database("demo").get_collection("packages")
        n_live = packages.stats()["n_live"]
        seconds = time.perf_counter() - started
    print(f"  {n_live:,} records are there after {seconds * 1e3:.0f} ms")
    return n_live == count


def write_until_killed(folder, first):
    """The child: one line on stdout for each group that was acknowledged."""
    vectors = np.load(DATA / "vectors.npy").astype(np.float32)
    client = lynse.VectorDBClient(folder)
    log = client.create_collection("demo", "log", dim=vectors.shape[1])
    group = first
    while True:
        rows = np.arange(group * GROUP, (group + 1) * GROUP)
        fields = [{"group": group}] * GROUP
        log.add(ids=rows, vectors=vectors[rows % len(vectors)], fields=fields)
        sys.stdout.write(f"{group}\n")
        sys.stdout.flush()
        group += 1


def write_and_kill(folder, first, seconds):
    """The groups that a child acknowledged before `kill -9`."""
    child = subprocess.Popen(
        [sys.executable, __file__, "--write", str(folder), str(first)], stdout=subprocess.PIPE
    )
    heard = child.stdout.readline()
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    heard += child.stdout.read()
    child.wait()
    if not heard:
        raise SystemExit("the writing process could not write")
    # What comes after the last end of a line was cut in two with the process.
    return [int(line) for line in heard.split(b"\n")[:-1]]


def count_missing(folder, acknowledged):
    """(records, acknowledged ones that are missing or wrong, half groups)"""
    vectors = np.load(DATA / "vectors.npy").astype(np.float32)
    whole, right = np.zeros(0, int), np.zeros(0, int)  # records of each group: there, and right
    with lynse.VectorDBClient(folder) as client:
        log = client.get_database("demo").get_collection("log")
        for first in range(0, log.max_id + 1, BATCH * GROUP):
            stored = log.get(range(first, first + BATCH * GROUP))
            groups = stored.ids // GROUP - first // GROUP
            is_right = (stored.vectors == vectors[stored.ids % len(vectors)]).all(axis=1)
            is_right &= [
                row == {"group": id_ // GROUP} for id_, row in zip(stored.ids, stored.fields)
            ]
            whole = np.append(whole, np.bincount(groups, minlength=BATCH))
            right = np.append(right, np.bincount(groups[is_right], minlength=BATCH))
    missing = sum(GROUP - (right[group] if group < len(right) else 0) for group in acknowledged)
    return whole.sum(), missing, np.count_nonzero(whole % GROUP)


def kill_writers(folder):
    heading(f"kill -9 a writing process, {KILLS} times")
    chance = random.Random(1)
    acknowledged, is_whole = [], True
    for turn in range(1, KILLS + 1):
        first = acknowledged[-1] + 2 if acknowledged else 0  # the last group may be there unheard
        heard = write_and_kill(folder, first, chance.uniform(0.1, 0.7))
        acknowledged += heard
        records, missing, half = count_missing(folder, acknowledged)
        print(
            f"  kill {turn}: {len(heard) * GROUP:,} more acknowledged, {records:,} there, "
            f"{missing} missing, {half} half groups",
            flush=True,
        )
        is_whole = is_whole and missing == half == 0
    if is_whole:
        print(
            f"  All {len(acknowledged) * GROUP:,} acknowledged records survived. This shows that "
            "the death of a\n  process loses nothing; of a power cut it shows nothing."
        )
    else:
        print("  ACKNOWLEDGED RECORDS ARE MISSING")
    return is_whole


def main():
    started = time.perf_counter()
    shutil.rmtree(ROOT, ignore_errors=True)
    print(f"lynse {lynse.__version__} in {ROOT.relative_to(HERE.parent)}, no server")
    ids, vectors, fields, questions, queries = load()
    with lynse.VectorDBClient(ROOT) as client:
        packages = client.create_collection("demo", "packages", dim=vectors.shape[1])
        store(packages, ids, vectors, fields)
        ask(packages, questions, queries)
        is_right = ask_with_filter(packages, questions[0], queries[0])
        is_right = ask_with_score(packages, questions[0], queries[0]) and is_right
        is_right = delete_and_restore(packages, questions, queries) and is_right
        is_right = build_an_index(client, vectors, queries) and is_right
    is_right = open_again(ROOT, len(ids)) and is_right
    is_right = kill_writers(ROOT) and is_right
    print(f"\n{'Done' if is_right else 'FAILED'} in {time.perf_counter() - started:.0f} s")
    return 0 if is_right else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write_until_killed(sys.argv[2], int(sys.argv[3]))
    sys.exit(main())
