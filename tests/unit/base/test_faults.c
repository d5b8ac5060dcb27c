/* SPDX-License-Identifier: Apache-2.0 */
#include "base/faults.h"

#include "support/test.h"

#ifdef LYNSE_FAULTS
static void every_point_is_found_by_its_name(void **state)
{
    (void)state;
    for (int p = 0; p < FAULT_COUNT; p++) assert_int_equal(fault_find(fault_name(p)), p);
    assert_int_equal(fault_find("NO_SUCH_POINT"), -1);
    assert_int_equal(fault_find(""), -1);
    for (int p = 0; p < REACH_COUNT; p++) assert_true(strlen(reach_name(p)) > 0);
}

static void points_are_off_until_switched_and_after_reset(void **state)
{
    (void)state;
    assert_false(FAULT(NONE));
    fault_is_on[FAULT_NONE] = true;
    REACHED(NONE);
    REACHED(NONE);
    assert_true(FAULT(NONE));
    assert_int_equal(reach_count[REACH_NONE], 2);
    fault_reset();
    assert_false(FAULT(NONE));
    assert_int_equal(reach_count[REACH_NONE], 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_point_is_found_by_its_name),
    cmocka_unit_test(points_are_off_until_switched_and_after_reset),
};
#else
static void points_are_compiled_out(void **state)
{
    (void)state;
    _Static_assert(!FAULT(NONE), "a constant");
}

static void marks_are_compiled_out(void **state)
{
    (void)state;
    REACHED(no_such_mark); /* it is not even looked up */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(points_are_compiled_out),
    cmocka_unit_test(marks_are_compiled_out),
};
#endif

TEST_MAIN(tests)
