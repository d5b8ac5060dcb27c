# SPDX-License-Identifier: Apache-2.0
"""Each method's good case, over msgpack-RPC and over HTTP, and what LynseDB's applications see."""

import json
import struct

import pytest
from conftest import RpcError

NAMES = {"database_name": "tests", "collection_name": "good"}
V3 = struct.pack("<3f", 1, 0, 0)


def within(expected, found):
    """Whether what is expected is there: of maps the keys that are named."""
    if callable(expected):
        return expected(found)
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            key in found and within(value, found[key]) for key, value in expected.items()
        )
    return expected == found


def is_count(value):
    return isinstance(value, int) and value >= 0


def is_text(value):
    return isinstance(value, str) and value != ""


# method: (arguments besides the names, what is in the answer); in this order, on records 1, 2, "x".
GOOD = {
    "about": ({}, {"message": "LynseDB HTTP API"}),
    "health": ({}, {"status": "ok"}),
    "ready": ({}, {"status": "ready", "root_path": is_text}),
    "hello": ({"client": "tests"}, {"server": "lynse", "api_level": 1, "limits": {"dim": 32768}}),
    "api_info": ({}, {"functions": lambda found: len(found) > 50, "version": is_text}),
    "openapi": ({}, {"openapi": "3.0.3", "paths": {"/search": dict, "/readyz": dict}}),
    "create_database": ({}, {"database_name": "tests"}),
    "database_exists": ({}, {"exists": True}),
    "list_databases": ({}, {"databases": lambda found: "tests" in found}),
    "required_collection": ({"dim": 3}, NAMES),
    "is_collection_exists": ({}, {"exists": True}),
    "show_collections": ({}, {"collections": lambda found: "good" in found}),
    "update_collection_description": ({"description": "of tests"}, {"description": "of tests"}),
    "get_collection_config": ({}, {"config": {"dim": 3, "chunk_size": 100000,
                                              "description": "of tests", "dtypes": "float32"}}),
    "show_collections_details": ({}, {"collections": {"good": {"dim": 3, "shape": [3, 3]}}}),
    "get_collection_path": ({}, {"collection_path": is_text}),
    "collection_info": ({}, {"live_count": 3, "metric": "ip", "description": "of tests"}),
    "collection_shape": ({}, {"shape": [3, 3]}),
    "stats": ({}, {"stats": {"n_vectors": 3, "n_live": 3, "n_tombstoned": 0, "dimension": 3,
                             "index_mode": "none", "max_id": 2}}),
    "max_id": ({}, {"max_id": 2}),
    "list_fields": ({}, {"fields": ["a"]}),
    "count": ({"where": "a > 1"}, {"count": 1}),
    "is_id_exists": ({"id": "x"}, {"is_id_exists": True}),
    "get": ({"ids": ["x", 1, 7]}, {"items": {"ids": ["x", 1], "fields": [{}, {"a": 1}]}}),
    "read_by_only_id": ({"id": 2}, {"item": [[[0.0, 1.0, 0.0]], [2], [{"a": 2}]]}),
    "head": ({"n": 1}, {"head": [[[1.0, 0.0, 0.0]], [1], [{"a": 1}]]}),
    "tail": ({"n": 1}, {"tail": [[[0.0, 0.0, 1.0]], ["x"], [{}]]}),
    "head_binary": ({"n": 1}, {"head": [[[1.0, 0.0, 0.0]], [1], [{"a": 1}]]}),
    "tail_binary": ({"n": 0}, {"tail": [[], [], []]}),
    "query": ({"where": "a = 2"}, {"result": [{"id": 2, "a": 2}]}),
    "query_vectors": ({"filter_ids": [1]}, {"result": [[[1.0, 0.0, 0.0]], [1], [{"a": 1}]]}),
    "search": ({"vector": [1, 0.5, 0], "k": 2, "return_fields": True},
               {"items": {"k": 2, "ids": [1, 2], "scores": [1.0, 0.5], "vector_field": "default",
                          "fields": [{"a": 1}, {"a": 2}]}}),
    "batch_search": ({"vectors": [[1, 0, 0], [0, 1, 0]], "k": 1},
                     {"results": [{"ids": [1], "scores": [1.0], "fields": []},
                                  {"ids": [2], "scores": [1.0], "fields": []}]}),
    "search_range": ({"vector": [1, 0, 0], "threshold": 0.5},
                     {"result": {"ids": [1], "distances": [1.0]}}),
    "verify": ({"level": "deep"}, {"level": "deep", "is_sound": True, "findings": [],
                                   "indexes": []}),
    "set_hook": ({"point": "rerank", "source": "boost", "options": {"field": "a"}},
                 {"version": is_count}),
    "list_hooks": ({}, {"hooks": lambda found: found[0]["source"] == "boost"
                        and found[0]["options"] == {"field": "a"}}),
    "drop_hook": ({"point": "rerank"}, NAMES),
    "index_mode": ({}, {"index_mode": None}),
    "build_index": ({"index_mode": "FLAT-L2"},
                    {"index_mode": "FLAT-L2", "n_clusters": None, "params": None}),
    "index_status": ({}, {"index_mode": "FLAT-L2", "is_auto": False, "params": {}, "progress": 1,
                          "is_ready": True,
                          "segment_count": is_count, "indexed_segment_count": is_count,
                          "recall_measured": None, "recall_query_count": 0,
                          "recall_measured_at": None, "failure": None}),
    "remove_index": ({}, NAMES),
    "add": ({"ids": [3], "vectors": [[1, 1, 1]]}, {"ids": [3], "row_count": 1, "sync": "always"}),
    "upsert": ({"ids": [3], "vectors": [[1, 1, 2]], "fields": None}, {"ids": [3], "row_count": 1}),
    "delete": ({"ids": [2, 99]}, {"status": "ok", "row_count": 1}),
    "list_deleted_ids": ({}, {"ids": lambda found: 2 in found}),
    "restore": ({"ids": [2, 99]}, {"status": "ok", "row_count": 1}),
    "sync": ({}, {"durable_lsn": is_count}),
    "cancel": ({"request_id": "1" * 32}, {"cancelled": False}),
    "commit": ({}, {"status": "Success", "result": NAMES}),
    "flush": ({}, NAMES),
    "checkpoint": ({}, NAMES),
    "every_kind": ({"whole": 7}, {"whole": 7, "word": "up", "text": "none"}),
    "close_collection": ({}, NAMES),
    "drop_collection": ({}, NAMES),
    "drop_database": ({}, {"database_name": "tests"}),
}  # fmt: skip
# Those whose bytes are a bin over msgpack-RPC and the body over HTTP, below; and the key's.
OTHERS = {
    "bulk_add_binary", "add_records_binary", "upsert_records_binary", "search_binary",
    "batch_search_binary", "authenticate",
}  # fmt: skip


def fill(rpc):
    rpc("required_collection", dim=3, drop_if_exists=True, **NAMES)
    rpc("add", ids=[1, 2, "x"], vectors=[[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        fields=[{"a": 1}, {"a": 2}, None], **NAMES)  # fmt: skip


def arguments_of(info, method, given):
    known = {p["name"] for f in info["functions"] if f["name"] == method for p in f["parameters"]}
    return {**{key: value for key, value in NAMES.items() if key in known}, **given}


@pytest.mark.parametrize("protocol", ["rpc", "http"])
def test_good_cases(rpc, web, protocol):
    info = rpc("api_info")
    fill(rpc)
    for method, (given, expected) in GOOD.items():
        arguments = arguments_of(info, method, given)
        if protocol == "rpc":
            found = rpc.call(method, arguments)
        elif method == "commit":
            found = web.post("/commit", **arguments)
        else:
            found = web.params(f"/{method}", **arguments)
        assert within(expected, found), (method, found)


def test_every_method_has_a_good_case(rpc):
    names = {function["name"] for function in rpc("api_info")["functions"]}
    assert names - {"metrics"} == set(GOOD) | OTHERS


def test_aliases_are_methods_and_routes(rpc, web, docs):
    for function in rpc("api_info")["functions"]:
        for alias in function["aliases"]:
            assert f"POST /{alias}" in function["routes"], alias
    assert web.params("/require_collection", **docs) == docs
    assert rpc("update_description", description="", **docs)["description"] == ""


def test_what_is_planned_says_its_name(rpc, web):
    planned = rpc("api_info")["planned"]
    assert "bm25_search" in planned and "snapshot_database" in planned
    for name in planned:
        with pytest.raises(RpcError) as refused:
            rpc.call(name, {"anything": 1})
        assert refused.value.name == "UNSUPPORTED"
        verb = "GET" if name == "read_blob" else "POST"
        assert name.encode() in web.send(verb, f"/{name}", b"" if verb == "GET" else b"{")
        assert web.status == 501


def test_answers_of_get_routes(web):
    assert web.get("/") == {"status": "success", "message": "LynseDB HTTP API"}
    assert web.get("/healthz") == {"status": "ok"}
    assert web.get("/readyz")["status"] == "ready"
    assert "/search" in web.get("/openapi.json")["paths"]
    assert web.send("HEAD", "/healthz") == b"" and web.status == 200


def test_another_verb_is_405_and_says_which(web):
    web.send("GET", "/search")
    assert (web.status, web.headers["Allow"]) == (405, "POST")
    web.send("POST", "/healthz")
    assert (web.status, web.headers["Allow"]) == (405, "GET, HEAD")
    web.send("PUT", "/nowhere")
    assert web.status == 404


def test_a_path_that_is_not_there_says_which_may_be_meant(web):
    for path, text in (
        ("/serch", "no such path; did you mean '/search'?"),
        ("/authenticat", "no such path"),
        ("/", "this path is there with another verb"),
        ("/nothing_like_it", "no such path"),
    ):
        assert json.loads(web.send("POST", path))["error"] == text, path


def path_of(route, names, **query):
    pairs = {**names, **query}
    return f"/{route}?" + "&".join(f"{key}={value}" for key, value in pairs.items())


def fields_block(rows):
    """LDBF1 of rows that are None or maps of texts to whole numbers."""
    block = b"LDBF1" + struct.pack("<I", len(rows))
    for row in rows:
        if row is None:
            block += b"\0"
            continue
        block += b"\1" + struct.pack("<I", len(row))
        for key, value in row.items():
            block += struct.pack("<I", len(key)) + key.encode() + b"\4" + struct.pack("<Q", value)
    return block


def test_binary_writes_over_http(web, docs):
    two = struct.pack("<6f", 1, 2, 3, 4, 5, 6)
    answer = web.send("POST", path_of("bulk_add_binary", docs, dim=3, n_vectors=2), two)
    assert web.status == 200 and b'"n_vectors":2' in answer
    body = two + struct.pack("<2Q", 50, 51) + fields_block([{"a": 9}, None])
    answer = web.send("POST", path_of("add_records_binary", docs, dim=3, n_vectors=2), body)
    assert web.status == 200 and b'"ids":[50,51]' in answer
    halves = struct.pack("<6e", 1, 2, 3, 4, 5, 6)
    ids = {"ids_encoding": "range", "ids_start": 50, "vector_encoding": "float16"}
    path = path_of("upsert_records_binary", docs, dim=3, n_vectors=2, **ids)
    assert web.send("POST", path, halves) and web.status == 200
    found = web.params("/query_vectors", filter_ids=[3, 50, 51], **docs)["result"]
    assert found == [[[1, 2, 3], [1, 2, 3], [4, 5, 6]], [3, 50, 51], [{}, {"a": 9}, {}]]


@pytest.mark.parametrize("tail", [b"LDBF1", b"LDBF2\2\0\0\0\0\0", fields_block([None]),
                                  fields_block([None, None]) + b"\0",
                                  b"LDBF1\2\0\0\0\1\1\0\0\0\1\0\0\0a\7" + b"\xff" * 4])  # fmt: skip
def test_damaged_fields_of_a_binary_write(web, docs, tail):
    body = struct.pack("<6f", *range(6)) + struct.pack("<2Q", 50, 51) + tail
    answer = web.send("POST", path_of("add_records_binary", docs, dim=3, n_vectors=2), body)
    assert web.status == 400 and b"fields" in answer
    assert web.params("/collection_shape", **docs)["shape"] == [3, 3]


def test_binary_searches_over_http(web, docs):
    web.params("/delete", ids=["x"], **docs)
    block = web.send("POST", path_of("search_binary", docs, dim=3, k=2, return_fields="true"), V3)
    assert block == struct.pack("<I2Q2fI", 2, 1, 2, 1, 0, 17) + b'[{"a":1},{"a":2}]'
    path = path_of("batch_search_binary", docs, dim=3, n_queries=2, k=1)
    block = web.send("POST", path, V3 + struct.pack("<3f", 0, 1, 0))
    one, two = (struct.pack("<IQfI", 1, found, 1, 0) for found in (1, 2))
    assert block == struct.pack("<I", 2) + one + two
    block = web.send("GET", path_of("head_binary", docs, n=1))
    assert block == struct.pack("<2I3fQI", 1, 3, 1, 0, 0, 1, 9) + b'[{"a":1}]'


def test_errors_of_binary_answers_are_texts(web, docs):
    answer = web.send("POST", path_of("search_binary", docs, dim=2), V3)
    assert web.status == 400 and web.headers["content-type"].startswith("text/plain")
    assert answer == "Expected 8 encoded vector bytes (1 vectors × 2 dim), got 12".encode()
    answer = web.send("POST", path_of("search_binary", docs, dim=3), V3)
    assert web.status == 400 and b"an id is a text" in answer


def test_bins_over_rpc(rpc, docs):
    found = rpc("search", vector=V3, k=2, raw=True, **docs)
    assert found["items"]["ids"] is not None
    rows = {"dtype": "float16", "shape": [2, 3], "data": struct.pack("<6e", *range(6))}
    assert rpc("add", ids=struct.pack("<2Q", 10, 11), vectors=rows, **docs)["ids"] == [10, 11]
    assert rpc("add", ids=[12], vectors=V3, **docs)["row_count"] == 1
    assert rpc("add", vectors=V3 + V3, **docs)["first_id"] == 13
    assert rpc("batch_search", vectors=V3 + V3, k=1, **docs)["results"][1]["scores"] == [3.0]
    assert rpc("search_binary", dim=3, data=V3, k=1, **docs)["items"]["scores"] == [3.0]
    added = rpc("add_records_binary", dim=3, n_vectors=1, data=V3, ids_encoding="range",
                ids_start=30, **docs)  # fmt: skip
    assert added["ids"] == [30]


def test_vectors_of_searches_are_for_raw_answers(rpc, docs):
    for method, member, more in (("search", "items", {}),
                                 ("search_range", "result", {"threshold": 1.0})):
        wanted = {**docs, "vector": [1.0, 0, 0], "return_vectors": True, **more}
        with pytest.raises(RpcError, match="return_vectors: only with raw"):
            rpc.call(method, wanted)
        assert rpc.call(method, {**wanted, "raw": True})[member]["vectors"]


def test_given_ids_are_repeated_unless_not_wanted(rpc, docs):
    for method in ("add", "upsert"):
        rows = {"ids": [40, "y"], "vectors": [[1, 2, 3], [4, 5, 6]], **docs}
        told = rpc(method, return_ids=False, **rows)
        assert "ids" not in told and told["row_count"] == 2
        rpc("delete", ids=rows["ids"], **docs)
        assert rpc(method, **rows)["ids"] == [40, "y"]
    assert rpc("add", vectors=V3, return_ids=False, **docs)["first_id"] == 41


def test_by_position(rpc, docs):
    name, rest = docs["collection_name"], {"database_name": "tests"}
    assert rpc("search", name, [1, 0, 0], 1, **rest)["items"]["ids"] == [1]
    assert rpc("get", name, 2, **rest)["items"]["ids"] == [2]
    assert rpc("count", name, "a > 0", **rest) == {"count": 2}


def test_lengths_that_do_not_agree(rpc, docs):
    for given, said in (
        ({"ids": [5, 6], "vectors": [[1, 2, 3]]}, "ids length must match vectors length"),
        ({"ids": [5], "vectors": [[1, 2, 3]], "fields": [{}, {}]}, "fields length must match"),
        ({"ids": [5, 6], "vectors": V3}, "are no rows"),
        ({"ids": [], "vectors": [[1, 2, 3]]}, "ids cannot be empty"),
        ({"vectors": []}, "vectors cannot be empty"),
        ({"ids": [5], "vectors": [[1, 2]]}, "dimension"),
        ({"ids": [5], "vectors": [[1, 2, float("nan")]]}, "finite"),
        ({"ids": [1], "vectors": [[1, 2, 3]]}, "id 1 already exists"),
        ({"ids": [7, 7], "vectors": [[1, 2, 3]] * 2}, "7 stands at 0 and at 1"),
    ):
        with pytest.raises(RpcError, match=said):
            rpc("add", **given, **docs)
    assert rpc("count", **docs) == {"count": 3}


def test_what_is_not_there(rpc, docs):
    with pytest.raises(RpcError, match="not found") as refused:
        rpc("search", collection_name="nowhere", vector=[1])
    assert refused.value.name == "NOT_FOUND"
    with pytest.raises(RpcError, match="external id 77 does not exist"):
        rpc("query", filter_ids=[1, 77], **docs)
    with pytest.raises(RpcError, match="external id 'y' does not exist"):
        rpc("read_by_only_id", id=["x", "y"], **docs)
    with pytest.raises(RpcError, match="no other than 'default'"):
        rpc("search", vector=[1, 0, 0], vector_field="other", **docs)


def test_index_modes_and_parameters(rpc, web, docs):
    for given, name, said in (
        ({"index_mode": "FLAT-XY"}, "INVALID", "unsupported index/metric combination 'FLAT-XY'"),
        ({"index_mode": "FLAT"}, "INVALID", "names no metric"),
        ({"index_mode": "FLTA-L2"}, "INVALID", "unknown index type .* did you mean 'FLAT-L2'"),
        ({"params": {"speed": 1}}, "INVALID", "unknown index build parameter 'speed'"),
        ({"params": {"m": "16"}}, "INVALID", "'m' must be a number"),
        ({"index_mode": "HNSW-L2", "params": {"m": 2**64 - 1}}, "LIMIT", "allowed are 2 to 128"),
        ({"params": [1, 2]}, "INVALID", "params: "),
        ({"params": "m"}, "INVALID", "params: "),
        ({"params": {"n_clusters": 4}, "n_clusters": 5}, "INVALID", "n_clusters: 5, but 4"),
        ({"params": {f"p{i}": 1 for i in range(65)}}, "LIMIT", "params: more than 64"),
    ):
        with pytest.raises(RpcError, match=said) as refused:
            rpc("build_index", **given, **docs)
        assert refused.value.name == name
    assert rpc("index_mode", **docs)["index_mode"] is None
    assert rpc("index_status", **docs)["is_ready"] is False
    # Flat has no use for what LynseDB's other kinds take.
    web.params("/build_index", index_mode="default", n_clusters=5, params={"m": 16}, wait=False,
               **docs)  # fmt: skip
    assert rpc("index_status", **docs)["index_mode"] == "FLAT-IP"
    rpc("build_index", index_mode="auto-cosine", params={"m": None}, **docs)
    info = rpc("collection_info", **docs)
    assert (info["index_mode"], info["index_params"], info["index_progress"]) == ("FLAT-COS", {}, 1)


def test_an_index_is_waited_for(rpc, web, docs):
    given = {"index_mode": "hnsw-cosine", "params": {"m": 8, "ef_construction": 50}}
    assert web.params("/build_index", **given, **docs)["params"] == given["params"]
    status = rpc("index_status", **docs)
    assert within({"index_mode": "HNSW-COS", "is_ready": True, "progress": 1,
                   "params": {"m": 8, "ef_construction": 50, "ef_search": 50}}, status)
    query = {"vector": [1, 0.5, 0], "k": 2, **docs}
    assert rpc("search", **query)["items"]["ids"] == [1, 2]
    assert rpc("search", raw=True, **query)["items"]["index_kind"] == "hnsw"
    assert web.params("/search", nprobe=10, **query)["items"]["ids"] == [1, 2]
    rpc("build_index", index_mode="IVF-L2", n_clusters=2, **docs)
    assert rpc("collection_info", **docs)["index_params"] == {"n_clusters": 2, "nprobe": 32}


def test_how_hard_an_index_looks(rpc, docs):
    query = {"vector": [1, 0.5, 0], "k": 2, **docs}
    for given in (
        {}, {"nprobe": 0}, {"nprobe": 10}, {"ef": 100}, {"beam": 1048576}, {"exact": True},
        {"oversample": 2.5}, {"nprobe": 50, "ef": 50}, {"approx": True, "eps": 0.5},
    ):  # fmt: skip
        assert rpc("search", **given, **query)["items"]["ids"] == [1, 2]
    for given, name, said in (
        ({"nprobe": 10, "ef": 50}, "INVALID", "ef: 50, but nprobe: 10"),
        ({"ef": 1048577}, "INVALID", "ef"),
        ({"oversample": 0.5}, "INVALID", "oversample"),
        ({"eps": float("inf")}, "INVALID", "eps"),
    ):
        with pytest.raises(RpcError, match=said) as refused:
            rpc("search", **given, **query)
        assert refused.value.name == name
    found = rpc("search_range", vector=[1, 0, 0], threshold=0.5, exact=True, ef=7, **docs)
    assert found["result"]["ids"] == [1]


def test_a_dropped_collection_is_gone_for_all(rpc, web, docs):
    assert web.params("/count", **docs) == {"count": 3}
    rpc("drop_collection", **docs)
    web.post("/count", **docs)
    assert web.status == 404
    rpc("required_collection", dim=2, **docs)
    assert web.params("/count", **docs) == {"count": 0}


def test_queries_in_parts(rpc, docs):
    def ids(**given):
        return rpc("query", return_ids_only=True, **given, **docs)["result"]

    assert ids() == [1, 2, "x"]
    assert ids(limit=1, offset=1) == [2]
    assert ids(where="a >= 1", offset=1) == [2]
    assert ids(where="a = 2", filter_ids=[1]) == [2]
    with pytest.raises(RpcError, match="limit, offset"):
        ids(filter_ids=[1], limit=1)


def test_hooks_of_a_search(rpc, docs):
    newest = "return function(n, distance, field, out) for i = 0, n - 1 do out[i] = -i end end"
    found = rpc("search", vector=[1, 0, 0], k=1, score=newest, **docs)
    assert found["items"]["ids"] == ["x"]
    options = {"field": "a", "weight": 100.0}
    found = rpc("search", vector=[1, 0, 0], k=3, rerank="boost", rerank_options=options, **docs)
    assert found["items"]["ids"][0] == 2
    rpc("set_hook", point="score", source=newest, **docs)
    assert rpc("search", vector=[1, 0, 0], k=1, **docs)["items"]["ids"] == ["x"]
    assert rpc("search", vector=[1, 0, 0], k=1, no_hooks=True, **docs)["items"]["ids"] == [1]
    hook = rpc("list_hooks", **docs)["hooks"][0]
    assert (hook["point"], hook["is_trusted"]) == ("score", False)


def test_authenticate_is_for_rpc(rpc, web):
    assert rpc("authenticate", api_key="any") == {"authenticated": True}
    web.send("POST", "/authenticate", b"{}")
    assert web.status == 404
