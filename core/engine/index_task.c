/* SPDX-License-Identifier: Apache-2.0 */
/* index_task.c — segments get their indexes, built by all job threads, while their actor goes on.
 *
 * WHAT        A build is some workers, each a task, that take pieces of it until there are none
 *             (segment/index_builder.h).  A worker that finds nothing to do ends; one that opens a
 *             new phase submits others again.  The last one to end tells the actor, which publishes
 *             the index, begins the next one, and answers who waits for all of them.
 * INVARIANTS  (1) The message that says it is over is part of the job: it is sent once, by the
 *                 worker that was the last, and nobody touches the job after that but the actor.
 *             (2) At most one build is under way for a collection.  Its tasks are of slices like
 *                 all others, so that a seal gets its turn between two of them.
 *             (3) Where no sync is allowed the file waits to be written until a call of the host
 *                 that allows one (R4b).
 *             (4) Whoever waits is answered: when every segment up to its LSN is indexed, or when a
 *                 build fails, another index is asked for, or the collection is closed.
 * THREADS     The collection's turn; the steps, on any thread.
 * FAILURE     What was built is removed, and tried again by a timer, ever more seldom; searches go
 *             on without it.
 */
#include "base/check.h"
#include "base/log.h"
#include "engine/engine.h"

/* A build that failed is tried again after a second, then after twice that, up to 64 s. */
enum { RETRY_US = 1000000, RETRY_DOUBLINGS = 6, WORKERS_MAX = 64, SIM_WORKERS = 3 };

struct index_worker {
    struct task task; /* first */
    struct index_task *job;
    bool is_out; /* the scheduler has it */
};

struct index_task {
    struct host *host;
    struct index_builder *builder; /* the collection's */
    struct index_ready_message ready;
    bool is_back;       /* the actor's: the message came; the file waits to be written (3) */
    struct mutex mutex; /* of all below */
    uint32_t out_count;
    uint32_t worker_count;
    struct index_worker workers[];
};

static struct index_worker *worker_of(struct task *task)
{
    return (struct index_worker *)task;
}

/* ---- workers ---- */

/* Outside a call of the host that waits for the disk anyway. */
static bool may_save(const struct host *h)
{
    const struct engine *e = h->engine;

    return !e->desc.is_inline || e->desc.poll_may_sync || e->waiting_calls > 0;
}

/* Submit workers that are not out, as many as there is work for. */
static void call_others(struct index_task *j)
{
    uint32_t room = index_builder_room(j->builder);

    mutex_lock(&j->mutex);
    for (uint32_t i = 0; i < j->worker_count && j->out_count <= room; i++) {
        struct index_worker *w = &j->workers[i];
        if (w->is_out) continue;
        if (scheduler_submit(j->host->engine->scheduler, TASK_JOB, &w->task, NULL) != 0) break;
        w->is_out = true;
        j->out_count++;
    }
    mutex_unlock(&j->mutex);
}

static void leave(struct index_worker *w)
{
    struct index_task *j = w->job;

    mutex_lock(&j->mutex);
    w->is_out = false;
    bool is_last = --j->out_count == 0;
    mutex_unlock(&j->mutex);
    if (is_last) actor_send(j->host->actor, &j->ready.base); /* (1) */
}

static bool worker_step(struct task *task, uint64_t budget_us)
{
    struct index_worker *w = worker_of(task);
    struct index_task *j = w->job;
    const struct scheduler *s = j->host->engine->scheduler;
    uint64_t began_us = scheduler_now_us(s);

    /* A piece counts as a microsecond at least: a simulated clock stands still meanwhile. */
    for (uint64_t pieces = 1; index_builder_work(j->builder, may_save(j->host)) == INDEX_WORKED;
         pieces++) {
        if (j->worker_count > 1) call_others(j);
        uint64_t used_us = scheduler_now_us(s) - began_us;
        if ((used_us > pieces ? used_us : pieces) >= budget_us) return false;
    }
    leave(w);
    return true;
}

static void worker_drop(struct task *task, int code)
{
    struct index_worker *w = worker_of(task);

    index_builder_cancel(w->job->builder, code);
    leave(w);
}

/* The message is part of the job; the actor that gets it (or refuses it) has both. */
static void task_free(struct index_task *j)
{
    mutex_deinit(&j->mutex);
    mem_free(j->host->engine->alloc, j);
}

static void drop_ready(struct message *m, int code)
{
    struct index_ready_message *ready = (struct index_ready_message *)m;

    (void)code;
    task_free((struct index_task *)(void *)((char *)ready - offsetof(struct index_task, ready)));
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

static struct index_task *make_task(struct host *h)
{
    uint32_t count = worker_count_of(h->engine);
    size_t bytes = sizeof(struct index_task) + count * sizeof(struct index_worker);
    struct index_task *j = mem_zalloc(h->engine->alloc, MEM_GENERAL, bytes);

    if (!j) return NULL;
    mutex_init(&j->mutex);
    j->host = h;
    j->worker_count = count;
    j->ready.base.kind = KIND_INDEX_READY;
    j->ready.base.class = MESSAGE_SYSTEM;
    j->ready.base.bytes = sizeof j->ready;
    j->ready.base.drop = drop_ready;
    for (uint32_t i = 0; i < count; i++) {
        j->workers[i].job = j;
        j->workers[i].task.step = worker_step;
        j->workers[i].task.drop = worker_drop;
    }
    return j;
}

static int start(struct host *h, struct error *err)
{
    struct index_task *j = make_task(h);

    if (!j) return error_no_memory(err, sizeof *j);
    if (collection_index_begin(h->collection, err) != 0) {
        task_free(j);
        return -1;
    }
    j->builder = h->collection->index_build;
    j->workers[0].is_out = true;
    j->out_count = 1;
    h->index = j;
    if (scheduler_submit(h->engine->scheduler, TASK_JOB, &j->workers[0].task, err) == 0) return 0;
    h->index = NULL;
    index_builder_cancel(j->builder, LYNSE_CANCELLED);
    (void)collection_index_finish(h->collection, NULL);
    task_free(j);
    return -1;
}

/* ---- who waits ---- */

static size_t waiter_count(const struct host *h)
{
    return h->index_waiters.size / sizeof(struct order_message *);
}

/* Answer all whose segments are indexed, or who gave up; with `why`: everybody. */
static void answer_waiters(struct host *h, const struct error *why)
{
    struct order_message **waiters = (struct order_message **)(void *)h->index_waiters.data;
    size_t count = waiter_count(h), left = 0;

    for (size_t i = 0; i < count; i++) {
        struct order_message *m = waiters[i];
        struct collection_index_count there;
        int code = message_refusal(&m->base, scheduler_now_us(h->engine->scheduler));
        collection_count_indexes(h->collection, m->wait_lsn, &there);
        if (code != LYNSE_OK) message_drop(&m->base, code);
        /* A merge would take what is indexed away again. */
        else if (!why && (there.settled < there.wanted || h->merge)) waiters[left++] = m;
        else engine_answer_order(m, why ? -1 : 0, why);
    }
    h->index_waiters.size = left * sizeof *waiters;
}

void engine_drop_index_waiters(struct host *h, int code)
{
    struct order_message **waiters = (struct order_message **)(void *)h->index_waiters.data;

    for (size_t i = 0; i < waiter_count(h); i++) message_drop(&waiters[i]->base, code);
    h->index_waiters.size = 0;
}

static void await_index(struct host *h, struct order_message *take_m)
{
    struct error err = {0};

    take_m->wait_lsn = h->collection->applied_lsn;
    if (!buf_reserve(&h->index_waiters, sizeof take_m)) {
        h->index_waiters.failed = false;
        engine_answer_order(take_m, error_no_memory(&err, sizeof take_m), &err);
        return;
    }
    buf_append(&h->index_waiters, &take_m, sizeof take_m);
    engine_want_all_indexes(h);
    engine_index_if_due(h);
}

/* Builds for the old plan end, and who waits for it is told. */
static void forget_plan(struct host *h)
{
    struct error why = {0};

    engine_cancel_index(h);
    h->index_failures = 0;
    h->index_not_before_us = 0;
    if (waiter_count(h) == 0) return;
    error_set(&why, LYNSE_CANCELLED, "another index was asked for meanwhile");
    answer_waiters(h, &why);
}

bool engine_index_needs_seal(const struct order_message *m)
{
    const struct index_vtab *kind = index_find(m->plan.kind);

    return kind && index_is_built(kind, m->plan.quantizer.kind);
}

void engine_set_index(struct host *h, struct order_message *m)
{
    struct error err = {0};
    uint8_t metric = m->metric ? m->metric : h->collection->manifest.fields[0].metric;
    bool is_new = !collection_has_plan(h->collection, &m->plan, metric);
    int rc = 0;

    if (engine_index_needs_seal(m)) {
        engine_set_may_sync(h, true);
        rc = engine_flush_surely(h, false, &err);
    }
    if (rc == 0) rc = collection_set_index(h->collection, &m->plan, metric, &err);
    if (rc == 0 && is_new) forget_plan(h);
    if (engine_index_needs_seal(m)) rc = engine_end_host_call(h, rc, &err);
    if (rc == 0 && m->is_awaited && engine_index_needs_seal(m)) {
        await_index(h, m);
        return;
    }
    engine_name_collection(h, &err);
    engine_answer_order(m, rc, &err);
}

/* ---- the actor's side ---- */

void engine_cancel_index(struct host *h)
{
    if (h->index) index_builder_cancel(h->index->builder, LYNSE_CANCELLED);
}

bool engine_index_is_out(const struct host *h)
{
    return h->index && !h->index->is_back;
}

static void note_failure(struct host *h, const struct error *why)
{
    log_event(LOG_ERROR, "index_failed collection=\"%s/%s\" reason=\"%s\"", h->entry.database,
              h->entry.name, why->text);
    uint32_t doublings = h->index_failures < RETRY_DOUBLINGS ? h->index_failures : RETRY_DOUBLINGS;
    h->index_failures++;
    h->index_not_before_us =
        scheduler_now_us(h->engine->scheduler) + ((uint64_t)RETRY_US << doublings);
    actor_timer_start(h->index_timer, h->index_not_before_us, 0);
    answer_waiters(h, why);
}

/* Nobody works on it any more, and it is over. */
static void end_task(struct host *h)
{
    struct index_task *j = h->index;
    struct error err = {0};

    h->index = NULL;
    int rc = collection_index_finish(h->collection, &err);
    task_free(j);
    if (rc == 0) {
        h->index_failures = 0;
        engine_note_held(h, h->collection);
        engine_load_if_wanted(h);
    } else if (err.code != LYNSE_CANCELLED && err.code != LYNSE_SHUTTING_DOWN) {
        engine_name_collection(h, &err);
        note_failure(h, &err);
    }
}

void engine_save_index(struct host *h)
{
    struct index_task *j = h->index;

    if (!j || !j->is_back) return;
    while (index_builder_work(j->builder, true) == INDEX_WORKED) continue;
    end_task(h);
}

void engine_end_index(struct host *h, struct index_ready_message *m)
{
    struct index_task *j = h->index;

    CHECK(j && &j->ready == m);
    j->is_back = true;
    if (may_save(h)) engine_save_index(h);
    /* Nothing is done: cancelled, say, or done to its end. */
    else if (index_builder_work(j->builder, false) == INDEX_BUILT) end_task(h);
    if (h->collection) engine_index_if_due(h);
}

void engine_index_if_due(struct host *h)
{
    struct collection *c = h->collection;
    struct error err = {0};

    if (!c || h->is_ending) return;
    if (!h->index && collection_wants_index(c) &&
        scheduler_now_us(h->engine->scheduler) >= h->index_not_before_us && start(h, &err) != 0)
        note_failure(h, &err);
    if (waiter_count(h) > 0) answer_waiters(h, c->is_poisoned ? &c->poison : NULL);
}

void engine_on_index_timer(struct actor *a, void *ctx)
{
    (void)a;
    engine_index_if_due(ctx);
}
