/* SPDX-License-Identifier: Apache-2.0 */
/* dir_lock.h — one LOCK per root: an exclusive writer, shared readers that pin epochs (L1-L4). */
#ifndef STORE_DIR_LOCK_H
#define STORE_DIR_LOCK_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/rng.h"
#include "os/vfs.h"

#define LOCK_NAME "LOCK"
enum { DIR_LOCK_ROOTS_MAX = 256 }; /* open for writing in one process */

struct dir_lock {
    struct vfs_file *file; /* NULL: not held */
    bool is_writer;
    uint64_t identity[2];
    int opener_pid;
};

/* The writer's lock.  LOCKED names pid, host and since when (from the text; the kernel decides), or
 * says that a forked child inherited it; a second open of the root in this process is LOCKED too
 * (L3).  The text is rewritten under the lock; that it cannot be (a full disk) is no failure.
 * LIMIT beyond DIR_LOCK_ROOTS_MAX. */
int dir_lock_acquire_writer(struct dir_lock *l, struct vfs_dir *root, const struct clock *clock,
                            struct error *err);
/* There is a LOCK, and a writer of ours wrote its text; what cannot be read is not. */
bool dir_lock_is_ours(struct vfs_dir *root);
/* Add the root's UUID to the text, when it is known. */
void dir_lock_write_uuid(struct dir_lock *l, const struct uuid *root);
/* A reader's handle on LOCK: no lock yet; see dir_lock_pin.  NOT_FOUND when there is no LOCK. */
int dir_lock_open_reader(struct dir_lock *l, struct vfs_dir *root, struct error *err);
/* Pin an epoch of a collection (number >= 1).  A writer removes nothing that this or a later epoch
 * names.  Pin first, then look which epoch is the newest, and go on only if it is this one (L4).
 * FORKED in a child of the process that opened. */
int dir_lock_pin(struct dir_lock *l, uint64_t collection_number, uint64_t epoch, struct error *err);
void dir_lock_unpin(struct dir_lock *l, uint64_t collection_number, uint64_t epoch);
void dir_lock_release(struct dir_lock *l); /* of a zeroed one: nothing */

#endif
