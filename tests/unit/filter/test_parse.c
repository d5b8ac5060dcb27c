/* SPDX-License-Identifier: Apache-2.0 */
/* What a `where` text is understood as, seen by what is printed; and what is said of bad ones. */
#include "base/limits.h"
#include "base/rng.h"
#include "filter/filter.h"
#include "support/oom_sweep.h"
#include "support/test.h"

struct reading {
    const char *text;
    const char *printed;
};

static const struct reading readings[] = {
    /* precedence, parentheses, white space, case of words */
    {"a OR b AND c", "a OR b AND c"},
    {"(a OR b) AND c", "(a OR b) AND c"},
    {"((a)) or(b)", "a OR b"},
    {"a and b AND c", "a AND b AND c"},
    {"a AND (b AND c)", "a AND (b AND c)"},
    {"(a OR b) OR c", "(a OR b) OR c"},
    {"NOT a = 1 AND b", "NOT a = 1 AND b"},
    {"not not(a or b)", "NOT NOT (a OR b)"},
    {"NOT (a IS NULL)", "NOT a IS NULL"},
    {"\n\ta\r=\v1\f", "a = 1"},
    {"a=1AND b", NULL},
    /* operators */
    {"a==1 or b<>2 or c!=3 or d<4 or e<=5 or f>6 or g>=7",
     "a = 1 OR b != 2 OR c != 3 OR d < 4 OR e <= 5 OR f > 6 OR g >= 7"},
    {"1 < a and b > c and 1 = 2", "1 < a AND b > c AND 1 = 2"},
    {"a Between 1 and 2 and b", "a BETWEEN 1 AND 2 AND b"},
    {"a not between b and c", "a NOT BETWEEN b AND c"},
    {"a in(1,'x' , NULL)", "a IN (1, 'x', NULL)"},
    {"a NOT in (true)", "a NOT IN (TRUE)"},
    {"a LIKE 'x%'", "a LIKE 'x%'"},
    {"a not like \"x\" escape '\\'", "a NOT LIKE 'x' ESCAPE '\\'"},
    {"a is null or a is not null", "a IS NULL OR a IS NOT NULL"},
    {"a contains 'x' or a not contains 2", "a CONTAINS 'x' OR a NOT CONTAINS 2"},
    {"TRUE or false or null or 0", "TRUE OR FALSE OR NULL OR 0"},
    /* texts: a doubled quote is one, a backslash is a backslash */
    {"a = 'it''s' or a = \"say \"\"hi\"\"\"", "a = 'it''s' OR a = 'say \"hi\"'"},
    {"a = 'c:\\dir' or a = ''", "a = 'c:\\dir' OR a = ''"},
    {"a = \"b\"", "a = 'b'"},
    {"\"a\" = \"b\"", "a = 'b'"},
    {"\"a b\" IN (\"c\")", "`a b` IN ('c')"},
    {"a = 'é日本'", "a = 'é日本'"},
    /* numbers keep their type; what fits none is a float */
    {"a = 9223372036854775807", "a = 9223372036854775807"},
    {"a = 9223372036854775808", "a = 9223372036854775808"},
    {"a = 18446744073709551616", "a = 1.8446744073709552e19"},
    {"a = -9223372036854775808", "a = -9223372036854775808"},
    {"a = -9223372036854775809", "a = -9.223372036854776e18"},
    {"a = +5 or a = -5 or a>-5", "a = 5 OR a = -5 OR a > -5"},
    {"a = 1.0 or a = 1e3 or a = -0.0", "a = 1.0 OR a = 1000.0 OR a = -0.0"},
    {"a = 1e999 or a = -1e999", "a = 1e999 OR a = -1e999"},
    {"a = x'' or a = X'00FF'", "a = x'' OR a = x'00ff'"},
    /* datetimes: a word only before a text */
    {"a < datetime '2024-01-31'", "a < DATETIME '2024-01-31T00:00:00Z'"},
    {"a < DATETIME \"2024-01-31T10:00:00.5+01:00\"", "a < DATETIME '2024-01-31T09:00:00.500000Z'"},
    {"datetime > 3 or escape = 1", "datetime > 3 OR escape = 1"},
    /* fields */
    {"a.b.c = 1 or a[0] = 2 or a[1][2].b = 3", "a.b.c = 1 OR a[0] = 2 OR a[1][2].b = 3"},
    {"`a`.`b` = 1 or a.`b c` = 2", "a.b = 1 OR `a.b c` = 2"},
    {"`and` = 1 or a.and = 2 or `Null`", "`and` = 1 OR a.and = 2 OR `Null`"},
    {"`it``s` or \"x\"\"y\"", "`it``s` OR `x\"y`"},
    {"`a[00]` = 1 or `a.` = 2 or `1a` = 3", "`a[00]` = 1 OR `a.` = 2 OR `1a` = 3"},
    {"a[00] = 1", NULL},
    {"_x1 and not and1", "_x1 AND NOT and1"},
};

static void assert_prints(const char *text, const char *printed)
{
    struct error err = {0};
    struct filter *f;
    struct buf out;

    assert_ok(filter_parse(alloc_libc(), slice_of_text(text), &f, &err), &err);
    buf_init(&out, alloc_libc(), MEM_GENERAL);
    assert_int_equal(filter_print(f, &out), 0);
    buf_append_u8(&out, '\0');
    assert_string_equal(out.data, printed);
    buf_deinit(&out);
    filter_destroy(f);
}

static void a_text_is_understood_as_sql_has_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++) {
        const struct reading *r = &readings[i];
        struct filter *f;
        if (r->printed) assert_prints(r->text, r->printed);
        else assert_int_equal(filter_parse(alloc_libc(), slice_of_text(r->text), &f, NULL), -1);
    }
}

static void what_is_printed_parses_to_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++)
        if (readings[i].printed) assert_prints(readings[i].printed, readings[i].printed);
}

/* ---- What is said of a bad text ---- */

static const struct reading errors[] = {
    {"stars > 100 AND )", "where: expected a field or a value at 17, found \")\"\n"
                          "  stars > 100 AND )\n"
                          "                  ^"},
    {"", "where: expected a field or a value at 1, found the end\n  \n  ^"},
    {"a = ", "where: expected a value at 5, found the end\n  a = \n      ^"},
    {"a b", "where: expected an operator, AND, OR or the end at 3, found \"b\"\n  a b\n    ^"},
    {"a = 1 2", "where: expected an operator, AND, OR or the end at 7, found \"2\"\n"
                "  a = 1 2\n        ^"},
    {"(a", "where: expected an operator, AND, OR or \")\" at 3, found the end\n  (a\n    ^"},
    {"a)", "where: expected an operator, AND, OR or the end at 2, found \")\"\n  a)\n   ^"},
    {"a = 'x", "where: no quote ends what begins at 5\n  a = 'x\n      ^"},
    {"a === 1", "where: expected one of = != < <= > >= at 3, found \"===\"\n  a === 1\n    ^"},
    {"a NOT = 1", "where: expected IN, BETWEEN, LIKE or CONTAINS at 7, found \"=\"\n"
                  "  a NOT = 1\n        ^"},
    {"a IS 5", "where: expected NULL or NOT NULL at 6, found \"5\"\n  a IS 5\n       ^"},
    {"a IN ()", "where: expected a value at 7, found \")\"\n  a IN ()\n        ^"},
    {"a IN (b)", "where: expected a value at 7, found \"b\"\n  a IN (b)\n        ^"},
    {"a IN (1;", "where: unexpected character at 8\n  a IN (1;\n         ^"},
    {"a IN 1", "where: expected \"(\" and the values of the list at 6, found \"1\"\n"
               "  a IN 1\n       ^"},
    {"a BETWEEN 1 OR 2", "where: expected AND and the upper bound at 13, found \"OR\"\n"
                         "  a BETWEEN 1 OR 2\n              ^"},
    {"a LIKE b", "where: expected a pattern in quotes at 8, found \"b\"\n  a LIKE b\n         ^"},
    {"a LIKE 'b' ESCAPE 'cd'", "where: expected one character in quotes at 19, found \"'cd'\"\n"
                               "  a LIKE 'b' ESCAPE 'cd'\n                    ^"},
    {"a = 1x", "where: expected a number, as 12, -0.5 or 1e6, at 5\n  a = 1x\n      ^"},
    {"a = 01", "where: expected a number, as 12, -0.5 or 1e6, at 5\n  a = 01\n      ^"},
    {"a = x'0'", "where: expected pairs of hexadecimal digits, as x'00ff', at 5\n"
                 "  a = x'0'\n      ^"},
    {"a = DATETIME 'noon'", "where: expected a datetime as 2024-02-29T12:34:56Z, years 0001 to "
                            "9999, at 14, found \"'noon'\"\n"
                            "  a = DATETIME 'noon'\n               ^"},
    {"a. b", "where: expected the name of a field, without a space at 4, found \"b\"\n"
             "  a. b\n     ^"},
    {"a [0]", NULL},
    {"a[-1] = 1", NULL},
    {"`` = 1", NULL},
    {"AND a", NULL},
    {"a = AND", NULL},
    {"(a) = 1", NULL},
    {"a = b = c", NULL},
    {"a = 1 -- drop", NULL},
    {"a = 1; b", NULL},
    {"a = .5", NULL},
    /* characters are counted, not bytes; only what is near is shown, on one line */
    {"'éé' = 日本",
     "where: a character that needs quotes or backticks at 8\n  'éé' = 日本\n         ^"},
    {"a = 1 AND b = 2\nAND cccccccccccccccccccccccccccccccccccc = ] AND d = 3 AND e = 4",
     "where: expected a value at 60, found \"]\"\n"
     "  …ccccccccccccccccccccccccccc = ] AND d = 3 AND …\n"
     "                                 ^"},
    {"a\n\tb", "where: expected an operator, AND, OR or the end at 4, found \"b\"\n"
               "  a  b\n     ^"},
};

static void a_bad_text_is_told_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct error err = {0};
        struct filter *f;
        int rc = filter_parse(alloc_libc(), slice_of_text(errors[i].text), &f, &err);
        if (rc == 0) print_error("%s\n", errors[i].text);
        assert_fails(rc, &err, LYNSE_PARSE);
        if (errors[i].printed) assert_string_equal(err.text, errors[i].printed);
    }
}

static void assert_refused(struct slice text, int code, const char *begin)
{
    struct error err = {0};
    struct filter *f;
    assert_fails(filter_parse(alloc_libc(), text, &f, &err), &err, code);
    if (strncmp(err.text, begin, strlen(begin)) != 0) fail_msg("%s", err.text);
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    (void)state;
    assert_refused(slice_of("a = 'x\0y'", 9), LYNSE_PARSE, "where: a NUL byte at 7\n");
    assert_refused(slice_of("a = '\xc3\xa9\xff'", 8), LYNSE_PARSE,
                   "where: bytes that are not UTF-8 at 7\n");
    assert_refused(slice_of("\xff\0", 2), LYNSE_PARSE, "where: bytes that are not UTF-8 at 1\n");
}

/* ---- Limits ---- */

/* begin, count times piece (a %d in it is the number), end. */
static struct buf repeat(const char *begin, const char *piece, int count, const char *end)
{
    struct buf b;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    buf_append_text(&b, "%s", begin);
    const char *number = strstr(piece, "%d");
    for (int i = 0; i < count; i++) {
        if (!number) buf_append(&b, piece, strlen(piece));
        else buf_append_text(&b, "%.*s%d%s", (int)(number - piece), piece, i, number + 2);
    }
    buf_append_text(&b, "%s", end);
    return b;
}

static void assert_limit(const char *begin, const char *piece, int count, const char *end,
                         const char *text)
{
    struct buf b = repeat(begin, piece, count, end);
    struct error err = {0};
    struct filter *f;
    int rc = filter_parse(alloc_libc(), buf_slice(&b), &f, &err);
    if (text) {
        buf_deinit(&b);
        assert_fails(rc, &err, LYNSE_LIMIT);
        if (!strstr(err.text, text)) fail_msg("%s", err.text);
    } else {
        buf_deinit(&b);
        assert_ok(rc, &err);
        filter_destroy(f);
    }
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    struct buf b = repeat("", "(", LIMIT_WHERE_DEPTH, "a");
    for (int i = 0; i < LIMIT_WHERE_DEPTH; i++) buf_append_u8(&b, ')');
    struct filter *f;
    struct error err = {0};
    assert_ok(filter_parse(alloc_libc(), buf_slice(&b), &f, &err), &err);
    filter_destroy(f);
    buf_deinit(&b);
    assert_limit("", "(", LIMIT_WHERE_DEPTH + 1, "a",
                 "over 128 parentheses within each other at 129");
    assert_limit("", "(", 10000, "a", "over 128 parentheses");
    assert_limit("", "NOT (", 10000, "a", "over 128 parentheses");
}

static void the_other_limits_are_told(void **state)
{
    (void)state;
    assert_limit("a", " ", LIMIT_WHERE_BYTES - 1, "", NULL);
    assert_limit("a", " ", LIMIT_WHERE_BYTES, "", "where is 65537 bytes; the limit is 65536");
    assert_limit("a", " ", 1 << 20, "", "where is 1048577 bytes; the limit is 65536");
    assert_limit("", "NOT ", LIMIT_WHERE_NODES - 1, "a", NULL);
    assert_limit("", "NOT ", LIMIT_WHERE_NODES, "a", "over 4096 comparisons");
    assert_limit("a", " OR a", LIMIT_WHERE_NODES - 1, "", "over 4096 comparisons");
    assert_limit("a IN (0", ",%d", LIMIT_WHERE_ITEMS - 1, ")", NULL);
    assert_limit("a IN (0", ",%d", LIMIT_WHERE_ITEMS, ")", "over 10000 values in one list");
    assert_limit("a0", " OR a%d", LIMIT_WHERE_PATHS, "", NULL);
    assert_limit("b", " OR a%d", LIMIT_WHERE_PATHS, "", "over 256 different fields");
    assert_limit("a LIKE '%_", "x", LIMIT_WHERE_WILD_BYTES - 1, "%'", NULL);
    assert_limit("a LIKE '%_", "x", LIMIT_WHERE_WILD_BYTES, "%'", "over 64 bytes with _");
    assert_limit("a LIKE '_", "x", LIMIT_WHERE_WILD_BYTES, "'", NULL);
    assert_limit("a LIKE '%", "x", 60000, "%'", NULL);
    assert_limit("a = '", "x", 60000, "'", NULL);
}

/* ---- What a filter reads ---- */

static void a_field_is_named_once(void **state)
{
    (void)state;
    struct error err = {0};
    struct filter *f;
    const char *text = "a = 1 OR `a` < b.c OR \"a\" IN (2) OR `b`.c LIKE 'x' OR b.c[0] = `x y`";
    const char *const paths[] = {"a", "b.c", "b.c[0]", "x y"};
    assert_ok(filter_parse(alloc_libc(), slice_of_text(text), &f, &err), &err);
    assert_int_equal(filter_path_count(f), 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(slice_equal(filter_path(f, i), slice_of_text(paths[i])));
    filter_destroy(f);
    filter_destroy(NULL);
}

/* Any bytes: an error or a filter, and what it prints is printed again. */
static void random_texts_are_understood_or_refused(void **state)
{
    (void)state;
    static const char *const words[] = {
        "a",        "NOT", "(",        ")",      "AND",  "OR",      "=", "<",     "'x'",   "1",
        "IN",       ",",   "LIKE",     "IS",     "NULL", "BETWEEN", ".", "[0]",   "\"q\"", "`r`",
        "CONTAINS", "2.5", "DATETIME", "ESCAPE", "'",    "\xff",    "é", "x'00'", "-",     "TRUE"};
    struct rng rng;
    size_t understood = 0;
    struct buf text, printed;
    rng_init(&rng, test_seed(17));
    buf_init(&text, alloc_libc(), MEM_GENERAL);
    buf_init(&printed, alloc_libc(), MEM_GENERAL);
    for (int round = test_rounds(20000); round > 0; round--) {
        struct filter *f;
        struct error err = {0};
        buf_reset(&text);
        for (uint64_t n = rng_below(&rng, 9) + 1; n > 0; n--) {
            buf_append_text(&text, "%s", words[rng_below(&rng, sizeof words / sizeof words[0])]);
            if (rng_chance(&rng, 0.8)) buf_append_u8(&text, ' ');
        }
        if (filter_parse(alloc_libc(), buf_slice(&text), &f, &err) != 0) {
            assert_int_equal(err.code, LYNSE_PARSE);
            continue;
        }
        understood++;
        buf_reset(&printed);
        filter_print(f, &printed);
        buf_append_u8(&printed, '\0');
        assert_prints((const char *)printed.data, (const char *)printed.data);
        filter_destroy(f);
    }
    assert_true(understood > 0);
    buf_deinit(&text);
    buf_deinit(&printed);
}

static int parse_and_print(void *ctx, struct error *err)
{
    struct alloc *a = ctx;
    struct filter *f;
    struct buf out;
    const char *text =
        "a IN (1, '2024-01-01', NULL, x'00', \"t\") AND (b LIKE '%x%_y%' OR NOT c.d"
        " BETWEEN 'low' AND DATETIME '2024-01-01') OR e OR f OR g OR h OR i OR j OR k"
        " OR l OR m OR n OR o OR p";
    if (filter_parse(a, slice_of_text(text), &f, err) != 0) return -1;
    buf_init(&out, a, MEM_GENERAL);
    int rc = filter_print(f, &out);
    if (rc != 0) error_no_memory(err, out.size);
    buf_deinit(&out);
    filter_destroy(f);
    return rc;
}

static void without_memory_nothing_is_left(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    oom_sweep(a, parse_and_print, a);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_text_is_understood_as_sql_has_it),
    cmocka_unit_test(what_is_printed_parses_to_the_same),
    cmocka_unit_test(a_bad_text_is_told_its_place),
    cmocka_unit_test(bytes_that_are_no_text_are_refused),
    cmocka_unit_test(nesting_is_bounded),
    cmocka_unit_test(the_other_limits_are_told),
    cmocka_unit_test(a_field_is_named_once),
    cmocka_unit_test(random_texts_are_understood_or_refused),
    cmocka_unit_test(without_memory_nothing_is_left),
};
TEST_MAIN(tests)
