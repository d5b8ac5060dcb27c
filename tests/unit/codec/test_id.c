/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include "base/limits.h"
#include "base/rng.h"
#include "codec/id.h"

static struct record_id text_id(const char *text)
{
    return id_of_text(slice_of_text(text));
}

static void ids_within_the_rules_pass_and_others_say_why(void **state)
{
    (void)state;
    struct error err;
    char longest[LIMIT_ID_BYTES + 2];
    memset(longest, 'x', sizeof longest);
    struct record_id good[] = {
        id_of_number(0),
        id_of_number(UINT64_MAX - 1),
        text_id("5"),
        text_id("naïve"),
        id_of_text(slice_of("\0", 1)),
        id_of_text(slice_of(longest, LIMIT_ID_BYTES)),
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_ok(id_check(&good[i], &err), &err);

    struct record_id id = id_of_number(UINT64_MAX);
    assert_fails(id_check(&id, &err), &err, LYNSE_INVALID);
    id = text_id("");
    assert_fails(id_check(&id, &err), &err, LYNSE_INVALID);
    id = id_of_text(slice_of("a\xff", 2));
    assert_fails(id_check(&id, &err), &err, LYNSE_INVALID);
    assert_string_equal(err.text, "id 'a\\xff' is not UTF-8");
    id = id_of_text(slice_of(longest, LIMIT_ID_BYTES + 1));
    assert_fails(id_check(&id, &err), &err, LYNSE_LIMIT);
    assert_non_null(strstr(err.text, "256 bytes is over the limit of 255"));
}

static void integers_come_first_by_value_then_text_by_bytes(void **state)
{
    (void)state;
    struct record_id sorted[] = {
        id_of_number(0),
        id_of_number(9),
        id_of_number(10),
        id_of_number(1ull << 63),
        id_of_number(UINT64_MAX - 1),
        text_id("10"),
        text_id("9"),
        text_id("B"),
        text_id("a"),
        text_id("aa"),
        text_id("b"),
        text_id("é"),
    };
    size_t count = sizeof sorted / sizeof sorted[0];
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            int order = id_compare(&sorted[i], &sorted[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
            assert_int_equal(id_equal(&sorted[i], &sorted[j]), i == j);
            if (i == j) assert_true(id_hash(&sorted[i]) == id_hash(&sorted[j]));
        }
    }
}

static void number_five_and_text_five_differ(void **state)
{
    (void)state;
    struct record_id number = id_of_number(5), text = text_id("5");
    assert_false(id_equal(&number, &text));
    assert_true(id_hash(&number) != id_hash(&text));
    char out[ID_TEXT_BYTES];
    assert_string_equal(id_format(&number, out), "5");
    assert_string_equal(id_format(&text, out), "'5'");
}

static void error_texts_are_bounded_and_printable(void **state)
{
    (void)state;
    char out[ID_TEXT_BYTES];
    char long_text[256];
    struct record_id id = id_of_text(slice_of("a\n'\\\x00\xc3\xa9", 7));
    assert_string_equal(id_format(&id, out), "'a\\x0a\\x27\\x5c\\x00é'");
    /* Every length around the edge, in characters of 1, 2 and 4 bytes. */
    static const char *const characters[] = {"x", "é", "\U0001f600", "\n"};
    for (size_t c = 0; c < 4; c++) {
        size_t size = 0;
        while (size + 4 < sizeof long_text) {
            memcpy(long_text + size, characters[c], strlen(characters[c]));
            size += strlen(characters[c]);
            id = id_of_text(slice_of(long_text, size));
            memset(out, 'Z', sizeof out);
            id_format(&id, out);
            size_t length = strlen(out);
            assert_true(length < sizeof out);
            assert_true(out[0] == '\'' && out[length - 1] == '\'');
            bool is_cut = strstr(out, "…") != NULL;
            if (c < 3) assert_int_equal(is_cut, size + 3 > sizeof out);
        }
    }
}

static struct slice exact_copy(const void *data, size_t size)
{
    uint8_t *p = test_malloc(size ? size : 1);
    if (size) memcpy(p, data, size);
    return slice_of(p, size);
}

static void columns_have_the_bytes_of_the_format(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    struct record_id ids[] = {id_of_number(1), text_id("ab"), id_of_number(2)};
    assert_int_equal(id_column_form(ids, 1), ID_FORM_INTEGERS);
    assert_int_equal(id_column_form(ids, 3), ID_FORM_MIXED);
    id_column_encode(ids, 1, ID_FORM_INTEGERS, &b);
    assert_memory_equal(b.data, "\1\0\0\0\0\0\0\0", b.size);
    buf_reset(&b);
    id_column_encode(ids, 3, ID_FORM_MIXED, &b);
    static const char mixed[] = "\0\1\0\0\0\0\0\0\0"
                                "\2ab"
                                "\0\2\0\0\0\0\0\0\0";
    assert_int_equal(b.size, sizeof mixed - 1);
    assert_memory_equal(b.data, mixed, b.size);
    buf_deinit(&b);
}

static void columns_come_back_as_they_were_and_every_cut_is_seen(void **state)
{
    (void)state;
    struct rng r;
    struct error err;
    struct buf b;
    struct record_id ids[40];
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    rng_init(&r, test_seed(1));
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    for (int round = 0; round < 200; round++) {
        size_t count = (size_t)rng_below(&r, 40);
        bool has_text = rng_chance(&r, 0.5);
        for (size_t i = 0; i < count; i++) {
            ids[i] = id_of_number(rng_below(&r, UINT64_MAX));
            if (has_text && rng_chance(&r, 0.5))
                ids[i] = id_of_text(slice_of(letters, 1 + (size_t)rng_below(&r, 35)));
        }
        enum id_form form = id_column_form(ids, count);
        buf_reset(&b);
        id_column_encode(ids, count, form, &b);
        size_t size = b.size;
        buf_append_u8(&b, 0xee);

        struct id_column c;
        struct record_id id;
        size_t used;
        assert_ok(id_column_open(buf_slice(&b), (uint8_t)form, count, &c, &used, &err), &err);
        assert_int_equal(used, size);
        for (size_t i = 0; i < count; i++) {
            assert_true(id_column_next(&c, &id));
            assert_true(id_equal(&id, &ids[i]));
        }
        assert_false(id_column_next(&c, &id));
        assert_fails(id_column_open(buf_slice(&b), (uint8_t)form, count, &c, NULL, &err), &err,
                     LYNSE_CORRUPT);
        for (size_t cut = 0; cut < size; cut++) {
            struct slice copy = exact_copy(b.data, cut);
            assert_fails(id_column_open(copy, (uint8_t)form, count, &c, &used, &err), &err,
                         LYNSE_CORRUPT);
            test_free((void *)(uintptr_t)copy.data);
        }
    }
    buf_deinit(&b);
}

static void damaged_columns_are_corrupt(void **state)
{
    (void)state;
    struct error err;
    struct id_column c;
    uint8_t ones[8];
    memset(ones, 0xff, sizeof ones);
    assert_fails(id_column_open(slice_of(ones, 8), 0, 1, &c, NULL, &err), &err, LYNSE_CORRUPT);
    assert_fails(id_column_open(slice_of(ones, 8), 0, SIZE_MAX, &c, NULL, &err), &err,
                 LYNSE_CORRUPT);
    assert_fails(id_column_open(slice_of(ones, 8), 0, SIZE_MAX / 8 + 2, &c, NULL, &err), &err,
                 LYNSE_CORRUPT);
    assert_fails(id_column_open(slice_of(ones, 8), 2, 1, &c, NULL, &err), &err, LYNSE_CORRUPT);
    assert_fails(id_column_open(slice_of("\1\xff", 2), 1, 1, &c, NULL, &err), &err, LYNSE_CORRUPT);
    assert_non_null(strstr(err.text, "not UTF-8"));
    assert_ok(id_column_open(slice_of(NULL, 0), 0, 0, &c, NULL, &err), &err);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(ids_within_the_rules_pass_and_others_say_why),
    cmocka_unit_test(integers_come_first_by_value_then_text_by_bytes),
    cmocka_unit_test(number_five_and_text_five_differ),
    cmocka_unit_test(error_texts_are_bounded_and_printable),
    cmocka_unit_test(columns_have_the_bytes_of_the_format),
    cmocka_unit_test(columns_come_back_as_they_were_and_every_cut_is_seen),
    cmocka_unit_test(damaged_columns_are_corrupt),
};

TEST_MAIN(tests)
