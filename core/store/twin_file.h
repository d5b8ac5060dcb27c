/* SPDX-License-Identifier: Apache-2.0 */
/* twin_file.h — small files that are replaced as a whole: catalog and manifest (FORMAT.md 4, R6). */
#ifndef STORE_TWIN_FILE_H
#define STORE_TWIN_FILE_H

#include "base/buf.h"
#include "os/vfs.h"
#include "store/file_header.h"

/* Write `<prefix><epoch>` through tmp-<uuid>: write, sync, rename, sync the directory (R5, R6).
 * 0: durable.  -1: the old file rules or the new one does, nobody knows which: the caller must stop
 * writing (R9) unless *out_renamed is false, in which case the old one rules and the tmp file is
 * garbage. */
int twin_file_publish(struct vfs_dir *dir, const char *prefix, uint64_t epoch, const char *magic,
                      const struct file_owner *owner, struct slice body, struct rng *rng, struct alloc *a,
                      bool *out_renamed, struct error *err);

/* Read and verify.  body gets one good copy; *out_damaged_copies 0 or 1.  CORRUPT: both bad, both
 * good and different, or the epoch is not the name's.  owner NULL: *out_owner is filled from the
 * file (the catalog, which tells the root's UUID). */
int twin_file_read(struct vfs_dir *dir, const char *prefix, uint64_t epoch, const char *magic,
                   const struct file_owner *owner, struct file_owner *out_owner, struct buf *body,
                   int *out_damaged_copies, struct error *err);

/* The highest number among names `<prefix><number>` in the directory; *out_found false if none. */
int twin_file_newest(struct vfs_dir *dir, const char *prefix, uint64_t *out_epoch, bool *out_found, struct error *err);

/* "<prefix><number>" → number; false when the name is not of that form (leading zeros, overflow). */
bool numbered_name_parse(const char *name, const char *prefix, uint64_t *out_number);

#endif
