/* SPDX-License-Identifier: Apache-2.0 */
/* vfs_record.h — a VFS that passes everything on to another one and calls an observer.
 *
 * The observer is called after each operation that changes the disk has returned, with what was
 * done: the crash laboratory builds every image that a crash could leave from that sequence.
 * Reads, maps and locks are passed on without a call, and so is the making of a root.  Changes are
 * passed on one at a time, so that the calls come in the order of the changes; the observer must
 * not change the disk through this VFS.
 */
#ifndef OS_VFS_RECORD_H
#define OS_VFS_RECORD_H

#include "base/slice.h"
#include "os/vfs.h"

enum vfs_op_kind {
    VFS_OP_DIR_MAKE,      /* dir = parent, name; file = number of the new directory */
    VFS_OP_DIR_REMOVE,    /* dir = parent, name */
    VFS_OP_DIR_SYNC,      /* dir */
    VFS_OP_FILE_CREATE,   /* dir, name, file */
    VFS_OP_FILE_WRITE,    /* file, offset, data */
    VFS_OP_FILE_SYNC,     /* file */
    VFS_OP_FILE_TRUNCATE, /* file, offset = new size */
    VFS_OP_FILE_UNLINK,   /* dir, name */
    VFS_OP_FILE_RENAME,   /* dir, name = from, name_to */
    VFS_OP_KIND_COUNT
};

struct vfs_op {
    enum vfs_op_kind kind;
    uint64_t dir; /* number of the directory; the root is 1 */
    uint64_t
        file; /* number of the file (its inode, so to say), given at its creation or first open */
    const char *name;
    const char *name_to;
    uint64_t offset;
    struct slice data; /* borrowed for the call */
};

/* Returning -1 makes the operation fail with the error set by the observer (after it was done:
 * the laboratory's "crash here"); `err` is the operation's. */
typedef int vfs_record_fn(void *ctx, const struct vfs_op *op, struct error *err);

/* inner is borrowed and must outlive the record. */
struct vfs *vfs_record_create(struct alloc *a, struct vfs *inner, vfs_record_fn *fn, void *ctx);
void vfs_record_destroy(struct vfs *fs);

/* The numbers that the observer sees for a handle of this VFS. */
uint64_t vfs_record_dir_number(const struct vfs_dir *dir);
uint64_t vfs_record_file_number(const struct vfs_file *f);

#endif
