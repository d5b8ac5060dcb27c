# SPDX-License-Identifier: Apache-2.0
"""The table of score and rerank scenarios that C and Lua run too (tests/scenarios)."""

import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from lynse import errors

FOLDER = Path(__file__).parents[2] / "scenarios"
TABLE = json.loads((FOLDER / "hooks.json").read_text())
OPTIONS = ("k", "where", "score", "rerank", "score_options", "rerank_options", "hooks")
MODES = {"ip": "FLAT-IP", "l2": "FLAT-L2", "cosine": "FLAT-COS"}
IS_TRUSTED_TOO = True  # each test, by conftest.py
KINDS = {"HOOK": errors.Hook, "PARSE": errors.Parse, "NOT_FOUND": errors.NotFound}


def columns(rows):
    return {
        "ids": [r["id"] for r in rows],
        "vectors": np.array([r["vector"] for r in rows], dtype=np.float32),
        "fields": [r["fields"] for r in rows],
    }


def fill(docs):
    docs.add(**columns(TABLE["sealed"]))
    docs.flush()
    docs.add(**columns(TABLE["tail"]))
    docs.upsert(**columns(TABLE["upserted"]))
    docs.delete(TABLE["deleted"])
    return docs


@pytest.mark.parametrize("case", [c for c in TABLE["scenarios"] if "range" not in c])
def test_a_scenario_answers_as_expected(database, case):
    mode = MODES[case["metric"]]
    docs = fill(database.require_collection("c", dim=TABLE["dim"], default_index=mode))
    options = {name: case[name] for name in OPTIONS if name in case}
    queries = np.array(case["queries"], dtype=np.float32)
    with kept(docs, case.get("installed", [])):
        compare(case, docs, queries, options)


@contextmanager
def kept(docs, hooks):
    for hook in hooks:
        docs.set_hook(**hook)
    try:
        yield
    finally:
        for hook in hooks:
            docs.drop_hook(hook["point"])


def compare(case, docs, queries, options):
    if "error" in case:
        with pytest.raises(KINDS[case["error"]]):
            docs.search(queries[0], **options)
        return
    if len(queries) > 1:
        found = docs.batch_search(queries, **options)
    else:
        found = [docs.search(queries[0], **options)]
    for expected, hits in zip(case["expected"], found, strict=True):
        assert hits.ids.tolist() == [i for i, _ in expected]
        scores = np.array([s for _, s in expected])
        assert np.allclose(hits.distances, scores, rtol=1e-6, atol=1e-6)
        assert hits.skipped_hooks == tuple(case.get("skipped", ()))
