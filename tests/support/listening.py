# SPDX-License-Identifier: Apache-2.0
"""When a `lynse serve` listens, and where, as its log tells."""

import pathlib
import re
import time

START_S = 30
LISTENING = re.compile(r'listening.*?\bport"?[=:]\s*"?(\d+)')


def wait_for_port(process, log):
    """The port of both protocols; without one the process is ended, and its log is the error."""
    log, deadline = pathlib.Path(log), time.monotonic() + START_S
    while time.monotonic() < deadline:
        found = LISTENING.search(log.read_text())
        if found:
            return int(found[1])
        if process.poll() is not None:
            break
        time.sleep(0.01)
    process.kill()
    process.wait()
    raise RuntimeError(f"lynse serve does not listen:\n{log.read_text()}")
