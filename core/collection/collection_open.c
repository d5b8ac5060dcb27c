/* SPDX-License-Identifier: Apache-2.0 */
/* collection_open.c — create, recover, settle, free.
 *
 * WHAT        open runs recovery, opens what the manifest names, replays the log into a fresh tail
 *             and publishes the first view.  settle leaves nothing unvouched (R3).
 * INVARIANTS  (1) Nothing is shown before it is proved durable (R3b runs inside recovery_begin).
 *             (2) Garbage is removed last; a crash at any step leaves the same state for the next
 *                 open.
 * THREADS     The collection's actor.
 * FAILURE     CORRUPT, FORMAT_TOO_NEW, UNSUPPORTED, IO, NO_MEMORY: nothing that counts is changed
 *             on disk, the handle is gone.
 */
#include "base/check.h"
#include "base/faults.h"
#include "base/limits.h"
#include "base/log.h"
#include "collection/collection.h"
#include "quant/narrow_rows.h"
#include "segment/sealed_segment.h"

int collection_create(const struct collection_desc *desc, const struct collection_options *options,
                      struct error *err)
{
    struct manifest m;
    bool is_renamed;
    int rc = -1;

    manifest_init(&m, desc->alloc);
    m.fields = mem_zalloc(desc->alloc, MEM_GENERAL, sizeof *m.fields);
    if (!m.fields) {
        error_no_memory(err, sizeof *m.fields);
        goto out;
    }
    m.field_count = 1;
    m.fields[0].kind = VECTOR_DENSE;
    m.fields[0].storage = options->storage ? options->storage : STORAGE_F32;
    m.fields[0].metric = options->metric;
    m.fields[0].dim = options->dim;
    memcpy(m.fields[0].name, "default", sizeof "default");
    m.epoch = 1;
    m.number = desc->number;
    m.wal_first = 1;
    m.created_us = desc->clock->wall_us(desc->clock);
    m.sync_level = options->sync_level;
    m.sync_interval_ms = options->sync_interval_ms;
    if (options->description) {
        m.description = mem_copy_text(desc->alloc, MEM_GENERAL, options->description,
                                      strlen(options->description));
        if (!m.description) {
            error_no_memory(err, strlen(options->description));
            goto out;
        }
    }
    if (collection_check_fields(&m, LYNSE_INTERNAL, err) != 0) goto out;
    rc = manifest_publish(&m, desc->take_dir, &desc->owner, desc->rng, &is_renamed, err);
out:
    manifest_deinit(&m);
    return rc;
}

static int open_segment(struct collection *c, const struct manifest_segment *info,
                        struct error *err)
{
    struct collection_part p = {
        .state = PART_SEALED, .info = *info, .row_count = (uint32_t)info->row_count};
    const struct manifest_part *map = NULL;

    if (info->row_count == 0 || info->row_count > UINT32_MAX)
        return error_set(err, LYNSE_CORRUPT, "manifest: a segment of %llu rows",
                         (unsigned long long)info->row_count);
    if (collection_reserve_parts(c, c->part_count + 1, err) != 0) return -1;
    if (sealed_segment_open(c->desc.alloc, c->dir, &c->desc.owner, info, c->dim, c->desc.cache,
                            &p.segment, err) != 0)
        return -1;
    for (uint32_t i = 0; i < info->part_count; i++)
        if (info->parts[i].kind == PART_DELETES) map = &info->parts[i];
    int rc = map ? tombstones_read(c->desc.alloc, c->dir, &c->desc.owner, &info->uuid, map,
                                   info->row_count, info->del_lsn, &p.dead, err)
                 : tombstones_create(c->desc.alloc, info->row_count, &p.dead, err);
    if (rc != 0) {
        collection_part_deinit(&p);
        return -1;
    }
    if (map) p.saved = tombstones_acquire(p.dead);
    if (collection_open_index(c, &p, err) != 0) {
        collection_part_deinit(&p);
        return -1;
    }
    c->parts[c->part_count++] = p;
    return 0;
}

static void init_batch(struct collection *c)
{
    struct collection_batch *b = &c->batch;

    buf_init(&b->writes, c->desc.alloc, MEM_MESSAGE);
    buf_init(&b->ends, c->desc.alloc, MEM_MESSAGE);
    buf_init(&b->marks, c->desc.alloc, MEM_MESSAGE);
    buf_init(&b->overlay, c->desc.alloc, MEM_MESSAGE);
    buf_init(&b->payload, c->desc.alloc, MEM_LOG);
    arena_init(&b->arena, c->desc.alloc, MEM_MESSAGE);
    int_map_init(&b->overlay_heads, c->desc.alloc, MEM_MESSAGE);
}

/* The log from where recovery ended, or none when this is a reader. */
static int open_log(struct collection *c, struct recovery *r, struct error *err)
{
    if (c->desc.read_only || r->must_read_only) {
        error_set(&c->poison, LYNSE_READ_ONLY,
                  c->desc.read_only
                      ? "the database was opened read-only"
                      : "written with features that this version can read but not write");
        return 0;
    }
    struct wal_file *files = r->files;
    r->files = NULL;
    if (wal_create(c->desc.alloc, c->dir, &c->desc.owner, c->desc.rng, &r->position, files,
                   r->file_count, &c->wal, err) != 0)
        return -1;
    wal_set_rules(c->wal, c->desc.may_sync ? WAL_MAY_SYNC : 0);
    c->log = wal_log(c->wal);
    c->log->on_complete = collection_on_complete;
    c->log->on_complete_ctx = c;
    return 0;
}

/* Garbage that resists harms nobody, and must not keep the collection from being opened. */
static void clean(const struct collection *c, struct recovery *r)
{
    struct error left = {0};

    if (recovery_clean(r, &left) != 0)
        log_event(LOG_WARN, "file_gc_failed number=%llu reason=\"%s\"",
                  (unsigned long long)c->desc.number, left.text);
}

static int recover(struct collection *c, struct error *err)
{
    struct recovery_desc desc = {
        .alloc = c->desc.alloc,
        .dir = c->dir,
        .owner = c->desc.owner,
        .lock_file = c->desc.lock_file,
        .read_only = c->desc.read_only,
    };
    struct recovery r;
    int rc = -1;

    if (recovery_begin(&r, &desc, err) != 0) return -1;
    if (r.damaged_copies > 0)
        log_event(LOG_WARN, "damaged_copies number=%llu count=%d",
                  (unsigned long long)c->desc.number, r.damaged_copies);
    if (r.damage.code)
        log_event(LOG_ERROR, "log_damaged number=%llu shown_upto_lsn=%llu reason=\"%s\"",
                  (unsigned long long)c->desc.number, (unsigned long long)r.upto_lsn,
                  r.damage.text);
    if (manifest_copy(&c->manifest, &r.manifest, err) != 0) goto out;
    if (c->manifest.number != c->desc.number) {
        error_set(err, LYNSE_CORRUPT, "manifest: belongs to collection %llu, expected %llu",
                  (unsigned long long)c->manifest.number, (unsigned long long)c->desc.number);
        goto out;
    }
    if (collection_check_fields(&c->manifest, LYNSE_CORRUPT, err) != 0) goto out;
    c->dim = c->manifest.fields[0].dim;
    c->applied_lsn = c->manifest.flushed_lsn;
    c->max_int_id = c->manifest.max_int_id;
    c->has_int_id = c->manifest.has_int_id;
    if (collection_load_requests(c, &r.manifest.requests, err) != 0) goto out;
    for (uint32_t i = 0; i < c->manifest.segment_count; i++)
        if (open_segment(c, &c->manifest.segments[i], err) != 0) goto out;
    if (recovery_replay(&r, collection_replay_record, c, err) != 0) goto out;
    /* Groups of nothing that this version knows were not handed out; their LSNs are used. */
    if (r.upto_lsn > c->applied_lsn) c->applied_lsn = r.upto_lsn;
    c->index_asked_lsn = c->applied_lsn;
    if (open_log(c, &r, err) != 0 || collection_publish(c, err) != 0) goto out;
    if (c->wal) clean(c, &r);
    rc = 0;
    if (c->wal && c->desc.sweeper)
        rc = file_sweep_create(c->desc.alloc, c->dir, c->desc.sweeper, &c->sweep, err);
out:
    recovery_deinit(&r);
    return rc;
}

int collection_open(const struct collection_desc *desc, struct collection **out, struct error *err)
{
    struct collection *c = mem_zalloc(desc->alloc, MEM_GENERAL, sizeof *c);

    if (!c) {
        vfs_dir_close(desc->take_dir);
        return error_no_memory(err, sizeof *c);
    }
    c->desc = *desc;
    c->dir = desc->take_dir;
    manifest_init(&c->manifest, desc->alloc);
    init_batch(c);
    request_window_init(&c->requests, desc->alloc, load_u64(desc->owner.collection.bytes));
    if (recover(c, err) != 0) {
        collection_abandon(c);
        return -1;
    }
    *out = c;
    return 0;
}

void collection_abandon(struct collection *c)
{
    struct alloc *a = c->desc.alloc;

    CHECK(!c->batch.edits && !c->seal.is_active && !c->merge.is_active);
    file_sweep_finish(c->sweep); /* the root may be another process's next */
    file_sweep_release(c->sweep);
    index_builder_destroy(c->index_build); /* it was only begun */
    wal_destroy(c->wal);
    for (size_t i = 0; i < c->part_count; i++) collection_part_deinit(&c->parts[i]);
    mem_free(a, c->parts);
    buf_deinit(&c->batch.writes);
    buf_deinit(&c->batch.ends);
    buf_deinit(&c->batch.marks);
    buf_deinit(&c->batch.overlay);
    buf_deinit(&c->batch.payload);
    arena_deinit(&c->batch.arena);
    int_map_deinit(&c->batch.overlay_heads);
    request_window_deinit(&c->requests);
    manifest_deinit(&c->manifest);
    vfs_dir_close(c->dir);
    mem_free(a, c);
}

/* The end of the log is vouched for by more than itself (R3). */
static int vouch(struct collection *c, uint64_t durable_lsn, struct error *err)
{
    struct manifest next;

    if (collection_mark(c, err) != 0) return -1;
    if (c->manifest.sync_level == SYNC_NONE || wal_is_vouched(c->wal)) return 0;
    if (FAULT(CLOSE_WITHOUT_VOUCHER)) return 0;
    REACHED(CLOSE_VOUCHED_BY_MANIFEST);

    manifest_init(&next, c->desc.alloc);
    if (manifest_copy(&next, &c->manifest, err) != 0) return -1;
    next.epoch++;
    if (next.durable_lsn < durable_lsn) next.durable_lsn = durable_lsn;
    return collection_swap_manifest(c, &next, err);
}

/* may_flush: closing may take long, so that the next start need not. */
static int settle(struct collection *c, bool may_flush, struct error *err)
{
    bool is_none = c->manifest.sync_level == SYNC_NONE;
    bool is_long = !is_none && may_flush && c->log->ops->replay_bytes(c->log) > CLOSE_FLUSH_BYTES;
    bool must_flush = is_none && !FAULT(NONE_CLOSE_WITHOUT_FLUSH);
    struct error failed = {0};
    uint64_t durable;
    int rc = 0;

    if ((must_flush || is_long) && collection_flush(c, is_long, &failed) != 0) {
        rc = error_wrap(&failed, "the flush");
        if (err) *err = failed;
        if (is_none || c->is_poisoned) return -1;
        /* The log still has everything.  A disk's failure is worth to be told all the same; want of
         * memory is of the moment. */
        if (failed.code == LYNSE_NO_MEMORY) rc = 0;
        log_event(LOG_WARN, "close_without_flush number=%llu reason=\"%s\"",
                  (unsigned long long)c->desc.number, failed.text);
        failed.code = 0;
    }
    if (collection_sync(c, &durable, &failed) != 0) rc = error_wrap(&failed, "the sync of the log");
    else if (vouch(c, durable, &failed) != 0) error_wrap(&failed, "the mark at the log's end");
    if (!failed.code) return rc;
    if (err && (rc == 0 || failed.code == LYNSE_OUTCOME_UNKNOWN)) *err = failed;
    return -1;
}

int collection_settle(struct collection *c, struct error *err)
{
    bool may_sync = c->desc.may_sync;

    if (!c->wal) return 0;
    if (c->is_poisoned) {
        if (err) *err = c->poison;
        return error_wrap(err, "the mark at the log's end");
    }
    wal_set_rules(c->wal, WAL_MAY_SYNC);
    c->desc.may_sync = true;
    int rc = settle(c, may_sync, err);
    c->desc.may_sync = may_sync; /* it may be done again */
    wal_set_rules(c->wal, may_sync ? WAL_MAY_SYNC : 0);
    return rc;
}

void collection_explain_unsettled(const struct collection *c, struct error *err)
{
    bool is_none = c->manifest.sync_level == SYNC_NONE;
    uint64_t kept = is_none ? c->manifest.flushed_lsn : c->log->ops->durable_lsn(c->log);

    if (kept < c->applied_lsn) {
        err->code = LYNSE_OUTCOME_UNKNOWN;
        error_wrap(err, "writes after LSN %llu (of %llu) may be missing; closing failed at",
                   (unsigned long long)kept, (unsigned long long)c->applied_lsn);
        return;
    }
    /* Which manifest rules is unknown, perhaps, but both have all of it. */
    if (err->code == LYNSE_OUTCOME_UNKNOWN) err->code = LYNSE_IO;
    error_wrap(err, "all acknowledged writes are durable (to LSN %llu); closing failed at",
               (unsigned long long)c->applied_lsn);
}

uint64_t collection_disk_bytes(const struct collection *c)
{
    uint64_t bytes = c->log ? c->log->ops->replay_bytes(c->log) : 0;

    for (uint32_t i = 0; i < c->manifest.segment_count; i++) {
        const struct manifest_segment *s = &c->manifest.segments[i];
        for (uint32_t j = 0; j < s->part_count; j++) bytes += s->parts[j].bytes;
    }
    return bytes;
}

uint64_t collection_waiting_bytes(const struct collection *c)
{
    uint64_t logged = c->log ? c->log->ops->replay_bytes(c->log) : 0, vectors = 0;

    for (size_t i = 0; i < c->part_count; i++)
        if (c->parts[i].state != PART_SEALED)
            vectors += (uint64_t)c->parts[i].row_count *
                       storage_row_bytes(c->manifest.fields[0].storage, c->dim);
    return logged > vectors ? logged : vectors;
}
