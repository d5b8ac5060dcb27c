# SPDX-License-Identifier: Apache-2.0
"""The table of score and rerank scenarios that C and Lua run too (tests/scenarios)."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import lynse
import numpy as np
import pytest
from lynse import errors

FOLDER = Path(__file__).parent.parent / "scenarios"
TABLE = json.loads((FOLDER / "hooks.json").read_text())
OPTIONS = ("k", "where", "score", "rerank", "score_options", "rerank_options", "hooks")
KINDS = {"HOOK": errors.Hook, "PARSE": errors.Parse, "NOT_FOUND": errors.NotFound}


def columns(rows):
    return {
        "ids": [r["id"] for r in rows],
        "vectors": np.array([r["vector"] for r in rows], dtype=np.float32),
        "fields": [r["fields"] for r in rows],
    }


@pytest.fixture(scope="module", params=[False, True], ids=["sandboxed", "trusted"])
def by_metric(request):
    with lynse.VectorDBClient(":memory:", trusted_scripts=request.param) as client:
        database, made = client.create_database("d"), {}
        for metric, mode in (("ip", "FLAT-IP"), ("l2", "FLAT-L2"), ("cosine", "FLAT-COS")):
            docs = database.require_collection(metric, dim=TABLE["dim"], default_index=mode)
            docs.add(**columns(TABLE["sealed"]))
            docs.flush()
            docs.add(**columns(TABLE["tail"]))
            docs.upsert(**columns(TABLE["upserted"]))
            docs.delete(TABLE["deleted"])
            made[metric] = docs
        yield made


def test_the_table_is_what_brute_force_says():
    check = [sys.executable, str(FOLDER / "make_hooks.py"), "--check"]
    assert subprocess.run(check, check=False).returncode == 0


@pytest.mark.parametrize("case", [c for c in TABLE["scenarios"] if "range" not in c])
def test_a_scenario_answers_as_expected(by_metric, case):
    docs = by_metric[case["metric"]]
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
