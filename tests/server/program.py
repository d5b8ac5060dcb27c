# SPDX-License-Identifier: Apache-2.0
"""The program `lynse serve`, started for a test, and the two protocols as plainly as they can be.

`Program` starts it on a free port and a Unix socket; LYNSE_PROGRAM names the program, which is
else that of the release build.  `Rpc` and `http` are what an attacker would write: no client of
ours is between the test and the socket.
"""

import itertools
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import threading
import time

import msgpack

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("LYNSE_PROGRAM", str(ROOT / "build/release/bin/lynse"))
# A sanitizer makes everything slower and larger: figures are asserted of the other builds alone.
IS_SANITIZED = "asan" in PROGRAM or "tsan" in PROGRAM


class Closed(Exception):
    """The server closed the connection."""


class Program:
    """A server; stderr is kept as lines."""

    def __init__(self, folder, *arguments, files=None):
        self.folder = pathlib.Path(folder)
        self.socket_path = str(self.folder) + ".sock"
        self.lines = []
        command = [
            PROGRAM,
            "serve",
            "--data-dir",
            str(folder),
            "--port",
            "0",
            "--socket",
            self.socket_path,
            *arguments,
        ]
        limit = (
            (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
        )
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, preexec_fn=limit)
        self.port = self._read_port()
        self.reader = threading.Thread(target=self._read_lines, daemon=True)
        self.reader.start()

    def _read_port(self):
        for line in self.process.stderr:
            self.lines.append(line.decode())
            found = re.search(r'listening.*port"?[=:] ?(\d+)', self.lines[-1])
            if found:
                return int(found.group(1))
        raise AssertionError(f"the server did not start: {''.join(self.lines)}")

    def _read_lines(self):
        for line in self.process.stderr:
            self.lines.append(line.decode())

    def connect(self, timeout=20):
        s = socket.create_connection(("127.0.0.1", self.port), timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def rpc(self, timeout=20):
        return Rpc(self.connect(timeout))

    def stop(self, timeout=60):
        """SIGTERM; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout)
        self.reader.join(10)
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(10)

    def status(self, key):
        """A field of /proc/PID/status, in its unit."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{key}:\s+(\d+)", text, re.M).group(1))

    def cpu_ticks(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = text.rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
                raise


class Rpc:
    """msgpack-RPC by hand, on a connected socket."""

    def __init__(self, s):
        self.socket = s
        self.unpacker = msgpack.Unpacker(strict_map_key=False, max_buffer_size=1 << 30)
        self.numbers = itertools.count(1)

    def send(self, method, **params):
        number = next(self.numbers) & 0xFFFFFFFF
        self.socket.sendall(msgpack.packb([0, number, method, params]))
        return number

    def read(self):
        """The next answer: (number, error, result)."""
        while True:
            for message in self.unpacker:
                assert message[0] == 1 and len(message) == 4, message
                return message[1], message[2], message[3]
            chunk = self.socket.recv(1 << 16)
            if not chunk:
                raise Closed
            self.unpacker.feed(chunk)

    def call(self, method, **params):
        """The result; an error raises RpcError."""
        number = self.send(method, **params)
        answered, error, result = self.read()
        assert answered == number
        if error is not None:
            raise RpcError(*error)
        return result

    def close(self):
        self.socket.close()


class RpcError(Exception):
    """An error of the server's table."""

    def __init__(self, code, text, more):
        super().__init__(f"{more.get('name')}: {text}")
        self.code, self.text, self.name = code, text, more.get("name")


def http_bytes(method, path, body=b"", *headers):
    head = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body or method == "POST":
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + body


def read_response(s, kept=b""):
    """(status, headers, body, what came behind); raises Closed."""
    while b"\r\n\r\n" not in kept:
        chunk = s.recv(1 << 16)
        if not chunk:
            raise Closed(kept)
        kept += chunk
    head, kept = kept.split(b"\r\n\r\n", 1)
    first, *lines = head.decode().split("\r\n")
    status = int(first.split()[1])
    headers = {n.lower(): v.strip() for n, v in (line.split(":", 1) for line in lines)}
    size = 0 if status == 100 else int(headers.get("content-length", 0))
    while len(kept) < size:
        chunk = s.recv(1 << 16)
        if not chunk:
            raise Closed(kept)
        kept += chunk
    return status, headers, kept[:size], kept[size:]


def http(s, method, path, params=None):
    """One request: (status, answer as JSON)."""
    body = b"" if params is None else json.dumps(params).encode()
    s.sendall(http_bytes(method, path, body, "Content-Type: application/json"))
    status, _, answer, _ = read_response(s)
    return status, json.loads(answer) if answer else None


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to be in time"
        time.sleep(0.02)
