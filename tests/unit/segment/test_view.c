/* SPDX-License-Identifier: Apache-2.0 */
/* Views: what a reader sees is one moment of the collection, whatever the writer does meanwhile. */
#include "base/atomic.h"
#include "base/rng.h"
#include "segment/active_segment.h"
#include "segment/view.h"
#include "support/oom_sweep.h"
#include "support/test.h"

enum { DIM = 4, CAPACITY = 20000 };

/* A collection of one or more tails, as its actor would hold it. */
struct writer {
    struct alloc *alloc;
    struct active_segment *tails[4];
    struct tombstones *dead[4];
    uint32_t rows[4];
    size_t count;
    uint64_t lsn;
    struct view_slot slot;
};

static void add_tail(struct writer *w)
{
    struct error err = {0};
    assert_ok(active_segment_create(w->alloc, DIM, CAPACITY, &w->tails[w->count], &err), &err);
    assert_ok(tombstones_create(w->alloc, CAPACITY, &w->dead[w->count], &err), &err);
    w->count++;
}

static void writer_init(struct writer *w)
{
    memset(w, 0, sizeof *w);
    w->alloc = alloc_create(NULL, 0);
    view_slot_init(&w->slot);
    add_tail(w);
}

static void writer_deinit(struct writer *w)
{
    view_slot_deinit(&w->slot);
    for (size_t i = 0; i < w->count; i++) {
        segment_release(active_segment_base(w->tails[i]));
        tombstones_release(w->dead[i]);
    }
    assert_int_equal(alloc_used_bytes(w->alloc), 0);
    alloc_destroy(w->alloc);
}

static void publish(struct writer *w)
{
    struct view *v;
    struct error err = {0};
    assert_ok(view_create(w->alloc, w->count, &v, &err), &err);
    v->lsn = w->lsn;
    for (size_t i = 0; i < w->count; i++) {
        v->parts[i].segment = segment_acquire(active_segment_base(w->tails[i]));
        v->parts[i].dead = tombstones_acquire(w->dead[i]);
        v->parts[i].row_count = w->rows[i];
        v->live_count += w->rows[i] - tombstones_count(w->dead[i]);
    }
    view_slot_publish(&w->slot, v);
}

/* Newest row of an id, over all tails, by the writer's own knowledge. */
static bool find_newest(struct writer *w, const struct record_id *id, size_t *out_part,
                        uint32_t *out_row)
{
    for (size_t i = w->count; i-- > 0;) {
        if (segment_find(active_segment_base(w->tails[i]), id, w->rows[i], out_row, NULL) == 1) {
            *out_part = i;
            return true;
        }
    }
    return false;
}

static void mark_dead(struct writer *w, size_t part, uint32_t row)
{
    struct tombstones_edit *e;
    struct error err = {0};
    assert_ok(tombstones_edit_begin(w->dead[part], &e, &err), &err);
    assert_ok(tombstones_edit_reserve(e, row, &err), &err);
    tombstones_edit_set(e, row);
    struct tombstones *next = tombstones_edit_finish(e);
    tombstones_release(w->dead[part]);
    w->dead[part] = next;
}

/* Upsert: a new row, a tombstone on the old one; not published.  The vector says who it is. */
static void put(struct writer *w, const struct record_id *id, float who, float version)
{
    struct error err = {0};
    float vector[DIM] = {who, version, who + version, 1};
    size_t part = 0, tail = w->count - 1;
    uint32_t old, row;
    bool is_update = find_newest(w, id, &part, &old);
    assert_ok(active_segment_stage(w->tails[tail], id, ++w->lsn, vector,
                                   slice_of(vector, sizeof vector), &row, &err),
              &err);
    active_segment_commit(w->tails[tail], row + 1);
    w->rows[tail] = row + 1;
    if (is_update) mark_dead(w, part, old);
}

/* ---- One thread ---- */

static void the_newest_part_that_has_an_id_answers(void **state)
{
    (void)state;
    struct writer w;
    struct record_id a = id_of_number(1), b = id_of_text(slice_of_text("b")), c = id_of_number(3);
    size_t part;
    uint32_t row;
    bool dead;
    writer_init(&w);
    put(&w, &a, 1, 0);
    put(&w, &b, 2, 0);
    publish(&w);
    struct view *old = view_slot_acquire(&w.slot);
    add_tail(&w);
    put(&w, &a, 1, 1);
    mark_dead(&w, 0, 1);
    publish(&w);
    struct view *new = view_slot_acquire(&w.slot);

    assert_int_equal(view_find(new, &a, &part, &row, &dead, NULL), 1);
    assert_int_equal(part, 1);
    assert_int_equal(row, 0);
    assert_false(dead);
    assert_int_equal(view_find(new, &b, &part, &row, &dead, NULL), 1);
    assert_int_equal(part, 0);
    assert_true(dead);
    assert_int_equal(view_find(new, &c, &part, &row, &dead, NULL), 0);
    assert_int_equal(new->live_count, 1);

    assert_int_equal(view_find(old, &a, &part, &row, &dead, NULL), 1);
    assert_int_equal(part, 0);
    assert_false(dead);
    assert_int_equal(view_find(old, &b, &part, &row, &dead, NULL), 1);
    assert_false(dead);
    view_release(new);
    view_release(old);
    writer_deinit(&w);
}

static void a_view_keeps_what_it_names(void **state)
{
    (void)state;
    struct writer w;
    struct record_id id = id_of_text(slice_of_text("kept"));
    size_t part;
    uint32_t row;
    bool dead;
    writer_init(&w);
    put(&w, &id, 7, 0);
    publish(&w);
    struct view *v = view_slot_acquire(&w.slot);
    struct view *again = view_acquire(v);
    view_slot_publish(&w.slot, NULL);
    assert_null(view_slot_acquire(&w.slot));
    segment_release(active_segment_base(w.tails[0]));
    tombstones_release(w.dead[0]);
    w.count = 0;
    view_release(v);
    assert_int_equal(view_find(again, &id, &part, &row, &dead, NULL), 1);
    view_release(again);
    view_release(NULL);
    writer_deinit(&w);
}

static struct view *reaped;

static void take_dead(struct view_reaper *to, struct view *take_v)
{
    (void)to;
    assert_null(reaped);
    reaped = take_v;
}

/* Who releases a view last does not wait for the end of what it held, if somebody else is there for
 * that; what is held by others is none of his. */
static void what_a_view_was_the_last_to_hold_is_given_away(void **state)
{
    (void)state;
    struct view_reaper reaper = {.take = take_dead};
    struct writer w;
    writer_init(&w);
    w.slot.reaper = &reaper;
    add_tail(&w);
    publish(&w);
    publish(&w);
    assert_null(reaped); /* the tails are the writer's, too */
    struct view *v = view_slot_acquire(&w.slot);
    view_slot_publish(&w.slot, NULL);
    segment_release(active_segment_base(w.tails[1]));
    tombstones_release(w.dead[1]);
    w.count = 1;
    size_t before = alloc_used_bytes(w.alloc);
    view_release(v);
    assert_ptr_equal(reaped, v);
    assert_int_equal(v->part_count, 1);
    assert_int_equal(alloc_used_bytes(w.alloc), before);
    assert_false(view_reap_step(v));
    reaped = NULL;
    assert_true(alloc_used_bytes(w.alloc) < before);
    writer_deinit(&w);
}

static int make_view(void *ctx, struct error *err)
{
    struct view *v;
    if (view_create((struct alloc *)ctx, 3, &v, err) != 0) return -1;
    view_release(v); /* half filled in: what is not named is not released */
    return 0;
}

static void running_out_of_memory_is_an_error_like_any_other(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    oom_sweep(a, make_view, a);
    alloc_destroy(a);
}

/* ---- Many threads ---- */

enum { IDS = 300, READERS = 3, WRITES = 6000, FIND_EACH = 40 };

struct reader {
    struct thread thread;
    struct view_slot *slot;
    const _Atomic(bool) *is_over;
    uint64_t seed;
    uint64_t views;
    const char *failure; /* told by the main thread */
};

static struct record_id make_id(uint32_t who, char text[16])
{
    if (who % 2) return id_of_number(who);
    snprintf(text, 16, "id-%u", who);
    return id_of_text(slice_of_text(text));
}

/* Every live row through runs and words: each id at most once, vectors and norms whole. */
static const char *scan(const struct view *v, uint32_t *seen)
{
    uint64_t live = 0;
    for (size_t i = 0; i < v->part_count; i++) {
        const struct view_part *p = &v->parts[i];
        struct vector_run run;
        for (uint32_t row = 0; row < p->row_count; row += run.row_count) {
            struct vector_source *source = &p->segment->vectors;
            if (source->run(source, row, p->row_count - row, &run, NULL) != 0) return "run";
            for (uint32_t k = 0; k < run.row_count; k++) {
                const float *x = run.vectors + (size_t)k * DIM;
                if (x[2] != x[0] + x[1] || x[3] != 1 || !(run.norms[k] > 0)) return "torn vector";
                if (tombstones_get(p->dead, row + k)) continue;
                live++;
                if (seen[(uint32_t)x[0]]++ != 0) return "an id twice";
            }
        }
    }
    return live == v->live_count ? NULL : "live count";
}

static const char *find_some(const struct view *v, struct rng *rng, const uint32_t *seen)
{
    for (int i = 0; i < FIND_EACH; i++) {
        char text[16];
        uint32_t who = (uint32_t)rng_below(rng, IDS), row;
        struct record_id id = make_id(who, text), there;
        size_t part;
        bool dead;
        int found = view_find(v, &id, &part, &row, &dead, NULL);
        if (found < 0) return "find failed";
        if ((found == 1 && !dead) != (seen[who] == 1)) return "find and scan disagree";
        if (found == 0) continue;
        const struct view_part *p = &v->parts[part];
        struct doc_ref doc;
        struct vector_run run;
        uint64_t lsn;
        if (row >= p->row_count) return "a row that the view must not see";
        if (segment_id(p->segment, row, &there, NULL) != 0 || !id_equal(&id, &there)) return "id";
        if (segment_lsn(p->segment, row, &lsn, NULL) != 0 || lsn > v->lsn) return "lsn";
        if (segment_document(p->segment, row, &doc, NULL) != 0) return "document";
        if (p->segment->vectors.run(&p->segment->vectors, row, 1, &run, NULL) != 0) return "run";
        if ((uint32_t)run.vectors[0] != who) return "vector of another id";
        if (!slice_equal(doc.document, slice_of(run.vectors, DIM * sizeof(float))))
            return "document of another row";
        doc_ref_release(&doc);
    }
    return NULL;
}

static void read_views(void *ctx)
{
    struct reader *r = (struct reader *)ctx;
    struct rng rng;
    rng_init(&rng, r->seed);
    while (!r->failure && (!atomic_load_relaxed(r->is_over) || r->views < 3)) {
        uint32_t seen[IDS] = {0};
        struct view *v = view_slot_acquire(r->slot);
        r->failure = scan(v, seen);
        if (!r->failure) r->failure = find_some(v, &rng, seen);
        view_release(v);
        r->views++;
    }
}

static void readers_see_one_moment_while_rows_are_appended(void **state)
{
    (void)state;
    struct writer w;
    struct reader readers[READERS] = {0};
    struct error err = {0};
    struct rng rng;
    _Atomic(bool) is_over = false;
    writer_init(&w);
    rng_init(&rng, test_seed(1));
    publish(&w);
    for (int i = 0; i < READERS; i++) {
        readers[i].slot = &w.slot;
        readers[i].is_over = &is_over;
        readers[i].seed = (uint64_t)i;
        assert_ok(thread_start(&readers[i].thread, "reader", read_views, &readers[i], &err), &err);
    }
    for (int i = 0; i < WRITES; i++) {
        char text[16];
        uint32_t who = (uint32_t)rng_below(&rng, IDS), row;
        struct record_id id = make_id(who, text);
        size_t part;
        if (rng_chance(&rng, 0.8)) put(&w, &id, (float)who, (float)i);
        else if (find_newest(&w, &id, &part, &row)) mark_dead(&w, part, row);
        if (rng_chance(&rng, 0.3)) publish(&w);
        if (i == WRITES / 3 || i == WRITES / 2) add_tail(&w);
    }
    publish(&w);
    atomic_store_relaxed(&is_over, true);
    for (int i = 0; i < READERS; i++) {
        thread_join(&readers[i].thread);
        if (readers[i].failure) fail_msg("reader %d: %s", i, readers[i].failure);
        assert_true(readers[i].views >= 3);
    }
    writer_deinit(&w);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_newest_part_that_has_an_id_answers),
    cmocka_unit_test(a_view_keeps_what_it_names),
    cmocka_unit_test(what_a_view_was_the_last_to_hold_is_given_away),
    cmocka_unit_test(running_out_of_memory_is_an_error_like_any_other),
    cmocka_unit_test(readers_see_one_moment_while_rows_are_appended),
};
TEST_MAIN(tests)
