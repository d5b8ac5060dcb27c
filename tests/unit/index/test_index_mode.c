/* SPDX-License-Identifier: Apache-2.0 */
#include "index/index_mode.h"
#include "support/test.h"

/* The upper-case letters of a mode in lower case, and the other way round. */
static void swap_case(char *text)
{
    for (; *text; text++)
        if ((*text >= 'A' && *text <= 'Z') || (*text >= 'a' && *text <= 'z')) *text ^= 0x20;
}

static void every_mode_of_both_registries_is_read_as_it_is_written(void **state)
{
    (void)state;
    for (unsigned kind = 1; kind <= INDEX_KIND_MAX; kind++) {
        for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
            struct index_mode mode = {0};
            struct error err = {0};
            char text[32]; /* of struct lynse_collection_info */
            index_mode_format(kind, metric, text, sizeof text);
            assert_in_range(strlen(text), 4, sizeof text - 2); /* it was not cut */
            for (int round = 0; round < 2; round++) {
                assert_ok(index_mode_parse(text, &mode, &err), &err);
                assert_int_equal(mode.kind, kind);
                assert_int_equal(mode.metric, metric);
                swap_case(text);
            }
        }
    }
}

static void other_words_for_a_metric_are_read_too(void **state)
{
    (void)state;
    struct index_mode mode = {0};
    struct error err = {0};
    assert_ok(index_mode_parse("FLAT-COSINE", &mode, &err), &err);
    assert_int_equal(mode.metric, METRIC_COSINE);
    assert_ok(index_mode_parse("flat", &mode, &err), &err);
    assert_int_equal(mode.kind, INDEX_FLAT);
    assert_int_equal(mode.metric, METRIC_IP);
}

static void what_is_planned_is_told_from_what_nobody_knows(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
    } words[] = {
        {"HNSW-L2", LYNSE_UNSUPPORTED},
        {"hnsw", LYNSE_UNSUPPORTED},
        {"DISKANN-COS-PQ8", LYNSE_UNSUPPORTED},
        {"FLAT-HAMMING", LYNSE_UNSUPPORTED},
        {"FLAT-", LYNSE_UNSUPPORTED},
        {"FLAT-IP-SQ8", LYNSE_UNSUPPORTED},
        {"", LYNSE_INVALID},
        {"-IP", LYNSE_INVALID},
        {"IP", LYNSE_INVALID},
        {"FLATIP", LYNSE_INVALID},
        {"HNSWL2", LYNSE_INVALID},
        {" FLAT-IP", LYNSE_INVALID},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct index_mode mode = {0};
        struct error err = {0};
        assert_fails(index_mode_parse(words[i].text, &mode, &err), &err, words[i].code);
        assert_non_null(strstr(err.text, "this version has FLAT-IP, FLAT-L2"));
        assert_non_null(strstr(err.text, "FLAT-COS"));
    }
}

static void numbers_that_are_none_have_no_word(void **state)
{
    (void)state;
    const unsigned pairs[][2] = {{INDEX_NONE, METRIC_IP},
                                 {INDEX_KIND_MAX + 1, METRIC_IP},
                                 {INDEX_FLAT, 0},
                                 {INDEX_FLAT, METRIC_MAX + 1}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char text[32] = "?";
        index_mode_format(pairs[i][0], pairs[i][1], text, sizeof text);
        assert_string_equal(text, "");
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_mode_of_both_registries_is_read_as_it_is_written),
    cmocka_unit_test(other_words_for_a_metric_are_read_too),
    cmocka_unit_test(what_is_planned_is_told_from_what_nobody_knows),
    cmocka_unit_test(numbers_that_are_none_have_no_word),
};
TEST_MAIN(tests)
