/* SPDX-License-Identifier: Apache-2.0 */
/* recovery.h — from a directory to the state that was promised (R1-R14).
 *
 * ORDER   manifest → its files → log headers and ends (R3, R3a, R6) → sync what the page cache
 *         shows (R3b) → replay → remove garbage (R14).  Every step may crash; opening again gives
 *         the same state.
 * The caller has synced the root directory and holds the root's lock (or, reading only, a pin).
 */
#ifndef STORE_RECOVERY_H
#define STORE_RECOVERY_H

#include "store/manifest.h"
#include "store/wal_replay.h"

struct recovery_desc {
    struct alloc *alloc;
    struct vfs_dir *dir;
    struct file_owner owner;
    bool read_only; /* write, sync and remove nothing; show only LSNs that are proved durable (L4) */
};

struct recovery {
    struct recovery_desc desc;
    struct manifest manifest;
    struct wal_position position;
    struct wal_file *files; /* to be given to wal_create */
    size_t file_count;
    uint64_t upto_lsn;      /* read-only: nothing above is shown; else the last LSN */
    int damaged_copies;     /* headers or bodies of which one copy was bad: to be logged */
    bool must_read_only;    /* an unknown read-only-compatible feature */
};

/* Load, verify, sync.  On failure r is deinitialised. */
int recovery_begin(struct recovery *r, const struct recovery_desc *desc, struct error *err);
/* Replay groups above `manifest_replay_from` in order through fn; the caller decides by LSN and
 * segment what a record still does. */
int recovery_replay(struct recovery *r, wal_record_fn *fn, void *ctx, struct error *err);
/* Remove what no manifest names: tmp-, seg-, old wal- and manifests (R14).  Not when read-only. */
int recovery_clean(struct recovery *r, struct error *err);
void recovery_deinit(struct recovery *r);

#endif
