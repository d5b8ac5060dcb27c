/* SPDX-License-Identifier: Apache-2.0 */
/* seal_task.c — a frozen tail becomes a segment, step by step, while its actor goes on.
 *
 * WHAT        The build is a task: a job thread runs its steps to the end, polls run as many as
 *             their budgets hold.  Then the actor publishes what was built.  What fails is tried
 *             again by a timer, ever more seldom, and by whatever else seals.
 * INVARIANTS  (1) The task and the message that says it is ready are one object: it is sent to the
 *                 actor, which frees it.  The actor is stopped only after it came back.
 *             (2) At most one is under way for a collection.
 *             (3) While sealing fails a timer is armed, but where polls may not sync (R4b).
 * THREADS     The collection's turn; the steps, of one task one at a time, on any thread.
 * FAILURE     What was made of a segment is removed; its rows stay frozen, and writes are refused
 *             when too many do (collection_check_room).
 */
#include "base/atomic.h"
#include "base/check.h"
#include "base/log.h"
#include "engine/engine.h"

/* A seal that failed is tried again after 250 ms, then after twice that, up to 16 s. */
enum { RETRY_US = 250000, RETRY_DOUBLINGS = 6 };

struct seal_task {
    struct task task; /* first */
    struct host *host;
    struct segment_build_desc desc;
    struct segment_builder *builder; /* NULL before the first step */
    struct rng rng;                  /* the job's own */
    _Atomic(bool) is_cancelled;
    struct segment_ready_message ready;
};

/* The ready message is embedded in the task; the actor that gets it (or refuses it) frees both. */
static void seal_task_free(struct seal_task *t)
{
    segment_builder_destroy(t->builder);
    segment_build_deinit(&t->ready.build);
    mem_free(t->host->engine->alloc, t);
}

static void drop_ready(struct message *m, int code)
{
    struct segment_ready_message *ready = (struct segment_ready_message *)m;
    struct seal_task *t =
        (struct seal_task *)(void *)((char *)ready - offsetof(struct seal_task, ready));

    (void)code;
    seal_task_free(t);
}

/* One step of the build; false: it is over, well or not. */
static bool advance(struct seal_task *t)
{
    struct error *err = &t->ready.error;

    if (t->desc.part_count == 0) return false;
    if (!t->builder) return segment_builder_create(&t->desc, &t->builder, err) == 0;
    int rc = segment_builder_step(t->builder, err);
    if (rc == 0) return true;
    if (rc > 0) t->ready.build = segment_builder_take(t->builder);
    return false;
}

static bool seal_task_step(struct task *task, uint64_t budget_us)
{
    struct seal_task *t = (struct seal_task *)task;
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

static void seal_task_drop(struct task *task, int code)
{
    struct seal_task *t = (struct seal_task *)task;

    error_set(&t->ready.error, code, "the build was dropped");
    segment_builder_destroy(t->builder);
    t->builder = NULL;
    actor_send(t->host->actor, &t->ready.base);
}

static struct seal_task *make_seal_task(struct host *h)
{
    struct seal_task *t = mem_zalloc(h->engine->alloc, MEM_GENERAL, sizeof *t);

    if (!t) return NULL;
    t->host = h;
    t->task.step = seal_task_step;
    t->task.drop = seal_task_drop;
    t->ready.base.kind = KIND_SEGMENT_READY;
    t->ready.base.class = MESSAGE_SYSTEM;
    t->ready.base.bytes = sizeof t->ready;
    t->ready.base.drop = drop_ready;
    rng_init(&t->rng, rng_u64(&h->rng));
    return t;
}

int engine_start_seal(struct host *h, struct error *err)
{
    struct seal_task *t = make_seal_task(h);
    int rc = -1;

    if (!t) return error_no_memory(err, sizeof *t);
    if (collection_seal_begin(h->collection, false, &t->desc, err) != 0) goto out;
    t->desc.rng = &t->rng;
    t->desc.cancel = &t->is_cancelled;
    h->seal = t;
    rc = scheduler_submit(h->engine->scheduler, TASK_JOB, &t->task, err);
    if (rc == 0) return 0;
    h->seal = NULL;
    collection_seal_cancel(h->collection);
out:
    mem_free(h->engine->alloc, t);
    return rc;
}

void engine_cancel_seal(struct host *h)
{
    /* Relaxed: a flag alone, it publishes nothing. */
    if (h->seal) atomic_store_relaxed(&h->seal->is_cancelled, true);
}

int engine_end_seal(struct host *h, struct segment_ready_message *m, struct error *err)
{
    struct seal_task *t = h->seal;
    int rc = -1;

    CHECK(t && &t->ready == m);
    h->seal = NULL;
    if (m->error.code) {
        *err = m->error;
        if (m->error.code == LYNSE_CANCELLED) collection_seal_cancel(h->collection);
        else collection_seal_fail(h->collection, &m->error);
    } else {
        rc = collection_seal_finish(h->collection, t->desc.part_count > 0 ? &m->build : NULL, false,
                                    err);
    }
    seal_task_free(t);
    return rc;
}

/* ---- when ---- */

void engine_seal_if_due(struct host *h)
{
    struct collection *c = h->collection;
    struct error err = {0};

    if (!c || h->seal || !collection_wants_seal(c) || !c->desc.may_sync) return;
    if (scheduler_now_us(h->engine->scheduler) < h->seal_not_before_us) return;
    if (engine_start_seal(h, &err) == 0) return;
    log_event(LOG_WARN, "seal_not_started collection=\"%s/%s\" reason=\"%s\"", h->entry.database,
              h->entry.name, err.text);
    collection_seal_fail(c, &err);
    engine_heed_seal(h);
}

void engine_on_seal_timer(struct actor *a, void *ctx)
{
    (void)a;
    engine_seal_if_due(ctx);
}

void engine_heed_seal(struct host *h)
{
    struct collection *c = h->collection;

    if (!c || c->seal_failures == h->seal_failures) return;
    h->seal_failures = c->seal_failures;
    h->seal_not_before_us = 0;
    actor_timer_stop(h->seal_timer);
    if (c->seal_failures == 0) return;
    uint32_t doublings =
        c->seal_failures <= RETRY_DOUBLINGS ? c->seal_failures - 1 : RETRY_DOUBLINGS;
    h->seal_not_before_us =
        scheduler_now_us(h->engine->scheduler) + ((uint64_t)RETRY_US << doublings);
    /* Where polls may not sync, only a call of the host seals (R4b). */
    if (h->engine->desc.is_inline && !h->engine->desc.poll_may_sync) return;
    c->seal_retry_us = h->seal_not_before_us;
    actor_timer_start(h->seal_timer, h->seal_not_before_us, 0);
}
