/* SPDX-License-Identifier: Apache-2.0 */
/* wal_current.h — the state of a log and its current file; for wal.c and wal_upkeep.c alone. */
#ifndef STORE_WAL_CURRENT_H
#define STORE_WAL_CURRENT_H

#include "store/wal_files.h"

/* The part of a batch that goes into one file. */
struct wal_chunk {
    bool opens_file; /* else it continues the current one */
    struct uuid salt;
    uint64_t file_bytes; /* opens_file: what the file is made with, at least */
    uint64_t at;         /* in the file, after the chunk */
    uint64_t data_end;   /* in the file: groups end here at the latest */
    size_t begin;        /* in the batch buffer */
    size_t end;
    struct slice bulk; /* borrowed; size 0: none */
    size_t bulk_at;    /* in the batch buffer, where it belongs */
    uint32_t chain;    /* CRC of its last record, which ends a group */
    uint64_t last_lsn;
};

/* What the next header says of the file before it (R3a). */
struct wal_end {
    struct uuid uuid;
    uint64_t last_lsn;
    uint32_t last_crc;
};

struct wal {
    struct commit_log log; /* first */
    struct alloc *alloc;
    unsigned rules;
    bool is_poisoned;
    struct wal_files maker;

    struct wal_file *files; /* oldest first */
    size_t file_count;
    size_t file_capacity;
    uint64_t next_sequence;

    struct vfs_file *file; /* the current one; NULL: none */
    bool wants_new_file;   /* the current one is given up, or closed by a checkpoint */
    struct uuid salt;
    uint64_t file_bytes; /* it was made with; without one: what sizes the next */
    uint64_t at;         /* where the next record goes */
    uint64_t data_end;
    uint32_t chain;          /* CRC of the record before `at` */
    uint64_t unsynced_bytes; /* written since its last sync */

    struct wal_end prev;
    uint64_t last_lsn; /* written, or skipped in level `none` */
    uint64_t durable_lsn;
    uint64_t marked_lsn;  /* a mark for it is written */
    uint64_t vouched_lsn; /* a mark, successor or manifest for it is durable */

    struct buf batch;
    uint64_t batch_bulk_bytes; /* beside it */
    struct wal_chunk *chunks;
    size_t chunk_count;
    size_t chunk_capacity;
    uint64_t appended_lsn;
};

static inline bool wal_may_sync(const struct wal *w)
{
    return (w->rules & WAL_MAY_SYNC) != 0;
}

/* The disk's state is unknown: nothing is written any more (R9).  *err becomes OUTCOME_UNKNOWN with
 * its old text.  Returns -1. */
int wal_poison(struct wal *w, struct error *err);
int wal_fail_poisoned(struct error *err);   /* READ_ONLY */
int wal_fail_needs_sync(struct error *err); /* BUSY (R4b) */

/* Make what is written durable; nothing to do without a current file or news in it.  Poisons. */
int wal_current_sync(struct wal *w, struct error *err);

/* The size that the next file should have: twice the full one before it, or the same when that was
 * closed early; a group that is larger gets a file of its own size (R4). */
uint64_t wal_next_file_bytes(uint64_t before, bool was_full, uint64_t group_bytes);
/* Room for `more` files, so that opening them cannot fail for want of it. */
int wal_reserve_files(struct wal *w, size_t more, struct error *err);
/* Begin a new current file, after the old one is synced (R4a).  Its place is reserved; syncing is
 * allowed.  records: what it begins with, durable when this returns; the caller counts them;
 * NULL: nothing.
 * -1: nothing has changed, or poisoned. */
int wal_current_open(struct wal *w, const struct uuid *salt, uint64_t bytes,
                     const struct wal_run *records, struct error *err);

/* A write at w->at failed with *err: an unknown part of it is in the file, which is given up.
 * 0: nothing of it can ever be replayed.  -1: OUTCOME_UNKNOWN in *err, poisoned or not. */
int wal_current_cut_back(struct wal *w, struct error *err);

#endif
