/* SPDX-License-Identifier: Apache-2.0 */
/* vfs_faulty.h — a VFS over another one that fails chosen operations with chosen errors.
 *
 * A sweep arms the n-th operation for n = 1, 2, … until an armed run ends without a fault
 * (vfs_faulty_fired is 0): then every operation has failed once.
 *
 * A failed operation does not reach the inner VFS, with three exceptions that disks have:
 *   - close gives the inner handle up (its data is what is in doubt);
 *   - a short write writes the first half;
 *   - a failed sync drops the file's unsynced data for good, as Linux does: reads go on seeing it,
 *     the next sync answers 0 and does not save it.  A crash must then leave it out: the `lost`
 *     callback tells whoever makes the crash.
 * What is armed may be changed while other threads use it; the callbacks are set before.
 */
#ifndef SUPPORT_VFS_FAULTY_H
#define SUPPORT_VFS_FAULTY_H

#include "os/vfs.h"

enum faulty_kind {
    FAULTY_OPEN = 1 << 0, /* files and directories */
    FAULTY_READ = 1 << 1,
    FAULTY_WRITE = 1 << 2,
    FAULTY_SYNC = 1 << 3,
    FAULTY_RENAME = 1 << 4,
    FAULTY_UNLINK = 1 << 5, /* files and directories */
    FAULTY_DIR_SYNC = 1 << 6,
    FAULTY_MAP = 1 << 7,
    FAULTY_SIZE = 1 << 8, /* size, exists, identity */
    FAULTY_LIST = 1 << 9,
    FAULTY_LOCK = 1 << 10, /* lock, unlock, lock_held */
    FAULTY_CLOSE = 1 << 11,
    FAULTY_TRUNCATE = 1 << 12,
    FAULTY_MAKE = 1 << 13, /* directories */
    FAULTY_SPACE = 1 << 14,
    FAULTY_ALL = (1 << 15) - 1,
};

enum faulty_mode {
    FAULTY_ONCE,   /* operation number `nth` of the kinds */
    FAULTY_STICKY, /* that one and all after it */
    FAULTY_CHANCE, /* each with probability 1 / one_in */
    FAULTY_RUN,    /* that one and those after it, `times` in all */
};

struct faulty_plan {
    unsigned kinds; /* enum faulty_kind */
    int os_errno;   /* EIO, ENOSPC, EDQUOT, EMFILE, EROFS, … */
    enum faulty_mode mode;
    uint64_t nth;    /* from 1 */
    uint64_t times;  /* FAULTY_RUN */
    uint64_t one_in; /* FAULTY_CHANCE */
    uint64_t seed;   /* FAULTY_CHANCE */
    bool is_short;   /* a failed write has written its first half */
};

/* name: as the file was opened; f: the inner handle, to ask it for a number. */
typedef void faulty_lost_fn(void *ctx, struct vfs_file *f, const char *name);

/* No fault is armed.  inner is borrowed. */
struct vfs *vfs_faulty_create(struct alloc *a, struct vfs *inner);
void vfs_faulty_destroy(struct vfs *fs);
void vfs_faulty_on_lost(struct vfs *fs, faulty_lost_fn *fn, void *ctx);

/* fn is called before each operation, armed or not. */
typedef void faulty_watch_fn(void *ctx, enum faulty_kind kind);
void vfs_faulty_on_operation(struct vfs *fs, faulty_watch_fn *fn, void *ctx);

/* What the disk says of its space from now on, whatever the inner one holds; NULL: what that says.
 */
void vfs_faulty_set_space(struct vfs *fs, const struct vfs_space *space);

/* Also sets both counters back to 0. */
void vfs_faulty_arm(struct vfs *fs, const struct faulty_plan *plan);
void vfs_faulty_disarm(struct vfs *fs);    /* the counters stay */
uint64_t vfs_faulty_count(struct vfs *fs); /* operations of the armed kinds */
uint64_t vfs_faulty_fired(struct vfs *fs); /* of these, failed */

#endif
