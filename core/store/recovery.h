/* SPDX-License-Identifier: Apache-2.0 */
/* recovery.h — from a directory to the state that was promised (R1-R14).
 *
 * ORDER   manifest → its files → log headers and ends (R3, R3a, R6) → sync what the page cache
 *         shows (R3b) → replay → remove garbage (R14).  Every step may crash; opening again gives
 *         the same state.
 * The caller has synced the root directory and holds the root's lock (or, reading only, a pin on
 * the newest epoch).
 */
#ifndef STORE_RECOVERY_H
#define STORE_RECOVERY_H

#include "store/manifest.h"
#include "store/wal_replay.h"

struct recovery_desc {
    struct alloc *alloc;
    struct vfs_dir *dir; /* borrowed until recovery_deinit */
    struct file_owner owner;
    struct vfs_file *lock_file; /* to ask for pins; NULL: nobody else can read */
    bool
        read_only; /* write, sync and remove nothing; show only LSNs that are proved durable (L4) */
};

struct recovery {
    struct recovery_desc desc;
    struct manifest manifest;
    struct wal_position position;
    struct wal_file *files; /* to be given to wal_create (set to NULL then) after the replay */
    size_t file_count;
    uint64_t upto_lsn;   /* read-only: nothing above is shown; else the last LSN */
    int damaged_copies;  /* headers or bodies of which one copy was bad: to be logged */
    bool must_read_only; /* an unknown read-only-compatible feature: read_only was assumed */
    struct error damage; /* read-only: code 0, or why the log ends at upto_lsn: to be logged */
};

/* Load, verify, sync.  On failure r is deinitialised.  NOT_FOUND: no manifest.  CORRUPT: something
 * that was promised is not there; the log alone being damaged above everything that the manifest
 * names does not stop a read-only open, which shows what is before (r->damage).  FORMAT_TOO_NEW.
 * NO_MEMORY, IO: nothing is lost, try again. */
int recovery_begin(struct recovery *r, const struct recovery_desc *desc, struct error *err);
/* Replay groups above `manifest_replay_from` in order through fn; the caller decides by LSN and
 * segment what a record still does. */
int recovery_replay(struct recovery *r, wal_record_fn *fn, void *ctx, struct error *err);
/* Remove what no manifest names: tmp-, seg-, old wal- and manifests (R14).  Before anything is
 * written to the collection.  Not when read-only. */
int recovery_clean(struct recovery *r, struct error *err);
void recovery_deinit(struct recovery *r); /* of a zeroed one: nothing */

#endif
