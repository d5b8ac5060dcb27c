# SPDX-License-Identifier: Apache-2.0
"""A server of our own: `lynse serve` on a port that the system chooses, and on a socket."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_S = 30
STOP_S = 30
LISTENING = re.compile(r'listening.*?\bport"?[=:] ?"?(\d+)')


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
        self.port = self._wait_for_port()

    def _wait_for_port(self):
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            found = LISTENING.search(self.log.read_text())
            if found:
                return int(found[1])
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        self.process.kill()
        raise RuntimeError(f"lynse serve did not come up:\n{self.log.read_text()}")

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
