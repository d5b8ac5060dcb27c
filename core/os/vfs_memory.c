/* SPDX-License-Identifier: Apache-2.0 */
/* vfs_memory.c — a file system in memory: ":memory:", and the ground of the crash laboratory.
 *
 * WHAT        vfs.h over memory_tree.h.  There is nothing to sync: a database lives as long as its
 *             file system.
 * INVARIANTS  (1) Behaves as vfs_posix.c does wherever a caller can see: names of open files may
 *                 go, a removed directory takes no new names, locks belong to the handle.
 *             (2) open_count is the number of handles and maps; destroy demands 0.
 *             (3) A file gets longer only within the room that all of them share.
 * THREADS     One mutex over everything, held for one operation; never while a callback runs.
 * FAILURE     NO_MEMORY leaves everything as it was.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/thread.h"
#include "os/memory_locks.h"
#include "os/memory_tree.h"
#include "os/path.h"
#include "os/vfs.h"

struct memory_vfs {
    struct vfs base; /* first */
    struct alloc *alloc;
    struct mutex mutex;
    struct memory_node *roots; /* its children are the roots, named by their paths */
    uint64_t node_count;       /* made so far, for ids */
    size_t open_count;         /* (2) */
    struct memory_room room;
};

struct memory_dir {
    struct vfs_dir base; /* first */
    struct memory_node *node;
};

struct memory_file {
    struct vfs_file base; /* first */
    struct memory_node *node;
    bool is_writable;
};

static const struct vfs_ops MEMORY_OPS;
static const _Alignas(ALIGN_VECTOR) char EMPTY_MAP[ALIGN_VECTOR]; /* a map of no bytes */

static struct memory_vfs *fs_of_dir(const struct vfs_dir *d)
{
    return (struct memory_vfs *)d->fs;
}
static struct memory_vfs *fs_of_file(const struct vfs_file *f)
{
    return (struct memory_vfs *)f->fs;
}
static struct memory_node *node_of_dir(const struct vfs_dir *d)
{
    return ((const struct memory_dir *)d)->node;
}
static struct memory_node *node_of_file(const struct vfs_file *f)
{
    return ((const struct memory_file *)f)->node;
}

struct vfs *vfs_memory_create(struct alloc *a)
{
    struct memory_vfs *fs = mem_zalloc(a, MEM_GENERAL, sizeof *fs);
    if (!fs) return NULL;
    fs->base.ops = &MEMORY_OPS;
    fs->alloc = a;
    fs->room.total_bytes = UINT64_MAX;
    fs->roots = memory_node_create(a, 0, true, &fs->room);
    if (!fs->roots) {
        mem_free(a, fs);
        return NULL;
    }
    mutex_init(&fs->mutex);
    return &fs->base;
}

void vfs_memory_destroy(struct vfs *base)
{
    if (!base) return;
    struct memory_vfs *fs = (struct memory_vfs *)base;
    CHECK(fs->open_count == 0); /* (2) */
    memory_tree_destroy(fs->alloc, fs->roots);
    mutex_deinit(&fs->mutex);
    mem_free(fs->alloc, fs);
}

void vfs_memory_set_total(struct vfs *base, uint64_t total_bytes)
{
    struct memory_vfs *fs = (struct memory_vfs *)base;
    mutex_lock(&fs->mutex);
    fs->room.total_bytes = total_bytes;
    mutex_unlock(&fs->mutex);
}

/* ---- errors ---- */

static int check_range(const struct vfs_file *f, uint64_t offset, uint64_t size, struct error *err)
{
    if (offset <= INT64_MAX && size <= INT64_MAX - offset) return 0;
    return error_set(err, LYNSE_INVALID, "'%s': %llu bytes at %llu are beyond what a file can hold",
                     memory_node_name(node_of_file(f)), (unsigned long long)size,
                     (unsigned long long)offset);
}

static int check_write(const struct vfs_file *f, uint64_t offset, uint64_t size, struct error *err)
{
    if (check_range(f, offset, size, err) != 0) return -1;
    if (((const struct memory_file *)f)->is_writable) return 0;
    return error_set(err, LYNSE_IO, "'%s' was opened for reading only",
                     memory_node_name(node_of_file(f)));
}

static int fail_absent(const char *name, struct error *err)
{
    return error_set(err, LYNSE_NOT_FOUND, "there is no '%s'", name);
}

static int fail_present(const char *name, struct error *err)
{
    return error_set(err, LYNSE_ALREADY_EXISTS, "'%s' is there already", name);
}

/* The entry of a name below dir, or NULL and NOT_FOUND. */
static struct memory_entry *find_entry(const struct memory_node *dir, const char *name,
                                       struct error *err)
{
    struct memory_entry *e = memory_dir_find(dir, name);
    if (!e) (void)fail_absent(name, err);
    return e;
}

/* A new node under a name that is free, with the name's reference; NULL: NO_MEMORY, or NOT_FOUND
 * when dir itself was removed. */
static struct memory_node *add_node(struct memory_vfs *fs, struct memory_node *dir,
                                    const char *name, bool is_directory, struct error *err)
{
    if (dir != fs->roots && !dir->entry) {
        (void)error_set(err, LYNSE_NOT_FOUND, "the directory of '%s' was removed", name);
        return NULL;
    }
    struct memory_node *node =
        memory_node_create(fs->alloc, fs->node_count + 1, is_directory, &fs->room);
    if (node && memory_dir_add(fs->alloc, dir, name, node)) {
        fs->node_count++;
        return node;
    }
    if (node) memory_node_release(fs->alloc, node);
    (void)error_no_memory(err, sizeof *node);
    return NULL;
}

/* ---- directories ---- */

static int open_dir_node(struct memory_vfs *fs, struct memory_node *node, struct vfs_dir **out,
                         struct error *err)
{
    if (!node->is_directory)
        return error_set(err, LYNSE_INVALID, "'%s' is not a directory", memory_node_name(node));
    struct memory_dir *d = mem_alloc(fs->alloc, MEM_GENERAL, sizeof *d);
    if (!d) return error_no_memory(err, sizeof *d);
    *d = (struct memory_dir){.base = {.ops = &MEMORY_OPS, .fs = &fs->base}, .node = node};
    memory_node_acquire(node);
    fs->open_count++;
    *out = &d->base;
    return 0;
}

static int do_dir_open(struct vfs *base, const char *path, unsigned flags, struct vfs_dir **out,
                       struct error *err)
{
    struct memory_vfs *fs = (struct memory_vfs *)base;
    if (!path || path[0] == '\0') return error_set(err, LYNSE_INVALID, "directory path is empty");
    int rc = -1;
    mutex_lock(&fs->mutex);
    const struct memory_entry *e = memory_dir_find(fs->roots, path);
    struct memory_node *node = e ? e->node : NULL;
    if (!node && (flags & VFS_DIR_CREATE)) node = add_node(fs, fs->roots, path, true, err);
    else if (!node) (void)fail_absent(path, err);
    if (node) rc = open_dir_node(fs, node, out, err);
    mutex_unlock(&fs->mutex);
    return rc;
}

static int do_dir_open_in(struct vfs_dir *parent, const char *name, struct vfs_dir **out,
                          struct error *err)
{
    if (name_check_component(name, err) != 0) return -1;
    struct memory_vfs *fs = fs_of_dir(parent);
    mutex_lock(&fs->mutex);
    const struct memory_entry *e = find_entry(node_of_dir(parent), name, err);
    int rc = e ? open_dir_node(fs, e->node, out, err) : -1;
    mutex_unlock(&fs->mutex);
    return rc;
}

static void do_dir_close(struct vfs_dir *dir)
{
    struct memory_vfs *fs = fs_of_dir(dir);
    mutex_lock(&fs->mutex);
    memory_node_release(fs->alloc, node_of_dir(dir));
    fs->open_count--;
    mutex_unlock(&fs->mutex);
    mem_free(fs->alloc, (struct memory_dir *)dir);
}

static int do_dir_make(struct vfs_dir *parent, const char *name, struct error *err)
{
    if (name_check_component(name, err) != 0) return -1;
    struct memory_vfs *fs = fs_of_dir(parent);
    int rc = -1;
    mutex_lock(&fs->mutex);
    if (memory_dir_find(node_of_dir(parent), name)) (void)fail_present(name, err);
    else if (add_node(fs, node_of_dir(parent), name, true, err)) rc = 0;
    mutex_unlock(&fs->mutex);
    return rc;
}

static int do_dir_remove(struct vfs_dir *parent, const char *name, struct error *err)
{
    if (name_check_component(name, err) != 0) return -1;
    struct memory_vfs *fs = fs_of_dir(parent);
    int rc = -1;
    mutex_lock(&fs->mutex);
    struct memory_entry *e = find_entry(node_of_dir(parent), name, err);
    if (e && memory_dir_is_empty(e->node)) {
        memory_dir_remove(fs->alloc, node_of_dir(parent), e);
        rc = 0;
    } else if (e) {
        (void)error_set(err, LYNSE_INVALID, "'%s' is not an empty directory", name);
    }
    mutex_unlock(&fs->mutex);
    return rc;
}

static int do_dir_sync(struct vfs_dir *dir, struct error *err)
{
    (void)dir;
    (void)err;
    return 0;
}

static int do_dir_list(struct vfs_dir *dir, vfs_list_fn *fn, void *ctx, struct error *err)
{
    struct memory_vfs *fs = fs_of_dir(dir);
    const struct memory_children *c = &node_of_dir(dir)->as.children;
    struct buf names; /* each with its NUL: the callback may change the directory */
    buf_init(&names, fs->alloc, MEM_GENERAL);
    mutex_lock(&fs->mutex);
    for (size_t b = 0; b < c->bucket_count; b++)
        for (const struct memory_entry *e = c->buckets[b]; e; e = e->next)
            buf_append(&names, e->name, strlen(e->name) + 1);
    mutex_unlock(&fs->mutex);

    int rc = buf_ok(&names) ? 0 : error_no_memory(err, names.size);
    for (size_t at = 0; rc == 0 && at < names.size;) {
        const char *name = (const char *)names.data + at;
        if (!fn(ctx, name)) break;
        at += strlen(name) + 1;
    }
    buf_deinit(&names);
    return rc;
}

static int do_dir_identity(struct vfs_dir *dir, uint64_t out[2], struct error *err)
{
    (void)err;
    out[0] = (uint64_t)(uintptr_t)dir->fs;
    out[1] = node_of_dir(dir)->id;
    return 0;
}

/* The allocator's budget is no disk: without it the answer is NO_MEMORY. */
static int do_dir_space(struct vfs_dir *dir, struct vfs_space *out, struct error *err)
{
    (void)err;
    struct memory_vfs *fs = fs_of_dir(dir);
    mutex_lock(&fs->mutex);
    *out = (struct vfs_space){memory_room_free(&fs->room), fs->room.total_bytes};
    mutex_unlock(&fs->mutex);
    return 0;
}

static bool do_dir_is_network(struct vfs_dir *dir)
{
    (void)dir;
    return false;
}

/* ---- files: open, close, names ---- */

/* The node to open, made if the flags say so; *out_is_new: the open's failure must unname it. */
static struct memory_node *open_node(struct memory_vfs *fs, struct memory_node *dir,
                                     const char *name, unsigned flags, bool *out_is_new,
                                     struct error *err)
{
    const struct memory_entry *e = memory_dir_find(dir, name);
    *out_is_new = false;
    if (!e && !(flags & (VFS_CREATE | VFS_CREATE_ANY))) {
        (void)fail_absent(name, err);
        return NULL;
    }
    if (!e) {
        struct memory_node *node = add_node(fs, dir, name, false, err);
        *out_is_new = node != NULL;
        return node;
    }
    if (flags & VFS_CREATE) {
        (void)fail_present(name, err);
        return NULL;
    }
    if (e->node->is_directory) {
        (void)error_set(err, LYNSE_INVALID, "'%s' is not a plain file; links are not followed",
                        name);
        return NULL;
    }
    return e->node;
}

static int do_file_open(struct vfs_dir *dir, const char *name, unsigned flags,
                        struct vfs_file **out, struct error *err)
{
    CHECK(((flags & VFS_READ) != 0) != ((flags & VFS_WRITE) != 0));
    CHECK((flags & VFS_WRITE) || !(flags & (VFS_CREATE | VFS_CREATE_ANY)));
    if (name_check_component(name, err) != 0) return -1;
    struct memory_vfs *fs = fs_of_dir(dir);
    struct memory_file *f = mem_alloc(fs->alloc, MEM_GENERAL, sizeof *f);
    if (!f) return error_no_memory(err, sizeof *f);

    bool is_new;
    mutex_lock(&fs->mutex);
    struct memory_node *node = open_node(fs, node_of_dir(dir), name, flags, &is_new, err);
    if (node) {
        memory_node_acquire(node);
        fs->open_count++;
    }
    mutex_unlock(&fs->mutex);
    if (!node) {
        mem_free(fs->alloc, f);
        return -1;
    }
    *f = (struct memory_file){{&MEMORY_OPS, &fs->base}, node, (flags & VFS_WRITE) != 0};
    *out = &f->base;
    return 0;
}

static int do_file_close(struct vfs_file *file, struct error *err)
{
    (void)err;
    struct memory_file *f = (struct memory_file *)file;
    struct memory_vfs *fs = fs_of_file(file);
    mutex_lock(&fs->mutex);
    memory_locks_drop(fs->alloc, &f->node->as.file.locks, f);
    memory_node_release(fs->alloc, f->node);
    fs->open_count--;
    mutex_unlock(&fs->mutex);
    mem_free(fs->alloc, f);
    return 0;
}

static int do_file_unlink(struct vfs_dir *dir, const char *name, struct error *err)
{
    if (name_check_component(name, err) != 0) return -1;
    struct memory_vfs *fs = fs_of_dir(dir);
    int rc = -1;
    mutex_lock(&fs->mutex);
    struct memory_entry *e = find_entry(node_of_dir(dir), name, err);
    if (e && e->node->is_directory) {
        (void)error_set(err, LYNSE_INVALID, "'%s' is a directory", name);
    } else if (e) {
        memory_dir_remove(fs->alloc, node_of_dir(dir), e);
        rc = 0;
    }
    mutex_unlock(&fs->mutex);
    return rc;
}

static int rename_entry(struct memory_vfs *fs, struct memory_node *dir, struct memory_entry *from,
                        const char *to, struct error *err)
{
    struct memory_entry *target = memory_dir_find(dir, to);
    if (target == from) return 0;
    if (target && !memory_node_can_replace(from->node, target->node))
        return error_set(err, LYNSE_INVALID, "'%s' cannot replace '%s'", from->name, to);

    struct memory_node *node = from->node;
    memory_node_acquire(node); /* for the new name */
    node->entry = NULL;
    if (!memory_dir_add(fs->alloc, dir, to, node)) {
        node->entry = from;
        memory_node_release(fs->alloc, node);
        return error_no_memory(err, sizeof *from);
    }
    struct memory_entry *added = node->entry;
    node->entry = from;
    memory_dir_remove(fs->alloc, dir, from);
    if (target) memory_dir_remove(fs->alloc, dir, target);
    node->entry = added;
    return 0;
}

static int do_file_rename(struct vfs_dir *dir, const char *from, const char *to, struct error *err)
{
    if (name_check_component(from, err) != 0 || name_check_component(to, err) != 0) return -1;
    struct memory_vfs *fs = fs_of_dir(dir);
    mutex_lock(&fs->mutex);
    struct memory_entry *e = find_entry(node_of_dir(dir), from, err);
    int rc = e ? rename_entry(fs, node_of_dir(dir), e, to, err) : -1;
    mutex_unlock(&fs->mutex);
    return rc;
}

static int do_file_exists(struct vfs_dir *dir, const char *name, bool *out, struct error *err)
{
    if (name_check_component(name, err) != 0) return -1;
    struct memory_vfs *fs = fs_of_dir(dir);
    mutex_lock(&fs->mutex);
    *out = memory_dir_find(node_of_dir(dir), name) != NULL;
    mutex_unlock(&fs->mutex);
    return 0;
}

/* ---- files: content ---- */

static int do_file_size(struct vfs_file *f, uint64_t *out, struct error *err)
{
    (void)err;
    struct memory_vfs *fs = fs_of_file(f);
    mutex_lock(&fs->mutex);
    *out = node_of_file(f)->as.file.size;
    mutex_unlock(&fs->mutex);
    return 0;
}

static int do_file_read(struct vfs_file *f, uint64_t offset, void *data, size_t size,
                        size_t *out_read, struct error *err)
{
    if (check_range(f, offset, size, err) != 0) return -1;
    struct memory_vfs *fs = fs_of_file(f);
    mutex_lock(&fs->mutex);
    *out_read = memory_file_read(node_of_file(f), offset, data, size);
    mutex_unlock(&fs->mutex);
    return 0;
}

static int fail_full(const struct vfs_file *f, struct error *err)
{
    return error_set_errno(err, LYNSE_DISK_FULL, ENOSPC, "cannot write '%s'",
                           memory_node_name(node_of_file(f)));
}

static int do_file_write(struct vfs_file *f, uint64_t offset, const void *data, size_t size,
                         struct error *err)
{
    if (check_write(f, offset, size, err) != 0) return -1;
    struct memory_vfs *fs = fs_of_file(f);
    mutex_lock(&fs->mutex);
    uint64_t end = memory_file_end(node_of_file(f), offset + size); /* (3) */
    size_t fits = end > offset ? (size_t)(end - offset) : 0; /* as on a disk: a part is written */
    bool ok = memory_file_write(fs->alloc, node_of_file(f), offset, data, fits);
    mutex_unlock(&fs->mutex);
    if (!ok) return error_no_memory(err, size);
    return fits == size ? 0 : fail_full(f, err);
}

static int do_file_sync(struct vfs_file *f, struct error *err)
{
    (void)f;
    (void)err;
    return 0;
}

static int do_file_truncate(struct vfs_file *f, uint64_t size, struct error *err)
{
    if (check_write(f, 0, size, err) != 0) return -1;
    struct memory_vfs *fs = fs_of_file(f);
    mutex_lock(&fs->mutex);
    bool fits = memory_file_end(node_of_file(f), size) == size; /* (3) */
    bool ok = !fits || memory_file_truncate(fs->alloc, node_of_file(f), size);
    mutex_unlock(&fs->mutex);
    if (!ok) return error_no_memory(err, size);
    return fits ? 0 : fail_full(f, err);
}

/* ---- locks ---- */

static int do_file_lock(struct vfs_file *f, uint64_t start, uint64_t size, enum vfs_lock_kind kind,
                        struct error *err)
{
    CHECK(size >= 1 && start <= INT64_MAX && size <= INT64_MAX - start);
    bool is_exclusive = kind == VFS_LOCK_EXCLUSIVE;
    if (is_exclusive && check_write(f, 0, 0, err) != 0) return -1;
    struct memory_vfs *fs = fs_of_file(f);
    struct memory_lock **locks = &node_of_file(f)->as.file.locks;
    int rc = -1;
    mutex_lock(&fs->mutex);
    if (memory_locks_conflict(*locks, f, start, start + size, is_exclusive))
        (void)error_set(err, LYNSE_LOCKED, "'%s' is locked by somebody else",
                        memory_node_name(node_of_file(f)));
    else if (!memory_locks_set(fs->alloc, locks, f, start, start + size, is_exclusive))
        (void)error_no_memory(err, sizeof(struct memory_lock));
    else rc = 0;
    mutex_unlock(&fs->mutex);
    return rc;
}

static int do_file_unlock(struct vfs_file *f, uint64_t start, uint64_t size, struct error *err)
{
    CHECK(size >= 1 && start <= INT64_MAX && size <= INT64_MAX - start);
    struct memory_vfs *fs = fs_of_file(f);
    struct memory_lock **locks = &node_of_file(f)->as.file.locks;
    mutex_lock(&fs->mutex);
    bool ok = memory_locks_clear(fs->alloc, locks, f, start, start + size);
    mutex_unlock(&fs->mutex);
    return ok ? 0 : error_no_memory(err, sizeof(struct memory_lock));
}

static int do_file_lock_held(struct vfs_file *f, uint64_t start, uint64_t size, bool *out_held,
                             struct error *err)
{
    (void)err;
    CHECK(size >= 1 && start <= INT64_MAX && size <= INT64_MAX - start);
    struct memory_vfs *fs = fs_of_file(f);
    mutex_lock(&fs->mutex);
    *out_held = memory_locks_conflict(node_of_file(f)->as.file.locks, f, start, start + size, true);
    mutex_unlock(&fs->mutex);
    return 0;
}

/* ---- maps ---- */

static int do_file_map(struct vfs_file *f, size_t size, const void **out, struct error *err)
{
    struct memory_vfs *fs = fs_of_file(f);
    struct memory_node *node = node_of_file(f);
    int rc = 0;
    if (size == 0) {
        *out = EMPTY_MAP;
        return 0;
    }
    mutex_lock(&fs->mutex);
    if (size <= node->as.file.size) {
        *out = memory_file_map(fs->alloc, node);
        fs->open_count++;
    } else {
        rc = error_set(err, LYNSE_INVALID, "map of %zu bytes of '%s', which has %llu", size,
                       memory_node_name(node), (unsigned long long)node->as.file.size);
    }
    mutex_unlock(&fs->mutex);
    return rc;
}

static void do_unmap(struct vfs *base, const void *map, size_t size)
{
    struct memory_vfs *fs = (struct memory_vfs *)base;
    if (size == 0) return;
    mutex_lock(&fs->mutex);
    memory_unmap(fs->alloc, map);
    fs->open_count--;
    mutex_unlock(&fs->mutex);
}

static const struct vfs_ops MEMORY_OPS = {
    .dir_open = do_dir_open,
    .dir_open_in = do_dir_open_in,
    .dir_close = do_dir_close,
    .dir_make = do_dir_make,
    .dir_remove = do_dir_remove,
    .dir_sync = do_dir_sync,
    .dir_list = do_dir_list,
    .dir_identity = do_dir_identity,
    .dir_space = do_dir_space,
    .dir_is_network = do_dir_is_network,
    .file_open = do_file_open,
    .file_close = do_file_close,
    .file_size = do_file_size,
    .file_read = do_file_read,
    .file_write = do_file_write,
    .file_sync = do_file_sync,
    .file_truncate = do_file_truncate,
    .file_unlink = do_file_unlink,
    .file_rename = do_file_rename,
    .file_exists = do_file_exists,
    .file_lock = do_file_lock,
    .file_unlock = do_file_unlock,
    .file_lock_held = do_file_lock_held,
    .file_map = do_file_map,
    .unmap = do_unmap,
};
