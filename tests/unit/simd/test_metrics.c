/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>

#include "simd/metrics.h"

static const struct metric_info *find(const char *name)
{
    return metric_find_name(name, strlen(name));
}

static void test_numbers_are_those_of_the_file_format(void **state)
{
    (void)state;
    assert_int_equal(METRIC_IP, 1);
    assert_int_equal(METRIC_L2, 2);
    assert_int_equal(METRIC_COSINE, 3);
}

static void test_every_name_and_alias_finds_its_metric(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum metric metric;
    } names[] = {
        {"l2", METRIC_L2},
        {"l2sq", METRIC_L2},
        {"l2_squared", METRIC_L2},
        {"euclidean", METRIC_L2},
        {"ip", METRIC_IP},
        {"inner_product", METRIC_IP},
        {"inner", METRIC_IP},
        {"dot", METRIC_IP},
        {"cosine", METRIC_COSINE},
        {"cos", METRIC_COSINE},
        {"IP", METRIC_IP},
        {"Cosine", METRIC_COSINE},
        {"cosine_distance", METRIC_COSINE},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct metric_info *info = find(names[i].name);
        assert_non_null(info);
        assert_int_equal(info->metric, names[i].metric);
    }
}

static void test_other_names_and_numbers_find_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"",    " ",       "l",    "l2 ",      "l2sq l2_squared",
                                        "i p", "cosines", "l2\n", "distance", "dot inner"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) assert_null(find(names[i]));
    assert_null(metric_find_name("ip", 1));
    assert_int_equal(metric_find_name("ip_and_more", 2)->metric, METRIC_IP);
    assert_null(metric_find(0));
    assert_null(metric_find(4));
    assert_null(metric_find(UINT32_MAX));
}

static void test_list_has_each_metric_once(void **state)
{
    (void)state;
    size_t count;
    const struct metric_info *list = metric_list(&count);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(metric_find((unsigned)list[i].metric), &list[i]);
        assert_ptr_equal(find(list[i].name), &list[i]);
        assert_int_equal(list[i].order,
                         list[i].metric == METRIC_IP ? NEARER_IS_LARGER : NEARER_IS_SMALLER);
        assert_int_equal(list[i].needs_norm, list[i].metric == METRIC_COSINE);
    }
}

static void test_cosine_distance_of_known_angles(void **state)
{
    (void)state;
    assert_true(metric_cosine_distance(6, 2, 3) == 0);
    assert_true(metric_cosine_distance(0, 2, 3) == 1);
    assert_true(metric_cosine_distance(-6, 2, 3) == 2);
    assert_true(metric_cosine_distance(3, 2, 3) == 0.5f);
}

static void test_cosine_distance_of_a_zero_vector_is_one(void **state)
{
    (void)state;
    assert_true(metric_cosine_distance(0, 0, 3) == 1);
    assert_true(metric_cosine_distance(0, 3, 0) == 1);
    assert_true(metric_cosine_distance(0, 0, 0) == 1);
}

static void test_cosine_distance_stays_in_its_range(void **state)
{
    (void)state;
    /* Rounding of the norms may push the quotient past 1. */
    assert_true(metric_cosine_distance(1.0000002f, 1, 1) == 0);
    assert_true(metric_cosine_distance(-1.0000002f, 1, 1) == 2);
    /* Neither product of norms fits a float. */
    assert_true(metric_cosine_distance(1e38f, 2e19f, 1e19f) == 0.5f);
    assert_true(fabsf(metric_cosine_distance(1e38f, 1e30f, 1e30f) - 1) < 1e-6f);
    assert_true(metric_cosine_distance(0, 1e-30f, 1e-30f) == 1);
    assert_true(isnan(metric_cosine_distance(NAN, 1, 1)));
    assert_true(isnan(metric_cosine_distance(INFINITY, INFINITY, 1)));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_numbers_are_those_of_the_file_format),
    cmocka_unit_test(test_every_name_and_alias_finds_its_metric),
    cmocka_unit_test(test_other_names_and_numbers_find_nothing),
    cmocka_unit_test(test_list_has_each_metric_once),
    cmocka_unit_test(test_cosine_distance_of_known_angles),
    cmocka_unit_test(test_cosine_distance_of_a_zero_vector_is_one),
    cmocka_unit_test(test_cosine_distance_stays_in_its_range),
};

TEST_MAIN(tests)
