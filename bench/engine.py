# SPDX-License-Identifier: Apache-2.0
"""The engine's targets, measured beside their peers: `./dev bench engine [CASE ...] [--write]`.

Each line of the table is a case with its target, what was measured, the peer with its version and
settings, the lower quartile of the ratios of at least seven pairs (A B A B ...), and whether the
target is met.  `--write` replaces the table in bench/RESULTS.md.  Peers live in virtual
environments of their own under build/peers, made on the first run; one that cannot be installed is
named and left out.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import statistics
import struct
import subprocess
import sys

from support.peers import peer_python, peer_version
from support.results import (
    BENCH,
    DATA,
    PAIRS,
    ROOT,
    Table,
    fresh,
    lower_quartile,
    main,
    number,
    run,
)

# One text for all: 100,000 rows with three fields go in, the store is opened again and counted.
BULK = """
import sys, time, numpy as np
path, which = sys.argv[1], sys.argv[2]
rng = np.random.default_rng(1)
n, d = 100_000, 128
vectors = rng.standard_normal((n, d), dtype=np.float32)
ids = list(range(n))
fields = [{"number": i, "name": f"row {i}", "even": i % 2 == 0} for i in range(n)]
"""
BULK_BODY = {
    "lynse": """
import lynse
sync = which
begin = time.perf_counter()
client = lynse.VectorDBClient(path, sync=sync)
col = client.create_database("b").require_collection("c", dim=d)
col.add(ids=ids, vectors=vectors, fields=fields)
col.commit()
client.close()
client = lynse.VectorDBClient(path)
count = client.get_database("b").get_collection("c").shape[0]
client.close()
""",
    "lynsedb": """
import lynse
begin = time.perf_counter()
client = lynse.VectorDBClient(path)
col = client.create_database("b").require_collection("c", dim=d)
with col:
    col.add(ids=ids, vectors=vectors, fields=fields, batch_size=50_000)
col.close()
client.close()
client = lynse.VectorDBClient(path)
count = client.get_database("b").get_collection("c").shape[0]
""",
    "lancedb": """
import lancedb, pyarrow as pa
begin = time.perf_counter()
db = lancedb.connect(path)
table = pa.table({
    "id": pa.array(ids, pa.int64()),
    "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), d),
    "number": pa.array([f["number"] for f in fields]),
    "name": pa.array([f["name"] for f in fields]),
    "even": pa.array([f["even"] for f in fields]),
})
db.create_table("c", table)
count = lancedb.connect(path).open_table("c").count_rows()
""",
    "chromadb": """
import chromadb
begin = time.perf_counter()
client = chromadb.PersistentClient(path)
col = client.create_collection("packages")
step = client.get_max_batch_size()
for i in range(0, n, step):
    col.add(ids=[str(j) for j in ids[i:i + step]], embeddings=vectors[i:i + step],
            metadatas=fields[i:i + step])
count = chromadb.PersistentClient(path).get_collection("packages").count()
""",
}
BULK_END = """
assert count == n, count
print("seconds", time.perf_counter() - begin)
"""

FLAT = """
import sys, time, numpy as np, faiss, lynse
path = sys.argv[1]
n, d, k, threads = 1_000_000, 128, 10, int(sys.argv[2])
rng = np.random.default_rng(1)
vectors = rng.standard_normal((n, d), dtype=np.float32)
queries = rng.standard_normal((64, d), dtype=np.float32)
index = faiss.IndexFlatL2(d)
index.add(vectors)
client = lynse.VectorDBClient(path, threads=threads)
col = client.create_database("b").require_collection("c", dim=d, default_index="FLAT-L2")
if col.shape[0] == 0:
    col.add(ids=np.arange(n), vectors=vectors)
    col.checkpoint()
del vectors
def ours(q):
    return col.search(q, k=k).ids
def theirs(q):
    return index.search(q[None, :], k)[1][0]
same = sum(set(ours(q)) == set(theirs(q)) for q in queries)
print("same_ids", same / len(queries))
print("version", faiss.__version__)
def seconds(f, qs):
    best = []
    for q in qs:
        begin = time.perf_counter()
        f(q)
        best.append(time.perf_counter() - begin)
    return sorted(best)[len(best) // 2]
def best_of_theirs(qs):
    def on(count):
        faiss.omp_set_num_threads(count)
        return seconds(theirs, qs)
    return min(on(count) for count in {1, threads})  # one query gains nothing from OpenMP
for pair in range(int(sys.argv[3])):
    a, b = seconds(ours, queries[:16]), best_of_theirs(queries[:16])
    print("pair", a * 1e6, b * 1e6)
client.close()
"""


def clean_env() -> dict:
    """A BLAS at its best: no forced core type or cache size from outside."""
    return {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}


# ---- cases --------------------------------------------------------------------------------------


def case_flat(table: Table) -> None:
    """One exact query over 1M x 128 against reading the same memory, in one program."""
    outs = [
        subprocess.run([BENCH / "bench_flat"], capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    ]
    for label, threads in (("l2, 1 thread", 1), ("l2, 2 slices", 2)):
        rows = [re.search(rf"^{label} +[\d.]+ +([\d.]+) +([\d.]+)", out, re.M) for out in outs]
        fraction = statistics.median(float(r.group(2)) for r in rows)
        speed = statistics.median(float(r.group(1)) for r in rows)
        table.add(
            f"exact query, 1M × 128, {threads} thread(s)",
            "≥ 0.85 of read bandwidth",
            f"{fraction:.2f} ({speed:.1f} GB/s)",
            "reading the same memory, same rounds",
            "",
            fraction >= 0.85,
        )


def case_faiss(table: Table) -> None:
    python = peer_python("faiss")
    if not python:
        table.add(
            "exact query through Python, 1M × 128", "≥ 1.0× faiss", "not run", "faiss-cpu", "", None
        )
        return
    path = DATA / "faiss"
    for threads in (1, 2):
        result = run(python, "-c", FLAT, path, threads, PAIRS, env=clean_env())
        pairs = [(float(a), float(b)) for a, b in result["pair"]]
        ratios = [b / a for a, b in pairs]
        quartile = lower_quartile(ratios)
        ours = statistics.median(a for a, _ in pairs)
        table.add(
            f"exact query through Python, 1M × 128, {threads} thread(s)",
            "≥ 1.0× faiss",
            f"{ours / 1000:.1f} ms, same ids {float(result['same_ids'][0][0]):.0%}",
            f"faiss-cpu {result['version'][0][0]} IndexFlatL2, best of 1–{threads} thread(s)",
            f"{quartile:.2f}",
            quartile >= 1.0,
        )


def case_overhead(table: Table) -> None:
    values = [number(run(BENCH / "bench_engine", "overhead"), "overhead_ns") for _ in range(PAIRS)]
    median = statistics.median(values)
    table.add(
        "search over 1,000 rows beside its kernel",
        "≤ 2 µs",
        f"{median / 1000:.2f} µs",
        "own kernel",
        "",
        median <= 2000,
    )


def case_inserts(table: Table) -> None:
    """64 blocking clients against one: what group commit gains."""
    ratios, many = [], []
    for _ in range(PAIRS):
        one = number(
            run(BENCH / "bench_engine", "inserts", fresh("inserts"), 1, 2), "rows_per_second"
        )
        all_ = number(
            run(BENCH / "bench_engine", "inserts", fresh("inserts"), 64, 2), "rows_per_second"
        )
        ratios.append(all_ / one)
        many.append(all_)
    quartile = lower_quartile(ratios)
    table.add(
        "durable single-row inserts, 64 threads",
        "≥ 10× one thread (goal 15×)",
        f"{statistics.median(many):,.0f} rows/s",
        "own, one thread",
        f"{quartile:.1f}",
        quartile >= 10,
    )


def case_batches(table: Table) -> None:
    rates = [
        number(run(BENCH / "bench_engine", "batches", fresh("batches"), 2), "rows_per_second")
        for _ in range(PAIRS)
    ]
    quartile = lower_quartile(rates)
    table.add(
        "durable 128-row batches, 128-d",
        "≥ 300k rows/s",
        f"{statistics.median(rates):,.0f} rows/s",
        "–",
        f"{quartile:,.0f}",
        quartile >= 300_000,
    )


RECORD_BYTES = 600  # one row of 128 floats and an integer id, framed: FORMAT.md section 6


def case_trace(table: Table) -> None:
    """A trace of system calls: when a client has its LSN, the covering fdatasync has returned."""
    if not shutil.which("strace"):
        table.add("acknowledged after fdatasync", "always", "strace is missing", "–", "", None)
        return
    trace = DATA / "trace"
    path = fresh("traced")
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    command = [
        "strace",
        "-f",
        "-q",
        "-x",
        "-s",
        "8",
        "-o",
        str(trace),
        "-e",
        "trace=write,pwrite64,fdatasync,openat,rename,renameat",
        str(BENCH / "bench_engine"),
        "inserts",
        str(path),
        "64",
        "1",
    ]
    drain = subprocess.Popen(["cat"], stdin=reader, stdout=subprocess.DEVNULL)
    os.close(reader)
    subprocess.run(
        command,
        env={**os.environ, "LYNSE_LSN_FD": str(writer)},
        pass_fds=[writer],
        check=True,
        capture_output=True,
    )
    os.close(writer)
    drain.wait()
    checked, early = check_trace(trace.read_text(errors="replace"), writer)
    table.add(
        "acknowledged LSNs whose fdatasync had returned",
        "all",
        f"{checked - early} of {checked}",
        "strace",
        "",
        checked > 1000 and early == 0,
    )


def check_trace(text: str, lsn_fd: int) -> tuple[int, int]:
    """Count acknowledged LSNs, and those seen before a sync that began after they were written."""
    written = durable = checked = early = 0
    begun: dict[str, int] = {}  # thread -> highest LSN written when its fdatasync began
    pending: dict[str, tuple[str, int]] = {}
    for line in text.splitlines():
        match = re.match(r"(\d+) +(.*)", line)
        if not match:
            continue
        thread, call = match.groups()
        if call.startswith("fdatasync("):
            begun[thread] = written
            if "unfinished" not in call and call.rstrip().endswith("= 0"):
                durable = max(durable, begun[thread])
        elif "fdatasync resumed" in call and call.rstrip().endswith("= 0"):
            durable = max(durable, begun.get(thread, 0))
        elif call.startswith("pwrite64("):
            size = re.search(r'"(?:\.\.\.)?, (\d+), \d+', call)
            if size and int(size.group(1)) % RECORD_BYTES == 0:
                if "unfinished" in call:
                    pending[thread] = ("pwrite", int(size.group(1)))
                else:
                    written += int(size.group(1)) // RECORD_BYTES
        elif "pwrite64 resumed" in call and thread in pending:
            written += pending.pop(thread)[1] // RECORD_BYTES
        elif call.startswith(f"write({lsn_fd}, "):
            raw = re.search(r'"((?:\\x[0-9a-f]{2}){8})"', call)
            if raw:
                lsn = struct.unpack("<Q", bytes.fromhex(raw.group(1).replace("\\x", "")))[0]
                checked += 1
                early += lsn > durable
    return checked, early


def case_bulk(table: Table) -> None:
    """100,000 rows with three fields from Python, reopened and counted, pair by pair."""
    ours = ROOT / "build" / "venv" / "bin" / "python"

    def seconds(python: pathlib.Path, name: str, level: str) -> float:
        return number(
            run(python, "-c", BULK + BULK_BODY[name] + BULK_END, fresh(f"bulk-{name}"), level),
            "seconds",
        )

    def one_pair(python: pathlib.Path, peer: str, peer_first: bool) -> tuple[float, float]:
        # Whoever comes second may find memory that the first gave back, and need not wait for the
        # hypervisor: turn about.
        if peer_first:
            theirs = seconds(python, peer, "-")
            return seconds(ours, "lynse", "os"), theirs
        return seconds(ours, "lynse", "os"), seconds(python, peer, "-")

    durable = statistics.median(seconds(ours, "lynse", "always") for _ in range(3))
    # None of the three syncs what it acknowledges; `os` is what matches them.
    for peer, package in (("lynsedb", "LynseDB"), ("lancedb", "lancedb"), ("chromadb", "chromadb")):
        python = peer_python(peer)
        case = f"bulk add from Python, 100k × 128, 3 fields, beside {package}"
        if not python:
            table.add(case, "faster", "not run", package, "", None)
            continue
        count = PAIRS if peer == "chromadb" else 2 * PAIRS  # the short ones scatter more
        pairs = [one_pair(python, peer, i % 2 == 1) for i in range(count)]
        quartile = lower_quartile([b / a for a, b in pairs])
        mine = statistics.median(a for a, _ in pairs)
        theirs = statistics.median(b for _, b in pairs)
        table.add(
            case,
            "faster",
            f"{mine:.2f} s at `os`, {durable:.2f} s at `always`",
            f"{package} {peer_version(python, package)}: {theirs:.2f} s",
            f"{quartile:.2f}",
            quartile > 1.0,
        )


def case_open(table: Table) -> None:
    path = fresh("open")
    run(BENCH / "bench_engine", "bulk", path, 1_000_000, 128, 3)
    results = [run(BENCH / "bench_engine", "open", path, "bulk") for _ in range(PAIRS)]
    opened = statistics.median(number(r, "open_to_get_us") for r in results) / 1000
    table.add(
        "open of 1M × 128 to the first get by id",
        "≤ 20 ms",
        f"{opened:.1f} ms",
        "–",
        "",
        opened <= 20,
    )
    factor = statistics.median(
        number(r, "first_search_us") / number(r, "warm_search_us") for r in results
    )
    table.add(
        "first exact search after open",
        "≤ 4× a warm one",
        f"{factor:.2f}×",
        "own, warm, of the vectors",
        "",
        factor <= 4,
    )
    times = []
    for _ in range(PAIRS):
        path = fresh("killed")
        run(BENCH / "bench_engine", "log", path, 64 << 20, check=False)
        times.append(
            number(run(BENCH / "bench_engine", "open", path, "log"), "open_to_get_us") / 1000
        )
    median = statistics.median(times)
    table.add(
        "open after kill -9 with 64 MiB of log",
        "≤ 400 ms",
        f"{median:.0f} ms",
        "–",
        "",
        median <= 400,
    )


def case_sizes(table: Table) -> None:
    library = ROOT / "build" / "release" / "lib" / "liblynse.so"
    stripped = DATA / "stripped.so"
    DATA.mkdir(parents=True, exist_ok=True)
    subprocess.run(["strip", "-o", stripped, library], check=True)
    size = stripped.stat().st_size
    table.add(
        "liblynse.so, stripped", "≤ 600 kB", f"{size / 1000:.0f} kB", "–", "", size <= 600_000
    )
    path = fresh("empty")
    code = (
        "import lynse, sys; c = lynse.VectorDBClient(sys.argv[1]); "
        "c.create_database('b').require_collection('c', dim=128); c.close()"
    )
    run(ROOT / "build" / "venv" / "bin" / "python", "-c", code, path)
    used = sum(
        f.stat().st_blocks * 512 for d in path.iterdir() if d.is_dir() for f in [d, *d.iterdir()]
    )
    table.add(
        "empty collection on disk", "≤ 64 KiB", f"{used / 1024:.0f} KiB", "–", "", used <= 65536
    )


MAILBOX = (
    (
        r"messages 1 sender +median +([\d.]+)",
        "messages through one actor, 1 sender",
        "≥ 5 M/s (goal 10)",
        "M/s",
        5.0,
    ),
    (
        r"messages 2 senders +median +([\d.]+)",
        "messages through one actor, 2 senders",
        "≥ 5 M/s (goal 10)",
        "M/s",
        5.0,
    ),
    (r"task, hot +median +([\d.]+)", "pool round trip, hot", "≤ 15 µs", "µs", -15.0),
    (r"task, cold +median +([\d.]+)", "pool round trip, cold", "≤ 80 µs", "µs", -80.0),
    (r"idle, second 3 +([\d.]+)", "processor time in the third idle second", "0", "µs", -100.0),
)


def case_mailbox(table: Table) -> None:
    """A positive bound is the least, a negative one the most."""
    out = subprocess.run(
        [BENCH / "bench_mailbox"], capture_output=True, text=True, check=True
    ).stdout
    for pattern, case, target, unit, bound in MAILBOX:
        value = float(re.search(pattern, out).group(1))
        table.add(
            case,
            target,
            f"{value:.1f} {unit}",
            "–",
            "",
            value >= bound if bound > 0 else value <= -bound,
        )


CASES = {name[5:]: f for name, f in list(globals().items()) if name.startswith("case_")}


if __name__ == "__main__":
    sys.exit(main("engine", __doc__, CASES))
