#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A build without kinds of indexes beside one with all: `check_flat_only.py BUILD FLAT_BUILD`.

What the one has indexed the other searches exactly, and leaves as it is (docs/decisions/012).
"""

import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from cases import Cases, expect, run  # noqa: E402


def compile_with(build, folder, name):
    program = folder / name
    run(
        os.environ.get("CC", "cc"), "-std=c11", "-I", ROOT / "core" / "include",
        HERE / "indexed.c", "-L", build / "lib", f"-Wl,-rpath,{build / 'lib'}", "-llynse",
        "-o", program,
    )  # fmt: skip
    return program


def main():
    build, flat_build = (pathlib.Path(name).resolve() for name in sys.argv[1:3])
    cases = Cases()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        full = compile_with(build, folder, "full")
        flat = compile_with(flat_build, folder, "flat")
        data = folder / "data"
        run(full, "make", data)
        before = run(full, "look", data).splitlines()
        with cases.case("what another build has indexed is searched exactly"):
            found, exact, _ = run(flat, "look", data).splitlines()
            expect(found == exact == before[1], f"{found!r} and {exact!r}, not {before[1]!r}")
        with cases.case("and the index is still there for it"):
            after = run(full, "look", data).splitlines()
            expect(after == before, f"{after}, not {before}")
            expect(after[2] == "1 of 1 segments", after[2])
        for mode in ("HNSW-L2", "IVF-COS-SQ8", "FLAT-L2-RABITQ"):
            with cases.case(f"{mode} is refused, with what there is"):
                try:
                    said = run(flat, "build", data, mode)
                except AssertionError as error:
                    said = str(error)
                expect("left out of this build" in said and "FLAT" in said.upper(), said)
        with cases.case("FLAT and AUTO are built"):
            run(flat, "build", data, "FLAT-L2")
            run(flat, "build", data, "AUTO-L2")
    cases.finish()


main()
