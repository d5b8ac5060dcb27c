/* SPDX-License-Identifier: Apache-2.0 */
/* collection_write.c — groups become durable, then visible, then answered.
 *
 * WHAT        validate → stage → log → complete → apply → publish → answer; one batch, one sync,
 *             one view.
 * INVARIANTS  (1) Every write is answered exactly once, in order, when its batch is decided.
 *             (2) LSNs are given to groups that change something, and only to those.
 *             (3) What is applied is a prefix of the batch's groups: all, unless the log fails.
 *             (4) Nothing allocates between the log and the answer.
 *             (5) A repeat stands or falls with no group of the batch, only with its level.
 * THREADS     The collection's actor; collection_write_check from any.
 * FAILURE     The log refuses a group: that group is undone and answered.  The log commits a part
 *             of the batch (the file was full, the next one failed): that prefix is applied, the
 *             rest undone.  A sync fails: outcome unknown, the collection is poisoned (R9).
 */
#include "base/check.h"
#include "base/faults.h"
#include "base/finite.h"
#include "base/limits.h"
#include "codec/msgpack.h"
#include "collection/collection.h"
#include "store/wal_replay.h"

/* ---- what can be said without the state ---- */

static int check_unique(struct alloc *a, const struct record_id *ids, size_t count,
                        struct error *err)
{
    struct int_map numbers;
    struct text_map texts;
    bool is_ascending = true;
    char text[ID_TEXT_BYTES];
    int rc = -1;

    for (size_t i = 1; i < count && is_ascending; i++)
        is_ascending = id_compare(&ids[i - 1], &ids[i]) < 0;
    if (is_ascending) return 0;
    int_map_init(&numbers, a, MEM_MESSAGE);
    text_map_init(&texts, a, MEM_MESSAGE);
    for (size_t i = 0; i < count; i++) {
        uint64_t seen;
        bool twice = ids[i].is_text ? text_map_get(&texts, ids[i].text, &seen)
                                    : int_map_get(&numbers, ids[i].number, &seen);
        if (twice) {
            error_set(err, LYNSE_DUPLICATE_ID, "ids: %s stands at %llu and at %zu",
                      id_format(&ids[i], text), (unsigned long long)seen, i);
            goto out;
        }
        if ((ids[i].is_text ? text_map_put(&texts, ids[i].text, i)
                            : int_map_put(&numbers, ids[i].number, i)) != 0) {
            error_no_memory(err, count * sizeof *ids);
            goto out;
        }
    }
    rc = 0;
out:
    int_map_deinit(&numbers);
    text_map_deinit(&texts);
    return rc;
}

static int check_vectors(const struct collection_write *w, struct error *err)
{
    if (w->dim == 0 || w->dim > LIMIT_DIM)
        return error_set(err, w->dim == 0 ? LYNSE_DIMENSION : LYNSE_LIMIT,
                         "dim: %u, allowed are 1 to %d", w->dim, LIMIT_DIM);
    if (!w->vectors) return error_set(err, LYNSE_INVALID, "vectors: missing");
    size_t at = f32_find_not_finite(w->vectors, w->count * w->dim);
    if (at == w->count * w->dim) return 0;
    return error_set(err, LYNSE_INVALID,
                     "vectors: component %zu of row %zu is %f, it must be finite", at % w->dim,
                     at / w->dim, (double)w->vectors[at]);
}

static int check_documents(const struct collection_write *w, struct error *err)
{
    for (size_t i = 0; w->documents && i < w->count; i++)
        if (w->documents[i].size > 0 && document_check(w->documents[i], err) != 0)
            return error_wrap(err, "fields of row %zu", i);
    return 0;
}

size_t collection_group_bytes(const struct collection_write *w)
{
    struct record_rows rows = {w->ids, w->count, w->vectors, w->dim, w->documents};
    size_t request = request_stamp_is_none(&w->request) ? 0 : record_request_bytes();
    return wal_record_bytes(record_upsert_bytes(&rows) + request);
}

int collection_check_group_bytes(size_t bytes, struct error *err)
{
    if (bytes <= LIMIT_GROUP_BYTES) return 0;
    return error_set(err, LYNSE_TOO_LARGE,
                     "ids, vectors and fields: %zu bytes in the log, at most %llu a call", bytes,
                     (unsigned long long)LIMIT_GROUP_BYTES);
}

int collection_write_check(struct alloc *a, const struct collection_write *w, struct error *err)
{
    bool has_rows = w->kind == WRITE_ADD || w->kind == WRITE_UPSERT;

    if (w->count == 0 && !(w->kind == WRITE_DELETE && !request_stamp_is_none(&w->request)))
        return error_set(err, LYNSE_INVALID, "ids: none given");
    if (w->count > LIMIT_BATCH_ROWS)
        return error_set(err, LYNSE_LIMIT, "ids: %zu rows, at most %d a call", w->count,
                         LIMIT_BATCH_ROWS);
    if (!w->ids && w->kind != WRITE_ADD) return error_set(err, LYNSE_INVALID, "ids: missing");
    if (w->sync && !sync_level_is_for_writes(w->sync))
        return error_set(err, LYNSE_INVALID, "sync: %u is no level that a write may ask for",
                         w->sync);
    for (size_t i = 0; w->ids && i < w->count; i++)
        if (id_check(&w->ids[i], err) != 0) return error_wrap(err, "id at %zu", i);
    if (!has_rows) return 0;
    if (check_vectors(w, err) != 0 || check_documents(w, err) != 0) return -1;
    if (w->ids && check_unique(a, w->ids, w->count, err) != 0) return -1;
    return collection_check_group_bytes(collection_group_bytes(w), err);
}

/* ---- a batch ---- */

static int batch_begin(struct collection *c, struct error *err)
{
    struct collection_batch *b = &c->batch;

    CHECK(!b->edits && !b->view && b->pending_count == 0);
    b->max_int_id = c->max_int_id;
    b->has_int_id = c->has_int_id;
    b->wants_sync = false;
    b->pending_bytes = 0;
    b->edits = mem_zalloc(c->desc.alloc, MEM_GENERAL, (c->part_count + 1) * sizeof *b->edits);
    if (!b->edits) return error_no_memory(err, c->part_count * sizeof *b->edits);
    if (view_create(c->desc.alloc, c->part_count + 1, &b->view, err) == 0) return 0;
    mem_free(c->desc.alloc, b->edits);
    b->edits = NULL;
    return -1;
}

static void batch_reset(struct collection *c)
{
    struct collection_batch *b = &c->batch;

    for (size_t i = 0; b->edits && i < c->part_count; i++) tombstones_edit_abort(b->edits[i]);
    mem_free(c->desc.alloc, b->edits);
    view_release(b->view);
    b->edits = NULL;
    b->view = NULL;
    b->pending_count = 0;
    buf_reset(&b->writes);
    buf_reset(&b->ends);
    buf_reset(&b->marks);
    buf_reset(&b->overlay);
    buf_reset(&b->payload);
    int_map_deinit(&b->overlay_heads);
    arena_reset(&b->arena);
}

static struct collection_write **batch_writes(struct collection_batch *b, size_t *out_count)
{
    *out_count = b->writes.size / sizeof(struct collection_write *);
    return (struct collection_write **)(void *)b->writes.data;
}

/* Level of the answer: what the write asked for, or more if the disk has it anyway.  One that had
 * nothing to change is as safe as what it found. */
static uint8_t level_reached(const struct collection *c, const struct collection_write *w)
{
    uint8_t asked = w->sync ? w->sync : c->manifest.sync_level;
    uint64_t lsn = w->lsn ? w->lsn : c->applied_lsn;

    if (c->manifest.sync_level == SYNC_NONE) return SYNC_NONE;
    if (c->log->ops->durable_lsn(c->log) >= lsn) return SYNC_ALWAYS;
    /* Without syncs there is no timer either (R4b). */
    return asked == SYNC_INTERVAL && !c->desc.may_sync ? SYNC_OS : asked;
}

static void apply_marks(struct collection *c, size_t count)
{
    struct collection_batch *b = &c->batch;
    const struct staged_mark *marks = (const struct staged_mark *)(const void *)b->marks.data;

    for (size_t i = 0; i < count; i++) {
        if (marks[i].dead) tombstones_edit_set(b->edits[marks[i].part], marks[i].row);
        else tombstones_edit_clear(b->edits[marks[i].part], marks[i].row);
    }
    for (size_t i = 0; i < c->part_count; i++) {
        if (!b->edits[i]) continue;
        struct tombstones *next = tombstones_edit_finish(b->edits[i]);
        b->edits[i] = NULL;
        tombstones_release(c->parts[i].dead);
        c->parts[i].dead = next;
    }
}

/* The groups up to lsn are committed: show them.  Cannot fail (4). */
static void apply_batch(struct collection *c, uint64_t lsn)
{
    struct collection_batch *b = &c->batch;
    const struct staged_group *ends = (const struct staged_group *)(const void *)b->ends.data;
    const struct staged_group *end = &ends[lsn - c->applied_lsn - 1];

    apply_marks(c, end->mark_count);
    if (c->tail) {
        active_segment_commit(c->tail, end->staged_rows);
        c->parts[c->part_count - 1].row_count = end->staged_rows;
        if (end->staged_rows > 0) c->dim = c->tail_dim;
    }
    c->max_int_id = end->max_int_id;
    c->has_int_id = end->has_int_id;
    b->pending_count -= (size_t)(lsn - c->applied_lsn);
    c->applied_lsn = lsn;
    request_window_trim(&c->requests);
    struct view *v = b->view;
    b->view = NULL;
    view_slot_publish(c->desc.slot, collection_fill_view(c, v));
}

/* All that is not decided yet ends with this error, and so does what was decided upon it: a later
 * write that found nothing to do, or an id in its way, saw groups that never came to be. */
static void fail_pending(struct collection *c, const struct error *why)
{
    struct collection_batch *b = &c->batch;
    size_t count;
    struct collection_write **writes = batch_writes(b, &count);
    bool is_undone = false;

    for (size_t i = 0; i < count; i++) {
        if (writes[i]->lsn > c->applied_lsn) is_undone = true;
        if (!is_undone || writes[i]->is_repeat) continue; /* (5) */
        writes[i]->lsn = 0;
        writes[i]->row_count = 0;
        writes[i]->error = *why;
    }
    if (!FAULT(REQUEST_BEFORE_COMMIT)) request_window_cut(&c->requests, c->applied_lsn);
    b->pending_count = 0;
}

void collection_on_complete(void *ctx, uint64_t lsn, const struct error *failed)
{
    struct collection *c = ctx;

    CHECK(lsn > c->applied_lsn && lsn - c->applied_lsn <= c->batch.pending_count);
    if (!failed) {
        apply_batch(c, lsn);
        return;
    }
    if (wal_is_poisoned(c->wal)) collection_poison(c, failed);
    fail_pending(c, failed);
}

/* A write that found nothing to change may still ask that what it found is durable. */
static void fail_found(struct collection *c, const struct error *why)
{
    size_t count;
    struct collection_write **writes = batch_writes(&c->batch, &count);

    uint64_t durable = c->log->ops->durable_lsn(c->log);
    if (durable >= c->applied_lsn) return;
    for (size_t i = 0; i < count; i++) {
        uint8_t asked = writes[i]->sync ? writes[i]->sync : c->manifest.sync_level;
        bool is_found = writes[i]->is_repeat ? writes[i]->lsn > durable : !writes[i]->lsn;
        if (!writes[i]->error.code && is_found && asked == SYNC_ALWAYS) writes[i]->error = *why;
    }
}

static void sync_found(struct collection *c)
{
    uint64_t durable;
    struct error err = {0};

    if (c->manifest.sync_level == SYNC_NONE || c->log->ops->durable_lsn(c->log) >= c->applied_lsn)
        return;
    if (collection_sync(c, &durable, &err) != 0) fail_found(c, &err);
}

static void answer_all(struct collection *c)
{
    size_t count;
    struct collection_write **writes = batch_writes(&c->batch, &count);

    for (size_t i = 0; i < count; i++) {
        if (!writes[i]->error.code) writes[i]->sync_reached = level_reached(c, writes[i]);
        if (FAULT(EARLY_ACK) && writes[i]->lsn) writes[i]->sync_reached = c->manifest.sync_level;
        c->desc.on_written(c->desc.on_written_ctx, writes[i]);
    }
    buf_reset(&c->batch.writes);
}

static void batch_commit(struct collection *c)
{
    struct collection_batch *b = &c->batch;
    struct error err = {0};

    if (FAULT(EARLY_ACK)) answer_all(c);
    if (b->pending_count > 0) {
        uint64_t lsn = c->applied_lsn + b->pending_count;
        if (c->manifest.sync_level == SYNC_NONE) {
            wal_skip(c->wal, lsn);
            collection_on_complete(c, lsn, NULL);
        } else if (c->log->ops->complete(c->log, b->wants_sync && !FAULT(EARLY_VIEW), &err) != 0) {
            fail_pending(c, &err); /* what did not reach the log for good is taken back */
            fail_found(c, &err);
        }
        if (FAULT(EARLY_VIEW) && b->wants_sync) (void)collection_sync(c, &lsn, &err);
    } else if (b->wants_sync) {
        sync_found(c);
    }
    if (c->tail) active_segment_drop_staged(c->tail, c->parts[c->part_count - 1].row_count);
    answer_all(c);
    batch_reset(c);
}

static void encode_rows(struct collection_batch *b, const struct collection_write *w,
                        struct commit_record *record)
{
    struct record_rows rows = {w->ids, w->count, w->vectors, w->dim, w->documents};
    size_t bytes = record_upsert_bytes(&rows), vector_bytes = w->count * w->dim * sizeof(float);

    if (vector_bytes < LOG_BULK_BYTES) {
        buf_reserve(&b->payload, bytes);
        record_encode_upsert(&b->payload, &rows);
    } else {
        buf_reserve(&b->payload, bytes - vector_bytes + sizeof(uint64_t));
        record->bulk = record_encode_upsert_around(&b->payload, &rows, &record->bulk_at);
    }
}

static int log_group(struct collection *c, struct collection_write *w, uint64_t lsn,
                     struct error *err)
{
    struct collection_batch *b = &c->batch;
    struct commit_record record = {.kind = RECORD_UPSERT};

    if (c->manifest.sync_level == SYNC_NONE) return 0;
    buf_reset(&b->payload);
    switch (w->kind) {
    case WRITE_ADD:
    case WRITE_UPSERT:
        encode_rows(b, w, &record);
        break;
    case WRITE_DELETE:
        record.kind = RECORD_DELETE;
        record_encode_delete(&b->payload, w->resolved_ids, (size_t)w->row_count);
        break;
    case WRITE_RESTORE:
        record.kind = RECORD_RESTORE;
        record_encode_restore(&b->payload, w->resolved_ids, w->resolved_versions,
                              (size_t)w->row_count);
        break;
    }
    if (!request_stamp_is_none(&w->request)) record_encode_request(&b->payload, &w->request);
    if (!buf_ok(&b->payload)) return error_no_memory(err, b->payload.size);
    record.payload = buf_slice(&b->payload);
    if (c->log->ops->append(c->log, lsn, &record, 1, err) != 0) return -1;
    b->pending_bytes += record.payload.size + record.bulk.size;
    return 0;
}

/* Log the staged group and note where it ends. */
static int add_staged(struct collection *c, struct collection_write *w, uint64_t lsn,
                      struct error *err)
{
    struct collection_batch *b = &c->batch;
    struct staged_group end = collection_stage_mark(c);

    if (!buf_reserve(&b->ends, sizeof end)) {
        b->ends.failed = false;
        return error_no_memory(err, sizeof end);
    }
    if (collection_reserve_request(c, w, err) != 0 || log_group(c, w, lsn, err) != 0) return -1;
    buf_append(&b->ends, &end, sizeof end);
    collection_remember_request(c, w, lsn);
    return 0;
}

/* Stage and log one group; on failure nothing of it is left and its error says why. */
static void batch_add(struct collection *c, struct collection_write *w)
{
    struct collection_batch *b = &c->batch;
    struct staged_group before = collection_stage_mark(c);
    uint64_t lsn = c->applied_lsn + b->pending_count + 1;
    uint8_t level = w->sync ? w->sync : c->manifest.sync_level;

    if (level == SYNC_ALWAYS && !c->desc.may_sync) {
        error_set(&w->error, LYNSE_BUSY,
                  "sync: always needs a sync, which is not allowed here: "
                  "call lynse_sync");
        return;
    }
    if (collection_stage(c, w, lsn, &w->error) != 0 ||
        (w->row_count > 0 && add_staged(c, w, lsn, &w->error) != 0)) {
        collection_unstage(c, &before);
        w->row_count = 0;
        return;
    }
    if (level == SYNC_ALWAYS) b->wants_sync = true;
    if (w->row_count == 0) return;
    w->lsn = lsn;
    b->pending_count++;
}

/* Must the batch be closed before this write is added to it? */
static bool batch_is_full(const struct collection *c, const struct collection_write *w)
{
    const struct collection_batch *b = &c->batch;

    if (b->pending_count == 0) return false;
    if (b->pending_bytes >= SYNC_BATCH_BYTES) return true;
    if (!c->tail || !w->vectors) return false;
    return active_segment_staged(c->tail) + w->count > SEAL_ROWS;
}

/* A tail of the write's dimension with room for it. */
static int ready_tail(struct collection *c, const struct collection_write *w, struct error *err)
{
    if (w->kind != WRITE_ADD && w->kind != WRITE_UPSERT) return 0;
    if (collection_check_room(c, err) != 0) return -1;
    if (c->tail && c->batch.pending_count == 0) {
        /* Made for a group that was refused: it says nothing about the dimension. */
        bool is_void = c->dim == 0 && c->tail_dim != w->dim;
        bool is_full = active_segment_is_full(c->tail);
        if (is_void || is_full) batch_commit(c);
        if (is_void) collection_close_tail(c);
        else if (is_full && (collection_freeze(c, err) != 0 || batch_begin(c, err) != 0)) return -1;
    }
    if (c->tail) return 0;
    batch_commit(c);
    if (collection_open_tail(c, c->dim ? c->dim : w->dim, err) != 0) return -1;
    return batch_begin(c, err);
}

static void write_one(struct collection *c, struct collection_write *w, bool is_last)
{
    struct collection_batch *b = &c->batch;

    collection_stamp_request(c, w);
    if (b->edits && batch_is_full(c, w)) {
        REACHED(BATCH_CLOSED_FULL);
        batch_commit(c);
    } else if (collection_request_is_pending(c, w)) {
        batch_commit(c);
    }
    if (!buf_reserve(&b->writes, sizeof w)) {
        b->writes.failed = false;
        error_no_memory(&w->error, sizeof w);
        batch_commit(c); /* answers come in order */
        c->desc.on_written(c->desc.on_written_ctx, w);
        return;
    }
    if ((b->edits || batch_begin(c, &w->error) == 0) && !collection_answer_repeat(c, w) &&
        ready_tail(c, w, &w->error) == 0) {
        b->needs_overlay = !is_last && !FAULT(NO_OVERLAY);
        batch_add(c, w);
    }
    buf_append(&b->writes, &w, sizeof w);
}

void collection_write_batch(struct collection *c, struct collection_write **writes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct collection_write *w = writes[i];
        w->error.code = 0;
        w->lsn = w->row_count = 0;
        w->is_repeat = false;
        if (!c->is_poisoned && c->wal) {
            write_one(c, w, i + 1 == count);
            continue;
        }
        batch_commit(c); /* answers come in order */
        w->error = c->poison;
        c->desc.on_written(c->desc.on_written_ctx, w);
    }
    batch_commit(c);
    if (c->dim == 0 && c->tail) collection_close_tail(c);
    collection_freeze_early(c);
}

int collection_sync(struct collection *c, uint64_t *out_durable_lsn, struct error *err)
{
    struct error failed = {0};

    if (c->is_poisoned) {
        if (err) *err = c->poison;
        return -1;
    }
    if (!c->wal || c->manifest.sync_level == SYNC_NONE) {
        *out_durable_lsn = c->manifest.flushed_lsn;
        return 0;
    }
    if (c->log->ops->sync(c->log, out_durable_lsn, &failed) == 0) return 0;
    if (wal_is_poisoned(c->wal)) collection_poison(c, &failed);
    if (err) *err = failed;
    return -1;
}

int collection_mark(struct collection *c, struct error *err)
{
    struct error failed = {0};

    if (c->is_poisoned || !c->wal) return 0;
    if (wal_mark(c->wal, c->manifest.flushed_lsn, true, &failed) == 0) return 0;
    if (wal_is_poisoned(c->wal)) collection_poison(c, &failed);
    if (err) *err = failed;
    return -1;
}
