# SPDX-License-Identifier: Apache-2.0
"""Calls that are made again with the id of their request are applied once."""

import uuid

import lynse
import numpy as np
import pytest
from lynse.errors import Invalid


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "data")


def _docs(client):
    return client.create_database("notes").require_collection("docs", dim=2)


def test_each_write_is_applied_once(path):
    ids = [uuid.uuid4() for _ in range(4)]
    vectors = np.ones((3, 2), dtype=np.float32)

    def write(docs):
        given = docs.add(vectors=vectors, request_id=ids[0])
        docs.upsert(["a"], vectors=vectors[:1], fields=[{"n": 1}], request_id=ids[1].bytes)
        gone = docs.delete([given[0]], request_id=ids[2])
        docs.restore([given[0]], request_id=ids[3])
        return given, gone

    with lynse.VectorDBClient(path) as client:
        docs = _docs(client)
        first = write(docs)
        assert first == ([0, 1, 2], 1)
        assert write(docs) == first
        assert docs.shape == (4, 2)
    with lynse.VectorDBClient(path) as client:
        docs = _docs(client)
        assert write(docs) == first
        assert docs.shape == (4, 2)


def test_a_filter_deletes_once(path):
    one = uuid.uuid4()
    with lynse.VectorDBClient(path) as client:
        docs = _docs(client)
        docs.upsert([1], vectors=[[1, 2]], fields=[{"n": 1}])
        assert docs.delete(where="n = 1", request_id=one) == 1
        docs.upsert([2], vectors=[[1, 2]], fields=[{"n": 1}])
        assert docs.delete(where="n = 1", request_id=one) == 1
        assert docs.is_id_exists(2)


def test_groups_of_one_call_have_ids_of_their_own(path):
    one = uuid.uuid4()
    vectors = np.zeros((100_001, 2), dtype=np.float32)
    with lynse.VectorDBClient(path) as client:
        docs = _docs(client)
        given = docs.add(vectors=vectors, request_id=one)
        assert docs.add(vectors=vectors, request_id=one) == given
        assert docs.shape == (100_001, 2)


def test_what_is_no_id_is_refused(path):
    with lynse.VectorDBClient(path) as client:
        docs = _docs(client)
        with pytest.raises(TypeError):
            docs.add(vectors=[[1, 2]], request_id="0" * 32)
        for bad in (b"", b"1" * 15, bytes(16)):
            with pytest.raises(Invalid):
                docs.delete([1], request_id=bad)
        docs.upsert([1], vectors=[[1, 2]], request_id=b"1" * 16)
        with pytest.raises(Invalid, match="request_id"):
            docs.upsert([1], vectors=[[3, 4]], request_id=b"1" * 16)
