/* SPDX-License-Identifier: Apache-2.0 */
/* collection_apply.c — the parts of a collection, the view of them, and replay.
 *
 * WHAT        Replay does what a record says and looks nothing up but rows: an upsert entombs
 *             older versions and adds rows, a delete entombs, a restore revives the version that
 *             it names.
 * INVARIANTS  (1) Replay is idempotent: a record that a sealed segment's map already contains
 *                 (lsn <= map_lsn) does nothing to that segment, one whose rows are sealed
 *                 (lsn <= flushed_lsn) adds none (R6).
 *             (2) A group is visible as a whole: rows are committed at its end.
 * THREADS     The collection's actor.
 * FAILURE     CORRUPT: the record or an old version cannot be read; NO_MEMORY.
 */
#include "base/check.h"
#include "base/faults.h"
#include "base/limits.h"
#include "collection/collection.h"

void collection_part_deinit(struct collection_part *p)
{
    segment_index_release(p->index);
    segment_release(p->segment);
    tombstones_release(p->dead);
    tombstones_release(p->saved);
    memset(p, 0, sizeof *p);
}

int collection_reserve_parts(struct collection *c, size_t count, struct error *err)
{
    if (count <= c->part_capacity) return 0;
    size_t capacity = count < 8 ? 8 : count * 2;
    struct collection_part *parts =
        mem_resize(c->desc.alloc, MEM_SEGMENT, c->parts, capacity * sizeof *parts);
    if (!parts) return error_no_memory(err, capacity * sizeof *parts);
    c->parts = parts;
    c->part_capacity = capacity;
    return 0;
}

int collection_open_tail(struct collection *c, uint32_t dim, struct error *err)
{
    struct active_segment *tail = NULL;
    struct tombstones *dead = NULL;
    uint32_t capacity = SEAL_ROWS + LIMIT_BATCH_ROWS;

    if (collection_reserve_parts(c, c->part_count + 1, err) != 0) return -1;
    if (active_segment_create(c->desc.alloc, dim, capacity, &tail, err) != 0) return -1;
    if (tombstones_create(c->desc.alloc, capacity, &dead, err) != 0) {
        segment_release(active_segment_base(tail));
        return -1;
    }
    c->parts[c->part_count++] = (struct collection_part){
        .state = PART_TAIL, .segment = active_segment_base(tail), .dead = dead};
    if (c->desc.tail_share_bytes > 0) active_segment_set_share(tail, c->desc.tail_share_bytes);
    c->tail = tail;
    c->tail_dim = dim;
    return 0;
}

void collection_close_tail(struct collection *c)
{
    CHECK(c->tail && c->parts[c->part_count - 1].row_count == 0);
    collection_part_deinit(&c->parts[--c->part_count]);
    c->tail = NULL;
    c->tail_dim = 0;
}

/* ---- the view ---- */

struct view *collection_fill_view(struct collection *c, struct view *take_v)
{
    struct view *v = take_v;

    CHECK(v->part_count >= c->part_count);
    v->part_count = c->part_count;
    v->lsn = c->applied_lsn;
    v->dim = c->dim;
    v->metric = c->manifest.fields[0].metric;
    v->index_kind = c->manifest.fields[0].index_kind;
    v->hooks = c->manifest.hooks;
    installed_hooks_acquire(&v->hooks);
    v->live_count = v->dead_count = 0;
    for (size_t i = 0; i < c->part_count; i++) {
        const struct collection_part *p = &c->parts[i];
        v->parts[i].segment = segment_acquire(p->segment);
        v->parts[i].dead = tombstones_acquire(p->dead);
        v->parts[i].row_count = p->row_count;
        v->parts[i].index = p->index ? segment_index_acquire(p->index) : NULL;
        v->dead_count += tombstones_count(p->dead);
        v->live_count += p->row_count - tombstones_count(p->dead);
    }
    return v;
}

int collection_publish(struct collection *c, struct error *err)
{
    struct view *v;

    if (view_create(c->desc.alloc, c->part_count, &v, err) != 0) return -1;
    view_slot_publish(c->desc.slot, collection_fill_view(c, v));
    return 0;
}

/* ---- replay ---- */

/* The row is dead, or alive, from this record on: the part has a version of its tombstones more. */
static int replay_mark(struct collection *c, size_t part, uint32_t row, bool dead,
                       struct error *err)
{
    struct collection_part *p = &c->parts[part];
    struct tombstones_edit *e;

    if (tombstones_edit_begin(p->dead, &e, err) != 0) return -1;
    if (tombstones_edit_reserve(e, row, err) != 0) {
        tombstones_edit_abort(e);
        return -1;
    }
    if (dead) tombstones_edit_set(e, row);
    else tombstones_edit_clear(e, row);
    tombstones_release(p->dead);
    p->dead = tombstones_edit_finish(e);
    return 0;
}

/* version 0: the version before `lsn` dies; else exactly that version lives again. */
static int replay_id(struct collection *c, const struct record_id *id, uint64_t lsn,
                     uint64_t version, struct error *err)
{
    for (size_t i = c->part_count; i-- > 0;) {
        struct collection_part *p = &c->parts[i];
        uint64_t row_lsn;
        uint32_t row;

        if (p->state == PART_SEALED && p->info.map_lsn >= lsn) continue;
        int found = segment_find(p->segment, id, p->row_count, &row, err);
        if (found < 0) return -1;
        if (found == 0) continue;
        if (segment_lsn(p->segment, row, &row_lsn, err) != 0) return -1;
        if (version == 0 ? row_lsn >= lsn : row_lsn != version) continue;
        if (tombstones_get(p->dead, row) == (version == 0)) continue;
        if (replay_mark(c, i, row, version == 0, err) != 0) return -1;
    }
    return 0;
}

static int replay_upsert(struct collection *c, struct record_view *r, uint64_t lsn,
                         struct error *err)
{
    size_t row_floats = r->dim;
    float *vector = NULL;
    struct record_id id;
    int rc = -1;

    /* Of the first group the tail alone knows it. */
    uint32_t dim = c->tail ? c->tail_dim : c->dim;
    if (dim != 0 && r->dim != dim)
        return error_set(err, LYNSE_CORRUPT,
                         "record of LSN %llu has dimension %u, the collection %u",
                         (unsigned long long)lsn, r->dim, dim);
    if (!c->tail && collection_open_tail(c, r->dim, err) != 0) return -1;
    vector = mem_alloc(c->desc.alloc, MEM_LOG, row_floats * sizeof *vector);
    if (!vector) return error_no_memory(err, row_floats * sizeof *vector);
    for (size_t i = 0; id_column_next(&r->ids, &id); i++) {
        uint32_t row;
        bool is_new = !id.is_text && (!c->has_int_id || id.number > c->max_int_id);
        if (!is_new && replay_id(c, &id, lsn, 0, err) != 0) goto out;
        if (is_new) {
            c->max_int_id = id.number;
            c->has_int_id = true;
        }
        if (lsn <= c->manifest.flushed_lsn && !FAULT(REPLAY_SEALED_ROWS)) continue;
        memcpy(vector, r->vectors + i * row_floats * sizeof *vector, row_floats * sizeof *vector);
        if (active_segment_stage(c->tail, &id, lsn, vector, record_document(r, i), &row, err) != 0)
            goto out;
    }
    rc = 0;
out:
    mem_free(c->desc.alloc, vector);
    return rc;
}

static int replay_delete(struct collection *c, struct record_view *r, uint64_t lsn,
                         struct error *err)
{
    struct record_id id;

    while (id_column_next(&r->ids, &id))
        if (replay_id(c, &id, lsn, 0, err) != 0) return -1;
    return 0;
}

static int replay_restore(struct collection *c, struct record_view *r, uint64_t lsn,
                          struct error *err)
{
    struct record_id id;

    REACHED(RESTORE_REPLAYED);
    for (size_t i = 0; id_column_next(&r->ids, &id); i++)
        if (replay_id(c, &id, lsn, load_u64(r->versions + i * sizeof(uint64_t)), err) != 0)
            return -1;
    return 0;
}

typedef int replay_fn(struct collection *c, struct record_view *r, uint64_t lsn, struct error *err);
static replay_fn *const replay_of_kind[] = {
#define REPLAY_OF_KIND(name, number, kind, must_have) [number] = replay_##kind,
    RECORD_ROW_KINDS(REPLAY_OF_KIND)
#undef REPLAY_OF_KIND
};

/* No writer logs an id twice in a group, but a file may say anything (P9). */
static int check_group(struct segment *s, uint32_t first_row, uint32_t row_count, uint64_t lsn,
                       struct error *err)
{
    for (uint32_t row = first_row; row < row_count; row++) {
        uint32_t older;
        if (segment_find_older(s, row, &older, err) == 1 && older >= first_row)
            return error_set(err, LYNSE_CORRUPT, "log, LSN %llu: an id stands there twice",
                             (unsigned long long)lsn);
    }
    return 0;
}

static int replay_group_end(struct collection *c, uint64_t lsn, struct error *err)
{
    if (lsn > c->applied_lsn) c->applied_lsn = lsn;
    if (!c->tail) return 0;
    struct collection_part *p = &c->parts[c->part_count - 1];
    uint32_t rows = active_segment_staged(c->tail), first = p->row_count;
    active_segment_commit(c->tail, rows);
    p->row_count = rows;
    if (check_group(p->segment, first, rows, lsn, err) != 0) return -1;
    if (rows > 0) c->dim = c->tail_dim;
    if (!active_segment_is_full(c->tail)) return 0;
    REACHED(REPLAY_FROZE_TAIL);
    return collection_freeze(c, err);
}

int collection_replay_record(void *ctx, uint64_t lsn, enum record_kind kind, struct slice payload,
                             bool is_group_end, struct error *err)
{
    struct collection *c = ctx;
    struct record_view r;

    if (record_decode(kind, payload, &r, err) != 0)
        return error_wrap(err, "log, LSN %llu", (unsigned long long)lsn);
    if (replay_of_kind[kind](c, &r, lsn, err) != 0) return -1;
    if (collection_replay_request(c, &r, lsn, err) != 0) return -1;
    return is_group_end ? replay_group_end(c, lsn, err) : 0;
}
