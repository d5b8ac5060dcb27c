/* SPDX-License-Identifier: Apache-2.0 */
/* wal_files.h — make log files and recycle retired ones (R4, R8), for wal.c alone.
 *
 * A log file appears under its name complete: full length, both headers, the groups that made it
 * necessary, zeros behind them, synced.  The name is durable when wal_files_make returns, and with
 * it the groups.
 */
#ifndef STORE_WAL_FILES_H
#define STORE_WAL_FILES_H

#include "store/twin_file.h"
#include "store/wal_replay.h"

/* What goes into a file at one place: three pieces end to end, each of which may be empty. */
struct wal_run {
    struct slice pieces[3];
};
uint64_t wal_run_bytes(const struct wal_run *r);
int wal_run_write(const struct wal_run *r, struct vfs_file *file, uint64_t at, struct error *err);

struct wal_files {
    struct alloc *alloc;
    struct vfs_dir *dir;
    struct file_owner owner;
    struct rng *rng;
    char spare[TWIN_NAME_BYTES]; /* tmp-<uuid>; empty: none */
    uint64_t spare_bytes;
    struct uuid spare_salt; /* of its last use */
};

/* The salt of the next file: a fresh one. */
struct uuid wal_files_salt(struct wal_files *f);

/* Make wal-<sequence>, from the spare when there is one.  header: everything but owner and version,
 * which are filled in; file_bytes is what is wanted and afterwards what there is.  records: the
 * first ones, at most file_bytes - WAL_RECORDS - WAL_MARK_ROOM bytes; NULL: none.
 * -1: nothing of that name exists, unless *out_is_fatal: a sync failed or it is unknown what the
 * directory holds; then the log must be poisoned (R9). */
int wal_files_make(struct wal_files *f, struct wal_header *header, const struct wal_run *records,
                   struct vfs_file **out_file, bool *out_is_fatal, struct error *err);

/* Keep wal-<sequence> as the spare, if there is none.  Best effort. */
void wal_files_recycle(struct wal_files *f, uint64_t sequence);

#endif
