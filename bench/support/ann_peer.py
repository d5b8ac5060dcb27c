# SPDX-License-Identifier: Apache-2.0
"""A peer of `./dev bench ann`, in its own environment and process; commands as bench_ann has them.

Usage: ann_peer.py FOLDER KIND METRIC [name=value]...
KIND: faiss-flat, faiss-hnsw, faiss-ivf, hnswlib, hnswlib-gate, lynsedb-polarvec, usearch.
A whole batch is one call into the library.  With batch=1 each query is searched for by itself, and
little Python or none runs between two: in one call where a library's batch is a loop over its
queries (graphs), by faiss's compiled function where it is not.  What was built is kept beside the
data, with the seconds that it took.
"""

from __future__ import annotations

import ctypes
import functools
import json
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np


class Flat:
    """faiss, every row."""

    open: np.ndarray | None = None  # bit i: row i may be found

    def __init__(self, dim: int, metric: str, options: dict) -> None:
        import faiss

        self.faiss = faiss
        self.index = faiss.IndexFlatL2(dim) if metric == "l2" else faiss.IndexFlatIP(dim)

    def build(self, base: np.ndarray, threads: int) -> None:
        self.faiss.omp_set_num_threads(threads)
        self.index.add(base)

    def save(self, path: str) -> None:
        self.faiss.write_index(self.index, path)

    def load(self, path: str) -> None:
        self.index = self.faiss.read_index(path)

    def memory(self) -> int:
        return 0  # above the vectors

    def set_effort(self, effort: int, oversample: float) -> None:
        pass

    def search(self, queries: np.ndarray, k: int, threads: int) -> np.ndarray:
        self.faiss.omp_set_num_threads(threads)
        return self.index.search(queries, k)[1]

    def params(self) -> object | None:
        """Of searches with a gate."""
        return None

    def each(self, queries: np.ndarray, k: int) -> Callable[[], np.ndarray]:
        """Query by query: what faiss's wrapper does around each is done before."""
        self.faiss.omp_set_num_threads(1)
        found = np.empty((len(queries), k), np.int64)
        rows = (queries, np.empty((len(queries), k), np.float32), found)
        point, ask, params = self.faiss.swig_ptr, self.index.search_c, self.params()
        calls = [
            (1, point(query), k, point(distances), point(ids), params)
            for query, distances, ids in zip(*rows)
        ]

        def run() -> np.ndarray:
            for call in calls:
                ask(*call)
            return rows[2]  # which the calls point to, all three

        return run


class FaissHnsw(Flat):
    """Its memory counts the vectors, which it has copied."""

    def __init__(self, dim: int, metric: str, options: dict) -> None:
        super().__init__(dim, metric, options)
        kind = self.faiss.METRIC_L2 if metric == "l2" else self.faiss.METRIC_INNER_PRODUCT
        self.index = self.faiss.IndexHNSWFlat(dim, int(options.get("m", 16)), kind)
        self.index.hnsw.efConstruction = int(options.get("efc", 200))

    def memory(self) -> int:
        return len(self.faiss.serialize_index(self.index))

    def set_effort(self, effort: int, oversample: float) -> None:
        self.index.hnsw.efSearch = effort

    def search(self, queries: np.ndarray, k: int, threads: int) -> np.ndarray:
        self.faiss.omp_set_num_threads(threads)
        return self.index.search(queries, k, params=self.params())[1]

    def params(self) -> object | None:
        if self.open is None:
            return None
        return self.faiss.SearchParametersHNSW(
            efSearch=self.index.hnsw.efSearch, sel=self.faiss.IDSelectorBitmap(self.open)
        )


class FaissIvf(Flat):
    """An index of faiss's factory; codes are refined by the vectors."""

    def __init__(self, dim: int, metric: str, options: dict) -> None:
        super().__init__(dim, metric, options)
        kind = self.faiss.METRIC_L2 if metric == "l2" else self.faiss.METRIC_INNER_PRODUCT
        self.is_refined = "RFlat" in options["factory"]
        self.refine = float(options.get("refine", 4))
        self.index = self.faiss.index_factory(dim, options["factory"], kind)

    def build(self, base: np.ndarray, threads: int) -> None:
        self.faiss.omp_set_num_threads(threads)
        self.index.train(base)
        self.index.add(base)

    def memory(self) -> int:
        return len(self.faiss.serialize_index(self.index))

    def set_effort(self, effort: int, oversample: float) -> None:
        ivf = self.faiss.extract_index_ivf(self.index)
        ivf.nprobe = effort
        if self.is_refined:
            refine = self.faiss.downcast_index(self.index)
            refine.k_factor = oversample or self.refine


class Hnswlib:
    def __init__(self, dim: int, metric: str, options: dict) -> None:
        import hnswlib

        self.options = options
        self.index = hnswlib.Index(space={"cosine": "ip"}.get(metric, metric), dim=dim)

    def build(self, base: np.ndarray, threads: int) -> None:
        self.index.init_index(
            max_elements=len(base),
            M=int(self.options.get("m", 16)),
            ef_construction=int(self.options.get("efc", 200)),
            random_seed=100,
        )
        self.index.add_items(base, num_threads=threads)

    def save(self, path: str) -> None:
        self.index.save_index(path)

    def load(self, path: str) -> None:
        self.index.load_index(path)

    def memory(self) -> int:
        return self.index.index_file_size()

    def set_effort(self, effort: int, oversample: float) -> None:
        self.index.set_ef(effort)

    def search(self, queries: np.ndarray, k: int, threads: int) -> np.ndarray:
        return self.index.knn_query(queries, k=k, num_threads=threads)[0]


class HnswlibGate(Hnswlib):
    """By its filter, a functor in C++; of one thread.  The graph is that of hnswlib."""

    def __init__(self, dim: int, metric: str, options: dict) -> None:
        super().__init__(dim, metric, options)
        self.native = ctypes.CDLL(options["library"])
        self.native.gated_open.restype = ctypes.c_void_p
        self.dim, self.is_l2, self.effort = dim, int(metric == "l2"), 10

    def save(self, path: str) -> None:
        super().save(path)
        self.load(path)

    def load(self, path: str) -> None:
        super().load(path)
        self.opened = ctypes.c_void_p(
            self.native.gated_open(path.encode(), ctypes.c_size_t(self.dim), self.is_l2)
        )

    def set_effort(self, effort: int, oversample: float) -> None:
        self.effort = effort

    def search(self, queries: np.ndarray, k: int, threads: int) -> np.ndarray:
        out = np.empty((len(queries), k), np.int32)
        queries = np.ascontiguousarray(queries)
        sizes = map(ctypes.c_size_t, (len(queries), self.dim, k, self.effort))
        arrays = [array.ctypes.data_as(ctypes.c_void_p) for array in (queries, self.open, out)]
        self.native.gated_search(self.opened, arrays[0], *sizes, *arrays[1:])
        return out


class Usearch:
    def __init__(self, dim: int, metric: str, options: dict) -> None:
        from usearch.index import Index

        self.index = Index(
            ndim=dim,
            metric={"l2": "l2sq", "cosine": "ip"}.get(metric, metric),
            dtype=options.get("dtype", "f32"),
            connectivity=int(options.get("m", 16)),
            expansion_add=int(options.get("efc", 128)),
        )

    def build(self, base: np.ndarray, threads: int) -> None:
        self.index.add(np.arange(len(base)), base, threads=threads)

    def save(self, path: str) -> None:
        self.index.save(path)

    def load(self, path: str) -> None:
        self.index.load(path)

    def memory(self) -> int:
        return self.index.memory_usage

    def set_effort(self, effort: int, oversample: float) -> None:
        self.index.expansion_search = effort

    def search(self, queries: np.ndarray, k: int, threads: int) -> np.ndarray:
        return self.index.search(queries, k, threads=threads).keys


class LynsedbPolarvec:
    """LynseDB's scan of codes and its second look by vectors; its compiled part is asked for each
    query, without what its client does around it.  One thread, as it reads from the environment;
    nothing is kept."""

    def __init__(self, dim: int, metric: str, options: dict) -> None:
        import lynse

        self.folder = tempfile.TemporaryDirectory()
        self.client = lynse.VectorDBClient(self.folder.name)  # it closes what it opened
        database = self.client.create_database("bench")
        self.collection = database.require_collection("rows", dim=dim)
        word = {"l2": "L2", "ip": "IP", "cosine": "COS"}[metric]
        self.mode = f"FLAT-{word}-POLARVEC{options.get('bits', 4)}"

    def build(self, base: np.ndarray, threads: int) -> None:
        with self.collection:
            self.collection.add(ids=np.arange(len(base)), vectors=base, batch_size=50_000)
        self.collection.build_index(self.mode)
        self.bytes = len(base) * base.shape[1] * 4

    def memory(self) -> int:
        return self.bytes  # of the vectors; it says nothing of its codes

    def set_effort(self, effort: int, oversample: float) -> None:
        pass

    def search(self, queries: np.ndarray, k: int, threads: int) -> np.ndarray:
        ask = self.collection._rust_coll.search
        return np.array([ask(query, k=k).ids for query in queries], np.int32)


KINDS = {
    "faiss-flat": Flat,
    "faiss-hnsw": FaissHnsw,
    "faiss-ivf": FaissIvf,
    "hnswlib": Hnswlib,
    "hnswlib-gate": HnswlibGate,
    "lynsedb-polarvec": LynsedbPolarvec,
    "usearch": Usearch,
}


def build(
    peer: object, folder: pathlib.Path, words: list[str], base: np.ndarray, order: dict
) -> tuple[float, float]:
    """Built, or what was built before; the seconds that it took then, and those of processors."""
    own = [w for w in words if not w.startswith(("library=", "refine="))]
    name = "-".join(w.replace("=", "").replace(",", "_") for w in own).replace("-gate", "")
    path = folder / f"peer-{name}"
    seconds_path = folder / f"peer-{name}.json"
    key = f"{order['threads']} threads"
    known = json.loads(seconds_path.read_text()) if seconds_path.exists() else {}
    if key in known and path.exists():
        peer.load(str(path))
        return tuple(known[key])
    begin, processor_begin = time.perf_counter(), time.process_time()
    peer.build(base, int(order["threads"]))
    known[key] = [time.perf_counter() - begin, time.process_time() - processor_begin]
    if hasattr(peer, "save") and words[0] != "faiss-flat":
        peer.save(str(path))
        seconds_path.write_text(json.dumps(known))
    return tuple(known[key])


def search(peer: object, queries: np.ndarray, order: dict) -> tuple[float, float]:
    """The best seconds, and seconds of the processor."""
    k, batch = int(order.get("k", 10)), int(order.get("batch", 0))
    threads = int(order.get("threads", 1))
    queries = queries[int(order["first"]) : int(order["end"])]
    peer.set_effort(int(order.get("effort", 10)), float(order.get("oversample", 0)))
    if batch == 1 and hasattr(peer, "each"):
        asks = [peer.each(queries, k)]
    else:
        step = len(queries) if batch in (0, 1) else batch
        asks = [
            functools.partial(peer.search, queries[i : i + step], k, threads)
            for i in range(0, len(queries), step)
        ]
    best = processor_best = float("inf")
    for _ in range(int(order.get("times", 1))):
        begin, processor_begin = time.perf_counter(), time.process_time()
        found = [ask() for ask in asks]
        best = min(best, time.perf_counter() - begin)
        processor_best = min(processor_best, time.process_time() - processor_begin)
    if order.get("out", "-") != "-":
        np.concatenate(found).astype(np.int32).tofile(order["out"])
    return best, processor_best


def main() -> None:
    folder, words = pathlib.Path(sys.argv[1]), sys.argv[2:]
    dim, rows, _ = map(int, (folder / "shape").read_text(encoding="utf-8").split())
    base = np.fromfile(folder / "base.f32", np.float32).reshape(rows, dim)
    queries = np.fromfile(folder / "queries.f32", np.float32).reshape(-1, dim)
    options = dict(word.split("=", 1) for word in words[2:])
    peer = KINDS[words[0]](dim, words[1], options)
    for line in sys.stdin:
        command, *rest = line.split()
        order = dict(word.split("=", 1) for word in rest)
        if command == "build":
            seconds, processor_seconds = build(peer, folder, words, base, order)
            del base
            base = np.empty((0, dim), np.float32)
            times = f"{seconds} processor {processor_seconds}"
            print("built", times, "bytes", peer.memory(), flush=True)
        elif command == "gate":
            is_none = order["path"] == "-"
            peer.open = None if is_none else np.fromfile(order["path"], np.uint8)
            print("open", 0 if is_none else int(np.unpackbits(peer.open).sum()), flush=True)
        else:
            seconds, processor_seconds = search(peer, queries, order)
            print("searched", seconds, "processor", processor_seconds, flush=True)


if __name__ == "__main__":
    main()
