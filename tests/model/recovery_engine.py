# SPDX-License-Identifier: Apache-2.0
"""recovery_engine.py: the engine of the model in recovery_model.py, which says how to read it."""
# ruff: noqa: UP031

from recovery_disk import BLOCK, FIRST, MAX, REC0, Bug, Corrupt, crc, header, on, scan

# ---- the engine ----
D = "c1"  # directory of the collection


def num(n):
    return int(n.split("-")[1])


def newest(fs, d, prefix):
    return max((num(n) for n in fs.names(d) if n.startswith(prefix)), default=0)


def body(cells):  # R6: whole small file, the body stands in it twice, each with a checksum
    two = ((cells or {}).get(0), (cells or {}).get(2) if on("one body") else 0)
    return next((c for c in two if type(c) is tuple and c[0] == "M"), None)


class Db:
    def __init__(s, fs, oracle):
        s.fs, s.o, s.mode = fs, oracle, oracle.mode

    # ---- root: catalog, drop (R10, R14)
    def publish_file(s, d, name, *cells, no_sync=None, no_dir=None):
        """R5/R6: tmp, write, fsync, rename, fsync(dir)"""
        t = "tmp-%d" % s.fs.fresh()
        s.fs.create(d, t)
        s.fs.write(d, t, 0, *cells)
        if on(no_sync):
            s.fs.fsync(d, t)
        s.fs.rename(d, t, name)
        if on(no_dir):
            s.fs.fsync_dir(d)

    def catalog(s, live, dropped):
        s.cat += 1
        b = ("M", live, dropped)
        s.publish_file("/", "catalog-%d" % s.cat, b, 0, b, no_dir="dirsync catalog")
        s.cleanup_root()

    def cleanup_root(s):
        for n in s.fs.names("/"):
            if n.startswith("tmp-") or (n.startswith("catalog-") and num(n) < s.cat):
                s.fs.unlink("/", n)

    def create(s):  # R10: the directory is durable before anything names it
        s.fs.mkdir(D)
        if on("R10"):
            s.fs.fsync_dir("/")
        s.epoch, s.flushed, s.wal_first, s.next_seq, s.segs = 0, 0, 1, 1, []
        s.manifest(0, 0, 1)
        s.catalog((D,), ())
        s.o.alive = "live"
        s.empty()
        s.live = True

    def drop(s):
        s.o.alive = "dropping"
        if on("drop through catalog"):
            s.catalog((), (D,))
        s.remove_dir()
        s.o.alive, s.live = "gone", False

    def remove_dir(s):
        if D in s.fs.names("/"):
            for n in s.fs.names(D):
                s.fs.unlink(D, n)
            s.fs.rmdir(D)
        if on("text: dropped until gone, root not fsynced"):
            s.fs.fsync_dir("/")  # R14: gone means durably gone
        s.catalog((), ())

    def open(s):
        s.cat = newest(s.fs, "/", "catalog-")
        b = body(s.fs.read("/", "catalog-%d" % s.cat))
        if not b:
            raise Corrupt("catalog")
        if on("text: R3b without the root"):
            s.fs.fsync_dir("/")  # R3b: what the cache shows is durable before acting on it
        s.cleanup_root()
        s.live = D in b[1]
        if s.live and D not in s.fs.names("/"):
            raise Corrupt("collection directory")
        if D in b[2] or (
            not s.live
            and D in s.fs.names("/")
            and not any(n[:4] in ("seg-", "wal-") for n in s.fs.names(D))
        ):
            s.remove_dir()
        if s.live:
            s.recover()
        return s

    # ---- recovery of the collection
    def empty(s):
        s.tail, s.dead, s.job, s.spare, s.wal, s.wals = {}, set(), None, None, None, []
        s.applied = s.durable = s.flushed
        s.prev = (0, s.flushed, 0)
        s.begun = None

    def load_manifest(s):
        m = None
        for e in sorted((num(n) for n in s.fs.names(D) if n.startswith("manifest-")), reverse=True):
            b = body(s.fs.read(D, "manifest-%d" % e))
            m = b if b and all(s.segment(x) for x in b[4]) else None
            if m or on("text: fallback if the WALs show no gap"):
                break  # R6: right or CORRUPT
        if not m:
            raise Corrupt("manifest")
        return m

    def segment(s, x):
        uuid, mapfile, map_lsn = x
        c = s.fs.read(D, "seg-%d.rows" % uuid)
        if not c or c.get(1) != crc(c.get(0)):
            return None
        dead = ()
        if mapfile:
            k = s.fs.read(D, mapfile)
            if not k or type(k.get(0)) is not tuple or k[0][0] != "D":
                return None
            dead = k[0][1]
        return {
            "uuid": uuid,
            "rows": dict(c[0]),
            "dead": set(dead),
            "saved": set(dead),
            "mapfile": mapfile,
            "map_lsn": map_lsn,
        }

    def recover(s):
        fs, (_, s.epoch, s.flushed, s.wal_first, segs, claim) = s.fs, s.load_manifest()
        s.segs = [s.segment(x) for x in segs]
        s.empty()
        low = min(
            [s.flushed] + [g["map_lsn"] for g in s.segs]
        )  # R6: replay from the least complete map
        seqs = sorted(
            num(n) for n in fs.names(D) if n.startswith("wal-") and num(n) >= s.wal_first
        )  # R8
        files = [scan(fs.read(D, "wal-%d" % q)) for q in seqs]
        for i, (q, w) in enumerate(zip(seqs, files)):
            if w["seq"] != q or (w["first"] > low + 1 if i == 0 else q != seqs[i - 1] + 1):
                raise Corrupt("gap in the WAL")
            if i + 1 < len(files):  # R3a: the end of a file is proved by its successor
                n = files[i + 1]
                if on("R3a"):
                    if (n["prev_uuid"], n["prev_last"], n["prev_crc"]) != (
                        w["uuid"],
                        w["last"],
                        w["last_crc"],
                    ):
                        raise Corrupt("R3a")
                elif w["last"] != n["first"] - 1:
                    files[i + 1 :] = []
                    break
            else:  # R3: newest file: torn suffix, unless somebody vouches for x
                x = w["last"] + 1
                if max(w["vouch"] if on("R3 vouch") else 0, claim) >= x:
                    raise Corrupt("R3")
        if not files and claim > s.flushed:
            raise Corrupt("R3")  # a map claims LSNs that no WAL has
        s.cleanup(early=True)
        if on("R3b"):  # R3b: kill left these in the cache only
            for q in seqs:
                fs.fsync(D, "wal-%d" % q)
            fs.fsync_dir(D)
        for w in files:
            for lsn, ops in w["groups"]:
                for op in ops:
                    s.apply(lsn, op, replay=True)
        if files:
            s.prev = (files[-1]["uuid"], files[-1]["last"], files[-1]["last_crc"])
        s.wals = [[q, w["first"], w["last"]] for q, w in zip(seqs, files)]
        s.applied = s.durable = max([s.flushed] + [w["last"] for w in files])
        s.next_seq = max([s.wal_first - 1, *seqs]) + 1  # R3: go on in a new file
        if files and not on("R3 new file"):
            w = files[-1]
            s.wal, s.pos, s.chain, s.salt, s.end = (
                "wal-%d" % seqs[-1],
                w["pos"],
                w["chain"],
                w["uuid"],
                REC0 + MAX,
            )
        o = s.o
        if o.alive == "live":
            check(s)
        o.log, o.acked, o.durable, o.alive = o.log[: s.applied], s.applied, s.applied, "live"
        s.cleanup(early=False)

    def cleanup(s, early):
        """R14, R7: only what the (durable) ruling manifest does not name and no reader pins"""
        if early == on("cleanup after dirsync"):
            return
        named = {"manifest-%d" % s.epoch} | {
            n for g in s.segs for n in ("seg-%d.rows" % g["uuid"], g["mapfile"])
        }
        for n in s.fs.names(D):
            if n in named or (n[:4] == "wal-" and num(n) >= s.wal_first) or n == s.spare:
                continue
            if n.startswith("manifest-") and num(n) == s.epoch - 1:
                continue  # R6: kept as text
            if not s.pinned() or n.startswith("tmp-"):
                s.fs.unlink(D, n)

    def pinned(s):  # L4: F_OFD_GETLK on [c*2^32, c*2^32 + e], e = last epoch that named the file
        p = on("R7 pins") and any(e < s.epoch for e in s.fs.pins)
        s.fs.done()
        return p

    # ---- rows
    def apply(s, lsn, op, replay=False):
        kind, ident = op[:2]
        places = [(g["rows"], g["dead"]) for g in s.segs if not replay or lsn > g["map_lsn"]] + [
            (s.tail, s.dead)
        ]
        for rows, dead in places:
            for k in rows:
                if k[0] == ident:
                    if kind == "res":
                        dead -= {(ident, op[2])}
                    else:
                        dead.add(k)
        if kind == "put" and lsn > s.flushed:
            s.tail[ident, lsn] = op[2]

    def places(s):
        return [(g["rows"], g["dead"]) for g in s.segs] + [(s.tail, s.dead)]

    def view(s):
        out = {}
        for rows, dead in s.places():
            for k, v in rows.items():
                if k not in dead:
                    if k[0] in out:
                        raise Bug("two live versions of " + k[0])
                    out[k[0]] = v
        return out

    # ---- WAL writing
    def new_wal(s, need):
        fs = s.fs
        if s.wal and on("R4a"):
            s.sync_wal()  # R4a: in every mode
        seq, size = s.next_seq, max(need, min(MAX, FIRST if not s.wals else 2 * FIRST))
        first = s.mode == "os" and not s.wals
        unsynced, unnamed = (
            first and not on("text: os first file " + x)
            for x in ("without sync", "without dirsync")
        )
        name = "wal-%d" % seq
        reuse = s.spare and s.old_salt
        if s.spare:
            t, s.spare = s.spare, None
        else:
            t = "tmp-%d" % fs.fresh() if on("tmp name") else name
            fs.create(D, t)
            fs.write(D, t, REC0, *[0] * size)  # R4: zero-written
            if not unsynced:
                fs.fsync(D, t)
        s.salt = fs.fresh() if on("R8 salt") or not reuse else reuse
        h = ("H", s.salt, seq, s.applied + s.pending + 1, *s.prev)  # R3a: names its predecessor
        fs.write(D, t, 0, h, 0, h)
        if on("header sync") and not unsynced:
            fs.fsync(D, t)  # R4: before the rename, in every mode
        if t != name:
            fs.rename(D, t, name)
        if on("dirsync WAL") and not unsynced | unnamed:
            fs.fsync_dir(D)
        s.wal, s.next_seq, s.pos, s.end, s.chain = name, seq + 1, REC0, REC0 + size, 0
        s.wals.append([seq, s.applied + s.pending + 1, s.applied + s.pending])
        s.o.vouched = max(s.o.vouched, s.prev[1] if on("R4a") else 0)

    def append(s, lsn, ops, end, n):
        c = crc(s.salt, lsn, s.chain, s.durable, end, ops)
        rec = (
            n,
            lsn,
            s.chain,
            s.durable,
            end,
            ops,
            c,
        )  # R2: carries durable_lsn, chained to the previous CRC
        for k in range(n):
            s.fs.write(D, s.wal, s.pos + k, ("R", s.salt, k, *rec))
        s.pos += n
        s.chain = c

    def sync_wal(s):
        s.begun = None
        if s.wal:
            s.fs.fsync(D, s.wal)
        s.durable = s.wals[-1][2] if s.wals and s.wal else s.durable
        s.o.durable = max(s.o.durable, s.durable)

    def mark(s, sync=False):
        """R3: durable-mark, at the next block so that one bad block cannot take both it and what
        it vouches for."""
        if not s.wal or s.durable <= s.flushed:
            return
        if s.pos >= s.end + 2 * BLOCK:
            return  # room for a mark is kept in every file
        s.append(s.wals[-1][2], "mark", True, 1)
        while on("text: mark beside the last record") and (s.pos - 1) % BLOCK:
            s.append(s.wals[-1][2], "mark", True, 1)
        if sync:
            s.fs.fsync(D, s.wal)
            s.o.vouched = max(s.o.vouched, s.durable)

    def write(s, groups):
        """One sync batch: all groups logged, one sync, one view, then the acks."""
        o, s.pending, overlay = s.o, 0, {}
        for big, ops in groups:
            asked, ops = ops, [s.resolve(op, s.applied + s.pending + 1, overlay) for op in ops]
            for want, got in zip(asked, ops):  # nobody but the oracle knows what was ever there
                if want[0] == "res" and (got[2] if got else None) != o.restorable(want[1]):
                    raise Bug(
                        "a restore of %s revives %r, not %r" % (want[1], got, o.restorable(want[1]))
                    )
            if None in ops:
                continue  # refused: not logged
            lsn, n = s.applied + s.pending + 1, (2 if big else 1)
            o.log += (tuple(ops),)
            if s.mode != "none":
                if not s.wal or s.pos + n * len(ops) > s.end:
                    s.new_wal(n * len(ops))  # R4: a group never spans files
                for i, op in enumerate(ops):
                    s.append(lsn, (op,), i == len(ops) - 1, n)
                s.wals[-1][2] = lsn
                s.prev = (s.salt, lsn, s.chain)
            s.pending += 1
            if not on("early ack") and s.mode == "always":
                o.acked = o.durable = lsn
                s.fs.done()
        if not s.pending:
            return
        if not on("early view") and s.mode == "always":
            o.durable = s.applied + s.pending
            s.fs.done()  # P3: seen, must stay
        if s.mode == "always" and on("R1"):
            s.sync_wal()  # R1
        for lsn in range(s.applied + 1, s.applied + s.pending + 1):
            for op in o.log[lsn - 1]:
                s.apply(lsn, op)
        s.applied += s.pending
        s.pending = 0
        if s.mode == "always":
            o.durable = s.durable = s.applied  # P3: the view, then the ack
        o.acked = s.applied

    def resolve(s, op, lsn, overlay):
        """Against the applied state plus an overlay of the earlier groups of the batch.  What a
        restore revives is decided here, before logging, and stands in its record (id, LSN of the
        version)."""
        kind, i = op[:2]
        have = {k: k in dead for rows, dead in s.places() for k in rows if k[0] == i}
        live, dead = (
            max((k[1] for k in have if not have[k]), default=0),
            max((k[1] for k in have if have[k]), default=0),
        )
        live, dead = overlay.get(i, (live, dead)) if on("overlay") else (live, dead)
        if kind == "res" and (live or not dead):
            return None
        overlay[i] = (
            (lsn, live) if kind == "put" else (0, live or dead) if kind == "del" else (dead, 0)
        )
        return op if kind != "res" else ("res", i, dead)

    # ---- seal, manifest, retirement
    def freeze(s):
        """The tail is frozen at F; a small last segment is rewritten with it.  Left out are
        superseded rows: dead at F, and a newer version of the id is among the inputs.  The newest
        version of a deleted id is kept, dead as of F."""
        take = [s.segs[-1]] if s.segs and len(s.segs[-1]["rows"]) <= 1 else []
        rows = [
            (k, v, k in dead)
            for r, dead in [(g["rows"], g["dead"]) for g in take] + [(s.tail, s.dead)]
            for k, v in r.items()
        ]
        newest = {}
        for k, _, _ in rows:
            newest[k[0]] = max(newest.get(k[0], 0), k[1])
        kept = [
            (k, v, d)
            for k, v, d in rows
            if not d or (on("text: deleted rows left out") and k[1] == newest[k[0]])
        ]
        s.job = {
            "F": s.applied,
            "take": take,
            "rows": {k: v for k, v, d in kept},
            "dead": {k for k, v, d in kept if d},
            "snap": [set(g["dead"]) for g in s.segs],
        }

    def seal(s, maps=True, retire_all=False):
        if not s.job:
            s.freeze()
        maps = maps or (
            s.mode == "none" and on("text: none, maps may lag")
        )  # no WAL to replay the deletes from
        fs, job, F = s.fs, s.job, s.job["F"]
        late = s.mode != "none" or not on(
            "text: none, late deletes"
        )  # sync=none: nothing above F may enter a map
        c = s.applied if late else F
        if (  # noqa: SIM102
            on("R6 sync") and s.mode != "none"
        ):  # R6: WAL synced up to all that the manifest contains
            if on("text: WAL synced to F only") or (s.wals and s.wals[-1][1] <= F):
                s.sync_wal()
        if not on("manifest before segment"):
            s.manifest_early(job, F)
        old = [g for g in s.segs if g not in job["take"]]
        dead_now = set().union(s.dead, *[g["dead"] for g in job["take"]]) & set(job["rows"])
        new = {
            "uuid": fs.fresh() if on("manifest before segment") else s.early,
            "rows": job["rows"],
            "dead": dead_now,
            "saved": set(),
            "mapfile": None,
            "map_lsn": F if on("map starts at F") else 0,
        }
        cell = tuple(sorted(job["rows"].items()))
        segs = old + ([new] if job["rows"] else [])
        if job["rows"]:
            s.publish_file(
                D,
                "seg-%d.rows" % new["uuid"],
                cell,
                crc(cell),
                no_sync="segment sync",
                no_dir="never",
            )
        for g in segs:  # R5: a new delete map is a new file
            want = (
                g["dead"] if late else (job["dead"] if g is new else job["snap"][s.segs.index(g)])
            )
            if want != g["saved"] and (maps or g is new):
                g["mapfile"] = "seg-%d.del-%d" % (g["uuid"], c)
                s.publish_file(D, g["mapfile"], ("D", tuple(sorted(want))), no_dir="never")
                g["saved"] = set(want)
            if g is new and not g["mapfile"] and not on("map starts at F"):
                continue
            if want == g["saved"] or not on("retire before maps"):
                g["map_lsn"] = max(c, g["map_lsn"])
        if on("dirsync segment"):
            fs.fsync_dir(D)  # R5, R10: names durable before a manifest names them
        s.segs, s.job = segs, None
        s.tail = {k: v for k, v in s.tail.items() if k[1] > F}
        s.dead &= set(s.tail)
        low = min([F] + [g["map_lsn"] for g in segs])
        if retire_all and s.applied == low:
            s.wal = None  # checkpoint: the next write opens a new file
        if s.mode == "none" and on("text: none, WAL kept"):
            s.wal = None
        gone = [w for w in s.wals if w[2] <= low and not (s.wal and w is s.wals[-1])]  # R6, R8
        if s.mode == "none" and on("text: none, WAL kept"):
            gone = list(s.wals)  # its LSNs are in no WAL
        s.wals = [w for w in s.wals if w not in gone]
        if not on("early unlink"):
            s.cleanup_wal(gone)
        s.manifest(
            F, max([F] + [g["map_lsn"] for g in segs]), s.wals[0][0] if s.wals else s.next_seq
        )
        s.o.durable = max(s.o.durable, F)
        s.o.vouched = max(s.o.vouched, F)
        s.cleanup_wal(gone)
        s.cleanup(early=not on("cleanup after dirsync"))  # R7

    def manifest_early(s, job, F):
        s.early = s.fs.fresh()
        s.manifest(F, F, s.wal_first, [*s.segs, {"uuid": s.early, "mapfile": None, "map_lsn": F}])

    def manifest(s, F, claim, wal_first, segs=None):
        """R6.  `claim` = durable_lsn of the manifest: the highest LSN that anything named here
        contains."""
        s.epoch += 1
        s.flushed, s.wal_first = F, wal_first
        b = (
            "M",
            s.epoch,
            F,
            wal_first,
            tuple((g["uuid"], g["mapfile"], g["map_lsn"]) for g in (segs or s.segs)),
            claim,
        )
        s.publish_file(
            D, "manifest-%d" % s.epoch, b, 0, b, no_sync="manifest sync", no_dir="dirsync manifest"
        )

    def cleanup_wal(s, gone):
        """R8: recycling counts as deletion and goes through tmp-; at most one spare."""
        for q, _, last in gone:
            n = "wal-%d" % q
            if n not in s.fs.names(D) or s.pinned():
                continue
            if s.spare or last < 2:
                s.fs.unlink(D, n)
            else:
                s.old_salt = header(s.fs.read(D, n))["uuid"]
                s.spare = "tmp-%d" % s.fs.fresh()
                s.fs.rename(D, n, s.spare)
                s.fs.write(D, s.spare, 0, ("spare", s.fs.fresh()), 0, 0)

    # ---- history words
    def do(s, word):
        k, _, arg = word.partition(":")
        if not s.live and k != "create":
            return

        def one(g):
            return [
                ("put", x[0], x[1:])
                if len(x) > 1 and x[0] not in "-+"
                else ("del", x[1])
                if x[0] == "-"
                else ("res", x[1])
                for x in g.split(",")
            ]

        if k in ("w", "W"):
            s.write([(k == "W", one(g)) for g in arg.split("|")])
        elif k == "sync":
            s.sync_wal()
        elif k == "sync0":
            s.begun = s.wal and (
                s.wal,
                s.fs.pending(D, s.wal),
                s.wals[-1][2],
            )  # background sync: begins,
        elif k == "sync1":  # ends; writes went on in between
            if s.begun and s.begun[0] == s.wal and s.begun[1] <= s.fs.pending(D, s.wal):
                s.fs.fsync(D, s.wal, s.begun[1])
                s.durable = max(
                    s.durable,
                    s.begun[2] if on("text: durable as of the end of the sync") else s.applied,
                )
                s.o.durable = max(s.o.durable, s.durable)
            s.begun = None
        elif k == "mark":
            s.mark()
        elif k == "close":
            if s.mode == "none" and on("text: close without flush in none"):
                s.freeze()
                s.seal()
            s.sync_wal()
            s.mark(sync=True)
            if (
                not s.wal
                and s.mode != "none"
                and s.durable > s.o.vouched
                and on("text: close after recovery vouches for nothing")
            ):
                s.manifest(s.flushed, s.durable, s.wal_first)
            s.o.vouched = s.o.durable  # no blind spot after a clean close
            s.__init__(s.fs, s.o)
            s.open()
        elif k == "freeze":
            s.freeze()
        elif k == "seal":
            s.seal()
        elif k == "seal0":
            s.seal(maps=False)
        elif k == "ckpt":
            s.freeze()
            s.seal(retire_all=True)
        elif k == "mode":  # a collection that leaves `none` flushes first: its LSNs are in no WAL
            if s.mode == "none" and on("text: leaving none without flush"):
                s.freeze()
                s.seal()
            s.mode = s.o.mode = arg
        elif k == "drop":
            s.drop()
        elif k == "create":
            s.create()
        else:
            raise ValueError(word)


def check(db):
    o, m = db.o, db.applied
    if m < o.acked:
        raise Bug("lost: recovered to LSN %d, promised %d" % (m, o.acked))
    if m > len(o.log) or db.view() != o.state(m):
        raise Bug("not a prefix: %r at LSN %d, want %r" % (db.view(), m, o.state(m)))
