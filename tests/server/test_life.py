# SPDX-License-Identifier: Apache-2.0
"""Beginning, refusing to begin, and ending."""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from operated import PROGRAM, ROOT, clean_environment, run
from program import Program, RpcError, wait_until


def begin(tmp_path, *options, env=None):
    return run("serve", "--port", "0", "--data-dir", tmp_path / "data", *options, env=env)


def test_a_port_in_use(serve, tmp_path):
    port = serve().port
    for more in ([], ["--workers", "2"]):
        answer = run("serve", "--port", port, "--data-dir", tmp_path / "other", *more)
        assert answer.returncode == 1
        assert "address already in use" in answer.stderr


def test_a_new_folder_is_for_nobody_else(serve, tmp_path):
    (tmp_path / "there").mkdir(mode=0o750)
    for name, mode in (("new", 0o700), ("there", 0o750)):
        server = serve(data_dir=tmp_path / name)
        assert (tmp_path / name).stat().st_mode & 0o777 == mode
        assert server.stop() == 0


def test_collections_leave_descriptors_to_connections(tmp_path):
    with Program(tmp_path / "data", "--workers", "2", files=64) as program:
        r = program.rpc()
        made = []
        with pytest.raises(RpcError, match=r"BUSY: .* of 64 descriptors \(ulimit -n\)"):
            for i in range(64):
                r.call("required_collection", collection_name=f"c{i}", dim=1)
                r.call("add", collection_name=f"c{i}", ids=[1], vectors=[[1.0]])
                made.append(f"c{i}")
        assert len(made) >= 5
        for name in made:  # what is open goes on, and can be asked for again
            r.call("required_collection", collection_name=name, dim=1)
            r.call("flush", collection_name=name)
        others = [program.rpc() for _ in range(12)]
        assert all(other.call("count", collection_name="c0")["count"] == 1 for other in others)
        for other in others:
            other.close()
        r.call("drop_collection", collection_name="c0")
        wait_until(lambda: is_made(r, "again"))
        r.call("create_database", database_name="more")
        r.call("drop_database", database_name="more")
        assert program.stop() == 0


def is_made(r, name):
    try:
        r.call("required_collection", collection_name=name, dim=1)
    except RpcError as error:
        assert error.name == "BUSY"
        return False
    return True


def test_a_folder_that_is_open(serve, tmp_path):
    serve(data_dir=tmp_path / "data")
    answer = begin(tmp_path)
    assert answer.returncode == 1
    assert "has the database open for writing" in answer.stderr


def test_a_host_that_is_no_address(tmp_path):
    answer = begin(tmp_path, "--host", "nowhere.invalid", "--insecure", env={"LYNSE_API_KEY": "x"})
    assert answer.returncode == 1
    assert "is no address" in answer.stderr


def test_a_socket_path_that_is_too_long(tmp_path):
    path = str(tmp_path / "x").ljust(108, "x")
    answer = begin(tmp_path, "--socket", path)
    assert answer.returncode == 2
    assert "at most" in answer.stderr or "1 to 107" in answer.stderr
    assert not (tmp_path / "data").exists()


def test_a_call_says_that_a_key_is_missing_or_wrong(serve):
    port = serve(env={"LYNSE_API_KEY": "right"}).port
    for key, text in (
        (None, "set LYNSE_API_KEY or --api-key-file"),
        ("wrong", "the key is not that"),
    ):
        env = {"LYNSE_URL": f"http://127.0.0.1:{port}", **({"LYNSE_API_KEY": key} if key else {})}
        answer = run("call", "list_databases", env=env)
        assert answer.returncode == 1 and answer.stdout == ""
        assert text in answer.stderr and "wrong" not in answer.stderr


def test_sockets(serve, tmp_path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    server = serve("--socket", path, "--host", "")
    assert run("call", "health", env={"LYNSE_URL": f"unix:{path}"}).stdout == '{"status":"ok"}\n'
    answer = run("serve", "--host", "", "--socket", path, "--data-dir", tmp_path / "other")
    assert answer.returncode == 1
    assert "somebody listens" in answer.stderr
    assert server.stop() == 0
    assert not path.exists()
    path.write_text("mine")
    answer = begin(tmp_path, "--socket", path)
    assert answer.returncode == 1
    assert "no socket" in answer.stderr
    assert path.read_text() == "mine"


def test_an_audit_file_that_cannot_be_opened(tmp_path):
    answer = begin(tmp_path, "--audit-log-file", tmp_path / "no" / "such" / "folder")
    assert answer.returncode == 1
    assert "audit_log_file" in answer.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(serve, number):
    server = serve()
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/healthz")
    connection.getresponse().read()
    began = time.monotonic()
    assert server.stop(number) == 0
    assert time.monotonic() - began < 5


def write_until_refused(port, acknowledged, began):
    """Adds by one connection, from an id of its own, until the server is gone."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    first = threading.get_ident() % 1000000 * 100000
    try:
        for i in range(100000):
            body = json.dumps(
                {"collection_name": "docs", "ids": [first + i], "vectors": [[1, i, 0]]}
            )
            connection.request("POST", "/add", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                return
            acknowledged.append(first + i)
            began.set()
    except (OSError, http.client.HTTPException):
        return
    finally:
        connection.close()


@pytest.mark.parametrize("signals", [1, 2])
def test_signals_under_load_lose_nothing(serve, signals):
    server = serve("--workers", "2")
    server.post("/required_collection", collection_name="docs", dim=3)
    acknowledged, began = [], threading.Event()
    writers = [
        threading.Thread(target=write_until_refused, args=(server.port, acknowledged, began))
        for _ in range(8)
    ]
    for writer in writers:
        writer.start()
    assert began.wait(10)
    time.sleep(0.5)
    stopped = time.monotonic()
    for _ in range(signals):
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
    assert server.process.wait(10) == 0
    assert time.monotonic() - stopped < 10
    for writer in writers:
        writer.join()
    again = serve()
    assert again.post("/count", collection_name="docs")["count"] >= len(acknowledged)
    found = again.post("/query", collection_name="docs", filter_ids=acknowledged[-1000:])
    assert len(found["result"]) == min(len(acknowledged), 1000)


def test_a_second_signal_does_not_wait_for_a_silent_caller(serve):
    server = serve("--drain-secs", "60")
    with socket.create_connection(("127.0.0.1", server.port)) as silent:
        silent.sendall(b"POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("stopping")
        time.sleep(0.3)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(5) == 0
        assert time.monotonic() - began < 5


def test_other_names(tmp_path):
    link = tmp_path / "lynsedb"
    link.symlink_to(PROGRAM)
    for command in ([str(link)], [PROGRAM]):
        pid = os.spawnve(
            os.P_NOWAIT,
            command[0],
            [command[0], "--host", "", "--data-dir", str(tmp_path / "data")],
            clean_environment(),
        )
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2  # nothing to listen at
    assert run("version").stdout == run("--version").stdout


def test_call(serve):
    server = serve()
    assert server.call("require_collection", "collection_name=docs", "dim=2").returncode == 0
    assert (
        server.call("add", "collection_name=docs", "vectors=[[1,2]]", 'fields=[{"a":1}]').returncode
        == 0
    )
    answer = server.call("search", '{"collection_name": "docs", "vector": [1, 2], "k": 1}')
    assert json.loads(answer.stdout)["items"]["ids"] == [0]
    answer = server.call("count", "collection_name=docs", "where=a = 1")
    assert json.loads(answer.stdout)["count"] == 1
    rows = json.dumps({"collection_name": "docs", "vectors": [[1, i] for i in range(20000)]})
    answer = server.call("add", "-", stdin=rows)
    assert json.loads(answer.stdout)["row_count"] == 20000
    answer = server.call("add", "-", stdin=rows[:-1])
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "PARSE" in answer.stderr
    listed = server.call().stdout.splitlines()
    assert any(line.split()[0] == "search" and len(line.split()) > 3 for line in listed)
    assert len(listed) > 20
    answer = server.call("serch", "collection_name=docs")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "NOT_FOUND: there is no method 'serch'; did you mean 'search'?" in answer.stderr
    assert server.call("count", "docs").returncode == 1
    for arguments in (["--prot", "1"], ["--timeout-secs", "0", "health"], ["--url"]):
        assert server.call(*arguments).returncode == 2


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://127.0.0.1", "TLS is not there yet"),
        ("ftp://x", "must begin with"),
        ("http://:1", "HOST:PORT"),
        ("http://127.0.0.1:1", "nobody answers"),
        ("unix:/no/such/socket", "nobody answers"),
        ("unix:" + "x" * 108, "must be 1 to 107"),
    ],
)
def test_call_of_nobody(url, said):
    answer = run("call", "--url", url, "health")
    assert answer.returncode == 1
    assert said in answer.stderr


def test_call_of_somebody_else():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer(reply):
            peer, _ = listener.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(reply)

        for reply in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x94\x01\x07\xc0\xc0", b"\xc1"):
            thread = threading.Thread(target=answer, args=(reply,))
            thread.start()
            result = run("call", "--url", f"http://127.0.0.1:{port}", "--timeout-secs=2", "health")
            thread.join()
            assert result.returncode == 1
            assert len(result.stderr.splitlines()) == 1


def python_server(*arguments, env):
    """python -m lynse.server, without the package, which this test does not need."""
    script = str(ROOT / "python" / "lynse" / "server.py")
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], None, '__main__')"
    )
    return subprocess.run(
        [sys.executable, "-c", code, script, *arguments],
        env={**clean_environment(), **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_python_finds_the_program(tmp_path):
    (tmp_path / "lynse").symlink_to(PROGRAM)
    for env in ({"LYNSE_PROGRAM": PROGRAM}, {"PATH": str(tmp_path)}):
        answer = python_server("config", "--port=9", env=env)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert "--port" in answer.stdout
        answer = python_server("--prot=9", env=env)
        assert answer.returncode == 2
        assert "did you mean '--port'?" in answer.stderr


def test_python_says_where_the_program_is_not(tmp_path):
    script = tmp_path / "lynse"
    script.write_text("#!/bin/sh\nexit 3\n")
    script.chmod(0o755)
    for env in ({"LYNSE_PROGRAM": "/no/such/program"}, {"PATH": str(tmp_path)}):
        answer = python_server(env=env)
        assert answer.returncode == 1
        assert "the program 'lynse' is not here" in answer.stderr


def test_what_is_installed(tmp_path):
    build = pathlib.Path(PROGRAM).parents[1]
    if not (build / "cmake_install.cmake").exists():
        pytest.skip("the program is not in a build folder")
    subprocess.run(
        ["cmake", "--install", build, "--component", "server", "--prefix", tmp_path],
        check=True,
        capture_output=True,
        timeout=60,
    )
    version = subprocess.run(
        [tmp_path / "bin" / "lynsedb", "version"], capture_output=True, text=True, check=True
    )
    assert version.stdout == run("version").stdout
    assert "ExecStart=/" in (tmp_path / "lib" / "systemd" / "system" / "lynse.service").read_text()
    pages = {path.name for path in (tmp_path / "share" / "doc" / "lynse").iterdir()}
    assert pages == {"OPERATIONS.md", "OPTIONS.md", "METRICS.md", "config.lua"}
