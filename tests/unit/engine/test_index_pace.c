/* SPDX-License-Identifier: Apache-2.0 */
/* Writes that indexes cannot keep up with are slowed: by how much, what passes them, and when it is
 * over.  Builds stand still while the test holds them, and so does the clock. */
#include "actor/actor.h"
#include "base/limits.h"
#include "engine/index_crew.h"
#include "support/docs_fixture.h"

enum { DIM = 4, HALF = UNINDEXED_ROWS_MAX / 2, HELD_MAX = 64, SECOND_US = 1000000 };

struct pace_bed {
    struct fixture f; /* first */
    struct alloc *alloc;
    struct scheduler *scheduler;
    const struct scheduler_ops *inner;
    struct scheduler_ops ops;
    bool holds_builds;
    struct task *held[HELD_MAX];
    size_t held_count;
};

static struct pace_bed *running; /* submit has no context of its own */

static bool builds_index(const struct task *t)
{
    const struct index_crew *crew = running->f.docs ? running->f.docs->host->index : NULL;
    return crew && t == &crew->workers[0].task;
}

static int submit(struct scheduler *s, enum task_class class, struct task *t, struct error *err)
{
    if (!running->holds_builds || !builds_index(t)) return running->inner->submit(s, class, t, err);
    assert_true(running->held_count < HELD_MAX);
    running->held[running->held_count++] = t;
    return 0;
}

/* One of those that are held, and what it leads to: which is held again. */
static void let_one_go(struct pace_bed *b)
{
    struct error err = {0};
    assert_true(b->held_count > 0);
    struct task *t = b->held[--b->held_count];
    assert_ok(b->inner->submit(b->scheduler, TASK_JOB, t, &err), &err);
    while (inline_poll(b->scheduler, 0)) continue;
}

static void let_all_go(struct pace_bed *b)
{
    while (b->held_count > 0) let_one_go(b);
}

static int set_up(void **state)
{
    static struct pace_bed b;
    struct error err = {0};
    struct engine_desc desc = {.seed = 1, .clock = &b.f.clock.base};
    struct lynse_collection_desc docs = {.name = "notes/docs", .dim = DIM, .metric = LYNSE_L2};

    *state = NULL;
    if (SEAL_ROWS > 1000) return 0; /* with the limits as shipped a build is minutes of work */
    memset(&b, 0, sizeof b);
    fixture_init(&b.f);
    b.alloc = alloc_create(NULL, 0);
    struct inline_scheduler_desc how = {.alloc = b.alloc, .clock = &b.f.clock.base};
    b.scheduler = inline_scheduler_create(&how, &err);
    assert_non_null(b.scheduler);
    b.inner = b.scheduler->ops;
    b.ops = *b.inner;
    b.ops.submit = submit;
    b.scheduler->ops = &b.ops;
    running = &b;
    desc.scheduler = b.scheduler;
    fixture_open(&b.f, &desc);
    assert_done(lynse_collection_require(b.f.db, &docs, &b.f.docs, &b.f.err), &b.f);
    *state = &b;
    return 0;
}

static int tear_down(void **state)
{
    struct pace_bed *b = *state;
    if (!b) return 0;
    b->holds_builds = false;
    let_all_go(b);
    lynse_collection_close(b->f.docs);
    while (inline_poll(b->scheduler, 0)) continue;
    assert_done(fixture_close(&b->f), &b->f);
    scheduler_destroy(b->scheduler);
    assert_int_equal(alloc_used_bytes(b->alloc), 0);
    alloc_destroy(b->alloc);
    fixture_deinit(&b->f);
    return 0;
}

/* ---- writes that do not wait ---- */

struct outcome {
    int code;
    bool is_done;
};

static void note(void *ctx, const struct lynse_write_result *result, const struct lynse_error *err)
{
    struct outcome *o = ctx;
    (void)result;
    o->code = err ? err->code : LYNSE_OK;
    o->is_done = true;
}

static void send_row(struct pace_bed *b, struct outcome *o, uint64_t timeout_us)
{
    float vector[DIM] = {(float)b->f.next};
    struct lynse_rows row = {.dim = DIM, .count = 1, .vectors = vector, .numbers = &b->f.next};
    const struct lynse_write_options options = {
        .sync = LYNSE_SYNC_OS, .timeout_us = timeout_us, .done = note, .done_ctx = o};
    *o = (struct outcome){.code = -1};
    assert_done(lynse_add(b->f.docs, &row, &options, NULL, &b->f.err), &b->f);
    b->f.next++;
}

/* Whatever is ready to be done is, but for builds that are held; by a call that reads. */
static struct collection_status look(struct pace_bed *b)
{
    struct collection_status *s, copy;
    struct error err = {0};
    assert_ok(engine_host_status(b->f.docs->host, &s, &err), &err);
    while (inline_poll(b->scheduler, 0)) continue;
    copy = *s;
    copy.description = NULL;
    collection_status_destroy(s);
    return copy;
}

static void pass_us(struct pace_bed *b, uint64_t us)
{
    manual_clock_advance(&b->f.clock, us);
    (void)inline_poll(b->scheduler, 0);
    (void)look(b);
}

/* So many rows, sealed. */
static void add_rows(struct pace_bed *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct outcome o;
        send_row(b, &o, 0);
        for (int tries = 0; tries < 100 && !o.is_done; tries++) pass_us(b, SECOND_US);
        assert_true(o.is_done);
        assert_int_equal(o.code, LYNSE_OK);
    }
    assert_done(lynse_flush(b->f.docs, &b->f.err), &b->f);
}

static const struct lynse_index_desc graph = {.mode = "HNSW-L2", .flags = LYNSE_INDEX_NO_WAIT};

/* So many rows wait for an index that was asked for before they came; nobody owes anything. */
static void set_back(struct pace_bed *b, size_t rows)
{
    assert_done(lynse_index_set(b->f.docs, &graph, &b->f.err), &b->f);
    b->holds_builds = true;
    add_rows(b, rows);
    pass_us(b, 2 * SECOND_US);
    assert_int_equal(look(b).unindexed_count, rows);
}

/* The same, and of builds so slow that the row that is sent owes as much as any. */
static void send_where_builds_are_slow(struct pace_bed *b, struct outcome *o)
{
    set_back(b, HALF + HALF / 2);
    b->f.docs->host->pace.row_us = 100 * SECOND_US;
    send_row(b, o, 0);
}

static struct pace_bed *bed_of(void **state)
{
    struct pace_bed *b = *state;
    if (!b) skip_because("of the limits as shipped: too many rows make a tail");
    return b;
}

/* ---- the cases ---- */

static void rows_that_owe_little_are_written_together(void **state)
{
    struct pace_bed *b = bed_of(state);
    struct outcome outcomes[8];
    set_back(b, HALF + HALF / 2);
    for (size_t i = 0; i < 8; i++) send_row(b, &outcomes[i], 0);
    (void)look(b);
    for (size_t i = 0; i < 8; i++) assert_true(outcomes[i].is_done);
}

static void nobody_waits_long_however_slow_builds_are(void **state)
{
    struct pace_bed *b = bed_of(state);
    struct outcome first, second;
    send_where_builds_are_slow(b, &first);
    (void)look(b);
    assert_true(first.is_done);
    send_row(b, &second, 0);
    pass_us(b, SECOND_US / 2);
    assert_false(second.is_done);
    for (int looks = 0; looks < 60; looks++) pass_us(b, SECOND_US / 100);
    assert_true(second.is_done);
}

static void what_is_owed_goes_with_what_it_was_for(void **state)
{
    struct pace_bed *b = bed_of(state);
    struct outcome first, second;
    send_where_builds_are_slow(b, &first);
    send_row(b, &second, 0);
    (void)look(b);
    assert_false(second.is_done);
    b->holds_builds = false;
    let_all_go(b);
    assert_true(second.is_done);
}

static void a_write_that_waits_too_long_is_answered(void **state)
{
    struct pace_bed *b = bed_of(state);
    struct outcome first, second;
    send_where_builds_are_slow(b, &first);
    send_row(b, &second, SECOND_US / 10);
    for (int looks = 0; looks < 8; looks++) pass_us(b, SECOND_US / 40);
    assert_true(second.is_done);
    assert_int_equal(second.code, LYNSE_DEADLINE);
}

static void reads_pass_writes_that_wait_and_so_does_another_index(void **state)
{
    struct pace_bed *b = bed_of(state);
    struct outcome first, second;
    send_where_builds_are_slow(b, &first);
    send_row(b, &second, 0);
    assert_int_equal(look(b).live_count, HALF + HALF / 2 + 1);
    assert_false(second.is_done);
    assert_done(lynse_remove_index(b->f.docs, &b->f.err), &b->f);
    (void)look(b);
    assert_true(second.is_done);
    assert_int_equal(second.code, LYNSE_OK);
}

static void old_rows_are_done_when_they_are_built(void **state)
{
    struct pace_bed *b = bed_of(state);
    const struct index_pace *p = &b->f.docs->host->pace;
    add_rows(b, 3 * UNINDEXED_ROWS_MAX);
    b->holds_builds = true;
    assert_done(lynse_index_set(b->f.docs, &graph, &b->f.err), &b->f);
    (void)look(b);
    uint64_t old_rows = p->old_rows;
    assert_int_equal(old_rows, look(b).unindexed_count);
    add_rows(b, HALF / 2);
    assert_int_equal(p->old_rows, old_rows);
    while (look(b).unindexed_count == old_rows + HALF / 2) let_one_go(b);
    assert_true(p->old_rows < old_rows);
    assert_int_equal(p->old_rows + HALF / 2, look(b).unindexed_count);
}

static void a_build_that_was_given_up_says_nothing_of_the_time_it_takes(void **state)
{
    struct pace_bed *b = bed_of(state);
    const struct lynse_index_desc lists = {.mode = "IVF-L2", .flags = LYNSE_INDEX_NO_WAIT};
    set_back(b, HALF);
    manual_clock_advance(&b->f.clock, 1000 * SECOND_US);
    assert_done(lynse_index_set(b->f.docs, &lists, &b->f.err), &b->f);
    let_one_go(b);
    assert_true(b->f.docs->host->pace.row_us <= 0);
    let_all_go(b);
    assert_int_equal(look(b).unindexed_count, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(rows_that_owe_little_are_written_together),
    CASE(nobody_waits_long_however_slow_builds_are),
    CASE(what_is_owed_goes_with_what_it_was_for),
    CASE(a_write_that_waits_too_long_is_answered),
    CASE(reads_pass_writes_that_wait_and_so_does_another_index),
    CASE(old_rows_are_done_when_they_are_built),
    CASE(a_build_that_was_given_up_says_nothing_of_the_time_it_takes),
};
TEST_MAIN(tests)
