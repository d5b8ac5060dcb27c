#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run every program of examples/, in C and Lua: `check_examples.py BUILD`.

Each runs in an empty folder; one that fails, hangs, or prints nothing has failed.  Those that take
a folder run in it twice, the second time over what the first one left.
"""

import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from cases import Cases, expect, run  # noqa: E402

TAKES_FOLDER = {"game_loop"}


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    cases = Cases()
    sources = [*(ROOT / "examples").glob("*.c"), *(ROOT / "examples").glob("*.lua")]
    for source in sorted(sources):
        command = [build / "examples" / source.stem]
        if source.suffix == ".lua":
            command = [build / "bin" / "lynse", "lua", source]
        arguments = [[]]
        if source.stem in TAKES_FOLDER:
            arguments += [["data"], ["data"]]
        with tempfile.TemporaryDirectory() as folder:
            for given in arguments:
                with cases.case(" ".join([source.name, *given])):
                    said = run(*command, *given, cwd=folder, timeout=120)
                    expect(said.strip(), "printed nothing")
                    print(f"{source.name}: {said.splitlines()[-1]}")
    cases.finish()


main()
