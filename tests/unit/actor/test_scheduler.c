/* SPDX-License-Identifier: Apache-2.0 */
/* One scripted scenario on all three schedulers: they must agree. */
#include "actor/scheduler.h"

#include "unit/actor/recorder.h"

enum { LEDGER_ADD, LEDGER_READ, ADDS = 200, TASKS = 20 };

/* A bank account as an actor, and tasks that report their result to it. */
struct ledger {
    struct actor *actor;
    uint64_t sum;
    uint64_t order; /* hash of what came, in order */
    size_t refused_count;
};

static void ledger_on_batch(struct actor *a, struct message **batch, size_t count)
{
    struct ledger *l = a->state;

    for (size_t i = 0; i < count; i++) {
        struct note *n = (struct note *)batch[i];
        struct answer answer;
        answer_init(&answer, n->value == 13 ? LYNSE_INVALID : LYNSE_OK);
        if (n->base.kind == LEDGER_ADD && n->value != 13) {
            l->sum += n->value;
            if (n->sender == 0) l->order = hash_u64(l->order ^ n->value);
        }
        answer.result = &l->sum;
        message_answer(&n->base, &answer);
        message_destroy(&n->base);
    }
}

static const struct actor_ops ledger_ops = {.on_batch = ledger_on_batch};

/* Adds up 1..10 in steps, then tells the ledger. */
struct sum_task {
    struct task task; /* first */
    struct ledger *ledger;
    struct reply *reply;
    uint64_t next;
    uint64_t sum;
};

static bool sum_step(struct task *t, uint64_t budget_us)
{
    struct sum_task *st = (struct sum_task *)t;
    struct scheduler *s = st->ledger->actor->scheduler;

    (void)budget_us;
    st->sum += ++st->next;
    if (st->next < 10) return false;
    struct note *n = note_create(s, st->sum);
    n->base.class = MESSAGE_SYSTEM;
    n->base.reply = st->reply;
    n->sender = 1;
    actor_send(st->ledger->actor, &n->base);
    free(st);
    return true;
}

static void sum_drop(struct task *t, int code)
{
    struct sum_task *st = (struct sum_task *)t;
    reply_complete_code(st->reply, code);
    reply_release(st->reply);
    free(st);
}

static struct future *submit_sum(struct scheduler *s, struct ledger *l, enum task_class class)
{
    struct future *f = future_create(s, NULL);
    struct sum_task *st = calloc(1, sizeof *st);
    struct error err = {0};

    *st = (struct sum_task){.task = {.step = sum_step, .drop = sum_drop}, .ledger = l};
    st->reply = &f->reply;
    assert_ok(scheduler_submit(s, class, &st->task, &err), &err);
    return f;
}

struct outcome {
    uint64_t sum;
    uint64_t order;
    size_t ok_count;
    size_t invalid_count;
    int code_after_stop;
};

static struct outcome play(struct scheduler *s)
{
    struct ledger l = {0};
    struct actor_desc desc = {.ops = &ledger_ops, .state = &l, .name = "ledger"};
    struct outcome o = {0};
    struct future *adds[ADDS];

    l.actor = actor_create(s, &desc, NULL);
    assert_non_null(l.actor);
    for (uint64_t i = 0; i < ADDS; i++) {
        struct note *n = note_create(s, i);
        adds[i] = future_create(s, NULL);
        n->base.reply = &adds[i]->reply;
        actor_send(l.actor, &n->base);
    }
    for (int i = 0; i < TASKS; i++) {
        struct future *f = submit_sum(s, &l, i % 2 ? TASK_SEARCH : TASK_JOB);
        assert_int_equal(future_code(f), LYNSE_OK);
    }
    for (int i = 0; i < ADDS; i++) {
        int code = future_code(adds[i]);
        o.ok_count += code == LYNSE_OK;
        o.invalid_count += code == LYNSE_INVALID;
    }
    actor_stop(l.actor);
    struct note *late = note_create(s, 1);
    struct future *f = future_create(s, NULL);
    late->base.reply = &f->reply;
    actor_send(l.actor, &late->base);
    o.code_after_stop = future_code(f);
    actor_destroy(l.actor);
    o.sum = l.sum;
    o.order = l.order;
    scheduler_destroy(s);
    return o;
}

static void check(struct outcome o)
{
    uint64_t order = 0;
    for (uint64_t i = 0; i < ADDS; i++)
        if (i != 13) order = hash_u64(order ^ i);
    assert_int_equal(o.sum, ADDS * (ADDS - 1) / 2 - 13 + TASKS * 55);
    assert_true(o.order == order);
    assert_int_equal(o.ok_count, ADDS - 1);
    assert_int_equal(o.invalid_count, 1);
    assert_int_equal(o.code_after_stop, LYNSE_SHUTTING_DOWN);
}

static void inline_plays_the_script(void **state)
{
    (void)state;
    check(play(make_inline(NULL)));
}

static void threads_play_the_script(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) check(play(make_threads()));
}

static void every_seed_plays_the_script(void **state)
{
    struct manual_clock clock;

    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) check(play(make_sim(seed, &clock)));
}

/* ---- Tasks without threads ---- */

static void tasks_of_a_class_are_bounded(struct scheduler *s, size_t queue_max)
{
    struct ledger l = {0};
    struct actor_desc desc = {.ops = &ledger_ops, .state = &l};
    struct future *f[100];
    struct sum_task one_more = {.task = {.step = sum_step, .drop = sum_drop}};
    struct error err = {0};

    l.actor = actor_create(s, &desc, NULL);
    for (size_t i = 0; i < queue_max; i++) f[i] = submit_sum(s, &l, TASK_JOB);
    assert_fails(scheduler_submit(s, TASK_JOB, &one_more.task, &err), &err, LYNSE_BUSY);
    struct future *search = submit_sum(s, &l, TASK_SEARCH);
    assert_int_equal(future_code(search), LYNSE_OK);
    for (size_t i = 0; i < queue_max; i++) assert_int_equal(future_code(f[i]), LYNSE_OK);

    struct future *dropped = submit_sum(s, &l, TASK_SEARCH);
    actor_destroy(l.actor); /* runs some of it, perhaps, but not to the end: nothing is awaited */
    struct answer answer = {0};
    bool was_answered = future_poll(dropped, &answer);
    if (!was_answered) scheduler_destroy(s);
    assert_true(future_poll(dropped, &answer));
    assert_int_equal(answer.code, LYNSE_SHUTTING_DOWN);
    future_release(dropped);
    if (was_answered) scheduler_destroy(s);
}

static void without_threads_tasks_are_bounded_and_dropped_at_the_end(void **state)
{
    struct manual_clock clock;

    (void)state;
    tasks_of_a_class_are_bounded(make_inline(NULL), 4);
    tasks_of_a_class_are_bounded(make_sim(1, &clock), 64);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(inline_plays_the_script),
    cmocka_unit_test(threads_play_the_script),
    cmocka_unit_test(every_seed_plays_the_script),
    cmocka_unit_test(without_threads_tasks_are_bounded_and_dropped_at_the_end),
};

TEST_MAIN(tests)
