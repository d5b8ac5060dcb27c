# SPDX-License-Identifier: Apache-2.0
"""A server of our own: `lynse serve` on a port that the system chooses, and on a socket."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "support"))  # behind our own folder, which has a `served` too
from listening import wait_for_port  # noqa: E402

STOP_S = 30


def program():
    """The program lynse of the release build, or of LYNSE_PROGRAM."""
    return os.environ.get("LYNSE_PROGRAM", str(ROOT / "build/release/bin/lynse"))


class Served:
    """A running server with a key, and its folder."""

    api_key = "correct horse battery staple"

    def __init__(self, folder, is_trusted=False, options=()):
        self.folder = pathlib.Path(folder)
        self._sockets = pathlib.Path(tempfile.mkdtemp(prefix="lynse-"))  # a path that is short
        self.socket = self._sockets / "server"
        self.log = self.folder / "log.txt"
        self._options = [*options, *(["--trust-scripts"] if is_trusted else [])]
        self.start()

    def start(self):
        command = [
            program(), "serve", "--port", "0", "--data-dir", str(self.folder / "root"),
            "--socket", str(self.socket), "--api-key", self.api_key, *self._options,
        ]  # fmt: skip
        (self.folder / "root").mkdir(exist_ok=True)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
        self.port = wait_for_port(self.process, self.log)

    def uri(self, kind):
        return {
            "http": f"http://127.0.0.1:{self.port}",
            "rpc": f"lynse://127.0.0.1:{self.port}",
            "unix": f"unix:{self.socket}",
        }[kind]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """As an operator does; raises if the server does not end well."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            status = "did not end"
        shutil.rmtree(self._sockets, ignore_errors=True)
        if status != 0:
            text = self.log.read_text()[-2000:]
            raise RuntimeError(f"lynse serve: exit status {status}:\n{text}")
