# SPDX-License-Identifier: Apache-2.0
"""Records: written, replaced, deleted, restored, read back."""

import pickle
import threading

import lynse
import numpy as np
import pytest
from lynse.errors import AlreadyExists, RecordNotFound, ShuttingDown

ROW = [1.0, 2.0, 3.0, 4.0]


def rows(count, dim=4):
    return np.arange(count * dim, dtype=np.float32).reshape(count, dim)


def test_scalar_in_scalar_out(collection):
    assert collection.add(ids=5, vectors=ROW) == 5
    assert collection.add(ids="five", vectors=ROW) == "five"
    assert collection.add(ids=[6], vectors=[ROW]) == [6]
    assert collection.upsert(ids=5, vectors=ROW) == 5
    assert collection.upsert(ids=np.array([5, 9]), vectors=rows(2)) == [5, 9]


def test_auto_ids_go_on_from_the_largest_ever_used(collection):
    assert collection.max_id == -1
    assert collection.add(vectors=rows(3)) == [0, 1, 2]
    assert collection.add(vectors=ROW) == 3
    collection.add(ids=100, vectors=ROW)
    collection.delete(100)
    assert collection.max_id == 100
    assert collection.add(vectors=rows(2)) == [101, 102]


def test_ids_over_2_to_the_63(collection):
    ids = [2**63, 2**64 - 2, 1]
    assert collection.add(ids=ids, vectors=np.eye(3, 4)) == ids
    assert collection.search([1, 0, 0, 0], k=1).ids.tolist() == [2**63]
    assert collection.search([1, 0, 0, 0], k=1).ids.dtype == np.uint64
    assert collection.max_id == 2**64 - 2
    assert sorted(collection.head().ids.tolist()) == sorted(ids)
    collection.delete(np.array([2**64 - 2], dtype=np.uint64))
    assert collection.list_deleted_ids() == [2**64 - 2]
    with pytest.raises(lynse.LynseError):
        collection.add(vectors=ROW)
    collection.add(ids=list(range(2, 200)), vectors=np.zeros((198, 4)))
    many = collection.search([1, 0, 0, 0], k=1000).ids
    assert sorted(many.tolist()) == [*range(1, 200), 2**63]


def test_integers_and_texts_are_different_ids(collection):
    ids = [5, "5", "x" * 255, "é"]
    collection.add(ids=ids, vectors=rows(4), fields=[{"n": i} for i in range(4)])
    assert collection.head().ids.tolist() == ids
    assert collection.query(filter_ids=["5"]).fields == [{"n": 1}]
    assert collection.query(filter_ids=5).fields == [{"n": 0}]
    collection.delete("5")
    assert collection.is_id_exists(5)
    assert not collection.is_id_exists("5")
    assert collection.list_deleted_ids() == ["5"]


def test_an_id_that_is_there_refuses_the_whole_call(collection):
    collection.add(ids=[1, 2], vectors=rows(2))
    with pytest.raises(RuntimeError, match="already exists") as caught:
        collection.add(ids=[3, 2], vectors=rows(2))
    assert isinstance(caught.value, AlreadyExists)
    assert caught.value.rows_applied == 0
    assert not collection.is_id_exists(3)


def test_upsert_keeps_fields_unless_given_others(collection):
    collection.add(ids=[1, 2], vectors=rows(2), fields=[{"a": 1}, {"a": 2}])
    collection.upsert(ids=[1, 3], vectors=np.ones((2, 4)))
    collection.upsert(ids=[2, 4], vectors=np.ones((2, 4)), fields=[None, {"a": 4}])
    found = collection.get([1, 2, 3, 4])
    assert found.fields == [{"a": 1}, {"a": 2}, {}, {"a": 4}]
    assert (found.vectors == 1).all()
    collection.upsert(ids=1, vectors=ROW, fields={})
    assert collection.get(1).fields == [{}]


def test_a_delete_of_nothing_in_particular_is_refused(collection):
    collection.add(vectors=[[1, 0, 0, 0]], ids=[1])
    with pytest.raises(TypeError, match="ids or where"):
        collection.delete()
    assert collection.count() == 1


def test_delete_and_restore(collection):
    collection.add(ids=[1, 2, 3], vectors=rows(3), fields=[{"n": i} for i in range(3)])
    assert collection.delete([2, 99]) == 1  # how many were there
    assert collection.list_deleted_ids() == [2]
    assert not collection.is_id_exists(2)
    assert collection.shape == (3, 4)
    assert collection.stats() == {
        "n_vectors": 3, "n_live": 2, "n_tombstoned": 1, "dimension": 4,
        "index_mode": "FLAT-IP", "max_id": 3,
    }  # fmt: skip
    assert 2 not in collection.search(ROW, k=10).ids
    assert collection.query(filter_ids=[1, 2]).ids.tolist() == [1]
    collection.restore([2, 1, 98])
    assert collection.get(2).fields == [{"n": 1}]
    assert collection.list_deleted_ids() == []
    collection.delete([])
    collection.delete([1, 1])
    assert collection.stats()["n_live"] == 2


def test_reads_by_id(collection):
    collection.add(ids=[1, "b", 3], vectors=rows(3), fields=[{"n": 1}, {"n": 2}, {"n": 3}])
    asked = collection.query(filter_ids=["b", 1])
    assert asked.result_type == "query"
    assert asked.ids.tolist() == ["b", 1]
    assert asked.fields == [{"n": 2}, {"n": 1}]
    assert collection.query(filter_ids=[3], return_ids_only=True).fields == []
    vectors, ids, fields = collection.query_vectors(filter_ids=[3])
    assert (vectors.tolist(), ids.tolist(), fields) == ([[8, 9, 10, 11]], [3], [{"n": 3}])
    assert collection.read_by_only_id("b").vectors.tolist() == [[4, 5, 6, 7]]
    assert collection.get([3, 77, 1]).ids.tolist() == [3, 1]
    assert collection.get(3, return_fields=False).fields == []
    assert collection.get(3, return_vectors=False).vectors is None


def test_an_id_that_never_was_is_an_error_of_a_query(collection):
    collection.add(ids=1, vectors=ROW)
    for call in (collection.query, collection.query_vectors):
        with pytest.raises(ValueError, match="does not exist") as caught:
            call(filter_ids=[1, 9])
        assert isinstance(caught.value, RecordNotFound)


def test_a_query_without_arguments_is_empty(collection):
    collection.add(ids=1, vectors=ROW)
    assert len(collection.query()) == 0
    assert len(collection.query(filter_ids=[])) == 0
    assert collection.query_vectors().vectors.shape == (0, 4)


def test_head_and_tail_are_in_order_of_writing(collection):
    collection.add(ids=[30, 10, 20], vectors=rows(3), fields=[{"n": i} for i in range(3)])
    collection.delete(10)
    collection.add(ids=5, vectors=ROW)
    assert collection.head(2).ids.tolist() == [30, 20]
    assert collection.tail(2).ids.tolist() == [20, 5]
    assert collection.tail(99).ids.tolist() == [30, 20, 5]
    assert collection.head(0).vectors.shape == (0, 4)
    assert collection.head().result_type == "data"
    assert collection.head(1).fields == [{"n": 0}]
    assert collection.head(1).vectors.tolist() == [[0, 1, 2, 3]]


def test_many_rows_come_back_in_pieces(collection):
    count = 20_000
    collection.add(ids=np.arange(count), vectors=rows(count))
    assert collection.head(count).ids.tolist() == list(range(count))
    assert collection.tail(9000).vectors[-1].tolist() == rows(count)[-1].tolist()
    collection.delete(np.arange(0, count, 2))
    assert collection.list_deleted_ids() == list(range(0, count, 2))


def test_a_call_over_100_000_rows_is_split(database):
    collection = database.require_collection("wide", dim=1)
    count = 100_001
    given = collection.add(vectors=np.ones((count, 1), np.float32))
    assert given == list(range(count))
    ids = [*range(count, 2 * count - 1), 0]
    with pytest.raises(AlreadyExists, match="first 100000 of 100001 rows") as caught:
        collection.add(ids=ids, vectors=np.ones((count, 1), np.float32))
    assert caught.value.rows_applied == 100_000
    assert collection.shape == (count + 100_000, 1)


def test_a_call_that_is_split_stores_nothing_of_bad_vectors(database):
    collection = database.require_collection("wide", dim=1)
    vectors = np.ones((100_001, 1), np.float32)
    vectors[-1] = np.nan
    with pytest.raises(ValueError, match="component 0 of row 100000 is nan") as caught:
        collection.add(vectors=vectors)
    assert caught.value.rows_applied == 0
    assert collection.shape == (0, 1)


def test_a_handle_says_that_it_cannot_be_pickled(client, database, collection):
    for handle in (client, database, collection):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            pickle.dumps(handle)


def test_the_dimension_may_come_from_the_first_vectors(database):
    collection = database.require_collection("any")
    assert collection.shape == (0, 0)
    collection.add(ids=1, vectors=[1.0, 2.0])
    assert collection.shape == (1, 2)
    with pytest.raises(ValueError, match="dimension"):
        collection.add(ids=2, vectors=[1.0])


def test_maintenance_changes_nothing_that_is_seen(collection):
    collection.add(ids=[1, "b"], vectors=rows(2), fields=[{"n": 1}, None])
    collection.delete("b")
    before = collection.search(ROW, return_fields=True)
    assert collection.flush()["status"] == "success"
    assert collection.checkpoint()["status"] == "success"
    assert collection.commit()["status"] == "Success"
    assert collection.search(ROW, return_fields=True) == before
    collection.restore("b")
    assert collection.is_id_exists("b")


def test_a_block_commits_and_leaves_the_collection_open(collection):
    with collection as same:
        same.add(ids=1, vectors=ROW)
    assert collection.is_id_exists(1)


def test_a_closed_collection_says_so(collection):
    collection.add(ids=1, vectors=ROW)
    collection.close()
    collection.close()
    for call in (collection.stats, collection.commit, lambda: collection.search(ROW)):
        with pytest.raises(ShuttingDown, match="this collection is closed"):
            call()
    assert collection.exists()
    assert "closed" in repr(collection)


def test_two_handles_see_the_same(database, collection):
    other = database.get_collection("docs")
    collection.add(ids=1, vectors=ROW)
    assert other.is_id_exists(1)
    collection.close()
    assert other.shape == (1, 4)


def test_threads_may_share_a_collection(collection):
    failures = []

    def work(first):
        try:
            for i in range(first, first + 50):
                collection.add(ids=i, vectors=ROW, fields={"n": i})
                assert collection.search(ROW, k=3, return_fields=True)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n * 1000,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert collection.shape == (200, 4)


def test_repr_tells_what_it_is(collection):
    collection.add(ids=1, vectors=ROW)
    assert repr(collection) == "<Collection 'notes/docs': 1 records × 4, FLAT-IP>"


def test_sessions_store_at_their_end(collection):
    buffer = np.zeros((2, 4), dtype=np.float32)
    with collection.insert_session() as session:
        assert session.add(ids=[1, 2], vectors=buffer, fields=[{"n": 1}, {"n": 2}]) == [1, 2]
        buffer[:] = 9
        assert session.add(ids="c", vectors=ROW) == "c"
        assert session.add(vectors=ROW) is None
        assert session.shape == (0, 4)
    assert collection.get([1, 2, "c"]).fields == [{"n": 1}, {"n": 2}, {}]
    assert (collection.get(1).vectors == 0).all()
    assert collection.is_id_exists(3)


def test_a_session_that_fails_stores_nothing(collection):
    with pytest.raises(RuntimeError, match="stop"), collection.insert_session() as session:
        session.add(ids=1, vectors=ROW)
        raise RuntimeError("stop")
    with pytest.raises(ValueError), collection.insert_session() as session:
        session.add(ids=1, vectors=ROW)
        session.add(ids=[2, 2], vectors=[ROW, ROW])
    assert collection.shape == (0, 4)
