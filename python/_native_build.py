# SPDX-License-Identifier: Apache-2.0
"""Writes the C source of ``lynse._native``: ``_native_build.py COMPILER HEADERS HEADER OUTPUT.c``.

lynse.h is the one source of truth: what the preprocessor leaves of it is what cffi is told, so a
declaration that the compiler would refuse cannot come to be.  CMake runs this; it is not shipped.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile

from cffi import FFI

# cffi knows the names of these; their insides would only confuse it.
SYSTEM_HEADERS = ("stddef.h", "stdint.h")
EXPORTED = '__attribute__((visibility("default")))'


def declarations(compiler: str, headers: str, header: str) -> str:
    """What the header declares, without preprocessor lines and attributes."""
    with tempfile.TemporaryDirectory() as folder:
        for name in SYSTEM_HEADERS:
            (pathlib.Path(folder) / name).touch()
        text = subprocess.run(
            [compiler, "-E", "-P", "-nostdinc", "-I", folder, f"{headers}/{header}"],
            check=True,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        ).stdout
    return text.replace(EXPORTED, "")


def main() -> None:
    compiler, headers, header, output = sys.argv[1:]
    ffi = FFI()
    ffi.cdef(declarations(compiler, headers, header))
    ffi.set_source("lynse._native", f'#include "{header}"')
    ffi.emit_c_code(output)


if __name__ == "__main__":
    main()
