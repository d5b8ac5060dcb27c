/* SPDX-License-Identifier: Apache-2.0 */
/* wal.h — the local commit log: write-ahead log files of one collection (FORMAT.md 6; R1-R4b, R8).
 *
 * append collects, complete writes: one batch is one write per file that it touches (one, but when
 * a file is full) and one sync.  What complete answers:
 *   0               all groups are committed; durable with sync.
 *   -1 DISK_FULL, IO, NO_MEMORY
 *                   groups above the last on_complete are undone, for good: what may stand of them
 *                   in a file was cut back and that synced, or a successor file has declared it
 *                   dead.  Their LSNs are free again and the log goes on.
 *   -1 OUTCOME_UNKNOWN
 *                   on_complete was told up to where.  wal_is_poisoned: a sync failed, nothing is
 *                   ever logged again (R9).  Not poisoned (only without WAL_MAY_SYNC): a part of
 *                   the batch was written and cannot be synced away; its LSNs are free again,
 *                   appends answer BUSY until a sync is allowed.
 *   -1 READ_ONLY    the log was poisoned before; nothing was appended.
 * sync with complete needs WAL_MAY_SYNC.  on_complete is called after the batch is over, so that it
 * may begin the next one.
 */
#ifndef STORE_WAL_H
#define STORE_WAL_H

#include "os/vfs.h"
#include "store/commit_log.h"
#include "store/file_header.h"

#define WAL_PREFIX "wal-"

/* One log file that is still needed, oldest first. */
struct wal_file {
    uint64_t sequence;
    uint64_t first_lsn;
    uint64_t last_lsn; /* of complete groups; first_lsn - 1 when there is none */
    uint64_t bytes;    /* used by records */
};
/* Where a log goes on: what recovery found, or the beginning. */
struct wal_position {
    uint64_t next_sequence; /* at least 1 */
    uint64_t last_lsn;      /* the last group of the collection */
    uint64_t durable_lsn;
    uint64_t vouched_lsn;   /* a manifest, mark or successor says that it was durable up to here */
    struct uuid prev_uuid;  /* zero: no predecessor */
    uint64_t prev_last_lsn; /* equal to last_lsn */
    uint32_t prev_last_crc;
};
enum wal_rule {
    WAL_MAY_SYNC = 1, /* off: inline mode without syncs, R4b */
};

struct wal;

/* take_files: recovered files, oldest first (allocated from `a`; owned from now on, on failure
 * too; NULL when there is none).  Nothing is written before the first complete.  dir and rng are
 * borrowed.  The rules are WAL_MAY_SYNC. */
int wal_create(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
               struct rng *rng, const struct wal_position *position, struct wal_file *take_files,
               size_t file_count, struct wal **out, struct error *err);
void wal_destroy(struct wal *w); /* closes; syncs nothing; NULL allowed */
struct commit_log *wal_log(struct wal *w);
void wal_set_rules(struct wal *w, unsigned rules); /* no batch is under way */
/* In level `none` nothing is logged: only the LSN moves on.  The collection flushes before it
 * leaves that level. */
void wal_skip(struct wal *w, uint64_t lsn);

/* Make sure that the next batch needs no new file, so that it needs no sync (R4b: create, open and
 * sync call this inline).  BUSY without WAL_MAY_SYNC; else as complete. */
int wal_prepare(struct wal *w, struct error *err);
/* A mark in a block of its own that vouches for durable_lsn (R3).  Nothing to do without a current
 * file, when all that is durable is flushed or vouched for, or when the file has no room (then
 * wal_is_vouched stays false and a manifest has to do it).  flushed_lsn: from the manifest.
 * sync: make the mark durable.  -1 IO, DISK_FULL: no group is lost; READ_ONLY: poisoned, now or
 * before; BUSY: sync without WAL_MAY_SYNC. */
int wal_mark(struct wal *w, uint64_t flushed_lsn, bool sync, struct error *err);
/* Has everything durable been vouched for durably (mark, successor or manifest)? */
bool wal_is_vouched(const struct wal *w);
/* A durable manifest says durable_lsn. */
void wal_vouched_by_manifest(struct wal *w, uint64_t durable_lsn);

/* The next batch opens a new file (checkpoint).  The room that the current one has is given up:
 * called when the manifest that does without it is durable. */
void wal_close_current(struct wal *w);
/* Which sequence the manifest may name as wal_first when everything up to `lsn` is flushed; and
 * which when wal_close_current is going to follow. */
uint64_t wal_first_needed(const struct wal *w, uint64_t lsn);
uint64_t wal_first_after_close(const struct wal *w, uint64_t lsn);
/* Forget files below wal_first: one becomes the spare, the others are garbage for file_gc (R8).
 * Called after the manifest that says wal_first is durable, and only if no reader pins an older
 * one. */
void wal_retire(struct wal *w, uint64_t wal_first);
/* For file_gc_run: the spare's name, NULL when there is none.  Borrowed until the next call. */
const char *wal_spare_name(const struct wal *w);

bool wal_is_poisoned(const struct wal *w);
size_t wal_file_count(const struct wal *w);

#endif
