# SPDX-License-Identifier: Apache-2.0
"""recovery_disk.py: the disk and the log of the model in recovery_model.py, which says how to read
it; and the oracle that knows what was promised."""

import zlib

OFF = {"never"}  # rules switched off


def on(rule):
    return rule not in OFF


def crc(*x):
    return zlib.crc32(repr(x).encode())


class Corrupt(Exception):
    pass  # the engine refuses read-write, says so


class Bug(Exception):
    pass  # the oracle is not content


# ---- file system ----
class FS:
    """files[ino] = (disk cells, pending writes); dirs[d] = (disk names, pending name changes); all
    copy-on-write."""

    def __init__(s):
        s.files, s.dirs, s.next, s.pins, s.hook = {}, {"/": ({}, ())}, 1, frozenset(), None

    def copy(s):
        n = FS.__new__(FS)
        n.files, n.dirs, n.next, n.pins, n.hook = dict(s.files), dict(s.dirs), s.next, s.pins, None
        return n

    def key(s):
        return hash(
            (
                tuple(sorted((i, tuple(sorted(d.items())), p) for i, (d, p) in s.files.items())),
                tuple(sorted((n, tuple(sorted(d.items())), p) for n, (d, p) in s.dirs.items())),
                s.pins,
            )
        )

    def done(s):  # one operation has returned: a crash may come here
        if s.hook:
            s.hook()

    def fresh(s):
        s.next += 1
        return s.next

    def names(s, d):
        disk, pend = s.dirs[d]
        now = dict(disk)
        for n, ino in pend:
            now[n] = ino
        return {n: i for n, i in now.items() if i is not None}

    def read(s, d, n):
        ino = s.names(d).get(n)
        if ino is None:
            return None
        disk, pend = s.files[ino]
        return {**disk, **dict(pend)}

    def _name(s, d, *changes):
        s.dirs[d] = (s.dirs[d][0], s.dirs[d][1] + changes)

    def create(s, d, n):
        i = s.fresh()
        s.files[i] = ({}, ())
        s._name(d, (n, i))
        s.done()

    def write(s, d, n, at, *cells):
        i = s.names(d)[n]
        disk, pend = s.files[i]
        s.files[i] = (disk, pend + tuple((at + k, c) for k, c in enumerate(cells)))
        s.done()

    def fsync(
        s, d, n, upto=None
    ):  # data and size, not the name (R11); upto: what was pending when it began
        i = s.names(d)[n]
        disk, pend = s.files[i]
        s.files[i] = ({**disk, **dict(pend[:upto])}, pend[upto:] if upto is not None else ())
        s.done()

    def pending(s, d, n):
        return len(s.files[s.names(d)[n]][1])

    def rename(s, d, a, b):
        s._name(d, (b, s.names(d)[a]), (a, None))
        s.done()

    def unlink(s, d, n):
        s._name(d, (n, None))
        s.done()

    def fsync_dir(s, d):
        s.dirs[d] = (s.names(d), ())
        s.done()

    def mkdir(s, d):
        s.dirs[d] = ({}, ())
        s._name("/", (d, "dir"))
        s.done()

    def rmdir(s, d):
        assert not s.names(d)
        s._name("/", (d, None))
        s.done()

    def atoms(s):  # everything that a power cut may keep or lose, oldest first
        return [("f", i, w) for i, (_, p) in sorted(s.files.items()) for w in p] + [
            ("d", d, c) for d, (_, p) in sorted(s.dirs.items()) for c in p
        ]

    def cut(s, keep):  # the disk after a power cut that kept these atoms
        n = FS()
        n.next, n.pins = s.next, frozenset()
        files = {i: dict(d) for i, (d, _) in s.files.items()}
        dirs = {d: dict(x) for d, (x, _) in s.dirs.items()}
        for kind, where, (k, v) in keep:
            (files if kind == "f" else dirs)[where][k] = v
        dirs = {
            d: {k: v for k, v in x.items() if v is not None}
            for d, x in dirs.items()
            if d == "/" or dirs["/"].get(d)
        }
        used = {i for x in dirs.values() for i in x.values()}
        n.files = {i: (c, ()) for i, c in files.items() if i in used}
        n.dirs = {d: (x, ()) for d, x in dirs.items()}
        return n


# ---- oracle ----
class Oracle:
    def __init__(s, mode):
        s.mode, s.log, s.acked, s.durable, s.vouched, s.alive = mode, (), 0, 0, 0, "live"

    def copy(s):
        n = Oracle(s.mode)
        n.__dict__.update(s.__dict__)
        return n

    def key(s):
        return (s.mode, s.log, s.acked, s.durable, s.vouched, s.alive)

    def restorable(
        s, ident
    ):  # the newest version of an id, if that is dead: what a restore has to revive
        newest, alive = 0, False
        for lsn, ops in enumerate(s.log, 1):
            for op in ops:
                if op[1] == ident:
                    newest, alive = (lsn, True) if op[0] == "put" else (newest, op[0] == "res")
        return None if alive or not newest else newest

    def state(s, m):
        live, version = {}, {}
        for lsn, ops in enumerate(s.log[:m], 1):
            for op in ops:
                if op[0] == "put":
                    live[op[1]] = version[op[1], lsn] = op[2]
                elif op[0] == "del":
                    live.pop(op[1], None)
                else:
                    live[op[1]] = version[op[1], op[2]]
        return live

    def crash(s, power):
        n = s.copy()
        if power or s.mode == "none":
            n.acked = n.durable
        return n


# ---- WAL ----
REC0, BLOCK, FIRST, MAX = (
    4,
    2,
    2,
    4,
)  # header copies in cells 0 and 2 (4 KiB apart), records from cell 4


def header(cells):
    """R3a: two copies, each with its own checksum; one bad copy is survived, two bad or two
    different are damage."""
    got = [c for c in (cells.get(0), cells.get(2)) if type(c) is tuple and c[0] == "H"]
    if len(set(got)) != 1 or (not on("one header") and cells.get(0) != got[0]):
        raise Corrupt("WAL header")
    return dict(zip(("uuid", "seq", "first", "prev_uuid", "prev_last", "prev_crc"), got[0][1:]))


def record_at(cells, pos, salt):
    """R2: a record is whole, of this salt and its CRC right; fields lsn prev durable end ops."""
    c = cells.get(pos)
    if type(c) is not tuple or c[0] != "R" or c[1] != salt or c[2] != 0:
        return None
    if any(cells.get(pos + k) != (*c[:2], k, *c[3:]) for k in range(1, c[3])):
        return None
    return dict(zip(("n", "lsn", "prev", "durable", "end", "ops", "crc"), c[3:]))


def scan(cells):
    """Walk the chain: complete groups, last LSN and CRC of a group, next free cell, highest
    durable_lsn vouched."""
    h = header(cells)
    out, lsn, last, prev, pos, cur = [], h["first"] - 1, 0, 0, REC0, []
    while (r := record_at(cells, pos, h["uuid"])) and (r["prev"] == prev or not on("R2 chain")):
        if r["ops"] != "mark":
            if r["lsn"] != lsn + 1:
                break
            cur += r["ops"]
            if r["end"] or not on("GROUP_END"):
                lsn, last = lsn + 1, r["crc"]
                out.append((lsn, tuple(cur)))
                cur = []
                if not r["end"]:
                    lsn -= 1
        prev, pos = r["crc"], pos + r["n"]
    vouch = max(
        (r["durable"] for p in cells if p >= REC0 and (r := record_at(cells, p, h["uuid"]))),
        default=0,
    )
    return dict(h, groups=out, last=lsn, last_crc=last, vouch=vouch, pos=pos, chain=prev)
