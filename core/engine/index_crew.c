/* SPDX-License-Identifier: Apache-2.0 */
/* index_crew.c — pieces of an index are built by as many job threads as there are.
 *
 * WHAT        Some workers, each a task, take pieces until there are none.  A worker that finds
 *             nothing to do ends; one that opens a new phase submits others again.  The last one to
 *             end tells the actor.
 * INVARIANTS  (1) The message that says it is over is part of the crew: it is sent once, by the
 *                 worker that was the last, and nobody touches the crew after that but the actor.
 *             (2) Its tasks are of slices like all others, so that a seal gets its turn between two
 *                 of them.
 * THREADS     Made and freed in the collection's turn; the steps, on any thread.
 * FAILURE     The builder keeps it.
 */
#include "engine/index_crew.h"
#include "base/check.h"

enum { WORKERS_MAX = 64, SIM_WORKERS = 3 };

static struct index_worker *worker_of(struct task *task)
{
    return (struct index_worker *)task;
}

bool index_may_save(const struct host *h)
{
    const struct engine *e = h->engine;

    return !e->desc.is_inline || e->desc.poll_may_sync || e->waiting_calls > 0;
}

/* Submit workers that are not out, as many as there is work for. */
static void call_others(struct index_crew *c)
{
    uint32_t room = index_builder_room(c->builder);

    mutex_lock(&c->mutex);
    for (uint32_t i = 0; i < c->worker_count && c->out_count <= room; i++) {
        struct index_worker *w = &c->workers[i];
        if (w->is_out) continue;
        if (scheduler_submit(c->host->engine->scheduler, TASK_JOB, &w->task, NULL) != 0) break;
        w->is_out = true;
        c->out_count++;
    }
    mutex_unlock(&c->mutex);
}

static void leave(struct index_worker *w)
{
    struct index_crew *c = w->crew;

    mutex_lock(&c->mutex);
    w->is_out = false;
    bool is_last = --c->out_count == 0;
    mutex_unlock(&c->mutex);
    if (is_last) actor_send(c->host->actor, &c->ready.base); /* (1) */
}

static bool worker_step(struct task *task, uint64_t budget_us)
{
    struct index_worker *w = worker_of(task);
    struct index_crew *c = w->crew;
    const struct scheduler *s = c->host->engine->scheduler;
    uint64_t began_us = scheduler_now_us(s);

    /* A piece counts as a microsecond at least: a simulated clock stands still meanwhile. */
    for (uint64_t pieces = 1;
         index_builder_work(c->builder, index_may_save(c->host)) == INDEX_WORKED; pieces++) {
        if (c->worker_count > 1) call_others(c);
        uint64_t used_us = scheduler_now_us(s) - began_us;
        if ((used_us > pieces ? used_us : pieces) >= budget_us) return false;
    }
    leave(w);
    return true;
}

static void worker_drop(struct task *task, int code)
{
    struct index_worker *w = worker_of(task);

    index_builder_cancel(w->crew->builder, code);
    leave(w);
}

/* The actor that gets the message (or refuses it) has both. */
void index_crew_free(struct index_crew *c)
{
    mutex_deinit(&c->mutex);
    mem_free(c->host->engine->alloc, c);
}

static void drop_ready(struct message *m, int code)
{
    struct index_ready_message *ready = (struct index_ready_message *)m;

    (void)code;
    index_crew_free(
        (struct index_crew *)(void *)((char *)ready - offsetof(struct index_crew, ready)));
}

static uint32_t worker_count_of(const struct engine *e)
{
    switch (e->scheduler->ops->kind) {
    case SCHEDULER_THREADS:
        return e->job_threads < WORKERS_MAX ? e->job_threads : WORKERS_MAX;
    case SCHEDULER_INLINE:
        return 1;
    case SCHEDULER_SIM:
        return SIM_WORKERS;
    }
    UNREACHABLE();
}

struct index_crew *index_crew_make(struct host *h, uint16_t ready_kind)
{
    uint32_t count = worker_count_of(h->engine);
    size_t bytes = sizeof(struct index_crew) + count * sizeof(struct index_worker);
    struct index_crew *c = mem_zalloc(h->engine->alloc, MEM_GENERAL, bytes);

    if (!c) return NULL;
    mutex_init(&c->mutex);
    c->host = h;
    c->worker_count = count;
    c->ready.base.kind = ready_kind;
    c->ready.base.class = MESSAGE_SYSTEM;
    c->ready.base.bytes = sizeof c->ready;
    c->ready.base.drop = drop_ready;
    for (uint32_t i = 0; i < count; i++) {
        c->workers[i].crew = c;
        c->workers[i].task.step = worker_step;
        c->workers[i].task.drop = worker_drop;
    }
    return c;
}

int index_crew_start(struct index_crew *c, struct index_builder *b, struct error *err)
{
    c->builder = b;
    c->workers[0].is_out = true;
    c->out_count = 1;
    if (scheduler_submit(c->host->engine->scheduler, TASK_JOB, &c->workers[0].task, err) == 0)
        return 0;
    c->workers[0].is_out = false;
    c->out_count = 0;
    index_builder_cancel(b, LYNSE_CANCELLED);
    return -1;
}

void index_crew_cancel(struct index_crew *c)
{
    if (c) index_builder_cancel(c->builder, LYNSE_CANCELLED);
}
