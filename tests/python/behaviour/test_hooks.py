# SPDX-License-Identifier: Apache-2.0
"""Lua in a search: score and rerank as source text, trusted and not."""

import numpy as np
import pytest
from lynse.errors import Hook, Invalid, NotFound, Parse

ROW = [1.0, 0, 0, 0]
IS_TRUSTED_TOO = True  # each test, by conftest.py


@pytest.fixture
def filled(collection, random):
    vectors = random.standard_normal((3000, 4), dtype=np.float32)
    fields = [{"stars": i % 1000, "age": i / 2, "name": f"n{i}"} for i in range(3000)]
    collection.add(ids=list(range(3000)), vectors=vectors, fields=fields)
    return collection


def test_a_score_sees_every_record_that_matches(filled):
    score = """function(n, distance, field, out)
      for i = 0, n - 1 do out[i] = field.stars[i] * 10000 + field.age[i] end
    end"""
    found = filled.search(ROW, k=5, score=score)
    assert found.ids.tolist() == [0, 1000, 2000, 1, 1001]
    assert found.distances.tolist() == [0, 500, 1000, 10000.5, 10500.5]
    found = filled.search(ROW, k=2, score=score, where="stars > 500 AND age > 1000")
    assert found.ids.tolist() == [2501, 2502]


def test_a_score_may_use_the_distance_and_drop_records(filled):
    score = """return function(n, distance, field, out)
      for i = 0, n - 1 do
        if field.stars[i] < 500 then out[i] = distance[i] else out[i] = 0 / 0 end
      end
    end"""
    found = filled.search(ROW, k=10, score=score)
    expected = filled.search(ROW, k=10, where="stars < 500")
    assert found.ids.tolist() == expected.ids.tolist()
    assert np.allclose(found.distances, -expected.distances)  # in hooks smaller is nearer


def test_a_rerank_orders_the_hits(filled):
    rerank = """function(hits)
      table.sort(hits, function(a, b) return a.id < b.id end)
      return hits
    end"""
    plain = filled.search(ROW, k=20)
    found = filled.search(ROW, k=20, rerank=rerank)
    assert found.ids.tolist() == sorted(plain.ids.tolist())
    batch = filled.batch_search(np.eye(4, dtype=np.float32), k=5, rerank=rerank)
    assert all(one.ids.tolist() == sorted(one.ids.tolist()) for one in batch)


def test_shipped_rerankers_are_known_by_name(filled):
    plain = filled.search(ROW, k=20)
    found = filled.search(ROW, k=20, rerank="mmr")
    assert sorted(found.ids.tolist()) == sorted(plain.ids.tolist())
    assert found.ids[0] == plain.ids[0]
    with pytest.raises(NotFound, match="nonesuch"):
        filled.search(ROW, rerank="nonesuch")


@pytest.mark.parametrize(
    ("score", "kind", "text"),
    [
        ("function(n) x y end", Parse, "score:1"),
        ("function(n, d, f, out) local t = nothing.x end", Hook, "score:1.*nothing"),
        ("function(n, d, f, out) error('no') end", Hook, "no"),
        ("return 5", Hook, "score"),
        ("return 1 +", Parse, "score:1"),
        ("\x1bLJ\x02", Parse, "score"),
    ],
)
def test_what_a_script_does_wrong_is_said(filled, score, kind, text):
    with pytest.raises(kind, match=text):
        filled.search(ROW, score=score)
    assert len(filled.search(ROW).ids) == 10


def test_a_text_must_be_a_text(filled):
    with pytest.raises(Invalid, match="score must be a string"):
        filled.search(ROW, score=print)
    with pytest.raises(Invalid, match="rerank must be a string"):
        filled.search(ROW, rerank=7)


def test_options_reach_the_hooks(filled):
    score = """function(n, d, field, out, options)
      for i = 0, n - 1 do out[i] = options.sign * field.stars[i] end
    end"""
    found = filled.search(ROW, k=1, score=score, score_options={"sign": -1})
    assert found.distances.tolist() == [-999]
    found = filled.search(
        ROW, k=5, rerank="boost", rerank_options={"field": "stars", "weight": 1000}
    )
    stars = [i % 1000 for i in found.ids.tolist()]
    assert stars == sorted(stars, reverse=True)
    with pytest.raises(Hook, match="option 'lambda' is 2, must be a number of 0 to 1"):
        filled.search(ROW, rerank="mmr", rerank_options={"lambda": 2})
    with pytest.raises(Invalid, match="rerank_options: a list, must be a dict"):
        filled.search(ROW, rerank="mmr", rerank_options=[2])
    with pytest.raises(Invalid, match="score_options: they need score"):
        filled.search(ROW, score_options={"a": 1})


SIGNED = """function(n, d, field, out, options)
  for i = 0, n - 1 do out[i] = options.sign * field.stars[i] end
end"""


def test_a_collection_keeps_hooks(filled):
    plain = filled.search(ROW, k=3)
    assert filled.set_hook("score", SIGNED, {"sign": -1}) == 1
    assert filled.set_hook("score", SIGNED, {"sign": 1}, on_failure="skip") == 2
    (hook,) = filled.hooks()
    assert hook[:5] == ("score", 2, SIGNED, {"sign": 1}, "skip")
    assert not hook.is_disabled
    found = filled.search(ROW, k=3)
    assert found.distances.tolist() == [0, 0, 0]
    assert found.skipped_hooks == ()
    assert filled.batch_search([ROW, ROW], k=3)[1].distances.tolist() == [0, 0, 0]
    assert filled.search_range(ROW, 0).distances.tolist() == [0, 0, 0]
    assert filled.search(ROW, k=3, hooks=False).ids.tolist() == plain.ids.tolist()
    assert len(filled.search_range(ROW, 100, hooks=False)) == 0
    filled.drop_hook("score")
    assert filled.hooks() == []
    assert filled.search(ROW, k=3).ids.tolist() == plain.ids.tolist()
    with pytest.raises(NotFound, match="none is installed at 'score'"):
        filled.drop_hook("score")
    assert filled.set_hook("score", SIGNED) == 3


def test_an_installed_hook_may_be_skipped(filled):
    plain = filled.search(ROW, k=3)
    filled.set_hook("rerank", "mmr", {"lambda": 7}, on_failure="skip")
    found = filled.search(ROW, k=3)
    assert found.skipped_hooks == ("rerank",)
    assert found.ids.tolist() == plain.ids.tolist()
    assert found.distances.tolist() == plain.distances.tolist()
    filled.set_hook("rerank", "mmr", {"lambda": 7})
    with pytest.raises(Hook, match="lambda"):
        filled.search(ROW, k=3)


def test_what_cannot_be_installed_is_refused(filled):
    with pytest.raises(Parse):
        filled.set_hook("score", "function( end")
    with pytest.raises(Invalid, match="on_failure must be one of"):
        filled.set_hook("score", SIGNED, on_failure="perhaps")
    with pytest.raises(Invalid, match="point: 'upsert'"):
        filled.set_hook("upsert", SIGNED)
    with pytest.raises(Invalid, match="point must be a string"):
        filled.set_hook(5, SIGNED)
    with pytest.raises(Invalid, match="options: a str, must be a dict"):
        filled.set_hook("score", SIGNED, "x")
    assert filled.hooks() == []
