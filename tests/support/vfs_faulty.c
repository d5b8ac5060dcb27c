/* SPDX-License-Identifier: Apache-2.0 */
#include "support/vfs_faulty.h"

#include <string.h>

#include "base/rng.h"
#include "base/thread.h"

struct faulty_vfs {
    struct vfs base; /* first */
    struct alloc *alloc;
    struct vfs *inner;
    struct mutex mutex;      /* of plan, rng, count, fired */
    struct faulty_plan plan; /* kinds 0: disarmed */
    struct rng rng;
    uint64_t count;
    uint64_t fired;
    faulty_lost_fn *lost_fn;
    void *lost_ctx;
    faulty_watch_fn *watch_fn;
    void *watch_ctx;
    struct vfs_space space;
    bool has_space; /* else the inner one's */
};

struct faulty_dir {
    struct vfs_dir base; /* first */
    struct vfs_dir *inner;
};

struct faulty_file {
    struct vfs_file base; /* first */
    struct vfs_file *inner;
    char name[];
};

static const struct vfs_ops FAULTY_OPS;

static struct vfs_dir *inner_dir(struct vfs_dir *d)
{
    return ((struct faulty_dir *)d)->inner;
}
static struct vfs_file *inner_file(struct vfs_file *f)
{
    return ((struct faulty_file *)f)->inner;
}
static const char *name_of(struct vfs_file *f)
{
    return ((struct faulty_file *)f)->name;
}

struct vfs *vfs_faulty_create(struct alloc *a, struct vfs *inner)
{
    struct faulty_vfs *fs = mem_zalloc(a, MEM_GENERAL, sizeof *fs);
    if (!fs) return NULL;
    fs->base.ops = &FAULTY_OPS;
    fs->alloc = a;
    fs->inner = inner;
    mutex_init(&fs->mutex);
    return &fs->base;
}

void vfs_faulty_destroy(struct vfs *base)
{
    struct faulty_vfs *fs = (struct faulty_vfs *)base;
    if (!fs) return;
    mutex_deinit(&fs->mutex);
    mem_free(fs->alloc, fs);
}

void vfs_faulty_on_lost(struct vfs *base, faulty_lost_fn *fn, void *ctx)
{
    struct faulty_vfs *fs = (struct faulty_vfs *)base;
    fs->lost_fn = fn;
    fs->lost_ctx = ctx;
}

void vfs_faulty_on_operation(struct vfs *base, faulty_watch_fn *fn, void *ctx)
{
    struct faulty_vfs *fs = (struct faulty_vfs *)base;
    fs->watch_fn = fn;
    fs->watch_ctx = ctx;
}

void vfs_faulty_set_space(struct vfs *base, const struct vfs_space *space)
{
    struct faulty_vfs *fs = (struct faulty_vfs *)base;
    fs->has_space = space != NULL;
    if (space) fs->space = *space;
}

void vfs_faulty_arm(struct vfs *base, const struct faulty_plan *plan)
{
    struct faulty_vfs *fs = (struct faulty_vfs *)base;
    mutex_lock(&fs->mutex);
    fs->plan = *plan;
    fs->count = 0;
    fs->fired = 0;
    rng_init(&fs->rng, plan->seed);
    mutex_unlock(&fs->mutex);
}

void vfs_faulty_disarm(struct vfs *base)
{
    struct faulty_vfs *fs = (struct faulty_vfs *)base;
    mutex_lock(&fs->mutex);
    fs->plan.kinds = 0;
    mutex_unlock(&fs->mutex);
}

uint64_t vfs_faulty_count(struct vfs *base)
{
    struct faulty_vfs *fs = (struct faulty_vfs *)base;
    mutex_lock(&fs->mutex);
    uint64_t count = fs->count;
    mutex_unlock(&fs->mutex);
    return count;
}

uint64_t vfs_faulty_fired(struct vfs *base)
{
    struct faulty_vfs *fs = (struct faulty_vfs *)base;
    mutex_lock(&fs->mutex);
    uint64_t fired = fs->fired;
    mutex_unlock(&fs->mutex);
    return fired;
}

/* Count one operation of an armed kind, and say whether it is to fail. */
static bool count_one(struct faulty_vfs *fs)
{
    const struct faulty_plan *plan = &fs->plan;
    fs->count++;
    bool hit = false;
    if (plan->mode == FAULTY_ONCE) hit = fs->count == plan->nth;
    if (plan->mode == FAULTY_STICKY) hit = fs->count >= plan->nth;
    if (plan->mode == FAULTY_CHANCE) hit = rng_below(&fs->rng, plan->one_in) == 0;
    if (plan->mode == FAULTY_RUN) hit = fs->count >= plan->nth && fs->fired < plan->times;
    if (hit) fs->fired++;
    return hit;
}

static bool is_hit(struct faulty_vfs *fs, unsigned kind)
{
    if (fs->watch_fn) fs->watch_fn(fs->watch_ctx, (enum faulty_kind)kind);
    mutex_lock(&fs->mutex);
    bool hit = (fs->plan.kinds & kind) && count_one(fs);
    mutex_unlock(&fs->mutex);
    return hit;
}

static struct faulty_plan plan_now(struct faulty_vfs *fs)
{
    mutex_lock(&fs->mutex);
    struct faulty_plan plan = fs->plan;
    mutex_unlock(&fs->mutex);
    return plan;
}

static int set_fault(struct faulty_vfs *fs, const char *verb, const char *name, struct error *err)
{
    int os_errno = plan_now(fs).os_errno;
    return error_set_errno(err, vfs_code_of_errno(os_errno), os_errno, "cannot %s '%s' (injected)",
                           verb, name ? name : "");
}

/* -1 and the error when this operation is one to fail. */
static int fault(struct vfs *base, unsigned kind, const char *verb, const char *name,
                 struct error *err)
{
    struct faulty_vfs *fs = (struct faulty_vfs *)base;
    return is_hit(fs, kind) ? set_fault(fs, verb, name, err) : 0;
}

/* ---- directories ---- */

/* Takes take_inner when there is no memory for the handle, too. */
static int wrap_dir(struct vfs *base, struct vfs_dir *take_inner, struct vfs_dir **out,
                    struct error *err)
{
    struct faulty_vfs *fs = (struct faulty_vfs *)base;
    struct faulty_dir *d = mem_alloc(fs->alloc, MEM_GENERAL, sizeof *d);
    if (!d) {
        vfs_dir_close(take_inner);
        return error_no_memory(err, sizeof *d);
    }
    *d = (struct faulty_dir){.base = {.ops = &FAULTY_OPS, .fs = base}, .inner = take_inner};
    *out = &d->base;
    return 0;
}

static int faulty_dir_open(struct vfs *base, const char *path, unsigned flags, struct vfs_dir **out,
                           struct error *err)
{
    struct vfs_dir *inner;
    if (fault(base, FAULTY_OPEN, "open directory", path, err) != 0) return -1;
    if (vfs_dir_open(((struct faulty_vfs *)base)->inner, path, flags, &inner, err) != 0) return -1;
    return wrap_dir(base, inner, out, err);
}

static int faulty_dir_open_in(struct vfs_dir *parent, const char *name, struct vfs_dir **out,
                              struct error *err)
{
    struct vfs_dir *inner;
    if (fault(parent->fs, FAULTY_OPEN, "open directory", name, err) != 0) return -1;
    if (vfs_dir_open_in(inner_dir(parent), name, &inner, err) != 0) return -1;
    return wrap_dir(parent->fs, inner, out, err);
}

static void faulty_dir_close(struct vfs_dir *dir)
{
    vfs_dir_close(inner_dir(dir));
    mem_free(((struct faulty_vfs *)dir->fs)->alloc, dir);
}

static int faulty_dir_make(struct vfs_dir *parent, const char *name, struct error *err)
{
    if (fault(parent->fs, FAULTY_MAKE, "make directory", name, err) != 0) return -1;
    return vfs_dir_make(inner_dir(parent), name, err);
}

static int faulty_dir_remove(struct vfs_dir *parent, const char *name, struct error *err)
{
    if (fault(parent->fs, FAULTY_UNLINK, "remove directory", name, err) != 0) return -1;
    return vfs_dir_remove(inner_dir(parent), name, err);
}

static int faulty_dir_sync(struct vfs_dir *dir, struct error *err)
{
    if (fault(dir->fs, FAULTY_DIR_SYNC, "sync directory", ".", err) != 0) return -1;
    return vfs_dir_sync(inner_dir(dir), err);
}

static int faulty_dir_list(struct vfs_dir *dir, vfs_list_fn *fn, void *ctx, struct error *err)
{
    if (fault(dir->fs, FAULTY_LIST, "list directory", ".", err) != 0) return -1;
    return vfs_dir_list(inner_dir(dir), fn, ctx, err);
}

static int faulty_dir_identity(struct vfs_dir *dir, uint64_t out[2], struct error *err)
{
    if (fault(dir->fs, FAULTY_SIZE, "stat directory", ".", err) != 0) return -1;
    return vfs_dir_identity(inner_dir(dir), out, err);
}

static int faulty_dir_space(struct vfs_dir *dir, struct vfs_space *out, struct error *err)
{
    const struct faulty_vfs *fs = (const struct faulty_vfs *)dir->fs;
    if (fault(dir->fs, FAULTY_SPACE, "ask for free space in", ".", err) != 0) return -1;
    if (!fs->has_space) return vfs_dir_space(inner_dir(dir), out, err);
    *out = fs->space;
    return 0;
}

static bool faulty_dir_is_network(struct vfs_dir *dir)
{
    return vfs_dir_is_network(inner_dir(dir));
}

/* ---- files ---- */

static int faulty_file_open(struct vfs_dir *dir, const char *name, unsigned flags,
                            struct vfs_file **out, struct error *err)
{
    struct faulty_vfs *fs = (struct faulty_vfs *)dir->fs;
    if (fault(dir->fs, FAULTY_OPEN, "open", name, err) != 0) return -1;
    size_t name_bytes = strlen(name) + 1;
    struct faulty_file *f = mem_alloc(fs->alloc, MEM_GENERAL, sizeof *f + name_bytes);
    if (!f) return error_no_memory(err, sizeof *f + name_bytes);
    f->base = (struct vfs_file){&FAULTY_OPS, dir->fs};
    memcpy(f->name, name, name_bytes);
    if (vfs_open(inner_dir(dir), name, flags, &f->inner, err) != 0) {
        mem_free(fs->alloc, f);
        return -1;
    }
    *out = &f->base;
    return 0;
}

static int faulty_file_close(struct vfs_file *f, struct error *err)
{
    int rc = fault(f->fs, FAULTY_CLOSE, "close", name_of(f), err);
    int inner_rc = vfs_close(inner_file(f), rc == 0 ? err : NULL);
    mem_free(((struct faulty_vfs *)f->fs)->alloc, f);
    return rc != 0 ? rc : inner_rc;
}

static int faulty_file_size(struct vfs_file *f, uint64_t *out, struct error *err)
{
    if (fault(f->fs, FAULTY_SIZE, "stat", name_of(f), err) != 0) return -1;
    return vfs_size(inner_file(f), out, err);
}

static int faulty_file_read(struct vfs_file *f, uint64_t offset, void *data, size_t size,
                            size_t *out_read, struct error *err)
{
    if (fault(f->fs, FAULTY_READ, "read", name_of(f), err) != 0) return -1;
    return vfs_read(inner_file(f), offset, data, size, out_read, err);
}

static int faulty_file_write(struct vfs_file *f, uint64_t offset, const void *data, size_t size,
                             struct error *err)
{
    struct faulty_vfs *fs = (struct faulty_vfs *)f->fs;
    if (!is_hit(fs, FAULTY_WRITE)) return vfs_write(inner_file(f), offset, data, size, err);
    if (plan_now(fs).is_short && size > 1 &&
        vfs_write(inner_file(f), offset, data, size / 2, err) != 0)
        return -1;
    return set_fault(fs, "write", name_of(f), err);
}

static int faulty_file_sync(struct vfs_file *f, struct error *err)
{
    struct faulty_vfs *fs = (struct faulty_vfs *)f->fs;
    if (!is_hit(fs, FAULTY_SYNC)) return vfs_sync(inner_file(f), err);
    if (fs->lost_fn) fs->lost_fn(fs->lost_ctx, inner_file(f), name_of(f));
    return set_fault(fs, "sync", name_of(f), err);
}

static int faulty_file_truncate(struct vfs_file *f, uint64_t size, struct error *err)
{
    if (fault(f->fs, FAULTY_TRUNCATE, "truncate", name_of(f), err) != 0) return -1;
    return vfs_truncate(inner_file(f), size, err);
}

static int faulty_file_unlink(struct vfs_dir *dir, const char *name, struct error *err)
{
    if (fault(dir->fs, FAULTY_UNLINK, "unlink", name, err) != 0) return -1;
    return vfs_unlink(inner_dir(dir), name, err);
}

static int faulty_file_rename(struct vfs_dir *dir, const char *from, const char *to,
                              struct error *err)
{
    if (fault(dir->fs, FAULTY_RENAME, "rename", from, err) != 0) return -1;
    return vfs_rename(inner_dir(dir), from, to, err);
}

static int faulty_file_exists(struct vfs_dir *dir, const char *name, bool *out, struct error *err)
{
    if (fault(dir->fs, FAULTY_SIZE, "stat", name, err) != 0) return -1;
    return vfs_exists(inner_dir(dir), name, out, err);
}

static int faulty_file_lock(struct vfs_file *f, uint64_t start, uint64_t size,
                            enum vfs_lock_kind kind, struct error *err)
{
    if (fault(f->fs, FAULTY_LOCK, "lock", name_of(f), err) != 0) return -1;
    return vfs_lock(inner_file(f), start, size, kind, err);
}

static int faulty_file_unlock(struct vfs_file *f, uint64_t start, uint64_t size, struct error *err)
{
    if (fault(f->fs, FAULTY_LOCK, "unlock", name_of(f), err) != 0) return -1;
    return vfs_unlock(inner_file(f), start, size, err);
}

static int faulty_file_lock_held(struct vfs_file *f, uint64_t start, uint64_t size, bool *out_held,
                                 struct error *err)
{
    if (fault(f->fs, FAULTY_LOCK, "ask for locks of", name_of(f), err) != 0) return -1;
    return vfs_lock_held(inner_file(f), start, size, out_held, err);
}

static int faulty_file_map(struct vfs_file *f, size_t size, const void **out, struct error *err)
{
    if (fault(f->fs, FAULTY_MAP, "map", name_of(f), err) != 0) return -1;
    return vfs_map(inner_file(f), size, out, err);
}

static void faulty_unmap(struct vfs *base, const void *map, size_t size)
{
    vfs_unmap(((struct faulty_vfs *)base)->inner, map, size);
}

static const struct vfs_ops FAULTY_OPS = {
    .dir_open = faulty_dir_open,
    .dir_open_in = faulty_dir_open_in,
    .dir_close = faulty_dir_close,
    .dir_make = faulty_dir_make,
    .dir_remove = faulty_dir_remove,
    .dir_sync = faulty_dir_sync,
    .dir_list = faulty_dir_list,
    .dir_identity = faulty_dir_identity,
    .dir_space = faulty_dir_space,
    .dir_is_network = faulty_dir_is_network,
    .file_open = faulty_file_open,
    .file_close = faulty_file_close,
    .file_size = faulty_file_size,
    .file_read = faulty_file_read,
    .file_write = faulty_file_write,
    .file_sync = faulty_file_sync,
    .file_truncate = faulty_file_truncate,
    .file_unlink = faulty_file_unlink,
    .file_rename = faulty_file_rename,
    .file_exists = faulty_file_exists,
    .file_lock = faulty_file_lock,
    .file_unlock = faulty_file_unlock,
    .file_lock_held = faulty_file_lock_held,
    .file_map = faulty_file_map,
    .unmap = faulty_unmap,
};
