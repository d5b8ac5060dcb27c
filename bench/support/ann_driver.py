# SPDX-License-Identifier: Apache-2.0
"""The processes of `./dev bench ann`, ours and the peers': started, asked in turns, compared.

All speak the commands of bench_ann.c.  A driver is asked for seconds; how right its answers are is
found here, by the true distances of what it returned, so that ties count as found.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import pathlib
import shutil
import subprocess
import sys
from typing import NamedTuple

import numpy as np
from support.ann_data import TRUTH, DataSet
from support.peers import hnswlib_gate, peer_python
from support.results import BENCH, DATA, PAIRS, ROOT, say

K = 10
EFFORT_MAX = 8192
WORTH_SECONDS = 0.25  # a measurement takes so long at least, by repetition
SLOW_QUERIES = 32  # that are measured where a query alone reads all rows
IMAGES = DATA / "ann" / "images"
SUPPORT = ROOT / "bench" / "support"
METRIC_WORDS = {"l2": "L2", "ip": "IP", "cosine": "COS"}
PEER_OF = {
    "chroma": "chromadb",
    "faiss": "ann-faiss",
    "hnswlib": "ann-hnswlib",
    "lancedb": "lancedb",
    "lynsedb": "lynsedb",
    "qdrant": "qdrant",
    "usearch": "ann-usearch",
    "zvec": "zvec",
}
PRODUCTS = ("chroma", "lancedb", "lynse", "qdrant", "zvec")  # of ann_product.py; lynse is ours
ROOT_FREE = ("acorn=", "brute=", "refine=")  # what a product's searches alone depend on
CORE_TYPES = ("", "Haswell", "SkylakeX", "Cooperlake", "Sapphirerapids", "Zen")


class System(NamedTuple):
    """Who is measured: ours by an index mode without its metric, a peer by a kind of ann_peer."""

    name: str  # "HNSW", "FLAT-RABITQ", "hnswlib", "faiss-ivf"
    options: tuple[str, ...] = ()
    is_peer: bool = False

    def label(self) -> str:
        return " ".join([self.name, *self.options])

    def is_exact(self) -> bool:
        return self.name in ("FLAT", "faiss-flat")

    def is_product(self) -> bool:
        return self.name in PRODUCTS

    def is_scan(self) -> bool:
        """Does a query read all rows, whatever the effort?"""
        return self.name.startswith(("FLAT", "faiss-flat", "lynsedb-polarvec"))


class Load(NamedTuple):
    """How queries come: batch 0: all at once."""

    batch: int = 1
    threads: int = 1
    oversample: float = 0
    by_processor: bool = False  # seconds of the processor, where others use it too


class Built(NamedTuple):
    """What a building took, now or when what was built was kept, and what came of it."""

    seconds: float
    processor_seconds: float  # of all threads together
    bytes: int


class Limit(NamedTuple):
    """Of one query: distances, bytes of the row of each; of this machine, in the same minute: bytes
    read a second by one and by two threads, seconds a row read at random, f32 operations a second.
    """

    distances: float
    row_bytes: int
    read: float
    read_two: float
    gather: float
    multiply: float


class Gate(NamedTuple):
    """Which rows may be found, as bits in a file; queries to tune and to measure with."""

    label: str
    path: pathlib.Path
    open_count: int
    tuning: range
    measuring: range


def command_of(system: System, data: DataSet, metric: str) -> tuple[list, dict[str, str]]:
    """How its process is started, and in which environment."""
    env = dict(os.environ)
    words = [data.folder, system.name, metric, *system.options]
    if system.name == "lynse":
        return [sys.executable, SUPPORT / "ann_product.py", *words], env
    if not system.is_peer:
        word, _, rest = system.name.partition("-")
        mode = "-".join(filter(None, [word, METRIC_WORDS[metric], rest]))
        return [BENCH / "bench_ann", data.folder, mode, *system.options], env
    family = system.name.split("-")[0]
    python = peer_python(PEER_OF[family])
    if not python:
        raise LookupError(system.name)
    env.pop("OPENBLAS_L2_SIZE", None)
    env.pop("OPENBLAS_CORETYPE", None)
    if family == "faiss":
        env.update(best_core_type())
    if family == "lynsedb":
        env["RAYON_NUM_THREADS"] = "1"
    if system.is_product():
        return [python, SUPPORT / "ann_product.py", *words], env
    if system.name == "hnswlib-gate":
        library = hnswlib_gate()
        if not library:
            raise LookupError(system.name)
        words.append(f"library={library}")
    return [python, SUPPORT / "ann_peer.py", *words], env


class Driver:
    def __init__(self, system: System, data: DataSet, metric: str) -> None:
        self.system, self.data, self.metric = system, data, metric
        self.gate: Gate | None = None
        self.median = 0.0  # of a product: seconds of one query, of those that were asked last
        self.out = DATA / "ann" / f"found-{os.getpid()}-{id(self)}"
        command, env = command_of(system, data, metric)
        self.process = subprocess.Popen(
            [str(c) for c in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended, and said why
            self.process.stdin.close()
        self.process.wait()
        self.out.unlink(missing_ok=True)

    def ask(self, line: str) -> list[str]:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        words = self.process.stdout.readline().split()
        if not words:
            raise RuntimeError(f"{self.system.label()} ended at: {line}")
        return words

    def build(self, threads: int = 2) -> Built:
        words = self.ask(f"build threads={threads} image={self.image()}")
        return Built(float(words[1]), float(words[3]), int(words[5]))

    def image(self) -> str:
        """Where ours is kept, for the sources that it was built by, if they are committed, and what
        a product has made of its own."""
        version = core_version()
        if self.system.is_peer and self.system.is_product():
            options = [word for word in self.system.options if not word.startswith(ROOT_FREE)]
            return str(self.data.folder / "-".join(["product", self.system.name, *options]))
        if self.system.is_product():
            version = version or f"changed-{os.getpid()}"
        if self.system.is_peer or self.system.name == "FLAT" or not version:
            return "-"
        IMAGES.mkdir(parents=True, exist_ok=True)
        stem = f"{self.data.name}-{self.metric}-{self.system.label().replace(' ', '-')}"
        for other in IMAGES.glob(f"{stem}@*"):
            if other.name != f"{stem}@{version}":
                shutil.rmtree(other) if other.is_dir() else other.unlink()
        return str(IMAGES / f"{stem}@{version}")

    def limit(self, effort: int, queries: range) -> Limit:
        first = queries.start
        words = self.ask(f"limit k={K} effort={effort} first={first} end={first + SLOW_QUERIES}")
        return Limit(float(words[1]), int(words[3]), *map(float, words[5::2]))

    def seconds(
        self, effort: int, queries: range, load: Load, times: int = 1, k: int = K, out: str = "-"
    ) -> float:
        line = f"search k={k} effort={effort} first={queries.start} end={queries.stop}"
        line += f" batch={load.batch} threads={load.threads} oversample={load.oversample}"
        _, seconds, _, processor_seconds, *rest = self.ask(f"{line} times={times} out={out}")
        self.median = float(rest[1]) if rest else 0
        return float(processor_seconds) / load.threads if load.by_processor else float(seconds)

    def found(self, effort: int, queries: range, load: Load) -> np.ndarray:
        self.seconds(effort, queries, load, out=str(self.out))
        return np.fromfile(self.out, np.int32).reshape(len(queries), K)

    def set_gate(self, gate: Gate | None, anew: bool = False) -> None:
        """anew: of lynse, each query with a filter that it has not seen."""
        self.ask(f"gate path={gate.path if gate else '-'}{' anew=1' if anew else ''}")
        self.gate = gate

    def halves(self) -> tuple[range, range]:
        return (self.gate.tuning, self.gate.measuring) if self.gate else halves(self.data)

    def recall(self, effort: int, queries: range, load: Load) -> float:
        """Of as many as there are: where a gate lets fewer than K through, of these."""
        limits = truth_limits(self.data, self.metric, self.gate)[queries.start : queries.stop]
        rows = self.found(effort, queries, load)
        near = distances(self.data, self.metric, queries, rows) <= limits[:, None]
        there = min(K, self.gate.open_count) if self.gate else K
        return float(np.sum(near & (rows >= 0))) / (there * len(queries))


@functools.cache
def core_version() -> str:
    """The commit that last changed core/; "" where it has changes that no commit has."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], capture_output=True, text=True, cwd=ROOT)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "core")
    return "" if changed else git("log", "-1", "--format=%h", "--", "core")


def distances(data: DataSet, metric: str, queries: range, rows: np.ndarray) -> np.ndarray:
    """In double; rows that are none get those of row 0."""
    own = data.query_rows()[queries.start : queries.stop].astype(np.float64)
    base, out = data.base(), np.empty(rows.shape)
    for i, query in enumerate(own):
        vectors = base[np.maximum(rows[i], 0)].astype(np.float64)
        out[i] = ((vectors - query) ** 2).sum(1) if metric == "l2" else -(vectors @ query)
    return out


def truth(data: DataSet, metric: str, gate: Gate | None = None) -> np.ndarray:
    name = f"truth-{metric}-{gate.path.stem}.i32" if gate else f"truth-{metric}.i32"
    path = data.folder / name
    if not path.exists():
        say(f"exact answers of {data.name}, {metric}{', ' + gate.label if gate else ''}")
        with Driver(System("FLAT"), data, metric) as driver:
            driver.build()
            if gate:
                driver.set_gate(gate)
            queries = range(data.queries)
            driver.seconds(0, queries, Load(batch=64, threads=2), k=TRUTH, out=str(path))
    return np.fromfile(path, np.int32).reshape(data.queries, TRUTH)


@functools.cache
def truth_limits(data: DataSet, metric: str, gate: Gate | None = None) -> np.ndarray:
    """How far what was found may be: as far as the k-th, and what rounding may add."""
    place = min(K, gate.open_count) if gate else K
    last = truth(data, metric, gate)[:, place - 1 : place]
    limits = distances(data, metric, range(data.queries), last)[:, 0]
    return limits + 1e-6 * np.abs(limits) + 1e-9


def halves(data: DataSet) -> tuple[range, range]:
    """Queries to choose the effort by, and queries to measure with."""
    return range(data.queries // 2), range(data.queries // 2, data.queries)


@functools.cache
def best_core_type() -> dict[str, str]:
    """What makes the products of faiss's own BLAS fastest on this processor."""
    code = (
        "import faiss, numpy as np, time; faiss.omp_set_num_threads(1);"
        "x = np.ones((20000, 256), np.float32); i = faiss.IndexFlatL2(256); i.add(x);"
        "t = [];\nfor _ in range(4):\n"
        "    b = time.process_time(); i.search(x[:512], 10); t.append(time.process_time() - b)\n"
        "print(min(t))"
    )
    python, times = peer_python("ann-faiss"), {}
    for core in CORE_TYPES:
        env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        env.update({"OPENBLAS_CORETYPE": core} if core else {})
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, env=env)
        if done.returncode == 0:
            times[core] = float(done.stdout)
    best = min(times, key=times.get)
    rate = 2 * 512 * 20000 * 256 / times[best] * 1e-9
    say(f"BLAS of faiss: core type {best or 'as it finds'}, {rate:.0f} GFLOP/s in a search")
    return {"OPENBLAS_CORETYPE": best} if best else {}


def least_effort(driver: Driver, recall: float, load: Load) -> int | None:
    """The least effort that reaches the recall on the tuning half; None: none does."""
    tuning, _ = driver.halves()
    low, high = 0, K
    while driver.recall(high, tuning, load) < recall:
        low, high = high, high * 2
        if high > EFFORT_MAX:
            return None
    while high - low > max(1, high // 64):
        middle = (low + high) // 2
        if driver.recall(middle, tuning, load) < recall:
            low = middle
        else:
            high = middle
    return high


class Bracket:
    """Two efforts about a recall; the seconds between them, as if the recall were exact."""

    def __init__(self, driver: Driver, recall: float, load: Load) -> None:
        self.driver, self.recall, self.load = driver, recall, load
        _, self.queries = driver.halves()
        if driver.system.is_scan():
            high = 0
            if load.batch == 1:
                self.queries = self.queries[:SLOW_QUERIES]
        else:
            high = least_effort(driver, recall, load)
        if high is None:
            raise LookupError(f"{driver.system.label()} does not reach {recall}")
        self.efforts = (high * 4 // 5, high)
        self.recalls = [driver.recall(e, self.queries, load) for e in self.efforts]
        if driver.system.is_scan() and self.recalls[1] < min(recall, 0.9999):
            raise LookupError(f"{driver.system.label()} gives {self.recalls[1]:.4f}")
        once = driver.seconds(high, self.queries, load)
        self.times = min(50, math.ceil(WORTH_SECONDS / once))

    def note(self) -> str:
        """How right, and how hard that was."""
        if self.driver.system.is_scan():
            return f"{self.recalls[1]:.2%} right"
        return f"ef {self.efforts[1]} ({self.recalls[1]:.4f})"

    def seconds(self) -> float:
        high = self.driver.seconds(self.efforts[1], self.queries, self.load, self.times)
        width = self.recalls[1] - self.recalls[0]
        if width < 1e-4:
            return high
        low = self.driver.seconds(self.efforts[0], self.queries, self.load, self.times)
        part = (self.recall - self.recalls[0]) / width
        return low + min(max(part, -0.5), 2.0) * (high - low)


def pairs_of(ours: Bracket, peer: Bracket, pairs: int = PAIRS) -> list[tuple[float, float]]:
    """Queries a second, alternately."""
    own, other = len(ours.queries), len(peer.queries)
    return [(own / ours.seconds(), other / peer.seconds()) for _ in range(pairs)]


def fastest_of(brackets: list[Bracket]) -> Bracket:
    """By queries a second, each measured once."""
    if len(brackets) == 1:
        return brackets[0]
    return max(brackets, key=lambda one: len(one.queries) / one.seconds())


def curve(driver: Driver, load: Load, until: float = 0.999) -> list[tuple[int, float, float]]:
    """Effort, recall, queries a second, of the measuring half."""
    _, queries = driver.halves()
    out, effort = [], K
    while effort <= EFFORT_MAX:
        recall = driver.recall(effort, queries, load)
        seconds = driver.seconds(effort, queries, load, times=2)
        out.append((effort, recall, len(queries) / seconds))
        if recall >= until:
            break
        effort = math.ceil(effort * 1.5)
    return out


def save_curve(folder: pathlib.Path, driver: Driver, load: Load) -> None:
    """A peer's is measured once: it does not change."""
    folder.mkdir(parents=True, exist_ok=True)
    label = driver.system.label()
    path = folder / f"{driver.data.name}-{driver.metric}-{label.replace(' ', '-')}.tsv"
    if driver.system.is_peer and path.exists():
        return
    lines = ["\t".join(map(str, point)) for point in curve(driver, load)]
    path.write_text("\n".join([label, *lines]) + "\n", encoding="utf-8")
