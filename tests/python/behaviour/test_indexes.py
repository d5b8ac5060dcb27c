# SPDX-License-Identifier: Apache-2.0
"""Indexes that are built: what they are asked for, how far they are, what they find."""

import time

import lynse
import numpy as np
import pytest

DIM = 16
COUNT = 3000
MODES = [
    ("HNSW-L2", {"m": 12, "ef_construction": 80}, "HNSW"),
    ("HNSW-IP", {}, "HNSW"),
    ("IVF-COS", {"n_clusters": 32, "nprobe": 12}, "IVF"),
    ("IVF-L2-RABITQ4", {"n_clusters": 16}, "IVF"),
    ("FLAT-COS-SQ8", {}, "Flat"),
    ("FLAT-L2-RABITQ", {}, "Flat"),
    ("FLAT-IP-POLARVEC4", {}, "Flat"),
    ("FLAT-COS-SIGN", {}, "Flat"),
    ("FLAT-COS-PQ16", {}, "Flat"),
    ("IVF-L2-PQFS16", {"n_clusters": 8}, "IVF"),
]


@pytest.fixture
def filled(database, random):
    """A collection with rows in a segment and rows that are in none yet; groups are near."""
    collection = database.require_collection("docs", dim=DIM, default_index=None)
    centres = random.standard_normal((40, DIM))
    rows = centres[random.integers(40, size=COUNT)] + 0.3 * random.standard_normal((COUNT, DIM))
    rows = rows.astype(np.float32)
    half = COUNT // 2
    fields = [{"half": int(i >= half), "rare": int(i % 100 == 0)} for i in range(COUNT)]
    collection.add(ids=np.arange(half), vectors=rows[:half], fields=fields[:half])
    collection.flush()
    collection.add(ids=np.arange(half, COUNT), vectors=rows[half:], fields=fields[half:])
    return collection, rows


def recall(collection, queries, k, **options):
    exact = collection.batch_search(queries, k=k, exact=True)
    found = collection.batch_search(queries, k=k, **options)
    same = [len(set(a.ids.tolist()) & set(b.ids.tolist())) for a, b in zip(exact, found)]
    assert all(len(hits) == k for hits in found)
    return sum(same) / (k * len(queries))


@pytest.mark.parametrize(("mode", "params", "family"), MODES)
def test_an_index_is_built_and_finds(filled, random, mode, params, family):
    collection, rows = filled
    assert collection.build_index(mode.lower(), **params) == {"status": "success"}
    status = collection.index_status()
    assert (status["index_mode"], status["is_ready"], status["progress"]) == (mode, True, 1)
    assert {name: status["params"][name] for name in params} == params
    assert {type(status["params"][name]) for name in params} <= {int}
    queries = rows[random.integers(COUNT, size=20)] + np.float32(0.05)
    assert recall(collection, queries, 10) >= 0.85
    assert recall(collection, queries, 10, ef=400, oversample=20) >= 0.99
    one = collection.search(queries[0], k=10)
    assert one.index_type == family
    assert one == collection.batch_search(queries[:1], k=10)[0]
    # The scores are those of the vectors, whatever walked.
    exact = collection.search(queries[0], k=10, exact=True)
    of_exact = dict(zip(exact.ids.tolist(), exact.distances.tolist()))
    for id_, score in zip(one.ids.tolist(), one.distances.tolist()):
        assert of_exact.get(id_, score) == score


@pytest.mark.parametrize("mode", ["HNSW-HAMMING", "HNSW-JACCARD", "HNSW-DICE", "IVF-HAMMING"])
@pytest.mark.parametrize("dtype", ["bit", "float32"])
def test_bits_are_found_through_an_index(database, random, dtype, mode):
    docs = database.require_collection("docs", dim=200, dtypes=dtype, default_index=None)
    centres = random.random((40, 200)) < 0.4
    rows = centres[random.integers(40, size=COUNT)] ^ (random.random((COUNT, 200)) < 0.05)
    docs.add(ids=np.arange(COUNT), vectors=rows.astype(np.float32))
    docs.flush()
    docs.build_index(mode)
    assert docs.index_status()["is_ready"]
    queries = (rows[random.integers(COUNT, size=20)] ^ (random.random((20, 200)) < 0.02)) * 1.0
    exact = docs.batch_search(queries, k=10, exact=True)
    found = docs.batch_search(queries, k=10, ef=100)
    # Many are equally far: as near, whichever they are.
    as_near = [np.sum(b.distances <= a.distances[-1]) for a, b in zip(exact, found)]
    assert np.mean(as_near) >= 9


@pytest.mark.parametrize("mode", ["HNSW-L2", "IVF-L2", "FLAT-L2-SQ8"])
def test_what_comes_later_is_found_at_once(filled, mode):
    collection, rows = filled
    collection.build_index(mode)
    collection.upsert(ids=[7, "new"], vectors=np.stack([rows[0] + 9, rows[1] - 9]))
    assert collection.search(rows[0] + 9, k=1).ids.tolist() == [7]
    assert collection.search(rows[1] - 9, k=1).ids.tolist() == ["new"]
    collection.delete(["new"])
    assert "new" not in collection.search(rows[1] - 9, k=10).ids.tolist()
    near = collection.search(rows[7], k=COUNT + 5, ef=4000).ids.tolist()
    assert len(near) == len(set(near)) == COUNT  # every record, each once


@pytest.mark.parametrize("mode", ["HNSW-COS", "IVF-COS", "FLAT-COS-RABITQ"])
def test_a_filter_costs_no_answer(filled, mode):
    collection, rows = filled
    collection.build_index(mode)
    for where, count in (("half = 1", 25), ("rare = 1", 25), ("rare = 1 AND half = 0", 15)):
        found = collection.search(rows[3], k=25, where=where)
        assert len(found) == count
        exact = collection.search(rows[3], k=25, where=where, exact=True)
        assert len(set(found.ids.tolist()) & set(exact.ids.tolist())) >= 0.8 * count


@pytest.mark.parametrize("mode", ["HNSW-L2", "IVF-L2", "FLAT-L2-SQ8"])
def test_a_range_is_what_lies_in_it(filled, mode):
    collection, rows = filled
    collection.build_index(mode)
    limit = float(collection.search(rows[5], k=40, exact=True).distances[-1])
    exact = collection.search_range(rows[5], limit, exact=True)
    found = collection.search_range(rows[5], limit, ef=400)
    assert len(exact) >= 40
    assert set(found.ids.tolist()) <= set(exact.ids.tolist())
    assert len(found) >= 0.95 * len(exact)
    exact = collection.search_range(rows[5], limit, where="half = 0", exact=True)
    found = collection.search_range(rows[5], limit, where="half = 0", ef=400)
    assert 0 < len(exact) < 40
    assert set(found.ids.tolist()) <= set(exact.ids.tolist())
    assert len(found) >= 0.9 * len(exact)
    assert max(found.ids) < COUNT // 2


def test_a_sound_collection_is_told_what_its_indexes_find(filled):
    collection, _ = filled
    collection.build_index("HNSW-L2")
    assert collection.verify() == {
        "level": "full", "is_sound": True, "findings": [], "indexes": []
    }  # fmt: skip
    report = collection.verify(level="deep")
    assert (report["level"], report["is_sound"], report["findings"]) == ("deep", True, [])
    assert report["indexes"]
    for line in report["indexes"]:
        assert line.startswith("HNSW-L2 of ")
        assert float(line.split("finds ")[1].split(" %")[0]) > 90
    with pytest.raises(ValueError, match="quick, full, deep"):
        collection.verify("deeper")


def test_recall_is_measured_while_nobody_searches(database, random):
    collection = database.require_collection("many", dim=DIM, default_index=None)
    rows = random.standard_normal((10_000, DIM)).astype(np.float32)
    collection.add(ids=np.arange(len(rows)), vectors=rows)
    collection.build_index("HNSW-L2")
    status = collection.index_status()
    assert (status["recall_measured"], status["recall_query_count"]) == (None, 0)
    for query in rows[:200]:
        collection.search(query, k=5, ef=200)
    end = time.monotonic() + 60
    while not (status := collection.index_status())["recall_query_count"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert 0.9 < status["recall_measured"] <= 1
    assert abs(status["recall_measured_at"] - time.time()) < 120


def test_an_index_can_be_built_in_the_background_and_removed(filled):
    collection, rows = filled
    collection.build_index("HNSW-L2", wait=False, ef_construction=300)
    assert collection.index_mode == "HNSW-L2"
    assert collection.search(rows[9], k=1).ids.tolist() == [9]  # exact until it is there
    end = time.monotonic() + 60
    while not collection.index_status()["is_ready"]:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert collection.search(rows[9], k=1).ids.tolist() == [9]
    collection.build_index("IVF-L2")
    assert collection.index_status()["params"].keys() == {"n_clusters", "nprobe"}
    collection.remove_index()
    assert collection.index_status()["index_mode"] is None
    assert collection.search(rows[9], k=1).index_type == "Flat"


def test_a_default_index_is_built_with_the_first_rows(database):
    docs = database.require_collection("graph", dim=3, default_index="hnsw-cosine")
    assert docs.index_mode is None
    docs.add(ids=[1, 2], vectors=[[1, 0, 0], [0, 1, 0]])
    assert docs.index_mode == "HNSW-COS"
    found = docs.search([1, 0.5, 0])
    assert (found.ids.tolist(), found.index_type) == ([1, 2], "HNSW")
    with pytest.raises(ValueError, match="build_index"):
        database.require_collection("graph", dim=3, default_index="HNSW-L2")


@pytest.mark.parametrize(
    ("mode", "params", "text"),
    [
        ("HNSW-L2", {"m": 1}, "m: 1, allowed are 2 to"),
        ("HNSW-L2", {"m": 16.5}, "m: 16.5 is no whole number"),
        ("HNSW-L2", {"ef_constuction": 99}, "did you mean 'ef_construction'"),
        ("HNSW-L2", {"n_clusters": 99}, "unknown index build parameter 'n_clusters'"),
        ("HNSW-L2", {"ef_search": float("nan")}, "ef_search"),
        ("IVF-L2", {"n_clusters": 4, "n_centroids": 5}, "n_clusters: given as [45] and as [45]"),
        ("IVF-L2", {"nprobe": 0}, "nprobe: 0, allowed are 1 to"),
        ("FLAT-L2-RABITQ9", {}, "RABITQ: 9, allowed are 1 to 8"),
        ("FLAT-L2-SQ7", {}, "did you mean 'FLAT-L2-SQ"),
        ("IVF-CANBERRA", {}, "unsupported index/metric combination 'IVF-CANBERRA'"),
        ("HSNW-L2", {}, "unknown index type 'HSNW-L2'; did you mean 'HNSW-L2'"),
        ("HNSW", {}, "names no metric"),
    ],
)
def test_what_makes_no_sense_says_what_does(collection, mode, params, text):
    collection.add(ids=1, vectors=[1, 2, 3, 4])
    before = collection.index_status()
    with pytest.raises(ValueError, match=text):
        collection.build_index(mode, **params)
    assert collection.index_status() == before


@pytest.mark.parametrize("mode", ["HNSW-L2", "IVF-L2", "FLAT-L2-SQ8"])
def test_a_score_ranks_what_an_index_collects(filled, mode):
    collection, rows = filled
    collection.build_index(mode)
    source = """function(n, distance, field, out)
      for i = 0, n - 1 do out[i] = distance[i] - 2 * field.half[i] end
    end"""
    all_ = collection.search(rows[3], k=10, score=source)
    for score_mode in ("collect", "beam"):
        found = collection.search(rows[3], k=10, score=source, score_mode=score_mode)
        assert len(set(found.ids.tolist()) & set(all_.ids.tolist())) >= 8
        wide = collection.search(rows[3], k=10, score=source, score_mode=score_mode, oversample=300)
        assert wide == all_
        two = collection.batch_search(rows[3:5], k=10, score=source, score_mode=score_mode)
        assert len(two) == 2 and len(two[1]) == 10
    # Of a hundred records one is left, and there are as many as are wanted.
    one_in_100 = """function(n, distance, field, out)
      for i = 0, n - 1 do if field.rare[i] == 0 then out[i] = 0 / 0 end end
    end"""
    found = collection.search(rows[3], k=12, score=one_in_100, score_mode="collect")
    assert found.ids.tolist() == collection.search(rows[3], k=12, score=one_in_100).ids.tolist()
    with pytest.raises(ValueError, match="score_mode"):
        collection.search(rows[3], score=source, score_mode="some")
    with pytest.raises(lynse.errors.Hook, match="score"):
        collection.search(rows[3], score="function() error('no') end", score_mode="beam")


@pytest.mark.parametrize("mode", ["HNSW-L2", "IVF-L2", "FLAT-L2-SQ8"])
def test_pages_are_one_search_in_pieces(filled, mode):
    collection, rows = filled
    collection.build_index(mode)
    whole = collection.search(rows[9], k=100, exact=True)
    pages = []
    for page in collection.search_pages(rows[9], k=30, exact=True):
        pages += page.ids.tolist()
        if len(pages) >= 100:
            break
    assert pages[:100] == whole.ids.tolist()
    where = "rare = 1 AND half = 0"
    found = [i for page in collection.search_pages(rows[9], k=4, where=where) for i in page.ids]
    assert sorted(found) == list(range(0, COUNT // 2, 100))
    assert len(list(collection.search_pages(rows[9], k=10, where="half = 7"))) == 0


@pytest.mark.parametrize("mode", ["FLAT-L2", "FLAT-L2-SQ8", "HNSW-L2", "IVF-L2", "IVF-L2-SQ8"])
def test_what_eps_leaves_out_is_hardly_nearer(filled, random, mode):
    collection, rows = filled
    collection.build_index(mode)
    for i in random.integers(COUNT, size=20):
        query = rows[i] + np.float32(0.1)
        exact = collection.search(query, k=10, exact=True).distances
        near = collection.search(query, k=10, approx=True, eps=0.5, ef=1000).distances
        assert len(near) == 10
        if mode != "HNSW-L2":
            assert (near <= exact + np.float32(0.5)).all()
        assert (near >= exact - np.float32(1e-5)).all()
        assert collection.search(rows[i], k=10, approx=True, eps=0.5, exact=True).ids[0] == i
