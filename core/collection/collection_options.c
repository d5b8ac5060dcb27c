/* SPDX-License-Identifier: Apache-2.0 */
/* collection_options.c — what a collection is told rather than fed; each change is one manifest.
 *
 * WHAT        Copy the ruling manifest, change the copy, publish it, let it rule.
 * INVARIANTS  (1) A manifest rules in memory exactly when it is durable.
 *             (2) When nobody knows which one rules, nothing is written any more (R9).
 *             (3) While a segment is being built nothing is taken for garbage.
 * THREADS     The collection's actor; collection_description_check any.
 * FAILURE     The ruling manifest stays; OUTCOME_UNKNOWN when (2) holds.
 */
#include "base/check.h"
#include "base/faults.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/utf8.h"
#include "collection/collection.h"
#include "store/file_gc.h"

void collection_poison(struct collection *c, const struct error *why)
{
    if (c->is_poisoned) return;
    REACHED(COLLECTION_POISONED);
    c->is_poisoned = true;
    c->poison = *why;
    c->poison.code = LYNSE_READ_ONLY;
    error_wrap(&c->poison, "read-only until it is opened again, since the disk failed");
    log_event(LOG_ERROR, "collection_poisoned number=%llu reason=\"%s\"",
              (unsigned long long)c->desc.number, why->text);
}

int collection_swap_manifest(struct collection *c, struct manifest *take_next, struct error *err)
{
    bool is_renamed = false;
    struct error failed = {0};

    CHECK(take_next->epoch == c->manifest.epoch + 1);
    if (collection_check_fields(take_next, LYNSE_INTERNAL, &failed) != 0 ||
        collection_keep_requests(c, take_next, &failed) != 0 ||
        manifest_publish(take_next, c->dir, &c->desc.owner, c->desc.rng, &is_renamed, &failed) !=
            0) {
        /* After the rename nobody knows which one rules: only a new start can tell (R9). */
        if (is_renamed) {
            collection_poison(c, &failed);
            failed.code = LYNSE_OUTCOME_UNKNOWN;
        }
        if (err) *err = failed;
        manifest_deinit(take_next);
        return -1;
    }
    applied_requests_free(take_next->alloc, &take_next->requests); /* the window has them */
    manifest_deinit(&c->manifest);
    c->manifest = *take_next;
    memset(take_next, 0, sizeof *take_next);
    if (c->wal) wal_vouched_by_manifest(c->wal, c->manifest.durable_lsn);
    return 0;
}

/* A copy of the ruling manifest with the next epoch. */
static int begin_change(struct collection *c, struct manifest *out, struct error *err)
{
    if (c->is_poisoned || !c->wal) {
        if (err) *err = c->poison;
        return -1;
    }
    manifest_init(out, c->desc.alloc);
    if (manifest_copy(out, &c->manifest, err) != 0) return -1;
    out->epoch++;
    return 0;
}

void collection_remove_garbage(struct collection *c, const struct file_gc_keep *keep)
{
    struct error err = {0};
    struct name_list found;
    int rc;

    name_list_init(&found, c->desc.alloc);
    if (!c->sweep) rc = file_gc_run(c->dir, &c->manifest, c->desc.lock_file, keep, &err);
    else rc = file_gc_find(c->dir, &c->manifest, c->desc.lock_file, keep, &found, &err);
    if (rc != 0) log_event(LOG_WARN, "file_gc_failed reason=\"%s\"", err.text);
    else if (c->sweep) file_sweep_begin(c->sweep, &found);
    name_list_deinit(&found);
}

void collection_clean(struct collection *c)
{
    struct file_gc_keep keep = collection_files_kept(c);

    collection_remove_garbage(c, &keep);
}

int collection_set_sync(struct collection *c, uint8_t level, uint32_t interval_ms,
                        struct error *err)
{
    struct manifest next;
    uint64_t durable;

    if (!sync_level_is_known(level))
        return error_set(err, LYNSE_INVALID, "sync: level %u, allowed are 1 to %d", level,
                         SYNC_LEVEL_MAX);
    if (interval_ms < 1 || interval_ms > 1000)
        return error_set(err, LYNSE_INVALID, "sync_interval_ms: %u, allowed are 1 to 1000",
                         interval_ms);
    /* What was written in `none` is in no log: it becomes durable before anything is logged again.
     * And what other levels have promised is kept, since in `none` nobody will sync the log. */
    bool was_none = c->manifest.sync_level == SYNC_NONE;
    /* A seal or merge that is under way was begun by the rules of the level that it finishes in. */
    if ((c->seal.is_active || c->merge.is_active) && was_none != (level == SYNC_NONE))
        return error_set(err, LYNSE_BUSY, "a segment is being written");
    bool must_flush = was_none && level != SYNC_NONE && !FAULT(NONE_LEAVE_WITHOUT_FLUSH);
    if (must_flush && collection_flush(c, false, err) != 0) return -1;
    if (!was_none && level == SYNC_NONE && collection_sync(c, &durable, err) != 0) return -1;
    if (begin_change(c, &next, err) != 0) return -1;
    next.sync_level = level;
    next.sync_interval_ms = interval_ms;
    if (collection_swap_manifest(c, &next, err) != 0) return -1;
    collection_clean(c);
    return 0;
}

int collection_description_check(const char *description, struct error *err)
{
    size_t size = description ? strlen(description) : 0;

    if (size > LIMIT_DESCRIPTION_BYTES)
        return error_set(err, LYNSE_LIMIT, "description: %zu bytes, at most %d", size,
                         LIMIT_DESCRIPTION_BYTES);
    if (size > 0 && !utf8_is_valid(description, size))
        return error_set(err, LYNSE_INVALID, "description: is not UTF-8");
    return 0;
}

int collection_set_description(struct collection *c, const char *description, struct error *err)
{
    struct manifest next;
    size_t size = description ? strlen(description) : 0;
    char *copy = NULL;

    if (collection_description_check(description, err) != 0) return -1;
    if (begin_change(c, &next, err) != 0) return -1;
    if (description) {
        copy = mem_copy_text(c->desc.alloc, MEM_GENERAL, description, size);
        if (!copy) {
            manifest_deinit(&next);
            return error_no_memory(err, size);
        }
    }
    mem_free(c->desc.alloc, next.description);
    next.description = copy;
    if (collection_swap_manifest(c, &next, err) != 0) return -1;
    collection_clean(c);
    return 0;
}

int collection_set_hook(struct collection *c, struct installed_hook *hook, struct error *err)
{
    struct manifest next;
    struct view *v;
    const struct installed_hook *old = installed_hooks_find(&c->manifest.hooks, hook->is.point);
    bool is_drop = hook->is.source.size == 0;

    if (is_drop && (!old || old->is.source.size == 0))
        return error_set(err, LYNSE_NOT_FOUND, "hooks: none is installed at '%.*s'",
                         (int)hook->is.point.size, (const char *)hook->is.point.data);
    if (begin_change(c, &next, err) != 0) return -1;
    hook->version = old ? old->version + !is_drop : 1;
    installed_hook_acquire(hook);
    if (installed_hooks_put(&next.hooks, hook, err) != 0) {
        installed_hook_release(hook);
        manifest_deinit(&next);
        return -1;
    }
    if (view_create(c->desc.alloc, c->part_count, &v, err) != 0) {
        manifest_deinit(&next);
        return -1;
    }
    if (collection_swap_manifest(c, &next, err) != 0) {
        view_release(v);
        return -1;
    }
    view_slot_publish(c->desc.slot, collection_fill_view(c, v));
    collection_clean(c);
    return 0;
}
