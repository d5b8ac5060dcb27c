/* SPDX-License-Identifier: Apache-2.0 */
/* vfs_record.c — passes every operation on and tells an observer what was changed.
 *
 * WHAT        vfs.h over another vfs.h.
 * LAYOUT      numbers: (number of the directory, name) → number of what is there, files and
 *             directories in one series; roots are names in directory 0.
 * INVARIANTS  (1) A name has a number from its creation, or its first use, until it is removed or
 *                 replaced; the number goes with a rename and is never given again.
 *             (2) The observer sees changes in the order in which the inner file system made them.
 *             (3) Room in the table is made before the inner operation, so that nothing done there
 *                 can be missed here.
 * THREADS     One mutex over a change, its number and the observer's call.  Reads take none.
 * FAILURE     An inner error is passed on and not observed.  An observer's error fails the
 *             operation although it was done.
 */
#include "os/vfs_record.h"

#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash_map.h"
#include "base/thread.h"
#include "os/path.h"

enum { RECORD_NAME_BYTES = 4096 }; /* a root's path, or one component */

struct record_vfs {
    struct vfs base; /* first */
    struct alloc *alloc;
    struct vfs *inner;
    vfs_record_fn *fn;
    void *ctx;
    struct mutex mutex;
    struct text_map numbers;
    uint64_t last_number;
};

struct record_dir {
    struct vfs_dir base; /* first */
    struct vfs_dir *inner;
    uint64_t number;
};

struct record_file {
    struct vfs_file base; /* first */
    struct vfs_file *inner;
    uint64_t number;
};

static const struct vfs_ops RECORD_OPS;

static struct record_vfs *fs_of_dir(const struct vfs_dir *d)
{
    return (struct record_vfs *)d->fs;
}
static struct record_vfs *fs_of_file(const struct vfs_file *f)
{
    return (struct record_vfs *)f->fs;
}
static struct record_dir *dir_of(struct vfs_dir *d)
{
    return (struct record_dir *)d;
}
static struct record_file *file_of(struct vfs_file *f)
{
    return (struct record_file *)f;
}

uint64_t vfs_record_dir_number(const struct vfs_dir *d)
{
    return ((const struct record_dir *)d)->number;
}

uint64_t vfs_record_file_number(const struct vfs_file *f)
{
    return ((const struct record_file *)f)->number;
}

struct vfs *vfs_record_create(struct alloc *a, struct vfs *inner, vfs_record_fn *fn, void *ctx)
{
    struct record_vfs *fs = mem_zalloc(a, MEM_GENERAL, sizeof *fs);
    if (!fs) return NULL;
    fs->base.ops = &RECORD_OPS;
    fs->alloc = a;
    fs->inner = inner;
    fs->fn = fn;
    fs->ctx = ctx;
    mutex_init(&fs->mutex);
    text_map_init(&fs->numbers, a, MEM_GENERAL);
    return &fs->base;
}

void vfs_record_destroy(struct vfs *base)
{
    if (!base) return;
    struct record_vfs *fs = (struct record_vfs *)base;
    text_map_deinit(&fs->numbers);
    mutex_deinit(&fs->mutex);
    mem_free(fs->alloc, fs);
}

/* ---- numbers ---- */

struct record_key {
    uint8_t bytes[8 + RECORD_NAME_BYTES];
};

static struct slice set_key(struct record_key *k, uint64_t dir, const char *name)
{
    size_t name_bytes = strnlen(name, RECORD_NAME_BYTES);
    store_u64(k->bytes, dir);
    memcpy(k->bytes + 8, name, name_bytes);
    return slice_of(k->bytes, 8 + name_bytes);
}

/* Room for two new names (3), and a name that the keys can hold. */
static int reserve_numbers(struct record_vfs *fs, const char *name, const char *other,
                           struct error *err)
{
    size_t bytes = 2 * 8 + strlen(name) + (other ? strlen(other) : 0);
    if (bytes > RECORD_NAME_BYTES)
        return error_set(err, LYNSE_LIMIT, "'%.64s…' is too long a name to record", name);
    if (text_map_reserve(&fs->numbers, 2, bytes) != 0) return error_no_memory(err, bytes);
    return 0;
}

static void set_number(struct record_vfs *fs, uint64_t dir, const char *name, uint64_t number)
{
    struct record_key k;
    int rc = text_map_put(&fs->numbers, set_key(&k, dir, name), number);
    CHECK(rc == 0); /* (3) */
}

static uint64_t number_of(struct record_vfs *fs, uint64_t dir, const char *name)
{
    struct record_key k;
    uint64_t number;
    if (text_map_get(&fs->numbers, set_key(&k, dir, name), &number)) return number;
    number = ++fs->last_number;
    set_number(fs, dir, name, number);
    return number;
}

static void drop_number(struct record_vfs *fs, uint64_t dir, const char *name)
{
    struct record_key k;
    (void)text_map_remove(&fs->numbers, set_key(&k, dir, name));
}

static int observe(struct record_vfs *fs, struct vfs_op op, struct error *err)
{
    return fs->fn(fs->ctx, &op, err) == 0 ? 0 : -1;
}

/* ---- directories ---- */

static struct record_dir *create_dir_handle(struct record_vfs *fs, struct error *err)
{
    struct record_dir *d = mem_zalloc(fs->alloc, MEM_GENERAL, sizeof *d);
    if (!d) {
        (void)error_no_memory(err, sizeof *d);
        return NULL;
    }
    d->base = (struct vfs_dir){.ops = &RECORD_OPS, .fs = &fs->base};
    return d;
}

static int record_dir_open(struct vfs *base, const char *path, unsigned flags, struct vfs_dir **out,
                           struct error *err)
{
    struct record_vfs *fs = (struct record_vfs *)base;
    if (!path) return error_set(err, LYNSE_INVALID, "directory path is missing");
    struct record_dir *d = create_dir_handle(fs, err);
    if (!d) return -1;
    mutex_lock(&fs->mutex);
    int rc = reserve_numbers(fs, path, NULL, err);
    if (rc == 0) rc = vfs_dir_open(fs->inner, path, flags, &d->inner, err);
    if (rc == 0) d->number = number_of(fs, 0, path);
    mutex_unlock(&fs->mutex);
    if (rc == 0) *out = &d->base;
    else mem_free(fs->alloc, d);
    return rc;
}

static int record_dir_open_in(struct vfs_dir *parent, const char *name, struct vfs_dir **out,
                              struct error *err)
{
    struct record_vfs *fs = fs_of_dir(parent);
    if (name_check_component(name, err) != 0) return -1;
    struct record_dir *d = create_dir_handle(fs, err);
    if (!d) return -1;
    mutex_lock(&fs->mutex);
    int rc = reserve_numbers(fs, name, NULL, err);
    if (rc == 0) rc = vfs_dir_open_in(dir_of(parent)->inner, name, &d->inner, err);
    if (rc == 0) d->number = number_of(fs, dir_of(parent)->number, name);
    mutex_unlock(&fs->mutex);
    if (rc == 0) *out = &d->base;
    else mem_free(fs->alloc, d);
    return rc;
}

static void record_dir_close(struct vfs_dir *dir)
{
    vfs_dir_close(dir_of(dir)->inner);
    mem_free(fs_of_dir(dir)->alloc, dir_of(dir));
}

static int record_dir_make(struct vfs_dir *parent, const char *name, struct error *err)
{
    struct record_vfs *fs = fs_of_dir(parent);
    uint64_t dir = dir_of(parent)->number;
    if (name_check_component(name, err) != 0) return -1;
    mutex_lock(&fs->mutex);
    int rc = reserve_numbers(fs, name, NULL, err);
    if (rc == 0) rc = vfs_dir_make(dir_of(parent)->inner, name, err);
    if (rc == 0) {
        uint64_t made = number_of(fs, dir, name);
        rc = observe(
            fs, (struct vfs_op){.kind = VFS_OP_DIR_MAKE, .dir = dir, .file = made, .name = name},
            err);
    }
    mutex_unlock(&fs->mutex);
    return rc;
}

static int record_dir_remove(struct vfs_dir *parent, const char *name, struct error *err)
{
    struct record_vfs *fs = fs_of_dir(parent);
    uint64_t dir = dir_of(parent)->number;
    mutex_lock(&fs->mutex);
    int rc = vfs_dir_remove(dir_of(parent)->inner, name, err);
    if (rc == 0) {
        drop_number(fs, dir, name);
        rc = observe(fs, (struct vfs_op){.kind = VFS_OP_DIR_REMOVE, .dir = dir, .name = name}, err);
    }
    mutex_unlock(&fs->mutex);
    return rc;
}

static int record_dir_sync(struct vfs_dir *dir, struct error *err)
{
    struct record_vfs *fs = fs_of_dir(dir);
    mutex_lock(&fs->mutex);
    int rc = vfs_dir_sync(dir_of(dir)->inner, err);
    if (rc == 0)
        rc = observe(fs, (struct vfs_op){.kind = VFS_OP_DIR_SYNC, .dir = dir_of(dir)->number}, err);
    mutex_unlock(&fs->mutex);
    return rc;
}

static int record_dir_list(struct vfs_dir *dir, vfs_list_fn *fn, void *ctx, struct error *err)
{
    return vfs_dir_list(dir_of(dir)->inner, fn, ctx, err);
}

static int record_dir_identity(struct vfs_dir *dir, uint64_t out[2], struct error *err)
{
    return vfs_dir_identity(dir_of(dir)->inner, out, err);
}

static int record_dir_space(struct vfs_dir *dir, struct vfs_space *out, struct error *err)
{
    return vfs_dir_space(dir_of(dir)->inner, out, err);
}

static bool record_dir_is_network(struct vfs_dir *dir)
{
    return vfs_dir_is_network(dir_of(dir)->inner);
}

/* ---- files ---- */

/* Under the mutex.  *out_is_new: the name was not there before. */
static int open_inner(struct record_vfs *fs, struct record_dir *dir, const char *name,
                      unsigned flags, struct record_file *f, bool *out_is_new, struct error *err)
{
    bool was_there = false;
    if (reserve_numbers(fs, name, NULL, err) != 0) return -1;
    if ((flags & VFS_CREATE_ANY) && vfs_exists(dir->inner, name, &was_there, err) != 0) return -1;
    if (vfs_open(dir->inner, name, flags, &f->inner, err) != 0) return -1;
    *out_is_new = (flags & (VFS_CREATE | VFS_CREATE_ANY)) && !was_there;
    f->number = number_of(fs, dir->number, name);
    return 0;
}

static int record_file_open(struct vfs_dir *dir, const char *name, unsigned flags,
                            struct vfs_file **out, struct error *err)
{
    struct record_vfs *fs = fs_of_dir(dir);
    if (name_check_component(name, err) != 0) return -1;
    struct record_file *f = mem_zalloc(fs->alloc, MEM_GENERAL, sizeof *f);
    if (!f) return error_no_memory(err, sizeof *f);
    f->base = (struct vfs_file){&RECORD_OPS, &fs->base};

    bool is_new = false;
    mutex_lock(&fs->mutex);
    int rc = open_inner(fs, dir_of(dir), name, flags, f, &is_new, err);
    if (rc == 0 && is_new)
        rc = observe(fs,
                     (struct vfs_op){.kind = VFS_OP_FILE_CREATE,
                                     .dir = dir_of(dir)->number,
                                     .file = f->number,
                                     .name = name},
                     err);
    mutex_unlock(&fs->mutex);
    if (rc == 0) {
        *out = &f->base;
        return 0;
    }
    (void)vfs_close(f->inner, NULL); /* NULL when it was not opened */
    mem_free(fs->alloc, f);
    return -1;
}

static int record_file_close(struct vfs_file *f, struct error *err)
{
    int rc = vfs_close(file_of(f)->inner, err);
    mem_free(fs_of_file(f)->alloc, file_of(f));
    return rc;
}

static int record_file_size(struct vfs_file *f, uint64_t *out, struct error *err)
{
    return vfs_size(file_of(f)->inner, out, err);
}

static int record_file_read(struct vfs_file *f, uint64_t offset, void *data, size_t size,
                            size_t *out_read, struct error *err)
{
    return vfs_read(file_of(f)->inner, offset, data, size, out_read, err);
}

static int record_file_write(struct vfs_file *f, uint64_t offset, const void *data, size_t size,
                             struct error *err)
{
    struct record_vfs *fs = fs_of_file(f);
    mutex_lock(&fs->mutex);
    int rc = vfs_write(file_of(f)->inner, offset, data, size, err);
    if (rc == 0)
        rc = observe(fs,
                     (struct vfs_op){.kind = VFS_OP_FILE_WRITE,
                                     .file = file_of(f)->number,
                                     .offset = offset,
                                     .data = slice_of(data, size)},
                     err);
    mutex_unlock(&fs->mutex);
    return rc;
}

static int record_file_sync(struct vfs_file *f, struct error *err)
{
    struct record_vfs *fs = fs_of_file(f);
    mutex_lock(&fs->mutex);
    int rc = vfs_sync(file_of(f)->inner, err);
    if (rc == 0)
        rc =
            observe(fs, (struct vfs_op){.kind = VFS_OP_FILE_SYNC, .file = file_of(f)->number}, err);
    mutex_unlock(&fs->mutex);
    return rc;
}

static int record_file_truncate(struct vfs_file *f, uint64_t size, struct error *err)
{
    struct record_vfs *fs = fs_of_file(f);
    mutex_lock(&fs->mutex);
    int rc = vfs_truncate(file_of(f)->inner, size, err);
    if (rc == 0)
        rc = observe(fs,
                     (struct vfs_op){
                         .kind = VFS_OP_FILE_TRUNCATE, .file = file_of(f)->number, .offset = size},
                     err);
    mutex_unlock(&fs->mutex);
    return rc;
}

static int record_file_unlink(struct vfs_dir *dir, const char *name, struct error *err)
{
    struct record_vfs *fs = fs_of_dir(dir);
    uint64_t number = dir_of(dir)->number;
    mutex_lock(&fs->mutex);
    int rc = vfs_unlink(dir_of(dir)->inner, name, err);
    if (rc == 0) {
        drop_number(fs, number, name);
        rc = observe(fs, (struct vfs_op){.kind = VFS_OP_FILE_UNLINK, .dir = number, .name = name},
                     err);
    }
    mutex_unlock(&fs->mutex);
    return rc;
}

static int record_file_rename(struct vfs_dir *dir, const char *from, const char *to,
                              struct error *err)
{
    struct record_vfs *fs = fs_of_dir(dir);
    uint64_t in = dir_of(dir)->number;
    if (name_check_component(from, err) != 0 || name_check_component(to, err) != 0) return -1;
    mutex_lock(&fs->mutex);
    int rc = reserve_numbers(fs, from, to, err);
    if (rc == 0) rc = vfs_rename(dir_of(dir)->inner, from, to, err);
    if (rc == 0) {
        uint64_t number = number_of(fs, in, from);
        drop_number(fs, in, from);
        set_number(fs, in, to, number);
        rc = observe(
            fs,
            (struct vfs_op){
                .kind = VFS_OP_FILE_RENAME, .dir = in, .file = number, .name = from, .name_to = to},
            err);
    }
    mutex_unlock(&fs->mutex);
    return rc;
}

static int record_file_exists(struct vfs_dir *dir, const char *name, bool *out, struct error *err)
{
    return vfs_exists(dir_of(dir)->inner, name, out, err);
}

static int record_file_lock(struct vfs_file *f, uint64_t start, uint64_t size,
                            enum vfs_lock_kind kind, struct error *err)
{
    return vfs_lock(file_of(f)->inner, start, size, kind, err);
}

static int record_file_unlock(struct vfs_file *f, uint64_t start, uint64_t size, struct error *err)
{
    return vfs_unlock(file_of(f)->inner, start, size, err);
}

static int record_file_lock_held(struct vfs_file *f, uint64_t start, uint64_t size, bool *out_held,
                                 struct error *err)
{
    return vfs_lock_held(file_of(f)->inner, start, size, out_held, err);
}

static int record_file_map(struct vfs_file *f, size_t size, const void **out, struct error *err)
{
    return vfs_map(file_of(f)->inner, size, out, err);
}

static void record_unmap(struct vfs *base, const void *map, size_t size)
{
    vfs_unmap(((struct record_vfs *)base)->inner, map, size);
}

static const struct vfs_ops RECORD_OPS = {
    .dir_open = record_dir_open,
    .dir_open_in = record_dir_open_in,
    .dir_close = record_dir_close,
    .dir_make = record_dir_make,
    .dir_remove = record_dir_remove,
    .dir_sync = record_dir_sync,
    .dir_list = record_dir_list,
    .dir_identity = record_dir_identity,
    .dir_space = record_dir_space,
    .dir_is_network = record_dir_is_network,
    .file_open = record_file_open,
    .file_close = record_file_close,
    .file_size = record_file_size,
    .file_read = record_file_read,
    .file_write = record_file_write,
    .file_sync = record_file_sync,
    .file_truncate = record_file_truncate,
    .file_unlink = record_file_unlink,
    .file_rename = record_file_rename,
    .file_exists = record_file_exists,
    .file_lock = record_file_lock,
    .file_unlock = record_file_unlock,
    .file_lock_held = record_file_lock_held,
    .file_map = record_file_map,
    .unmap = record_unmap,
};
