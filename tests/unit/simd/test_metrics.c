/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <ctype.h>
#include <math.h>

#include "simd/metrics.h"

static void test_numbers_are_those_of_the_file_format(void **state)
{
    (void)state;
    assert_int_equal(METRIC_IP, 1);
    assert_int_equal(METRIC_L2, 2);
    assert_int_equal(METRIC_COSINE, 3);
    assert_int_equal(METRIC_L1, 4);
    assert_int_equal(METRIC_CHEBYSHEV, 5);
    assert_int_equal(METRIC_CANBERRA, 6);
    assert_int_equal(METRIC_BRAY_CURTIS, 7);
    assert_int_equal(METRIC_HAMMING, 8);
    assert_int_equal(METRIC_JACCARD, 9);
    assert_int_equal(METRIC_DICE, 10);
    assert_int_equal(METRIC_HAVERSINE, 11);
    assert_int_equal(METRIC_CORRELATION, 12);
    assert_int_equal(METRIC_HELLINGER, 13);
    assert_int_equal(METRIC_WASSERSTEIN, 14);
    assert_int_equal(METRIC_JENSEN_SHANNON, 15);
}

static const struct metric_info *find_mode(const char *word)
{
    return metric_find_mode(word, strlen(word));
}

static void test_names_are_found_with_the_other_ones(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum metric metric;
    } names[] = {{"ip", METRIC_IP},
                 {"inner_product", METRIC_IP},
                 {"Euclidean", METRIC_L2},
                 {"COSINE", METRIC_COSINE},
                 {"cityblock", METRIC_L1},
                 {"js", METRIC_JENSEN_SHANNON},
                 {"tanimoto", METRIC_JACCARD},
                 {"linf", METRIC_CHEBYSHEV},
                 {"geo", METRIC_HAVERSINE}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(metric_find_name(names[i].name, strlen(names[i].name))->metric,
                         names[i].metric);
    assert_null(metric_find_name("", 0));
    assert_null(metric_find_name("inner product", 13));
    for (unsigned i = 1; i <= METRIC_MAX; i++) {
        const struct metric_info *info = metric_find(i);
        assert_ptr_equal(metric_find_name(info->name, strlen(info->name)), info);
    }
}

static const char *refusal(enum metric metric, const float *vectors, size_t count, uint32_t dim)
{
    static struct error err;
    err = (struct error){0};
    if (metric_check_dim(metric_find(metric), dim, &err) != 0) return err.text;
    if (metric_check_vectors(metric_find(metric), vectors, count, dim, "row", &err) == 0) return "";
    assert_int_equal(err.code, LYNSE_INVALID);
    return err.text;
}

static void test_vectors_that_cannot_be_measured_are_named(void **state)
{
    (void)state;
    const float places[] = {-180, 90, 180, -90, 0, 90.01f}, masses[] = {0, 3, 0, 0, 2, -0.5f};
    const float large[] = {1e30f, 1e30f}, small[] = {1e-31f, 0};
    assert_string_equal(refusal(METRIC_HAVERSINE, places, 2, 2), "");
    assert_non_null(
        strstr(refusal(METRIC_HAVERSINE, places, 3, 2),
               "component 1 of row 2 is 90.01; haversine takes a latitude of -90 to 90"));
    assert_non_null(strstr(refusal(METRIC_HAVERSINE, places, 2, 3), "requires dimension 2"));
    assert_string_equal(refusal(METRIC_HELLINGER, masses, 1, 2), "");
    assert_non_null(strstr(refusal(METRIC_HELLINGER, masses, 3, 2), "row 1 has a sum of 0"));
    assert_non_null(strstr(refusal(METRIC_JENSEN_SHANNON, masses + 4, 1, 2),
                           "component 1 of row 0 is -0.5; jensen_shannon takes 0 or more"));
    assert_non_null(strstr(refusal(METRIC_WASSERSTEIN, large, 1, 2), "sum of 2e+30"));
    assert_non_null(strstr(refusal(METRIC_WASSERSTEIN, small, 1, 2), "1e-30 to 1e+30"));
    assert_string_equal(refusal(METRIC_L1, masses, 3, 2), "");
}

static void test_other_words_and_numbers_find_nothing(void **state)
{
    (void)state;
    static const char *const words[] = {"",           " ",   "L",       "L2 ",
                                        "COS COSINE", "I P", "COSINES", "L2\n"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) assert_null(find_mode(words[i]));
    assert_null(metric_find_mode("ip", 1));
    assert_int_equal(metric_find_mode("IP_AND_MORE", 2)->metric, METRIC_IP);
    assert_null(metric_find(0));
    assert_null(metric_find(METRIC_MAX + 1));
    assert_null(metric_find(UINT32_MAX));
}

static void test_every_number_up_to_the_last_is_a_metric(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= METRIC_MAX; i++) /* the texts of errors say "1 to METRIC_MAX" */
        assert_int_equal(metric_find(i)->metric, i);
    assert_int_equal(metric_find(METRIC_IP)->order, NEARER_IS_LARGER);
    assert_int_equal(metric_find(METRIC_L2)->order, NEARER_IS_SMALLER);
    assert_int_equal(metric_find(METRIC_COSINE)->order, NEARER_IS_SMALLER);
    assert_true(metric_find(METRIC_COSINE)->needs_norm);
    assert_false(metric_find(METRIC_IP)->needs_norm || metric_find(METRIC_L2)->needs_norm);
}

/* Each of the words of `info`, in either case, finds it and none before it in the table. */
static void assert_words_find(const struct metric_info *info)
{
    const char *words = info->mode_words;
    while (*words) {
        char other_case[64];
        size_t length = strcspn(words, " ");
        assert_in_range(length, 1, sizeof other_case);
        for (size_t i = 0; i < length; i++)
            other_case[i] = isalpha((unsigned char)words[i]) ? (char)(words[i] ^ 0x20) : words[i];
        assert_ptr_equal(metric_find_mode(words, length), info);
        assert_ptr_equal(metric_find_mode(other_case, length), info);
        words += length;
        if (*words) assert_true(*words++ == ' ' && *words != ' ' && *words != '\0');
    }
}

static void test_no_name_or_mode_word_means_two_metrics(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= METRIC_MAX; i++) {
        const struct metric_info *info = metric_find(i);
        assert_true(info->name[0] && info->mode_words[0]);
        assert_words_find(info);
        for (unsigned j = 1; j < i; j++) assert_string_not_equal(info->name, metric_find(j)->name);
    }
}

static void test_kernels_of_a_metric_are_those_of_its_formula(void **state)
{
    (void)state;
    const struct simd_kernels *k = kernels_active();
    assert_true(metric_kernels(METRIC_L2, k).pair == k->dense_l2_f32);
    assert_true(metric_kernels(METRIC_IP, k).pair == k->dense_dot_f32);
    assert_true(metric_kernels(METRIC_COSINE, k).pair == k->dense_dot_f32);
    assert_int_equal(metric_find(METRIC_L2)->value, METRIC_VALUE_DISTANCE);
    assert_int_equal(metric_find(METRIC_IP)->value, METRIC_VALUE_PRODUCT);
    assert_int_equal(metric_find(METRIC_COSINE)->value, METRIC_VALUE_ANGLE);
}

/* Of the same two vectors, all levels and both forms of a metric's kernels say the same. */
static void test_every_metric_has_kernels_at_every_level(void **state)
{
    (void)state;
    float a[5] = {1, -2, 3, 0.5f, 4}, rows[15] = {0};
    memcpy(rows + 5, a, sizeof a);
    for (size_t i = 0; i < 5; i++) rows[10 + i] = 1;
    for (enum simd_level level = 0; level < SIMD_LEVEL_COUNT; level++) {
        struct simd_kernels kernels;
        if (!kernels_of_level(level, &kernels)) continue;
        for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
            struct metric_kernels k = metric_kernels((enum metric)metric, &kernels);
            float many[3];
            enum metric_value value = metric_find(metric)->value;
            bool is_distance = value == METRIC_VALUE_DISTANCE || value == METRIC_VALUE_MEASURE;
            assert_true(k.pair && k.many);
            k.many(a, rows, 20, 3, 5, many);
            for (size_t i = 0; i < 3; i++) assert_true(k.pair(a, rows + 5 * i, 5) == many[i]);
            /* The nearest is the vector itself: a distance of 0, or the largest product. */
            assert_true(is_distance ? many[1] == 0 && many[0] > 0 && many[2] > 0
                                    : many[1] > many[0] && many[1] > many[2]);
        }
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
    cmocka_unit_test(test_names_are_found_with_the_other_ones),
    cmocka_unit_test(test_vectors_that_cannot_be_measured_are_named),
    cmocka_unit_test(test_other_words_and_numbers_find_nothing),
    cmocka_unit_test(test_every_number_up_to_the_last_is_a_metric),
    cmocka_unit_test(test_no_name_or_mode_word_means_two_metrics),
    cmocka_unit_test(test_kernels_of_a_metric_are_those_of_its_formula),
    cmocka_unit_test(test_every_metric_has_kernels_at_every_level),
    cmocka_unit_test(test_cosine_distance_of_known_angles),
    cmocka_unit_test(test_cosine_distance_of_a_zero_vector_is_one),
    cmocka_unit_test(test_cosine_distance_stays_in_its_range),
};

TEST_MAIN(tests)
