/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers compare by value, whatever their type; the order is one. */
#include <math.h>

#include "filter/order.h"
#include "support/test.h"

#define INT(v)                                                                                     \
    {                                                                                              \
        .type = VALUE_INT, .as.integer = (v)                                                       \
    }
#define UINT(v)                                                                                    \
    {                                                                                              \
        .type = VALUE_UINT, .as.uinteger = (v)                                                     \
    }
#define FLOAT(v)                                                                                   \
    {                                                                                              \
        .type = VALUE_FLOAT, .as.number = (v)                                                      \
    }
#define TEXT(v)                                                                                    \
    {                                                                                              \
        .type = VALUE_TEXT, .as.text = {(const uint8_t *)(v), sizeof(v) - 1 }                      \
    }

/* Each is before the next one. */
static const struct value ascending[] = {
    FLOAT(-INFINITY),
    FLOAT(-0x1.0000000000001p63),
    INT(INT64_MIN),
    INT(INT64_MIN + 1),
    FLOAT(-0x1.fffffffffffffp62),
    INT(-(1ll << 53) - 1),
    FLOAT(-0x1p53),
    INT(-(1ll << 53) + 1),
    FLOAT(-2.5),
    INT(-2),
    FLOAT(-0x1p-1074),
    INT(0),
    FLOAT(0x1p-1074),
    {.type = VALUE_BOOL, .as.boolean = true},
    FLOAT(1.5),
    INT(2),
    FLOAT(0x1p53),
    INT((1ll << 53) + 1),
    FLOAT(0x1p53 + 2),
    INT(INT64_MAX - 1),
    INT(INT64_MAX),
    FLOAT(0x1p63),
    UINT((1ull << 63) + 1),
    FLOAT(0x1.0000000000001p63),
    UINT(UINT64_MAX),
    FLOAT(0x1p64),
    FLOAT(INFINITY),
    TEXT(""),
    TEXT("A"),
    TEXT("a"),
    TEXT("aa"),
    TEXT("\xc3\xa9"),
    {.type = VALUE_BYTES},
    {.type = VALUE_BYTES, .as.bytes = {(const uint8_t *)"a", 1}},
    {.type = VALUE_DATETIME, .as.datetime_us = -5},
    {.type = VALUE_DATETIME, .as.datetime_us = 5},
};
enum { COUNT = sizeof ascending / sizeof ascending[0] };

static void every_pair_is_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < COUNT; k++) {
            enum order expected = i < k ? ORDER_LESS : i > k ? ORDER_GREATER : ORDER_EQUAL;
            if (value_order(&ascending[i], &ascending[k]) != expected)
                fail_msg("%zu against %zu", i, k);
            assert_int_equal(value_order_by_kind(&ascending[i], &ascending[k]), expected);
        }
    }
}

static void equal_numbers_are_equal_in_every_type(void **state)
{
    (void)state;
    static const struct value pairs[][2] = {
        {INT(2), FLOAT(2.0)},
        {INT(0), FLOAT(-0.0)},
        {INT(INT64_MIN), FLOAT(-0x1p63)},
        {UINT(1ull << 63), FLOAT(0x1p63)},
        {INT(1), {.type = VALUE_BOOL, .as.boolean = true}},
        {FLOAT(0.0), {.type = VALUE_BOOL, .as.boolean = false}},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_int_equal(value_order(&pairs[i][0], &pairs[i][1]), ORDER_EQUAL);
        assert_int_equal(value_order(&pairs[i][1], &pairs[i][0]), ORDER_EQUAL);
    }
}

static void null_nan_and_containers_have_no_order(void **state)
{
    (void)state;
    static const struct value none[] = {
        {.type = VALUE_NULL}, FLOAT(NAN), {.type = VALUE_ARRAY}, {.type = VALUE_MAP}};
    for (size_t n = 0; n < sizeof none / sizeof none[0]; n++) {
        assert_int_equal(value_order(&none[n], &none[n]), ORDER_NONE);
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(value_order(&none[n], &ascending[i]), ORDER_NONE);
            assert_int_equal(value_order(&ascending[i], &none[n]), ORDER_NONE);
        }
    }
}

static void a_text_is_a_datetime_beside_one(void **state)
{
    (void)state;
    const struct value epoch = {.type = VALUE_DATETIME, .as.datetime_us = 0};
    const struct value same = TEXT("1970-01-01T01:00:00+01:00"), day = TEXT("1970-01-01"),
                       before = TEXT("1969-12-31T23:59:59.999999Z"), other = TEXT("1970-01-99"),
                       far = TEXT("0001-01-01T00:00:00+01:00");
    assert_int_equal(value_order(&same, &epoch), ORDER_EQUAL);
    assert_int_equal(value_order(&epoch, &day), ORDER_EQUAL);
    assert_int_equal(value_order(&before, &epoch), ORDER_LESS);
    assert_int_equal(value_order(&other, &epoch), ORDER_LESS); /* no date: text < datetime */
    assert_int_equal(value_order(&far, &epoch), ORDER_LESS);
    assert_int_equal(value_order(&same, &day), ORDER_GREATER); /* both texts */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_pair_is_in_order),
    cmocka_unit_test(equal_numbers_are_equal_in_every_type),
    cmocka_unit_test(null_nan_and_containers_have_no_order),
    cmocka_unit_test(a_text_is_a_datetime_beside_one),
};
TEST_MAIN(tests)
