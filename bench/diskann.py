# SPDX-License-Identifier: Apache-2.0
"""Indexes on the disk, cold: `./dev bench diskann [--data SET] [--cap MIB] [--write]`.

Ours and each peer in processes of their own, asked alternately, a block of queries at a time;
before each block the page cache forgets the root.  How hard to look is chosen by some queries, so
that 0.95 of the 10 nearest come back, and measured by others.  The ratio is of queries a second,
its lower quartile over the pairs.  Ours may keep 56 bytes a vector in memory.  SPANN, which keeps
fewer, is measured beside our DISKANN.

    ./dev bench diskann --short    seconds: it runs, and recall is above a floor
    --beside NAME...               these alone: zvec, lynsedb, spann

With --cap each process that searches has so many MiB of memory at most, the page cache included, by
a cgroup; one that cannot live so is a line that says it.

Reported besides: the most memory that a process had, the page cache left out, and what it read from
the disk for a query.  Roots are kept below build/bench-data/diskann.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import select
import shutil
import statistics
import subprocess
import sys
import time
from typing import NoReturn

import numpy as np
from support.ann_data import DataSet, data_set
from support.memory_cap import MemoryCap
from support.peers import peer_python
from support.results import DATA, PAIRS, Table, build_program, lower_quartile, say, write_results

K, RECALL, BLOCK = 10, 0.95, 50
CHOOSING, MEASURED = (0, 200), (200, 400)
FEW = [10, 12, 14, 16, 20, 24, 28, 32, 36, 40, 44, 48]
EFFORTS = [*FEW, 56, 64, 80, 96, 128, 160, 200, 256, 320, 400, 512, 640, 800]
TARGETS = {"zvec": (1.0, 2.5), "lynsedb": (1.0, 1.0)}
BYTES_A_VECTOR = 56
ANSWER_SECONDS = 600  # of a process under a cap, for 200 queries
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


class Died(Exception):
    """A process under a cap; why."""


class Disk:
    """A process that searches a root, made if it is not there."""

    def __init__(self, name: str, data: DataSet, cap_mib: int | None = None) -> None:
        self.name, self.data, self.effort = name, data, EFFORTS[0]
        self.root = DATA / "diskann" / f"{name}-{data.name}"
        self.found = self.root.parent / f"found-{os.getpid()}-{name}"
        self.command = self.command_of()
        if not self.root.exists():
            self.make()
        self.cap = MemoryCap(name, cap_mib) if cap_mib else None
        self.process = subprocess.Popen(
            [*self.command, "search", self.root, data.folder, *self.words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=self.cap.enter if self.cap else None,
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
        output = self.process.stdout
        if self.cap and not select.select([output], [], [], ANSWER_SECONDS)[0]:
            self.die(f"no answer in {ANSWER_SECONDS} s")
        line = output.readline().split()
        if not line and self.cap:
            self.process.wait()
            self.die("killed" if self.cap.has_killed() else "ended by itself")
        if not line or line[0] != word:
            raise RuntimeError(f"{self.name} answered {line}")
        return float(line[1])

    def die(self, how: str) -> NoReturn:
        mib = self.cap.mib
        self.process.kill()
        self.close()
        raise Died(f"{how} at {mib} MiB")

    def search(self, first: int, end: int) -> tuple[float, np.ndarray]:
        order = f"search effort={self.effort} first={first} end={end} out={self.found}"
        with contextlib.suppress(BrokenPipeError):  # the answer says why
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
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.found.unlink(missing_ok=True)
        if self.cap:
            self.cap.close()


def measure(disks: tuple[Disk, ...], truth: np.ndarray) -> tuple[list[list[float]], list[str]]:
    """Seconds of a query of each, asked by turns, and what is said of each."""
    recalls = [d.recall(MEASURED, truth) for d in disks]
    before = [d.read_bytes() for d in disks]
    rounds = [[d.cold() for d in disks] for _ in range(PAIRS)]
    texts = []
    for i, disk in enumerate(disks):
        rate = 1 / statistics.median(times[i] for times in rounds)
        count = PAIRS * (MEASURED[1] - MEASURED[0])
        read = (disk.read_bytes() - before[i]) // count
        texts.append(
            f"{rate:,.0f} /s, recall {recalls[i]:.3f}, effort {disk.effort}, {read / 1024:.0f} KiB"
            f" read a query, {disk.memory() / 2**20:.0f} MiB of memory"
        )
    return rounds, texts


def case_of(ours: Disk, other: str) -> tuple[str, str]:
    """The case, and its target."""
    kind = OURS[ours.name][0].split("-")[0]
    cap = f", all memory ≤ {ours.cap.mib} MiB" if ours.cap else ""
    target, goal = TARGETS.get(other, (None, None))
    return (
        f"{kind}, {ours.data.name}{cap}, recall@10 {RECALL}, one by one, cold, beside {other}",
        f"≥ {target}× (goal {goal}×)" if target else "–",
    )


def beside(ours: Disk, peer: Disk, truth: np.ndarray, table: Table) -> None:
    rounds, texts = measure((ours, peer), truth)
    quartile = lower_quartile([b / a for a, b in rounds])
    other = OURS[peer.name][0].split("-")[0] if peer.name in OURS else peer.name
    target = TARGETS.get(peer.name, (None, None))[0]
    met = quartile >= target if target else None
    table.add(*case_of(ours, other), *texts, f"{quartile:.2f}", met)


def beside_peer(ours: Disk, name: str, truth: np.ndarray, table: Table) -> None:
    """A line of the table, unless the peer cannot be had."""
    try:
        peer = Disk(name, ours.data, ours.cap.mib if ours.cap else None)
        if peer.choose(truth, RECALL):
            beside(ours, peer, truth, table)
        else:
            say(f"LEFT OUT: {name}: recall stays below {RECALL}")
        peer.close()
    except FileNotFoundError:
        return
    except Died as died:
        if ours.process.poll() is not None:
            raise
        table.add(*case_of(ours, name), *measure((ours,), truth)[1], str(died), "–", None)


def spann_beside(ours: Disk, truth: np.ndarray, table: Table) -> None:
    spann = Disk("spann", ours.data, ours.cap.mib if ours.cap else None)
    if spann.choose(truth, RECALL):
        beside(spann, ours, truth, table)
    else:
        say(f"LEFT OUT: spann: recall stays below {RECALL}")
    spann.close()


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
    parser.add_argument("--cap", type=int, metavar="MIB", help="of memory, for each process")
    others = [*TARGETS, "spann"]
    parser.add_argument("--beside", nargs="+", choices=others, default=others, metavar="NAME")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--write", action="store_true", help="replace the table in RESULTS.md")
    args = parser.parse_args()
    if args.short:
        return run_short()
    data, table = data_set(args.data), Table()
    truth = truth_of(data)
    ours = Disk("ours", data, args.cap)
    if not ours.choose(truth, RECALL):
        raise SystemExit(f"ours: recall stays below {RECALL}")
    for name in args.beside:
        if name in TARGETS:
            beside_peer(ours, name, truth, table)
    if "spann" in args.beside:
        spann_beside(ours, truth, table)
    ours.close()
    if args.write:
        write_results("diskann", table)
    return 1 if any(row[-1] == "NOT MET" for row in table.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
