/* SPDX-License-Identifier: Apache-2.0 */
/* recall_task.c — searches that were kept are made again while nobody searches.
 *
 * WHAT        The first sample that waits sends the actor a message, which starts a timer.  When it
 *             fires and no search of the root has begun since the last time, a job works on one
 *             sample for a few milliseconds: through the index, then by looking at every record,
 *             over one view.  What was found of it is noted, and so on until no sample waits: then
 *             there is neither timer nor task.  Answers of searches have no part in it, nor has it
 *             in them.
 * INVARIANTS  (1) At most one job is out; the actor is stopped only after it came back.
 *             (2) The task is touched by the job while it is out, else in the actor's turn.
 *             (3) A view is held no longer than RECALL_BUSY_TICKS_MAX ticks without work.
 * THREADS     engine_note_search: any; the steps: a job; else the collection's turn.
 * FAILURE     The sample is dropped: an estimate is of those that could be measured.
 */
#include "base/atomic.h"
#include "base/check.h"
#include "base/limits.h"
#include "engine/engine.h"
#include "simd/metrics.h"

struct recall_task {
    struct task task; /* first */
    struct host *host;
    _Atomic(bool) is_cancelled;
    bool is_out;
    uint32_t busy_ticks;
    uint64_t traffic; /* of the root, at the last tick */
    struct recall_ready_message ready;
    /* What is at hand. */
    struct recall_sample *sample;
    struct view *view;
    struct search *search; /* over a reference of its own */
    bool is_exact;         /* that search looks at every record */
    struct result found;   /* by the index */
};

/* ---- any thread ---- */

/* So many rows are looked up in an index that is loaded. */
static uint64_t indexed_rows(const struct view *v)
{
    uint64_t count = 0;

    for (size_t i = 0; i < v->part_count; i++) {
        const struct segment_index *index = v->parts[i].index;
        if (index && segment_index_metric(index) == (enum metric)v->metric &&
            segment_index_get(index))
            count += v->parts[i].row_count;
    }
    return count;
}

void engine_note_search(struct host *h, const struct view *v, const struct search_request *r)
{
    if (!h->engine->desc.measures_recall) return;
    atomic_add_relaxed(&h->engine->search_count, 1u);
    if (!recall_sampler_counts(&h->recall) || r->is_exact || r->is_range || r->score || r->rerank ||
        r->dim != v->dim || indexed_rows(v) < RECALL_ROWS_MIN)
        return;
    if (!recall_sampler_keep(&h->recall, r)) return;
    struct order_message *m = engine_order(h->engine, KIND_MEASURE_RECALL, NULL);
    if (!m) return; /* the next sample finds the ring not empty: the estimate stays as it is */
    m->base.class = MESSAGE_SYSTEM;
    actor_send(h->actor, &m->base);
}

/* ---- the job ---- */

static void forget(struct recall_task *t)
{
    search_destroy(t->search);
    result_deinit(&t->found);
    view_release(t->view);
    mem_free(t->host->engine->alloc, t->sample);
    t->search = NULL;
    t->found = (struct result){0};
    t->view = NULL;
    t->sample = NULL;
    t->is_exact = false;
}

static int begin_search(struct recall_task *t)
{
    struct engine *e = t->host->engine;
    const struct recall_sample *s = t->sample;
    struct search_request r = {
        .vectors = s->vector,
        .query_count = 1,
        .dim = s->dim,
        .k = s->k,
        .where = slice_of(s->where_bytes > 0 ? (const char *)(s->vector + s->dim) : NULL,
                          s->where_bytes),
        .fields = e->fields,
        .cancel = &t->is_cancelled,
        .options = s->options,
        .is_exact = t->is_exact,
    };

    if (!t->view && engine_view(t->host, &t->view, NULL) != 0) return -1;
    return search_create(e->alloc, view_acquire(t->view), &r, e->clock, &t->search, NULL);
}

/* Of what looking at every record found; who is as near stands for another. */
static size_t count_found(const struct result *found, const struct result *exact)
{
    bool larger = metric_find(exact->metric)->order == NEARER_IS_LARGER;
    float worst = exact->count > 0 ? exact->scores[exact->count - 1] : 0;
    size_t count = 0;

    for (size_t i = 0; i < found->count && exact->count > 0; i++)
        count += larger ? found->scores[i] >= worst : found->scores[i] <= worst;
    return count < exact->count ? count : exact->count;
}

static const struct index_plan *plan_of(const struct view *v)
{
    for (size_t i = 0; i < v->part_count; i++)
        if (v->parts[i].index) return segment_index_plan(v->parts[i].index);
    return NULL;
}

/* A search has come to its end: the other one follows, or both are compared. */
static void end_search(struct recall_task *t)
{
    struct result exact = {0};
    const struct index_plan *plan = plan_of(t->view);
    int rc = search_finish(t->search, t->is_exact ? &exact : &t->found, NULL);

    search_destroy(t->search);
    t->search = NULL;
    if (rc == 0 && !t->is_exact) {
        t->is_exact = true;
        return;
    }
    if (rc == 0 && plan)
        recall_sampler_note(&t->host->recall, plan, t->view->metric, count_found(&t->found, &exact),
                            exact.count, t->host->engine->clock->wall_us(t->host->engine->clock));
    result_deinit(&exact);
    forget(t);
}

/* A piece of it; false: nothing is left to do. */
static bool work(struct recall_task *t, uint64_t budget_us)
{
    if (!t->sample) t->sample = recall_sampler_take(&t->host->recall);
    if (!t->sample) return false;
    enum search_state state = SEARCH_FAILED;
    if (t->search || begin_search(t) == 0) state = search_advance(t->search, 0, budget_us);
    if (state == SEARCH_DONE) end_search(t);
    else if (state == SEARCH_FAILED) forget(t);
    return true;
}

static bool recall_step(struct task *task, uint64_t budget_us)
{
    struct recall_task *t = (struct recall_task *)task;
    const struct scheduler *s = t->host->engine->scheduler;
    uint64_t began_us = scheduler_now_us(s), used_us = 0;

    if (budget_us > RECALL_PIECE_US) budget_us = RECALL_PIECE_US;
    for (uint64_t pieces = 1;; pieces++) {
        if (atomic_load_relaxed(&t->is_cancelled) || !work(t, budget_us - used_us)) break;
        used_us = scheduler_now_us(s) - began_us;
        if (used_us >= budget_us || pieces >= budget_us) break; /* a logical clock may stand */
    }
    actor_send(t->host->actor, &t->ready.base); /* which may free t */
    return true;
}

static void recall_drop(struct task *task, int code)
{
    struct recall_task *t = (struct recall_task *)task;

    (void)code;
    actor_send(t->host->actor, &t->ready.base);
}

/* ---- the actor's side ---- */

static void task_free(struct recall_task *t)
{
    forget(t);
    mem_free(t->host->engine->alloc, t);
}

static void drop_ready(struct message *m, int code)
{
    struct recall_ready_message *ready = (struct recall_ready_message *)m;

    (void)code;
    task_free((struct recall_task *)(void *)((char *)ready - offsetof(struct recall_task, ready)));
}

static void end_task(struct host *h)
{
    task_free(h->recall_task);
    h->recall_task = NULL;
}

static void start_timer(struct host *h)
{
    uint64_t now_us = scheduler_now_us(h->engine->scheduler);

    h->recall_task->traffic = atomic_load_relaxed(&h->engine->search_count);
    actor_timer_start(h->recall_timer, now_us + RECALL_TICK_US, 0);
}

static void on_timer(struct actor *a, void *ctx)
{
    struct host *h = ctx;
    struct recall_task *t = h->recall_task;

    (void)a;
    if (!t || t->is_out) return;
    bool is_idle = t->traffic == atomic_load_relaxed(&h->engine->search_count);
    t->busy_ticks = is_idle ? 0 : t->busy_ticks + 1;
    if (t->busy_ticks > RECALL_BUSY_TICKS_MAX) forget(t); /* (3) */
    if (is_idle && scheduler_submit(h->engine->scheduler, TASK_JOB, &t->task, NULL) == 0)
        t->is_out = true; /* (1) */
    else start_timer(h);
}

static struct recall_task *task_new(struct host *h)
{
    struct recall_task *t = mem_zalloc(h->engine->alloc, MEM_SEARCH, sizeof *t);

    if (!t) return NULL;
    t->host = h;
    t->task.step = recall_step;
    t->task.drop = recall_drop;
    t->ready.base.kind = KIND_RECALL_READY;
    t->ready.base.class = MESSAGE_SYSTEM;
    t->ready.base.bytes = sizeof t->ready;
    t->ready.base.drop = drop_ready;
    return t;
}

void engine_measure_recall(struct host *h, struct message *take_m)
{
    order_message_drop(take_m, LYNSE_OK);
    if (h->recall_task || h->is_ending || !h->collection) return;
    if (!h->recall_timer) h->recall_timer = actor_timer_create(h->actor, on_timer, h, NULL);
    if (h->recall_timer) h->recall_task = task_new(h);
    if (h->recall_task) start_timer(h);
}

void engine_end_recall(struct host *h, struct recall_ready_message *m)
{
    struct recall_task *t = h->recall_task;

    CHECK(t && &t->ready == m);
    t->is_out = false;
    bool has_more = t->sample || recall_sampler_has(&h->recall);
    if (has_more && !h->is_ending) start_timer(h);
    else end_task(h);
}

bool engine_recall_is_out(const struct host *h)
{
    return h->recall_task && h->recall_task->is_out;
}

void engine_cancel_recall(struct host *h)
{
    if (!h->recall_task) return;
    actor_timer_stop(h->recall_timer);
    if (!h->recall_task->is_out) end_task(h);
    /* Relaxed: a flag alone, it publishes nothing. */
    else atomic_store_relaxed(&h->recall_task->is_cancelled, true);
}

void engine_stop_recall(struct host *h)
{
    actor_timer_destroy(h->recall_timer);
    h->recall_timer = NULL;
}
