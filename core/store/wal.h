/* SPDX-License-Identifier: Apache-2.0 */
/* wal.h — the local commit log: write-ahead log files of one collection (FORMAT.md 6; R1-R4b, R8). */
#ifndef STORE_WAL_H
#define STORE_WAL_H

#include "base/clock.h"
#include "os/vfs.h"
#include "store/commit_log.h"
#include "store/file_header.h"

/* One log file that is still needed, oldest first. */
struct wal_file {
    uint64_t sequence;
    uint64_t first_lsn;
    uint64_t last_lsn; /* of complete groups; first_lsn - 1 when there is none */
    uint64_t bytes;    /* used by records */
};
/* Where a log goes on: what recovery found, or the beginning. */
struct wal_position {
    uint64_t next_sequence;
    uint64_t last_lsn;       /* the last group of the collection */
    uint64_t durable_lsn;
    struct uuid prev_uuid;   /* zero: no predecessor */
    uint64_t prev_last_lsn;
    uint32_t prev_last_crc;
};
enum wal_rule {
    WAL_MAY_SYNC = 1, /* off: inline mode without syncs, R4b */
};

struct wal;

/* take_files: recovered files, oldest first (allocated from `a`; owned from now on, on failure
 * too).  Nothing is written before the first append. */
int wal_create(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner, struct rng *rng,
               const struct wal_position *position, struct wal_file *take_files, size_t file_count,
               struct wal **out, struct error *err);
void wal_destroy(struct wal *w); /* closes; syncs nothing */
struct commit_log *wal_log(struct wal *w);
void wal_set_rules(struct wal *w, unsigned rules);
/* In level `none` nothing is logged: only the LSN moves on. */
void wal_skip(struct wal *w, uint64_t lsn);

/* Make the next file ahead of need (R4b: create, open and sync do so inline). */
int wal_prepare(struct wal *w, struct error *err);
/* A synced mark in a block of its own that vouches for durable_lsn (R3); nothing to do without a
 * current file or when all is flushed.  flushed_lsn: from the manifest. */
int wal_mark(struct wal *w, uint64_t flushed_lsn, bool sync, struct error *err);
/* Has everything durable been vouched for (mark, successor or manifest up to vouched_lsn)? */
bool wal_is_vouched(const struct wal *w);
void wal_vouched_by_manifest(struct wal *w, uint64_t durable_lsn);

/* The next append opens a new file (checkpoint). */
void wal_close_current(struct wal *w);
/* Which sequence the manifest may name as wal_first when everything up to `lsn` is flushed. */
uint64_t wal_first_needed(const struct wal *w, uint64_t lsn);
/* Forget files whose last LSN <= lsn: one becomes the spare, the others are unlinked (R8).  Called
 * after the manifest that no longer needs them is durable and no reader pins them. */
void wal_retire(struct wal *w, uint64_t lsn);

/* Name of the spare file, which file_gc must leave alone; NULL: none. */
const char *wal_spare_name(const struct wal *w);

bool wal_is_poisoned(const struct wal *w);
uint64_t wal_unsynced_bytes(const struct wal *w);
size_t wal_file_count(const struct wal *w);

#endif
