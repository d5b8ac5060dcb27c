# SPDX-License-Identifier: Apache-2.0
"""A ResultView needs no engine: columns, rows, conversions."""

import json

import numpy as np
import pytest
from lynse import ResultView
from lynse.result_view import _parse_index_mode


def found(**changes):
    arguments = {
        "ids": [3, 1],
        "distances": [0.5, 0.25],
        "fields": [{"b": 1, "a": "x"}, {"a": "y"}],
        "k": 5,
        "distance": "L2",
        "index": "Flat",
    }
    return ResultView(**{**arguments, **changes})


def test_properties():
    view = found()
    assert view.ids.dtype == np.int64
    assert view.distances.dtype == np.float32
    assert (view.k, view.distance_metric, view.index_type, view.result_type) == (
        5, "L2", "Flat", "search",
    )  # fmt: skip
    assert view.vectors is None
    assert len(view) == 2


def test_ids_are_objects_as_soon_as_one_is_text():
    assert found(ids=[3, "a"]).ids.tolist() == [3, "a"]
    assert found(ids=[3, "a"]).ids.dtype == object
    assert found(ids=[2**63, 1]).ids.tolist() == [2**63, 1]


def test_columns_by_name():
    view = found()
    assert view["ids"].tolist() == [3, 1]
    assert view["distance"] is view["distances"]
    assert view["measure"] == "L2"
    assert view["index"] == "Flat"
    assert view["n"] == 2
    assert view["k"] == 5
    assert view["fields"] == view.fields
    with pytest.raises(KeyError):
        view["title"]
    with pytest.raises(TypeError, match="to_list"):
        view[0]


def test_unpacking_by_type():
    ids, distances, fields = found()
    assert (ids.tolist(), distances.tolist(), len(fields)) == ([3, 1], [0.5, 0.25], 2)
    vectors, ids, fields = ResultView(ids=[1], vectors=[[1, 2]], fields=[{}], result_type="data")
    assert (vectors.shape, vectors.dtype, ids.tolist()) == ((1, 2), np.float32, [1])
    ids, fields = ResultView(ids=[1], fields=[{"a": 1}], result_type="query")
    assert fields == [{"a": 1}]
    (ids,) = ResultView(ids=[1], result_type="query")
    assert ids.tolist() == [1]


def test_to_numpy_has_the_arrays_alone():
    ids, distances = found().to_numpy()
    assert isinstance(ids, np.ndarray)
    assert isinstance(distances, np.ndarray)


def test_rows_have_the_fields_in_them():
    assert found().to_list() == [
        {"id": 3, "distance": 0.5, "b": 1, "a": "x"},
        {"id": 1, "distance": 0.25, "a": "y"},
    ]
    assert found(fields=[{"id": 9}, None]).to_list()[0]["id"] == 3


def test_columns_are_sorted():
    columns = found().to_dict()
    assert list(columns) == ["ids", "distances", "a", "b"]
    assert columns["b"] == [1, None]


def test_json_takes_the_arguments_of_dumps():
    assert json.loads(found().to_json())[1] == {"id": 1, "distance": 0.25, "a": "y"}
    assert "\n" in found().to_json(indent=2)
    with_bytes = found(fields=[{"raw": b"\x01\xff"}, {"at": np.float32(0.5)}])
    assert json.loads(with_bytes.to_json())[0]["raw"] == "01ff"


def test_equality_is_of_everything():
    assert found() == found()
    assert found() != found(distances=[0.5, 0.26])
    assert found() != found(fields=[{}, {}])
    assert found() != found(ids=[3, 2])
    assert found() != "ResultView"
    with pytest.raises(TypeError):
        hash(found())


def test_empty():
    view = ResultView()
    assert len(view) == 0
    assert not view
    assert view.ids.dtype == np.int64
    assert view.to_list() == []
    assert view.fields == []
    assert found()


def test_repr_is_short_and_rounded():
    text = repr(ResultView(ids=range(1000), distances=np.full(1000, 1 / 3)))
    assert text.startswith("ResultView(ids=[0, 1, 2, …")
    assert "0.3333" in text
    assert "0.33333" not in text
    assert len(text) < 120
    assert "a" in repr(found(ids=["a", 1]))


def test_pandas():
    pytest.importorskip("pandas")
    frame = found().to_pandas()
    assert frame.columns.tolist() == ["id", "distance", "a", "b"]
    assert frame["id"].tolist() == [3, 1]
    assert found(ids=["a", 1]).to_pandas()["id"].tolist() == ["a", 1]
    empty = ResultView().to_pandas()
    assert len(empty) == 0
    data = ResultView(ids=[1, 2], vectors=np.eye(2), result_type="data").to_pandas()
    assert data["vector"][0].tolist() == [1, 0]


def test_polars():
    pytest.importorskip("polars")
    assert found().to_polars()["id"].to_list() == [3, 1]


def test_arrow():
    pytest.importorskip("pyarrow")
    assert found().to_arrow()["id"].to_pylist() == [3, 1]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (None, ("Flat", "IP")),
        ("FLAT-IP", ("Flat", "IP")),
        ("flat-l2", ("Flat", "L2")),
        ("HNSW-COS-SQ8", ("HNSW", "Cosine")),
        ("IVF-COSINE", ("IVF", "Cosine")),
        ("SPANN-L2", ("SPANN", "L2")),
        ("DISKANN-IP-PQ16", ("DiskANN", "IP")),
        ("FLAT-JENSEN-SHANNON", ("Flat", "Jensen-Shannon")),
        ("FLAT-BRAY-CURTIS", ("Flat", "Bray-Curtis")),
        ("FLAT-WASSERSTEIN-1D", ("Flat", "Wasserstein-1D")),
        ("FLAT-HAMMING-BINARY", ("Flat", "Hamming")),
        ("HNSW-GEO", ("HNSW", "Haversine")),
        ("FLAT-SORENSEN-DICE-BINARY", ("Flat", "Dice")),
    ],
)
def test_index_modes_by_name(mode, expected):
    assert _parse_index_mode(mode) == expected
