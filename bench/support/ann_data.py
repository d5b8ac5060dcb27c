# SPDX-License-Identifier: Apache-2.0
"""Data sets of `./dev bench ann`: made from seeds, kept below build/bench-data/ann.

A folder has base.f32 and queries.f32 (rows of floats), `shape` (dim, rows, queries), and for each
metric the rows of the 100 nearest as int32, by our own exact search.  The first half of the queries
is for choosing how hard to look, the second for measuring.

    sift-like      128-d integers of 0 to 218: a mixture of 1,000 centres in 40 dimensions, lifted
    emb-384, -768, -1536   normalised: 64 dimensions whose variance falls by a power, lifted
    ood            200-d, normalised rows; the queries come from a mixture that was moved
    packages       packages-60k in the folder that LYNSE_DATA names: real embeddings, 384-d

A number of rows may follow: sift-like@100k.
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from support.results import DATA, say

BLOCK = 50_000
QUERIES = 2_000
TRUTH = 100


class DataSet(NamedTuple):
    name: str
    folder: pathlib.Path
    dim: int
    rows: int
    queries: int

    def base(self) -> np.ndarray:
        return np.memmap(self.folder / "base.f32", np.float32, "r", shape=(self.rows, self.dim))

    def query_rows(self) -> np.ndarray:
        shape = (self.queries, self.dim)
        return np.fromfile(self.folder / "queries.f32", np.float32).reshape(shape)


def normalised(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


Draw = Callable[[np.random.Generator, int], np.ndarray]


def sift_like(rng: np.random.Generator) -> tuple[Draw, Draw]:
    latent, dim, centre_count = 40, 128, 1_000
    lift = rng.standard_normal((latent, dim), dtype=np.float32) / np.sqrt(latent)
    centres = rng.standard_normal((centre_count, latent), dtype=np.float32)
    weights = rng.dirichlet(np.ones(centre_count))

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        own = centres[rng.choice(centre_count, count, p=weights)]
        z = own + 0.92 * rng.standard_normal((count, latent), dtype=np.float32)
        x = z @ lift + 0.15 * rng.standard_normal((count, dim), dtype=np.float32)
        return np.clip(np.rint(50 * (x + 0.3)), 0, 218)

    return draw, draw


def embedding(dim: int, shift: float = 0.0) -> Callable:
    """Normalised; queries about other centres than the rows where there is a shift."""

    def make(rng: np.random.Generator) -> tuple[Draw, Draw]:
        latent, centre_count = 64, 1_000
        spectrum = np.arange(1, latent + 1, dtype=np.float32) ** -0.5
        lift = rng.standard_normal((latent, dim), dtype=np.float32)
        centres = rng.standard_normal((centre_count, latent), dtype=np.float32)
        away = rng.standard_normal((centre_count, latent), dtype=np.float32)
        moved = (1 - shift) * centres + shift * away

        def about(middle: np.ndarray) -> Draw:
            def draw(rng: np.random.Generator, count: int) -> np.ndarray:
                z = middle[rng.integers(0, centre_count, count)]
                z = z + 1.2 * rng.standard_normal((count, latent), dtype=np.float32)
                x = (z * spectrum) @ lift
                x += 0.3 * rng.standard_normal((count, dim), dtype=np.float32)
                return normalised(x)

            return draw

        return about(centres), about(moved)

    return make


GENERATED = {
    "sift-like": (sift_like, 128, 1_000_000),
    "emb-384": (embedding(384), 384, 1_000_000),
    "emb-768": (embedding(768), 768, 500_000),
    "emb-1536": (embedding(1536), 1536, 250_000),
    "ood": (embedding(200, shift=0.6), 200, 1_000_000),
}
NAMES = ["packages", *GENERATED]


def count_of(text: str) -> int:
    found = re.fullmatch(r"(\d+)([km]?)", text)
    if not found:
        raise SystemExit(f"{text} is no number of rows: 20000, 100k, 1m")
    return int(found.group(1)) * {"": 1, "k": 1_000, "m": 1_000_000}[found.group(2)]


def packages_source() -> pathlib.Path | None:
    """The folder of packages-60k; None, said loudly, when LYNSE_DATA does not have it."""
    folder = pathlib.Path(os.environ.get("LYNSE_DATA", "")) / "packages-60k"
    if os.environ.get("LYNSE_DATA") and (folder / "vectors.npy").exists():
        return folder
    say("LEFT OUT: packages: set LYNSE_DATA to the folder that has packages-60k")
    return None


def write_packages(source: pathlib.Path, folder: pathlib.Path, rows: int | None) -> tuple[int, ...]:
    base = np.load(source / "vectors.npy")[:rows].astype(np.float32)
    queries = np.load(source / "queries.npy").astype(np.float32)
    normalised(base).tofile(folder / "base.f32")
    normalised(queries).tofile(folder / "queries.f32")
    return base.shape[1], len(base), len(queries)


def write_generated(name: str, folder: pathlib.Path, rows: int | None) -> tuple[int, ...]:
    make, dim, standard = GENERATED[name]
    rows = rows or standard
    rng = np.random.default_rng([NAMES.index(name), 1])
    draw, draw_query = make(rng)
    with open(folder / "base.f32", "wb") as file:
        for first in range(0, rows, BLOCK):
            draw(rng, min(BLOCK, rows - first)).astype(np.float32).tofile(file)
    # Of their own seed: the same for any number of rows.
    query_rng = np.random.default_rng([NAMES.index(name), 2])
    draw_query(query_rng, QUERIES).astype(np.float32).tofile(folder / "queries.f32")
    return dim, rows, QUERIES


def data_set(text: str) -> DataSet | None:
    """By name, made if it is not there; None when it cannot be had."""
    name, _, size = text.partition("@")
    if name not in NAMES:
        raise SystemExit(f"no data set {name}; there are {', '.join(NAMES)}")
    rows = count_of(size) if size else None
    folder = DATA / "ann" / text
    if not (folder / "shape").exists():
        source = packages_source() if name == "packages" else None
        if name == "packages" and not source:
            return None
        say(f"make {text}")
        folder.mkdir(parents=True, exist_ok=True)
        shape = (
            write_packages(source, folder, rows) if source else write_generated(name, folder, rows)
        )
        (folder / "shape").write_text(" ".join(map(str, shape)) + "\n", encoding="utf-8")
    dim, rows, queries = map(int, (folder / "shape").read_text(encoding="utf-8").split())
    return DataSet(text, folder, dim, rows, queries)
