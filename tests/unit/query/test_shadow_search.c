/* SPDX-License-Identifier: Apache-2.0 */
/* Searches through shadows answer what brute force answers, bit for bit, whatever the data; and
 * they do read shadows. */
#include <math.h>

#include "base/limits.h"
#include "base/rng.h"
#include "base/thread.h"
#include "codec/msgpack.h"
#include "segment/column_cache.h"
#include "segment/segment_shadow.h"
#include "simd/metrics.h"
#include "support/brute_force.h"
#include "support/metric_distance.h"
#include "support/test.h"
#include "support/test_view.h"

enum { DIM = 80, PART_ROWS = 2 * SHADOW_ROWS_MIN + 150, PARTS = 3, QUERIES = 37, SLICES = 3 };

enum kind {
    NORMAL,
    CLUSTERED,
    NEAR_DUPLICATES, /* of a few rows, by the last bits */
    COARSE,          /* many distances are equal */
    CONSTANT,
    ZEROS, /* one row in three */
    HUGE_VALUES,
    TINY,
    SIZES, /* each row of a size of its own, some infinite as products */
    KIND_COUNT
};

struct fixture {
    struct alloc *alloc;
    struct shadow_room *room;
    struct column_cache *fields;
    struct rng rng;
    struct test_view rows;
    struct view *view;
    float queries[QUERIES * DIM];
};

static float draw(struct rng *r, enum kind kind, uint64_t row, int i)
{
    float normal = rng_normal(r);
    switch (kind) {
    case NORMAL:
        return normal;
    case CLUSTERED:
        return (float)((row % 13 * 31 + (uint64_t)i * 7) % 17) + 0.2f * normal;
    case NEAR_DUPLICATES:
        return (float)((row % 3 + 1) * ((uint64_t)i % 5 + 1)) * (1 + normal * 0x1p-22f);
    case COARSE:
        return (float)rng_below(r, 2) * (i < 12);
    case CONSTANT:
        return 0.7f;
    case ZEROS:
        return row % 3 ? normal : 0;
    case HUGE_VALUES:
        return normal * (row % 5 ? 1e10f : 1e18f);
    case TINY:
        return normal * (row % 5 ? 1e-10f : 1e-41f);
    case SIZES:
        return ldexpf(normal, (int)(row * 7 % 160) - 80);
    default:
        fail();
        return 0;
    }
}

static void put_row(struct fixture *f, enum kind kind, uint64_t number)
{
    float vector[DIM];
    struct buf b;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    msgpack_write_map(&b, 1);
    msgpack_write_text(&b, slice_of_text("n"));
    msgpack_write_int(&b, (int64_t)(number % 10));
    for (int i = 0; i < DIM; i++) vector[i] = draw(&f->rng, kind, number, i);
    test_view_put(&f->rows, id_of_number(number), vector, buf_slice(&b));
    buf_deinit(&b);
}

static void set_up(struct fixture *f, enum kind kind, unsigned metric)
{
    struct error err = {0};
    f->alloc = alloc_create(NULL, 0);
    assert_non_null(f->alloc);
    rng_init(&f->rng, test_seed(50 + kind));
    assert_ok(shadow_room_create(f->alloc, 64 << 20, &f->room, &err), &err);
    assert_ok(column_cache_create(f->alloc, 1 << 20, &f->fields, &err), &err);
    test_view_init(&f->rows, f->alloc, DIM, (uint8_t)metric);
    for (uint64_t part = 0; part < PARTS; part++) {
        test_view_open_part(&f->rows, PART_ROWS + 600);
        for (uint64_t i = 0; i < PART_ROWS; i++) {
            put_row(f, kind, part * PART_ROWS + i);
            if (i % 11 == 4) test_view_remove(&f->rows, id_of_number(part * PART_ROWS + i));
        }
    }
    f->view = test_view_take(&f->rows);
    for (uint64_t q = 0; q < QUERIES; q++)
        for (int i = 0; i < DIM; i++)
            f->queries[q * DIM + (uint64_t)i] = draw(&f->rng, kind, 2 * q + 11, i);
}

static void tear_down(struct fixture *f)
{
    view_release(f->view);
    test_view_deinit(&f->rows);
    shadow_room_destroy(f->room);
    column_cache_destroy(f->fields);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    alloc_destroy(f->alloc);
}

static struct search_request top(const struct fixture *f, size_t query_count, size_t k)
{
    return (struct search_request){.vectors = f->queries,
                                   .query_count = query_count,
                                   .dim = DIM,
                                   .k = k,
                                   .fields = f->fields,
                                   .shadows = f->room};
}

static bool is_small(const struct view *v, size_t part, uint32_t row)
{
    struct record_id id;
    assert_int_equal(segment_id(v->parts[part].segment, row, &id, NULL), 0);
    return id.number % 10 < 3;
}

/* In short steps. */
static void search_in_steps(struct fixture *f, const struct search_request *request,
                            struct result *out)
{
    struct error err = {0};
    struct search *s;
    assert_ok(search_create(f->alloc, view_acquire(f->view), request, clock_system(), &s, &err),
              &err);
    while (search_advance(s, 0, 1) == SEARCH_MORE) continue;
    assert_ok(search_finish(s, out, &err), &err);
    search_destroy(s);
}

static void check(struct fixture *f, const struct search_request *request, row_wanted_fn *wanted)
{
    struct result got;
    search_once(f->alloc, f->view, request, &got);
    assert_is_filtered_answer(f->view, request, wanted, &got);
    result_deinit(&got);
    search_in_steps(f, request, &got);
    assert_is_filtered_answer(f->view, request, wanted, &got);
    result_deinit(&got);
}

static void check_kind(struct fixture *f)
{
    const size_t ks[] = {1, 10, 200, PARTS * PART_ROWS};
    for (size_t i = 0; i < 4; i++) {
        struct search_request one = top(f, 1, ks[i]), batch = top(f, QUERIES, ks[i]);
        check(f, &one, NULL);
        check(f, &batch, NULL);
        batch.where = slice_of_text("n < 3");
        check(f, &batch, is_small);
    }
    struct result got;
    struct search_request nearest = top(f, 1, 60), range = top(f, QUERIES, 1);
    search_once(f->alloc, f->view, &nearest, &got);
    range.is_range = true;
    range.threshold = got.scores[got.count - 1];
    result_deinit(&got);
    if (!isfinite(range.threshold)) return;
    for (range.max_results = 20; range.max_results <= 100; range.max_results += 80)
        check(f, &range, NULL);
}

/* Every kind of rows with every metric; where that takes long a third of the pairs, so that each
 * kind and each metric has its turn. */
static void answers_are_those_of_brute_force(void **state)
{
    const unsigned step = test_stride() > 1 ? 3 : 1;
    (void)state;
    struct fixture f;
    for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
        bool is_told_of = metric_find(metric)->value != METRIC_VALUE_MEASURE;
        if (!metric_takes_any(metric)) continue;
        for (unsigned kind = metric % step; kind < KIND_COUNT; kind += step) {
            set_up(&f, (enum kind)kind, metric);
            assert_int_equal(shadow_room_bytes(f.room), 0);
            check_kind(&f);
            /* Of constant rows no more is made than shows that it is in vain. */
            bool is_made = is_told_of && kernels_active()->level > SIMD_SERIAL;
            assert_true(is_made == (shadow_room_bytes(f.room) > 0));
            tear_down(&f);
        }
    }
}

/* A part that grows between searches, and an older view of it. */
static void rows_that_come_later_are_found(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, NORMAL, METRIC_L2);
    struct view *older = view_acquire(f.view);
    struct search_request one = top(&f, 1, 10);
    for (uint64_t number = 100000; number < 100600; number++) {
        put_row(&f, NORMAL, number);
        if (number % 37 != 0) continue;
        view_release(f.view);
        f.view = test_view_take(&f.rows);
        check(&f, &one, NULL);
    }
    struct view *newest = f.view;
    f.view = older;
    check(&f, &one, NULL);
    f.view = newest;
    view_release(older);
    tear_down(&f);
}

/* What a search may cost decides whether it is shared out. */
static void a_shadow_makes_a_search_cheaper(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    uint64_t cost_us[2];
    float many[200 * DIM];
    if (kernels_active()->level == SIMD_SERIAL) skip_because("serial kernels read no shadow");
    set_up(&f, NORMAL, METRIC_L2);
    for (size_t i = 0; i < 200 * DIM; i++) many[i] = rng_normal(&f.rng);
    struct search_request request = top(&f, 200, 10);
    request.vectors = many;
    for (int i = 0; i < 2; i++) {
        struct search *s;
        struct result got;
        assert_ok(search_create(f.alloc, view_acquire(f.view), &request, clock_system(), &s, &err),
                  &err);
        cost_us[i] = search_cost_us(s);
        assert_int_equal(search_advance(s, 0, 0), SEARCH_DONE);
        assert_ok(search_finish(s, &got, &err), &err);
        result_deinit(&got);
        search_destroy(s);
    }
    /* With tiny limits a search makes a few rows of it only. */
    assert_true(cost_us[1] * (SHADOW_ROWS_MIN > 100 ? 3 : 1) <= cost_us[0]);
    assert_true(cost_us[1] < cost_us[0]);
    tear_down(&f);
}

struct slice_run {
    struct thread thread;
    struct search *search;
    size_t slice;
};

static void advance_slice(void *ctx)
{
    struct slice_run *r = (struct slice_run *)ctx;
    assert_int_equal(search_advance(r->search, r->slice, 0), SEARCH_DONE);
}

/* Several searches at once over one shadow that none has made yet. */
static void searches_share_shadows(void **state)
{
    (void)state;
    for (int round = 0; round < test_rounds(15); round++) {
        struct fixture f;
        struct slice_run runs[SLICES];
        struct error err = {0};
        set_up(&f, CLUSTERED, METRIC_COSINE);
        for (size_t i = 0; i < SLICES; i++) {
            struct search_request request = top(&f, 1 + i, 10);
            runs[i] = (struct slice_run){.slice = 0};
            assert_ok(search_create(f.alloc, view_acquire(f.view), &request, clock_system(),
                                    &runs[i].search, &err),
                      &err);
            assert_ok(thread_start(&runs[i].thread, "slice", advance_slice, &runs[i], &err), &err);
        }
        for (size_t i = 0; i < SLICES; i++) {
            struct search_request request = top(&f, 1 + i, 10);
            struct result got;
            thread_join(&runs[i].thread);
            assert_ok(search_finish(runs[i].search, &got, &err), &err);
            assert_is_answer(f.view, &request, &got);
            result_deinit(&got);
            search_destroy(runs[i].search);
        }
        tear_down(&f);
    }
}

/* Whatever allocation fails: an error, or the answer. */
static void running_out_of_memory_costs_the_shadow_alone(void **state)
{
    (void)state;
    struct fixture f;
    bool was_failed = true;
    for (uint64_t n = 1; was_failed; n = test_sweep_next(n)) {
        for (int sticky = 0; sticky < 2; sticky++) {
            struct error err = {0};
            struct search *s;
            struct result got;
            set_up(&f, NORMAL, METRIC_IP);
            struct search_request request = top(&f, 2, 10);
            uint64_t before = alloc_count(f.alloc);
            alloc_fail_after(f.alloc, n, sticky);
            int rc =
                search_create(f.alloc, view_acquire(f.view), &request, clock_system(), &s, &err);
            if (rc == 0) {
                assert_int_equal(search_advance(s, 0, 0), SEARCH_DONE);
                rc = search_finish(s, &got, &err);
                search_destroy(s);
            }
            was_failed = alloc_count(f.alloc) - before >= n;
            alloc_fail_after(f.alloc, 0, false);
            if (rc != 0) assert_fails(rc, &err, LYNSE_NO_MEMORY);
            if (rc == 0) assert_is_answer(f.view, &request, &got);
            if (rc == 0) result_deinit(&got);
            tear_down(&f);
        }
        assert_true(n < 1000);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(answers_are_those_of_brute_force),
    cmocka_unit_test(rows_that_come_later_are_found),
    cmocka_unit_test(a_shadow_makes_a_search_cheaper),
    cmocka_unit_test(searches_share_shadows),
    cmocka_unit_test(running_out_of_memory_costs_the_shadow_alone),
};

TEST_MAIN(tests)
