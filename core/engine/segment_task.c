/* SPDX-License-Identifier: Apache-2.0 */
/* segment_task.c — a segment is built, step by step, while its actor goes on: for seals and
 * merges.
 *
 * WHAT        The build is a task: a job thread runs its steps to the end, polls run as many as
 *             their budgets hold.  Then it is sent to the actor, as a message that says it is
 *             ready.
 * INVARIANTS  (1) The task and the message are one object: it is sent to the actor, which frees
 *                 it. The actor is stopped only after it came back.
 * THREADS     Made and ended in the collection's turn; the steps, of one task one at a time, on
 *             any thread.
 * FAILURE     The message says what; what was made of a segment is removed.
 */
#include "engine/segment_task.h"
#include "base/atomic.h"

/* The ready message is embedded in the task; the actor that gets it (or refuses it) frees both. */
void segment_task_free(struct segment_task *t)
{
    segment_builder_destroy(t->builder);
    segment_build_deinit(&t->ready.build);
    mem_free(t->host->engine->alloc, t);
}

static void drop_ready(struct message *m, int code)
{
    struct segment_ready_message *ready = (struct segment_ready_message *)m;
    struct segment_task *t =
        (struct segment_task *)(void *)((char *)ready - offsetof(struct segment_task, ready));

    (void)code;
    segment_task_free(t);
}

/* One step of the build; false: it is over, well or not. */
static bool advance(struct segment_task *t)
{
    struct error *err = &t->ready.error;

    if (t->desc.part_count == 0) return false;
    if (!t->builder) return segment_builder_create(&t->desc, &t->builder, err) == 0;
    int rc = segment_builder_step(t->builder, err);
    if (rc == 0) return true;
    if (rc > 0) t->ready.build = segment_builder_take(t->builder);
    return false;
}

static bool segment_task_step(struct task *task, uint64_t budget_us)
{
    struct segment_task *t = (struct segment_task *)task;
    const struct scheduler *s = t->host->engine->scheduler;
    uint64_t began_us = scheduler_now_us(s);

    if (!t->builder && !t->host->engine->desc.is_inline) engine_keep_reserve(t->host);
    /* A step counts as a microsecond at least: a simulated clock stands still meanwhile. */
    for (uint64_t steps = 1; advance(t); steps++) {
        uint64_t used_us = scheduler_now_us(s) - began_us;
        if ((used_us > steps ? used_us : steps) >= budget_us) return false;
    }
    segment_builder_destroy(t->builder);
    t->builder = NULL;
    actor_send(t->host->actor, &t->ready.base); /* which may free t */
    return true;
}

static void segment_task_drop(struct task *task, int code)
{
    struct segment_task *t = (struct segment_task *)task;

    error_set(&t->ready.error, code, "the build was dropped");
    segment_builder_destroy(t->builder);
    t->builder = NULL;
    actor_send(t->host->actor, &t->ready.base);
}

struct segment_task *segment_task_make(struct host *h, uint16_t ready_kind)
{
    struct segment_task *t = mem_zalloc(h->engine->alloc, MEM_GENERAL, sizeof *t);

    if (!t) return NULL;
    t->host = h;
    t->task.step = segment_task_step;
    t->task.drop = segment_task_drop;
    t->ready.base.kind = ready_kind;
    t->ready.base.class = MESSAGE_SYSTEM;
    t->ready.base.bytes = sizeof t->ready;
    t->ready.base.drop = drop_ready;
    rng_init(&t->rng, rng_u64(&h->rng));
    return t;
}

int segment_task_start(struct segment_task *t, struct error *err)
{
    t->desc.rng = &t->rng;
    t->desc.cancel = &t->is_cancelled;
    return scheduler_submit(t->host->engine->scheduler, TASK_JOB, &t->task, err);
}

void segment_task_cancel(struct segment_task *t)
{
    /* Relaxed: a flag alone, it publishes nothing. */
    if (t) atomic_store_relaxed(&t->is_cancelled, true);
}

bool segment_task_is_cancelled(const struct segment_task *t)
{
    return atomic_load_relaxed(&t->is_cancelled);
}
