/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h — a disk with a page cache, as far as a crash can tell: what is durable, and what is not
 * yet, write by write and name by name.
 *
 * WHAT A CRASH MAY LEAVE  A kill leaves everything (the cache lives on).  A power cut leaves what
 * is durable and any subset of what is pending: a write may be there, absent, torn at 512 bytes,
 * or only its size; a rename is a new name and the end of an old one, each pending by itself, so
 * that both names or neither may be there (R11).  Syncing a file makes its bytes and size durable,
 * not its name; syncing a directory makes its names durable.
 * Writes to LOCK are durable at once: its text decides nothing (L1).
 */
#ifndef CRASHLAB_DISK_H
#define CRASHLAB_DISK_H

#include "base/alloc.h"
#include "os/vfs_record.h"

enum {
    DISK_ROOT = 1,      /* inode of the root directory */
    SECTOR_BYTES = 512, /* what a power cut tears */
    MASK_WORDS = 8,     /* pending operations that a mask can tell apart */
    MASK_BITS = MASK_WORDS * 64,
};

/* Bytes that several disks share; never changed. */
struct blob {
    uint32_t reference_count;
    size_t size;
    uint64_t hash;
    uint8_t bytes[];
};

enum pending_kind { PENDING_WRITE, PENDING_TRUNCATE, PENDING_LINK, PENDING_UNLINK };
struct pending {
    enum pending_kind kind;
    uint32_t inode;    /* the file, or what the name leads to */
    uint32_t dir;      /* LINK, UNLINK */
    uint64_t offset;   /* WRITE; TRUNCATE: new size */
    struct blob *data; /* WRITE: bytes; LINK, UNLINK: the name with its NUL */
    bool is_paired;    /* the UNLINK half of a rename: follows its LINK */
};
struct disk_inode {
    uint32_t number;
    bool is_dir;
    bool is_lock;
    struct blob *content; /* durable; NULL: empty */
    struct blob *cached;  /* after a failed sync: what the cache shows; NULL: as pending has it */
};
struct disk_name {
    uint32_t dir;
    uint32_t inode;
    struct blob *name; /* with its NUL */
};
struct disk {
    struct alloc *alloc;
    struct disk_inode *inodes;
    size_t inode_count, inode_capacity;
    struct disk_name *names; /* durable */
    size_t name_count, name_capacity;
    struct pending *pending; /* oldest first */
    size_t pending_count, pending_capacity;
    uint32_t next_inode;
};

/* What a power cut leaves of the pending operations.  Operations beyond MASK_BITS share the bit of
 * the one before. */
enum tear_kind {
    TEAR_NONE,
    TEAR_PREFIX,  /* the victim's first `detail` sectors */
    TEAR_SECTORS, /* those sectors of the victim whose bit of hash(detail, sector) is set */
    TEAR_ZERO,    /* the victim's size, and zeros where the file was shorter */
    TEAR_GARBAGE, /* the victim's size, and garbage where the file was shorter */
};
struct image {
    uint64_t keep[MASK_WORDS];
    enum tear_kind tear;
    uint32_t victim; /* a pending WRITE that is kept but torn */
    uint64_t detail;
};
static inline bool image_keeps(const struct image *m, size_t i)
{
    if (i >= MASK_BITS) i = MASK_BITS - 1;
    return (m->keep[i / 64] >> (i % 64)) & 1;
}
static inline void image_keep(struct image *m, size_t i)
{
    if (i >= MASK_BITS) i = MASK_BITS - 1;
    m->keep[i / 64] |= 1ull << (i % 64);
}

void disk_init(struct disk *d, struct alloc *a); /* an empty root */
void disk_deinit(struct disk *d);
void disk_copy(struct disk *to, const struct disk *from); /* what a kill leaves; `to` is new */
/* What a power cut leaves: nothing is pending.  `to` is new. */
void disk_cut(struct disk *to, const struct disk *from, const struct image *m);
/* Equal for equal durable names and contents. */
uint64_t disk_hash(const struct disk *d);

/* A failed sync: the file's pending writes will never reach the disk, whoever syncs again (R9); the
 * cache goes on showing them. */
void disk_lose(struct disk *d, uint32_t inode);
/* Does the cache show what no power cut can leave? */
bool disk_has_lost(const struct disk *d);

/* Replace the durable bytes of a file (media damage).  `to` has nothing pending. */
void disk_damage(struct disk *d, size_t inode_index, uint64_t offset, size_t size, uint64_t seed);

/* ---- mounted: as an operating system shows it, pending operations applied ---- */

/* Observes a recording VFS and keeps a disk in step with it. */
struct mount {
    struct disk *disk;
    struct vfs *memory;
    struct vfs *record; /* NULL: changes are not followed */
    uint32_t *files;    /* record number → inode */
    size_t file_capacity;
    uint32_t *dirs;
    size_t dir_capacity;
    bool (*before)(void *ctx,
                   const struct vfs_op *op); /* disk as it was; false: fail the operation */
    bool (*after)(void *ctx, const struct vfs_op *op);
    void *ctx;
};
#define DISK_PATH "/db"
#define DISK_BYTES (1ull << 40) /* more than any history fills */

/* Make the files in a new memory VFS; with `follow`, a recording one over it. */
void mount_init(struct mount *m, struct disk *d, bool follow);
void mount_deinit(struct mount *m); /* no handle is open */
static inline struct vfs *mount_vfs(const struct mount *m)
{
    return m->record ? m->record : m->memory;
}
/* The inode behind a handle of the recording VFS. */
uint32_t mount_inode(const struct mount *m, const struct vfs_file *f);

#endif
