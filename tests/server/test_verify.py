# SPDX-License-Identifier: Apache-2.0
"""`lynse verify`: what it says of a sound folder, of damage in each kind of file, and beside a
writer."""

import json
import pathlib
import shutil

import pytest
from operated import run
from program import Program

ROWS = 6000


def vector(i):
    return [float(i % 97), 1.0, float(i % 13), 0.5]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """A folder with two collections, one of them sealed and with deletions."""
    folder = tmp_path_factory.mktemp("verified") / "data"
    with Program(folder) as program:
        r = program.rpc()
        for name in ("docs", "empty"):
            r.call("required_collection", collection_name=name, dim=4)
        for first in range(0, ROWS, 2000):
            ids = list(range(first, first + 2000))
            r.call(
                "add",
                collection_name="docs",
                ids=ids,
                vectors=[vector(i) for i in ids],
                fields=[{"n": i} for i in ids],
            )
        r.call("delete", collection_name="docs", ids=list(range(500)))
        r.call("checkpoint", collection_name="docs")
        r.call("build_index", collection_name="docs", index_mode="IVF-L2")
        beside = verify(folder)  # beside the writer
        assert beside[0] == 0
        r.close()
        assert program.stop() == 0
    return folder


def verify(folder, *options):
    done = run("verify", folder, *options)
    return done.returncode, json.loads(done.stdout) if done.stdout else None


def docs_of(report):
    return next(c for c in report["collections"] if c["name"].endswith("/docs"))


@pytest.mark.parametrize("level", ["quick", "full", "deep"])
def test_a_sound_folder(sealed, level):
    status, report = verify(sealed, "--level", level)
    assert status == 0
    assert report["level"] == level
    assert report["findings"] == 0
    assert len(report["collections"]) == 2
    assert docs_of(report)["records"] == ROWS - 500
    indexes = docs_of(report)["indexes"]
    assert len(indexes) == (level == "deep")
    assert all(line.startswith(f"IVF-L2 of {ROWS} records: finds ") for line in indexes)


@pytest.fixture
def copy(sealed, tmp_path):
    return pathlib.Path(shutil.copytree(sealed, tmp_path / "data"))


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("part", ["ids", "vec-0", "doc"])
def test_a_flipped_bit_is_found_and_its_file_named(copy, part):
    (path,) = copy.glob(f"*/seg-*.{part}")
    flip(path, path.stat().st_size // 2)
    status, report = verify(copy)
    assert status == 1
    assert report["findings"] == 1
    assert path.name in docs_of(report)["findings"][0]
    assert verify(copy, "--level=quick")[0] == 0, "quick reads no rows"


def test_a_damaged_index_is_what_deep_finds(copy):
    (path,) = copy.glob("*/seg-*.idx-*")
    flip(path, path.stat().st_size // 2)
    assert verify(copy)[0] == 0, "full reads no index"
    status, report = verify(copy, "--level=deep")
    assert status == 1
    assert report["findings"] == 1
    assert path.name in docs_of(report)["findings"][0]


def test_what_is_damaged_does_not_hide_what_else_is(copy):
    for part in ("vec-0", "ids"):
        (path,) = copy.glob(f"*/seg-*.{part}")
        flip(path, path.stat().st_size // 2)
    status, report = verify(copy)
    assert status == 1
    assert {c["name"].split("/")[1] for c in report["collections"]} == {"docs", "empty"}


def test_a_missing_file_is_a_finding(copy):
    (path,) = copy.glob("*/seg-*.doc")
    path.unlink()
    status, report = verify(copy)
    assert status == 1
    assert path.name in docs_of(report)["findings"][0]


def test_nothing_is_written(copy):
    def listing():
        return sorted((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in copy.rglob("*"))

    before = listing()
    assert verify(copy, "--level=deep")[0] == 0
    assert listing() == before


@pytest.mark.parametrize(
    "arguments",
    [[], ["--level", "full"], ["a", "b"], ["a", "--level"], ["a", "--level=loud"], ["a", "-x"]],
)
def test_command_lines_that_are_none(arguments):
    done = run("verify", *arguments)
    assert done.returncode == 2
    assert "usage: lynse verify" in done.stderr
    assert not done.stdout


def test_a_folder_that_is_not_there(tmp_path):
    done = run("verify", tmp_path / "nowhere")
    assert done.returncode == 3
    assert "nowhere" in done.stderr
    assert not (tmp_path / "nowhere").exists()
