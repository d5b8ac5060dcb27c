# SPDX-License-Identifier: Apache-2.0
"""A product of `./dev bench ann filtered-products`, in its own environment and process; commands as
bench_ann has them.

Usage: ann_product.py FOLDER KIND METRIC [name=value]...
KIND: lynse, chroma, lancedb, qdrant, zvec.
Rows are documents.  For each gate that the folder's file `fields` names they have a field that is
true where it is open, with the product's index of fields where it has one; a gate is then a filter
by that field.  Queries are asked one by one, as a user of the product would, and each is timed; the
answer says the median besides.  What was made is kept at `image`.
    gate path=FILE [anew=1]    anew: lynse keeps what a filter matched by its text, and each query
                               says the same in a text that nobody has seen
"""

from __future__ import annotations

import os
import pathlib
import shutil
import statistics
import sys
import time

import numpy as np

CALL_ROWS = 1_000  # more than 1,024 zvec does not take
WHITE = " \t\n"


def field_of(path: pathlib.Path) -> str:
    """gate-first-0.001.bits: first_0_001."""
    return path.stem.removeprefix("gate-").replace("-", "_").replace(".", "_")


class Fields:
    """Of all documents."""

    def __init__(self, folder: pathlib.Path, rows: int) -> None:
        self.values = {
            field_of(path): np.unpackbits(np.fromfile(path, np.uint8), bitorder="little")[:rows]
            for path in map(folder.joinpath, (folder / "fields").read_text("utf-8").split())
        }

    def of(self, row: int, only_true: bool = False) -> dict[str, bool]:
        every = ((name, bool(bits[row])) for name, bits in self.values.items())
        return {name: value for name, value in every if value or not only_true}


def calls(rows: int) -> list[range]:
    return [range(first, min(first + CALL_ROWS, rows)) for first in range(0, rows, CALL_ROWS)]


class Lynse:
    """mode: of the index, without its metric.  Its fields have no index."""

    def __init__(self, root: str, dim: int, metric: str, options: dict) -> None:
        import lynse

        word = {"l2": "L2", "cosine": "COS"}[metric]
        kind, _, rest = options["mode"].partition("-")
        self.mode = "-".join(filter(None, [kind, word, rest]))
        self.client, self.dim = lynse.VectorDBClient(root), dim
        self.text, self.is_anew, self.count = None, False, 0

    def make(self, base: np.ndarray, fields: Fields) -> None:
        docs = self.client.create_database("b").require_collection("c", dim=self.dim)
        for rows in calls(len(base)):
            docs.add(
                ids=list(rows),
                vectors=base[rows.start : rows.stop],
                fields=[fields.of(row) for row in rows],
            )
        docs.checkpoint()
        docs.build_index(self.mode)
        known = None
        while (status := docs.index_status())["segment_count"] != known:  # merges go on
            known = status["segment_count"]
            time.sleep(3)
            docs.build_index(self.mode)

    def open(self) -> None:
        self.docs = self.client.get_database("b").get_collection("c")
        self.docs.build_index(self.mode)

    def set_gate(self, name: str | None, anew: bool) -> None:
        self.text, self.is_anew = f"{name} = TRUE" if name else None, anew

    def where(self) -> str | None:
        if not self.is_anew:
            return self.text
        self.count += 1
        return self.text + "".join(WHITE[self.count // 3**i % 3] for i in range(12))

    def search(self, query: np.ndarray, k: int, effort: int) -> list[int]:
        return self.docs.search(query, k=k, where=self.where(), ef=effort).ids


class Zvec:
    """HNSW; with quantize=INT8 its codes, and what they find is measured by vectors.  brute: of
    all rows, so many at most are looked at one by one."""

    def __init__(self, root: str, dim: int, metric: str, options: dict) -> None:
        import zvec

        self.zvec, self.root, self.dim, self.options = zvec, root, dim, options
        self.metric = {"l2": zvec.MetricType.L2, "cosine": zvec.MetricType.COSINE}[metric]
        zvec.init(brute_force_by_keys_ratio=float(options.get("brute", 0.1)))
        self.is_coded = "quantize" in options
        self.filter = None

    def make(self, base: np.ndarray, fields: Fields) -> None:
        zvec = self.zvec
        schemas = [
            zvec.FieldSchema(name, zvec.DataType.BOOL, index_param=zvec.InvertIndexParam())
            for name in fields.values
        ]
        vectors = zvec.VectorSchema("v", zvec.DataType.VECTOR_FP32, self.dim)
        schema = zvec.CollectionSchema(name="docs", fields=schemas, vectors=vectors)
        docs = zvec.create_and_open(path=self.root, schema=schema)
        for rows in calls(len(base)):
            docs.insert(
                [
                    zvec.Doc(id=str(row), vectors={"v": base[row]}, fields=fields.of(row))
                    for row in rows
                ]
            )
        param = {"metric_type": self.metric, "use_contiguous_memory": True}
        param |= {"m": int(self.options["m"]), "ef_construction": int(self.options["efc"])}
        if self.is_coded:
            param["quantize_type"] = getattr(zvec.QuantizeType, self.options["quantize"])
        docs.create_index("v", zvec.HnswIndexParam(**param))
        docs.optimize()
        docs.close()

    def open(self) -> None:
        option = self.zvec.CollectionOption(read_only=True, enable_mmap=True)
        self.docs = self.zvec.open(self.root, option)

    def set_gate(self, name: str | None, anew: bool) -> None:
        self.filter = f"{name} = true" if name else None

    def search(self, query: np.ndarray, k: int, effort: int) -> list[int]:
        param = self.zvec.HnswQueryParam(ef=effort, is_using_refiner=self.is_coded)
        asked = self.zvec.Query("v", vector=query, param=param)
        hits = self.docs.query(asked, topk=k, filter=self.filter, output_fields=[])
        return [int(hit.id) for hit in hits]


class Lancedb:
    """A graph of codes of 8 bits in one partition, and maps of bits on the fields; refine: times k
    that are measured by vectors."""

    def __init__(self, root: str, dim: int, metric: str, options: dict) -> None:
        import lancedb

        self.lancedb, self.dim, self.metric, self.options = lancedb, dim, metric, options
        self.db, self.filter = lancedb.connect(root), None

    def make(self, base: np.ndarray, fields: Fields) -> None:
        import pyarrow as pa

        columns = {"id": pa.array(np.arange(len(base)))}
        columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(base.reshape(-1)), self.dim)
        columns |= {name: pa.array(bits.astype(bool)) for name, bits in fields.values.items()}
        table = self.db.create_table("docs", pa.table(columns))
        for name in fields.values:
            table.create_scalar_index(name, index_type="BITMAP")
        from lancedb.index import HnswSq

        config = HnswSq(
            distance_type=self.metric,
            num_partitions=1,
            m=int(self.options["m"]),
            ef_construction=int(self.options["efc"]),
        )
        table.create_index("vector", config=config)

    def open(self) -> None:
        self.docs = self.db.open_table("docs")

    def set_gate(self, name: str | None, anew: bool) -> None:
        self.filter = name

    def search(self, query: np.ndarray, k: int, effort: int) -> list[int]:
        refine = int(self.options["refine"])
        asked = (
            self.docs.search(query).distance_type(self.metric).limit(k).select(["id", "_distance"])
        )
        asked = asked.ef(max(effort, k * refine)).refine_factor(refine)
        if self.filter:
            asked = asked.where(self.filter, prefilter=True)
        return asked.to_arrow()["id"].to_pylist()


class Chroma:
    """Documents have the fields that are true alone: it keeps each value apart."""

    def __init__(self, root: str, dim: int, metric: str, options: dict) -> None:
        import chromadb

        settings = chromadb.Settings(anonymized_telemetry=False)
        self.client, self.metric = chromadb.PersistentClient(root, settings), metric
        self.options, self.effort, self.where = options, 0, None

    def make(self, base: np.ndarray, fields: Fields) -> None:
        graph = {"space": self.metric, "max_neighbors": int(self.options["m"])}
        graph |= {"ef_construction": int(self.options["efc"]), "sync_threshold": 50_000}
        docs = self.client.create_collection(
            "docs", configuration={"hnsw": graph}, embedding_function=None
        )
        for rows in calls(len(base)):
            docs.add(
                ids=[str(row) for row in rows],
                embeddings=base[rows.start : rows.stop],
                metadatas=[fields.of(row, only_true=True) or None for row in rows],
            )

    def open(self) -> None:
        self.docs = self.client.get_collection("docs", embedding_function=None)

    def set_gate(self, name: str | None, anew: bool) -> None:
        self.where = {name: True} if name else None

    def search(self, query: np.ndarray, k: int, effort: int) -> list[int]:
        if effort != self.effort:
            self.docs.modify(configuration={"hnsw": {"ef_search": effort}})
            self.effort = effort
        found = self.docs.query(query_embeddings=[query], n_results=k, where=self.where, include=[])
        return [int(one) for one in found["ids"][0]]


class Qdrant:
    """Its embedded shard: a graph that knows the fields, codes of 8 bits in memory with
    quantize=int8; acorn: two hops where few are open."""

    def __init__(self, root: str, dim: int, metric: str, options: dict) -> None:
        import qdrant_edge

        self.q, self.root, self.dim, self.options = qdrant_edge, root, dim, options
        self.distance = {"l2": self.q.Distance.Euclid, "cosine": self.q.Distance.Cosine}[metric]
        self.filter = None

    def make(self, base: np.ndarray, fields: Fields) -> None:
        q, update = self.q, self.q.UpdateOperation
        graph = q.HnswIndexConfig(
            m=int(self.options["m"]),
            ef_construct=int(self.options["efc"]),
            full_scan_threshold=10_000,
        )
        codes = None
        if "quantize" in self.options:
            codes = q.ScalarQuantizationConfig(q.ScalarType.Int8, always_ram=True)
        config = q.EdgeConfig(
            vectors=q.EdgeVectorParams(self.dim, self.distance, quantization_config=codes),
            hnsw_config=graph,
            wal_enabled=False,  # without one two processes may read it
            optimizers=q.EdgeOptimizersConfig(
                default_segment_number=1, max_segment_size=1 << 30, indexing_threshold=1000
            ),
        )
        docs = q.EdgeShard.create(self.root, config)
        for name in fields.values:
            docs.update(update.create_field_index(name, q.PayloadSchemaType.Keyword))
        for rows in calls(len(base)):
            points = [q.Point(row, base[row].tolist(), self.words(fields.of(row))) for row in rows]
            docs.update(update.upsert_points(points))
        docs.optimize()
        docs.flush()
        docs.close()

    @staticmethod
    def words(fields: dict[str, bool]) -> dict[str, str]:
        """It takes the True of a condition for the number 1, which no field equals."""
        return {name: "yes" if value else "no" for name, value in fields.items()}

    def open(self) -> None:
        self.docs = self.q.EdgeShard.load(self.root)

    def set_gate(self, name: str | None, anew: bool) -> None:
        q = self.q
        condition = q.FieldCondition(name, match=q.MatchValue("yes")) if name else None
        self.filter = q.Filter(must=[condition]) if name else None

    def search(self, query: np.ndarray, k: int, effort: int) -> list[int]:
        q = self.q
        acorn = q.AcornSearchParams(enable="acorn" in self.options)
        asked = q.SearchRequest(
            q.Query.Nearest(query.tolist()),
            k,
            filter=self.filter,
            params=q.SearchParams(hnsw_ef=effort, acorn=acorn),
        )
        return [hit.id for hit in self.docs.search(asked)]


KINDS = {"chroma": Chroma, "lancedb": Lancedb, "lynse": Lynse, "qdrant": Qdrant, "zvec": Zvec}


def search(product: object, queries: np.ndarray, order: dict) -> tuple[float, float]:
    """The seconds of all, and the median of one."""
    k, effort = int(order.get("k", 10)), int(order.get("effort", 10))
    rows = queries[int(order["first"]) : int(order["end"])]
    found = np.full((len(rows), k), -1, np.int32)
    product.search(rows[0], k, effort)  # what comes first with a filter is its own cost
    times = []
    for i, query in enumerate(rows):
        begin = time.perf_counter()
        ids = product.search(query, k, effort)
        times.append(time.perf_counter() - begin)
        found[i, : len(ids)] = ids
    if order.get("out", "-") != "-":
        found.tofile(order["out"])
    return sum(times), statistics.median(times)


def build(kind: type, words: tuple, folder: pathlib.Path, root: pathlib.Path) -> tuple[object, str]:
    """The product with its documents, made now or before, and the seconds that this took: of the
    clock, and of its processors."""
    made, store = root / "made", str(root / "store")
    if made.exists():
        return kind(store, *words), made.read_text(encoding="utf-8")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    base = np.fromfile(folder / "base.f32", np.float32).reshape(-1, words[0])
    begin, processor = time.perf_counter(), time.process_time()
    product = kind(store, *words)
    product.make(base, Fields(folder, len(base)))
    took = f"{time.perf_counter() - begin} processor {time.process_time() - processor}"
    made.write_text(took, encoding="utf-8")
    return product, took


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")  # products say things on stdout
    os.dup2(2, 1)
    folder, kind, metric = pathlib.Path(sys.argv[1]), KINDS[sys.argv[2]], sys.argv[3]
    dim, _, _ = map(int, (folder / "shape").read_text(encoding="utf-8").split())
    queries = np.fromfile(folder / "queries.f32", np.float32).reshape(-1, dim)
    options = dict(word.split("=", 1) for word in sys.argv[4:])
    product = None
    for line in sys.stdin:
        command, *rest = line.split()
        order = dict(word.split("=", 1) for word in rest)
        if command == "build":
            root = pathlib.Path(order["image"])
            product, took = build(kind, (dim, metric, options), folder, root)
            product.open()
            size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
            answer = f"built {took} bytes {size}"
        elif command == "gate":
            is_none = order["path"] == "-"
            name = None if is_none else field_of(pathlib.Path(order["path"]))
            product.set_gate(name, "anew" in order)
            answer = f"open {name}"
        else:
            processor = time.process_time()
            seconds, median = search(product, queries, order)
            processor = time.process_time() - processor
            answer = f"searched {seconds} processor {processor} median {median}"
        print(answer, file=answers, flush=True)


if __name__ == "__main__":
    main()
