/* SPDX-License-Identifier: Apache-2.0 */
/* seal_task.c — a frozen tail becomes a segment on a job thread, while its actor goes on.
 *
 * The task and the message that says it is ready are one object: it is sent to the actor, which
 * frees it.  The actor is stopped only after it came back.
 */
#include "base/check.h"
#include "engine/engine.h"

struct seal_task {
    struct task task; /* first */
    struct host *host;
    struct segment_build_desc desc;
    struct rng rng; /* the job's own */
    struct segment_ready_message ready;
};

/* The ready message is embedded in the task; the actor that gets it (or refuses it) frees both. */
static void seal_task_free(struct seal_task *t)
{
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

static bool seal_task_step(struct task *task, uint64_t budget_us)
{
    struct seal_task *t = (struct seal_task *)task;

    (void)budget_us;
    if (t->desc.part_count > 0 &&
        segment_build_run(&t->desc, &t->ready.build, &t->ready.error) != 0)
        CHECK(t->ready.error.code != 0);
    actor_send(t->host->actor, &t->ready.base);
    return true;
}

static void seal_task_drop(struct task *task, int code)
{
    struct seal_task *t = (struct seal_task *)task;

    error_set(&t->ready.error, code, "the build was dropped");
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
    h->seal = t;
    rc = scheduler_submit(h->engine->scheduler, TASK_JOB, &t->task, err);
    if (rc == 0) return 0;
    h->seal = NULL;
    collection_seal_cancel(h->collection);
out:
    mem_free(h->engine->alloc, t);
    return rc;
}

int engine_end_seal(struct host *h, struct segment_ready_message *m, struct error *err)
{
    struct seal_task *t = h->seal;
    int rc = -1;

    CHECK(t && &t->ready == m);
    h->seal = NULL;
    if (m->error.code) {
        *err = m->error;
        collection_seal_cancel(h->collection);
    } else {
        rc = collection_seal_finish(h->collection, t->desc.part_count > 0 ? &m->build : NULL, false,
                                    err);
    }
    seal_task_free(t);
    return rc;
}
