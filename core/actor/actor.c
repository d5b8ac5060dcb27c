/* SPDX-License-Identifier: Apache-2.0 */
/* actor.c — life of an actor: created, running, stopped, ended.
 *
 * WHAT        Sends push into the mailbox; the push that finds it idle schedules the actor.  The
 *             scheduler calls actor_run, one batch a turn, until the mailbox is idle again.
 * INVARIANTS  (1) An actor is in a run queue or in its turn exactly while its mailbox is not
 *                 idle; so it is in at most one queue and on at most one thread.
 *             (2) A message that was taken reaches on_batch or is dropped; there is no third way.
 *             (3) After on_stop no message reaches on_batch.
 *             (4) When actor_run returns ACTOR_IDLE or ACTOR_ENDED it does not touch the actor
 *                 after the step that let others have it (mark_idle, is_ended).
 * THREADS     actor_try_send, actor_send, actor_stop: any.  Everything marked "turn": one at a
 *             time, ordered by the mailbox's idle bit and the scheduler's queue.
 * FAILURE     A send after stop is answered SHUTTING_DOWN, also when it races with the stop: it
 *             then schedules the stopped actor, whose turn drops it.
 */
#include "actor/actor.h"

#include <stdio.h>
#include <string.h>

#include "actor/scheduler.h"
#include "base/check.h"
#include "base/faults.h"
#include "base/limits.h"

enum actor_life { ACTOR_RUNNING, ACTOR_STOPPING, ACTOR_STOPPED };

enum { CACHE_LINE_BYTES = 64 };

static void run_stop(struct actor *a, struct runtime_message *m);
static void run_end(struct actor *a, struct runtime_message *m);

/* It is embedded in its owner, which frees it. */
static void drop_runtime(struct message *m, int code)
{
    (void)m;
    (void)code;
}

void runtime_message_init(struct runtime_message *m,
                          void (*run)(struct actor *a, struct runtime_message *m))
{
    memset((void *)m, 0, sizeof *m);
    m->base.kind = MESSAGE_KIND_RUNTIME;
    m->base.class = MESSAGE_SYSTEM;
    m->base.drop = drop_runtime;
    m->run = run;
}

static void link_actor(struct actor *a)
{
    struct scheduler *s = a->scheduler;

    a->id = scheduler_next_id(s);
    mutex_lock(&s->lock);
    a->next = s->actors;
    if (s->actors) s->actors->previous = a;
    s->actors = a;
    mutex_unlock(&s->lock);
}

static void unlink_actor(struct actor *a)
{
    struct scheduler *s = a->scheduler;

    mutex_lock(&s->lock);
    CHECK(a->timer_count == 0);
    if (a->previous) a->previous->next = a->next;
    else s->actors = a->next;
    if (a->next) a->next->previous = a->previous;
    mutex_unlock(&s->lock);
}

struct actor *actor_create(struct scheduler *s, const struct actor_desc *desc, struct error *err)
{
    struct actor *a = mem_alloc_aligned(s->alloc, MEM_GENERAL, sizeof *a, CACHE_LINE_BYTES);
    if (!a) {
        error_no_memory(err, sizeof *a);
        return NULL;
    }
    memset((void *)a, 0, sizeof *a);
    if (mailbox_init(&a->mailbox, s->alloc, &desc->mailbox, err) != 0) {
        mem_free(s->alloc, a);
        return NULL;
    }
    a->ops = desc->ops;
    a->state = desc->state;
    a->scheduler = s;
    a->batch_max =
        desc->batch_max && desc->batch_max < ACTOR_BATCH_MAX ? desc->batch_max : ACTOR_BATCH_MAX;
    a->batch_bytes = desc->batch_bytes ? desc->batch_bytes : SYNC_BATCH_BYTES;
    snprintf(a->name, sizeof a->name, "%s", desc->name ? desc->name : "actor");
    watch_init(&a->watch);
    runtime_message_init(&a->stop, run_stop);
    runtime_message_init(&a->end, run_end);
    link_actor(a);
    if (s->ops->attach(s, a, err) != 0) {
        unlink_actor(a);
        mailbox_deinit(&a->mailbox);
        mem_free(s->alloc, a);
        return NULL;
    }
    return a;
}

/* ---- Sending ---- */

/* The planted mutant: the wake-up comes only with the next message, so that a run of it can still
 * be stopped. */
static enum mailbox_push_result lose_wakeup(struct actor *a, enum mailbox_push_result pushed)
{
    if (pushed == MAILBOX_WAKE) {
        atomic_store_relaxed(&a->has_lost_wakeup, true);
        return MAILBOX_QUEUED;
    }
    if (atomic_swap_acq_rel(&a->has_lost_wakeup, false)) return MAILBOX_WAKE;
    return pushed;
}

int actor_try_send(struct actor *a, struct message *m)
{
    /* Relaxed: a send that misses the stop is dropped by the actor's turn. */
    if (atomic_load_relaxed(&a->life) != ACTOR_RUNNING) return LYNSE_SHUTTING_DOWN;
    enum mailbox_push_result pushed = mailbox_push(&a->mailbox, m);
    if (pushed == MAILBOX_BUSY) return LYNSE_BUSY;
    if (FAULT(ACTOR_LOST_WAKEUP)) pushed = lose_wakeup(a, pushed);
    if (pushed == MAILBOX_WAKE) scheduler_schedule(a->scheduler, a);
    return LYNSE_OK;
}

void actor_send(struct actor *a, struct message *take_message)
{
    int code = actor_try_send(a, take_message);
    if (code != LYNSE_OK) message_drop(take_message, code);
}

void actor_push_runtime(struct actor *a, struct runtime_message *m)
{
    bool must_wake = mailbox_push(&a->mailbox, &m->base) == MAILBOX_WAKE;
    if (FAULT(ACTOR_LOST_WAKEUP) && atomic_swap_acq_rel(&a->has_lost_wakeup, false))
        must_wake = true;
    if (must_wake) scheduler_schedule(a->scheduler, a);
}

/* ---- Its turn ---- */

static int refusal(const struct actor *a, const struct message *m, uint64_t now_us)
{
    if (atomic_load_relaxed(&a->life) == ACTOR_STOPPED) return LYNSE_SHUTTING_DOWN;
    return message_refusal(m, now_us);
}

static void hand_over(struct actor *a, struct message **batch, size_t count)
{
    if (count != 0) a->ops->on_batch(a, batch, count);
}

static void run_batch(struct actor *a, struct message **batch, size_t count, uint64_t now_us)
{
    void (*trace)(struct scheduler *, uint64_t, uint32_t) = a->scheduler->ops->trace;
    size_t ready_count = 0; /* batch[0..ready_count) is not handed over yet */

    for (size_t i = 0; i < count; i++) {
        struct message *m = batch[i];
        if (trace) trace(a->scheduler, a->id, m->kind);
        if (m->kind == MESSAGE_KIND_RUNTIME) {
            /* What was sent before it comes before it. */
            hand_over(a, batch, ready_count);
            ready_count = 0;
            ((struct runtime_message *)m)->run(a, (struct runtime_message *)m);
            continue;
        }
        int code = refusal(a, m, now_us);
        if (code != LYNSE_OK) message_drop(m, code);
        else batch[ready_count++] = m;
    }
    hand_over(a, batch, ready_count);
}

static void count_batch(struct actor *a, size_t count)
{
    if (count == 0) return;
    /* One writer: a load and a store are enough. */
    atomic_store_relaxed(&a->batch_count, atomic_load_relaxed(&a->batch_count) + 1);
    atomic_store_relaxed(&a->message_count, atomic_load_relaxed(&a->message_count) + count);
}

/* Once: (3). */
static void enter_stopped(struct actor *a)
{
    if (atomic_load_relaxed(&a->life) == ACTOR_STOPPED) return;
    if (a->ops->on_stop) a->ops->on_stop(a);
    atomic_store_relaxed(&a->life, ACTOR_STOPPED);
}

static void run_stop(struct actor *a, struct runtime_message *m)
{
    (void)m;
    enter_stopped(a);
    mutex_lock(&a->scheduler->lock);
    a->is_stopped = true;
    condition_broadcast(&a->scheduler->actor_changed);
    mutex_unlock(&a->scheduler->lock);
}

static void run_end(struct actor *a, struct runtime_message *m)
{
    (void)m;
    a->is_ending = true;
}

/* Nobody sends any more, so what is here now is all.  The lock lets the destroyer go on only when
 * this function is done with the actor (4). */
static void finish(struct actor *a)
{
    struct scheduler *s = a->scheduler;
    struct message *m;
    bool is_empty = false;

    while (!is_empty)
        if (mailbox_pop(&a->mailbox, &m, 1, SIZE_MAX, &is_empty) == 1) run_batch(a, &m, 1, 0);
    mutex_lock(&s->lock);
    a->is_ended = true;
    condition_broadcast(&s->actor_changed);
    mutex_unlock(&s->lock);
}

enum actor_turn actor_run(struct actor *a, size_t batch_max)
{
    struct message *batch[ACTOR_BATCH_MAX];
    uint64_t now_us = scheduler_now_us(a->scheduler);
    size_t count_max = batch_max < a->batch_max ? batch_max : a->batch_max;
    bool is_empty;

    watch_begin(a, now_us, mailbox_length(&a->mailbox));
    if (atomic_load_relaxed(&a->life) == ACTOR_STOPPING) enter_stopped(a);
    size_t count = mailbox_pop(&a->mailbox, batch, count_max, a->batch_bytes, &is_empty);
    run_batch(a, batch, count, now_us);
    count_batch(a, count);
    if (is_empty && a->ops->on_idle && atomic_load_relaxed(&a->life) == ACTOR_RUNNING)
        a->ops->on_idle(a);
    watch_end(&a->watch);
    if (a->is_ending) {
        finish(a);
        return ACTOR_ENDED;
    }
    if (!is_empty || !mailbox_mark_idle(&a->mailbox)) return ACTOR_MORE;
    return ACTOR_IDLE;
}

/* ---- Its end ---- */

void actor_stop(struct actor *a)
{
    uint32_t expected = ACTOR_RUNNING;

    /* The first stopper pushes; acq_rel pairs with the other stoppers. */
    if (!atomic_cas_acq_rel(&a->life, &expected, ACTOR_STOPPING)) return;
    actor_push_runtime(a, &a->stop);
}

void actor_stop_and_wait(struct actor *a)
{
    actor_stop(a);
    scheduler_await(a->scheduler, &a->is_stopped);
}

void actor_destroy(struct actor *a)
{
    if (!a) return;
    struct scheduler *s = a->scheduler;

    actor_stop_and_wait(a);
    actor_push_runtime(a, &a->end);
    scheduler_await(s, &a->is_ended);
    s->ops->detach(s, a);
    unlink_actor(a);
    mailbox_deinit(&a->mailbox);
    mem_free(s->alloc, a);
}
