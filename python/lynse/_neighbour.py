# SPDX-License-Identifier: Apache-2.0
"""LynseDB's package has our import name: two of them in one folder are a mixture of both."""

from __future__ import annotations

import importlib.metadata
import pathlib
import warnings


def _is_mixed(folder: pathlib.Path) -> bool:
    return any(folder.glob("_core.*"))


def refuse_lynsedb() -> None:
    """ImportError if LynseDB's files lie among ours; a warning if it is elsewhere on the path."""
    folder = pathlib.Path(__file__).parent
    if _is_mixed(folder):
        raise ImportError(
            "the packages lynse and LynseDB are installed over each other in this environment, and "
            "have the same import name: uninstall both, then install the one you want"
        )
    try:
        other = importlib.metadata.distribution("LynseDB")
    except importlib.metadata.PackageNotFoundError:
        return
    warnings.warn(
        f"LynseDB {other.version} is in this environment too and has the same import name; "
        "this is lynse",
        RuntimeWarning,
        stacklevel=3,
    )
