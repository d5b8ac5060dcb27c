# SPDX-License-Identifier: Apache-2.0
"""The program as an operator sees it: its options, its log as objects, its exit status.

LYNSE_PROGRAM says which one; without, it is build/release/bin/lynse.  Over HTTP it is asked by
Python's own client, by msgpack-RPC with `lynse call`.
"""

import http.client
import json
import os
import pathlib
import queue
import signal
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("LYNSE_PROGRAM", str(ROOT / "build" / "release" / "bin" / "lynse"))
BEGIN_S = 20


def clean_environment(more=None):
    """Ours without what would set options, and with `more`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LYNSE_") and k != "PORT"}
    return {**kept, **(more or {})}


def run(*arguments, env=None, timeout=30, stdin=""):
    """The program to its end: status, stdout and stderr as text."""
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        env=clean_environment(env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


class Server:
    """`lynse serve` on a free port, with all lines of its log."""

    def __init__(self, *options, env=None, data_dir):
        self.lines = []
        self.events = queue.Queue()
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--port", "0", "--data-dir", str(data_dir), *map(str, options)],
            env=clean_environment(env),
            stderr=subprocess.PIPE,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.port = self.wait_for("listening").get("port")

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            try:
                self.events.put(json.loads(line))
            except ValueError:
                self.events.put({"event": "not JSON", "text": line})
        self.events.put(None)

    def wait_for(self, event, timeout=BEGIN_S):
        """The next line of that event."""
        until = time.monotonic() + timeout
        while True:
            line = self.events.get(timeout=max(0.01, until - time.monotonic()))
            if line is None:
                raise AssertionError(f"no '{event}' in the log:\n{''.join(self.lines)}")
            if line["event"] == event:
                return line

    def request(self, method, path, body=None, headers=None):
        """Status and body of one HTTP request; a body that is no bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def post(self, path, **params):
        status, body = self.request("POST", path, params)
        assert status == 200, body
        return json.loads(body)["params"]

    def call(self, *arguments, key=None, timeout=30, stdin=""):
        """`lynse call`, by msgpack-RPC."""
        env = {"LYNSE_URL": f"lynse://127.0.0.1:{self.port}"}
        if key:
            env["LYNSE_API_KEY"] = key
        return run("call", *arguments, env=env, timeout=timeout, stdin=stdin)

    def stop(self, signal_number=signal.SIGTERM, timeout=15):
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        status = self.process.wait(timeout)
        self.reader.join(timeout)
        return status
