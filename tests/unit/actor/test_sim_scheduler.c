/* SPDX-License-Identifier: Apache-2.0 */
#include "base/faults.h"
#include "unit/actor/recorder.h"

/* Actors that pass notes on, a timer and tasks: enough to have many interleavings. */
enum { RUNNERS = 4, LAPS = 25 };

struct race {
    struct scheduler *s;
    struct actor *runners[RUNNERS];
    uint64_t finished_count;
    uint64_t tick_count;
    uint64_t finish_order;
};

struct runner {
    struct race *race;
    size_t number;
    struct actor_timer *timer;
};

static void run_lap(struct actor *a, struct message **batch, size_t count)
{
    struct runner *r = a->state;
    struct race *race = r->race;

    for (size_t i = 0; i < count; i++) {
        struct note *n = (struct note *)batch[i];
        if (n->value == 0) {
            race->finished_count++;
            race->finish_order = race->finish_order * RUNNERS + n->sender;
        } else {
            struct note *next = note_create(race->s, n->value - 1);
            next->sender = n->sender;
            actor_send(race->runners[(r->number + 1 + n->sender) % RUNNERS], &next->base);
        }
        message_answer_code(&n->base, LYNSE_OK);
        message_destroy(&n->base);
    }
}

static void end_timer(struct actor *a)
{
    actor_timer_destroy(((struct runner *)a->state)->timer);
}

static const struct actor_ops runner_ops = {.on_batch = run_lap, .on_stop = end_timer};

static void count_tick(struct actor *a, void *ctx)
{
    (void)ctx;
    ((struct runner *)a->state)->race->tick_count++;
}

struct sprint {
    struct task task; /* first */
    unsigned steps_left;
};

static bool step_sprint(struct task *t, uint64_t budget_us)
{
    (void)budget_us;
    return --((struct sprint *)t)->steps_left == 0;
}

static void drop_sprint(struct task *t, int code)
{
    (void)t;
    (void)code;
}

struct history {
    uint64_t trace_hash;
    uint64_t step_count;
    uint64_t finish_order;
    uint64_t now_us;
};

static struct history run_race(uint64_t seed, enum sim_policy policy)
{
    struct manual_clock clock;
    manual_clock_init(&clock, 1000);
    struct sim_scheduler_desc desc = {.alloc = alloc_libc(),
                                      .clock = &clock,
                                      .seed = seed,
                                      .policy = policy,
                                      .step_us_max = 5,
                                      .delay_us_max = 20};
    struct race race = {.s = sim_scheduler_create(&desc, NULL)};
    struct runner runners[RUNNERS];
    struct sprint sprints[3];

    for (size_t i = 0; i < RUNNERS; i++) {
        struct actor_desc actor = {.ops = &runner_ops, .state = &runners[i], .name = "runner"};
        runners[i] = (struct runner){.race = &race, .number = i};
        race.runners[i] = actor_create(race.s, &actor, NULL);
        runners[i].timer = actor_timer_create(race.runners[i], count_tick, NULL, NULL);
        actor_timer_start(runners[i].timer, 1000 + i, 0);
    }
    for (size_t i = 0; i < 3; i++) {
        sprints[i] =
            (struct sprint){.task = {.step = step_sprint, .drop = drop_sprint}, .steps_left = 9};
        assert_int_equal(scheduler_submit(race.s, TASK_JOB, &sprints[i].task, NULL), 0);
    }
    for (size_t i = 0; i < RUNNERS; i++) {
        struct note *n = note_create(race.s, LAPS);
        n->sender = i;
        actor_send(race.runners[i], &n->base);
    }
    while (sim_step(race.s)) continue;
    assert_int_equal(race.finished_count, RUNNERS);
    assert_int_equal(race.tick_count, RUNNERS);
    struct history h = {sim_trace_hash(race.s), sim_step_count(race.s), race.finish_order,
                        clock.now_us};
    for (size_t i = 0; i < RUNNERS; i++) actor_destroy(race.runners[i]);
    scheduler_destroy(race.s);
    return h;
}

static void the_same_seed_repeats_the_whole_history(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        for (int policy = SIM_UNIFORM; policy <= SIM_PRIORITY; policy++) {
            struct history a = run_race(seed, (enum sim_policy)policy);
            struct history b = run_race(seed, (enum sim_policy)policy);
            assert_memory_equal(&a, &b, sizeof a);
        }
    }
}

static void different_seeds_give_different_histories_and_outcomes(void **state)
{
    enum { SEEDS = 100 };
    uint64_t hashes[SEEDS];
    size_t outcome_count = 0;
    uint64_t outcomes[SEEDS];

    (void)state;
    for (int policy = SIM_UNIFORM; policy <= SIM_PRIORITY; policy++) {
        outcome_count = 0;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct history h = run_race(seed, (enum sim_policy)policy);
            for (uint64_t i = 0; i < seed; i++) assert_true(hashes[i] != h.trace_hash);
            hashes[seed] = h.trace_hash;
            size_t i = 0;
            while (i < outcome_count && outcomes[i] != h.finish_order) i++;
            if (i == outcome_count) outcomes[outcome_count++] = h.finish_order;
        }
        assert_in_range(outcome_count, 12, 24); /* of the 4! orders of finish */
    }
}

static void waiting_moves_the_logical_clock_to_the_deadline_and_not_further(void **state)
{
    struct manual_clock clock;
    struct scheduler *s = make_sim(3, &clock);
    struct future *f = future_create(s, NULL);
    struct answer answer = {0};
    struct error err = {0};

    (void)state;
    assert_fails(future_wait(f, 5000000, &answer, &err), &err, LYNSE_DEADLINE);
    assert_int_equal(clock.now_us, 5000000);
    /* With no deadline it is told from a slow answer that none can come. */
    assert_fails(future_wait(f, 0, &answer, &err), &err, LYNSE_DEADLINE);
    reply_complete_code(&f->reply, LYNSE_OK);
    reply_release(&f->reply);
    future_release(f);
    scheduler_destroy(s);
}

static void a_late_answer_finds_no_requester_and_harms_nobody(void **state)
{
    struct manual_clock clock;
    size_t late_count = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct scheduler *s = make_sim(seed, &clock);
        struct recorder *r = recorder_create(s);
        for (uint64_t i = 0; i < 5; i++) {
            struct answer answer = {0};
            struct future *f = note_send(r, i);
            if (future_wait(f, clock.now_us + 50, &answer, NULL) != 0) {
                late_count++;
                future_cancel(f);
            }
            future_release(f);
        }
        recorder_destroy(r);
        assert_int_equal(atomic_load(&s->replies.forgotten), 0);
        scheduler_destroy(s);
    }
    assert_in_range(late_count, 1, 499);
}

/* What a simulation of any engine looks at: every request is answered, once. */
static size_t find_violations(uint64_t seed)
{
    enum { REQUESTS = 30 };
    struct manual_clock clock;
    struct scheduler *s = make_sim(seed, &clock);
    struct recorder *r = recorder_create(s);
    struct future *f[REQUESTS];
    size_t violation_count = 0;

    for (uint64_t i = 0; i < REQUESTS; i++) {
        struct answer answer = {0};
        f[i] = note_send(r, i);
        if (i % 3 == 0 && future_wait(f[i], 0, &answer, NULL) != 0) violation_count++;
    }
    actor_stop(r->actor);
    struct answer answer = {0};
    for (int i = 0; i < REQUESTS; i++) {
        if (future_wait(f[i], 0, &answer, NULL) != 0) {
            violation_count++;
            reply_complete_code(&f[i]->reply, LYNSE_INTERNAL);
            reply_release(&f[i]->reply);
        }
        future_release(f[i]);
    }
    violation_count += atomic_load(&s->replies.completed_twice);
    recorder_destroy(r);
    scheduler_destroy(s);
    return violation_count;
}

static size_t count_violations(void)
{
    size_t violation_count = 0;
    for (uint64_t seed = 0; seed < 20; seed++) violation_count += find_violations(seed);
    return violation_count;
}

/* In builds without fault points, that nothing is found. */
static void violations_are_found_where_one_is_planted_and_nowhere_else(void **state)
{
    (void)state;
    assert_int_equal(count_violations(), 0);
#ifdef LYNSE_FAULTS
    static const enum fault_point mutants[] = {FAULT_ACTOR_LOST_WAKEUP, FAULT_ACTOR_DOUBLE_REPLY,
                                               FAULT_ACTOR_DROP_WITHOUT_ANSWER};
    for (size_t i = 0; i < sizeof mutants / sizeof mutants[0]; i++) {
        fault_is_on[mutants[i]] = true;
        size_t violation_count = count_violations();
        fault_is_on[mutants[i]] = false;
        if (violation_count == 0) fail_msg("%s was not found", fault_name(mutants[i]));
    }
#endif
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_same_seed_repeats_the_whole_history),
    cmocka_unit_test(different_seeds_give_different_histories_and_outcomes),
    cmocka_unit_test(waiting_moves_the_logical_clock_to_the_deadline_and_not_further),
    cmocka_unit_test(a_late_answer_finds_no_requester_and_harms_nobody),
    cmocka_unit_test(violations_are_found_where_one_is_planted_and_nowhere_else),
};

TEST_MAIN(tests)
