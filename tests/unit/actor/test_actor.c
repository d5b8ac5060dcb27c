/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/actor.h"
#include "base/limits.h"
#include "support/oom_sweep.h"
#include "unit/actor/recorder.h"

static void messages_of_one_sender_arrive_in_order_and_in_batches(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct recorder *r = recorder_create(s);

    (void)state;
    for (uint64_t i = 0; i < 100; i++) actor_send(r->actor, &note_create(s, i)->base);
    assert_int_equal(actor_queue_length(r->actor), 100);
    poll_all(s);
    assert_int_equal(r->value_count, 100);
    for (uint64_t i = 0; i < 100; i++) assert_int_equal(r->values[i], i);
    assert_int_equal(r->batch_size_max, ACTOR_BATCH_MAX);
    assert_int_equal(r->idle_count, 1);
    recorder_destroy(r);
    scheduler_destroy(s);
}

static void a_full_actor_refuses_with_busy_and_the_reply_says_so(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct actor_desc desc = {.mailbox = {.messages_max = 2}};
    struct recorder *r = recorder_create_with(s, desc);

    (void)state;
    struct future *first = note_send(r, 1);
    struct future *second = note_send(r, 2);
    struct note *kept = note_create(s, 3);
    assert_int_equal(actor_try_send(r->actor, &kept->base), LYNSE_BUSY);
    assert_int_equal(future_code(note_send(r, 4)), LYNSE_BUSY);
    assert_int_equal(future_code(first), LYNSE_OK);
    assert_int_equal(future_code(second), LYNSE_OK);
    assert_int_equal(actor_try_send(r->actor, &kept->base), LYNSE_OK);
    poll_all(s);
    assert_int_equal(r->value_count, 3);
    assert_int_equal(r->values[2], 3);
    recorder_destroy(r);
    scheduler_destroy(s);
}

static void a_batch_is_bounded_in_messages_and_bytes(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct recorder *few = recorder_create_with(s, (struct actor_desc){.batch_max = 3});
    struct recorder *light = recorder_create_with(s, (struct actor_desc){.batch_bytes = 1000});

    (void)state;
    for (uint64_t i = 0; i < 8; i++) {
        actor_send(few->actor, &note_create(s, i)->base);
        struct note *n = note_create(s, i);
        n->base.bytes = 500;
        actor_send(light->actor, &n->base);
    }
    poll_all(s);
    assert_int_equal(few->value_count, 8);
    assert_int_equal(few->batch_size_max, 3);
    assert_int_equal(light->value_count, 8);
    assert_int_equal(light->batch_size_max, 2);
    recorder_destroy(few);
    recorder_destroy(light);
    scheduler_destroy(s);
}

static void stopping_answers_everything_that_is_queued(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct recorder *r = recorder_create(s);
    struct future *f[3];

    (void)state;
    for (uint64_t i = 0; i < 3; i++) f[i] = note_send(r, i);
    actor_stop(r->actor);
    for (uint64_t i = 0; i < 3; i++) assert_int_equal(future_code(f[i]), LYNSE_SHUTTING_DOWN);
    assert_int_equal(r->value_count, 0);
    recorder_destroy(r);
    scheduler_destroy(s);
}

static void messages_after_a_stop_are_answered_too(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct recorder *r = recorder_create(s);

    (void)state;
    actor_stop(r->actor);
    assert_int_equal(future_code(note_send(r, 1)), LYNSE_SHUTTING_DOWN);
    poll_all(s);
    assert_int_equal(future_code(note_send(r, 2)), LYNSE_SHUTTING_DOWN);
    struct note *system = note_create(s, 3);
    system->base.class = MESSAGE_SYSTEM;
    assert_int_equal(actor_try_send(r->actor, &system->base), LYNSE_SHUTTING_DOWN);
    message_drop(&system->base, LYNSE_SHUTTING_DOWN);
    assert_int_equal(r->value_count, 0);
    recorder_destroy(r);
    scheduler_destroy(s);
}

static void an_actor_may_stop_itself(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct recorder *r = recorder_create_with(s, (struct actor_desc){.batch_max = 1});
    struct note *n = note_create(s, 1);

    (void)state;
    n->base.kind = STOP_YOURSELF;
    actor_send(r->actor, &n->base);
    struct future *later = note_send(r, 2);
    assert_int_equal(future_code(later), LYNSE_SHUTTING_DOWN);
    assert_int_equal(r->value_count, 1);
    recorder_destroy(r);
    scheduler_destroy(s);
}

static void destroying_without_a_stop_answers_what_is_queued(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct recorder *r = recorder_create(s);
    struct future *f = note_send(r, 1);

    (void)state;
    recorder_destroy(r);
    assert_int_equal(future_code(f), LYNSE_SHUTTING_DOWN);
    scheduler_destroy(s);
}

static void expired_messages_are_answered_before_any_work(void **state)
{
    struct manual_clock clock;
    manual_clock_init(&clock, 1000);
    struct scheduler *s = make_inline(&clock.base);
    struct recorder *r = recorder_create(s);
    struct future *f = future_create(s, NULL);
    struct note *late = note_create(s, 1);
    struct note *system = note_create(s, 2);
    struct note *in_time = note_create(s, 3);

    (void)state;
    late->base.reply = &f->reply;
    late->base.deadline_us = 2000;
    system->base.class = MESSAGE_SYSTEM;
    system->base.deadline_us = 2000;
    in_time->base.deadline_us = 2001;
    actor_send(r->actor, &late->base);
    actor_send(r->actor, &system->base);
    actor_send(r->actor, &in_time->base);
    manual_clock_advance(&clock, 1000);
    poll_all(s);
    assert_int_equal(future_code(f), LYNSE_DEADLINE);
    assert_int_equal(r->value_count, 2);
    assert_int_equal(r->values[0], 2);
    assert_int_equal(r->values[1], 3);
    recorder_destroy(r);
    scheduler_destroy(s);
}

static void cancelled_messages_are_answered_before_any_work(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct recorder *r = recorder_create(s);
    struct note *by_sender = note_create(s, 1);

    (void)state;
    message_cancel(&by_sender->base);
    actor_send(r->actor, &by_sender->base);
    struct future *f = note_send(r, 2);
    future_cancel(f);
    actor_send(r->actor, &note_create(s, 3)->base);
    assert_int_equal(future_code(f), LYNSE_CANCELLED);
    poll_all(s);
    assert_int_equal(r->value_count, 1);
    assert_int_equal(r->values[0], 3);
    recorder_destroy(r);
    scheduler_destroy(s);
}

struct nested {
    struct recorder *other;
    int code;
};

/* A completion callback that makes a call that waits. */
static void wait_inside(void *ctx, struct answer *take_answer)
{
    struct nested *n = ctx;
    answer_deinit(take_answer);
    n->code = future_code(note_send(n->other, 7));
}

static void a_callback_may_wait_for_another_actor_where_there_are_no_threads(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct recorder *first = recorder_create(s);
    struct recorder *other = recorder_create(s);
    struct nested nested = {.other = other, .code = -1};
    struct note *n = note_create(s, 1);

    (void)state;
    n->base.reply = reply_create_callback(s, wait_inside, &nested, NULL);
    actor_send(first->actor, &n->base);
    poll_all(s);
    assert_int_equal(nested.code, LYNSE_OK);
    assert_int_equal(other->values[0], 7);
    recorder_destroy(first);
    recorder_destroy(other);
    scheduler_destroy(s);
}

static void a_bound_out_of_range_is_reported(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct actor_desc desc = {.ops = &recorder_ops, .mailbox = {.messages_max = SIZE_MAX}};
    struct error err = {0};

    (void)state;
    assert_null(actor_create(s, &desc, &err));
    assert_int_equal(err.code, LYNSE_LIMIT);
    scheduler_destroy(s);
}

struct scene {
    struct alloc *alloc;
    struct manual_clock clock;
};

/* Everything that a scheduler and an actor allocate, in one scenario. */
static int play(struct scheduler *s, struct error *err)
{
    struct recorder r = {0};
    struct actor_desc desc = {.ops = &recorder_ops, .state = &r};
    struct note *n = NULL;
    int rc = -1;

    r.actor = actor_create(s, &desc, err);
    if (!r.actor) goto out;
    n = message_create(s, sizeof *n, RECORD, MESSAGE_WRITE);
    if (!n) {
        error_no_memory(err, sizeof *n);
        goto out;
    }
    actor_send(r.actor, &n->base);
    rc = 0;
out:
    actor_destroy(r.actor);
    scheduler_destroy(s);
    return rc;
}

static int play_inline(void *ctx, struct error *err)
{
    struct inline_scheduler_desc desc = {.alloc = ((struct scene *)ctx)->alloc};
    struct scheduler *s = inline_scheduler_create(&desc, err);
    return s ? play(s, err) : -1;
}

static int play_sim(void *ctx, struct error *err)
{
    struct scene *scene = ctx;
    struct sim_scheduler_desc desc = {.alloc = scene->alloc, .clock = &scene->clock};
    struct scheduler *s = sim_scheduler_create(&desc, err);
    return s ? play(s, err) : -1;
}

static int create_threads(void *ctx, struct error *err)
{
    struct thread_scheduler_desc desc = {.alloc = ((struct scene *)ctx)->alloc};
    struct scheduler *s = thread_scheduler_create(&desc, err);
    scheduler_destroy(s);
    return s ? 0 : -1;
}

static void without_memory_every_creation_fails_cleanly(void **state)
{
    struct scene scene = {.alloc = alloc_create(NULL, 0)};

    (void)state;
    manual_clock_init(&scene.clock, 0);
    oom_sweep(scene.alloc, play_inline, &scene);
    oom_sweep(scene.alloc, play_sim, &scene);
    oom_sweep(scene.alloc, create_threads, &scene);
    alloc_destroy(scene.alloc);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(messages_of_one_sender_arrive_in_order_and_in_batches),
    cmocka_unit_test(a_full_actor_refuses_with_busy_and_the_reply_says_so),
    cmocka_unit_test(a_batch_is_bounded_in_messages_and_bytes),
    cmocka_unit_test(stopping_answers_everything_that_is_queued),
    cmocka_unit_test(messages_after_a_stop_are_answered_too),
    cmocka_unit_test(an_actor_may_stop_itself),
    cmocka_unit_test(destroying_without_a_stop_answers_what_is_queued),
    cmocka_unit_test(expired_messages_are_answered_before_any_work),
    cmocka_unit_test(cancelled_messages_are_answered_before_any_work),
    cmocka_unit_test(a_callback_may_wait_for_another_actor_where_there_are_no_threads),
    cmocka_unit_test(a_bound_out_of_range_is_reported),
    cmocka_unit_test(without_memory_every_creation_fails_cleanly),
};

TEST_MAIN(tests)
