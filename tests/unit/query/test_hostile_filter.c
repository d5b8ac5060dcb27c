/* SPDX-License-Identifier: Apache-2.0 */
/* Filters that take long over few rows: deadlines, cancel flags and budgets hold in the middle of a
 * block, and what was left there is matched anew. */
#include "codec/msgpack.h"
#include "filter/filter.h"
#include "query/fetch.h"
#include "simd/metrics.h"
#include "support/brute_force.h"
#include "support/test.h"
#include "support/test_view.h"

enum { DIM = 8, LONG_ROWS = 30, LONG_BYTES = 1 << 16 };
static const char hostile[] =
    "n < 0 OR t LIKE '%aaaaab%' OR t LIKE '%a%aaaac%' OR t LIKE '%aad%' OR t LIKE '%a%e%aaa%' OR "
    "t LIKE '%f%' OR t LIKE '%aa%g%' OR t LIKE '%h' OR t LIKE '%_aai%'";

struct hostile {
    struct alloc *alloc;
    struct test_view rows;
    struct view *view;
    struct column_cache *fields;
};

/* Goes on by 1 with each look, and may raise a flag at one of them. */
struct ticking_clock {
    struct clock base; /* first */
    uint64_t now_us;
    uint64_t raise_at;
    _Atomic(bool) flag;
};

static uint64_t tick(const struct clock *c)
{
    struct ticking_clock *t = (struct ticking_clock *)c;

    if (++t->now_us == t->raise_at) t->flag = true;
    return t->now_us;
}

static void ticking_clock_init(struct ticking_clock *t, uint64_t raise_at)
{
    *t = (struct ticking_clock){.base = {.monotonic_us = tick}, .raise_at = raise_at};
}

/* One part of few rows with long texts, {"n": row, "t": "aaa…"}; every third ends with "g". */
static void set_up(struct hostile *f)
{
    struct error err = {0};
    struct buf b, text;
    float vector[DIM] = {0};

    buf_init(&b, alloc_libc(), MEM_GENERAL);
    buf_init(&text, alloc_libc(), MEM_GENERAL);
    for (int i = 0; i < LONG_BYTES; i++) buf_append(&text, "a", 1);
    f->alloc = alloc_create(NULL, 0);
    assert_non_null(f->alloc);
    test_view_init(&f->rows, f->alloc, DIM, METRIC_L2);
    test_view_open_part(&f->rows, LONG_ROWS);
    for (uint64_t i = 0; i < LONG_ROWS; i++) {
        struct slice all = buf_slice(&text);
        ((uint8_t *)all.data)[all.size - 1] = i % 3 == 0 ? 'g' : 'a';
        buf_reset(&b);
        msgpack_write_map(&b, 2);
        msgpack_write_text(&b, slice_of_text("n"));
        msgpack_write_int(&b, (int64_t)i);
        msgpack_write_text(&b, slice_of_text("t"));
        msgpack_write_text(&b, all);
        vector[0] = (float)i;
        test_view_put(&f->rows, id_of_number(i), vector, buf_slice(&b));
    }
    f->view = test_view_take(&f->rows);
    assert_ok(column_cache_create(f->alloc, 1 << 20, &f->fields, &err), &err);
    buf_deinit(&b);
    buf_deinit(&text);
}

static void tear_down(struct hostile *f)
{
    view_release(f->view);
    test_view_deinit(&f->rows);
    column_cache_destroy(f->fields);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    alloc_destroy(f->alloc);
}

/* Looks that a walk over all rows takes at least: each is before about so much work. */
#define HOSTILE_WORK ((uint64_t)LONG_ROWS * LONG_BYTES * 6)
#define HOSTILE_LOOKS (HOSTILE_WORK / FILTER_WORK)

/* A block of rows is left in the middle, for its texts are long. */
static void a_hostile_filter_ends_at_its_deadline_or_cancel(void **state)
{
    (void)state;
    struct hostile f;
    struct error err = {0};
    struct ticking_clock clock;
    uint64_t count;

    set_up(&f);
    struct fetch_filter filter = {.where = slice_of_text(hostile), .fields = f.fields};
    filter.limits = (struct row_limits){.clock = &clock.base, .deadline_us = UINT64_MAX};
    for (uint64_t at = 1; at < HOSTILE_LOOKS; at += 7) {
        ticking_clock_init(&clock, 0);
        filter.limits.deadline_us = at;
        assert_fails(fetch_count(f.alloc, f.view, &filter, &count, &err), &err, LYNSE_DEADLINE);
        assert_in_range(clock.now_us, at, at + 2);
        ticking_clock_init(&clock, at);
        filter.limits.deadline_us = UINT64_MAX;
        filter.limits.cancel = &clock.flag;
        assert_fails(fetch_count(f.alloc, f.view, &filter, &count, &err), &err, LYNSE_CANCELLED);
        assert_in_range(clock.now_us, at, at + 2);
        filter.limits.cancel = NULL;
    }
    /* Nothing was kept of those that were left in the middle, all is of one that ended. */
    for (int i = 0; i < 2; i++) {
        ticking_clock_init(&clock, 0);
        assert_ok(fetch_count(f.alloc, f.view, &filter, &count, &err), &err);
        assert_int_equal(count, LONG_ROWS / 3);
        assert_true(i == 0 ? clock.now_us > HOSTILE_LOOKS : clock.now_us < HOSTILE_LOOKS / 8);
    }
    tear_down(&f);
}

/* A hook by which rows keep their distances. */
static struct hook_run plain_run;

static int plain_begin(struct hook *hook, uint64_t deadline_us, struct hook_run **out,
                       struct error *err)
{
    (void)deadline_us;
    (void)err;
    plain_run.ops = hook->ops;
    *out = &plain_run;
    return 0;
}

static enum hook_result plain_score(struct hook_run *run, const struct hook_batch *batch,
                                    struct hook_wants *wants, struct error *err)
{
    (void)run;
    (void)wants;
    (void)err;
    memcpy(batch->out, batch->distances, batch->row_count * sizeof *batch->out);
    return HOOK_DONE;
}

static void plain_end(struct hook_run *run)
{
    (void)run;
}

static const struct hook_ops plain_ops = {
    .begin = plain_begin, .score = plain_score, .end = plain_end};

/* So do searches that are scored: what they gathered before a pause is scored after it. */
static void a_hostile_filter_keeps_the_budget_of_a_step(void **state)
{
    (void)state;
    struct hostile f;
    struct error err = {0};
    struct ticking_clock clock;
    struct result whole, got;
    struct hook plain = {&plain_ops, HOOK_SCORE};

    set_up(&f);
    for (size_t i = 0; i < 4; i++) {
        struct search *s;
        size_t query_count = i % 2 ? 3 : 1;
        const float queries[3 * DIM] = {0};
        struct search_request r = {.vectors = queries,
                                   .query_count = query_count,
                                   .dim = DIM,
                                   .k = LONG_ROWS,
                                   .where = slice_of_text(hostile),
                                   .fields = f.fields};
        enum search_state now;
        uint64_t steps = 0, longest = 0;
        char where[sizeof hostile + 8]; /* a new one each time: nothing of it is kept */
        search_once(f.alloc, f.view, &r, &whole);
        assert_int_equal(whole.count, query_count * LONG_ROWS / 3);
        snprintf(where, sizeof where, "%s%*s", hostile, (int)i + 1, "");
        r.where = slice_of_text(where);
        if (i >= 2) r.score = &plain;
        ticking_clock_init(&clock, 0);
        assert_ok(search_create(f.alloc, view_acquire(f.view), &r, &clock.base, &s, &err), &err);
        do {
            uint64_t begin = clock.now_us;
            now = search_advance(s, 0, 2);
            if (clock.now_us - begin > longest) longest = clock.now_us - begin;
            steps++;
        } while (now == SEARCH_MORE);
        assert_ok(search_finish(s, &got, &err), &err);
        assert_same_result(&got, &whole);
        result_deinit(&got);
        result_deinit(&whole);
        search_destroy(s);
        assert_true(steps > HOSTILE_LOOKS / 8);
        assert_true(longest < 10);
    }
    tear_down(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_hostile_filter_ends_at_its_deadline_or_cancel),
    cmocka_unit_test(a_hostile_filter_keeps_the_budget_of_a_step),
};
TEST_MAIN(tests)
