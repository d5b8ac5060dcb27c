/* SPDX-License-Identifier: Apache-2.0 */
/* A search as an object: slices, steps, deadlines, cancelling, and what fails on the way. */
#include <math.h>

#include "base/atomic.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/thread.h"
#include "simd/metrics.h"
#include "support/brute_force.h"
#include "support/oom_sweep.h"
#include "support/test.h"
#include "support/test_view.h"

enum {
    DIM = 2,
    SLICES = 8,
    ROWS = SLICES * SEARCH_SPLIT_ROWS + 17 > 40000 ? SLICES *SEARCH_SPLIT_ROWS + 17 : 40000,
    QUERIES = 100,
};

struct fixture {
    struct alloc *alloc;
    struct test_view rows;
    struct view *view;
    float queries[QUERIES * DIM];
};

/* Three parts of unequal size, few distinct distances, a row in a hundred deleted in the first. */
static void set_up(struct fixture *f, uint8_t metric)
{
    const size_t counts[] = {ROWS / 10, ROWS / 2, ROWS - ROWS / 10 - ROWS / 2};
    float *vectors = (float *)malloc(ROWS * DIM * sizeof(float));
    struct rng r;
    uint64_t first_id = 0;
    assert_non_null(vectors);
    rng_init(&r, 1);
    for (size_t i = 0; i < ROWS * DIM; i++) vectors[i] = (float)rng_below(&r, 200) - 100;
    for (size_t i = 0; i < QUERIES * DIM; i++) f->queries[i] = (float)rng_below(&r, 200) - 100;
    f->alloc = alloc_create(NULL, 0);
    test_view_init(&f->rows, f->alloc, DIM, metric);
    for (size_t part = 0; part < 3; part++) {
        test_view_open_part(&f->rows, ROWS);
        test_view_put_many(&f->rows, first_id, counts[part], vectors + first_id * DIM);
        first_id += counts[part];
    }
    for (uint64_t id = 0; id < counts[0]; id += 100) test_view_remove(&f->rows, id_of_number(id));
    f->view = test_view_take(&f->rows);
    free(vectors);
}

static void tear_down(struct fixture *f)
{
    view_release(f->view);
    test_view_deinit(&f->rows);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    alloc_destroy(f->alloc);
}

static struct search_request top_request(const struct fixture *f, size_t query_count, size_t k)
{
    return (struct search_request){
        .vectors = f->queries, .query_count = query_count, .dim = DIM, .k = k};
}

static struct search *begin(struct fixture *f, const struct search_request *request,
                            const struct clock *clock)
{
    struct error err = {0};
    struct search *s;
    assert_ok(search_create(f->alloc, view_acquire(f->view), request, clock, &s, &err), &err);
    return s;
}

/* ---- Slices ---- */

/* In up to slice_max slices, the last one first; how many they were. */
static size_t search_in_slices(struct fixture *f, const struct search_request *request,
                               size_t slice_max, struct result *out)
{
    struct error err = {0};
    struct search *s = begin(f, request, clock_system());
    size_t count = search_split(s, slice_max, &err);
    assert_in_range(count, 1, slice_max);
    for (size_t i = count; i-- > 0;) assert_int_equal(search_advance(s, i, 0), SEARCH_DONE);
    assert_ok(search_finish(s, out, &err), &err);
    search_destroy(s);
    return count;
}

static void check_split(struct fixture *f, const struct search_request *request, size_t step)
{
    struct result whole, cut;
    search_once(f->alloc, f->view, request, &whole);
    for (size_t slice_max = 1; slice_max <= SLICES; slice_max += step) {
        assert_int_equal(search_in_slices(f, request, slice_max, &cut), slice_max);
        assert_same_result(&whole, &cut);
        result_deinit(&cut);
    }
    result_deinit(&whole);
}

static void a_split_by_rows_does_not_change_the_answer(void **state)
{
    (void)state;
    const uint8_t metrics[] = {METRIC_L2, METRIC_IP, METRIC_COSINE};
    for (size_t m = 0; m < sizeof metrics; m++) {
        struct fixture f;
        set_up(&f, metrics[m]);
        struct search_request one = top_request(&f, 1, 300);
        check_split(&f, &one, 1);
        struct search_request few = top_request(&f, 3, 10);
        check_split(&f, &few, 1);
        struct search_request range = top_request(&f, 2, 0);
        range.is_range = true;
        range.threshold = metrics[m] == METRIC_L2 ? 900 : 0.5f;
        range.max_results = 1000;
        check_split(&f, &range, 1);
        tear_down(&f);
    }
}

static void a_split_by_queries_does_not_change_the_answer(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, METRIC_L2);
    struct search_request request = top_request(&f, QUERIES, 5);
    check_split(&f, &request, 7);
    tear_down(&f);
}

static void a_small_scan_is_not_split(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    float vector[DIM] = {1, 2};
    f.alloc = alloc_create(NULL, 0);
    test_view_init(&f.rows, f.alloc, DIM, METRIC_L2);
    test_view_open_part(&f.rows, 4);
    test_view_put(&f.rows, id_of_number(1), vector, slice_of(NULL, 0));
    f.view = test_view_take(&f.rows);
    memset(f.queries, 0, sizeof f.queries);
    struct search_request request = top_request(&f, 1, 3);
    struct search *s = begin(&f, &request, clock_system());
    assert_int_equal(search_split(s, 8, &err), 1);
    search_destroy(s);
    tear_down(&f);
}

struct slice_run {
    struct search *search;
    size_t slice;
    enum search_state state;
    struct thread thread;
};

static void run_slice(void *ctx)
{
    struct slice_run *run = (struct slice_run *)ctx;
    do {
        run->state = search_advance(run->search, run->slice, 100);
    } while (run->state == SEARCH_MORE);
}

static void slices_run_on_threads_of_their_own(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, METRIC_L2);
    const size_t query_counts[] = {1, QUERIES};
    for (size_t i = 0; i < 2; i++) {
        struct error err = {0};
        struct search_request request = top_request(&f, query_counts[i], 50);
        struct slice_run runs[4] = {0};
        struct result whole, cut;
        struct search *s = begin(&f, &request, clock_system());
        size_t count = search_split(s, 4, &err);
        assert_int_equal(count, 4);
        for (size_t j = 0; j < count; j++) {
            runs[j] = (struct slice_run){.search = s, .slice = j};
            assert_ok(thread_start(&runs[j].thread, "slice", run_slice, &runs[j], &err), &err);
        }
        for (size_t j = 0; j < count; j++) {
            thread_join(&runs[j].thread);
            assert_int_equal(runs[j].state, SEARCH_DONE);
        }
        assert_ok(search_finish(s, &cut, &err), &err);
        search_destroy(s);
        search_once(f.alloc, f.view, &request, &whole);
        assert_same_result(&whole, &cut);
        result_deinit(&cut);
        result_deinit(&whole);
    }
    tear_down(&f);
}

/* ---- Steps, deadlines, cancelling ---- */

/* A microsecond passes with every look. */
struct ticking_clock {
    struct clock base; /* first */
    uint64_t now_us;
};

static uint64_t tick(const struct clock *c)
{
    union {
        const struct clock *given;
        struct ticking_clock *own;
    } clock = {c};
    return clock.own->now_us++;
}

static void steps_add_up_to_one_call(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, METRIC_L2);
    const size_t query_counts[] = {1, 7};
    for (size_t i = 0; i < 2; i++) {
        struct error err = {0};
        struct ticking_clock clock = {.base = {.monotonic_us = tick}};
        struct search_request request = top_request(&f, query_counts[i], 20);
        struct result whole, stepped;
        size_t steps = 1;
        struct search *s = begin(&f, &request, &clock.base);
        while (search_advance(s, 0, 1) == SEARCH_MORE) steps++;
        /* No step is longer than the rows between two looks at the clock. */
        assert_true(steps >= ROWS * query_counts[i] / 8192);
        assert_int_equal(search_advance(s, 0, 1), SEARCH_DONE);
        assert_null(search_error(s));
        assert_ok(search_finish(s, &stepped, &err), &err);
        search_destroy(s);
        search_once(f.alloc, f.view, &request, &whole);
        assert_same_result(&whole, &stepped);
        result_deinit(&whole);
        result_deinit(&stepped);
    }
    tear_down(&f);
}

/* Who steps is not kept waiting while what all queries need is made. */
static void a_batch_over_one_row_takes_steps(void **state)
{
    (void)state;
    struct fixture f;
    struct ticking_clock clock = {.base = {.monotonic_us = tick}};
    float vector[DIM] = {1, 2};
    size_t steps = 1;
    f.alloc = alloc_create(NULL, 0);
    test_view_init(&f.rows, f.alloc, DIM, METRIC_L2);
    test_view_open_part(&f.rows, 4);
    test_view_put(&f.rows, id_of_number(1), vector, slice_of(NULL, 0));
    f.view = test_view_take(&f.rows);
    memset(f.queries, 0, sizeof f.queries);
    struct search_request request = top_request(&f, QUERIES, 3);
    struct search *s = begin(&f, &request, &clock.base);
    while (search_advance(s, 0, 1) == SEARCH_MORE) steps++;
    assert_true(steps > QUERIES / 64);
    search_destroy(s);
    tear_down(&f);
}

static void a_passed_deadline_stops_a_search(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, METRIC_L2);
    struct search_request request = top_request(&f, 1, 5);
    request.deadline_us = 1000;

    struct manual_clock standing;
    manual_clock_init(&standing, 999);
    struct search *s = begin(&f, &request, &standing.base);
    assert_int_equal(search_advance(s, 0, 0), SEARCH_DONE);
    search_destroy(s);

    manual_clock_init(&standing, 1000); /* before it has begun */
    s = begin(&f, &request, &standing.base);
    assert_int_equal(search_advance(s, 0, 0), SEARCH_FAILED);
    assert_fails(-1, search_error(s), LYNSE_DEADLINE);
    assert_int_equal(search_advance(s, 0, 0), SEARCH_FAILED);
    search_destroy(s);

    struct ticking_clock clock = {.base = {.monotonic_us = tick}, .now_us = 996};
    s = begin(&f, &request, &clock.base); /* in the middle */
    assert_int_equal(search_advance(s, 0, 0), SEARCH_FAILED);
    assert_fails(-1, search_error(s), LYNSE_DEADLINE);
    assert_true(clock.now_us == 1001);
    search_destroy(s);
    tear_down(&f);
}

static void a_passed_deadline_stops_the_fetching(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    struct result got;
    struct manual_clock clock;
    set_up(&f, METRIC_L2);
    struct search_request request = top_request(&f, 1, 5);
    request.deadline_us = 1000;
    manual_clock_init(&clock, 0);
    struct search *s = begin(&f, &request, &clock.base);
    assert_int_equal(search_advance(s, 0, 0), SEARCH_DONE);
    manual_clock_advance(&clock, 1000);
    assert_fails(search_finish(s, &got, &err), &err, LYNSE_DEADLINE);
    search_destroy(s);
    tear_down(&f);
}

static void a_cancelled_search_stops(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    _Atomic(bool) cancel = false;
    struct ticking_clock clock = {.base = {.monotonic_us = tick}};
    set_up(&f, METRIC_L2);
    struct search_request request = top_request(&f, 1, 5);
    request.cancel = &cancel;
    struct search *s = begin(&f, &request, &clock.base);
    assert_int_equal(search_split(s, 2, &err), 2);
    assert_int_equal(search_advance(s, 0, 0), SEARCH_DONE);
    assert_int_equal(search_advance(s, 1, 1), SEARCH_MORE);
    atomic_store_relaxed(&cancel, true);
    assert_int_equal(search_advance(s, 1, 0), SEARCH_FAILED);
    assert_int_equal(search_advance(s, 0, 0), SEARCH_DONE);
    assert_fails(-1, search_error(s), LYNSE_CANCELLED);
    search_destroy(s);
    tear_down(&f);
}

static void more_work_costs_more(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, METRIC_L2);
    struct search_request request = top_request(&f, 1, 5), batch = top_request(&f, QUERIES, 5);
    struct search *one = begin(&f, &request, clock_system());
    struct search *many = begin(&f, &batch, clock_system());
    assert_true(search_cost_us(one) < search_cost_us(many));
    assert_true(search_cost_us(many) < QUERIES * (search_cost_us(one) + 1));
    search_destroy(one);
    search_destroy(many);
    tear_down(&f);
}

/* ---- Failures ---- */

/* A part of two rows at the same place, in memory that cannot be trusted. */
struct broken_segment {
    struct segment base;
    bool has_bad_vectors, has_bad_ids;
    float vectors[2], norms[2];
};

static int broken_run(const struct vector_source *source, uint32_t row, uint32_t row_max,
                      struct vector_run *out, struct error *err)
{
    const struct broken_segment *b =
        (const struct broken_segment *)((const char *)source - offsetof(struct segment, vectors));
    if (b->has_bad_vectors) return error_set(err, LYNSE_CORRUPT, "vectors are damaged");
    *out = (struct vector_run){b->vectors + row, b->norms + row, row_max};
    return 0;
}

static int broken_id(struct segment *s, uint32_t row, struct record_id *out, struct error *err)
{
    const struct broken_segment *b = (const struct broken_segment *)s;
    if (b->has_bad_ids) return error_set(err, LYNSE_CORRUPT, "ids are damaged");
    *out = id_of_number(row);
    return 0;
}

static void broken_destroy(struct segment *s)
{
    (void)s;
}

static struct view *broken_view(struct alloc *a, struct broken_segment *b)
{
    static const struct segment_ops ops = {.id = broken_id, .destroy = broken_destroy};
    struct error err = {0};
    struct view *v;
    *b = (struct broken_segment){.base = {.ops = &ops, .vectors = {broken_run, 1}}};
    atomic_init(&b->base.reference_count, 1u);
    assert_ok(view_create(a, 1, &v, &err), &err);
    v->dim = 1;
    v->metric = METRIC_L2;
    v->live_count = 2;
    v->parts[0] = (struct view_part){.segment = &b->base, .row_count = 2};
    assert_ok(tombstones_create(a, 2, &v->parts[0].dead, &err), &err);
    return v;
}

static void damaged_vectors_fail_the_slice(void **state)
{
    (void)state;
    struct error err = {0};
    struct broken_segment b;
    struct alloc *a = alloc_create(NULL, 0);
    struct search *s;
    float query = 1;
    struct search_request request = {.vectors = &query, .query_count = 1, .dim = 1, .k = 1};
    struct view *v = broken_view(a, &b);
    b.has_bad_vectors = true;
    assert_ok(search_create(a, v, &request, clock_system(), &s, &err), &err);
    assert_int_equal(search_advance(s, 0, 0), SEARCH_FAILED);
    assert_fails(-1, search_error(s), LYNSE_CORRUPT);
    search_destroy(s);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static void damaged_ids_fail_where_they_decide(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    float query = 1;
    for (size_t k = 1; k <= 2; k++) { /* the scan's heap asks for k = 1; only the sort for k = 2 */
        struct error err = {0};
        struct broken_segment b;
        struct search *s;
        struct result got;
        struct search_request request = {.vectors = &query, .query_count = 1, .dim = 1, .k = k};
        struct view *v = broken_view(a, &b);
        assert_ok(search_create(a, v, &request, clock_system(), &s, &err), &err);
        b.has_bad_ids = true;
        if (search_advance(s, 0, 0) == SEARCH_FAILED)
            assert_fails(-1, search_error(s), LYNSE_CORRUPT);
        else assert_fails(search_finish(s, &got, &err), &err, LYNSE_CORRUPT);
        search_destroy(s);
    }
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static int search_scenario(void *ctx, struct error *err)
{
    struct fixture *f = (struct fixture *)ctx;
    struct search_request request = top_request(f, 2, 30);
    struct search *s;
    struct result got;
    request.columns = RESULT_DOCUMENTS | RESULT_VECTORS;
    if (search_create(f->alloc, view_acquire(f->view), &request, clock_system(), &s, err) != 0)
        return -1;
    size_t count = search_split(s, 3, err);
    int rc = count > 0 ? 0 : -1;
    /* A search that could not be split can still be run whole. */
    for (size_t i = 0; i < (count ? count : 1); i++)
        assert_int_equal(search_advance(s, i, 0), SEARCH_DONE);
    if (rc == 0 && (rc = search_finish(s, &got, err)) == 0) result_deinit(&got);
    search_destroy(s);
    return rc;
}

static void running_out_of_memory_is_an_ordinary_error(void **state)
{
    (void)state;
    struct fixture f;
    char text[24];
    set_up(&f, METRIC_L2);
    view_release(f.view);
    for (uint64_t i = 0; i < 10; i++) { /* near to the first query, with texts to be copied */
        uint8_t document[3000] = {0};
        snprintf(text, sizeof text, "text %llu", (unsigned long long)i);
        test_view_put(&f.rows, id_of_text(slice_of_text(text)), f.queries,
                      slice_of(document, sizeof document));
    }
    f.view = test_view_take(&f.rows);
    oom_sweep(f.alloc, search_scenario, &f);
    tear_down(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_split_by_rows_does_not_change_the_answer),
    cmocka_unit_test(a_split_by_queries_does_not_change_the_answer),
    cmocka_unit_test(a_small_scan_is_not_split),
    cmocka_unit_test(slices_run_on_threads_of_their_own),
    cmocka_unit_test(steps_add_up_to_one_call),
    cmocka_unit_test(a_batch_over_one_row_takes_steps),
    cmocka_unit_test(a_passed_deadline_stops_a_search),
    cmocka_unit_test(a_passed_deadline_stops_the_fetching),
    cmocka_unit_test(a_cancelled_search_stops),
    cmocka_unit_test(more_work_costs_more),
    cmocka_unit_test(damaged_vectors_fail_the_slice),
    cmocka_unit_test(damaged_ids_fail_where_they_decide),
    cmocka_unit_test(running_out_of_memory_is_an_ordinary_error),
};
TEST_MAIN(tests)
