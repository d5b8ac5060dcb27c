# SPDX-License-Identifier: Apache-2.0
"""`where` from Python: search, query, count and delete; errors that show the place."""

import lynse
import numpy as np
import pytest
from lynse.errors import Limit, Parse

STARS = list(range(200))
LANGUAGES = ["c", "lua", "python", None]


def row(i):
    fields = {"stars": STARS[i], "tags": ["even" if i % 2 == 0 else "odd", f"t{i % 7}"]}
    language = LANGUAGES[i % 4]
    if language:
        fields["lang"] = language
    if i % 5 == 0:
        fields["repo"] = {"owner": f"owner {i % 3}"}
    return fields


@pytest.fixture
def filled(collection, random):
    vectors = random.standard_normal((200, 4), dtype=np.float32)
    collection.add(ids=list(range(200)), vectors=vectors, fields=[row(i) for i in range(200)])
    return collection


def ids_of(view):
    return sorted(view.ids.tolist())


CASES = [
    ("lang = 'c' AND stars > 100", lambda f: f.get("lang") == "c" and f["stars"] > 100),
    ('lang = "lua" OR stars < 3', lambda f: f.get("lang") == "lua" or f["stars"] < 3),
    ("lang IS NULL", lambda f: "lang" not in f),
    ("NOT lang = 'c'", lambda f: f.get("lang") not in (None, "c")),
    ("lang IN ('c', 'python')", lambda f: f.get("lang") in ("c", "python")),
    ("stars BETWEEN 10 AND 12.5", lambda f: 10 <= f["stars"] <= 12.5),
    ("tags CONTAINS 't3'", lambda f: "t3" in f["tags"]),
    ("repo.owner = 'owner 0'", lambda f: f.get("repo", {}).get("owner") == "owner 0"),
    ("lang LIKE 'PY%'", lambda f: f.get("lang") == "python"),
    ("stars >= 1000", lambda f: False),
]


@pytest.mark.parametrize(("where", "matches"), CASES, ids=[case[0] for case in CASES])
def test_every_call_sees_the_same_rows(filled, where, matches):
    expected = [i for i in range(200) if matches(row(i))]
    assert filled.query(where=where).ids.tolist() == expected
    assert filled.count(where) == len(expected)
    found = filled.search([1.0, 0, 0, 0], k=200, where=where, return_fields=True)
    assert ids_of(found) == expected
    assert all(matches(fields) for fields in found.fields)
    assert (np.diff(found.distances) <= 0).all()
    batch = filled.batch_search(np.eye(4, dtype=np.float32), k=3, where=where)
    assert [len(one.ids) for one in batch] == [min(3, len(expected))] * 4
    vectors = filled.query_vectors(where=where)
    assert vectors.vectors.shape == (len(expected), 4)
    assert filled.delete(where=where) == len(expected)
    assert filled.count() == 200 - len(expected)
    assert filled.count(where) == 0
    filled.restore(expected)
    assert filled.count(where) == len(expected)


def test_flushed_rows_and_fresh_ones_answer_alike(client, collection):
    fields = [row(i) for i in range(200)]
    vectors = np.ones((200, 4), np.float32)
    collection.add(ids=list(range(100)), vectors=vectors[:100], fields=fields[:100])
    before = {where: collection.count(where) for where, _ in CASES}
    collection.checkpoint()
    assert {where: collection.count(where) for where, _ in CASES} == before
    collection.add(ids=list(range(100, 200)), vectors=vectors[100:], fields=fields[100:])
    for where, matches in CASES:
        assert collection.count(where) == sum(map(matches, fields)), where


def test_where_wins_over_ids(filled):
    assert filled.query(where="stars < 2", filter_ids=[50]).ids.tolist() == [0, 1]
    assert filled.query(filter_ids=[50]).ids.tolist() == [50]
    assert len(filled.query().ids) == 0


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("stars >", ["where", "^"]),
        ("stars > 100 AND )", ["17", "^"]),
        ("lang = 'c", ["^"]),
        ("lang === 'c'", ["^"]),
        ("", ["where"]),
        ("(" * 10_000, ["128"]),
        ("stars = 1 trailing", ["11", "^"]),
    ],
)
def test_a_wrong_filter_shows_the_place(filled, where, words):
    for call in (
        lambda: filled.search([1.0, 0, 0, 0], where=where),
        lambda: filled.query(where=where),
        lambda: filled.count(where),
        lambda: filled.delete(where=where),
    ):
        with pytest.raises((Parse, Limit)) as caught:
            call()
        for word in words:
            assert word in str(caught.value)
    assert filled.count() == 200


def test_a_filter_of_a_megabyte_is_refused(filled):
    with pytest.raises(Limit, match="65536"):
        filled.count("stars = 1 OR " * 80_000 + "stars = 1")
    with pytest.raises(lynse.LynseError, match="NUL"):
        filled.count("stars = 1\0")
    with pytest.raises(lynse.LynseError, match="UTF-8"):
        filled.count("lang = '\ud800'")


def test_text_ids_are_found_and_deleted(collection):
    fields = [{"x": 1}, {"x": 2}, {"x": 2}]
    collection.add(ids=["a", "b", 3], vectors=np.ones((3, 4)), fields=fields)
    assert collection.query(where="x = 2").ids.tolist() == ["b", 3]
    assert collection.delete(where="x = 2") == 2
    assert collection.list_deleted_ids() == ["b", 3]


def test_more_filters_than_are_kept_are_each_their_own(filled):
    query = np.ones(4, dtype=np.float32)
    for _ in range(2):
        for i in range(300):
            found = filled.search(query, k=1, where=f"stars = {i}").ids.tolist()
            assert found == ([i] if i < 200 else [])
    long = " OR ".join(f"stars = {i}" for i in range(100, 200))
    assert ids_of(filled.search(query, k=200, where=long)) == STARS[100:]
    assert ids_of(filled.search_range(query, -1e9, where=long)) == STARS[100:]


def test_vectors_of_every_layout_are_the_same_query(filled, random):
    query = random.standard_normal(8, dtype=np.float32)[::2]
    expected = filled.search(query.copy(), k=5)
    swapped = query.astype(query.dtype.newbyteorder())
    others = [query, query.tolist(), query.astype(np.float64), query.reshape(1, 4), swapped]
    assert all(filled.search(other, k=5) == expected for other in others)
