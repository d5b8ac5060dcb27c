# SPDX-License-Identifier: Apache-2.0
"""``python -m lynse.server [OPTION]...``: the server, with the arguments of ``lynse serve``.

The server is a program of its own, not part of the wheel yet.  It is looked for beside the package
(``lynse/bin/lynse``), beside the interpreter, and on PATH; LYNSE_PROGRAM names another one.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["find_program", "main"]

NOT_FOUND = (
    "lynse.server: the program 'lynse' is not here. It is part of the source tree (./dev build "
    "makes build/release/bin/lynse) and of `cmake --install BUILD --component server`; put it on "
    "PATH, or say where it is in LYNSE_PROGRAM."
)


def _is_program(path: pathlib.Path) -> bool:
    """Executable, and no script: the console script of a package may bear the same name."""
    try:
        with path.open("rb") as file:
            is_script = file.read(2) == b"#!"
    except OSError:
        return False
    return not is_script and os.access(path, os.X_OK)


def find_program() -> str | None:
    """The path of the program, or None."""
    named = os.environ.get("LYNSE_PROGRAM")
    if named:
        return named if _is_program(pathlib.Path(named)) else None
    folders = [pathlib.Path(__file__).parent / "bin", pathlib.Path(sys.executable).parent]
    folders += [pathlib.Path(part) for part in os.get_exec_path() if part]
    for folder in folders:
        found = shutil.which("lynse", path=str(folder))
        if found and _is_program(pathlib.Path(found)):
            return found
    return None


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Become the server; its exit status is ours."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    program = find_program()
    if program is None:
        sys.exit(NOT_FOUND)
    if not given or given[0].startswith("--"):
        given.insert(0, "serve")
    command = [program, *given]
    if os.name == "posix":
        sys.stdout.flush()
        os.execv(program, command)
    sys.exit(subprocess.call(command))


if __name__ == "__main__":
    main()
