# SPDX-License-Identifier: Apache-2.0
"""The cases of `./dev bench ann`: who is measured beside whom, over what, and what is wanted.

A case with several peers is measured beside the fastest of them at its recall.  Ours has its
standard parameters, but for `wide`: there it has 24 links, and so has hnswlib, or 16, whichever
is faster.  Faiss's lists are tried in two numbers, about the root of the rows and four times that,
since which is better depends on the recall.  Its parts of 4 bits have two components, and above
256 dimensions four; it measures 4 times and 10 times k by the vectors, by codes of one bit 20 times
k at few dimensions: with less none reaches a recall of 0.9.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from support.ann_data import DataSet
from support.ann_driver import Load, System

HNSWLIB = System("hnswlib", ("m=16", "efc=200"), is_peer=True)
HNSWLIB_WIDE = System("hnswlib", ("m=24", "efc=200"), is_peer=True)
FAISS_HNSW = System("faiss-hnsw", ("m=16", "efc=200"), is_peer=True)
FAISS_FLAT = System("faiss-flat", (), is_peer=True)
OWN_FLAT = System("FLAT", ("shadow=0",))
LYNSEDB_POLARVEC = System("lynsedb-polarvec", ("bits=4",), is_peer=True)

SETS = ("packages", "sift-like@1m", "emb-768@200k", "ood@500k")
GATED_SETS = ("packages", "sift-like@1m")
LONG_SETS = ("sift-like@1m", "emb-768@200k")
ALL_AT_ONCE, TWO_THREADS = Load(batch=0), Load(batch=0, threads=2)


class Case(NamedTuple):
    ours: System
    peers: tuple[System, ...]
    target: float  # of queries a second; 0: none
    goal: float
    recalls: tuple[float, ...] = (0.95, 0.99)
    load: Load = Load()
    data: tuple[str, ...] = SETS
    build_target: float = 0  # of processor seconds; 0: none
    memory_target: float = 0  # at most so much of the peer's; 0: none
    limit: str = ""  # what bounds it: "read", "gather", "multiply"; "": no formula
    lists: str = ""  # faiss's factory, with {lists} and {parts}: peers are made of it
    is_filtered: bool = False  # ann_filter.py's, which has peers of its own
    is_of_products: bool = False  # ann_filter_product.py's, likewise

    def peers_over(self, data: DataSet) -> tuple[System, ...]:
        if not self.lists:
            return self.peers
        root = 2 ** round(math.log2(math.sqrt(data.rows)))
        parts, refine = (data.dim // 4, 10) if data.dim > 256 else (data.dim // 2, 4)
        refine = max(refine, 20) if "RaBitQ" in self.lists and data.dim <= 256 else refine
        return tuple(
            System(
                "faiss-ivf",
                (f"factory={self.lists.format(lists=lists, parts=parts)}", f"refine={refine}"),
                is_peer=True,
            )
            for lists in (root, 4 * root)
        )


def beside_faiss_lists(mode: str, factory: str, data: tuple[str, ...] = LONG_SETS) -> Case:
    recalls = (0.9, 0.95)
    return Case(System(mode), (), 1, 2.5, recalls, data=data, lists=factory, limit="read")


CASES = {
    "flat-single": Case(
        System("FLAT"),
        (FAISS_FLAT,),
        2,
        3.2,
        (1.0,),
        Load(batch=1),
        ("emb-768@200k",),
        limit="read",
    ),
    "flat-batch": Case(System("FLAT"), (FAISS_FLAT,), 1, 1.15, (1.0,), TWO_THREADS, LONG_SETS),
    "flat-batch-plain": Case(
        OWN_FLAT, (FAISS_FLAT,), 0, 0, (1.0,), TWO_THREADS, LONG_SETS, limit="multiply"
    ),
    "hnsw": Case(System("HNSW"), (HNSWLIB,), 1.2, 1.5, build_target=1.5, limit="gather"),
    "hnsw-faiss": Case(System("HNSW"), (FAISS_HNSW,), 1.05, 1.3),
    "hnsw-fast": Case(System("HNSW-RABITQ4"), (HNSWLIB,), 2, 2.8, build_target=1.5, limit="gather"),
    "hnsw-batch": Case(System("HNSW-RABITQ4"), (HNSWLIB,), 3, 5, load=TWO_THREADS),
    "hnsw-batch-wide": Case(
        System("HNSW-RABITQ4", ("m=24",)),
        (HNSWLIB, HNSWLIB_WIDE),
        3,
        5,
        load=TWO_THREADS,
        data=("packages", "ood@500k"),
    ),
    "hnsw-lean": Case(
        System("HNSW-RABITQ4"), (HNSWLIB,), 1, 1, data=("emb-768@200k",), memory_target=1 / 3
    ),
    "ivf": beside_faiss_lists("IVF", "IVF{lists},Flat", ("packages",)),
    "ivf-pq": beside_faiss_lists("IVF-PQFS", "IVF{lists},PQ{parts}x4fs,RFlat"),
    "ivf-rabitq": beside_faiss_lists("IVF-RABITQ", "IVF{lists},RaBitQfs,RFlat"),
    "filtered": Case(System("HNSW"), (HNSWLIB,), 1, 3, is_filtered=True),
    "filtered-products": Case(
        System("lynse", ("mode=HNSW",)), (), 1, 3, data=GATED_SETS, is_of_products=True
    ),
    "flat-rabitq": Case(
        System("FLAT-RABITQ"),
        (OWN_FLAT,),
        8,
        8,
        (0.99,),
        data=("packages", "emb-768@200k"),
    ),
    "polarvec": Case(
        System("FLAT-POLARVEC4"), (LYNSEDB_POLARVEC,), 5, 10, (0.95,), data=("packages",)
    ),
}
