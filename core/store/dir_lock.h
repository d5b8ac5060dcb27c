/* SPDX-License-Identifier: Apache-2.0 */
/* dir_lock.h — one LOCK per root: an exclusive writer, shared readers that pin epochs (L1-L4). */
#ifndef STORE_DIR_LOCK_H
#define STORE_DIR_LOCK_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/rng.h"
#include "os/vfs.h"

struct dir_lock {
    struct vfs_file *file; /* NULL: not held */
    bool is_writer;
    uint64_t identity[2];
    int opener_pid;
};

/* The writer's lock.  LOCKED names pid, host and since when (from the text; the kernel decides), or
 * says that a forked child inherited it; a second open of the root in this process is LOCKED too
 * (L3).  The text is rewritten under the lock. */
int dir_lock_acquire_writer(struct dir_lock *l, struct vfs_dir *root, const struct clock *clock, struct error *err);
/* A reader's handle on LOCK: no lock yet; see dir_lock_pin.  NOT_FOUND when there is no LOCK. */
int dir_lock_open_reader(struct dir_lock *l, struct vfs_dir *root, struct error *err);
int dir_lock_pin(struct dir_lock *l, uint64_t collection_number, uint64_t epoch, struct error *err);
void dir_lock_unpin(struct dir_lock *l, uint64_t collection_number, uint64_t epoch);
void dir_lock_release(struct dir_lock *l); /* of a zeroed one: nothing */

#endif
