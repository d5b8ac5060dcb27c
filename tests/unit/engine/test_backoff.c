/* SPDX-License-Identifier: Apache-2.0 */
/* test_backoff.c — what fails is tried again ever more seldom, but never given up. */
#include "engine/backoff.h"
#include "support/test.h"

static void each_wait_is_twice_the_one_before_up_to_a_bound(void **state)
{
    const struct backoff b = {.first_us = 30000000, .doublings = 7};

    (void)state;
    assert_int_equal(backoff_us(&b, 0), 30000000);
    for (uint32_t failures = 1; failures <= 7; failures++)
        assert_int_equal(backoff_us(&b, failures), 2 * backoff_us(&b, failures - 1));
    assert_int_equal(backoff_us(&b, 7), 3840000000u);
    assert_int_equal(backoff_us(&b, 8), 3840000000u);
    assert_int_equal(backoff_us(&b, UINT32_MAX), 3840000000u);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_wait_is_twice_the_one_before_up_to_a_bound),
};
TEST_MAIN(tests)
