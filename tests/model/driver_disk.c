/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/hash.h"
#include "crashlab/images.h"
#include "model/driver.h"
#include "support/close_collection.h"

static const struct file_owner owner = {{{3}}, {{4}}};

int driver_fail(struct driver *d, const char *format, ...)
{
    va_list args;

    if (d->has_failed) return -1;
    va_start(args, format);
    vsnprintf(d->why, sizeof d->why, format, args);
    va_end(args);
    d->has_failed = true;
    return -1;
}

int driver_result(struct driver *d, const char *what, int rc, const struct error *err)
{
    if (rc == 0) return 0;
    if (d->expects_errors) {
        d->refusals++;
        return 0;
    }
    return driver_fail(d, "%s: %s: %s", what, error_name(err->code), err->text);
}

static void lose(void *ctx, struct vfs_file *f, const char *name)
{
    struct driver *d = ctx;

    (void)name;
    disk_lose(&d->disk, mount_inode(&d->mount, f));
}

static void mount(struct driver *d)
{
    mount_init(&d->mount, &d->disk, true);
    d->fs = vfs_faulty_create(d->alloc, mount_vfs(&d->mount));
    CHECK(d->fs);
    vfs_faulty_on_lost(d->fs, lose, d);
}

static void unmount(struct driver *d)
{
    vfs_faulty_destroy(d->fs);
    mount_deinit(&d->mount);
}

static int make_desc(struct driver *d, struct collection_desc *out, struct error *err)
{
    *out = (struct collection_desc){
        .alloc = d->engine,
        .owner = owner,
        .number = 1,
        .clock = &d->clock.base,
        .rng = &d->engine_rng,
        .cache = d->cache,
        .slot = &d->slot,
        .may_sync = true,
        .on_written = driver_written,
        .on_written_ctx = d,
    };
    return vfs_dir_open(d->fs, DISK_PATH, 0, &out->take_dir, err);
}

void driver_init(struct driver *d, struct alloc *a, uint64_t seed, const struct swarm *swarm)
{
    struct collection_desc desc;
    struct error err = {0};

    *d = (struct driver){.alloc = a, .swarm = *swarm};
    d->engine = alloc_create(&(struct alloc_hooks){0}, 0);
    CHECK(d->engine);
    rng_init(&d->rng, seed);
    rng_init(&d->engine_rng, hash_u64(seed));
    d->has_requests = hash_u64(~seed) % 2 == 0;
    manual_clock_init(&d->clock, 1000000);
    view_slot_init(&d->slot);
    reference_init(&d->ref, a, swarm->metric);
    disk_init(&d->disk, a);
    mount(d);
    CHECK(doc_cache_create(d->engine, 1 << 16, &d->cache, &err) == 0);
    struct collection_options options = {.metric = swarm->metric, .sync_level = SYNC_ALWAYS};
    CHECK(make_desc(d, &desc, &err) == 0);
    CHECK(collection_create(&desc, &options, &err) == 0);
    vfs_dir_close(desc.take_dir);
    (void)driver_open(d);
}

void driver_forget_merge(struct driver *d)
{
    segment_build_deinit(&d->merge_build);
    d->is_merge_built = false;
}

void driver_cancel_merge(struct driver *d)
{
    if (d->is_merge_built) segment_build_remove_files(&d->merge_build, d->c->dir);
    collection_merge_cancel(d->c);
    driver_forget_merge(d);
}

void driver_abandon(struct driver *d)
{
    if (!d->c) return;
    collection_seal_cancel(d->c);
    collection_merge_cancel(d->c);
    driver_forget_merge(d);
    collection_abandon(d->c);
    if (d->is_built) segment_build_deinit(&d->build);
    d->is_built = false;
    d->c = NULL;
    view_slot_publish(&d->slot, NULL);
}

void driver_deinit(struct driver *d)
{
    driver_abandon(d);
    view_slot_deinit(&d->slot);
    doc_cache_destroy(d->cache);
    unmount(d);
    disk_deinit(&d->disk);
    reference_deinit(&d->ref);
    if (!d->has_failed && alloc_used_bytes(d->engine) != 0)
        driver_fail(d, "%zu bytes were not freed", alloc_used_bytes(d->engine));
    if (alloc_used_bytes(d->engine) == 0) alloc_destroy(d->engine);
}

/* The state that recovery came to: one that was promised, or in doubt. */
static int take_recovered(struct driver *d)
{
    uint64_t lsn = d->c->applied_lsn;

    if (lsn < d->kill_promise)
        return driver_fail(d, "recovered LSN %llu, %llu was promised", (unsigned long long)lsn,
                           (unsigned long long)d->kill_promise);
    for (size_t i = 0; i < d->doubt_count && d->ref.lsn < lsn; i++) {
        size_t rows;
        /* One with nothing to change is in doubt with what it found, and has no LSN. */
        if (reference_judge(&d->ref, &d->doubts[i], &rows) == LYNSE_OK && rows > 0)
            reference_apply(&d->ref, &d->doubts[i]);
    }
    d->doubt_count = 0;
    d->has_doubt = false;
    if (lsn > d->ref.lsn)
        return driver_fail(d, "recovered LSN %llu, the last was %llu", (unsigned long long)lsn,
                           (unsigned long long)d->ref.lsn);
    reference_roll_back(&d->ref, lsn);
    d->ref.metric = d->c->manifest.fields[0].metric;
    /* Ids of groups that are lost may be given again, or not. */
    if (d->c->has_int_id && (int)d->c->max_int_id > d->ref.max_number)
        d->ref.max_number = (int)d->c->max_int_id;
    d->kill_promise = d->power_promise = lsn;
    if (driver_compare(d) != 0) return -1;
    return driver_retry(d);
}

int driver_open(struct driver *d)
{
    struct collection_desc desc;
    struct error err = {0};
    int rc = make_desc(d, &desc, &err);

    if (rc == 0) rc = collection_open(&desc, &d->c, &err);
    if (rc == 0) return take_recovered(d);
    d->c = NULL;
    if (!d->expects_errors) return driver_fail(d, "open: %s: %s", error_name(err.code), err.text);
    d->refusals++;
    return 0; /* tried again when nothing fails any more */
}

int driver_reopen(struct driver *d)
{
    struct error err = {0};
    int rc = 0;

    if (d->c) {
        driver_cancel_merge(d);
        if (d->c->seal.is_active) {
            collection_seal_cancel(d->c);
            if (d->is_built && d->build_desc.part_count > 0) {
                segment_build_remove_files(&d->build, d->c->dir);
                segment_build_deinit(&d->build);
            }
            d->is_built = false;
        }
        bool must_succeed = !d->expects_errors && !d->c->is_poisoned;
        struct collection *c = d->c;
        d->c = NULL;
        rc = close_collection(c, &err);
        view_slot_publish(&d->slot, NULL);
        if (rc != 0 && must_succeed)
            return driver_fail(d, "close: %s: %s", error_name(err.code), err.text);
        if (rc == 0 && !d->has_doubt) d->kill_promise = d->power_promise = d->ref.lsn;
    }
    return driver_open(d);
}

int driver_crash(struct driver *d, enum driver_crash kind)
{
    struct images *images = mem_zalloc(d->alloc, MEM_GENERAL, sizeof *images);
    struct disk next;

    CHECK(images);
    d->crashes++;
    driver_abandon(d);
    if (kind == DRIVER_KILL) {
        disk_copy(&next, &d->disk);
    } else {
        images_make(images, &d->disk, 64, &d->rng);
        disk_cut(&next, &d->disk, &images->list[rng_below(&d->rng, images->count)]);
        d->kill_promise = d->power_promise;
    }
    mem_free(d->alloc, images);
    unmount(d);
    disk_deinit(&d->disk);
    d->disk = next;
    mount(d);
    return driver_open(d);
}
