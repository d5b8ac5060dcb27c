/* SPDX-License-Identifier: Apache-2.0 */
/* vfs.h — every touch of a disk goes through this table, so that tests own the disk.
 *
 * Four implementations: vfs_posix.c (the real one), vfs_memory.c (":memory:"), vfs_record.c
 * (records every operation on another one; the crash laboratory replays the record) and
 * tests/support/vfs_faulty.c (fails the n-th operation).
 *
 * RULES
 *   (1) Names are relative to a held directory, one component, never "..", never a link (R13).
 *   (2) fsync(file) makes data and size durable, not the name; dir_sync makes names durable (R11).
 *   (3) Reads and writes loop over short counts and EINTR; a short read means end of file.
 *   (4) Every descriptor is O_CLOEXEC and above 2 (R13).
 *   (5) A failed sync, or a failed close of a written file, must never be retried (R9): the caller
 *       poisons its log.
 *   (6) A name must be one path component (name_is_component); anything else answers INVALID.
 * Errors carry the code of vfs_code_of_errno and the name.  A directory handle may be used from
 * several threads at once: the actor lists and syncs while a job makes files and a search opens
 * one; who touches which name is theirs to order.  A file handle may be for read, size and map;
 * everything else has one user at a time.  A file handle does not need the directory handle it was
 * opened through, and a map does not need the file handle it was made from.
 */
#ifndef OS_VFS_H
#define OS_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/error.h"

struct vfs;
struct vfs_dir;
struct vfs_file;

enum vfs_open_flags {
    VFS_READ = 1,          /* for reading only */
    VFS_WRITE = 2,         /* for reading and writing */
    VFS_CREATE = 4,        /* with VFS_WRITE: make it, fail with ALREADY_EXISTS if it is there */
    VFS_CREATE_ANY = 8,    /* with VFS_WRITE: make it or open it (LOCK only) */
    VFS_WRITE_BEHIND = 16, /* advice: written by one thread from its front on, and synced seldom */
    VFS_DIRECT = 32,       /* with VFS_READ: past the page cache where the file system can; offsets,
                              sizes and memory of reads are multiples of 4096 (but at the end) */
};
enum vfs_lock_kind { VFS_LOCK_SHARED, VFS_LOCK_EXCLUSIVE };
enum vfs_dir_flags { VFS_DIR_CREATE = 1 }; /* make the last component when absent */

/* Of the file system that holds a directory. */
struct vfs_space {
    uint64_t free_bytes;  /* for us; UINT64_MAX: no bound that is known */
    uint64_t total_bytes; /* UINT64_MAX: the same */
};

/* Called once per entry, in no order; stop by returning false. */
typedef bool vfs_list_fn(void *ctx, const char *name);

struct vfs_ops {
    /* path: as the user gave it; links in it are the user's own and are followed.  NOT_FOUND, or
     * INVALID when it is a file.  With VFS_DIR_CREATE the name of the directory is durable on
     * success (R10): nobody else holds its parent. */
    int (*dir_open)(struct vfs *fs, const char *path, unsigned flags, struct vfs_dir **out,
                    struct error *err);
    int (*dir_open_in)(struct vfs_dir *parent, const char *name, struct vfs_dir **out,
                       struct error *err);
    void (*dir_close)(struct vfs_dir *dir);
    int (*dir_make)(struct vfs_dir *parent, const char *name, struct error *err);
    int (*dir_remove)(struct vfs_dir *parent, const char *name,
                      struct error *err); /* INVALID: not empty */
    int (*dir_sync)(struct vfs_dir *dir, struct error *err);
    int (*dir_list)(struct vfs_dir *dir, vfs_list_fn *fn, void *ctx, struct error *err);
    /* Device and inode, or two numbers as unique (L3). */
    int (*dir_identity)(struct vfs_dir *dir, uint64_t out[2], struct error *err);
    /* A quota need not show in it: a write may answer DISK_FULL all the same. */
    int (*dir_space)(struct vfs_dir *dir, struct vfs_space *out, struct error *err);
    /* true for NFS, CIFS, SMB: read-write is refused there (L5). */
    bool (*dir_is_network)(struct vfs_dir *dir);

    /* NOT_FOUND; ALREADY_EXISTS; INVALID: not a plain file (a link, a directory, a pipe). */
    int (*file_open)(struct vfs_dir *dir, const char *name, unsigned flags, struct vfs_file **out,
                     struct error *err);
    int (*file_close)(struct vfs_file *f, struct error *err); /* releases f in any case */
    int (*file_size)(struct vfs_file *f, uint64_t *out, struct error *err);
    /* *out_read < size only at the end of the file. */
    int (*file_read)(struct vfs_file *f, uint64_t offset, void *data, size_t size, size_t *out_read,
                     struct error *err);
    int (*file_write)(struct vfs_file *f, uint64_t offset, const void *data, size_t size,
                      struct error *err);
    int (*file_sync)(struct vfs_file *f, struct error *err); /* fdatasync: data and size */
    int (*file_truncate)(struct vfs_file *f, uint64_t size, struct error *err);
    int (*file_unlink)(struct vfs_dir *dir, const char *name, struct error *err);
    /* Replaces `to`. */
    int (*file_rename)(struct vfs_dir *dir, const char *from, const char *to, struct error *err);
    /* Something of this name is there, whatever it is. */
    int (*file_exists)(struct vfs_dir *dir, const char *name, bool *out, struct error *err);

    /* OFD locks of the bytes start..start+size-1 (size >= 1, end below 2^63): LOCKED at once when
     * another handle, of this process or not, holds a conflicting one; a handle's own earlier lock
     * is replaced.  Exclusive needs VFS_WRITE.  They end with file_close, and in a forked child at
     * the fork (fork_registry.h, L2). */
    int (*file_lock)(struct vfs_file *f, uint64_t start, uint64_t size, enum vfs_lock_kind kind,
                     struct error *err);
    int (*file_unlock)(struct vfs_file *f, uint64_t start, uint64_t size, struct error *err);
    /* *out_held: an exclusive lock by us would conflict with somebody else's (F_OFD_GETLK). */
    int (*file_lock_held)(struct vfs_file *f, uint64_t start, uint64_t size, bool *out_held,
                          struct error *err);

    /* Read-only map of the first `size` bytes, which the caller has checked to exist (R12); at
     * least 64-byte aligned, never NULL.  It outlives the handle, so that a mapped file costs no
     * descriptor.  Use os/mapping.h, which checks the length and remembers the range. */
    int (*file_map)(struct vfs_file *f, size_t size, const void **out, struct error *err);
    void (*unmap)(struct vfs *fs, const void *map, size_t size);
    /* For the kernel's own queues (os/read_queue.h): whoever reads by it does not pass this table.
     * NULL: every read has to. */
    int (*file_descriptor)(const struct vfs_file *f);
};

struct vfs {
    const struct vfs_ops *ops;
};
struct vfs_dir {
    const struct vfs_ops *ops;
    struct vfs *fs;                    /* whose it is */
    _Atomic(uint32_t) more_references; /* beside the first one */
};
struct vfs_file {
    const struct vfs_ops *ops;
    struct vfs *fs;
};

/* The real file system; one static object. */
struct vfs *vfs_posix(void);

/* An empty tree in memory; every root path opened on it is a directory of its own, made by
 * VFS_DIR_CREATE (paths are compared byte for byte).  NULL when out of memory.  No handle and no
 * map may be left when it is destroyed. */
struct vfs *vfs_memory_create(struct alloc *a);
void vfs_memory_destroy(struct vfs *fs);
/* Let it hold so many bytes of files, as a disk of that size would: what makes a file longer than
 * there is room answers DISK_FULL, and so it does while more is there already.  UINT64_MAX, as at
 * the beginning: as many as memory holds. */
void vfs_memory_set_total(struct vfs *fs, uint64_t total_bytes);

/* The code for an errno of these operations: EEXIST ALREADY_EXISTS; ENOTDIR, EISDIR, ELOOP,
 * ENOTEMPTY and ENAMETOOLONG INVALID; otherwise error_code_of_errno. */
int vfs_code_of_errno(int os_errno);

static inline int vfs_dir_open(struct vfs *fs, const char *path, unsigned flags,
                               struct vfs_dir **out, struct error *err)
{
    return fs->ops->dir_open(fs, path, flags, out, err);
}
static inline int vfs_dir_open_in(struct vfs_dir *parent, const char *name, struct vfs_dir **out,
                                  struct error *err)
{
    return parent->ops->dir_open_in(parent, name, out, err);
}
/* One more reference, to be given back by vfs_dir_close: for what may outlive who opened it.  The
 * handle is closed with the last one. */
static inline struct vfs_dir *vfs_dir_acquire(struct vfs_dir *dir)
{
    /* Relaxed: whoever acquires holds a reference already. */
    atomic_add_relaxed(&dir->more_references, 1u);
    return dir;
}
static inline void vfs_dir_close(struct vfs_dir *dir)
{
    /* The last one sees what all others did before theirs. */
    if (dir && atomic_sub_acq_rel(&dir->more_references, 1u) == 0) dir->ops->dir_close(dir);
}
static inline int vfs_dir_make(struct vfs_dir *parent, const char *name, struct error *err)
{
    return parent->ops->dir_make(parent, name, err);
}
static inline int vfs_dir_remove(struct vfs_dir *parent, const char *name, struct error *err)
{
    return parent->ops->dir_remove(parent, name, err);
}
static inline int vfs_dir_sync(struct vfs_dir *dir, struct error *err)
{
    return dir->ops->dir_sync(dir, err);
}
static inline int vfs_dir_list(struct vfs_dir *dir, vfs_list_fn *fn, void *ctx, struct error *err)
{
    return dir->ops->dir_list(dir, fn, ctx, err);
}
static inline int vfs_dir_identity(struct vfs_dir *dir, uint64_t out[2], struct error *err)
{
    return dir->ops->dir_identity(dir, out, err);
}
static inline int vfs_dir_space(struct vfs_dir *dir, struct vfs_space *out, struct error *err)
{
    return dir->ops->dir_space(dir, out, err);
}
static inline bool vfs_dir_is_network(struct vfs_dir *dir)
{
    return dir->ops->dir_is_network(dir);
}

static inline int vfs_open(struct vfs_dir *dir, const char *name, unsigned flags,
                           struct vfs_file **out, struct error *err)
{
    return dir->ops->file_open(dir, name, flags, out, err);
}
static inline int vfs_close(struct vfs_file *f, struct error *err)
{
    return f ? f->ops->file_close(f, err) : 0;
}
static inline int vfs_size(struct vfs_file *f, uint64_t *out, struct error *err)
{
    return f->ops->file_size(f, out, err);
}
static inline int vfs_read(struct vfs_file *f, uint64_t offset, void *data, size_t size,
                           size_t *out_read, struct error *err)
{
    return f->ops->file_read(f, offset, data, size, out_read, err);
}
static inline int vfs_write(struct vfs_file *f, uint64_t offset, const void *data, size_t size,
                            struct error *err)
{
    return f->ops->file_write(f, offset, data, size, err);
}
static inline int vfs_sync(struct vfs_file *f, struct error *err)
{
    return f->ops->file_sync(f, err);
}
static inline int vfs_truncate(struct vfs_file *f, uint64_t size, struct error *err)
{
    return f->ops->file_truncate(f, size, err);
}
static inline int vfs_unlink(struct vfs_dir *dir, const char *name, struct error *err)
{
    return dir->ops->file_unlink(dir, name, err);
}
static inline int vfs_rename(struct vfs_dir *dir, const char *from, const char *to,
                             struct error *err)
{
    return dir->ops->file_rename(dir, from, to, err);
}
static inline int vfs_exists(struct vfs_dir *dir, const char *name, bool *out, struct error *err)
{
    return dir->ops->file_exists(dir, name, out, err);
}
static inline int vfs_lock(struct vfs_file *f, uint64_t start, uint64_t size,
                           enum vfs_lock_kind kind, struct error *err)
{
    return f->ops->file_lock(f, start, size, kind, err);
}
static inline int vfs_unlock(struct vfs_file *f, uint64_t start, uint64_t size, struct error *err)
{
    return f->ops->file_unlock(f, start, size, err);
}
static inline int vfs_lock_held(struct vfs_file *f, uint64_t start, uint64_t size, bool *out_held,
                                struct error *err)
{
    return f->ops->file_lock_held(f, start, size, out_held, err);
}
static inline int vfs_map(struct vfs_file *f, size_t size, const void **out, struct error *err)
{
    return f->ops->file_map(f, size, out, err);
}
static inline void vfs_unmap(struct vfs *fs, const void *map, size_t size)
{
    fs->ops->unmap(fs, map, size);
}

#endif
