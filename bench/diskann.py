# SPDX-License-Identifier: Apache-2.0
"""Indexes on the disk, cold: `./dev bench diskann [--data SET] [--write]`.

Ours and each peer in processes of their own, asked alternately, a block of queries at a time;
before each block the page cache forgets the root.  How hard to look is chosen by some queries, so
that 0.95 of the 10 nearest come back, and measured by others.  The ratio is of queries a second,
its lower quartile over the pairs.  Ours may keep 56 bytes a vector in memory.  SPANN, which keeps
fewer, is measured beside our DISKANN.

    ./dev bench diskann --short    seconds: it runs, and recall is above a floor

Reported besides: the most memory that a process had, the page cache left out, and what it read from
the disk for a query.  Roots are kept below build/bench-data/diskann.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import numpy as np
from support.ann_data import DataSet, data_set
from support.peers import peer_python
from support.results import DATA, PAIRS, Table, build_program, lower_quartile, say, write_results

K, RECALL, BLOCK = 10, 0.95, 50
CHOOSING, MEASURED = (0, 200), (200, 400)
FEW = [10, 12, 14, 16, 20, 24, 28, 32, 36, 40, 44, 48]
EFFORTS = [*FEW, 56, 64, 80, 96, 128, 160, 200, 256, 320, 400, 512, 640, 800]
TARGETS = {"zvec": (1.0, 2.5), "lynsedb": (1.0, 1.0)}
BYTES_A_VECTOR = 56
OURS = {"ours": ["DISKANN-L2", f"memory={BYTES_A_VECTOR}"], "spann": ["SPANN-L2"]}
PEER = pathlib.Path(__file__).parent / "support" / "disk_peer.py"


def truth_of(data: DataSet) -> np.ndarray:
    """The K nearest of the queries that are used; kept."""
    path = data.folder / "truth-of-disk.npy"
    if not path.exists():
        queries, base = data.query_rows()[: MEASURED[1]], data.base()
        near = np.zeros((len(queries), 0), np.int64)
        far = np.zeros((len(queries), 0), np.float32)
        for first in range(0, data.rows, 50_000):
            rows = np.asarray(base[first : first + 50_000])
            distances = (rows * rows).sum(1)[None] - 2 * queries @ rows.T
            best = np.argpartition(distances, K, axis=1)[:, :K]
            near = np.hstack([near, best + first])
            far = np.hstack([far, np.take_along_axis(distances, best, 1)])
            order = np.argsort(far, axis=1)[:, :K]
            near, far = np.take_along_axis(near, order, 1), np.take_along_axis(far, order, 1)
        np.save(path, near)
    return np.load(path)


def files_of(root: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def forget(root: pathlib.Path) -> None:
    """The page cache keeps nothing of its files that no process has mapped and looked at."""
    for path in files_of(root):
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def field_of(path: str, name: str) -> int:
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise KeyError(name)


class Disk:
    """A process that searches a root, made if it is not there."""

    def __init__(self, name: str, data: DataSet) -> None:
        self.name, self.data, self.effort = name, data, EFFORTS[0]
        self.root = DATA / "diskann" / f"{name}-{data.name}"
        self.found = self.root.parent / f"found-{os.getpid()}-{name}"
        self.command = self.command_of()
        if not self.root.exists():
            self.make()
        self.process = subprocess.Popen(
            [*self.command, "search", self.root, data.folder, *self.words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.answer("opened")

    def command_of(self) -> list[pathlib.Path | str]:
        if self.name in OURS:
            self.words = OURS[self.name]
            return [build_program("bench_diskann")]
        self.words = [self.name]
        python = peer_python(self.name)
        if not python:
            raise FileNotFoundError(self.name)
        return [python, PEER]

    def make(self) -> None:
        say(f"make {self.root.name}")
        making = self.root.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        making.parent.mkdir(parents=True, exist_ok=True)
        begin = time.monotonic()
        command = [*self.command, "make", making, self.data.folder, *self.words]
        subprocess.run(["nice", "-n", "10", *command], check=True, stdout=subprocess.DEVNULL)
        say(f"made in {time.monotonic() - begin:.0f} s")
        making.rename(self.root)

    def answer(self, word: str) -> float:
        line = self.process.stdout.readline().split()
        if not line or line[0] != word:
            raise RuntimeError(f"{self.name} answered {line}")
        return float(line[1])

    def search(self, first: int, end: int) -> tuple[float, np.ndarray]:
        order = f"search effort={self.effort} first={first} end={end} out={self.found}"
        print(order, file=self.process.stdin, flush=True)
        seconds = self.answer("searched")
        return seconds, np.fromfile(self.found, np.int64).reshape(-1, K)

    def recall(self, span: tuple[int, int], truth: np.ndarray) -> float:
        _, found = self.search(*span)
        wanted = truth[span[0] : span[1]]
        hits = sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), wanted.tolist()))
        return hits / wanted.size

    def choose(self, truth: np.ndarray, recall: float) -> bool:
        for effort in EFFORTS:
            self.effort = effort
            if self.recall(CHOOSING, truth) >= recall:
                return True
        return False

    def read_bytes(self) -> int:
        return field_of(f"/proc/{self.process.pid}/io", "read_bytes")

    def memory(self) -> int:
        return field_of(f"/proc/{self.process.pid}/status", "RssAnon") * 1024

    def cold(self) -> float:
        """Seconds of a query, of all that are measured, each block after the cache was emptied."""
        seconds = 0.0
        for first in range(*MEASURED, BLOCK):
            forget(self.root)
            seconds += self.search(first, first + BLOCK)[0]
        return seconds / (MEASURED[1] - MEASURED[0])

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.found.unlink(missing_ok=True)


def describe(disk: Disk, times: list[float], recall: float, read: int) -> str:
    rate = 1 / statistics.median(times)
    return (
        f"{rate:,.0f} /s, recall {recall:.3f}, effort {disk.effort}, {read / 1024:.0f} KiB read"
        f" a query, {disk.memory() / 2**20:.0f} MiB of memory"
    )


def beside(ours: Disk, peer: Disk, truth: np.ndarray, table: Table) -> None:
    target, goal = TARGETS.get(peer.name, (None, None))
    disks = (ours, peer)
    recalls = [d.recall(MEASURED, truth) for d in disks]
    before = [d.read_bytes() for d in disks]
    pairs = [(ours.cold(), peer.cold()) for _ in range(PAIRS)]
    count = PAIRS * (MEASURED[1] - MEASURED[0])
    reads = [(d.read_bytes() - b) // count for d, b in zip(disks, before)]
    quartile = lower_quartile([b / a for a, b in pairs])
    texts = [
        describe(d, [pair[i] for pair in pairs], recalls[i], reads[i]) for i, d in enumerate(disks)
    ]
    kind, other = (OURS[d.name][0].split("-")[0] if d.name in OURS else d.name for d in disks)
    table.add(
        f"{kind}, {ours.data.name}, recall@10 {RECALL}, one by one, cold, beside {other}",
        f"≥ {target}× (goal {goal}×)" if target else "–",
        texts[0],
        texts[1],
        f"{quartile:.2f}",
        quartile >= target if target else None,
    )


def run_short() -> int:
    data, least = data_set("sift-like@5000"), 1.0
    for name in OURS:
        shutil.rmtree(DATA / "diskann" / f"{name}-{data.name}", ignore_errors=True)
        ours = Disk(name, data)
        ours.effort = 64
        recall, seconds = ours.recall(MEASURED, truth_of(data)), ours.cold()
        ours.close()
        say(f"{name}, {data.name}: recall {recall:.3f}, {seconds * 1e6:.0f} µs a query")
        least = min(least, recall)
    return 0 if least >= 0.9 else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="sift-like@1m", help="of sift-like, and how many rows")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--write", action="store_true", help="replace the table in RESULTS.md")
    args = parser.parse_args()
    if args.short:
        return run_short()
    data, table = data_set(args.data), Table()
    truth = truth_of(data)
    ours = Disk("ours", data)
    if not ours.choose(truth, RECALL):
        raise SystemExit(f"ours: recall stays below {RECALL}")
    for name in TARGETS:
        try:
            peer = Disk(name, data)
        except FileNotFoundError:
            continue
        if peer.choose(truth, RECALL):
            beside(ours, peer, truth, table)
        else:
            say(f"LEFT OUT: {name}: recall stays below {RECALL}")
        peer.close()
    spann = Disk("spann", data)
    if spann.choose(truth, RECALL):
        beside(spann, ours, truth, table)
    else:
        say(f"LEFT OUT: spann: recall stays below {RECALL}")
    spann.close()
    ours.close()
    if args.write:
        write_results("diskann", table)
    return 1 if any(row[-1] == "NOT MET" for row in table.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
