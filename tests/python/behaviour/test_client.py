# SPDX-License-Identifier: Apache-2.0
"""Databases and collections: made, listed, described, dropped."""

import lynse
import numpy as np
import pytest
from lynse.errors import DatabaseNotFound, Dimension, Invalid, NotFound

ROW = [1.0, 2.0, 3.0, 4.0]


def public(thing):
    return {name for name in dir(thing) if not name.startswith("_")}


def test_members_are_those_of_lynsedb(client, database):
    assert public(client) == {
        "close", "create_collection", "create_database", "drop_database", "get_database",
        "list_databases", "restore_database", "snapshot_database",
    }  # fmt: skip
    assert public(database) == {
        "database_exists", "drop_collection", "drop_database", "export_collection",
        "get_collection", "import_collection", "is_read_only", "require_collection",
        "restore_collection", "restore_database", "show_collections",
        "show_collections_details", "snapshot_collection", "snapshot_database",
        "update_collection_description",
    }  # fmt: skip
    assert "VectorDBClient" in repr(client)


def test_databases(client):
    assert client.list_databases() == []
    first = client.create_database("b")
    client.create_database("a")
    client.create_database("b")
    assert client.list_databases() == ["a", "b"]
    assert first.database_exists() == {"params": {"exists": True}}
    assert client.get_database("a").show_collections() == []
    with pytest.raises(ValueError, match="does not exist"):
        client.get_database("c")
    first.drop_database()
    assert first.database_exists() == {"params": {"exists": False}}
    client.drop_database("a")
    with pytest.raises(DatabaseNotFound):
        client.drop_database("a")
    assert client.list_databases() == []


def test_drop_if_exists_begins_anew(client):
    collection = client.create_collection("notes", "docs", dim=4)
    collection.add(ids=1, vectors=ROW)
    again = client.create_collection("notes", "docs", dim=8, drop_if_exists=True)
    assert again.shape == (0, 8)
    client.create_database("notes", drop_if_exists=True)
    assert client.get_database("notes").show_collections() == []
    third = client.create_collection("notes", "docs", dim=2, drop_database_if_exists=True)
    assert third.shape == (0, 2)


def test_collections(database):
    docs = database.require_collection("docs", dim=4, description="first")
    docs.add(ids=1, vectors=ROW)
    assert database.require_collection("docs").shape == (1, 4)
    assert database.get_collection("docs").is_id_exists(1)
    assert docs.exists()
    with pytest.raises(RuntimeError, match="Collection 'none' does not exist"):
        database.get_collection("none")
    with pytest.raises(Dimension):
        database.require_collection("docs", dim=5)
    assert database.drop_collection("docs") == {"status": "success"}
    assert not docs.exists()
    with pytest.raises(NotFound):
        database.drop_collection("docs")
    with pytest.raises(lynse.LynseError):
        docs.add(ids=2, vectors=ROW)


def test_details(database):
    pandas = pytest.importorskip("pandas")
    docs = database.require_collection("docs", dim=4, description="first")
    docs.add(ids=[1, 2], vectors=[ROW, ROW])
    database.update_collection_description("docs", "second")
    frame = database.show_collections_details()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.to_dict("records") == [
        {
            "name": "docs", "shape": (2, 4), "index_mode": "FLAT-IP", "dim": 4,
            "dtypes": "float32", "description": "second",
        }
    ]  # fmt: skip
    docs.update_description(None)
    assert database.show_collections_details()["description"].tolist() == [None]
    assert docs.list_vector_fields()[0]["name"] == "default"


@pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 129, "é", "a b", "a\0b", "\ud800"])
def test_names_are_checked(client, database, name):
    with pytest.raises(ValueError):
        client.create_database(name)
    with pytest.raises(ValueError):
        database.require_collection(name, dim=4)
    with pytest.raises(TypeError):
        client.create_database(None)


@pytest.mark.parametrize(
    ("given", "dtype", "bits"),
    [("float16", "float16", 11), ("half", "float16", 11), ("bf16", "bfloat16", 8)],
)
def test_vectors_are_kept_as_they_were_asked_for(database, given, dtype, bits):
    docs = database.require_collection("docs", dim=4, dtypes=given, default_index="FLAT-L2")
    docs.add(ids=[1, 2], vectors=np.array([[0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4]], dtype=np.float32))
    assert docs.vector_dtype == dtype
    assert docs.list_vector_fields()[0]["dtypes"] == dtype
    vector = docs.get(1).vectors.astype(np.float64)
    fraction, _ = np.frexp(vector)
    assert np.all(np.ldexp(fraction, bits) % 1 == 0), "more bits than the type has"
    assert database.require_collection("docs", dim=4).vector_dtype == dtype
    with pytest.raises(Invalid, match="storage"):
        database.require_collection("docs", dtypes="int8")


def test_numbers_beyond_a_type_are_refused(database):
    docs = database.require_collection("docs", dim=2, dtypes=np.int8)
    docs.add(ids=[1], vectors=[[-128, 127]])
    with pytest.raises(Invalid, match="row 1 is 128, i8 holds -128 to 127"):
        docs.add(ids=[2, 3], vectors=[[1, 2], [3, 128]])
    assert docs.shape[0] == 1


def test_bits_are_given_as_they_come(database):
    bits = np.random.default_rng(5).random((40, 43)) > 0.5
    packed = np.packbits(bits, axis=-1)
    docs = database.require_collection("docs", dtypes="bit", default_index="FLAT-HAMMING")
    docs.add(ids=list(range(20)), vectors=bits[:20])
    docs.upsert(ids=list(range(20, 30)), vectors=packed[20:30])
    docs.add(vectors=packed[30:].astype(np.uint8))
    assert docs.vector_dtype == "bit"
    assert database.require_collection("docs", dtypes=bool).shape == (40, 43)
    assert np.array_equal(docs.get(list(range(40))).vectors, bits)
    expected = (bits != bits[7]).sum(axis=1)
    for query in (bits[7], packed[7], bits[7].astype(np.uint8), bits[7].tolist()):
        found = docs.search(np.float32(query) if isinstance(query, list) else query, k=40)
        assert np.array_equal(found.distances, np.sort(expected))
        assert np.array_equal(expected[found.ids], found.distances)
    assert docs.batch_search(packed[:3], k=1)[2].ids[0] == 2
    assert len(docs.search_range(packed[7], 0)) == 1
    with docs.insert_session() as session:
        session.add(ids=[100], vectors=packed[0])
    assert docs.get(100).vectors[0].tolist() == bits[0].tolist()
    with pytest.raises(Invalid, match="component 0 of row 0 is 2, bit holds 0 to 1"):
        docs.add(ids=[101], vectors=[[2] * 43])
    with pytest.raises(Invalid, match="component 1 of row 0 is -1, bit holds 0 to 1"):
        docs.add(ids=[101], vectors=[[1, -1] + [0] * 41])


def test_options_are_checked(database):
    with pytest.raises(Invalid, match="dtypes"):
        database.require_collection("docs", dim=4, dtypes="float8")
    for dim in (-1, 32_769):
        with pytest.raises(ValueError, match="dim"):
            database.require_collection("docs", dim=dim)
    with pytest.raises(TypeError, match="dim"):
        database.require_collection("docs", dim=4.0)
    assert database.show_collections() == []
    assert database.require_collection("any", dtypes=np.float32).vector_dtype == "float32"
