/* SPDX-License-Identifier: Apache-2.0 */
#include "os/path.h"

#include "base/limits.h"
#include "support/test.h"

struct name_case {
    const char *text;
    int code; /* 0: allowed */
};

static void names_of_letters_digits_and_three_signs_are_allowed(void **state)
{
    (void)state;
    static const struct name_case cases[] = {
        {"a", 0},
        {"Products_2024-v1.2", 0},
        {"...", 0},
        {".hidden", 0},
        {"-", 0},
        {"0", 0},
        {"", LYNSE_INVALID},
        {".", LYNSE_INVALID},
        {"..", LYNSE_INVALID},
        {"a b", LYNSE_INVALID},
        {"a/b", LYNSE_INVALID},
        {"a\\b", LYNSE_INVALID},
        {"a\n", LYNSE_INVALID},
        {"a:b", LYNSE_INVALID},
        {"*", LYNSE_INVALID},
        {"caf\xc3\xa9", LYNSE_INVALID},
        {"\x7f", LYNSE_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        int rc = name_check("collection", slice_of_text(cases[i].text), &err);
        if (cases[i].code == 0) assert_ok(rc, &err);
        else assert_fails(rc, &err, cases[i].code);
    }
}

static void a_name_may_have_the_limit_and_not_one_byte_more(void **state)
{
    (void)state;
    char text[LIMIT_NAME_BYTES + 1];
    struct error err = {0};
    memset(text, 'n', sizeof text);
    assert_ok(name_check("database", slice_of(text, LIMIT_NAME_BYTES), &err), &err);
    assert_fails(name_check("database", slice_of(text, LIMIT_NAME_BYTES + 1), &err), &err,
                 LYNSE_LIMIT);
    assert_non_null(strstr(err.text, "129"));
    assert_non_null(strstr(err.text, "128"));
    assert_non_null(strstr(err.text, "database"));
}

static void a_nul_inside_a_name_is_refused(void **state)
{
    (void)state;
    struct error err = {0};
    assert_fails(name_check("collection", slice_of("a\0b", 3), &err), &err, LYNSE_INVALID);
}

static void a_name_alone_is_in_the_default_database(void **state)
{
    (void)state;
    struct slice database;
    struct slice collection;
    struct error err = {0};
    assert_ok(name_split("docs", &database, &collection, &err), &err);
    assert_true(slice_equal(database, slice_of_text("default")));
    assert_true(slice_equal(collection, slice_of_text("docs")));

    assert_ok(name_split("shop/docs", &database, &collection, &err), &err);
    assert_true(slice_equal(database, slice_of_text("shop")));
    assert_true(slice_equal(collection, slice_of_text("docs")));
}

static void broken_pairs_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",     "/",    "a/",   "/b",   "a/b/c",
                                        "../b", "a/..", "a//b", "a b/c"};
    struct slice database;
    struct slice collection;
    struct error err = {0};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_fails(name_split(texts[i], &database, &collection, &err), &err, LYNSE_INVALID);
    assert_fails(name_split(NULL, &database, &collection, &err), &err, LYNSE_INVALID);
}

static void components_never_leave_their_directory(void **state)
{
    (void)state;
    char text[257];
    memset(text, 'x', sizeof text);
    text[255] = '\0';
    assert_true(name_is_component(text));
    text[255] = 'x';
    text[256] = '\0';
    assert_false(name_is_component(text));

    assert_true(name_is_component("wal-1"));
    assert_true(name_is_component("..."));
    assert_false(name_is_component(NULL));
    assert_false(name_is_component(""));
    assert_false(name_is_component("."));
    assert_false(name_is_component(".."));
    assert_false(name_is_component("/"));
    assert_false(name_is_component("../x"));
    assert_false(name_is_component("a/b"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(names_of_letters_digits_and_three_signs_are_allowed),
    cmocka_unit_test(a_name_may_have_the_limit_and_not_one_byte_more),
    cmocka_unit_test(a_nul_inside_a_name_is_refused),
    cmocka_unit_test(a_name_alone_is_in_the_default_database),
    cmocka_unit_test(broken_pairs_are_refused),
    cmocka_unit_test(components_never_leave_their_directory),
};

TEST_MAIN(tests)
