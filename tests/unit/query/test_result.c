/* SPDX-License-Identifier: Apache-2.0 */
/* Results whose size is known before a row is there. */
#include "query/result.h"
#include "simd/metrics.h"
#include "support/test.h"
#include "support/test_view.h"

static void a_size_that_cannot_be_is_too_large(void **state)
{
    (void)state;
    struct error err = {0};
    struct alloc *a = alloc_create(NULL, 0);
    struct view *v;
    struct result r;
    assert_ok(view_create(a, 0, &v, &err), &err);
    v->dim = 32768;
    assert_fails(result_init(&r, a, v, SIZE_MAX / 1000, 1, RESULT_VECTORS, &err), &err,
                 LYNSE_TOO_LARGE);
    assert_fails(result_init(&r, a, v, SIZE_MAX / 16, 1, 0, &err), &err, LYNSE_TOO_LARGE);
    assert_fails(result_init(&r, a, v, 1, SIZE_MAX / 4, 0, &err), &err, LYNSE_TOO_LARGE);
    result_deinit(&r);
    view_release(v);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static void a_budget_bounds_a_result(void **state)
{
    (void)state;
    struct error err = {0};
    struct alloc *a = alloc_create(NULL, 1 << 20);
    struct view *v;
    struct result r;
    assert_ok(view_create(a, 0, &v, &err), &err);
    v->dim = 1024;
    assert_fails(result_init(&r, a, v, 1000, 1, RESULT_VECTORS, &err), &err, LYNSE_NO_MEMORY);
    result_deinit(&r);
    view_release(v);
    alloc_destroy(a);
}

static void only_the_wanted_columns_are_there(void **state)
{
    (void)state;
    struct error err = {0};
    struct result r;
    struct test_view rows;
    const float vector[3] = {1, 2, 3};
    struct alloc *a = alloc_create(NULL, 0);
    test_view_init(&rows, a, 3, METRIC_IP);
    test_view_open_part(&rows, 4);
    test_view_put(&rows, id_of_number(9), vector, slice_of(NULL, 0));
    struct view *v = test_view_take(&rows);
    for (unsigned columns = 0; columns < 8; columns++) {
        assert_ok(result_init(&r, a, v, 1, 2, columns, &err), &err);
        assert_int_equal(r.scores != NULL, (columns & RESULT_SCORES) != 0);
        assert_int_equal(r.documents != NULL, (columns & RESULT_DOCUMENTS) != 0);
        assert_int_equal(r.vectors != NULL, (columns & RESULT_VECTORS) != 0);
        result_end_query(&r);
        assert_ok(result_add(&r, v, 0, 0, 0.5f, &err), &err);
        result_end_query(&r);
        assert_int_equal(r.query_ends[0], 0);
        assert_int_equal(r.query_ends[1], 1);
        assert_true(r.ids[0].number == 9 && r.dim == 3 && r.metric == METRIC_IP);
        if (r.scores) assert_true(r.scores[0] == 0.5f);
        if (r.vectors) assert_memory_equal(r.vectors, vector, sizeof vector);
        result_deinit(&r);
    }
    view_release(v);
    test_view_deinit(&rows);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_size_that_cannot_be_is_too_large),
    cmocka_unit_test(a_budget_bounds_a_result),
    cmocka_unit_test(only_the_wanted_columns_are_there),
};
TEST_MAIN(tests)
