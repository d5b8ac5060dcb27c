# SPDX-License-Identifier: Apache-2.0
"""hnswlib takes rows in calls, with two threads; a program of its environment (support/peers.py).

    upsert_peer.py FOLDER ROWS

Lines: `inserts_per_s`; for each effort `recall EFFORT SHARE` of the 10 nearest of the first
queries, and `qps EFFORT N` of one thread.
"""

from __future__ import annotations

import pathlib
import sys
import time

import hnswlib
import numpy as np

CALL_ROWS, QUERIES, K = 8192, 200, 10


def nearest(base: np.ndarray, queries: np.ndarray) -> np.ndarray:
    norms = np.einsum("ij,ij->i", base, base)
    return np.stack([np.argpartition(norms - 2 * (base @ q), K)[:K] for q in queries])


def main(folder: pathlib.Path, rows: int) -> None:
    dim, _, query_count = map(int, (folder / "shape").read_text(encoding="utf-8").split())
    base = np.fromfile(folder / "base.f32", np.float32, rows * dim).reshape(-1, dim)
    queries = np.fromfile(folder / "queries.f32", np.float32).reshape(query_count, dim)
    index = hnswlib.Index(space="l2", dim=dim)
    index.init_index(max_elements=len(base), M=16, ef_construction=200, random_seed=100)
    began = time.monotonic()
    for first in range(0, len(base), CALL_ROWS):
        index.add_items(base[first : first + CALL_ROWS], num_threads=2)
    print("inserts_per_s", round(len(base) / (time.monotonic() - began)))
    truth = nearest(base, queries[:QUERIES])
    for effort in (50, 100, 200):
        index.set_ef(effort)
        found = index.knn_query(queries[:QUERIES], k=K, num_threads=1)[0]
        hits = sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), truth.tolist()))
        began = time.monotonic()
        for query in queries:
            index.knn_query(query, k=K, num_threads=1)
        print("recall", effort, hits / (QUERIES * K))
        print("qps", effort, round(query_count / (time.monotonic() - began)))


main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
