/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test_view.h"

#include "support/test.h"

void test_view_init(struct test_view *t, struct alloc *a, uint32_t dim, uint8_t metric)
{
    *t = (struct test_view){.alloc = a, .dim = dim, .metric = metric};
}

void test_view_deinit(struct test_view *t)
{
    for (size_t i = 0; i < t->part_count; i++) {
        segment_release(active_segment_base(t->parts[i]));
        tombstones_release(t->dead[i]);
    }
    *t = (struct test_view){0};
}

void test_view_open_part(struct test_view *t, uint32_t row_capacity)
{
    struct error err = {0};
    size_t i = t->part_count;
    assert_true(i < TEST_VIEW_PARTS);
    assert_ok(active_segment_create(t->alloc, t->dim, row_capacity, &t->parts[i], &err), &err);
    assert_ok(tombstones_create(t->alloc, row_capacity, &t->dead[i], &err), &err);
    t->part_count++;
}

static void entomb(struct test_view *t, size_t part, uint32_t row)
{
    struct error err = {0};
    struct tombstones_edit *edit;
    assert_ok(tombstones_edit_begin(t->dead[part], &edit, &err), &err);
    assert_ok(tombstones_edit_reserve(edit, row, &err), &err);
    tombstones_edit_set(edit, row);
    tombstones_release(t->dead[part]);
    t->dead[part] = tombstones_edit_finish(edit);
}

/* Delete the newest version; false when there is none that lives. */
static bool entomb_live(struct test_view *t, const struct record_id *id)
{
    struct error err = {0};
    for (size_t i = t->part_count; i-- > 0;) {
        uint32_t row, row_count = active_segment_staged(t->parts[i]); /* all are committed */
        if (segment_find(active_segment_base(t->parts[i]), id, row_count, &row, &err) != 1)
            continue;
        if (tombstones_get(t->dead[i], row)) return false;
        entomb(t, i, row);
        return true;
    }
    return false;
}

void test_view_put(struct test_view *t, struct record_id id, const float *vector,
                   struct slice document)
{
    struct error err = {0};
    struct active_segment *tail = t->parts[t->part_count - 1];
    uint32_t row;
    entomb_live(t, &id);
    assert_ok(active_segment_stage(tail, &id, ++t->lsn, vector, document, &row, &err), &err);
    active_segment_commit(tail, row + 1);
}

void test_view_put_many(struct test_view *t, uint64_t first_id, size_t count, const float *vectors)
{
    struct error err = {0};
    struct active_segment *tail = t->parts[t->part_count - 1];
    struct record_id *ids =
        (struct record_id *)mem_alloc(t->alloc, MEM_GENERAL, count * sizeof *ids);
    uint32_t row;
    assert_non_null(ids);
    for (size_t i = 0; i < count; i++) ids[i] = id_of_number(first_id + i);
    struct tail_rows rows = {.ids = ids, .count = count, .lsn = ++t->lsn, .vectors = vectors};
    assert_ok(active_segment_stage_many(tail, &rows, &row, &err), &err);
    active_segment_commit(tail, row + (uint32_t)count);
    mem_free(t->alloc, ids);
}

void test_view_remove(struct test_view *t, struct record_id id)
{
    t->lsn++;
    assert_true(entomb_live(t, &id));
}

struct view *test_view_take(const struct test_view *t)
{
    struct error err = {0};
    struct view *v;
    assert_ok(view_create(t->alloc, t->part_count, &v, &err), &err);
    v->lsn = t->lsn;
    v->dim = t->dim;
    v->metric = t->metric;
    for (size_t i = 0; i < t->part_count; i++) {
        v->parts[i] = (struct view_part){
            .segment = segment_acquire(active_segment_base(t->parts[i])),
            .dead = tombstones_acquire(t->dead[i]),
            .row_count = active_segment_staged(t->parts[i]),
        };
        v->dead_count += tombstones_count(t->dead[i]);
        v->live_count += v->parts[i].row_count;
    }
    v->live_count -= v->dead_count;
    return v;
}
