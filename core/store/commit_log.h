/* SPDX-License-Identifier: Apache-2.0 */
/* commit_log.h — the log that a collection commits to: the local one (wal.c) or, later, a
 * replicated one.  The record is the command (architecture D7).
 *
 * LIFE OF A BATCH  The collection appends groups in LSN order (append), then asks for completion
 * (complete).  The log calls on_complete in LSN order, from within complete when it is local;
 * only then are the groups applied.  One batch is under way at a time.
 * THREADS  The collection's actor.
 */
#ifndef STORE_COMMIT_LOG_H
#define STORE_COMMIT_LOG_H

#include <stdbool.h>

#include "base/error.h"
#include "base/slice.h"
#include "codec/record_kinds.h"

struct commit_record {
    enum record_kind kind;
    struct slice payload; /* borrowed until append returns */
    /* A large part of the payload that is not copied: it belongs at byte bulk_at of `payload`.
     * Borrowed until complete returns; size 0: none. */
    struct slice bulk;
    size_t bulk_at;
};

struct commit_log;

/* Groups up to and including lsn are committed (err NULL), or their outcome is unknown (err set).
 * A group that complete fails without naming it here is undone for good. */
typedef void commit_complete_fn(void *ctx, uint64_t lsn, const struct error *err);

struct commit_log_ops {
    /* Log one group; lsn = the last one + 1.  -1 with DISK_FULL, IO, BUSY or TOO_LARGE: nothing of
     * it
     * will ever be replayed and the log can go on; READ_ONLY: the log is poisoned. */
    int (*append)(struct commit_log *log, uint64_t lsn, const struct commit_record *records,
                  size_t count, struct error *err);
    /* Commit all that was appended.  sync: durable when completed, else when the log sees fit. */
    int (*complete)(struct commit_log *log, bool sync, struct error *err);
    /* Everything appended is durable when this returns (a barrier); *out_durable its last LSN. */
    int (*sync)(struct commit_log *log, uint64_t *out_durable_lsn, struct error *err);
    uint64_t (*durable_lsn)(const struct commit_log *log);
    /* Bytes that a replay would read now. */
    uint64_t (*replay_bytes)(const struct commit_log *log);
};

struct commit_log {
    const struct commit_log_ops *ops;
    commit_complete_fn *on_complete;
    void *on_complete_ctx;
};

#endif
