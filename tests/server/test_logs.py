# SPDX-License-Identifier: Apache-2.0
"""The log, the audit trail and the metrics of a server that works."""

import http.client
import json
import os
import re
import select
import socket
import subprocess

from operated import PROGRAM, clean_environment

KEY = "geheim/key-17"
DOCS = {"collection_name": "docs"}


def fill(server):
    server.post("/required_collection", **DOCS, dim=3)
    server.post("/add", **DOCS, ids=[1, 2], vectors=[[1, 0, 0], [0.123456, 1, 0]])
    server.post("/search", **DOCS, vector=[0.123456, 0, 0], k=1)


def series(server, headers=None):
    """{"name{labels}": value} of GET /metrics."""
    status, body = server.request("GET", "/metrics", headers=headers)
    assert status == 200
    lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def events(server):
    server.stop()
    found = []
    while (event := server.events.get(timeout=5)) is not None:
        found.append(event)
    return found


def test_every_line_is_an_object(serve):
    server = serve("--log-requests")
    fill(server)
    server.request("POST", "/no_such_path", {})
    server.call("helth")
    found = events(server)
    assert [event["event"] for event in found][-2:] == ["stopping", "stopped"]
    for event in found:
        assert event["event"] != "not JSON", event
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["timestamp"])
        assert event["level"] in ("debug", "info", "warn", "error")
    requests = [event for event in found if event["event"] == "http_request"]
    assert [event["method"] for event in requests] == ["required_collection", "add", "search", ""]
    assert [event["code"] for event in requests] == ["OK", "OK", "OK", "NOT_FOUND"]
    assert requests[1]["path"] == "/add"
    assert len({event["request_id"] for event in requests}) == 4
    assert [e["code"] for e in found if e["event"] == "rpc_request"] == ["NOT_FOUND"]


def test_an_answer_that_cannot_be_written_is_no_success(serve, tmp_path):
    """What the log and the metrics have is what the caller got."""
    (tmp_path / "own" / "rpc").mkdir(parents=True)
    (tmp_path / "own" / "rpc" / "odd.lua").write_text(
        'return { summary = "Odd.", arguments = {}, mutates = true,\n'
        "   run = function() return print end }\n"
    )
    server = serve("--log-requests", "--scripts", tmp_path / "own")
    server.request("POST", "/required_collection", {"collection_name": "texts", "dim": 1})
    server.request("POST", "/add", {"collection_name": "texts", "ids": ["a"], "vectors": [[0]]})
    server.request("POST", "/odd", {})
    server.call("odd")
    search = "/search_binary?collection_name=texts&dim=1"
    assert server.request("POST", search, bytes(4))[0] == 400  # "a" is no u64
    counted = {name: value for name, value in series(server).items() if "_requests_total" in name}
    assert sum(value for name, value in counted.items() if 'code="INTERNAL"' in name) == 2
    assert 'lynse_requests_total{method="search_binary",protocol="http",code="INVALID"}' in counted
    assert not [name for name in counted if "odd" in name and 'code="OK"' in name]
    found = [event for event in events(server) if event.get("method") in ("odd", "search_binary")]
    assert [(event["event"], event["code"]) for event in found] == [
        ("audit", "INTERNAL"),
        ("http_request", "INTERNAL"),
        ("audit", "INTERNAL"),
        ("rpc_request", "INTERNAL"),
        ("http_request", "INVALID"),
    ]


def test_requests_are_told_when_asked_for(serve):
    server = serve()
    fill(server)
    assert "http_request" not in [event["event"] for event in events(server)]


def test_writes_are_in_the_audit_trail(serve):
    server = serve()
    fill(server)
    server.request("POST", "/add", {**DOCS, "vectors": [[1]]})
    assert (
        server.call("upsert", "collection_name=docs", "ids=[1]", "vectors=[[1,2,3]]").returncode
        == 0
    )
    assert server.call("delete", '["docs", [1]]').returncode == 0
    trail = [event for event in events(server) if event["event"] == "audit"]
    assert [(e["method"], e["code"]) for e in trail] == [
        ("required_collection", "OK"),
        ("add", "OK"),
        ("add", "DIMENSION"),
        ("upsert", "OK"),
        ("delete", "OK"),
    ]
    assert {(e["database"], e["collection"], e["who"]) for e in trail} == {("default", "docs", "-")}


def test_the_audit_trail_in_a_file_of_its_own(serve, tmp_path):
    path = tmp_path / "audit.log"
    server = serve("--audit-log-file", path, "--log-level", "error")
    fill(server)
    assert [e for e in events(server) if e["event"] == "audit"] == []
    assert path.read_text().count('"event":"audit"') == 2
    assert path.stat().st_mode & 0o007 == 0


def test_no_audit_trail(serve):
    server = serve("--no-audit-log")
    fill(server)
    assert "audit" not in [event["event"] for event in events(server)]


def test_names_cannot_forge_a_line(serve):
    server = serve("--log-requests")
    name = 'x" who="root"\n{"event":"audit"}\x7f\udcff'
    server.request("POST", "/drop_collection", {"collection_name": name})
    server.request("POST", "/drop_collection", {"collection_name": "y" * 5000})
    found = events(server)
    assert "not JSON" not in [event["event"] for event in found]
    trail = [event for event in found if event["event"] == "audit"]
    assert all(event["who"] == "-" for event in trail)
    assert all(event["code"] != "OK" for event in trail)


def test_key_and_vectors_are_in_no_log(serve):
    server = serve("--log-level", "debug", "--slow-query-warn-ms", "1", env={"LYNSE_API_KEY": KEY})
    for key in (KEY, "wrong-key-18"):
        headers = {"Authorization": f"Bearer {key}"}
        server.request("POST", "/required_collection", {**DOCS, "dim": 3}, headers)
        server.request("POST", "/search", {**DOCS, "vector": [0.123456, 0, 0]}, headers)
        server.call("count", "collection_name=docs", key=key)
    found = events(server)
    text = "".join(server.lines)
    for secret in (KEY, "wrong-key-18", "0.123456"):
        assert secret not in text
    refused = [event for event in found if event["event"] == "unauthorized_request"]
    assert [event["method"] for event in refused] == [
        "required_collection",
        "search",
        "authenticate",
    ]
    trail = [event for event in found if event["event"] == "audit"]
    assert [bool(re.fullmatch("key-[0-9a-f]{8}", event["who"])) for event in trail] == [True]


def test_a_key_on_the_command_line_is_warned_of(serve):
    server = serve("--api-key", KEY)
    found = events(server)
    warned = [line for line in server.lines if "key_in_sight" in line]
    assert len(warned) == 1
    assert KEY not in "".join(server.lines)
    assert found[-1]["event"] == "stopped"


def test_the_key_on_both_protocols(serve):
    server = serve(env={"LYNSE_API_KEY": KEY})
    good = {"Authorization": f"Bearer {KEY}"}
    assert server.request("GET", "/list_databases", headers=good)[0] == 200
    for bad in (
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
    ):
        assert server.request("GET", "/list_databases", headers=bad)[0] == 401
        assert server.request("GET", "/metrics", headers=bad)[0] == 401
    assert server.request("GET", "/healthz")[0] == 200
    assert server.call("list_databases", key=KEY).returncode == 0
    for key in (None, "x", KEY + "x"):
        answer = server.call("list_databases", key=key)
        assert answer.returncode == 1
        assert "UNAUTHORIZED" in answer.stderr
    assert server.call("health").returncode == 0


def test_metrics_move(serve):
    server = serve("--workers", "1")  # each loop sees for itself that a connection has ended
    before = series(server)
    fill(server)
    server.request("POST", "/search", {**DOCS, "vector": [1]})
    server.call("count", "collection_name=docs")
    after = series(server)
    count = 'lynse_requests_total{method="%s",protocol="%s",code="%s"}'
    assert after[count % ("search", "http", "OK")] == 1
    assert after[count % ("search", "http", "DIMENSION")] == 1
    assert after[count % ("count", "rpc", "OK")] == 1
    assert after['lynse_collection_records{database="default",collection="docs"}'] == 2
    assert after['lynse_collection_applied_lsn{database="default",collection="docs"}'] == 1
    buckets = [
        v
        for k, v in after.items()
        if k.startswith('lynse_request_duration_seconds_bucket{protocol="http"')
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == after['lynse_request_duration_seconds_count{protocol="http"}'] == 5
    for name in ("lynse_received_bytes_total", "lynse_sent_bytes_total", "lynse_connections_total"):
        assert after[name] > before[name]
    assert after["lynse_connections"] == after["lynse_requests_in_flight"] == 1
    assert after["lynse_process_resident_memory_bytes"] > 1 << 20


def test_metrics_tell_of_indexes(serve):
    server = serve()
    server.post("/required_collection", **DOCS, dim=2)
    vectors = [[i % 40, i // 40] for i in range(1100)]
    server.post("/add", **DOCS, ids=list(range(1100)), vectors=vectors)

    def of_docs():
        labels = '{database="default",collection="docs"}'
        prefix = "lynse_collection_"
        return {
            name[len(prefix) :].replace(labels, ""): value
            for name, value in series(server).items()
            if name.startswith(prefix)
        }

    before = of_docs()
    assert before["index_builds_total"] == before["unindexed_rows"] == 0
    server.post("/build_index", **DOCS, index_mode="HNSW-L2")
    after = of_docs()
    assert after["index_builds_total"] == after["indexed_segments"] == 1
    assert after["unindexed_rows"] == after["index_building"] == 0
    assert after["index_build_failures_total"] == after["recall_queries"] == 0
    assert "recall_ratio" not in after  # nothing was measured
    server.post("/add", **DOCS, ids=[5000], vectors=[[1, 1]])
    assert of_docs()["unindexed_rows"] == 1


def test_metrics_forget_what_is_dropped(serve):
    server = serve()
    fill(server)
    server.post("/required_collection", collection_name="other", dim=2)
    server.post("/drop_collection", **DOCS)
    found = series(server)
    assert [k for k in found if k.startswith("lynse_collection_records")] == [
        'lynse_collection_records{database="default",collection="other"}'
    ]
    assert series(server)["lynse_open_collections"] == 1


def test_metrics_add_workers_up(serve):
    server = serve("--workers", "3")
    for _ in range(30):
        server.request("GET", "/healthz")
    assert series(server)['lynse_requests_total{method="health",protocol="http",code="OK"}'] == 30


def test_a_scrape_is_prometheus_text(serve):
    server = serve()
    fill(server)
    body = server.request("GET", "/metrics")[1].decode()
    typed = re.findall(r"^# TYPE (\w+) (counter|gauge|histogram)$", body, re.MULTILINE)
    assert len(typed) == len({name for name, _ in typed}) == body.count("# HELP")
    for line in body.splitlines():
        assert re.fullmatch(r'# .*|\w+(\{(\w+="[^"]*",?)+\})? [0-9.]+', line), line


def test_slow_requests(serve):
    server = serve("--slow-query-warn-ms", "1")
    server.post("/required_collection", **DOCS, dim=100)
    server.post("/add", **DOCS, vectors=[[0.5] * 100] * 5000)
    slow = [event for event in events(server) if event["event"] == "slow_query"]
    assert "add" in [event["method"] for event in slow]
    assert all(
        e["level"] == "warn" and e["elapsed_us"] >= 1000 and e["threshold_ms"] == 1 for e in slow
    )


def test_limits_of_an_operator(serve):
    server = serve("--max-top-k=5", "--max-batch-vectors=2", "--max-collection-vectors=3")
    server.post("/required_collection", **DOCS, dim=1)

    def refused(path, **params):
        status, body = server.request("POST", path, {**DOCS, **params})
        assert status == 400
        return body.decode()

    assert "k 6 exceeds server max_top_k 5" in refused("/search", vector=[1], k=6)
    assert "exceeds server max_batch_vectors 2" in refused("/add", vectors=[[1]] * 3)
    server.post("/add", **DOCS, vectors=[[1]] * 2)
    assert "collection vector count 4 would exceed" in refused("/add", vectors=[[1]] * 2)
    server.post("/add", **DOCS, vectors=[[1]])
    server.post("/search", **DOCS, vector=[1], k=5)


def test_nobody_waits_for_the_reader_of_the_log(tmp_path):
    unread, stderr = os.pipe()
    path = tmp_path / "socket"
    command = [PROGRAM, "serve", "--host", "", "--socket", path, "--log-requests"]
    process = subprocess.Popen(
        [*command, "--data-dir", tmp_path / "data"], env=clean_environment(), stderr=stderr
    )
    os.close(stderr)
    try:
        assert select.select([unread], [], [], 20)[0]
        connection = http.client.HTTPConnection("here")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(20)
        connection.sock.connect(str(path))
        for _ in range(2000):
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        dropped = re.search(r"^lynse_log_lines_dropped_total (\d+)$", text, re.MULTILINE)
        assert int(dropped.group(1)) > 0
        connection.close()
        process.terminate()
        assert process.wait(10) == 0
        with os.fdopen(os.dup(unread), "rb") as log:
            events = [json.loads(line)["event"] for line in log]  # no line was cut
        assert events[0] == "listening"
        assert 0 < events.count("http_request") < 2000
    finally:
        process.kill()
        process.wait(10)
        os.close(unread)
