/* SPDX-License-Identifier: Apache-2.0 */
/* What a search refuses, and that the refusal names the field, the value and the limit. */
#include <math.h>

#include "base/limits.h"
#include "query/search.h"
#include "simd/metrics.h"
#include "support/test.h"

enum { DIM = 4 };

static const float vectors[2 * DIM] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct search_request good_request(void)
{
    return (struct search_request){
        .vectors = vectors, .query_count = 2, .dim = DIM, .k = 10, .max_results = 10};
}

/* The code of search_create over an empty view of DIM floats; *out_err its error. */
static int try_search(const struct search_request *request, uint8_t metric, struct error *out_err)
{
    struct alloc *a = alloc_create(NULL, 0);
    struct view *v;
    struct search *s;
    assert_ok(view_create(a, 0, &v, out_err), out_err);
    v->dim = DIM;
    v->metric = metric;
    *out_err = (struct error){0};
    if (search_create(a, v, request, clock_system(), &s, out_err) == 0) search_destroy(s);
    assert_int_equal(alloc_used_bytes(a), 0); /* the view was taken in both cases */
    alloc_destroy(a);
    return out_err->code;
}

static void expect_refusal(const struct search_request *request, int code, const char *part,
                           const char *other_part)
{
    struct error err = {0};
    assert_int_equal(try_search(request, METRIC_IP, &err), code);
    if (!strstr(err.text, part) || !strstr(err.text, other_part))
        fail_msg("'%s' does not name '%s' and '%s'", err.text, part, other_part);
}

static void a_good_request_passes(void **state)
{
    (void)state;
    struct error err = {0};
    struct search_request r = good_request();
    assert_int_equal(try_search(&r, METRIC_IP, &err), LYNSE_OK);
    r.k = LIMIT_K;
    assert_int_equal(try_search(&r, METRIC_COSINE, &err), LYNSE_OK);
    r.is_range = true;
    r.k = 0; /* of no interest */
    r.threshold = -INFINITY;
    assert_int_equal(try_search(&r, METRIC_L2, &err), LYNSE_OK);
}

static void counts_have_limits(void **state)
{
    (void)state;
    struct search_request r = good_request();
    r.k = 0;
    expect_refusal(&r, LYNSE_INVALID, "k is 0", "at least 1");
    r.k = LIMIT_K + 1;
    expect_refusal(&r, LYNSE_LIMIT, "k is 100001", "100000");
    r = good_request();
    r.is_range = true;
    r.max_results = 0;
    expect_refusal(&r, LYNSE_INVALID, "max_results is 0", "at least 1");
    r.max_results = LIMIT_K + 1;
    expect_refusal(&r, LYNSE_LIMIT, "max_results is 100001", "100000");
    r = good_request();
    r.query_count = 0;
    expect_refusal(&r, LYNSE_INVALID, "query_count is 0", "at least 1");
    r.query_count = LIMIT_QUERIES + 1;
    expect_refusal(&r, LYNSE_LIMIT, "query_count is 10001", "10000");
}

static void what_an_index_is_asked_for_has_limits(void **state)
{
    (void)state;
    struct error err = {0};
    struct search_request r = good_request();
    r.options = (struct index_options){.effort = INDEX_EFFORT_MAX, .oversample = 1000};
    assert_int_equal(try_search(&r, METRIC_IP, &err), LYNSE_OK);
    r.options = (struct index_options){.effort = 1, .oversample = 1};
    assert_int_equal(try_search(&r, METRIC_IP, &err), LYNSE_OK);
    r.options = (struct index_options){.effort = INDEX_EFFORT_MAX + 1};
    expect_refusal(&r, LYNSE_LIMIT, "effort is 1048577", "1 to 1048576");
    const float bad[] = {NAN, INFINITY, -1, 0.5f, 1000.5f};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        r.options = (struct index_options){.oversample = bad[i]};
        expect_refusal(&r, LYNSE_LIMIT, "oversample", "1 to 1000");
    }
}

static void the_dimension_is_the_collections(void **state)
{
    (void)state;
    struct search_request r = good_request();
    r.dim = DIM - 1;
    expect_refusal(&r, LYNSE_DIMENSION, "3", "4");
    r.dim = 0;
    expect_refusal(&r, LYNSE_INVALID, "dim is 0", "at least 1");
    r.dim = LIMIT_DIM + 1;
    expect_refusal(&r, LYNSE_LIMIT, "dim is 32769", "32768");
}

static void components_are_finite(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        float with_bad[2 * DIM];
        struct search_request r = good_request();
        memcpy(with_bad, vectors, sizeof with_bad);
        with_bad[DIM + 3] = bad[i];
        r.vectors = with_bad;
        expect_refusal(&r, LYNSE_INVALID, "component 3 of query 1", "finite");
    }
}

static void a_threshold_is_a_number(void **state)
{
    (void)state;
    struct search_request r = good_request();
    r.threshold = NAN; /* of no interest */
    struct error err = {0};
    assert_int_equal(try_search(&r, METRIC_IP, &err), LYNSE_OK);
    r.is_range = true;
    expect_refusal(&r, LYNSE_INVALID, "threshold", "NaN");
}

static void an_unknown_metric_is_refused(void **state)
{
    (void)state;
    struct error err = {0};
    struct search_request r = good_request();
    assert_int_equal(try_search(&r, 77, &err), LYNSE_UNSUPPORTED);
    assert_non_null(strstr(err.text, "77"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_good_request_passes),
    cmocka_unit_test(counts_have_limits),
    cmocka_unit_test(what_an_index_is_asked_for_has_limits),
    cmocka_unit_test(the_dimension_is_the_collections),
    cmocka_unit_test(components_are_finite),
    cmocka_unit_test(a_threshold_is_a_number),
    cmocka_unit_test(an_unknown_metric_is_refused),
};
TEST_MAIN(tests)
