/* SPDX-License-Identifier: Apache-2.0 */
/* file_sweep.h — what file_gc.h has found in a collection's directory is unlinked beside its actor:
 * a large file takes milliseconds.
 *
 * Nothing depends on when that happens: what is left at a crash, or when a sweep was stopped, is
 * found by the next pass over the directory.
 * OWNERSHIP  Reference-counted: by the collection, and by who sweeps.
 * THREADS    Any.
 */
#ifndef STORE_FILE_SWEEP_H
#define STORE_FILE_SWEEP_H

#include "base/thread.h"
#include "os/name_list.h"

struct file_sweep;

/* Who calls file_sweep_step until it says that nothing is left, later and on any thread; it has a
 * reference of its own. */
struct file_sweeper {
    void (*take)(struct file_sweeper *to, struct file_sweep *take_s);
};

struct file_sweep {
    struct alloc *alloc;
    struct vfs_dir *dir;
    struct file_sweeper *to;
    struct file_sweep *next; /* its sweeper's */
    struct mutex mutex;      /* of all below, and of what is unlinked: see file_sweep_stop */
    uint32_t reference_count;
    struct name_list names;
    size_t at;     /* of the next one */
    bool is_taken; /* its sweeper has it */
};

/* Nothing is to be swept.  dir: a reference is taken.  NO_MEMORY. */
int file_sweep_create(struct alloc *a, struct vfs_dir *dir, struct file_sweeper *to,
                      struct file_sweep **out, struct error *err);
void file_sweep_release(struct file_sweep *s); /* NULL allowed */
/* Sweep these, in place of what is left of others.  The list is empty afterwards. */
void file_sweep_begin(struct file_sweep *s, struct name_list *take_names);
/* Unlink one; false: nothing is left.  What cannot be is logged. */
bool file_sweep_step(struct file_sweep *s);
/* When it returns nothing of the directory is unlinked any more.  Before files are made that may
 * have a name of a list.  NULL allowed. */
void file_sweep_stop(struct file_sweep *s);
/* Likewise, and all that was left is unlinked: before somebody else may make files there. */
void file_sweep_finish(struct file_sweep *s);

#endif
