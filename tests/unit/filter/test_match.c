/* SPDX-License-Identifier: Apache-2.0 */
/* Which rows match: every type against every operator, NULLs, blocks of all sizes. */
#include <math.h>

#include "base/rng.h"
#include "codec/msgpack.h"
#include "filter/filter.h"
#include "filter/order.h"
#include "support/test.h"
#include "support/where_rows.h"

enum { SAMPLE_ROWS = 20 };

/* 2024-01-31T10:00:00Z */
#define MORNING 1706695200000000ll

static void write_value(struct buf *b, uint32_t i)
{
    switch (i) {
    case 0:
        msgpack_write_null(b);
        break;
    case 1:
    case 2:
        msgpack_write_bool(b, i == 2);
        break;
    case 3:
        msgpack_write_int(b, 2);
        break;
    case 4:
        msgpack_write_float(b, 2.0);
        break;
    case 5:
        msgpack_write_float(b, 2.5);
        break;
    case 6:
        msgpack_write_int(b, -(1ll << 53) - 1);
        break;
    case 7:
        msgpack_write_float(b, -0x1p53);
        break;
    case 8:
        msgpack_write_uint(b, UINT64_MAX);
        break;
    case 9:
        msgpack_write_float(b, 0x1p64);
        break;
    case 10:
        msgpack_write_float(b, NAN);
        break;
    case 11:
        msgpack_write_text(b, slice_of_text(""));
        break;
    case 12:
        msgpack_write_text(b, slice_of_text("2"));
        break;
    case 13:
        msgpack_write_text(b, slice_of_text("abc"));
        break;
    case 14:
        msgpack_write_text(b, slice_of_text("2024-01-31T11:00:00+01:00"));
        break;
    case 15:
        msgpack_write_bytes(b, slice_of_text("abc"));
        break;
    case 16:
        msgpack_write_array(b, 4);
        msgpack_write_int(b, 2);
        msgpack_write_text(b, slice_of_text("abc"));
        msgpack_write_null(b);
        msgpack_write_bool(b, true);
        break;
    case 17:
        msgpack_write_map(b, 1);
        msgpack_write_text(b, slice_of_text("k"));
        msgpack_write_int(b, 2);
        break;
    default:
        msgpack_write_datetime(b, MORNING);
        break;
    }
}

/* Row i: {"v": value i, "i": i, "s": "abc" | "ABD"}; the last one is {}. */
static void write_documents(struct buf *b, struct slice documents[SAMPLE_ROWS])
{
    size_t ends[SAMPLE_ROWS];
    for (uint32_t i = 0; i < SAMPLE_ROWS; i++) {
        bool is_last = i == SAMPLE_ROWS - 1;
        msgpack_write_map(b, is_last ? 0 : 3);
        if (!is_last) {
            msgpack_write_text(b, slice_of_text("v"));
            write_value(b, i);
            msgpack_write_text(b, slice_of_text("i"));
            msgpack_write_int(b, i);
            msgpack_write_text(b, slice_of_text("s"));
            msgpack_write_text(b, slice_of_text(i % 2 ? "abc" : "ABD"));
        }
        ends[i] = b->size;
    }
    for (uint32_t i = 0; i < SAMPLE_ROWS; i++) {
        size_t begin = i ? ends[i - 1] : 0;
        documents[i] = slice_of(b->data + begin, ends[i] - begin);
    }
}

/* "0 3 12": the rows that match. */
static void match_sample(struct alloc *a, const char *before, const char *text, const char *after,
                         char out[128])
{
    struct slice documents[SAMPLE_ROWS];
    uint8_t matches[SAMPLE_ROWS];
    char whole[256];
    struct error err = {0};
    struct filter *f;
    struct buf b;

    buf_init(&b, alloc_libc(), MEM_GENERAL);
    write_documents(&b, documents);
    struct where_rows rows = {a, documents, SAMPLE_ROWS};
    snprintf(whole, sizeof whole, "%s%s%s", before, text, after);
    assert_ok(filter_parse(a, slice_of_text(whole), &f, &err), &err);
    assert_ok(where_rows_match(&rows, f, matches, &err), &err);
    out[0] = '\0';
    for (uint32_t i = 0; i < SAMPLE_ROWS; i++)
        if (matches[i]) snprintf(out + strlen(out), 8, out[0] ? " %u" : "%u", i);
    filter_destroy(f);
    buf_deinit(&b);
}

/* text: rows where it is true; rows where it is false; in the others it is unknown. */
static const struct {
    const char *text, *is_true, *is_false;
} samples[] = {
    /* A number compares by its exact value, a bool as 0 or 1; text is above all numbers. */
    {"v = 2", "3 4", "1 2 5 6 7 8 9 11 12 13 14 15 18"},
    {"v == 2.0", "3 4", "1 2 5 6 7 8 9 11 12 13 14 15 18"},
    {"v < 2", "1 2 6 7", "3 4 5 8 9 11 12 13 14 15 18"},
    {"v <= 2.5", "1 2 3 4 5 6 7", "8 9 11 12 13 14 15 18"},
    {"v = -9007199254740993", "6", "1 2 3 4 5 7 8 9 11 12 13 14 15 18"},
    {"v = -9007199254740992", "7", "1 2 3 4 5 6 8 9 11 12 13 14 15 18"},
    {"v < -9007199254740992.0", "6", "1 2 3 4 5 7 8 9 11 12 13 14 15 18"},
    {"v = 18446744073709551615", "8", "1 2 3 4 5 6 7 9 11 12 13 14 15 18"},
    {"v > 18446744073709551615", "9 11 12 13 14 15 18", "1 2 3 4 5 6 7 8"},
    {"v = 1", "2", "1 3 4 5 6 7 8 9 11 12 13 14 15 18"},
    {"v = TRUE", "2", "1 3 4 5 6 7 8 9 11 12 13 14 15 18"},
    {"v >= 1e999", "11 12 13 14 15 18", "1 2 3 4 5 6 7 8 9"},
    /* number < text < bytes < datetime */
    {"v >= ''", "11 12 13 14 15 18", "1 2 3 4 5 6 7 8 9"},
    {"v > 'abc'", "15 18", "1 2 3 4 5 6 7 8 9 11 12 13 14"},
    {"v > '2'", "13 14 15 18", "1 2 3 4 5 6 7 8 9 11 12"},
    {"v = '2'", "12", "1 2 3 4 5 6 7 8 9 11 13 14 15 18"},
    {"v = x'616263'", "15", "1 2 3 4 5 6 7 8 9 11 12 13 14 18"},
    {"v > x'ff'", "18", "1 2 3 4 5 6 7 8 9 11 12 13 14 15"},
    /* ISO text is text unless the other side is a datetime. */
    {"v = DATETIME '2024-01-31T10:00:00Z'", "14 18", "1 2 3 4 5 6 7 8 9 11 12 13 15"},
    {"v < DATETIME '2024-02-01'", "1 2 3 4 5 6 7 8 9 11 12 13 14 15 18", ""},
    {"v >= '2024-01-31T10:00:00Z'", "13 14 15 18", "1 2 3 4 5 6 7 8 9 11 12"},
    {"v = '2024-01-31T10:00:00Z'", "18", "1 2 3 4 5 6 7 8 9 11 12 13 14 15"},
    {"v IN ('2024-01-31T09:00:00-01:00', 5)", "18", "1 2 3 4 5 6 7 8 9 11 12 13 14 15"},
    {"v IN (DATETIME '2024-01-31T10:00:00Z')", "14 18", "1 2 3 4 5 6 7 8 9 11 12 13 15"},
    /* NULL, and NaN, which stands for it: unknown in every comparison. */
    {"v = NULL", "", ""},
    {"v != v", "", "1 2 3 4 5 6 7 8 9 11 12 13 14 15 18"},
    {"NULL", "", ""},
    {"v IS NULL", "0 10 19", "1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18"},
    {"v IS NOT NULL", "1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18", "0 10 19"},
    {"v IN (2, NULL)", "3 4", ""},
    {"v NOT IN (2, NULL)", "", "3 4"},
    {"v NOT IN (2, 'abc')", "1 2 5 6 7 8 9 11 12 14 15 18", "3 4 13"},
    {"v BETWEEN NULL AND 1", "", "3 4 5 8 9 11 12 13 14 15 18"},
    {"v NOT BETWEEN NULL AND 1", "3 4 5 8 9 11 12 13 14 15 18", ""},
    {"v BETWEEN 1 AND 2", "2 3 4", "1 5 6 7 8 9 11 12 13 14 15 18"},
    {"1 BETWEEN v AND i", "1 2 6 7", "0 3 4 5 8 9 11 12 13 14 15 18"},
    /* Three-valued logic. */
    {"v = 2 AND NULL", "", "1 2 5 6 7 8 9 11 12 13 14 15 18"},
    {"v = 2 OR NULL", "3 4", ""},
    {"NULL OR i = 3 AND v > 1", "3", ""},
    {"i = 3 OR NOT (i > 1 AND i < 18)", "0 1 3 18", "2 4 5 6 7 8 9 10 11 12 13 14 15 16 17"},
    {"NOT i < 17 AND (i = 18 OR v IS NULL)", "18", "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"},
    /* A value alone: numbers but 0. */
    {"v", "2 3 4 5 6 7 8 9", "1 11 12 13 14 15 16 17 18"},
    {"TRUE", "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19", ""},
    {"'x'", "", "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19"},
    /* LIKE and CONTAINS look into texts and arrays; anything else is false. */
    {"v LIKE '%B%'", "13", "1 2 3 4 5 6 7 8 9 11 12 14 15 16 17 18"},
    {"v NOT LIKE '2%'", "1 2 3 4 5 6 7 8 9 11 13 15 16 17 18", "12 14"},
    {"v CONTAINS 'b'", "13", "1 2 3 4 5 6 7 8 9 11 12 14 15 16 17 18"},
    {"v CONTAINS 'B'", "", "1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18"},
    {"v CONTAINS ''", "11 12 13 14", "1 2 3 4 5 6 7 8 9 15 16 17 18"},
    {"v CONTAINS 2", "16", "1 2 3 4 5 6 7 8 9 11 12 13 14 15 17 18"},
    {"v CONTAINS 1.0", "16", "1 2 3 4 5 6 7 8 9 11 12 13 14 15 17 18"},
    {"v NOT CONTAINS 'abc'", "1 2 3 4 5 6 7 8 9 11 12 14 15 17 18", "13 16"},
    {"v CONTAINS NULL", "", ""},
    {"'xabcx' CONTAINS s", "1 3 5 7 9 11 13 15 17", "0 2 4 6 8 10 12 14 16 18"},
    /* Paths against paths; literals on the left; columns of one type. */
    {"i = v", "", "1 2 3 4 5 6 7 8 9 11 12 13 14 15 18"},
    {"5 > i", "0 1 2 3 4", "5 6 7 8 9 10 11 12 13 14 15 16 17 18"},
    {"5.5 <= i", "6 7 8 9 10 11 12 13 14 15 16 17 18", "0 1 2 3 4 5"},
    {"i != 3 AND i < '' AND i < x''", "0 1 2 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18", "3"},
    {"s > 'abb' AND s >= s", "1 3 5 7 9 11 13 15 17", "0 2 4 6 8 10 12 14 16 18"},
    {"v.k = 2", "17", ""},
    {"v[1] = 'abc' AND v[3]", "16", ""},
    {"absent IS NULL AND i < 2", "0 1", "2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18"},
};

static void each_operator_has_its_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        char got[128];
        match_sample(alloc_libc(), "", samples[i].text, "", got);
        if (strcmp(got, samples[i].is_true) != 0)
            fail_msg("%s is true for %s, not %s", samples[i].text, got, samples[i].is_true);
        match_sample(alloc_libc(), "NOT (", samples[i].text, ")", got);
        if (strcmp(got, samples[i].is_false) != 0)
            fail_msg("%s is false for %s, not %s", samples[i].text, got, samples[i].is_false);
    }
}

/* A term must not be cut short by another one in front of it. */
static void what_stands_in_front_changes_nothing(void **state)
{
    (void)state;
    static const char *const fronts[][2] = {
        {"TRUE AND (", ")"},
        {"FALSE OR (", ")"},
        {"(FALSE OR (TRUE AND ", "))"},
        {"NOT NOT (", ")"},
        {"(i >= 0 OR i IS NULL) AND (", ")"},
        {"(i < 10 OR TRUE) AND (s = 'none' OR FALSE OR (", "))"},
        {"(i < 10 AND NULL AND FALSE) OR (", ")"},
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        for (size_t k = 0; k < sizeof fronts / sizeof fronts[0]; k++) {
            char got[128];
            match_sample(alloc_libc(), fronts[k][0], samples[i].text, fronts[k][1], got);
            if (strcmp(got, samples[i].is_true) != 0)
                fail_msg("%s%s%s is true for %s, not %s", fronts[k][0], samples[i].text,
                         fronts[k][1], got, samples[i].is_true);
        }
    }
}

/* ---- Blocks ---- */

static bool is_set(const uint64_t *words, uint32_t row)
{
    return words[row / 64] >> (row % 64) & 1;
}

static void a_block_may_have_any_number_of_rows(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 63, 64, 65, 127, 1000, 1023, COLUMN_BLOCK_ROWS};
    static uint8_t types[COLUMN_BLOCK_ROWS];
    static union column_cell cells[COLUMN_BLOCK_ROWS];
    static uint64_t scratch[1000];
    struct column_span spans[1] = {{types, cells}};
    struct error err = {0};
    struct filter *f;

    for (uint32_t i = 0; i < COLUMN_BLOCK_ROWS; i++) {
        types[i] = i % 5 == 0 ? VALUE_NULL : VALUE_INT;
        cells[i].integer = i;
    }
    assert_ok(filter_parse(alloc_libc(), slice_of_text("NOT (a >= 3 AND NOT a = 60) OR a = 1022"),
                           &f, &err),
              &err);
    assert_true(filter_scratch_bytes(f) <= sizeof scratch);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        uint64_t words[FILTER_MATCH_WORDS];
        memset(words, 0xff, sizeof words);
        memset(scratch, 0xff, sizeof scratch);
        filter_match_begin(f, spans, counts[c], scratch);
        assert_true(filter_match_advance(scratch, UINT64_MAX, words));
        for (uint32_t i = 0; i < COLUMN_BLOCK_ROWS; i++) {
            bool expected = i < counts[c] && i % 5 != 0 && (i < 3 || i == 1022);
            assert_int_equal(is_set(words, i), expected);
        }
    }
    filter_destroy(f);
}

/* ---- Columns of any mixture, against what two values are to each other ---- */

static const struct value pool[] = {
    {.type = VALUE_NULL},
    {.type = VALUE_BOOL, .as.boolean = true},
    {.type = VALUE_BOOL, .as.boolean = false},
    {.type = VALUE_INT, .as.integer = 2},
    {.type = VALUE_INT, .as.integer = -3},
    {.type = VALUE_INT, .as.integer = 0},
    {.type = VALUE_INT, .as.integer = (1ll << 53) + 1},
    {.type = VALUE_INT, .as.integer = INT64_MIN},
    {.type = VALUE_UINT, .as.uinteger = UINT64_MAX},
    {.type = VALUE_FLOAT, .as.number = 2.0},
    {.type = VALUE_FLOAT, .as.number = -2.5},
    {.type = VALUE_FLOAT, .as.number = 0x1p53},
    {.type = VALUE_FLOAT, .as.number = -0x1p63},
    {.type = VALUE_FLOAT, .as.number = INFINITY},
    {.type = VALUE_FLOAT, .as.number = NAN},
    {.type = VALUE_TEXT, .as.text = {(const uint8_t *)"2024-01-31", 10}},
    {.type = VALUE_TEXT, .as.text = {(const uint8_t *)"a", 1}},
    {.type = VALUE_TEXT, .as.text = {(const uint8_t *)"", 0}},
    {.type = VALUE_TEXT, .as.text = {(const uint8_t *)"2024-02-29", 10}},
    {.type = VALUE_BYTES, .as.bytes = {(const uint8_t *)"2", 1}},
    {.type = VALUE_DATETIME, .as.datetime_us = 1706659200000000},
    {.type = VALUE_DATETIME, .as.datetime_us = -5},
};
enum { POOL = sizeof pool / sizeof pool[0] };

static const struct {
    const char *text;
    bool less, equal, greater;
} signs[] = {
    {"=", false, true, false}, {"!=", true, false, true}, {"<", true, false, false},
    {"<=", true, true, false}, {">", false, false, true}, {">=", false, true, true},
};

static void assert_matches(const struct column *c, const char *text, const bool *expected,
                           uint32_t count)
{
    uint64_t words[FILTER_MATCH_WORDS], scratch[256];
    struct column_span span = column_block(c, 0);
    struct error err = {0};
    struct filter *f;

    assert_ok(filter_parse(alloc_libc(), slice_of_text(text), &f, &err), &err);
    assert_true(filter_scratch_bytes(f) <= sizeof scratch);
    filter_match_begin(f, &span, count, scratch);
    assert_true(filter_match_advance(scratch, UINT64_MAX, words));
    for (uint32_t i = 0; i < count; i++)
        if (is_set(words, i) != expected[i]) fail_msg("%s, row %u", text, i);
    filter_destroy(f);
}

static bool is_unknown(const struct value *v)
{
    return v->type == VALUE_NULL || (v->type == VALUE_FLOAT && isnan(v->as.number));
}

static bool is_truth(const struct value *v)
{
    return (v->type == VALUE_BOOL && v->as.boolean) || v->type == VALUE_UINT ||
           (v->type == VALUE_INT && v->as.integer != 0) ||
           (v->type == VALUE_FLOAT && !isnan(v->as.number) && v->as.number != 0);
}

struct literal {
    const char *text;
    struct value value;
};

/* IN and NOT IN of two literals, and what a column says by itself. */
static void assert_finds(const struct column *c, const struct literal *one,
                         const struct literal *other, const struct value *const *rows,
                         uint32_t count)
{
    char text[128];
    bool in[COLUMN_BLOCK_ROWS], not_in[COLUMN_BLOCK_ROWS], truth[COLUMN_BLOCK_ROWS];
    bool null[COLUMN_BLOCK_ROWS];
    bool has_null = one->value.type == VALUE_NULL || other->value.type == VALUE_NULL;

    for (uint32_t i = 0; i < count; i++) {
        null[i] = is_unknown(rows[i]);
        truth[i] = is_truth(rows[i]);
        in[i] = value_order(rows[i], &one->value) == ORDER_EQUAL ||
                value_order(rows[i], &other->value) == ORDER_EQUAL;
        not_in[i] = !in[i] && !null[i] && !has_null;
    }
    snprintf(text, sizeof text, "a IN (%s, %s)", one->text, other->text);
    assert_matches(c, text, in, count);
    snprintf(text, sizeof text, "a NOT IN (%s, %s)", one->text, other->text);
    assert_matches(c, text, not_in, count);
    assert_matches(c, "a", truth, count);
    assert_matches(c, "a IS NULL", null, count);
}

static void assert_compares(const struct column *c, const char *literal, const struct value *right,
                            const struct value *const *rows, uint32_t count)
{
    for (size_t s = 0; s < sizeof signs / sizeof signs[0]; s++) {
        char text[64];
        uint64_t words[FILTER_MATCH_WORDS], scratch[256];
        struct column_span span = column_block(c, 0);
        struct error err = {0};
        struct filter *f;
        snprintf(text, sizeof text, "a %s %s", signs[s].text, literal);
        assert_ok(filter_parse(alloc_libc(), slice_of_text(text), &f, &err), &err);
        assert_true(filter_scratch_bytes(f) <= sizeof scratch);
        filter_match_begin(f, &span, count, scratch);
        assert_true(filter_match_advance(scratch, UINT64_MAX, words));
        for (uint32_t i = 0; i < count; i++) {
            enum order order = value_order(rows[i], right);
            bool expected = (order == ORDER_LESS && signs[s].less) ||
                            (order == ORDER_EQUAL && signs[s].equal) ||
                            (order == ORDER_GREATER && signs[s].greater);
            if (is_set(words, i) != expected) fail_msg("%s, row %u", text, i);
        }
        filter_destroy(f);
    }
}

static void every_mixture_of_types_compares_as_its_values_do(void **state)
{
    (void)state;
    static const struct literal literals[] = {
        {"2", {.type = VALUE_INT, .as.integer = 2}},
        {"-2.5", {.type = VALUE_FLOAT, .as.number = -2.5}},
        {"2.5", {.type = VALUE_FLOAT, .as.number = 2.5}},
        {"2.0", {.type = VALUE_FLOAT, .as.number = 2.0}},
        {"9007199254740993", {.type = VALUE_INT, .as.integer = (1ll << 53) + 1}},
        {"9007199254740992.0", {.type = VALUE_FLOAT, .as.number = 0x1p53}},
        {"-1e999", {.type = VALUE_FLOAT, .as.number = -INFINITY}},
        {"18446744073709551615", {.type = VALUE_UINT, .as.uinteger = UINT64_MAX}},
        {"TRUE", {.type = VALUE_BOOL, .as.boolean = true}},
        {"FALSE", {.type = VALUE_BOOL, .as.boolean = false}},
        {"NULL", {.type = VALUE_NULL}},
        {"''", {.type = VALUE_TEXT, .as.text = {(const uint8_t *)"", 0}}},
        {"'a'", {.type = VALUE_TEXT, .as.text = {(const uint8_t *)"a", 1}}},
        {"'2024-01-31'", {.type = VALUE_TEXT, .as.text = {(const uint8_t *)"2024-01-31", 10}}},
        {"DATETIME '2024-01-31'", {.type = VALUE_DATETIME, .as.datetime_us = 1706659200000000}},
    };
    enum { COUNT = 100, LITERALS = sizeof literals / sizeof literals[0] };
    struct rng rng;
    rng_init(&rng, test_seed(8));
    for (int round = test_rounds(400); round > 0; round--) {
        const struct value *rows[COUNT];
        struct column *c;
        struct error err = {0};
        size_t kinds[3];
        for (size_t k = 0; k < 3; k++) kinds[k] = rng_below(&rng, POOL);
        assert_ok(column_create(alloc_libc(), COUNT, &c, &err), &err);
        for (size_t i = 0; i < COUNT; i++) {
            do rows[i] = &pool[rng_below(&rng, POOL)];
            while (rows[i]->type != pool[kinds[0]].type && rows[i]->type != pool[kinds[1]].type &&
                   rows[i]->type != pool[kinds[2]].type);
            assert_ok(column_append(c, rows[i], &err), &err);
        }
        for (size_t l = 0; l < LITERALS; l++)
            assert_compares(c, literals[l].text, &literals[l].value, rows, COUNT);
        for (size_t l = 0; l < LITERALS; l++)
            assert_finds(c, &literals[l], &literals[rng_below(&rng, LITERALS)], rows, COUNT);
        column_destroy(c);
    }
}

/* ---- A long IN, and deep trees ---- */

static void a_long_list_is_searched_right(void **state)
{
    (void)state;
    enum { ITEMS = 5000 };
    static uint8_t types[COLUMN_BLOCK_ROWS];
    static union column_cell cells[COLUMN_BLOCK_ROWS];
    struct column_span spans[1] = {{types, cells}};
    uint64_t words[FILTER_MATCH_WORDS], scratch[256];
    static bool is_in[4 * ITEMS];
    struct error err = {0};
    struct filter *f;
    struct rng rng;
    struct buf text;

    rng_init(&rng, test_seed(5));
    buf_init(&text, alloc_libc(), MEM_GENERAL);
    buf_append_text(&text, "a IN ('x'");
    for (uint32_t i = 0; i < ITEMS; i++) {
        uint64_t item = rng_below(&rng, 4 * ITEMS);
        is_in[item] = true;
        buf_append_text(&text, rng_chance(&rng, 0.5) ? ",%u" : ",%u.0", (unsigned)item);
    }
    buf_append_text(&text, ")");
    assert_ok(filter_parse(alloc_libc(), buf_slice(&text), &f, &err), &err);
    assert_true(filter_scratch_bytes(f) <= sizeof scratch);
    for (uint32_t begin = 0; begin < 4 * ITEMS; begin += COLUMN_BLOCK_ROWS) {
        for (uint32_t i = 0; i < COLUMN_BLOCK_ROWS; i++) {
            types[i] = i % 2 ? VALUE_INT : VALUE_FLOAT;
            if (i % 2) cells[i].integer = begin + i;
            else cells[i].number = begin + i;
        }
        filter_match_begin(f, spans, COLUMN_BLOCK_ROWS, scratch);
        assert_true(filter_match_advance(scratch, UINT64_MAX, words));
        for (uint32_t i = 0; i < COLUMN_BLOCK_ROWS && begin + i < 4 * ITEMS; i++)
            assert_int_equal(is_set(words, i), is_in[begin + i]);
    }
    filter_destroy(f);
    buf_deinit(&text);
}

static void a_deep_tree_is_matched(void **state)
{
    (void)state;
    static uint8_t types[COLUMN_BLOCK_ROWS];
    static union column_cell cells[COLUMN_BLOCK_ROWS];
    static uint64_t scratch[1 << 14];
    struct column_span spans[1] = {{types, cells}};
    uint64_t words[FILTER_MATCH_WORDS];
    struct error err = {0};
    struct filter *f;
    struct buf text;

    /* a = 0 OR (a > 0 AND NOT (a = 1 OR (… */
    buf_init(&text, alloc_libc(), MEM_GENERAL);
    for (int i = 0; i < 60; i++) buf_append_text(&text, "a = %d OR (a > %d AND NOT (", i, i);
    buf_append_text(&text, "FALSE");
    for (int i = 0; i < 60; i++) buf_append_text(&text, "))");
    assert_ok(filter_parse(alloc_libc(), buf_slice(&text), &f, &err), &err);
    assert_true(filter_scratch_bytes(f) <= sizeof scratch);
    for (uint32_t i = 0; i < COLUMN_BLOCK_ROWS; i++) {
        types[i] = VALUE_INT;
        cells[i].integer = i;
    }
    filter_match_begin(f, spans, 70, scratch);
    assert_true(filter_match_advance(scratch, UINT64_MAX, words));
    /* By hand: at depth k, f(a, k) = a = k or (a > k and not f(a, k + 1)). */
    for (uint32_t a = 0; a < 70; a++) {
        bool expected = false;
        for (uint32_t k = 60; k-- > 0;) expected = a == k || (a > k && !expected);
        assert_int_equal(is_set(words, a), expected);
    }
    filter_destroy(f);
    buf_deinit(&text);
}

/* A hostile filter: many LIKEs over long texts, arrays of many items.  No call does much more than
 * it may, so that whoever calls can look at the clock. */
static void a_hostile_filter_is_matched_in_pieces(void **state)
{
    (void)state;
    enum { ROWS = 8, SIZE = 50000, WORK = 10000, LIKES = 12 };
    uint64_t words[FILTER_MATCH_WORDS], scratch[256];
    struct error err = {0};
    struct column *columns[2];
    struct buf text, items, where;

    buf_init(&text, alloc_libc(), MEM_GENERAL);
    buf_init(&items, alloc_libc(), MEM_GENERAL);
    buf_init(&where, alloc_libc(), MEM_GENERAL);
    for (int i = 0; i < SIZE; i++) buf_append(&text, "a", 1);
    msgpack_write_array(&items, SIZE);
    for (int i = 0; i < SIZE; i++) msgpack_write_int(&items, 1);
    struct value values[2] = {{.type = VALUE_TEXT, .as.text = buf_slice(&text)}};
    assert_true(value_read(buf_slice(&items), &values[1]));
    for (size_t c = 0; c < 2; c++) {
        assert_ok(column_create(alloc_libc(), ROWS, &columns[c], &err), &err);
        for (int i = 0; i < ROWS; i++) assert_ok(column_append(columns[c], &values[c], &err), &err);
    }
    buf_append_text(&where, "a CONTAINS 'b'");
    for (int i = 0; i < LIKES; i++) buf_append_text(&where, " OR a LIKE '%%a%db%%'", i);
    buf_append_text(&where, " OR items CONTAINS 2");
    struct filter *f;
    assert_ok(filter_parse(alloc_libc(), buf_slice(&where), &f, &err), &err);
    assert_true(filter_scratch_bytes(f) <= sizeof scratch);
    const struct column_span spans[] = {column_block(columns[0], 0), column_block(columns[1], 0)};
    filter_match_begin(f, spans, ROWS, scratch);
    uint32_t calls = 1;
    while (!filter_match_advance(scratch, WORK, words)) calls++;
    assert_int_equal(words[0], 0);
    assert_true(calls >= (LIKES + 2) * ROWS * (SIZE / WORK) / 2);
    filter_destroy(f);
    for (size_t c = 0; c < 2; c++) column_destroy(columns[c]);
    buf_deinit(&text);
    buf_deinit(&items);
    buf_deinit(&where);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_operator_has_its_rows),
    cmocka_unit_test(what_stands_in_front_changes_nothing),
    cmocka_unit_test(a_block_may_have_any_number_of_rows),
    cmocka_unit_test(every_mixture_of_types_compares_as_its_values_do),
    cmocka_unit_test(a_long_list_is_searched_right),
    cmocka_unit_test(a_deep_tree_is_matched),
    cmocka_unit_test(a_hostile_filter_is_matched_in_pieces),
};
TEST_MAIN(tests)
