# SPDX-License-Identifier: Apache-2.0
"""What tests of the server share: one that runs for a module, with a collection in it."""

import pytest
from operated import Server
from program import Program


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: waits for the server's time-outs")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Program(
        tmp_path_factory.mktemp("served") / "data",
        "--workers",
        "2",
        "--connections-per-address",
        "0",
    ) as program:
        r = program.rpc()
        r.call("required_collection", collection_name="docs", dim=4)
        r.call(
            "add",
            collection_name="docs",
            ids=list(range(1, 101)),
            vectors=[[i, 1.0, 0.0, 0.0] for i in range(100)],
        )
        r.close()
        yield program
        assert program.stop() == 0, "".join(program.lines)


@pytest.fixture
def serve(tmp_path):
    """serve(*options, env=, data_dir=) → Server; all are stopped at the end of the test."""
    servers = []

    def start(*options, env=None, data_dir=None):
        servers.append(Server(*options, env=env, data_dir=data_dir or tmp_path / "data"))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait(10)
