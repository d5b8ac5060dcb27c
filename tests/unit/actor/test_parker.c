/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/parker.h"
#include "base/clock.h"
#include "support/test.h"

static void a_wake_before_the_wait_is_remembered_once(void **state)
{
    struct parker p;

    (void)state;
    parker_init(&p);
    parker_wake(&p);
    parker_wake(&p);
    assert_true(parker_wait(&p, NULL, 0));
    assert_false(parker_wait(&p, NULL, 1));
    parker_deinit(&p);
}

static void a_wait_ends_at_its_deadline(void **state)
{
    struct parker p;
    struct spinner sp;
    uint64_t deadline_us = clock_now_us(clock_system()) + 1000;

    (void)state;
    parker_init(&p);
    spinner_init(&sp, 100);
    assert_false(parker_wait(&p, &sp, deadline_us));
    assert_true(clock_now_us(clock_system()) >= deadline_us);
    parker_deinit(&p);
}

enum { ROUNDS = 20000 };

struct pair {
    struct parker ping;
    struct parker pong;
    uint32_t spin_us;
    unsigned value; /* handed to and fro; only whoever was woken touches it */
};

static void answer_pings(void *ctx)
{
    struct pair *pair = ctx;
    struct spinner sp;

    spinner_init(&sp, pair->spin_us);
    for (unsigned i = 0; i < ROUNDS; i++) {
        (void)parker_wait(&pair->ping, &sp, 0);
        pair->value++;
        parker_wake(&pair->pong);
    }
}

static void play(uint32_t spin_us)
{
    struct pair pair = {.spin_us = spin_us};
    struct thread thread = {0};
    struct spinner sp;
    struct error err = {0};

    parker_init(&pair.ping);
    parker_init(&pair.pong);
    spinner_init(&sp, spin_us);
    assert_ok(thread_start(&thread, "pong", answer_pings, &pair, &err), &err);
    for (unsigned i = 0; i < ROUNDS; i++) {
        parker_wake(&pair.ping);
        (void)parker_wait(&pair.pong, &sp, 0);
        assert_int_equal(pair.value, i + 1);
    }
    thread_join(&thread);
    parker_deinit(&pair.ping);
    parker_deinit(&pair.pong);
}

static void no_wake_is_lost_between_two_threads(void **state)
{
    (void)state;
    play(0);
    play(1);
    play(50);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_wake_before_the_wait_is_remembered_once),
    cmocka_unit_test(a_wait_ends_at_its_deadline),
    cmocka_unit_test(no_wake_is_lost_between_two_threads),
};

TEST_MAIN(tests)
