# SPDX-License-Identifier: Apache-2.0
"""A `lynse serve` on a free port and a folder that vanishes, as a context."""

import pathlib
import re
import subprocess
import tempfile
import time


class Served:
    """`url` is where it is; `port` the port of both protocols; `log` the file of what it says."""

    def __init__(self, build, *options):
        self._program = pathlib.Path(build) / "bin" / "lynse"
        self._options = options
        self._folder = tempfile.TemporaryDirectory()
        self.log = pathlib.Path(self._folder.name) / "log"

    def __enter__(self):
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [self._program, "serve", "--data-dir", f"{self._folder.name}/data",
                 "--port", "0", *self._options],
                stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        self.port = self._wait_for_port()
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def _wait_for_port(self):
        for _ in range(600):
            said = self.log.read_text()
            found = re.search(r'listening.*?port"?[=:]\s*"?(\d+)', said)
            if found:
                return int(found[1])
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.process.kill()
        raise RuntimeError(f"lynse serve does not listen:\n{said}")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=15)
        finally:
            self.process.kill()
            self._folder.cleanup()
