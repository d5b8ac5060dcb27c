/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/placement.h"
#include "support/test.h"

static void each_actor_gets_a_worker_of_its_own_while_there_are_any(void **state)
{
    size_t counts[3] = {0};

    (void)state;
    assert_int_equal(placement_choose(counts, 0, 3), 0);
    counts[0] = 1;
    assert_int_equal(placement_choose(counts, 1, 3), 1);
    counts[1] = 1;
    assert_int_equal(placement_choose(counts, 2, 3), 2);
}

static void an_empty_worker_is_used_before_a_new_one_is_started(void **state)
{
    size_t counts[3] = {1, 0, 0};

    (void)state;
    assert_int_equal(placement_choose(counts, 2, 3), 1);
}

static void then_the_least_loaded_worker_is_shared(void **state)
{
    size_t counts[3] = {2, 1, 1};

    (void)state;
    assert_int_equal(placement_choose(counts, 3, 3), 1);
    counts[1] = 3;
    assert_int_equal(placement_choose(counts, 3, 3), 2);
    assert_int_equal(placement_choose(counts, 1, 1), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_actor_gets_a_worker_of_its_own_while_there_are_any),
    cmocka_unit_test(an_empty_worker_is_used_before_a_new_one_is_started),
    cmocka_unit_test(then_the_least_loaded_worker_is_shared),
};

TEST_MAIN(tests)
