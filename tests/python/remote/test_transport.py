# SPDX-License-Identifier: Apache-2.0
"""Connections to a server: addresses, keys, pools, forks, what breaks and what is asked again."""

import os
import signal
import socket
import threading
import time

import lynse
import msgpack
import numpy as np
import pytest
from fake_server import Fake, Vanishing, answer, hang_up_after
from lynse import address
from lynse.errors import (
    Deadline,
    Invalid,
    Io,
    OutcomeUnknown,
    ShuttingDown,
    Unauthorized,
    Unsupported,
)
from lynse.remote import open_transport

ROW = [1.0, 2.0, 3.0, 4.0]
KINDS = ("http", "rpc", "unix")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def connect(served, kind):
    """connect(**options): a client of the shared server."""
    opened = []

    def open_one(**options):
        server = served()
        opened.append(lynse.VectorDBClient(server.uri(kind), server.api_key, **options))
        return opened[-1]

    yield open_one
    for client in opened:
        client.close()


def a_collection(client):
    return client.create_collection("transport", "docs", dim=4, drop_if_exists=True)


@pytest.mark.parametrize(
    ("uri", "kind", "text"),
    [
        ("https://example.org", Unsupported, "TLS"),
        ("http://", Invalid, "no host"),
        ("http://:80", Invalid, "no host"),
        ("lynse://h:x", Invalid, "ort"),
        ("lynse://h:70000", Invalid, "ort"),
        ("lynse://h:0", Invalid, "1..65535"),
        ("lynse://h/path", Invalid, "lynse://host:port"),
        ("http://h?a=1", Invalid, "takes no"),
        ("http://me:secret@h", Invalid, "api_key="),
        ("unix:", Invalid, "path"),
        ("unix:/" + "x" * 200, Invalid, "107 bytes"),
    ],
)
def test_a_wrong_address_is_explained(uri, kind, text):
    with pytest.raises(kind, match=text) as caught:
        lynse.VectorDBClient(uri)
    assert "secret" not in str(caught.value)


def test_addresses():
    assert address.parse("lynse://[::1]")[:3] == ("lynse", "::1", 7637)
    assert address.parse("HTTP://h:5/base/")[:4] == ("http", "h", 5, "/base")
    assert address.parse("unix:///tmp/s").path == "/tmp/s"
    assert not address.is_remote("./folder")


@pytest.mark.parametrize(
    "uri", ["127.0.0.1:7637", "localhost:7637", "[::1]:7637", "htp://h", "redis://h:1"]
)
def test_an_address_without_its_scheme_makes_no_folder(tmp_path, monkeypatch, uri):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Invalid, match="lynse://"):
        lynse.VectorDBClient(uri)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_may_be_called_like_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for uri in ("./host:1", tmp_path / "host:2"):
        with lynse.VectorDBClient(uri) as client:
            client.create_database("notes")
    assert {entry.name for entry in tmp_path.iterdir()} == {"host:1", "host:2"}


def test_options_of_folders_are_refused(served, kind):
    server = served()
    for options in ({"read_only": True}, {"sync": "os"}, {"threads": 2}, {"low_water": 1}):
        with pytest.raises(Invalid, match=f"{next(iter(options))}= is an option of folders"):
            lynse.VectorDBClient(server.uri(kind), server.api_key, **options)


def test_nobody_listens(kind, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    uris = {"http": f"http://127.0.0.1:{port}", "rpc": f"lynse://127.0.0.1:{port}"}
    uri = uris.get(kind, f"unix:{tmp_path}/none")
    with pytest.raises(OSError, match="no connection") as caught:
        lynse.VectorDBClient(uri)
    assert isinstance(caught.value, Io)
    assert caught.value.errno == caught.value.os_errno > 0


@pytest.mark.parametrize("key", [None, "wrong", "é"])
def test_a_wrong_key_is_told_at_once(served, kind, key):
    with pytest.raises(Unauthorized):
        lynse.VectorDBClient(served().uri(kind), key)


def test_what_is_remote_says_so(connect, served, kind):
    client = connect()
    collection = a_collection(client)
    assert collection.name == "Remote"
    assert served().uri(kind) in repr(client)
    assert not client.get_database("transport").is_read_only


def test_a_closed_client_says_so(connect):
    client = connect()
    collection = a_collection(client)
    client.close()
    client.close()
    with pytest.raises(ShuttingDown, match="this client is closed"):
        client.list_databases()
    with pytest.raises(ShuttingDown, match="this collection is closed"):
        collection.stats()


def test_threads_have_a_connection_each(connect):
    collection = a_collection(connect())
    failures = []

    def work(first):
        try:
            for i in range(first, first + 40):
                collection.add(ids=i, vectors=[i, 0, 0, 0])
                assert collection.get(i).vectors.tolist() == [[i, 0, 0, 0]]
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n * 1000,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert collection.count() == 320


def test_large_groups_go_through(connect):
    collection = connect().create_collection("transport", "wide", dim=256, drop_if_exists=True)
    vectors = np.random.default_rng(1).standard_normal((20_000, 256), dtype=np.float32)
    collection.add(ids=np.arange(20_000), vectors=vectors)
    assert np.array_equal(collection.head(20_000).vectors, vectors)


def test_a_forked_child_has_connections_of_its_own(connect):
    collection = a_collection(connect())
    collection.add(ids=1, vectors=ROW)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        said = b"failed"
        try:
            collection.add(ids=2, vectors=ROW)
            said = repr(collection.head().ids.tolist()).encode()
        finally:
            os.write(writer, said)
            os._exit(0)
    os.close(writer)
    for i in range(50):
        assert collection.get(1).ids.tolist() == [1], i
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "[1, 2]"
    os.waitpid(child, 0)
    assert collection.count() == 2


# ---- Connections that break ----


def test_a_read_is_asked_again_once():
    fake = Fake(hang_up_after(1, 1), answer(1))
    client = lynse.VectorDBClient(fake.uri)
    assert client.list_databases() == []
    assert fake.seen == ["list_databases"] * 3
    fake = Fake(hang_up_after(1, 1), hang_up_after(0, 1))
    client = lynse.VectorDBClient(fake.uri)
    with pytest.raises(Io, match="connection was lost during list_databases"):
        client.list_databases()


def test_a_write_that_may_have_arrived_is_not_sent_again():
    fake = Fake(hang_up_after(1, 1), answer(1))
    client = lynse.VectorDBClient(fake.uri)
    with pytest.raises(OutcomeUnknown, match="may or may not"):
        client.drop_database("x")
    assert fake.seen == ["list_databases", "drop_database"]


def test_of_a_write_that_cannot_be_sent_again_nothing_is_known():
    """It has an id, but nobody is there for the second attempt; the first may have been applied."""
    transport = open_transport(Vanishing().uri, None)
    with pytest.raises(OutcomeUnknown, match="may or may not"):
        transport.call("delete", {"request_id": "1" * 32}, is_write=True)
    with pytest.raises(Io, match="no connection"):
        open_transport(Vanishing().uri, None).call("count", {})


def test_a_connection_that_was_closed_meanwhile_costs_nothing():
    fake = Fake(answer(1), answer(1))
    client = lynse.VectorDBClient(fake.uri)
    time.sleep(0.1)
    client.drop_database("x")
    assert fake.seen == ["list_databases", "drop_database"]


@pytest.mark.parametrize("said", [b"\xc1", b"\x05", b"HTTP/1.1 400 no\r\n\r\n", b"\x94\x01\x01"])
def test_an_answer_that_is_none_is_an_error(said):
    def babble(connection, requests):
        next(requests)
        connection.sendall(said)
        connection.close()

    with pytest.raises(lynse.LynseError):
        lynse.VectorDBClient(Fake(babble, babble).uri)


def test_no_answer_in_time(monkeypatch):
    monkeypatch.setattr("lynse.transport.GRACE_S", 0.1)
    monkeypatch.setattr("lynse.transport.LONGEST_CALL_S", 0.1)
    silent = threading.Event()

    def act(connection, requests):
        request = next(requests)
        connection.sendall(msgpack.packb([1, request[1], None, {"databases": []}]))
        for _ in requests:
            silent.wait(5)

    client = lynse.VectorDBClient(Fake(act).uri)
    with pytest.raises(Deadline, match="no answer to list_databases in time"):
        client.list_databases()
    client = lynse.VectorDBClient(Fake(act).uri)
    with pytest.raises(OutcomeUnknown, match="no answer to drop_database in time"):
        client.drop_database("x")
    silent.set()


def test_an_interrupt_leaves_the_client_usable():
    asked = threading.Event()

    def never(connection, requests):
        request = next(requests)
        connection.sendall(msgpack.packb([1, request[1], None, {"databases": []}]))
        next(requests)
        asked.set()

    client = lynse.VectorDBClient(Fake(never, answer(1)).uri)

    def interrupt():
        asked.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    # Who runs the tests in the background has them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            client.list_databases()
    finally:
        interrupter.join()
        signal.signal(signal.SIGINT, before)
    assert client.list_databases() == []
