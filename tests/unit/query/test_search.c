/* SPDX-License-Identifier: Apache-2.0 */
/* What a search answers, against brute force by the same kernel: exactly that (P7, P8). */
#include <math.h>

#include "base/limits.h"
#include "base/rng.h"
#include "simd/metrics.h"
#include "support/brute_force.h"
#include "support/metric_distance.h"
#include "support/test.h"
#include "support/test_view.h"

enum { DIM_MAX = 70, QUERIES_MAX = 40 };

struct fixture {
    struct alloc *alloc;
    struct rng rng;
    struct test_view rows;
    struct view *view;
    float queries[QUERIES_MAX * DIM_MAX];
};

/* Coarse components, so that many distances are equal, and some vectors, and some are zero. */
static void make_vector(struct rng *r, unsigned metric, uint32_t dim, bool is_coarse, float *out)
{
    for (uint32_t i = 0; i < dim; i++)
        out[i] = is_coarse ? (float)rng_below(r, 3) - 1 : rng_normal(r);
    assert_true(metric_fit(metric, out, dim));
}

/* Every second id is text, 7 and "7" among them. */
static struct record_id make_id(uint64_t number, char text[24])
{
    if (number % 2 != 0) return id_of_number(number / 2);
    snprintf(text, 24, "%llu", (unsigned long long)number / 2);
    return id_of_text(slice_of_text(text));
}

/* Several parts, one of them empty, with rows that were replaced or removed. */
static void set_up(struct fixture *f, uint32_t dim, uint8_t metric, size_t row_count,
                   bool is_coarse)
{
    float vector[DIM_MAX];
    char text[24];
    f->alloc = alloc_create(NULL, 0);
    assert_non_null(f->alloc);
    test_view_init(&f->rows, f->alloc, dim, metric);
    for (size_t part = 0; part < 4; part++) {
        test_view_open_part(&f->rows, (uint32_t)row_count + 1);
        if (part == 2) continue;
        for (size_t i = 0; i < row_count; i++) {
            make_vector(&f->rng, metric, dim, is_coarse, vector);
            struct record_id id = make_id(rng_below(&f->rng, 4 * row_count), text);
            test_view_put(&f->rows, id, vector, slice_of(NULL, 0));
            if (rng_chance(&f->rng, 0.1)) test_view_remove(&f->rows, id);
        }
    }
    f->view = test_view_take(&f->rows);
    for (size_t i = 0; i < QUERIES_MAX; i++)
        make_vector(&f->rng, metric, dim, is_coarse, f->queries + i * dim);
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
        .vectors = f->queries, .query_count = query_count, .dim = f->rows.dim, .k = k};
}

static struct search_request range_request(const struct fixture *f, size_t query_count,
                                           float threshold, size_t max_results)
{
    return (struct search_request){.vectors = f->queries,
                                   .query_count = query_count,
                                   .dim = f->rows.dim,
                                   .is_range = true,
                                   .threshold = threshold,
                                   .max_results = max_results};
}

static void check_answer(struct fixture *f, const struct search_request *request)
{
    struct result got;
    search_once(f->alloc, f->view, request, &got);
    assert_is_answer(f->view, request, &got);
    result_deinit(&got);
}

static void for_every_metric(struct fixture *f, uint32_t dim, size_t row_count, bool is_coarse,
                             void (*check)(struct fixture *f))
{
    for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
        if (metric_find(metric)->input == METRIC_INPUT_LONLAT && dim != 2) continue;
        set_up(f, dim, (uint8_t)metric, row_count, is_coarse);
        check(f);
        tear_down(f);
    }
}

static void check_tops(struct fixture *f)
{
    const size_t ks[] = {1, 2, 10, 100, 1000, LIMIT_K};
    for (size_t i = 0; i < sizeof ks / sizeof ks[0]; i++) {
        struct search_request one = top_request(f, 1, ks[i]);
        check_answer(f, &one);
        struct search_request several = top_request(f, 5, ks[i]);
        check_answer(f, &several);
    }
}

static void the_nearest_are_those_of_brute_force(void **state)
{
    (void)state;
    struct fixture f;
    rng_init(&f.rng, test_seed(1));
    for_every_metric(&f, 7, 700, false, check_tops);
    for_every_metric(&f, 70, 130, false, check_tops);
}

static void ties_go_by_id(void **state)
{
    (void)state;
    struct fixture f;
    rng_init(&f.rng, test_seed(2));
    for_every_metric(&f, 2, 500, true, check_tops);
    for_every_metric(&f, 1, 60, true, check_tops);
}

static void check_ranges(struct fixture *f)
{
    const float thresholds[] = {-INFINITY, -3, -1, -0.0f, 0, 0.25f, 1, 2, 3, INFINITY};
    const size_t maxima[] = {1, 7, LIMIT_K};
    for (size_t i = 0; i < sizeof thresholds / sizeof thresholds[0]; i++) {
        for (size_t m = 0; m < sizeof maxima / sizeof maxima[0]; m++) {
            struct search_request one = range_request(f, 1, thresholds[i], maxima[m]);
            check_answer(f, &one);
            struct search_request several = range_request(f, 3, thresholds[i], maxima[m]);
            check_answer(f, &several);
        }
    }
}

static void a_range_is_that_of_brute_force(void **state)
{
    (void)state;
    struct fixture f;
    rng_init(&f.rng, test_seed(3));
    for_every_metric(&f, 3, 400, true, check_ranges);
    for_every_metric(&f, 5, 400, false, check_ranges);
}

static void check_batches(struct fixture *f)
{
    struct search_request batch = top_request(f, QUERIES_MAX, 20);
    struct result all, one;
    size_t at = 0;
    search_once(f->alloc, f->view, &batch, &all);
    for (size_t q = 0; q < QUERIES_MAX; q++) {
        struct search_request single = top_request(f, 1, 20);
        single.vectors += q * f->rows.dim;
        search_once(f->alloc, f->view, &single, &one);
        assert_int_equal(all.query_ends[q] - at, one.count);
        for (size_t i = 0; i < one.count; i++, at++) {
            assert_true(id_equal(&all.ids[at], &one.ids[i]));
            assert_memory_equal(&all.scores[at], &one.scores[i], sizeof(float));
        }
        result_deinit(&one);
    }
    result_deinit(&all);
}

static void a_batch_is_its_single_searches(void **state)
{
    (void)state;
    struct fixture f;
    rng_init(&f.rng, test_seed(4));
    for_every_metric(&f, 11, 1500, false, check_batches);
    for_every_metric(&f, 2, 300, true, check_batches);
}

static void check_prefixes(struct fixture *f)
{
    struct result less = {0}, more;
    for (size_t k = 1; k < 60; k++) {
        struct search_request request = top_request(f, 1, k);
        search_once(f->alloc, f->view, &request, &more);
        assert_true(more.count >= less.count && more.count <= k);
        for (size_t i = 0; i < less.count; i++) {
            assert_true(id_equal(&less.ids[i], &more.ids[i]));
            assert_memory_equal(&less.scores[i], &more.scores[i], sizeof(float));
        }
        result_deinit(&less);
        less = more;
    }
    result_deinit(&less);
}

static void a_larger_k_only_adds(void **state)
{
    (void)state;
    struct fixture f;
    rng_init(&f.rng, test_seed(5));
    for_every_metric(&f, 2, 200, true, check_prefixes);
}

static void a_zero_vector_has_cosine_distance_one(void **state)
{
    (void)state;
    struct fixture f;
    float zero[2] = {0}, query[2] = {1, 2}, against[2] = {-1, -2};
    f.alloc = alloc_create(NULL, 0);
    test_view_init(&f.rows, f.alloc, 2, METRIC_COSINE);
    test_view_open_part(&f.rows, 8);
    test_view_put(&f.rows, id_of_number(1), zero, slice_of(NULL, 0));
    test_view_put(&f.rows, id_of_number(2), against, slice_of(NULL, 0));
    test_view_put(&f.rows, id_of_number(3), query, slice_of(NULL, 0));
    f.view = test_view_take(&f.rows);
    memcpy(f.queries, query, sizeof query);
    memcpy(f.queries + 2, zero, sizeof zero);
    struct search_request request = top_request(&f, 2, 3);
    struct result got;
    search_once(f.alloc, f.view, &request, &got);
    const uint64_t ids[] = {3, 1, 2, 1, 2, 3};
    const float scores[] = {0, 1, 2, 1, 1, 1};
    assert_int_equal(got.count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_true(got.ids[i].number == ids[i]);
        assert_true(fabsf(got.scores[i] - scores[i]) < 1e-6f);
    }
    result_deinit(&got);
    tear_down(&f);
}

/* The sum of products overflows to infinities of both signs: NaN; the rows are there all the same,
 * and last. */
static void a_row_whose_score_overflows_is_still_found(void **state)
{
    (void)state;
    for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
        if (!metric_takes_any(metric)) continue;
        struct fixture f;
        f.alloc = alloc_create(NULL, 0);
        test_view_init(&f.rows, f.alloc, 32, (uint8_t)metric);
        test_view_open_part(&f.rows, 8);
        float vector[32] = {0}, small[32] = {1};
        for (size_t i = 0; i < 32; i++) vector[i] = i < 16 ? 3e38f : -3e38f;
        test_view_put(&f.rows, id_of_number(1), vector, slice_of(NULL, 0));
        test_view_put(&f.rows, id_of_number(2), small, slice_of(NULL, 0));
        f.view = test_view_take(&f.rows);
        for (size_t i = 0; i < 32; i++) f.queries[i] = 3e38f;
        struct search_request request = top_request(&f, 1, 2);
        check_answer(&f, &request);
        struct result got;
        search_once(f.alloc, f.view, &request, &got);
        assert_int_equal(got.count, 2);
        result_deinit(&got);
        tear_down(&f);
    }
}

static void nothing_alive_is_an_empty_answer(void **state)
{
    (void)state;
    struct fixture f;
    float vector[3] = {1, 2, 3};
    f.alloc = alloc_create(NULL, 0);
    test_view_init(&f.rows, f.alloc, 3, METRIC_L2);
    memset(f.queries, 0, sizeof f.queries);
    struct search_request request = top_request(&f, 2, 5);

    f.view = test_view_take(&f.rows); /* no part */
    check_answer(&f, &request);
    view_release(f.view);

    test_view_open_part(&f.rows, 4);
    f.view = test_view_take(&f.rows); /* no row */
    check_answer(&f, &request);
    view_release(f.view);

    test_view_put(&f.rows, id_of_number(1), vector, slice_of(NULL, 0));
    test_view_remove(&f.rows, id_of_number(1));
    f.view = test_view_take(&f.rows); /* none that lives */
    check_answer(&f, &request);
    tear_down(&f);
}

static void a_view_without_dimension_is_an_empty_answer(void **state)
{
    (void)state;
    struct error err = {0};
    struct alloc *a = alloc_create(NULL, 0);
    struct view *v;
    struct search *s;
    struct result got;
    float query[9] = {0};
    struct search_request request = {.vectors = query, .query_count = 1, .dim = 9, .k = 5};
    assert_ok(view_create(a, 0, &v, &err), &err);
    assert_ok(search_create(a, v, &request, clock_system(), &s, &err), &err);
    assert_int_equal(search_split(s, 4, &err), 1);
    assert_true(search_cost_us(s) == 0);
    assert_int_equal(search_advance(s, 0, 1), SEARCH_DONE);
    assert_null(search_error(s));
    assert_ok(search_finish(s, &got, &err), &err);
    assert_int_equal(got.count, 0);
    assert_int_equal(got.query_ends[0], 0);
    result_deinit(&got);
    search_destroy(s);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

/* The view that a search was given is all it sees, and the view may go before the result. */
static void later_writes_are_not_seen(void **state)
{
    (void)state;
    struct fixture f;
    rng_init(&f.rng, test_seed(6));
    set_up(&f, 4, METRIC_L2, 100, false);
    struct search_request request = top_request(&f, 1, LIMIT_K);
    struct result before, after;
    search_once(f.alloc, f.view, &request, &before);
    test_view_put(&f.rows, id_of_number(1000000), f.queries, slice_of(NULL, 0));
    test_view_remove(&f.rows, before.ids[0]);
    search_once(f.alloc, f.view, &request, &after);
    assert_same_result(&before, &after);
    result_deinit(&before);
    result_deinit(&after);
    tear_down(&f);
}

static void documents_and_vectors_come_along(void **state)
{
    (void)state;
    struct fixture f;
    const float vectors[3][2] = {{0, 0}, {1, 0}, {2, 0}};
    const uint8_t document[] = {0x81, 0xa1, 'a', 1};
    f.alloc = alloc_create(NULL, 0);
    test_view_init(&f.rows, f.alloc, 2, METRIC_L2);
    test_view_open_part(&f.rows, 8);
    test_view_put(&f.rows, id_of_number(1), vectors[2], slice_of(NULL, 0));
    test_view_put(&f.rows, id_of_text(slice_of_text("one")), vectors[1],
                  slice_of(document, sizeof document));
    f.view = test_view_take(&f.rows);
    f.queries[0] = f.queries[1] = 0;
    struct search_request request = top_request(&f, 1, 2);
    struct result got;
    request.columns = RESULT_DOCUMENTS | RESULT_VECTORS;
    search_once(f.alloc, f.view, &request, &got);
    view_release(f.view);
    test_view_deinit(&f.rows); /* the result owns all it points to */
    assert_true(got.ids[0].is_text && got.ids[0].text.size == 3);
    assert_memory_equal(got.ids[0].text.data, "one", 3);
    assert_int_equal(got.documents[0].size, sizeof document);
    assert_memory_equal(got.documents[0].data, document, sizeof document);
    assert_int_equal(got.documents[1].size, 0);
    assert_memory_equal(got.vectors, vectors[1], sizeof vectors[1]);
    assert_memory_equal(got.vectors + 2, vectors[2], sizeof vectors[2]);
    assert_true(got.scores[0] == 1 && got.scores[1] == 4);
    result_deinit(&got);

    assert_int_equal(alloc_used_bytes(f.alloc), 0);
    alloc_destroy(f.alloc);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_nearest_are_those_of_brute_force),
    cmocka_unit_test(ties_go_by_id),
    cmocka_unit_test(a_range_is_that_of_brute_force),
    cmocka_unit_test(a_batch_is_its_single_searches),
    cmocka_unit_test(a_larger_k_only_adds),
    cmocka_unit_test(a_zero_vector_has_cosine_distance_one),
    cmocka_unit_test(a_row_whose_score_overflows_is_still_found),
    cmocka_unit_test(nothing_alive_is_an_empty_answer),
    cmocka_unit_test(a_view_without_dimension_is_an_empty_answer),
    cmocka_unit_test(later_writes_are_not_seen),
    cmocka_unit_test(documents_and_vectors_come_along),
};
TEST_MAIN(tests)
