# SPDX-License-Identifier: Apache-2.0
"""A client that is not ours in a language that is not ours: foreign/client.mjs and its cases.

`./dev test --suite remote` puts the package that it needs into build/node-parts.
"""

import pathlib
import re
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
CLIENT = HERE / "foreign/client.mjs"
PARTS = HERE.parents[2] / "build/node-parts"
CASES = re.findall(r"^  async (\w+)\(", CLIENT.read_text().split("const cases = {")[1], re.M)

pytestmark = pytest.mark.skipif(
    not shutil.which("node") or not (PARTS / "node_modules").exists(),
    reason="no node here, or no npm to fetch its msgpack with",
)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize("case", CASES)
def test_a_client_from_npm(served, case, kind):
    server = served()
    address = server.socket if kind == "unix" else server.port
    command = ["node", CLIENT, PARTS, str(address), server.api_key, case]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
