/* SPDX-License-Identifier: Apache-2.0 */
/* file_gc.h — remove files that no manifest names, no view uses, no reader pins (R7, R14, L4). */
#ifndef STORE_FILE_GC_H
#define STORE_FILE_GC_H

#include "os/name_list.h"
#include "os/vfs.h"
#include "store/manifest.h"

/* Is an epoch below `epoch` of this collection pinned by a reader of another process (L4)?
 * lock_file NULL (memory, tests): never. */
int file_gc_is_pinned(struct vfs_file *lock_file, uint64_t collection_number, uint64_t epoch,
                      bool *out, struct error *err);

enum { FILE_GC_INDEXES_MAX = 2 };

/* Files that are under way between two turns of a collection's actor: no manifest names them, and
 * they stay.  Zero: none. */
struct file_gc_keep {
    const char *spare; /* the log's; NULL: there is none */
    /* Indexes that are being built: what each is written as, and what it will be called; both or
     * none are NULL. */
    const char *index_temporaries[FILE_GC_INDEXES_MAX];
    const char *index_names[FILE_GC_INDEXES_MAX];
    const struct uuid *segment; /* built: its files stay; NULL: there is none */
    bool is_building; /* a segment: from the moment that the build is begun until its manifest
                         rules, or its files are given up */
};

/* One pass over the directory, by its writer: unlinks names of ours that `m`, the ruling manifest,
 * durable, does not name (R14).  What stays of them: manifest-<epoch> and manifest-<epoch-1> as
 * text; logs at or above wal_first; what `keep` names, and while a segment is being built, whose
 * files no manifest names yet, every tmp-<uuid> and seg-; when a reader pins an older epoch, all
 * but tmp-<uuid>.  Every other file of this collection that bears such a name is made and named
 * within one turn of its actor, so that none is under way now.
 * Files that cannot be removed are tried again at the next pass; the first such error is returned
 * after all others were removed. */
int file_gc_run(struct vfs_dir *dir, const struct manifest *m, struct vfs_file *lock_file,
                const struct file_gc_keep *keep, struct error *err);
/* The first half of it: what there is to unlink is added to the list.  Garbage stays garbage until
 * somebody makes a file of its name, and readers only pin newer epochs. */
int file_gc_find(struct vfs_dir *dir, const struct manifest *m, struct vfs_file *lock_file,
                 const struct file_gc_keep *keep, struct name_list *out, struct error *err);

#endif
