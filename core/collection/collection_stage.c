/* SPDX-License-Identifier: Apache-2.0 */
/* collection_stage.c — one group against the state: resolve, reserve, write behind what is visible.
 *
 * WHAT        The part of a write that may be refused.  Everything that applying needs is made
 *             here: tail rows, slots of the id table, private copies of tombstone chunks.  After
 *             the log nothing can fail.
 * INVARIANTS  (1) A group sees the applied state plus the earlier groups of its batch (overlay).
 *             (2) What is staged is a suffix of rows, marks and overlay entries: a refused group
 *                 is undone by cutting the suffix off.
 *             (3) What a restore revives, and the fields that an upsert keeps, are decided here
 *                 and stand in the record, so that replay never looks anything up.
 * THREADS     The collection's actor.
 * FAILURE     ALREADY_EXISTS, DIMENSION, INVALID (of vectors that the metric cannot measure),
 *             LIMIT, NO_MEMORY, CORRUPT (an old version is damaged).
 */
#include "base/check.h"
#include "base/limits.h"
#include "collection/collection.h"
#include "quant/narrow_rows.h"
#include "simd/metrics.h"

static const uint32_t no_entry = UINT32_MAX;

static struct overlay_entry *overlay_at(const struct collection_batch *b, uint32_t i)
{
    return (struct overlay_entry *)(void *)b->overlay.data + i;
}

static size_t overlay_count(const struct collection_batch *b)
{
    return b->overlay.size / sizeof(struct overlay_entry);
}

static bool overlay_find(const struct collection_batch *b, const struct record_id *id,
                         struct overlay_entry *out)
{
    uint64_t head;

    if (b->overlay.size == 0 || !int_map_get(&b->overlay_heads, id_hash(id), &head)) return false;
    for (uint32_t i = (uint32_t)head; i != no_entry; i = overlay_at(b, i)->previous) {
        if (id_equal(&overlay_at(b, i)->id, id)) {
            *out = *overlay_at(b, i);
            return true;
        }
    }
    return false;
}

static int overlay_put(struct collection_batch *b, const struct overlay_entry *entry,
                       struct error *err)
{
    struct overlay_entry e = *entry;
    uint64_t head, hash = id_hash(&e.id);
    uint32_t index = (uint32_t)overlay_count(b);

    e.previous = int_map_get(&b->overlay_heads, hash, &head) ? (uint32_t)head : no_entry;
    if (!buf_reserve(&b->overlay, sizeof e) || int_map_put(&b->overlay_heads, hash, index) != 0) {
        b->overlay.failed = false;
        return error_no_memory(err, sizeof e);
    }
    buf_append(&b->overlay, &e, sizeof e);
    return 0;
}

static void overlay_cut(struct collection_batch *b, size_t count)
{
    while (overlay_count(b) > count) {
        struct overlay_entry *last = overlay_at(b, (uint32_t)overlay_count(b) - 1);
        /* The key is there, so that put cannot need room. */
        if (last->previous == no_entry) int_map_remove(&b->overlay_heads, id_hash(&last->id));
        else int_map_put(&b->overlay_heads, id_hash(&last->id), last->previous);
        b->overlay.size -= sizeof *last;
    }
}

int collection_find(struct collection *c, const struct record_id *id, struct overlay_entry *out,
                    struct error *err)
{
    if (overlay_find(&c->batch, id, out)) return 1;
    /* An integer above all that were ever used cannot be there: the common case of an add. */
    if (!id->is_text && (!c->has_int_id || id->number > c->max_int_id)) return 0;
    for (size_t i = c->part_count; i-- > 0;) {
        struct collection_part *p = &c->parts[i];
        int found = segment_find(p->segment, id, p->row_count, &out->row, err);
        if (found < 0) return -1;
        if (found == 0) continue;
        out->id = *id;
        out->part = (uint32_t)i;
        out->dead = tombstones_get(p->dead, out->row);
        return segment_lsn(p->segment, out->row, &out->lsn, err) == 0 ? 1 : -1;
    }
    return 0;
}

/* The batch will set or clear one tombstone: reserve it now. */
static int stage_mark(struct collection *c, uint32_t part, uint32_t row, bool dead,
                      struct error *err)
{
    struct collection_batch *b = &c->batch;
    struct staged_mark mark = {part, row, dead};

    if (!b->edits[part] && tombstones_edit_begin(c->parts[part].dead, &b->edits[part], err) != 0)
        return -1;
    if (tombstones_edit_reserve(b->edits[part], row, err) != 0) return -1;
    buf_append(&b->marks, &mark, sizeof mark);
    if (buf_ok(&b->marks)) return 0;
    b->marks.failed = false;
    return error_no_memory(err, sizeof mark);
}

static int give_ids(struct collection *c, struct collection_write *w, struct error *err)
{
    struct collection_batch *b = &c->batch;
    uint64_t first = b->has_int_id ? b->max_int_id + 1 : 0;

    if (first > LIMIT_INT_ID || w->count - 1 > LIMIT_INT_ID - first)
        return error_set(
            err, LYNSE_LIMIT,
            "ids: none are left for %zu records after %llu, the largest is %llu; give ids",
            w->count, (unsigned long long)b->max_int_id, (unsigned long long)LIMIT_INT_ID);
    struct record_id *ids = arena_alloc(&b->arena, w->count * sizeof *ids);
    if (!ids) return error_no_memory(err, w->count * sizeof *ids);
    for (size_t i = 0; i < w->count; i++) ids[i] = id_of_number(first + i);
    w->ids = ids;
    w->first_number = first;
    return 0;
}

/* The fields of the version that an upsert replaces, copied into the batch's arena. */
static int keep_document(struct collection *c, const struct overlay_entry *old, struct slice *out,
                         struct error *err)
{
    struct doc_ref ref = {0};
    int rc = -1;

    if (segment_document(c->parts[old->part].segment, old->row, &ref, err) != 0) return -1;
    if (ref.document.size == 0) {
        *out = slice_of(NULL, 0);
        rc = 0;
        goto out;
    }
    void *copy = arena_alloc(&c->batch.arena, ref.document.size);
    if (!copy) {
        error_no_memory(err, ref.document.size);
        goto out;
    }
    memcpy(copy, ref.document.data, ref.document.size);
    *out = slice_of(copy, ref.document.size);
    rc = 0;
out:
    doc_ref_release(&ref);
    return rc;
}

/* One row of an add or upsert against what is there: its old version is marked, its fields kept,
 * and counted as if they had been given. */
static int resolve_row(struct collection *c, struct collection_write *w, size_t i,
                       struct slice *documents, size_t *group_bytes, struct error *err)
{
    struct overlay_entry old;
    int found = collection_find(c, &w->ids[i], &old, err);
    char text[ID_TEXT_BYTES];

    if (found < 0) return -1;
    if (found == 0 || old.dead) return 0;
    if (w->kind == WRITE_ADD)
        return error_set(err, LYNSE_ALREADY_EXISTS, "id %s already exists",
                         id_format(&w->ids[i], text));
    if (documents[i].size == 0) {
        if (keep_document(c, &old, &documents[i], err) != 0) return -1;
        *group_bytes += documents[i].size;
        if (collection_check_group_bytes(*group_bytes, err) != 0) return -1;
    }
    return stage_mark(c, old.part, old.row, true, err);
}

static int stage_overlay_rows(struct collection *c, const struct collection_write *w, uint64_t lsn,
                              uint32_t first_row, struct error *err)
{
    struct overlay_entry e = {.lsn = lsn, .part = (uint32_t)c->part_count - 1};

    for (size_t i = 0; i < w->count; i++) {
        e.id = w->ids[i];
        e.row = first_row + (uint32_t)i;
        if (overlay_put(&c->batch, &e, err) != 0) return -1;
    }
    return 0;
}

static void raise_int_ids(struct collection_batch *b, const struct record_id *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i].is_text || (b->has_int_id && ids[i].number <= b->max_int_id)) continue;
        b->max_int_id = ids[i].number;
        b->has_int_id = true;
    }
}

static int stage_rows(struct collection *c, struct collection_write *w, uint64_t lsn,
                      struct error *err)
{
    struct collection_batch *b = &c->batch;
    uint32_t first_row;

    if (c->dim != 0 && w->dim != c->dim)
        return error_set(err, LYNSE_DIMENSION, "vectors: dimension %u, the collection has %u",
                         w->dim, c->dim);
    if (c->tail && c->tail_dim != w->dim)
        return error_set(err, LYNSE_DIMENSION, "vectors: dimension %u, the batch began with %u",
                         w->dim, c->tail_dim);
    const struct metric_info *metric = metric_find(c->manifest.fields[0].metric);
    if (storage_round(kernels_active(), c->manifest.fields[0].storage, (float *)w->vectors,
                      w->count, w->dim, err) != 0 ||
        metric_check_dim(metric, w->dim, err) != 0 ||
        metric_check_vectors(metric, w->vectors, w->count, w->dim, "row", err) != 0)
        return -1;
    if (!w->ids && give_ids(c, w, err) != 0) return -1;

    struct slice *documents = arena_zalloc(&b->arena, w->count * sizeof *documents);
    if (!documents) return error_no_memory(err, w->count * sizeof *documents);
    if (w->documents) memcpy(documents, w->documents, w->count * sizeof *documents);
    size_t bytes = collection_group_bytes(w);
    for (size_t i = 0; i < w->count; i++)
        if (resolve_row(c, w, i, documents, &bytes, err) != 0) return -1;
    w->documents = documents;

    struct tail_rows rows = {w->ids, w->count, lsn, w->vectors, documents, &w->take_vectors};
    if (active_segment_stage_many(c->tail, &rows, &first_row, err) != 0) return -1;
    if (b->needs_overlay && stage_overlay_rows(c, w, lsn, first_row, err) != 0) return -1;
    raise_int_ids(b, w->ids, w->count);
    w->row_count = w->count;
    return 0;
}

/* A row may have been deleted under another metric, which could measure it.  vector: room for one,
 * made for the first of a group; NULL: there is none yet. */
static int check_restored(struct collection *c, const struct overlay_entry *e, float **vector,
                          struct error *err)
{
    const struct metric_info *metric = metric_find(c->manifest.fields[0].metric);
    const struct vector_source *vectors = &c->parts[e->part].segment->vectors;
    char text[ID_TEXT_BYTES];

    if (metric->input == METRIC_INPUT_ANY) return 0;
    if (!*vector) *vector = arena_alloc(&c->batch.arena, vectors->dim * sizeof **vector);
    if (!*vector) return error_no_memory(err, vectors->dim * sizeof **vector);
    if (vector_source_read(vectors, e->row, 1, *vector, NULL, err) != 0) return -1;
    if (metric_check_vectors(metric, *vector, 1, vectors->dim, "vector", err) == 0) return 0;
    return error_wrap(err, "id %s", id_format(&e->id, text));
}

/* Deletes and restores: the ids that are there as they must be, with what they are. */
static int stage_marks(struct collection *c, struct collection_write *w, struct error *err)
{
    struct collection_batch *b = &c->batch;
    bool dead = w->kind == WRITE_DELETE;

    CHECK(dead || !w->if_lsns);
    struct record_id *ids = arena_alloc(&b->arena, w->count * sizeof *ids);
    uint64_t *versions = arena_alloc(&b->arena, w->count * sizeof *versions);
    float *vector = NULL;
    size_t count = 0;

    if (!ids || !versions) return error_no_memory(err, w->count * sizeof *ids);
    for (size_t i = 0; i < w->count; i++) {
        struct overlay_entry e;
        int found = collection_find(c, &w->ids[i], &e, err);
        if (found < 0) return -1;
        if (found == 0 || e.dead == dead) continue;
        if (w->if_lsns && e.lsn != w->if_lsns[i]) continue;
        e.id = w->ids[i];
        if (!dead && check_restored(c, &e, &vector, err) != 0) return -1;
        if (stage_mark(c, e.part, e.row, dead, err) != 0) return -1;
        e.dead = dead;
        /* Always: the same id may stand in the request twice. */
        if (overlay_put(b, &e, err) != 0) return -1;
        ids[count] = w->ids[i];
        versions[count++] = e.lsn;
    }
    w->resolved_ids = ids;
    w->resolved_versions = versions;
    w->row_count = count;
    return 0;
}

int collection_stage(struct collection *c, struct collection_write *w, uint64_t lsn,
                     struct error *err)
{
    CHECK(lsn == c->applied_lsn + c->batch.pending_count + 1);
    if (w->kind == WRITE_ADD || w->kind == WRITE_UPSERT) return stage_rows(c, w, lsn, err);
    return stage_marks(c, w, err);
}

void collection_unstage(struct collection *c, const struct staged_group *before)
{
    struct collection_batch *b = &c->batch;

    overlay_cut(b, before->overlay_count);
    b->marks.size = before->mark_count * sizeof(struct staged_mark);
    b->max_int_id = before->max_int_id;
    b->has_int_id = before->has_int_id;
    if (c->tail) active_segment_drop_staged(c->tail, before->staged_rows);
}

struct staged_group collection_stage_mark(const struct collection *c)
{
    const struct collection_batch *b = &c->batch;

    return (struct staged_group){
        .staged_rows = c->tail ? active_segment_staged(c->tail) : 0,
        .mark_count = b->marks.size / sizeof(struct staged_mark),
        .overlay_count = overlay_count(b),
        .max_int_id = b->max_int_id,
        .has_int_id = b->has_int_id,
    };
}
