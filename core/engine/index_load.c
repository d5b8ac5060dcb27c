/* SPDX-License-Identifier: Apache-2.0 */
/* index_load.c — indexes that a search wanted are loaded by a job, one after the other, and those
 * that are damaged dropped.
 *
 * WHAT        A search marks what it could have used and was not loaded, and sends the actor a
 *             message; the actor hands one index after the other to a task.  What is loaded is
 *             found by the next search in the same view: nothing is published.
 *             Damage is found when an index is loaded, or by a search that reads of its file; such
 *             a one is dropped with a manifest, and built again (index_task.c).
 * INVARIANTS  (1) What is wanted is loaded soon, or unwanted again.
 *             (2) At most one is loaded at a time for a collection; the actor is stopped only after
 *                 it came back.
 * THREADS     engine_want_indexes: any; the steps, of one task one at a time, on any thread; else
 *             the collection's turn.
 * FAILURE     A damaged index that cannot be dropped stays, is not used, and is to be dropped again
 *             after a while, ever longer.  For want of memory or of
 *             descriptors one stays on the disk, which is told, and searches do without it for as
 *             long; then the next one has it loaded.
 */
#include "base/atomic.h"
#include "base/check.h"
#include "base/log.h"
#include "engine/backoff.h"
#include "engine/index_crew.h"

static const struct backoff retries = {.first_us = 1000000, .doublings = 6}; /* up to 64 s */

struct load_task {
    struct task task; /* first */
    struct host *host;
    struct segment_index *index; /* a reference */
    _Atomic(bool) is_cancelled;
    struct index_loaded_message ready;
};

/* ---- any thread ---- */

static void unwant(const struct view *v)
{
    for (size_t i = 0; i < v->part_count; i++)
        if (v->parts[i].index) segment_index_unwant(v->parts[i].index);
}

void engine_want_indexes(struct host *h, const struct view *v)
{
    bool wants = false;

    for (size_t i = 0; i < v->part_count; i++)
        if (v->parts[i].index && segment_index_want(v->parts[i].index)) wants = true;
    if (!wants) return;
    struct order_message *m = engine_order(h->engine, KIND_LOAD_INDEXES, NULL);
    if (!m) {
        unwant(v); /* (1) */
        return;
    }
    m->base.class = MESSAGE_SYSTEM;
    actor_send(h->actor, &m->base);
}

/* ---- the task ---- */

void engine_free_load(struct load_task *t)
{
    segment_index_release(t->index);
    mem_free(t->host->engine->alloc, t);
}

static void drop_ready(struct message *m, int code)
{
    struct index_loaded_message *ready = (struct index_loaded_message *)m;

    (void)code;
    engine_free_load(
        (struct load_task *)(void *)((char *)ready - offsetof(struct load_task, ready)));
}

static bool load_step(struct task *task, uint64_t budget_us)
{
    struct load_task *t = (struct load_task *)task;
    const struct scheduler *s = t->host->engine->scheduler;
    uint64_t began_us = scheduler_now_us(s);
    int rc = 0;

    for (uint64_t steps = 1; !atomic_load_relaxed(&t->is_cancelled); steps++) {
        rc = segment_index_load_step(t->index, &t->ready.error);
        if (rc != 0) break;
        uint64_t used_us = scheduler_now_us(s) - began_us;
        if ((used_us > steps ? used_us : steps) >= budget_us) return false;
    }
    actor_send(t->host->actor, &t->ready.base); /* which may free t */
    return true;
}

static void load_drop(struct task *task, int code)
{
    struct load_task *t = (struct load_task *)task;

    error_set(&t->ready.error, code, "the loading of an index was dropped");
    actor_send(t->host->actor, &t->ready.base);
}

/* ---- the actor's side ---- */

static struct segment_index *next_wanted(const struct collection *c)
{
    for (size_t i = 0; i < c->part_count; i++) {
        struct segment_index *index = c->parts[i].index;
        if (index && segment_index_state(index) == SEGMENT_INDEX_WANTED) return index;
    }
    return NULL;
}

struct load_task *engine_load_index(struct host *h, struct segment_index *index,
                                    uint16_t loaded_kind, struct error *err)
{
    struct load_task *t = mem_zalloc(h->engine->alloc, MEM_GENERAL, sizeof *t);

    if (!t) {
        error_no_memory(err, sizeof *t);
        return NULL;
    }
    t->host = h;
    t->index = segment_index_acquire(index);
    t->task.step = load_step;
    t->task.drop = load_drop;
    t->ready.base.kind = loaded_kind;
    t->ready.base.class = MESSAGE_SYSTEM;
    t->ready.base.bytes = sizeof t->ready;
    t->ready.base.drop = drop_ready;
    if (scheduler_submit(h->engine->scheduler, TASK_JOB, &t->task, err) == 0) return t;
    engine_free_load(t);
    return NULL;
}

static void retry_loads(struct host *h)
{
    uint64_t wait_us = backoff_us(&retries, h->load_failures++);

    actor_timer_start(h->load_timer, scheduler_now_us(h->engine->scheduler) + wait_us, 0);
}

/* Its manifest may have to wait for a call that may sync (R4b). */
void engine_drop_damaged(struct host *h)
{
    struct collection *c = h->collection;
    bool is_any = false, has_failed = false;

    if (!c || h->is_ending) return;
    for (size_t i = 0; i < c->part_count; i++) {
        struct error failed = {0};
        const struct segment_index *index = c->parts[i].index;
        const struct error *why = index ? segment_index_damage(index) : NULL;
        if (!why) continue;
        h->index_failure = *why;
        engine_name_collection(h, &h->index_failure);
        if (!index_may_save(h) || c->is_poisoned || !c->wal) continue;
        if (collection_drop_index(c, index, why, &failed) == 0) {
            is_any = true;
            engine_note_damage(h, c->parts[i].index_damages);
            continue;
        }
        has_failed = true;
        log_event(LOG_ERROR, "index_not_dropped collection=\"%s/%s\" reason=\"%s\"",
                  h->entry.database, h->entry.name, failed.text);
    }
    if (has_failed) retry_loads(h);
    if (is_any) engine_index_if_due(h);
}

void engine_load_if_wanted(struct host *h)
{
    struct error err = {0};
    struct segment_index *index;

    engine_drop_damaged(h);
    if (!h->collection || h->is_ending || h->load || (index = next_wanted(h->collection)) == NULL)
        return;
    h->load = engine_load_index(h, index, KIND_INDEX_LOADED, &err);
    if (h->load) return;
    segment_index_unwant(index); /* (1) */
    log_event(LOG_WARN, "index_not_loaded collection=\"%s/%s\" reason=\"%s\"", h->entry.database,
              h->entry.name, err.text);
}

void engine_want_all_indexes(struct host *h)
{
    for (size_t i = 0; i < h->collection->part_count; i++)
        if (h->collection->parts[i].index) (void)segment_index_want(h->collection->parts[i].index);
    engine_load_if_wanted(h);
}

void engine_cancel_load(struct load_task *t)
{
    /* Relaxed: a flag alone, it publishes nothing. */
    if (t) atomic_store_relaxed(&t->is_cancelled, true);
}

bool engine_postpones_load(struct host *h, const struct error *why)
{
    if (why->code == LYNSE_OK) {
        h->load_failures = 0;
        h->load_failure = (struct error){0};
    }
    if (why->code != LYNSE_NO_MEMORY && why->code != LYNSE_BUSY && why->code != LYNSE_READ_ONLY)
        return false;
    h->load_failure = *why;
    engine_name_collection(h, &h->load_failure);
    retry_loads(h);
    return true;
}

void engine_on_load_timer(struct actor *a, void *ctx)
{
    struct host *h = ctx;

    (void)a;
    for (size_t i = 0; h->collection && i < h->collection->part_count; i++)
        if (h->collection->parts[i].index) segment_index_resume(h->collection->parts[i].index);
    engine_drop_damaged(h);
}

void engine_end_load(struct host *h, struct index_loaded_message *m)
{
    struct load_task *t = h->load;
    const struct error *why = &m->error;

    CHECK(t && &t->ready == m);
    h->load = NULL;
    segment_index_note_damage(t->index, why);
    if (why->code)
        log_event(LOG_WARN, "index_not_loaded collection=\"%s/%s\" reason=\"%s\"",
                  h->entry.database, h->entry.name, why->text);
    (void)engine_postpones_load(h, why);
    engine_free_load(t);
    engine_load_if_wanted(h);
    engine_index_if_due(h);
}
