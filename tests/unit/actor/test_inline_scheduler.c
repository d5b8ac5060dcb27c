/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>

#include "base/check.h"
#include "unit/actor/recorder.h"

/* A task whose every step takes all of its budget, by the manual clock. */
struct hungry {
    struct task task; /* first */
    struct manual_clock *clock;
    unsigned steps_left;
    uint64_t budget_sum_us;
};

static bool eat(struct task *t, uint64_t budget_us)
{
    struct hungry *h = (struct hungry *)t;
    manual_clock_advance(h->clock, budget_us);
    h->budget_sum_us += budget_us;
    return --h->steps_left == 0;
}

static void never_dropped(struct task *t, int code)
{
    (void)t;
    fail_msg("dropped with %d", code);
}

static void a_poll_stops_when_its_budget_is_used(void **state)
{
    struct manual_clock clock;
    manual_clock_init(&clock, 0);
    struct scheduler *s = make_inline(&clock.base);
    struct hungry h = {.task = {.step = eat, .drop = never_dropped}, .clock = &clock};

    (void)state;
    h.steps_left = 2;
    assert_int_equal(scheduler_submit(s, TASK_JOB, &h.task, NULL), 0);
    assert_true(inline_poll(s, 300));
    assert_int_equal(clock.now_us, 300);
    assert_int_equal(h.steps_left, 1);
    assert_false(inline_poll(s, 200));
    assert_int_equal(h.budget_sum_us, 500);
    assert_false(inline_poll(s, 100));
    scheduler_destroy(s);
}

static void a_poll_without_a_budget_runs_one_thing(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct recorder *a = recorder_create(s);
    struct recorder *b = recorder_create(s);

    (void)state;
    actor_send(a->actor, &note_create(s, 1)->base);
    actor_send(b->actor, &note_create(s, 1)->base);
    assert_true(inline_poll(s, 0));
    assert_int_equal(a->value_count + b->value_count, 1);
    assert_false(inline_poll(s, 0));
    assert_int_equal(a->value_count + b->value_count, 2);
    recorder_destroy(a);
    recorder_destroy(b);
    scheduler_destroy(s);
}

static void neither_a_job_nor_an_actor_keeps_the_other_waiting(void **state)
{
    struct manual_clock clock;
    manual_clock_init(&clock, 0);
    struct scheduler *s = make_inline(&clock.base);
    struct recorder *r = recorder_create_with(s, (struct actor_desc){.batch_max = 1});
    struct hungry job = {.task = {.step = eat, .drop = never_dropped}, .clock = &clock};
    struct hungry search = job;

    (void)state;
    job.steps_left = search.steps_left = 5;
    assert_int_equal(scheduler_submit(s, TASK_JOB, &job.task, NULL), 0);
    assert_int_equal(scheduler_submit(s, TASK_SEARCH, &search.task, NULL), 0);
    for (uint64_t i = 0; i < 10; i++) actor_send(r->actor, &note_create(s, i)->base);
    for (int i = 0; i < 8; i++) (void)inline_poll(s, 0);
    assert_int_equal(r->value_count, 4);
    assert_int_equal(job.steps_left, 3);
    assert_int_equal(search.steps_left, 3);
    poll_all(s);
    while (inline_poll(s, 0)) continue;
    assert_int_equal(job.steps_left + search.steps_left, 0);
    recorder_destroy(r);
    scheduler_destroy(s);
}

/* Host threads that all make calls which wait. */
enum { CALLERS = 3, CALLS = 2000 };

/* Both actors' handlers change this without a lock: one host thread at a time is inside. */
struct shared {
    struct actor *actors[2];
    uint64_t count;
};

static void count_unlocked(struct actor *a, struct message **batch, size_t count)
{
    struct shared *shared = a->state;
    for (size_t i = 0; i < count; i++) {
        uint64_t before = shared->count;
        sched_yield();
        shared->count = before + 1;
        message_answer_code(batch[i], LYNSE_OK);
        message_destroy(batch[i]);
    }
}

struct caller {
    struct shared *shared;
    struct thread thread;
};

static void call_often(void *ctx)
{
    struct caller *c = ctx;
    for (uint64_t i = 0; i < CALLS; i++) {
        struct actor *a = c->shared->actors[i % 2];
        struct future *f = future_create(a->scheduler, NULL);
        struct note *n = note_create(a->scheduler, i);
        n->base.reply = &f->reply;
        actor_send(a, &n->base);
        CHECK(future_code(f) == LYNSE_OK);
    }
}

static void several_host_threads_may_wait_at_once(void **state)
{
    struct scheduler *s = make_inline(NULL);
    static const struct actor_ops ops = {.on_batch = count_unlocked};
    struct shared shared = {.count = 0};
    struct actor_desc desc = {.ops = &ops, .state = &shared};
    struct caller callers[CALLERS];

    (void)state;
    for (int i = 0; i < 2; i++) shared.actors[i] = actor_create(s, &desc, NULL);
    for (int i = 0; i < CALLERS; i++) {
        struct error err = {0};
        callers[i] = (struct caller){.shared = &shared};
        assert_ok(thread_start(&callers[i].thread, "caller", call_often, &callers[i], &err), &err);
    }
    for (int i = 0; i < CALLERS; i++) thread_join(&callers[i].thread);
    assert_int_equal(shared.count, CALLERS * CALLS);
    for (int i = 0; i < 2; i++) actor_destroy(shared.actors[i]);
    scheduler_destroy(s);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_poll_stops_when_its_budget_is_used),
    cmocka_unit_test(a_poll_without_a_budget_runs_one_thing),
    cmocka_unit_test(neither_a_job_nor_an_actor_keeps_the_other_waiting),
    cmocka_unit_test(several_host_threads_may_wait_at_once),
};

TEST_MAIN(tests)
