# SPDX-License-Identifier: Apache-2.0
"""Searches agree with the arithmetic of numpy."""

import numpy as np
import pytest

DIM = 24
COUNT = 3000


def scores(metric, vectors, query):
    vectors, query = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "IP":
        return vectors @ query
    if metric == "L2":
        return ((vectors - query) ** 2).sum(axis=1)
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    return 1 - vectors @ query / norms


def expected(metric, vectors, query, k):
    values = scores(metric, vectors, query)
    order = np.lexsort((np.arange(len(values)), -values if metric == "IP" else values))[:k]
    return order, values[order]


@pytest.fixture(params=["IP", "L2", "COS"])
def filled(request, database, random):
    """(metric, collection, vectors); a part is in a segment, a part in the tail."""
    collection = database.require_collection(
        "docs", dim=DIM, default_index=f"flat-{request.param.lower()}"
    )
    vectors = random.standard_normal((COUNT, DIM)).astype(np.float32)
    half = COUNT // 2
    collection.add(ids=np.arange(half), vectors=vectors[:half])
    collection.flush()
    collection.add(ids=np.arange(half, COUNT), vectors=vectors[half:])
    return request.param, collection, vectors


def test_the_nearest_are_found(filled, random):
    metric, collection, vectors = filled
    query = random.standard_normal(DIM).astype(np.float32)
    found = collection.search(query, k=25)
    ids, values = expected(metric, vectors, query, 25)
    assert found.ids.tolist() == ids.tolist()
    np.testing.assert_allclose(found.distances, values, rtol=1e-4, atol=1e-4)
    assert found.distance_metric == {"COS": "Cosine"}.get(metric, metric)
    assert found.index_type == "Flat"
    assert found.k == 25


def test_a_batch_is_its_searches(filled, random):
    _, collection, _ = filled
    queries = random.standard_normal((7, DIM)).astype(np.float32)
    batch = collection.batch_search(queries, k=5)
    assert batch == [collection.search(query, k=5) for query in queries]
    assert collection.batch_search(np.empty((0, DIM))) == []


def test_a_range_has_all_within(filled, random):
    metric, collection, vectors = filled
    query = random.standard_normal(DIM).astype(np.float32)
    ids, values = expected(metric, vectors, query, 40)
    threshold = float(values[-1] + values[-2]) / 2
    found = collection.search_range(query, threshold)
    assert found.ids.tolist() == ids[:-1].tolist()
    assert collection.search_range(query, threshold, max_results=3).ids.tolist() == ids[:3].tolist()
    assert len(collection.search_range(query, threshold, max_results=0)) == 0


def test_fewer_than_k_when_there_are_fewer(collection):
    assert len(collection.search([1, 0, 0, 0])) == 0
    collection.add(ids=[2, 1], vectors=np.ones((2, 4)))
    found = collection.search([1, 0, 0, 0], k=100_000)
    assert found.ids.tolist() == [1, 2]  # a tie is ordered by id
    assert found.k == 100_000


def test_results_outlive_the_client(client):
    collection = client.create_collection("notes", "docs", dim=4)
    collection.add(ids=["a", "b"], vectors=np.eye(2, 4), fields=[{"n": 1}, {"n": 2}])
    found = collection.search([1, 0, 0, 0], k=2, return_fields=True)
    data = collection.head()
    client.close()
    del collection
    assert found.to_list()[0] == {"id": "a", "distance": 1.0, "n": 1}
    assert data.vectors.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]


def test_the_metric_follows_the_index(collection):
    assert collection.index_mode is None
    collection.add(ids=[1, 2], vectors=[[1, 0, 0, 0], [3, 0, 0, 0]])
    assert collection.index_mode == "FLAT-IP"
    assert collection.search([1, 0, 0, 0]).ids.tolist() == [2, 1]
    assert collection.build_index("FLAT-L2") == {"status": "success"}
    assert collection.index_mode == "FLAT-L2"
    assert collection.search([1, 0, 0, 0]).ids.tolist() == [1, 2]
    collection.build_index("flat-cosine", n_clusters=5)
    assert collection.search([1, 0, 0, 0]).distances.tolist() == [0, 0]
    collection.remove_index()
    assert collection.index_mode is None
    assert collection.stats()["index_mode"] == "none"
    assert len(collection.search([1, 0, 0, 0])) == 2


def test_an_index_by_default_or_none(database):
    plain = database.require_collection("plain", dim=2, default_index=None)
    plain.add(ids=1, vectors=[1, 2])
    assert plain.index_mode is None
    for index, said in (("FLAT-XY", "combination 'FLAT-XY'"), ("FLAT", "no metric"), ("X", "X")):
        with pytest.raises(ValueError, match=said):
            database.require_collection("graph", dim=2, default_index=index)
    assert database.show_collections() == ["plain"]
    with pytest.raises(ValueError, match="build_index"):
        database.require_collection("plain", dim=2, default_index="FLAT-L2")
    again = database.require_collection("plain", dim=2)
    again.add(ids=2, vectors=[1, 2])
    assert again.search([1, 2]).distance_metric == "IP"
    again.build_index("FLAT-L2")
    for index in ("FLAT-L2", "flat-l2", "FLAT-IP", None):  # FLAT-IP is what stands for nothing
        once_more = database.require_collection("plain", dim=2, default_index=index)
        assert once_more.index_mode == "FLAT-L2"
    renewed = database.require_collection(
        "plain", dim=3, drop_if_exists=True, default_index="FLAT-COS"
    )
    renewed.add(ids=1, vectors=[1, 2, 3])
    assert renewed.index_mode == "FLAT-COS"


def test_an_index_says_how_far_it_is(collection):
    status = collection.index_status()
    assert (status["index_mode"], status["params"], status["is_ready"]) == (None, {}, False)
    collection.add(ids=[1, 2], vectors=[[1, 0, 0, 0], [3, 0, 0, 0]])
    collection.flush()
    collection.build_index("auto-cosine", wait=False, m=None)
    status = collection.index_status()
    assert status == {
        "index_mode": "FLAT-COS", "is_auto": True, "params": {}, "progress": 1,
        "indexed_segment_count": 1, "segment_count": 1, "is_ready": True, "failure": None,
        "recall_measured": None, "recall_query_count": 0, "recall_measured_at": None,
    }  # fmt: skip
    assert collection.build_index("default", n_clusters=5, m=np.int64(16), alpha=1.2)
    assert collection.index_mode == "FLAT-IP"
    assert not collection.index_status()["is_auto"]


@pytest.mark.parametrize(
    "options",
    [
        {"nprobe": None}, {"nprobe": 0}, {"nprobe": 10}, {"ef": np.int32(100)}, {"beam": 1 << 20},
        {"oversample": 2.5}, {"exact": True}, {"nprobe": 50, "ef": 50},
    ],
)  # fmt: skip
def test_how_hard_an_index_looks(collection, options):
    collection.add(ids=[1, 2, 3], vectors=[[1, 0, 0, 0], [3, 0, 0, 0], [2, 0, 0, 0]])
    query = [1, 0, 0, 0]
    assert collection.search(query, k=2, **options).ids.tolist() == [2, 3]
    assert collection.batch_search([query], k=1, **options)[0].ids.tolist() == [2]
    assert collection.search_range(query, 2.5, **options).ids.tolist() == [2]
    assert collection.search(query, k=1, approx=True, eps=0.5).distances.tolist() == [3]


ROWS = [[4, 0, 0, 0], [3, 0, 0, 0], [2, 0, 0, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("reply", "ids", "first_score"),
    [
        (lambda items: [30, 20], [30, 20, 10, 40], 2.0),
        (lambda items: [(40, 0.9), (10, 0.1)], [40, 10, 20, 30], 0.9),
        (lambda items: [{"id": 20, "score": 7}, {"id": 30, "score": 8}], [30, 20, 10, 40], 8.0),
        (lambda items: {20: 0.5, 40: 0.75}, [40, 20, 10, 30], 0.75),
        (lambda items: {"ids": [40], "scores": [5]}, [40, 10, 20, 30], 5.0),
        (lambda items: ([40, 30], [1, 2]), [30, 40, 10, 20], 2.0),
        (lambda items: np.array([0.1, 0.2, 0.3, 0.4]), [40, 30, 20, 10], 0.4),
        (lambda items: [0.1, 0.2, 0.3, 0.0], [30, 20, 10, 40], 0.3),
        (lambda items: [], [10, 20, 30, 40], 4.0),
    ],
)
def test_rerankers_may_answer_in_many_forms(collection, reply, ids, first_score):
    collection.add(ids=[10, 20, 30, 40], vectors=ROWS)
    found = collection.search([1, 0, 0, 0], reranker=lambda asked: reply(asked["items"]))
    assert found.ids.tolist() == ids
    assert found.distances[0] == pytest.approx(first_score)


def test_a_reranker_sees_the_query_and_the_fields(collection):
    collection.add(ids=["a", "b"], vectors=ROWS[:2], fields=[{"n": 1}, {"n": 2}])
    seen = []

    def reranker(asked):
        seen.append(asked)
        return [item["id"] for item in asked["items"]][::-1]

    found = collection.search([1, 0, 0, 0], reranker=reranker, rerank_k=1, rerank_with_fields=True)
    assert found.ids.tolist() == ["b"]
    assert found.fields == []
    assert seen[0]["query"]["type"] == "vector"
    assert seen[0]["items"][0] == {"id": "a", "score": 4.0, "field": {"n": 1}}
    collection.batch_search(ROWS, reranker=reranker)
    assert len(seen) == 5
    assert seen[1]["items"][0]["field"] is None


def test_a_reranker_that_answers_nonsense(collection):
    collection.add(ids=[1, 2], vectors=ROWS[:2])
    for reply in ([99], [0.5], ([1], [1, 2])):
        with pytest.raises(ValueError, match="reranker"):
            collection.search([1, 0, 0, 0], reranker=lambda asked, reply=reply: reply)
    with pytest.raises(TypeError, match="reranker"):
        collection.search([1, 0, 0, 0], reranker=lambda asked: "ids")


def test_a_threshold_may_be_infinite(collection):
    collection.add(ids=[1, 2], vectors=[[1, 0, 0, 0], [3, 0, 0, 0]])
    assert collection.search_range([1, 0, 0, 0], float("-inf")).ids.tolist() == [2, 1]
    assert len(collection.search_range([1, 0, 0, 0], float("inf"))) == 0
