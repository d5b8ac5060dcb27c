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
