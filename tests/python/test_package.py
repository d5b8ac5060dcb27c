# SPDX-License-Identifier: Apache-2.0
"""The package as it is installed."""

import doctest
import importlib.metadata
import inspect
import pathlib
import subprocess
import sys

import lynse
import numpy as np
import pytest
from lynse import _neighbour, errors
from lynse._native import ffi, lib
from lynse.types import METRICS, STORAGES, SYNC_LEVELS


def test_version_is_the_librarys():
    assert lynse.__version__ == importlib.metadata.version("lynse")


def test_every_error_of_the_table_has_a_class():
    codes = ffi.typeof("enum lynse_code").relements
    for name, code in codes.items():
        if code == 0:
            continue
        found = errors.CLASSES[code]
        assert (found.code, found.name) == (code, name[len("LYNSE_") :])
        assert issubclass(found, lynse.LynseError)
        assert found.__doc__, f"{name} is new: say in errors.py what it means"
        assert ffi.string(lib.lynse_error_name(code)).decode() == found.name
    assert len(errors.CLASSES) == len(codes) - 1


@pytest.mark.parametrize(
    ("enum", "prefix", "names"),
    [
        ("enum lynse_metric", "LYNSE_", METRICS),
        ("enum lynse_storage", "LYNSE_STORAGE_", tuple(STORAGES)),
        ("enum lynse_sync_level", "LYNSE_SYNC_", SYNC_LEVELS),
    ],
)
def test_words_are_those_of_the_library(enum, prefix, names):
    numbers = ffi.typeof(enum).elements
    found = tuple(numbers[number][len(prefix) :].lower() for number in sorted(numbers) if number)
    assert found == names, "say the new name in types.py, in the order of lynse_kinds.h"


@pytest.mark.parametrize(
    ("ours", "builtin"),
    [
        (errors.Invalid, ValueError),
        (errors.Dimension, ValueError),
        (errors.AlreadyExists, RuntimeError),
        (errors.ReadOnly, RuntimeError),
        (errors.Locked, RuntimeError),
        (errors.DiskFull, OSError),
        (errors.NoMemory, MemoryError),
        (errors.Deadline, TimeoutError),
        (errors.Unsupported, NotImplementedError),
    ],
)
def test_errors_are_builtin_ones_too(ours, builtin):
    assert issubclass(ours, builtin)
    made = errors.from_code(ours.code, "the text", 5)
    assert str(made).endswith("the text")
    assert made.os_errno == 5


def test_the_example_of_the_docstring():
    result = doctest.testmod(lynse)
    assert result.attempted > 5
    assert result.failed == 0


def test_the_extension_shows_its_entry_point_alone():
    path = next(pathlib.Path(lynse.__file__).parent.glob("_native*.so"))
    assert path.name == "_native.abi3.so"
    shown = subprocess.run(
        ["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[-1] for line in shown.splitlines()] == ["PyInit__native"]
    missing = subprocess.run(
        ["nm", "-D", "--undefined-only", path], capture_output=True, text=True, check=True
    ).stdout
    assert "lynse_" not in missing


def test_types_are_shipped():
    folder = pathlib.Path(lynse.__file__).parent
    assert (folder / "py.typed").exists()
    assert (folder / "_native.pyi").exists()


def test_public_things_are_documented():
    for name in lynse.__all__:
        thing = getattr(lynse, name)
        if not inspect.isclass(thing):
            continue
        assert inspect.getdoc(thing), name


def test_two_vectors_have_a_distance():
    assert lynse.compute_distance([0, 0], [3, 4], "l2") == 25
    assert lynse.compute_distance(np.array([3, 4]), [3, 4]) == 25
    assert lynse.compute_distance([1, 1, 0], [1, 0, 1], metric="tanimoto") == np.float32(2 / 3)
    assert abs(lynse.compute_distance([1, 0], [0, 1], "js") - np.sqrt(np.log(2))) < 1e-6
    with pytest.raises(errors.Invalid, match="'mahalanobis' is unknown; there are ip, l2"):
        lynse.compute_distance([1], [2], "mahalanobis")
    with pytest.raises(errors.Dimension, match="a has 2 components, b has 3"):
        lynse.compute_distance([1, 2], [1, 2, 3])


def test_lynsedb_among_our_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_neighbour, "__file__", str(tmp_path / "_neighbour.py"))
    _neighbour.refuse_lynsedb()
    (tmp_path / "_core.abi3.so").touch()
    with pytest.raises(ImportError, match="LynseDB"):
        _neighbour.refuse_lynsedb()


def test_lynsedb_beside_us_is_a_warning(tmp_path, monkeypatch):
    folder = tmp_path / "LynseDB-0.9.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: LynseDB\nVersion: 0.9.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(RuntimeWarning, match=r"LynseDB 0\.9\.0"):
        _neighbour.refuse_lynsedb()


def test_the_table_of_scenarios_is_what_brute_force_says():
    script = pathlib.Path(__file__).parent.parent / "scenarios" / "make_hooks.py"
    check = [sys.executable, str(script), "--check"]
    assert subprocess.run(check, check=False).returncode == 0
