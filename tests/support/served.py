# SPDX-License-Identifier: Apache-2.0
"""A `lynse serve` on a free port and a folder that vanishes, as a context."""

import pathlib
import subprocess
import tempfile

from listening import wait_for_port


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
        self.port = wait_for_port(self.process, self.log)
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=15)
        finally:
            self.process.kill()
            self._folder.cleanup()
