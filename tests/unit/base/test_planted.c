/* SPDX-License-Identifier: Apache-2.0 */
#include "base/planted.h"

#include "support/test.h"

/* Every suite but the fuzz targets' own is built without them. */
static void no_build_for_use_has_a_planted_defect(void **state)
{
    (void)state;
#define TEST_IS_OFF(name, target, text)                                                            \
    assert_false(planted_set(#name));                                                              \
    assert_false(PLANTED(name));
    PLANTED_DEFECTS(TEST_IS_OFF)
#undef TEST_IS_OFF
}

static void naming_none_is_always_possible(void **state)
{
    (void)state;
    assert_true(planted_set(NULL));
    assert_false(planted_set("NO_SUCH_DEFECT"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(no_build_for_use_has_a_planted_defect),
    cmocka_unit_test(naming_none_is_always_possible),
};
TEST_MAIN(tests)
