# SPDX-License-Identifier: Apache-2.0
"""Folders: opened, shared, read beside a writer, refused."""

import gc
import os

import lynse
import numpy as np
import pytest
from lynse.client import default_root
from lynse.errors import Corrupt, DiskFull, Invalid, NotFound, ReadOnly, ShuttingDown

ROW = [1.0, 2.0, 3.0, 4.0]


def test_options_are_checked(tmp_path):
    with pytest.raises(Invalid, match="always, interval, os, none"):
        lynse.VectorDBClient(tmp_path / "x", sync="fast")
    with pytest.raises(Invalid, match="threads"):
        lynse.VectorDBClient(tmp_path / "x", threads=0)
    with pytest.raises(TypeError, match="memory_budget"):
        lynse.VectorDBClient(tmp_path / "x", memory_budget="1G")
    for low_water in (-1, 2**50 + 1):
        with pytest.raises(Invalid, match=r"low_water must be 0\.\.1125899906842624"):
            lynse.VectorDBClient(tmp_path / "x", low_water=low_water)
    for low_water in ("1G", 1e9, True):
        with pytest.raises(TypeError, match="low_water"):
            lynse.VectorDBClient(tmp_path / "x", low_water=low_water)
    assert not (tmp_path / "x").exists()


def test_a_damaged_collection_hides_no_other(tmp_path):
    folder = tmp_path / "root"
    with lynse.VectorDBClient(folder) as client:
        database = client.create_database("notes")
        database.require_collection("bad", dim=4).add(ids=1, vectors=ROW)
        (directory,) = {path.parent for path in folder.glob("*/manifest-*")}
        database.require_collection("good", dim=4).add(ids=1, vectors=ROW)
    for manifest in directory.glob("manifest-*"):
        manifest.unlink()
    with lynse.VectorDBClient(folder) as client:
        database = client.get_database("notes")
        assert database.show_collections() == ["bad", "good"]
        rows = database.show_collections_details()
        if not isinstance(rows, list):
            rows = rows.to_dict("records")
        assert [row["name"] for row in rows] == ["bad", "good"]
        assert "notes/bad" in rows[0]["error"] and rows[1]["shape"] == (1, 4)
        with pytest.raises(Corrupt, match="notes/bad"):
            database.get_collection("bad")
        with pytest.raises(Corrupt, match="notes/bad"):
            database.require_collection("bad")
        fresh = database.require_collection("bad", dim=4, drop_if_exists=True)
        assert fresh.shape[0] == 0


@pytest.mark.parametrize("uri", ["", 5, b"x"])
def test_a_uri_is_a_path(uri):
    with pytest.raises((TypeError, ValueError)):
        lynse.VectorDBClient(uri)


def test_each_memory_is_its_own():
    with lynse.VectorDBClient(":memory:") as one, lynse.VectorDBClient(":memory:") as other:
        one.create_database("a")
        assert other.list_databases() == []


def test_what_was_written_is_there_after_opening_again(tmp_path):
    with lynse.VectorDBClient(tmp_path / "root") as client:
        docs = client.create_collection("notes", "docs", dim=4, default_index="FLAT-L2")
        docs.add(ids=[1, "b"], vectors=[ROW, ROW], fields=[{"n": 1}, None])
        docs.add(ids=7, vectors=ROW)
        docs.delete(7)
    with lynse.VectorDBClient(str(tmp_path / "root")) as client:
        docs = client.get_database("notes").get_collection("docs")
        assert docs.head().ids.tolist() == [1, "b"]
        assert docs.index_mode == "FLAT-L2"
        assert docs.max_id == 7
        docs.restore(7)
        assert docs.add(vectors=ROW) == 8


def test_clients_of_one_folder_share_it(tmp_path):
    first = lynse.VectorDBClient(tmp_path / "root")
    (tmp_path / "link").symlink_to(tmp_path / "root")
    second = lynse.VectorDBClient(tmp_path / "link")
    mine = first.create_collection("notes", "docs", dim=4)
    mine.add(ids=1, vectors=ROW)
    theirs = second.get_database("notes").get_collection("docs")
    assert theirs.is_id_exists(1)
    first.close()
    first.close()
    with pytest.raises(ShuttingDown, match="closed"):
        mine.stats()
    with pytest.raises(ShuttingDown, match="this client is closed"):
        first.list_databases()
    theirs.add(ids=2, vectors=ROW)
    with pytest.raises(Invalid, match="threads=default, not 3"):
        lynse.VectorDBClient(tmp_path / "root", threads=3)
    second.close()
    lynse.VectorDBClient(tmp_path / "root", threads=3).close()


def test_a_collection_keeps_its_root_open(tmp_path):
    docs = lynse.VectorDBClient(tmp_path / "root").create_collection("notes", "docs", dim=4)
    gc.collect()
    docs.add(ids=1, vectors=ROW)
    del docs
    gc.collect()
    # Nothing refers to the root: a reader finds its lock free of any writer of this process.
    with lynse.VectorDBClient(tmp_path / "root", read_only=True) as client:
        assert client._root._root.key[1] is True
        assert client.get_database("notes").get_collection("docs").shape == (1, 4)


def test_read_only(tmp_path):
    with lynse.VectorDBClient(tmp_path / "root") as client:
        client.create_collection("notes", "docs", dim=4).add(ids=1, vectors=ROW)
    for writer in (None, lynse.VectorDBClient(tmp_path / "root")):
        with lynse.VectorDBClient(tmp_path / "root", read_only=True) as client:
            database = client.get_database("notes")
            docs = database.require_collection("docs")
            assert database.is_read_only
            assert docs.is_read_only
            assert docs.search(ROW).ids.tolist() == [1]
            for call in (
                lambda d=docs: d.add(ids=2, vectors=ROW),
                lambda d=docs: d.upsert(ids=1, vectors=ROW),
                lambda d=docs: d.delete(1),
                lambda d=docs: d.restore(1),
                lambda d=docs: d.flush(),
                lambda d=docs: d.checkpoint(),
                lambda d=docs: d.build_index("FLAT-L2"),
                lambda d=docs: d.update_description("x"),
                lambda c=client: c.create_database("other"),
                lambda c=client: c.drop_database("notes"),
                lambda d=database: d.drop_collection("docs"),
            ):
                with pytest.raises(RuntimeError, match="read-only") as caught:
                    call()
                assert isinstance(caught.value, ReadOnly)
            with docs:
                pass
        if writer:
            writer.close()


def test_a_reader_of_nothing(tmp_path):
    with pytest.raises(NotFound):
        lynse.VectorDBClient(tmp_path / "none", read_only=True)
    assert not (tmp_path / "none").exists()


def test_a_reader_of_memory_is_told_that_it_makes_no_sense():
    with pytest.raises(Invalid, match="nothing in it to read"):
        lynse.VectorDBClient(":memory:", read_only=True)


def test_read_only_is_yes_or_no():
    for value in ("no", None, 2, []):
        with pytest.raises(TypeError, match="read_only must be True or False"):
            lynse.VectorDBClient(":memory:", read_only=value)
    lynse.VectorDBClient(":memory:", read_only=0).close()


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(lynse.LynseError):
        lynse.VectorDBClient(tmp_path / "file")
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(ValueError, match="photos"):
        lynse.VectorDBClient(folder)
    assert [entry.name for entry in folder.iterdir()] == ["cat.jpg"]
    with pytest.raises(lynse.LynseError):
        lynse.VectorDBClient(tmp_path / "file" / "below")


def test_a_folder_without_permission(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(lynse.LynseError):
        lynse.VectorDBClient(tmp_path / "root")


def test_a_memory_budget_is_an_ordinary_error(tmp_path):
    with lynse.VectorDBClient(tmp_path / "root", memory_budget=48 << 20) as client:
        docs = client.create_collection("notes", "docs", dim=512)
        block = np.ones((1000, 512), np.float32)
        for _ in range(50):  # twice the budget: rows leave memory in time
            docs.add(vectors=block)
        with pytest.raises(MemoryError, match=f"memory_budget_bytes {48 << 20}, .* in use"):
            docs.add(vectors=np.ones((30000, 512), np.float32))
        assert docs.stats()["n_live"] == 50000
        assert len(docs.search(block[0], k=1)) == 1


def test_below_the_low_water_mark_searches_and_deletes_go_on(tmp_path):
    with lynse.VectorDBClient(tmp_path / "root", low_water=0) as client:
        client.create_collection("notes", "docs", dim=4).add(ids=[1, 2], vectors=[ROW, ROW])
    with lynse.VectorDBClient(tmp_path / "root", low_water=2**50) as client:
        docs = client.get_database("notes").get_collection("docs")
        for write in (
            lambda: docs.add(ids=3, vectors=ROW),
            lambda: docs.upsert(ids=1, vectors=ROW),
            lambda: client.create_database("more"),
        ):
            with pytest.raises(DiskFull, match="low_water_bytes"):
                write()
        assert docs.search(ROW).ids.tolist() == [1, 2]
        docs.delete([2])
        docs.flush()
        assert docs.search(ROW).ids.tolist() == [1]
        assert client.list_databases() == ["notes"]
        with pytest.raises(Invalid, match="low_water=1125899906842624, not 1;"):
            lynse.VectorDBClient(tmp_path / "root", low_water=1)
        lynse.VectorDBClient(tmp_path / "root").close()
    with lynse.VectorDBClient(tmp_path / "root", low_water=1) as client:
        docs = client.get_database("notes").get_collection("docs")
        docs.add(ids=3, vectors=ROW)
        assert docs.search(ROW).ids.tolist() == [1, 3]


@pytest.mark.parametrize("level", ["always", "interval", "os", "none"])
def test_every_sync_level_stores(tmp_path, level):
    with lynse.VectorDBClient(tmp_path / "root", sync=level) as client:
        docs = client.create_collection("notes", "docs", dim=4)
        docs.add(ids=1, vectors=ROW)
        assert docs._backend.info().sync == level
    with lynse.VectorDBClient(tmp_path / "root") as client:
        assert client.get_database("notes").get_collection("docs").is_id_exists(1)


def test_the_default_root(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("LYNSE_DEFAULT_ROOT_PATH", raising=False)
    assert default_root() == str(tmp_path / ".LynseDB/databases")
    with pytest.raises(NotFound):
        lynse.VectorDBClient(read_only=True)
    assert list(tmp_path.iterdir()) == []
    with lynse.VectorDBClient() as client:
        client.create_database("notes")
    assert (tmp_path / ".LynseDB/databases").is_dir()
    config = tmp_path / ".lynsedb_configs.ini"
    config.write_text("[lynse]\nLYNSE_DEFAULT_ROOT_PATH = ~/vectors\n")
    assert default_root() == str(tmp_path / "vectors")
    monkeypatch.setenv("LYNSE_DEFAULT_ROOT_PATH", str(tmp_path / "mine"))
    with lynse.VectorDBClient() as client:
        client.create_database("notes")
    assert (tmp_path / "mine").is_dir()
    config.write_text("no section")
    monkeypatch.delenv("LYNSE_DEFAULT_ROOT_PATH")
    with pytest.raises(Invalid, match="ini"):
        default_root()


def test_a_deletion_that_fails_later_says_how_many_went(tmp_path, monkeypatch):
    with lynse.VectorDBClient(tmp_path / "root") as client:
        docs = client.create_collection("notes", "docs", dim=4)
        docs.add(ids=1, vectors=ROW, fields={"stars": 1})

        def fail(function, where, options, result):
            result.row_count = 100_000
            raise lynse.errors.Deadline("the second group")

        with monkeypatch.context() as patched:
            patched.setattr(docs._backend, "_call", fail)
            with pytest.raises(lynse.errors.Deadline) as caught:
                docs.delete(where="stars >= 0")
        assert caught.value.rows_applied == 100_000
