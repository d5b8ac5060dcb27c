# SPDX-License-Identifier: Apache-2.0
"""What tests share: a client of a folder and one of memory, and code that runs in a child."""

import os
import subprocess
import sys
import textwrap

import lynse
import numpy as np
import pytest


@pytest.fixture(params=["folder", "memory"])
def client(request, tmp_path):
    """A fresh client; what holds for a folder holds for memory."""
    uri = tmp_path / "root" if request.param == "folder" else ":memory:"
    with lynse.VectorDBClient(uri) as opened:
        yield opened


@pytest.fixture
def database(client):
    return client.create_database("notes")


@pytest.fixture
def collection(database):
    """Empty, four dimensions, inner product."""
    return database.require_collection("docs", dim=4)


@pytest.fixture
def random():
    seed = int(os.environ.get("LYNSE_TEST_SEED", "7"))
    print(f"LYNSE_TEST_SEED={seed}")
    return np.random.default_rng(seed)


# From Python 3.12 on, a fork beside the library's threads is worth a warning to it.
NO_FORK_WARNING = ("-W", "ignore:This process:DeprecationWarning")


class Child:
    """A Python process that runs `code`; `say` reads its lines."""

    def __init__(self, code, *arguments):
        command = [sys.executable, "-u", *NO_FORK_WARNING, "-c", textwrap.dedent(code)]
        self.process = subprocess.Popen(
            [*command, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def pid(self):
        return self.process.pid

    def line(self):
        return self.process.stdout.readline().strip()

    def finish(self, timeout=60):
        """The rest of its output and its status, once it has nothing more to read."""
        output, _ = self.process.communicate(timeout=timeout)
        return output, self.process.returncode


@pytest.fixture
def child():
    """child(code, *arguments) starts one; all end with the test."""
    started = []

    def start(code, *arguments):
        started.append(Child(code, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()
