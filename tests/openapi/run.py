#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run schemathesis over the program's own /openapi.json: `run.py BUILD SCHEMATHESIS [EXAMPLES]`.

BUILD has bin/lynse; SCHEMATHESIS is the program.  Every route gets what its schema allows and what
it does not; no answer may be a 5xx that is not planned, have a status or a type that is not in the
document, or another shape than is said there.  Prints what failed, and how many routes did not.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from served import Served  # noqa: E402

CHECKS = (
    "no_unplanned_server_error,response_schema_conformance,status_code_conformance,"
    "content_type_conformance,unsupported_method"
)


def run_schemathesis(program, url, examples, folder):
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "checks", "PYTHONPATH": str(HERE)}
    return subprocess.run(
        [program, "run", f"{url}/openapi.json", "--phases=coverage,fuzzing", f"--checks={CHECKS}",
         f"--max-examples={examples}", "--seed=1"],
        cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False,
    )  # fmt: skip


def main():
    build, program = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
    examples = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    with tempfile.TemporaryDirectory() as folder, Served(build) as served:
        body = b'{"collection_name": "0", "dim": 1}'
        urllib.request.urlopen(f"{served.url}/required_collection", body).close()
        done = run_schemathesis(program, served.url, examples, folder)
        is_alive = served.process.poll() is None
    lines = [line[:300] for line in done.stdout.splitlines()]
    counted = re.search(r"Tested: (\d+)", done.stdout)
    routes = int(counted[1]) if counted else 0
    failed = len([line for line in lines if re.match(r"_+ [A-Z]+ /\S* _+$", line)])
    if done.returncode != 0 or not is_alive or not routes:
        print("\n".join(lines))
        failed = max(failed, 1)
    print(f"cases: {max(routes - failed, 0)} passed, {failed} failed")
    sys.exit(failed != 0)


main()
