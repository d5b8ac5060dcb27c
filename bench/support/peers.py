# SPDX-License-Identifier: Apache-2.0
"""Peers of the benchmarks, each in a virtual environment of its own below build/peers."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys

from support.results import PEERS, ROOT, run, say

PEER_PACKAGES = {
    "faiss": ["faiss-cpu", "numpy", "cffi", "msgpack"],
    "lancedb": ["lancedb", "numpy", "pyarrow"],
    "chromadb": ["chromadb", "numpy"],
    "lynsedb": ["LynseDB", "numpy"],
    "qdrant": ["qdrant-edge-py", "numpy"],  # the embedded one
    "zvec": ["zvec", "numpy"],
    # Of ann.py: one process each, so that no BLAS or OpenMP of one is in the way of another.
    "ann-faiss": ["faiss-cpu", "numpy"],
    "ann-hnswlib": ["--no-binary", "hnswlib", "hnswlib", "numpy"],  # for this machine's processor
    "ann-usearch": ["usearch", "numpy"],
    "plot": ["matplotlib"],
}


def peer_python(name: str) -> pathlib.Path | None:
    """The interpreter of a peer's environment; None, said loudly, when it cannot be had."""
    python = PEERS / name / "bin" / "python"
    stamp = PEERS / name / "ready"
    if stamp.exists():
        return python
    say(f"install {name} in build/peers/{name}")
    try:
        subprocess.run(
            [sys.executable, "-m", "venv", PEERS / name], check=True, capture_output=True
        )
        pip = [python, "-m", "pip", "install", "-q"]
        subprocess.run([*pip, *PEER_PACKAGES[name]], check=True, capture_output=True)
        if name == "faiss":
            subprocess.run(
                [*pip, "setuptools", "wheel", "scikit-build-core", "."],
                check=True,
                capture_output=True,
                cwd=ROOT,
            )
    except subprocess.CalledProcessError as error:
        say(f"LEFT OUT: {name}: {error.stderr.decode()[-300:]}")
        return None
    stamp.touch()
    return python


def hnswlib_gate() -> pathlib.Path | None:
    """hnswlib_gate.cpp as a library, with the headers of hnswlib's package; None: it cannot be."""
    folder, python = PEERS / "ann-hnswlib" / "gate", peer_python("ann-hnswlib")
    library = folder / "gate.so"
    if library.exists() or not python:
        return library if python else None
    try:
        folder.mkdir(exist_ok=True)
        pip = [python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "hnswlib"]
        version = peer_version(python, "hnswlib")
        subprocess.run(
            [*pip, "-d", folder, f"hnswlib=={version}"],
            check=True,
            capture_output=True,
        )
        shutil.unpack_archive(next(folder.glob("*.tar.gz")), folder)
        headers = next(folder.glob("*/hnswlib/hnswlib.h")).parent.parent
        flags = ["-O3", "-march=native", "-shared", "-fPIC", "-std=c++17", "-I", headers]
        source = ROOT / "bench" / "support" / "hnswlib_gate.cpp"
        command = ["c++", *flags, source, "-o", library]
        subprocess.run(command, check=True, capture_output=True)
    except (subprocess.CalledProcessError, StopIteration) as error:
        say(f"LEFT OUT: hnswlib's filter: {getattr(error, 'stderr', b'').decode()[-300:]}")
        return None
    return library


def peer_version(python: pathlib.Path, package: str) -> str:
    code = f"import importlib.metadata as m; print('v', m.version('{package}'))"
    return run(python, "-c", code)["v"][0][0]
