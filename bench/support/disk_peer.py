# SPDX-License-Identifier: Apache-2.0
"""A peer's index on the disk, driven as bench_diskann.c is: `disk_peer.py make|search ROOT FOLDER
KIND`; zvec's DiskANN of 64 links and LynseDB's of 32, each with the lists it is built best with."""

from __future__ import annotations

import pathlib
import sys
import time

import numpy as np

K = 10
CALL_ROWS = 1_000


class Zvec:
    def __init__(self, root: str, dim: int, makes: bool) -> None:
        import zvec

        self.zvec = zvec
        if makes:
            vectors = zvec.VectorSchema("v", zvec.DataType.VECTOR_FP32, dim)
            schema = zvec.CollectionSchema(name="docs", vectors=vectors)
            self.docs = zvec.create_and_open(path=root, schema=schema)
        else:
            option = zvec.CollectionOption(read_only=True, enable_mmap=False)
            self.docs = zvec.open(root, option)

    def fill(self, base: np.ndarray) -> None:
        for first in range(0, len(base), CALL_ROWS):
            rows = base[first : first + CALL_ROWS]
            docs = [
                self.zvec.Doc(id=str(first + i), vectors={"v": row}) for i, row in enumerate(rows)
            ]
            self.docs.insert(docs)
        metric = self.zvec.MetricType.L2
        param = self.zvec.DiskAnnIndexParam(metric_type=metric, max_degree=64, list_size=100)
        self.docs.create_index("v", param)
        self.docs.optimize()

    def search(self, query: np.ndarray, effort: int) -> list[int]:
        param = self.zvec.DiskAnnQueryParam(list_size=effort)
        asked = self.zvec.Query("v", vector=query, param=param)
        hits = self.docs.query(asked, topk=K, output_fields=[])
        return [int(hit.id) for hit in hits]


class LynseDB:
    def __init__(self, root: str, dim: int, makes: bool) -> None:
        import lynse

        self.client = lynse.VectorDBClient(root)
        if makes:
            self.docs = self.client.create_database("b").require_collection("c", dim=dim)
        else:
            self.docs = self.client.get_database("b").get_collection("c")

    def fill(self, base: np.ndarray) -> None:
        with self.docs:
            ids = list(range(len(base)))
            self.docs.add(ids=ids, vectors=base, batch_size=50_000)
        self.docs.build_index("DISKANN-L2", r=32, l=100)

    def search(self, query: np.ndarray, effort: int) -> list[int]:
        return [int(i) for i in self.docs.search(query, k=K, nprobe=effort).ids]


KINDS = {"zvec": Zvec, "lynsedb": LynseDB}


def search(peer: Zvec | LynseDB, queries: np.ndarray, order: dict[str, str]) -> float:
    seconds = 0.0
    rows = queries[int(order["first"]) : int(order["end"])]
    found = np.full((len(rows), K), -1, np.int64)
    for i, query in enumerate(rows):
        begin = time.perf_counter()
        ids = peer.search(query, int(order["effort"]))
        seconds += time.perf_counter() - begin
        found[i, : len(ids)] = ids
    found.tofile(order["out"])
    return seconds


def main() -> None:
    command, root, folder, kind = sys.argv[1:5]
    data = pathlib.Path(folder)
    dim, rows, _ = map(int, (data / "shape").read_text(encoding="utf-8").split())
    peer = KINDS[kind](root, dim, command == "make")
    if command == "make":
        peer.fill(np.fromfile(data / "base.f32", np.float32).reshape(rows, dim))
        return
    queries = np.fromfile(data / "queries.f32", np.float32).reshape(-1, dim)
    print("opened 0", flush=True)
    for line in sys.stdin:
        order = dict(word.split("=", 1) for word in line.split()[1:])
        print("searched", search(peer, queries, order), flush=True)


main()
