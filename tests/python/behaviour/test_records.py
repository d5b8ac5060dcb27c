# SPDX-License-Identifier: Apache-2.0
"""Bad input gets the exception that LynseDB's programs expect, and leaves no trace."""

import numpy as np
import pytest
from lynse import LynseError
from lynse.errors import Dimension, DuplicateId, Invalid, Limit, Unsupported

ROW = [1.0, 2.0, 3.0, 4.0]
TWO = [ROW, ROW]
RECURSIVE = {}
RECURSIVE["itself"] = RECURSIVE


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"ids": True, "vectors": ROW}, TypeError, "bool"),
        ({"ids": [1, True], "vectors": TWO}, TypeError, "bool"),
        ({"ids": 1.5, "vectors": ROW}, TypeError, "float"),
        ({"ids": np.array([1.0, 2.0]), "vectors": TWO}, TypeError, "float"),
        ({"ids": np.array([True, False]), "vectors": TWO}, TypeError, "bool"),
        ({"ids": b"a", "vectors": ROW}, TypeError, "bytes"),
        ({"ids": {"a": 1}, "vectors": ROW}, TypeError, "dict"),
        ({"ids": [None], "vectors": ROW}, TypeError, "NoneType"),
        ({"ids": {1, 2}, "vectors": TWO}, TypeError, "order"),
        ({"ids": -1, "vectors": ROW}, ValueError, "non-negative"),
        ({"ids": [3, -4], "vectors": TWO}, ValueError, "-4"),
        ({"ids": np.array([3, -4]), "vectors": TWO}, ValueError, "-4"),
        ({"ids": 2**64 - 1, "vectors": ROW}, ValueError, "largest"),
        ({"ids": [2**64], "vectors": ROW}, ValueError, "largest"),
        ({"ids": "", "vectors": ROW}, ValueError, "empty"),
        ({"ids": [], "vectors": TWO}, ValueError, "ids cannot be empty"),
        ({"ids": [[1, 2]], "vectors": TWO}, TypeError, "list"),
        ({"ids": np.array([[1, 2]]), "vectors": TWO}, ValueError, "one-dimensional"),
        ({"ids": [5, 5], "vectors": TWO}, ValueError, "duplicate id 5"),
        ({"ids": np.array([5, 5]), "vectors": TWO}, ValueError, "duplicate id 5"),
        ({"ids": ["a", "a"], "vectors": TWO}, ValueError, "duplicate id 'a'"),
        ({"ids": "é" * 128, "vectors": ROW}, ValueError, "256 bytes"),
        ({"ids": "\ud800", "vectors": ROW}, ValueError, "UTF-8"),
        ({"ids": [1, 2], "vectors": ROW}, ValueError, "a single 1D vector can only be used"),
        ({"ids": [1, 2, 3], "vectors": TWO}, ValueError, r"vectors row count \(2\) must match ids"),
        ({"ids": [1], "vectors": TWO}, ValueError, r"must match ids length \(1\)"),
        ({"ids": [1, 2], "vectors": [[1.0], [1.0, 2.0]]}, ValueError, "all of one length"),
        ({"ids": [1, 2], "vectors": [ROW, ROW[:3]]}, ValueError, "row 1 is of 3, row 0 of 4"),
        ({"ids": [1, 2], "vectors": [ROW, None]}, ValueError, "row 1 is no row, row 0 of 4"),
        ({"ids": [1], "vectors": "abcd"}, TypeError, "not str"),
        ({"ids": [1], "vectors": {"x": ROW}}, TypeError, "not dict"),
        ({"ids": [1], "vectors": np.ma.array(ROW, mask=[0, 1, 0, 0])}, ValueError, "masked"),
        ({"ids": [1], "vectors": np.ones((1, 1, 4))}, ValueError, "dimensions"),
        ({"ids": [1], "vectors": np.ones((0, 4))}, ValueError, "vectors cannot be empty"),
        ({"ids": [1], "vectors": ["abcd"]}, TypeError, "numbers"),
        ({"ids": [1], "vectors": np.ones((1, 4), bool)}, TypeError, "bool"),
        ({"ids": [1], "vectors": np.ones((1, 4), complex)}, TypeError, "complex"),
        ({"ids": [1], "vectors": [[1, 2, 3, float("nan")]]}, ValueError, "nan"),
        ({"ids": [1], "vectors": [[1, 2, 3, float("inf")]]}, ValueError, "inf"),
        ({"ids": [1], "vectors": [[1, 2, 3, 1e300]]}, ValueError, r"1e\+300 is over 3.4"),
        ({"ids": [1], "vectors": [[1, 2, 3]]}, ValueError, "dimension"),
        ({"ids": [1, 2], "vectors": TWO, "fields": {"a": 1}}, ValueError, "list of dicts"),
        ({"ids": [1, 2], "vectors": TWO, "fields": [{}]}, ValueError, r"fields length \(1\)"),
        ({"ids": [1], "vectors": ROW, "fields": ["x"]}, TypeError, "dict or None"),
        ({"ids": [1], "vectors": ROW, "fields": "x"}, TypeError, "dict"),
        ({"ids": [1], "vectors": ROW, "fields": {"a": {1}}}, TypeError, "set"),
        ({"ids": [1], "vectors": ROW, "fields": {"a": 2**64}}, ValueError, "row 0"),
        ({"ids": [1], "vectors": ROW, "fields": {"a": RECURSIVE}}, ValueError, "limit of 32"),
        ({"ids": [1]}, ValueError, r"add\(\) requires vectors or documents"),
        ({"vectors": ROW, "fields": {"a": 1}}, ValueError, "give ids"),
        ({"vectors": ROW, "documents": "x"}, ValueError, "give ids"),
        ({"vectors": np.ones((0, 4))}, ValueError, "vectors cannot be empty"),
        ({"ids": 1, "vectors": ROW, "batch_size": 0}, ValueError, "batch_size"),
        ({"ids": 1, "vectors": ROW, "batch_size": 1.5}, ValueError, "batch_size"),
        ({"ids": 1, "vectors": ROW, "wire_dtype": "int8"}, ValueError, "wire_dtype"),
    ],
)
def test_add_refuses_what_is_wrong(collection, arguments, kind, text):
    with pytest.raises(kind, match=text):
        collection.add(**arguments)
    assert collection.shape == (0, 4)


def test_errors_are_ours_as_well(collection):
    with pytest.raises(DuplicateId):
        collection.add(ids=[1, 1], vectors=TWO)
    with pytest.raises(Limit):
        collection.add(ids="x" * 256, vectors=ROW)
    with pytest.raises(Dimension):
        collection.add(ids=1, vectors=[1.0])
    with pytest.raises(Invalid) as caught:
        collection.add(ids=-1, vectors=ROW)
    assert isinstance(caught.value, LynseError)
    assert caught.value.name == "INVALID"


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda c: c.search(), ValueError, "exactly one of vector or document"),
        (lambda c: c.search(ROW, document="x"), ValueError, "exactly one"),
        (lambda c: c.search(TWO), ValueError, "one vector"),
        (lambda c: c.search([1.0]), ValueError, "dimension 1, the collection has 4"),
        (lambda c: c.search([float("nan")] * 4), ValueError, "nan"),
        (lambda c: c.search(ROW, k=0), ValueError, "k must be at least 1"),
        (lambda c: c.search(ROW, k=100_001), ValueError, "100000"),
        (lambda c: c.search(ROW, k="ten"), TypeError, "k must be an integer"),
        (lambda c: c.search(ROW, where=5), ValueError, "where must be a string"),
        (lambda c: c.search(ROW, reranker="x"), TypeError, "callable"),
        (lambda c: c.search_range(ROW, "near"), TypeError, "threshold"),
        (lambda c: c.search_range(ROW, float("nan")), ValueError, "NaN"),
        (lambda c: c.search_range(ROW, None), TypeError, "threshold must be a number"),
        (lambda c: c.search_range(ROW, np.True_), TypeError, "threshold must be a number"),
        (lambda c: c.search_range(ROW, 10**400), ValueError, "threshold must be a number"),
        (lambda c: c.batch_search(None), TypeError, "vectors must be rows of numbers"),
        (lambda c: c.head(-1), ValueError, "n must be"),
        (lambda c: c.query(where=5), ValueError, "where must be a string"),
        (lambda c: c.count(5), ValueError, "where must be a string"),
        (lambda c: c.delete([1], where="a = 1"), ValueError, "ids or where, not both"),
        (lambda c: c.build_index("FLAT-IP", speed=1), ValueError, "unknown index build parameter"),
        (lambda c: c.build_index(7), TypeError, "index_mode"),
        (lambda c: c.build_index("FLAT"), ValueError, "names no metric"),
        (lambda c: c.build_index("FLAT-XY"), ValueError, "unsupported index/metric combination"),
        (lambda c: c.build_index("FLTA-L2"), ValueError, "did you mean 'FLAT-L2'"),
        (lambda c: c.build_index("FLAT-IP", m="16"), TypeError, "m must be a number"),
        (lambda c: c.build_index("FLAT-IP", m=True), TypeError, "m must be a number"),
        (lambda c: c.build_index("FLAT-IP", m=10**400), ValueError, "m is too large"),
        (lambda c: c.build_index("FLAT-IP", wait="no"), TypeError, "wait"),
        (lambda c: c.search(ROW, ef=-1), ValueError, "ef must be 0 or more"),
        (lambda c: c.search(ROW, nprobe=1 << 21), ValueError, "nprobe 2097152 is over the limit"),
        (lambda c: c.search(ROW, beam=1.5), TypeError, "beam must be an integer"),
        (lambda c: c.search(ROW, ef=50, nprobe=10), ValueError, "ef=50, but nprobe=10"),
        (lambda c: c.search(ROW, oversample=0.5), ValueError, "oversample must be 1..1000"),
        (lambda c: c.search(ROW, oversample=float("nan")), ValueError, "oversample"),
        (lambda c: c.search(ROW, exact="yes"), TypeError, "exact"),
        (lambda c: c.search(ROW, eps=float("inf")), ValueError, "eps must be finite"),
        (lambda c: c.is_id_exists(1.5), TypeError, "float"),
        (lambda c: c.delete(None), TypeError, "ids or where"),
    ],
)
def test_other_calls_refuse_what_is_wrong(collection, call, kind, text):
    collection.add(ids=[1, 2], vectors=TWO)
    with pytest.raises(kind, match=text):
        call(collection)
    assert collection.shape == (2, 4)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.search(document="text"),
        lambda c: c.add(ids=1, documents="text"),
        lambda c: c.search(ROW, vector_field="title"),
        lambda c: c.build_index("FLAT-IP", field_name="title"),
        lambda c: c.bm25_search("text"),
        lambda c: c.hybrid_search(ROW, "text"),
        lambda c: c.search_sparse({1: 1.0}),
        lambda c: c.snapshot_to("x"),
        lambda c: c.write_blob("key", b"value"),
        lambda c: c.compact(),
    ],
)
def test_what_comes_later_says_so(collection, call):
    with pytest.raises(Unsupported, match=r"later release|not there yet"):
        call(collection)
    with pytest.raises(NotImplementedError):
        call(collection)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "uint16", ">f4"])
def test_any_numeric_array_is_taken(collection, dtype):
    collection.add(ids=[1, 2], vectors=np.array([[1, 2, 3, 4], [5, 6, 7, 8]], dtype=dtype))
    assert collection.head().vectors.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_any_layout_is_taken(collection):
    wide = np.arange(16, dtype=np.float32).reshape(2, 8)
    collection.add(ids=[1, 2], vectors=wide[:, ::2])
    collection.add(ids=[3, 4], vectors=np.asfortranarray(wide[:, :4]))
    collection.add(ids=5, vectors=memoryview(np.ones(4, np.float32)))
    rows = collection.head().vectors
    assert rows[0].tolist() == [0, 2, 4, 6]
    assert rows[3].tolist() == [8, 9, 10, 11]


def test_pandas_columns_are_taken(collection):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": [10, 11], "text": ["a", "b"], "n": [1, 2]})
    frame["vector"] = [np.arange(4.0), np.ones(4)]
    given = collection.add(ids=frame["id"], vectors=frame["vector"], fields=frame[["text", "n"]])
    assert given == [10, 11]
    assert collection.query(filter_ids=11).fields == [{"text": "b", "n": 2}]
    collection.upsert(ids=frame["text"], vectors=frame["vector"])
    assert collection.is_id_exists("a")
