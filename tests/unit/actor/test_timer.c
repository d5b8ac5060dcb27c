/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/timer.h"
#include "base/rng.h"
#include "support/oom_sweep.h"
#include "unit/actor/recorder.h"

enum { FIRINGS_MAX = 64 };

struct firings {
    int ids[FIRINGS_MAX];
    size_t count;
};

struct tick {
    struct actor_timer *timer;
    struct firings *firings;
    int id;
    bool ends_itself;
};

static void on_tick(struct actor *a, void *ctx)
{
    struct tick *t = ctx;

    (void)a;
    if (t->firings->count < FIRINGS_MAX) t->firings->ids[t->firings->count] = t->id;
    t->firings->count++;
    if (!t->ends_itself) return;
    actor_timer_destroy(t->timer);
    t->timer = NULL;
}

struct scene {
    struct manual_clock clock;
    struct scheduler *s;
    struct recorder *r;
    struct firings firings;
    struct tick ticks[8];
};

static void scene_init(struct scene *sc, size_t timer_count)
{
    struct error err = {0};

    memset(sc, 0, sizeof *sc);
    manual_clock_init(&sc->clock, 1000);
    sc->s = make_inline(&sc->clock.base);
    sc->r = recorder_create(sc->s);
    for (size_t i = 0; i < timer_count; i++) {
        sc->ticks[i] = (struct tick){.firings = &sc->firings, .id = (int)i};
        sc->ticks[i].timer = actor_timer_create(sc->r->actor, on_tick, &sc->ticks[i], &err);
        assert_ok(sc->ticks[i].timer ? 0 : -1, &err);
    }
}

static void scene_deinit(struct scene *sc)
{
    for (size_t i = 0; i < 8; i++) actor_timer_destroy(sc->ticks[i].timer);
    recorder_destroy(sc->r);
    scheduler_destroy(sc->s);
}

static void advance(struct scene *sc, uint64_t us)
{
    manual_clock_advance(&sc->clock, us);
    poll_all(sc->s);
}

static void timers_fire_in_order_of_time_and_then_of_creation(void **state)
{
    struct scene sc;

    (void)state;
    scene_init(&sc, 4);
    actor_timer_start(sc.ticks[3].timer, 1020, 0);
    actor_timer_start(sc.ticks[2].timer, 1010, 0);
    actor_timer_start(sc.ticks[1].timer, 1020, 0);
    actor_timer_start(sc.ticks[0].timer, 1030, 0);
    advance(&sc, 9);
    assert_int_equal(sc.firings.count, 0);
    advance(&sc, 1);
    assert_int_equal(sc.firings.count, 1);
    advance(&sc, 20);
    assert_int_equal(sc.firings.count, 4);
    const int expected[] = {2, 1, 3, 0};
    for (size_t i = 0; i < 4; i++) assert_int_equal(sc.firings.ids[i], expected[i]);
    scene_deinit(&sc);
}

static void a_periodic_timer_skips_the_ticks_it_missed(void **state)
{
    struct scene sc;

    (void)state;
    scene_init(&sc, 1);
    actor_timer_start(sc.ticks[0].timer, 1100, 100);
    for (size_t i = 1; i <= 3; i++) {
        advance(&sc, 100);
        assert_int_equal(sc.firings.count, i);
    }
    advance(&sc, 1050); /* ten and a half periods: one late tick */
    assert_int_equal(sc.firings.count, 4);
    advance(&sc, 49);
    assert_int_equal(sc.firings.count, 4);
    advance(&sc, 1); /* and the grid is kept */
    assert_int_equal(sc.firings.count, 5);
    scene_deinit(&sc);
}

static void ticks_that_come_while_one_is_queued_are_one(void **state)
{
    struct scene sc;

    (void)state;
    scene_init(&sc, 1);
    actor_timer_start(sc.ticks[0].timer, 1010, 10);
    for (int i = 0; i < 5; i++) {
        manual_clock_advance(&sc.clock, 10);
        (void)scheduler_fire_timers(sc.s);
    }
    actor_send(sc.r->actor, &note_create(sc.s, 1)->base);
    poll_all(sc.s);
    assert_int_equal(sc.firings.count, 1);
    assert_int_equal(sc.r->value_count, 1);
    scene_deinit(&sc);
}

static void a_stopped_timer_does_not_fire_even_when_it_was_due(void **state)
{
    struct scene sc;

    (void)state;
    scene_init(&sc, 2);
    actor_timer_start(sc.ticks[0].timer, 1010, 10);
    actor_timer_start(sc.ticks[1].timer, 1010, 0);
    manual_clock_advance(&sc.clock, 10);
    (void)scheduler_fire_timers(sc.s); /* both are queued now */
    actor_timer_stop(sc.ticks[0].timer);
    actor_timer_destroy(sc.ticks[1].timer);
    sc.ticks[1].timer = NULL;
    advance(&sc, 1000);
    assert_int_equal(sc.firings.count, 0);
    actor_timer_start(sc.ticks[0].timer, 2020, 0);
    advance(&sc, 10);
    assert_int_equal(sc.firings.count, 1);
    scene_deinit(&sc);
}

static void starting_again_replaces_the_time(void **state)
{
    struct scene sc;

    (void)state;
    scene_init(&sc, 1);
    actor_timer_start(sc.ticks[0].timer, 1010, 0);
    manual_clock_advance(&sc.clock, 10);
    (void)scheduler_fire_timers(sc.s);
    actor_timer_start(sc.ticks[0].timer, 1500, 0);
    advance(&sc, 100);
    assert_int_equal(sc.firings.count, 0);
    advance(&sc, 390);
    assert_int_equal(sc.firings.count, 1);
    scene_deinit(&sc);
}

static void a_timer_may_be_destroyed_by_its_own_firing(void **state)
{
    struct scene sc;

    (void)state;
    scene_init(&sc, 1);
    sc.ticks[0].ends_itself = true;
    actor_timer_start(sc.ticks[0].timer, 1010, 10);
    advance(&sc, 100);
    assert_int_equal(sc.firings.count, 1);
    scene_deinit(&sc);
}

static void a_firing_keeps_its_place_among_the_messages(void **state)
{
    struct scene sc;

    (void)state;
    scene_init(&sc, 1);
    actor_timer_start(sc.ticks[0].timer, 1010, 0);
    actor_send(sc.r->actor, &note_create(sc.s, 1)->base);
    manual_clock_advance(&sc.clock, 10);
    (void)scheduler_fire_timers(sc.s);
    actor_send(sc.r->actor, &note_create(sc.s, 2)->base);
    poll_all(sc.s);
    assert_int_equal(sc.r->value_count, 2);
    assert_int_equal(sc.r->batch_size_max, 1); /* the firing stood between them */
    assert_int_equal(sc.firings.count, 1);
    scene_deinit(&sc);
}

static void a_due_timer_of_an_actor_that_stops_is_let_go(void **state)
{
    struct scene sc;

    (void)state;
    scene_init(&sc, 1);
    actor_timer_start(sc.ticks[0].timer, 1010, 10);
    manual_clock_advance(&sc.clock, 10);
    (void)scheduler_fire_timers(sc.s);
    scene_deinit(&sc);
}

/* A sorted list is the model of the heap. */
static void many_timers_come_in_order_of_time(void **state)
{
    enum { TIMERS = 200 };
    static struct tick ticks[TIMERS];
    struct rng rng;
    struct scene sc;
    uint64_t due_us[TIMERS];

    (void)state;
    rng_init(&rng, test_seed(5));
    scene_init(&sc, 0);
    for (int i = 0; i < TIMERS; i++) {
        ticks[i] = (struct tick){.firings = &sc.firings, .id = i};
        ticks[i].timer = actor_timer_create(sc.r->actor, on_tick, &ticks[i], NULL);
        for (int k = 0; k < 2; k++) {
            due_us[i] = 1001 + rng_below(&rng, 500);
            actor_timer_start(ticks[i].timer, due_us[i], 0);
        }
        if (rng_chance(&rng, 0.3)) {
            actor_timer_destroy(ticks[i].timer);
            ticks[i].timer = NULL;
        }
    }
    for (uint64_t now_us = 1001; now_us <= 1501; now_us++) {
        sc.firings.count = 0;
        advance(&sc, 1);
        size_t seen = 0;
        for (int i = 0; i < TIMERS; i++)
            if (ticks[i].timer && due_us[i] == now_us) assert_int_equal(sc.firings.ids[seen++], i);
        assert_int_equal(sc.firings.count, seen);
    }
    for (int i = 0; i < TIMERS; i++) actor_timer_destroy(ticks[i].timer);
    scene_deinit(&sc);
}

static int create_timer(void *ctx, struct error *err)
{
    struct recorder r = {0};
    struct actor_desc desc = {.ops = &recorder_ops, .state = &r};
    struct inline_scheduler_desc inline_desc = {.alloc = ctx};
    struct scheduler *s = inline_scheduler_create(&inline_desc, err);
    struct actor *a = s ? actor_create(s, &desc, err) : NULL;
    struct actor_timer *t = a ? actor_timer_create(a, on_tick, NULL, err) : NULL;
    int rc = t ? 0 : -1;

    actor_timer_destroy(t);
    actor_destroy(a);
    scheduler_destroy(s);
    return rc;
}

static void without_memory_creation_fails_cleanly(void **state)
{
    struct alloc *a = alloc_create(NULL, 0);

    (void)state;
    oom_sweep(a, create_timer, a);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(timers_fire_in_order_of_time_and_then_of_creation),
    cmocka_unit_test(a_periodic_timer_skips_the_ticks_it_missed),
    cmocka_unit_test(ticks_that_come_while_one_is_queued_are_one),
    cmocka_unit_test(a_stopped_timer_does_not_fire_even_when_it_was_due),
    cmocka_unit_test(starting_again_replaces_the_time),
    cmocka_unit_test(a_timer_may_be_destroyed_by_its_own_firing),
    cmocka_unit_test(a_firing_keeps_its_place_among_the_messages),
    cmocka_unit_test(a_due_timer_of_an_actor_that_stops_is_let_go),
    cmocka_unit_test(many_timers_come_in_order_of_time),
    cmocka_unit_test(without_memory_creation_fails_cleanly),
};

TEST_MAIN(tests)
