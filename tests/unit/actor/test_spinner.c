/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/spinner.h"
#include "support/test.h"

struct looks {
    uint64_t count;
    uint64_t ready_at; /* the look that finds it ready */
};

static bool look(void *ctx)
{
    struct looks *l = ctx;
    return ++l->count >= l->ready_at;
}

static uint64_t looks_in_vain(struct spinner *sp)
{
    struct looks l = {.ready_at = UINT64_MAX};
    assert_false(spinner_spin(sp, look, &l));
    return l.count;
}

static void without_a_spinner_there_is_one_look(void **state)
{
    struct spinner sp;
    struct looks ready = {.ready_at = 1};

    (void)state;
    assert_int_equal(looks_in_vain(NULL), 1);
    assert_true(spinner_spin(NULL, look, &ready));
    spinner_init(&sp, 0);
    for (int i = 0; i < 100; i++) assert_int_equal(looks_in_vain(&sp), 1);
}

static void spinning_in_vain_is_given_up_and_tried_again_now_and_then(void **state)
{
    struct spinner sp;
    int spun_count = 0;

    (void)state;
    spinner_init(&sp, 8);
    while (looks_in_vain(&sp) > 1) spun_count++;
    assert_int_equal(spun_count, 4); /* 8, 4, 2, 1 */
    for (int i = 0; i < 1000; i++) spun_count += looks_in_vain(&sp) > 1;
    assert_in_range(spun_count, 20, 50);
}

static void success_restores_the_full_length(void **state)
{
    struct spinner sp;
    int spun_count = 0;

    (void)state;
    spinner_init(&sp, 8);
    while (looks_in_vain(&sp) > 1) continue;
    for (;;) {
        struct looks l = {.ready_at = 3};
        if (spinner_spin(&sp, look, &l)) break;
    }
    while (looks_in_vain(&sp) > 1) spun_count++;
    assert_int_equal(spun_count, 4);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_a_spinner_there_is_one_look),
    cmocka_unit_test(spinning_in_vain_is_given_up_and_tried_again_now_and_then),
    cmocka_unit_test(success_restores_the_full_length),
};

TEST_MAIN(tests)
