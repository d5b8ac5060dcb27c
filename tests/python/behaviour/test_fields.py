# SPDX-License-Identifier: Apache-2.0
"""Fields come back with the values and the types that went in."""

import datetime

import numpy as np
import pytest
from lynse.errors import LynseError

ROW = [1.0, 2.0, 3.0, 4.0]
UTC = datetime.timezone.utc


def stored(collection, fields):
    collection.upsert(ids=1, vectors=ROW, fields=fields)
    return collection.query(filter_ids=1).fields[0]


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, -1, 2**63, 2**64 - 1, -(2**63), 0.1, 1e308, "", "text", "é漢字🙂",
        b"", b"\x00\xff", [], [1, [2, [3]]], {}, {"a": {"b": [None]}},
        datetime.datetime(2026, 11, 22, 12, 30, 1, 250_000, tzinfo=UTC),
        datetime.datetime(1960, 1, 1, tzinfo=UTC),
    ],
)  # fmt: skip
def test_values_keep_their_type(collection, value):
    back = stored(collection, {"v": value})["v"]
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int32(5), 5),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.arange(3), [0, 1, 2]),
        ((1, 2), [1, 2]),
        (np.datetime64("2026-11-22T12:30:00"), datetime.datetime(2026, 11, 22, 12, 30, tzinfo=UTC)),
        (
            datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
            datetime.datetime(2025, 12, 31, 22, tzinfo=UTC),
        ),
    ],
)
def test_what_numpy_and_time_zones_become(collection, value, expected):
    back = stored(collection, {"v": value})["v"]
    assert back == expected
    assert type(back) is type(expected)


def test_a_timestamp_of_pandas_is_an_instant(collection):
    pandas = pytest.importorskip("pandas")
    back = stored(collection, {"at": pandas.Timestamp("2026-01-02T03:04:05Z"), "no": pandas.NaT})
    assert back == {"at": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "no": None}


def test_a_naive_datetime_is_refused(collection):
    with pytest.raises(ValueError, match="time zone"):
        stored(collection, {"at": datetime.datetime(2026, 1, 1)})


def test_the_row_at_fault_is_named(collection):
    with pytest.raises(TypeError, match="row 1"):
        collection.add(ids=[1, 2], vectors=[ROW, ROW], fields=[{}, {"a": object()}])


def test_limits_of_a_document(collection):
    deep = {}
    for _ in range(40):
        deep = {"d": deep}
    for fields in (deep, {"big": "x" * (1 << 20)}, {1: "key"}):
        with pytest.raises(LynseError):
            stored(collection, fields)
    assert collection.shape == (0, 4)


def test_no_fields_and_empty_fields(collection):
    collection.add(ids=[1, 2, 3], vectors=[ROW] * 3, fields=[None, {}, {"a": 1}])
    assert collection.head().fields == [{}, {}, {"a": 1}]
    assert collection.search(ROW, k=3, return_fields=True).fields == [{}, {}, {"a": 1}]
    assert collection.search(ROW, k=3).fields == []


def test_names_of_fields(collection):
    collection.add(ids=[1, 2], vectors=[ROW] * 2, fields=[{"b": 1, "a": 2}, {"c": {"d": 1}}])
    assert collection.list_fields() == ["a", "b", "c"]
    collection.delete(2)
    assert collection.list_fields() == ["a", "b"]


def test_fields_are_decoded_when_looked_at(collection):
    collection.add(ids=1, vectors=ROW, fields={"a": 1})
    view = collection.search(ROW, return_fields=True)
    first = view.fields
    assert first == [{"a": 1}]
    assert view.fields is first
