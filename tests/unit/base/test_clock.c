/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "support/test.h"

static void system_clock_runs_forward(void **state)
{
    (void)state;
    const struct clock *c = clock_system();
    uint64_t before = clock_now_us(c);
    for (int i = 0; i < 10000; i++) {
        uint64_t now = clock_now_us(c);
        assert_true(now >= before);
        before = now;
    }
    /* Microseconds since 1970: after 2020, before 2200. */
    assert_true(c->wall_us(c) > 1577836800000000ll && c->wall_us(c) < 7258118400000000ll);
}

static void manual_clock_stands_until_moved(void **state)
{
    (void)state;
    struct manual_clock c;
    manual_clock_init(&c, 500);
    assert_int_equal(clock_now_us(&c.base), 500);
    assert_int_equal(clock_now_us(&c.base), 500);
    manual_clock_advance(&c, 1500);
    assert_int_equal(clock_now_us(&c.base), 2000);
    assert_int_equal(c.base.wall_us(&c.base), 2000);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(system_clock_runs_forward),
    cmocka_unit_test(manual_clock_stands_until_moved),
};

TEST_MAIN(tests)
