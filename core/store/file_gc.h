/* SPDX-License-Identifier: Apache-2.0 */
/* file_gc.h — remove files that no manifest names, no view uses, no reader pins (R7, R14, L4). */
#ifndef STORE_FILE_GC_H
#define STORE_FILE_GC_H

#include "os/vfs.h"
#include "store/manifest.h"

/* Is an epoch below `epoch` of this collection pinned by a reader of another process (L4)?
 * lock_file NULL (memory, tests): never. */
int file_gc_is_pinned(struct vfs_file *lock_file, uint64_t collection_number, uint64_t epoch,
                      bool *out, struct error *err);

/* May the file not be removed now?  For files that the engine itself still reads or writes. */
typedef bool file_gc_in_use_fn(void *ctx, const char *name);

/* One pass over the directory: unlinks names with our prefixes that `m` does not name (and that
 * in_use, when not NULL, does not claim); keeps manifest-<epoch> and manifest-<epoch-1> as text,
 * logs at or above wal_first, and `keep` (the log's spare; may be NULL).  Pinned: only tmp- files.
 * m is the ruling manifest, durable.  Files that cannot be removed are tried again at the next
 * pass; the first such error is returned after all others were removed. */
int file_gc_run(struct vfs_dir *dir, const struct manifest *m, struct vfs_file *lock_file,
                const char *keep, file_gc_in_use_fn *in_use, void *ctx, struct error *err);

#endif
