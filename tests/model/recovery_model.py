#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Executable model of what docs/DURABILITY.md promises; rules R1-R14 and L4 are cited where they
act.

How to read it.  `FS` (recovery_disk.py) is a disk with a page cache: files are cells (a cell is
what a power cut tears, 512 B), two cells make a block (what media damage hits, 4 KiB); data and
names are pending until fsync(file) / fsync(dir).  A *kill* keeps the cache.  A *power cut* keeps
any subset of the pending cell writes and of the pending name changes; a rename is two name changes
(link the new name, unlink the old one), so that both or neither name may survive (R11).  A crash
may come after every operation, in recovery too, and again after that.
`Db` (recovery_engine.py) is one root (catalog) with one collection (manifest, WAL chain, segments,
delete maps) and follows the rules literally.  A CRC is a crc32 of the record's fields, so that
equal records have equal CRCs, as on a real disk.
`Oracle` knows every group submitted and what was promised: `acked` = lowest LSN that the next
recovery must reach, `durable` = the same after a power cut, `vouched` = what must even survive one
damaged block or be reported.
`explore` runs a history, forks at every crash point into all images, recovers, checks, and goes on
with the rest of the history from there, up to `fails` crashes in a row.  `MUTANTS` switch one rule
off (names in OFF); those that start with "text:" are readings that an earlier wording of the rules
allowed and the model refutes.  So the model assumes:
  R3   the mark starts a new 4 KiB block, every file keeps room for it; close() leaves nothing
       unvouched (mark or manifest)
  R3b  recovery fsyncs root, collection directory and WALs before it removes a file, publishes a
       view, names a successor
  R4   the header is synced, file and directory, before the file's first record in every mode, `os`
       first file included
  R6   the manifest carries durable_lsn = the highest LSN in anything it names; WAL synced to that;
       no automatic fallback
  none close() and leaving the mode flush; a manifest then has all maps complete to exactly F and
       retires every WAL
  seal a row is left out only if it is dead and a newer version of its id is sealed with it: the
       newest version is kept, dead or not, so that restore finds it after a flush, too; a
       restore's record names the version that it revives
  L4   a reader goes on only if the newest epoch IS the pinned one; its bound counts manifest and
       WAL headers too
  R14  a dropped collection leaves the list only after rmdir and fsync(root)
Not modelled: EIO/ENOSPC, CRC collisions, two seals at once, merges, request_id dedupe, snapshots,
pins of a dropped collection.
"""
# ruff: noqa: B023, B904, UP031

import argparse
import itertools
import random
import sys
import time

from recovery_disk import BLOCK, FS, OFF, REC0, Bug, Corrupt, Oracle, on, scan
from recovery_engine import D, Db, body, newest, num


# ---- L4: reader beside a live writer ----
def reader(fs, o):
    """A generator: every yield is a point where the writer may run.  Returns (LSN shown, state
    shown)."""
    while True:
        e = newest(fs, D, "manifest-")
        yield
        fs.pins |= {e}
        yield  # pin first,
        e2 = newest(fs, D, "manifest-")  # then look again
        if e2 == e or (
            not on("text: retry only if the epoch is gone") and "manifest-%d" % e in fs.names(D)
        ):
            break
        fs.pins -= {e}
        yield
    yield
    r = Db(fs, o)
    m = body(fs.read(D, "manifest-%d" % e))
    if not m:
        raise Bug("reader: its manifest is gone")
    r.flushed, r.segs = m[2], []
    for x in m[4]:
        yield
        if not (g := r.segment(x)):
            raise Bug("reader: a pinned file is gone")
        r.segs.append(g)
    r.empty()
    files, low = [], min([m[2]] + [g["map_lsn"] for g in r.segs])
    for q in sorted(
        num(n) for n in fs.names(D) if n.startswith("wal-") and num(n) >= m[3]
    ):  # list, then read upwards
        yield
        if not (c := fs.read(D, "wal-%d" % q)):
            raise Bug("reader: a pinned WAL is gone")
        files.append(scan(c))
    bound = max(
        [m[5] if on("text: reader bound from records only") else 0]
        + [w["vouch"] for w in files]
        + [w["prev_last"] for w in files]
    )
    if not on("reader bound"):
        bound = 10**9
    for i, w in enumerate(files):
        if w["first"] > low + 1 if i == 0 else w["prev_last"] != files[i - 1]["last"]:
            raise Bug("reader: gap")
        for lsn, ops in w["groups"]:
            if lsn <= bound:
                r.applied = lsn
                for op in ops:
                    r.apply(lsn, op, replay=True)
    shown = max(r.flushed, r.applied)
    fs.pins -= {e}
    return shown, r.view()


def readers(first, then, mode="always", limit=4000, seed=0):
    """Every (or a sample of) placement of the reader's steps between the writer's operations."""

    def start():
        fs, o = fresh_root(mode)
        db = Db(fs, o).open()
        for w in first:
            db.do(w)
        return fs, o, db

    fs, o, db = start()
    count = [0]
    fs.hook = lambda: count.__setitem__(0, count[0] + 1)
    for w in then:
        db.do(w)
    n, rng, runs, seen = count[0], random.Random(seed), 0, set()
    while runs < limit:
        points = rng.sample(range(n + 1), rng.randrange(1, 6))  # the reader runs in a few bursts
        plan = tuple(sorted(rng.choice(points) for _ in range(12)))
        runs += 1
        if plan in seen:
            continue
        seen.add(plan)
        fs, o, db = start()
        r, k, res = reader(fs, o), [0], []

        def step():
            for p in plan:
                if p == k[0] and not res:
                    advance()
            k[0] += 1

        def advance():
            fs.hook = None
            try:
                next(r)
            except StopIteration as e:
                res.append(e.value)
                judge(e.value)
            fs.hook = step

        def judge(v):
            if v[1] != o.state(v[0]):
                raise Bug("reader: %r is not the state at LSN %d" % (v[1], v[0]))
            if mode == "always" and v[0] > o.durable:
                raise Bug("reader shows LSN %d, durable is %d (P3)" % (v[0], o.durable))

        try:
            fs.hook = step
            step()
            for w in then:
                db.do(w)
            while not res:
                advance()
        except (Bug, Corrupt) as e:
            raise Bug(
                "%s; first %s, then %s with reader steps after operations %s"
                % (e, " ".join(first), " ".join(then), plan)
            )
    return len(seen)


# ---- explorer ----
def fresh_root(mode, created=True):
    fs, o = FS(), Oracle(mode)
    db = Db(fs, o)
    db.cat = 0
    db.live = False
    db.catalog((), ())
    if created:
        db.create()
    else:
        o.alive = "none"
    fs.fsync_dir("/")
    return fs, o


def images(fs, limit, rng):
    """A kill, and the power cuts: all subsets of up to `limit` pending atoms, else the classic
    ones and some by chance."""
    yield "kill", fs.copy()
    a = fs.atoms()
    n = len(a)
    if n <= limit:
        masks = range(1 << n)
    else:
        full = (1 << n) - 1
        masks = (
            {0, full}
            | {(1 << k) - 1 for k in range(n)}
            | {1 << k for k in range(n)}
            | {full ^ 1 << k for k in range(n)}
        )
        masks |= {rng.getrandbits(n) for _ in range(6)}
        masks = sorted(masks)
    for mask in masks:
        yield "cut %s" % bin(mask), fs.cut([x for k, x in enumerate(a) if mask >> k & 1])


def leaks(db):
    root = {"catalog-%d" % db.cat} | ({D} if db.live else set())
    if set(db.fs.names("/")) - root:
        raise Bug("leak in the root: %s" % (set(db.fs.names("/")) - root))
    if db.live:
        ok = {"manifest-%d" % db.epoch, "manifest-%d" % (db.epoch - 1), db.spare} | {
            "wal-%d" % w[0] for w in db.wals
        }
        ok |= {n for g in db.segs for n in ("seg-%d.rows" % g["uuid"], g["mapfile"])}
        if set(db.fs.names(D)) - ok:
            raise Bug("leak: %s" % (set(db.fs.names(D)) - ok))


def media_damage(fs, o, stats):
    """One damaged block, in any file: reported, or harmless above what is vouched for (the blind
    spot is counted)."""
    if D not in fs.names("/") or o.alive != "live":
        return
    Db(fs.copy(), o.crash(False)).open()  # without damage it opens
    for n in fs.names(D):
        cells = fs.read(D, n)
        blocks = [(b, b + 1) for b in range(0, max(cells, default=0) + 1, BLOCK)] + (
            [tuple(cells)] if n.startswith("manifest-") else []
        )
        for b in blocks:
            f, p = fs.copy(), o.copy()
            ino = f.names(D)[n]
            f.files[ino] = ({k: "X" if k in b else v for k, v in cells.items()}, ())
            p.acked = min(p.acked, p.vouched)
            stats["damage"] += 1
            try:
                db = Db(f, p).open()
            except Corrupt:
                if b[0] < REC0 and len(b) == BLOCK and n[:3] in ("wal", "man"):
                    raise Bug("one of two copies bad, not survived: " + n)
                stats["reported"] += 1
                continue
            except Bug as e:
                raise Bug("damage of %s block %s: %s" % (n, b, e))
            stats["blind"] += db.applied < o.acked


def explore(words, mode, fails, limit=6, seed=0, budget=10**9, stats=None, created=True):
    """Breadth first over the number of crashes, so that the first history found is a short one."""
    stats = stats if stats is not None else new_stats()
    rng, level, seen = random.Random(seed), [], set()
    fs, o = fresh_root(mode, created)
    level = [(fs, o, 0, ())]
    for depth in range(fails + 1):
        coming = []
        if len(level) > budget:
            level = rng.sample(level, budget)
        for fs0, o0, i, trace in level:
            fs, o = fs0.copy(), o0.copy()
            at = [i]

            def hook():
                if depth < fails:
                    base = fs.key(), o.key(), at[0]
                    if base in seen:
                        return
                    seen.add(base)
                    for name, img in images(fs, limit, rng):
                        q = o.crash(power=name != "kill")
                        key = (img.key(), q.key(), at[0], name == "kill")
                        if key in seen:
                            continue
                        seen.add(key)
                        coming.append(
                            (
                                img,
                                q,
                                at[0],
                                (*trace, (words[at[0] - 1] if at[0] > i else "recovery", name)),
                            )
                        )

            try:
                stats["runs"] += 1
                fs.hook = hook
                db = Db(fs, o).open()
                fs.hook = None
                if trace:
                    if o.alive == "live" and not db.live:
                        raise Bug("the collection is gone")
                    if o.alive == "gone" and db.live:
                        raise Bug("a dropped collection is back")
                if o.alive == "dropping":
                    o.alive = "live" if db.live else "gone"
                leaks(db)
                for j in range(i, len(words)):
                    at[0] = j + 1
                    fs.hook = hook
                    db.do(words[j])
                    hook()
                    fs.hook = None
                    if db.live and db.view() != o.state(db.applied):
                        raise Bug("the live view is wrong after " + words[j])
                    if depth <= 1 and o.alive != "none" and (depth == 0 or rng.random() < 0.05):
                        media_damage(fs, o, stats)
                fs.hook = hook
                hook()
                fs.hook = None
                db = Db(fs, o.crash(False)).open()
                leaks(db)
            except (Bug, Corrupt) as e:
                raise Bug(
                    "%s: %s | %s | %s | crashes: %s"
                    % (
                        type(e).__name__,
                        e,
                        mode,
                        " ".join(words),
                        "; ".join("during %s, %s" % t for t in trace) or "none",
                    )
                )
        level = coming
    stats["states"] += len(seen)
    return stats


def new_stats():
    return {"runs": 0, "states": 0, "damage": 0, "reported": 0, "blind": 0, "readers": 0}


HISTORIES = [
    h.split()
    # w:a1 = put a=1; -a delete; +a restore; , one group; | one batch; W two-cell records
    for h in (
        "w:a1 w:b2",
        "w:a1|b2|c3 w:d4",
        "w:a1,b2 w:c3",
        "W:a1 w:b2 w:c3",
        "w:a1 mark w:b2 close w:c3",
        "w:a1 sync w:b2 w:c3 w:d4",
        "w:a1 ckpt w:b2",
        "w:a1 seal w:b2 seal",
        "w:a1,b2 seal w:-a seal w:c3",
        "w:a1,b2 seal w:-a seal0 ckpt w:+a",
        "w:a1,b2 freeze w:-a w:c3 seal w:d4",
        "w:a1,b2 w:-a freeze w:+a w:c3 seal w:d4",
        "w:a1,b2 seal w:-a freeze w:+a seal",
        "w:a1 w:a2 w:a3 ckpt w:a4",
        "w:a1,b2 w:c3 ckpt w:d4,e5 w:f6 ckpt w:g7",
        "w:a1 w:b2 drop",
        "w:a1 ckpt w:b2 drop",
        "w:a1,b2 seal w:a3 seal0 w:b4 seal0 ckpt",
        "w:a1 w:a1 w:a1",
        "w:a1,b2 seal w:c3,d4 freeze w:-c w:-a seal w:e5",
        "close ckpt w:a1 close",
        "w:a1|b2 w:a1",
        "w:a1 w:-a w:a2|+a w:-a|+a",
        "w:a1 close close w:b2 w:c3 ckpt",
        "w:a1 mode:none w:b2 seal mode:always w:c3",
        "w:a1 ckpt mode:none w:b2 mode:always w:c3",
        "w:a1 sync0 w:b2 sync1 w:c3",
        "w:a1 w:a2 seal w:b3",
        "w:a1 sync mark w:b2 mark sync w:c3 close w:d4",
    )
]
MODES = "always", "interval", "os", "none"
READS = [
    (["w:a1,b2"], ["w:c3", "ckpt"]),
    (["w:a1,b2", "seal", "w:-a"], ["w:c3", "ckpt", "w:d4"]),
    (["w:a1,b2", "freeze", "w:-a"], ["seal", "w:e5", "ckpt"]),
    (["w:a1,b2", "seal"], ["w:c3|d4", "w:e5|f6", "ckpt"]),
]


def suite(fails, limit, budget, seed=0, log=None):
    stats = new_stats()
    for first, then in READS:
        stats["readers"] += readers(first, then, limit=1500, seed=seed)
    for f in range(1, fails + 1):
        for words, mode in itertools.product(HISTORIES, MODES):
            explore(words, mode, f, limit, seed, budget, stats if f == fails else new_stats())
            if log and limit > 6 and f == fails and mode == MODES[-1]:
                log("%-60s %s" % (" ".join(words), stats))
        for mode in MODES[:1]:
            explore(["create", "w:a1", "drop"], mode, f, limit, seed, budget, stats, created=False)
        if log:
            log("crashes in a row: %d done, %s" % (f, stats))
    return stats


def random_history(rng, n):
    words = []
    for k in range(n):

        def op():
            return rng.choice(
                [
                    "%s%d" % (rng.choice("abc"), k),
                    "%s%d" % (rng.choice("abc"), k),
                    "-" + rng.choice("abc"),
                    "+" + rng.choice("abc"),
                ]
            )

        words.append(
            rng.choice(
                ["w:" + op()] * 6
                + [
                    "w:%s|%s" % (op(), op()),
                    "w:a%d,b%d" % (k, k),
                    "W:c%d" % k,
                    "seal",
                    "seal0",
                    "freeze",
                    "sync0",
                    "sync1",
                    "ckpt",
                    "mark",
                    "sync",
                    "close",
                ]
            )
        )
    return words


MUTANTS = [
    "R1",
    "dirsync WAL",
    "dirsync segment",
    "dirsync manifest",
    "dirsync catalog",
    "R10",
    "segment sync",
    "manifest sync",
    "header sync",
    "tmp name",
    "R3a",
    "R3b",
    "R3 vouch",
    "R3 new file",
    "R2 chain",
    "R8 salt",
    "R4a",
    "GROUP_END",
    "early ack",
    "early view",
    "overlay",
    "manifest before segment",
    "R6 sync",
    "early unlink",
    "retire before maps",
    "map starts at F",
    "cleanup after dirsync",
    "R7 pins",
    "reader bound",
    "text: fallback if the WALs show no gap",
    "one header",
    "one body",
    "drop through catalog",
    "text: R3b without the root",
    "text: dropped until gone, root not fsynced",
    "text: os first file without sync",
    "text: os first file without dirsync",
    "text: WAL synced to F only",
    "text: none, late deletes",
    "text: none, maps may lag",
    "text: close without flush in none",
    "text: mark beside the last record",
    "text: deleted rows left out",
    "text: durable as of the end of the sync",
    "text: close after recovery vouches for nothing",
    "text: none, WAL kept",
    "text: leaving none without flush",
    "text: retry only if the epoch is gone",
    "text: reader bound from records only",
]
EQUIVALENT = {
    "R2 chain": "a salt is never written twice at one place and groups stop at the first bad cell, "
    "so that within one file the position proves the order; the chain guards against misdirected "
    "and lost writes, and against R3 new file being broken",
    "R8 salt": "old records of a recycled file have LSNs <= flushed_lsn < first, the LSN check "
    "stops there, what they vouch for is flushed",
}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--ops", type=int, default=8)
    p.add_argument("--seeds", type=int, default=20)
    p.add_argument("--first", type=int, default=0)
    p.add_argument("--exhaustive", action="store_true")
    p.add_argument("--mutants", action="store_true")
    p.add_argument("--fails", type=int, default=2)
    p.add_argument("--budget", type=int, default=1500)
    a = p.parse_args()
    t = time.time()

    def log(m):
        return print("[%6.1f s] %s" % (time.time() - t, m), flush=True)

    if a.mutants:
        alive = []
        for m in MUTANTS:
            OFF.add(m)
            try:
                suite(2, 6, 150)
                r = "equivalent: " + EQUIVALENT[m] if m in EQUIVALENT else "NOT FOUND"
                alive += [m] * (m not in EQUIVALENT)
            except Bug as e:
                r = "found: %s" % e
            OFF.discard(m)
            log("%-45s %s" % (m, r))
        return log("%d mutants, not found: %s" % (len(MUTANTS), alive)) or bool(alive)
    if a.exhaustive:
        log(suite(a.fails, 8, 10**9, log=log))
    else:
        log(suite(a.fails, 6, a.budget, log=log))
    total = new_stats()
    for seed in range(a.first, a.first + a.seeds):
        rng = random.Random(seed)
        explore(random_history(rng, a.ops), rng.choice(MODES), 3, 5, seed, 60, total)
    log("random: %s" % total)
    return None


if __name__ == "__main__":
    sys.exit(main())
