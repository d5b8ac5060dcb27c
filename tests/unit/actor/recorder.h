/* SPDX-License-Identifier: Apache-2.0 */
/* recorder.h — an actor for tests: it writes down what it gets and answers with it. */
#ifndef TESTS_ACTOR_RECORDER_H
#define TESTS_ACTOR_RECORDER_H

#include "actor/actor.h"
#include "actor/scheduler.h"
#include "base/clock.h"
#include "base/hash.h"
#include "support/test.h"

enum recorder_kind { RECORD, SYSTEM_NOTE, STOP_YOURSELF };
enum { RECORDER_VALUES_MAX = 4096 };

struct note {
    struct message base; /* first */
    uint64_t sender;
    uint64_t value;
};

struct recorder {
    struct actor *actor;
    uint64_t values[RECORDER_VALUES_MAX]; /* in the order of arrival, the first ones */
    uint64_t senders[RECORDER_VALUES_MAX];
    size_t value_count;
    size_t batch_size_max;
    size_t idle_count;
    size_t stop_count;
    size_t count_at_stop;
};

static inline void recorder_on_batch(struct actor *a, struct message **batch, size_t count)
{
    struct recorder *r = a->state;

    if (count > r->batch_size_max) r->batch_size_max = count;
    for (size_t i = 0; i < count; i++) {
        struct note *n = (struct note *)batch[i];
        if (r->value_count < RECORDER_VALUES_MAX) {
            r->values[r->value_count] = n->value;
            r->senders[r->value_count] = n->sender;
        }
        r->value_count++;
        if (n->base.kind == STOP_YOURSELF) actor_stop(a);
        message_answer_code(&n->base, LYNSE_OK);
        message_destroy(&n->base);
    }
}

static inline void recorder_on_idle(struct actor *a)
{
    ((struct recorder *)a->state)->idle_count++;
}

static inline void recorder_on_stop(struct actor *a)
{
    struct recorder *r = a->state;
    r->stop_count++;
    r->count_at_stop = r->value_count;
}

static const struct actor_ops recorder_ops = {recorder_on_batch, recorder_on_idle,
                                              recorder_on_stop};

static inline struct recorder *recorder_create_with(struct scheduler *s, struct actor_desc desc)
{
    struct recorder *r = calloc(1, sizeof *r);
    struct error err = {0};

    assert_non_null(r);
    desc.ops = &recorder_ops;
    desc.state = r;
    if (!desc.name) desc.name = "recorder";
    r->actor = actor_create(s, &desc, &err);
    assert_ok(r->actor ? 0 : -1, &err);
    return r;
}

static inline struct recorder *recorder_create(struct scheduler *s)
{
    return recorder_create_with(s, (struct actor_desc){0});
}

static inline void recorder_destroy(struct recorder *r)
{
    actor_destroy(r->actor);
    assert_int_equal(r->stop_count, 1);
    assert_int_equal(r->count_at_stop, r->value_count);
    free(r);
}

static inline struct note *note_create(struct scheduler *s, uint64_t value)
{
    struct note *n = message_create(s, sizeof *n, RECORD, MESSAGE_WRITE);
    assert_non_null(n);
    n->value = value;
    return n;
}

/* A note whose reply is the returned future. */
static inline struct future *note_send(struct recorder *r, uint64_t value)
{
    struct scheduler *s = r->actor->scheduler;
    struct note *n = note_create(s, value);
    struct future *f = future_create(s, NULL);

    assert_non_null(f);
    n->base.reply = &f->reply;
    actor_send(r->actor, &n->base);
    return f;
}

/* Wait without a deadline, release, return the code. */
static inline int future_code(struct future *f)
{
    struct answer answer = {0};
    struct error err = {0};
    assert_ok(future_wait(f, 0, &answer, &err), &err);
    answer_deinit(&answer);
    future_release(f);
    return answer.code;
}

static inline struct scheduler *make_inline(const struct clock *clock)
{
    struct inline_scheduler_desc desc = {.alloc = alloc_libc(), .clock = clock, .queue_max = 4};
    struct scheduler *s = inline_scheduler_create(&desc, NULL);
    assert_non_null(s);
    return s;
}

static inline struct scheduler *make_threads(void)
{
    struct thread_scheduler_desc desc = {
        .alloc = alloc_libc(), .actor_threads_max = 2, .search_threads = 2, .job_threads = 1};
    struct scheduler *s = thread_scheduler_create(&desc, NULL);
    assert_non_null(s);
    return s;
}

static inline struct scheduler *make_sim(uint64_t seed, struct manual_clock *clock)
{
    struct sim_scheduler_desc desc = {.alloc = alloc_libc(),
                                      .clock = clock,
                                      .seed = seed,
                                      .step_us_max = 10,
                                      .delay_us_max = 100,
                                      .queue_max = 64};
    manual_clock_init(clock, 1000000);
    struct scheduler *s = sim_scheduler_create(&desc, NULL);
    assert_non_null(s);
    return s;
}

static inline void poll_all(struct scheduler *s)
{
    while (inline_poll(s, 1000000)) continue;
}

#endif
