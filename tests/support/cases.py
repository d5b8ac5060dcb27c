# SPDX-License-Identifier: Apache-2.0
"""Counts the cases of a test script and ends it with `cases: N passed, N failed`."""

import subprocess
import sys

TIMEOUT_S = 600


class Cases:
    """A case is a block `with cases.case("what holds"):`; what is raised in it is its failure."""

    def __init__(self):
        self.passed = self.failed = 0
        self.name = ""

    def case(self, name):
        self.name = name
        return self

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _traceback):
        if kind is None:
            self.passed += 1
        elif issubclass(kind, Exception):
            self.failed += 1
            print(f"--- {self.name}:\n{error or kind.__name__}", flush=True)
        else:
            return False
        return True

    def finish(self):
        print(f"cases: {self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed or not self.passed else 0)


def expect(holds, why):
    if not holds:
        raise AssertionError(why)


def run(*command, env=None, cwd=None, timeout=TIMEOUT_S):
    """The output of a command; what it said, as an error, when it fails or hangs."""
    command = [str(part) for part in command]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            env=env,
            cwd=cwd,
            timeout=timeout,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AssertionError(f"{' '.join(command)}: {error}") from error
    expect(
        done.returncode == 0,
        f"{' '.join(command)}\n    exit status {done.returncode}\n{done.stdout}",
    )
    return done.stdout
