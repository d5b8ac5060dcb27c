/* SPDX-License-Identifier: Apache-2.0 */
#include "base/suggest.h"

#include "support/test.h"

static const char *nearest(const char *given)
{
    static const char *const names[] = {"search", "search_range", "build_index", "ef", "k"};
    struct suggestion s;
    suggestion_begin(&s, slice_of_text(given));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) suggestion_offer(&s, names[i]);
    return s.best;
}

static void a_slip_of_the_pen_is_seen_through(void **state)
{
    (void)state;
    assert_string_equal(nearest("search"), "search");
    assert_string_equal(nearest("serch"), "search");
    assert_string_equal(nearest("saerch"), "search"); /* swapped letters are one slip */
    assert_string_equal(nearest("searchrange"), "search_range");
    assert_string_equal(nearest("bulid_indx"), "build_index");
}

static void what_is_like_nothing_has_no_suggestion(void **state)
{
    (void)state;
    char longest[SUGGESTION_BYTES_MAX + 2];
    memset(longest, 'k', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_null(nearest(""));
    assert_null(nearest("quickly"));
    assert_null(nearest("xy"));
    assert_null(nearest(longest));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_slip_of_the_pen_is_seen_through),
    cmocka_unit_test(what_is_like_nothing_has_no_suggestion),
};
TEST_MAIN(tests)
