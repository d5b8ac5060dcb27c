# SPDX-License-Identifier: Apache-2.0
"""What needs a second process: locks, forks, Ctrl-C, kills."""

import os
import signal
import subprocess
import sys

import lynse
import numpy as np
import pytest
from lynse.errors import Locked

ROW = [1.0, 2.0, 3.0, 4.0]

HOLDER = """
import sys, lynse
client = lynse.VectorDBClient(sys.argv[1])
docs = client.create_collection("notes", "docs", dim=4)
docs.add(ids=1, vectors=[1, 2, 3, 4])
docs.checkpoint()
print("open")
sys.stdin.readline()
docs.add(ids=2, vectors=[1, 2, 3, 4])
client.close()
"""


def test_a_second_writer_is_told_who_the_first_is(tmp_path, child):
    holder = child(HOLDER, tmp_path / "root")
    assert holder.line() == "open"
    with pytest.raises(RuntimeError, match=rf"\b{holder.pid}\b") as caught:
        lynse.VectorDBClient(tmp_path / "root")
    assert isinstance(caught.value, Locked)
    with lynse.VectorDBClient(tmp_path / "root", read_only=True) as reader:
        assert reader.get_database("notes").get_collection("docs").head().ids.tolist() == [1]
        docs = reader.get_database("notes").get_collection("docs")
        output, status = holder.finish()
        assert (output, status) == ("", 0)
        docs.refresh()
        assert docs.head().ids.tolist() == [1, 2]
        assert docs.search(ROW).ids.tolist() == [1, 2]
    with lynse.VectorDBClient(tmp_path / "root") as client:
        assert client.get_database("notes").get_collection("docs").head().ids.tolist() == [1, 2]


def test_ctrl_c_ends_a_long_search(tmp_path, child):
    searching = child(
        """
        import os, signal, sys, threading, lynse, numpy as np
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's "&" ignores it
        client = lynse.VectorDBClient(sys.argv[1], sync="os", threads=1)
        docs = client.create_collection("notes", "docs", dim=64)
        docs.add(vectors=np.random.default_rng(1).standard_normal((50_000, 64)))
        queries = np.ones((100_000, 64), np.float32)

        def interrupt_a_step(main=threading.main_thread().ident):
            while sys._current_frames()[main].f_code.co_name != "_run":
                pass
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt_a_step).start()
        try:
            docs.batch_search(queries, k=100)
            print("finished")
        except KeyboardInterrupt:
            print("interrupted", len(docs.search(queries[0], k=3)))
        client.close()
        """,
        tmp_path / "root",
    )
    output, status = searching.finish()
    assert (output.split(), status) == (["interrupted", "3"], 0)


def test_ctrl_c_ends_the_waiting_for_an_index(tmp_path, child):
    building = child(
        """
        import os, signal, sys, threading, lynse, numpy as np
        signal.signal(signal.SIGINT, signal.default_int_handler)
        client = lynse.VectorDBClient(sys.argv[1], sync="os")
        docs = client.create_collection("notes", "docs", dim=64)
        docs.add(vectors=np.random.default_rng(1).standard_normal((20_000, 64)))

        def interrupt_the_waiting(main=threading.main_thread().ident):
            while docs.index_mode != "HNSW-L2":
                pass
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt_the_waiting).start()
        try:
            docs.build_index("HNSW-L2", m=128, ef_construction=4096)  # a minute
        except KeyboardInterrupt:
            print(docs.index_mode, docs.index_status()["is_ready"])
        client.close()
        """,
        tmp_path / "root",
    )
    assert building.finish() == ("HNSW-L2 False\n", 0)


def test_a_forked_child_is_told_to_open_anew(tmp_path, child):
    forking = child(
        """
        import os, sys, lynse
        client = lynse.VectorDBClient(sys.argv[1])
        docs = client.create_collection("notes", "docs", dim=4)
        docs.add(ids=1, vectors=[1, 2, 3, 4])
        pid = os.fork()
        if pid == 0:
            for call in (docs.stats, lambda: docs.search([1, 2, 3, 4]), client.list_databases):
                try:
                    call()
                except lynse.errors.Forked:
                    print("forked")
            sys.exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        docs.add(ids=2, vectors=[1, 2, 3, 4])
        print(docs.shape)
        """,
        tmp_path / "root",
    )
    output, status = forking.finish()
    assert output.split("\n") == ["forked", "forked", "forked", "0", "(2, 4)", ""]
    assert status == 0


FORKING = """
import gc, multiprocessing, os, sys, lynse
from lynse.errors import Forked, Locked

ROW = [1, 2, 3, 4]
path = sys.argv[1]
client = lynse.VectorDBClient(path)
database = client.create_database("notes")
docs = database.require_collection("docs", dim=4)
docs.add(ids=1, vectors=ROW)
docs.checkpoint()  # readers of other processes see it from here on

def ids(client):
    return client.get_database("notes").get_collection("docs").search(ROW).ids.tolist()

def count_forked():
    calls = (
        client.list_databases,
        lambda: client.create_database("more"),
        lambda: client.get_database("notes"),
        database.show_collections,
        lambda: database.get_collection("docs"),
        lambda: database.drop_collection("docs"),
        docs.stats,
        docs.commit,
        lambda: docs.search(ROW),
        lambda: docs.add(ids=9, vectors=ROW),
    )
    count = 0
    for call in calls:
        try:
            call()
        except Forked:
            count += 1
    return count == len(calls)
"""


def test_a_forked_child_opens_for_itself(tmp_path, child):
    forking = child(
        FORKING
        + """
to_child, to_parent = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    try:
        lynse.VectorDBClient(path)
    except Locked as error:
        print("locked", f"process {os.getppid()} " in str(error))
    with lynse.VectorDBClient(path, read_only=True) as reader:
        print("read-only", ids(reader))
    os.write(to_parent[1], b".")
    os.read(to_child[0], 1)
    print("forked", count_forked())
    mine = lynse.VectorDBClient(path)
    client.close()
    print("forked", count_forked())
    try:
        docs.close()
    except Forked:
        print("not committed")
    del client, database, docs
    gc.collect()
    print("writes", mine.get_database("notes").get_collection("docs").add(ids=3, vectors=ROW))
    print("shared", ids(lynse.VectorDBClient(path)))
    sys.exit(0)
os.read(to_parent[0], 1)
docs.add(ids=2, vectors=ROW)
print("parent", ids(client))
client.close()
os.write(to_child[1], b".")
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
with lynse.VectorDBClient(path) as client:
    print("parent", ids(client))
""",
        tmp_path / "root",
    )
    output, status = forking.finish()
    assert output.splitlines() == [
        "locked True",
        "read-only [1]",
        "parent [1, 2]",
        "forked True",
        "forked True",
        "not committed",
        "writes 3",
        "shared [1, 2, 3]",
        "0",
        "parent [1, 2, 3]",
    ]
    assert status == 0


def test_a_forked_child_that_forgets_leaves_the_parent_its_lock(tmp_path, child):
    forking = child(
        FORKING
        + """
for leave in (sys.exit, os._exit):
    pid = os.fork()
    if pid == 0:
        with client:
            own = lynse.VectorDBClient(":memory:").create_collection("notes", "docs", dim=4)
            own.add(ids=7, vectors=ROW)
            print(own.search(ROW).ids.tolist())
        del client, database, docs
        gc.collect()
        leave(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    docs.add(vectors=ROW)
print(ids(client), flush=True)
sys.stdin.readline()
""",
        tmp_path / "root",
    )
    assert [forking.line() for _ in range(5)] == ["[7]", "0", "[7]", "0", "[1, 2, 3]"]
    with pytest.raises(Locked, match=rf"\b{forking.pid}\b"):
        lynse.VectorDBClient(tmp_path / "root")
    assert forking.finish() == ("", 0)
    with lynse.VectorDBClient(tmp_path / "root") as client:
        docs = client.get_database("notes").get_collection("docs")
        assert docs.head().ids.tolist() == [1, 2, 3]


def test_a_pool_of_forked_workers_reads_beside_the_parent(tmp_path, child):
    forking = child(
        FORKING
        + """
def work(n):
    with lynse.VectorDBClient(path, read_only=True) as reader:
        found = ids(reader)
    try:
        lynse.VectorDBClient(path)
    except Locked:
        return found == list(range(1, n + 1)) and count_forked()

with multiprocessing.get_context("fork").Pool(2) as pool:
    for n in range(1, 4):
        print(pool.map(work, [n] * 8, chunksize=1) == [True] * 8)
        docs.add(ids=n + 1, vectors=ROW)
        docs.checkpoint()
    pool.close()
    pool.join()
print(ids(client))
client.close()
""",
        tmp_path / "root",
    )
    assert forking.finish() == ("True\nTrue\nTrue\n[1, 2, 3, 4]\n", 0)


def test_what_was_acknowledged_survives_a_kill(tmp_path, child):
    for turn in range(3):
        writer = child(
            """
            import sys, lynse, numpy as np
            client = lynse.VectorDBClient(sys.argv[1])
            docs = client.create_collection("notes", "docs", dim=4)
            n = int(sys.argv[2])
            while True:
                docs.add(ids=[f"{n}", n], vectors=np.full((2, 4), n), fields=[{"n": n}] * 2)
                print(n)
                n += 1
            """,
            tmp_path / "root",
            turn * 100_000,
        )
        acknowledged = [int(writer.line()) for _ in range(40)]
        os.kill(writer.pid, signal.SIGKILL)
        writer.finish()
        with lynse.VectorDBClient(tmp_path / "root") as client:
            docs = client.get_database("notes").get_collection("docs")
            for n in acknowledged:
                assert docs.get([n, str(n)]).fields == [{"n": n}, {"n": n}]
            assert docs.stats()["n_live"] % 2 == 0


def test_an_open_client_does_not_keep_the_process(tmp_path):
    code = """
import contextlib, sys, threading, lynse
client = lynse.VectorDBClient(sys.argv[1])
docs = client.create_collection("notes", "docs", dim=4, drop_if_exists=True)
docs.add(ids=1, vectors=[1, 2, 3, 4])
def search():
    with contextlib.suppress(lynse.errors.ShuttingDown):
        docs.search([1, 2, 3, 4])
threading.Thread(target=search, daemon=True).start()
"""
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "root")],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_other_threads_run_while_the_library_works(tmp_path):
    import threading

    ticks = 0
    done = threading.Event()

    def tick():
        nonlocal ticks
        while not done.is_set():
            ticks += 1

    with lynse.VectorDBClient(":memory:", threads=1) as client:
        docs = client.create_collection("notes", "docs", dim=64)
        docs.add(vectors=np.ones((50_000, 64), np.float32))
        thread = threading.Thread(target=tick)
        thread.start()
        docs.search(np.ones(64), k=10)
        done.set()
        thread.join()
    assert ticks > 0


def test_an_interrupt_at_any_moment_leaves_all_usable(tmp_path, child):
    interrupted = child(
        """
        import random, signal, sys, time, lynse
        client = lynse.VectorDBClient(sys.argv[1], sync="os")
        docs = client.create_collection("notes", "docs", dim=4)
        row = [1, 2, 3, 4]

        def strike(*_):
            raise KeyboardInterrupt

        signal.signal(signal.SIGALRM, strike)
        chance = random.Random(3)
        n = count = 0
        while count < 2000:
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-5, 3e-4))
                while True:
                    n += 1
                    docs.add(ids=n, vectors=row, fields={"n": n})
                    docs.search(row, k=3, return_fields=True)
                    docs.get([n])
                    docs.tail(2)
            except KeyboardInterrupt:
                count += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(docs.tail(1).ids[0] == docs.max_id, len(docs.search(row)))
        client.close()
        """,
        tmp_path / "root",
    )
    assert interrupted.finish() == ("True 10\n", 0)
