# SPDX-License-Identifier: Apache-2.0
"""What tests share: clients of every kind, and code that runs in a child."""

import os
import subprocess
import sys
import textwrap

import lynse
import numpy as np
import pytest
from served import Served

TRANSPORTS = ("folder", "memory", "http", "rpc")
TRUSTED = "-trusted"


def pytest_addoption(parser):
    parser.addoption(
        "--transports",
        default="folder,memory",
        help=f"what `client` is, of {', '.join(TRANSPORTS)}; each test runs with all of these",
    )


def transports_of(config):
    asked = config.getoption("--transports").split(",")
    unknown = set(asked) - set(TRANSPORTS)
    if unknown:
        raise pytest.UsageError(f"--transports: there is no {', '.join(sorted(unknown))}")
    return asked


def pytest_ignore_collect(collection_path, config):
    """What is of servers alone needs the program."""
    has_server = {"http", "rpc"} & set(transports_of(config))
    return True if "remote" in collection_path.parts and not has_server else None


def pytest_generate_tests(metafunc):
    """What holds for a folder holds for memory, and for a server."""
    if "client" not in metafunc.fixturenames:
        return
    kinds = transports_of(metafunc.config)
    if getattr(metafunc.module, "IS_TRUSTED_TOO", False):
        kinds = [kind + trust for kind in kinds for trust in ("", TRUSTED)]
    metafunc.parametrize("client", kinds, indirect=True)


def pytest_collection_finish(session):
    """Every behaviour is asked of every transport, and none is left out."""
    counts = dict.fromkeys(transports_of(session.config), 0)
    for item in session.items:
        if "behaviour" not in item.path.parts:
            continue
        call = getattr(item, "callspec", None)
        kind = call.params.get("client") if call else None
        if kind is None:
            raise pytest.UsageError(f"{item.nodeid}: a behaviour that is asked of no client")
        counts[kind.removesuffix(TRUSTED)] += 1
    if len(set(counts.values())) > 1 and not session.config.getoption("keyword"):
        raise pytest.UsageError(f"the transports have different numbers of cases: {counts}")


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """served(is_trusted): a server that runs until the last test, and then has to end well."""
    servers = {}

    def get(is_trusted=False):
        if is_trusted not in servers:
            servers[is_trusted] = Served(tmp_path_factory.mktemp("served"), is_trusted)
        return servers[is_trusted]

    yield get
    for server in servers.values():
        server.stop()


def open_client(kind, is_trusted, served, tmp_path):
    if kind == "folder":
        return lynse.VectorDBClient(tmp_path / "root", trusted_scripts=is_trusted)
    if kind == "memory":
        return lynse.VectorDBClient(":memory:", trusted_scripts=is_trusted)
    server = served(is_trusted)
    client = lynse.VectorDBClient(server.uri(kind), api_key=server.api_key)
    for name in client.list_databases():
        client.drop_database(name)
    return client


@pytest.fixture
def client(request, served, tmp_path):
    """A fresh client of nothing."""
    kind = request.param.removesuffix(TRUSTED)
    with open_client(kind, kind != request.param, served, tmp_path) as opened:
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
