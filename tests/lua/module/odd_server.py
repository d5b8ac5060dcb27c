# SPDX-License-Identifier: Apache-2.0
"""odd_server.py SOCKET UPSTREAM STEP...: stands between a client and a server, and does with each
request what its step says; those that come after the last step do the last one again.

    pass          the server's answer
    lose          the server gets it, and its answer is thrown away with the connection
    close         nobody gets it, and the connection is closed
    silent        nobody gets it, and nobody answers
    say:HEX       this answer, in which nn is the request's number
    drip:HEX      the same, a byte at a time
    end:HEX       the same, and the end of the connection
    mangle:SEED   the server's answer with bytes changed, doubled or cut off; then the end
"""

import random
import socket
import sys

READ_BYTES = 1 << 20


def answer_of(upstream, request):
    upstream.sendall(request)
    return upstream.recv(READ_BYTES)


def mangled(answer, chance):
    data = bytearray(answer)
    for _ in range(chance.randint(0, 4)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    if chance.random() < 0.3:
        start = chance.randrange(len(data))
        data[start:start] = data[start : start + chance.randint(1, 64)]
    if chance.random() < 0.3:
        del data[chance.randrange(len(data)) :]
    return bytes(data)


def serve(client, upstream, step, request, chance):
    """Whether the connection goes on."""
    kind, _, detail = step.partition(":")
    if kind in ("say", "drip", "end"):
        answer = bytes.fromhex(detail.replace("nn", f"{request[2]:02x}"))
        size = 1 if kind == "drip" else len(answer) or 1
        for start in range(0, len(answer), size):
            client.sendall(answer[start : start + size])
        return kind != "end"
    if kind in ("silent", "close"):
        return kind == "silent"
    answer = answer_of(upstream, request)
    if kind == "pass":
        client.sendall(answer)
    elif kind == "mangle":
        client.sendall(mangled(answer, chance))
    return kind == "pass"


def main():
    path, upstream_path, *steps = sys.argv[1:]
    seed = next((s.partition(":")[2] for s in steps if s.startswith("mangle:")), "0")
    chance = random.Random(int(seed))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        print("ready", flush=True)
        while True:
            client, _ = listening.accept()
            with client, socket.socket(socket.AF_UNIX) as upstream:
                upstream.connect(upstream_path)
                while request := client.recv(READ_BYTES):
                    step = steps.pop(0) if len(steps) > 1 else steps[0]
                    try:
                        if not serve(client, upstream, step, request, chance):
                            break
                    except OSError:  # the client has gone away
                        break


main()
