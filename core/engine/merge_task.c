/* SPDX-License-Identifier: Apache-2.0 */
/* merge_task.c — sealed segments become one while their actor goes on.
 *
 * WHAT        A segment's build is a task (segment_task.c), begun when a seal, a merge or an index
 *             has ended and the segments that there are then are worth it.  Where its inputs have
 *             indexes, a crew builds the result's (index_crew.h), and where searches have loaded
 *             those, it is loaded (index_load.c): only then the actor publishes both.  Searches
 *             go from one loaded index to the next.
 *             When nothing has been written for MERGE_QUIET_US, nor has the collection been opened,
 *             one that makes searches faster is begun, by a timer, after a seal of the tail where
 *             that is worth it.  A write that comes then does not end it: what was done would be
 *             lost, and the write waits for nothing.
 * INVARIANTS  (1) At most one is under way for a collection; seals go on beside it, and are served
 *                 as often as it by the jobs' threads.
 *             (2) Nothing waits for it but what ends it: closing and changing the level cancel it
 *                 first.
 *             (3) One that may not be published while a seal is under way waits for that.
 * THREADS     The collection's turn.
 * FAILURE     What was made is removed, and it is not tried again for a while, ever longer: a merge
 *             is never needed now.  An index that finds no memory or no descriptor to be loaded is
 *             published all the same: it is loaded when there is some.
 */
#include "base/check.h"
#include "base/faults.h"
#include "base/log.h"
#include "engine/backoff.h"
#include "engine/index_crew.h"
#include "engine/segment_task.h"

/* Up to about an hour: an index may be hours of work. */
static const struct backoff retries = {.first_us = 30000000, .doublings = 7};
/* Longer than a loader takes from one call to the next; who looks sees it begin. */
enum { MERGE_QUIET_US = 5000000 };

static int start_merge(struct host *h, struct error *err)
{
    struct segment_task *t = segment_task_make(h, KIND_MERGE_READY);

    if (!t) return error_no_memory(err, sizeof *t);
    if (collection_merge_begin(h->collection, &t->desc, err) != 0) {
        segment_task_free(t);
        return -1;
    }
    h->merge = t;
    if (segment_task_start(t, err) == 0) return 0;
    h->merge = NULL;
    collection_merge_cancel(h->collection);
    segment_task_free(t);
    return -1;
}

static void start_timer(struct host *h, uint64_t due_us)
{
    actor_timer_start(h->merge_timer, due_us, 0);
    h->merge_is_armed = true;
}

static void note_failure(struct host *h, const struct error *why)
{
    h->merge_not_before_us =
        scheduler_now_us(h->engine->scheduler) + backoff_us(&retries, h->merge_failures++);
    start_timer(h, h->merge_not_before_us);
    log_event(LOG_WARN, "merge_failed collection=\"%s/%s\" reason=\"%s\"", h->entry.database,
              h->entry.name, why->text);
}

bool engine_ends_merge(const struct message *m)
{
    return m->kind == KIND_CLOSE || m->kind == KIND_SET_SYNC;
}

bool engine_awaits_merge(const struct host *h)
{
    return h->deferred.size > 0 && engine_ends_merge(*(struct message **)(void *)h->deferred.data);
}

void engine_await_quiet(struct host *h)
{
    const struct collection *c = h->collection;

    if (h->merge_is_armed || !c->desc.may_sync || c->manifest.fields[0].index_kind == INDEX_NONE)
        return;
    start_timer(h, h->last_write_us + MERGE_QUIET_US);
}

static int seal_tail(struct host *h, struct error *err)
{
    if (collection_freeze(h->collection, err) != 0) return -1;
    REACHED(QUIET_SEAL_BEGUN);
    engine_seal_if_due(h);
    return 0;
}

void engine_merge_if_due(struct host *h)
{
    struct collection *c = h->collection;
    uint64_t due_us = h->merge_not_before_us;
    bool is_seal = false;
    struct error err = {0};

    if (!c || h->is_ending || h->merge || !c->desc.may_sync || engine_awaits_merge(h)) return;
    if (!collection_wants_merge(c)) {
        is_seal = collection_wants_quiet_seal(c);
        if (!is_seal && !collection_wants_quiet_merge(c)) return;
        uint64_t quiet_us = h->last_write_us + MERGE_QUIET_US;
        if (due_us < quiet_us) due_us = quiet_us;
    }
    if (scheduler_now_us(h->engine->scheduler) < due_us) start_timer(h, due_us);
    else if ((is_seal ? seal_tail(h, &err) : start_merge(h, &err)) != 0) note_failure(h, &err);
}

void engine_on_merge_timer(struct actor *a, void *ctx)
{
    struct host *h = ctx;

    (void)a;
    h->merge_is_armed = false;
    engine_merge_if_due(h);
}

void engine_cancel_merge_index(struct host *h)
{
    index_crew_cancel(h->merge_index);
}

void engine_cancel_merge(struct host *h)
{
    segment_task_cancel(h->merge);
    engine_cancel_merge_index(h);
    engine_cancel_load(h->merge_load);
}

static bool is_cancelled(const struct host *h)
{
    return segment_task_is_cancelled(h->merge);
}

/* Publish what there is, or give it up for `why`; then whatever waited for it. */
static void end_merge(struct host *h, const struct error *why)
{
    struct segment_task *t = h->merge;
    struct error err = *why;
    bool has_index = h->collection->merge.index != NULL;

    h->merge = NULL;
    h->merge_waits = false;
    if (err.code == LYNSE_OK) {
        collection_merge_finish(h->collection, &t->ready.build, &err);
    } else {
        segment_build_remove_files(&t->ready.build, h->collection->dir);
        collection_merge_cancel(h->collection);
    }
    segment_task_free(t);
    if (err.code == LYNSE_OK) {
        h->merge_failures = 0;
        h->index_build_count += has_index;
        engine_note_held(h, h->collection);
        engine_merge_if_due(h);
        engine_load_if_wanted(h);
    } else if (err.code != LYNSE_CANCELLED) {
        note_failure(h, &err);
    }
    engine_index_if_due(h);
}

/* All that there is to be is there. */
static void publish(struct host *h)
{
    struct error none = {0};

    if (is_cancelled(h)) error_set(&none, LYNSE_CANCELLED, "the merge was cancelled");
    h->merge_waits = none.code == LYNSE_OK && collection_merge_must_wait(h->collection); /* (3) */
    if (!h->merge_waits) end_merge(h, &none);
}

void engine_on_seal_over(struct host *h)
{
    if (h->merge_waits) publish(h);
}

/* What it has built gets its index; false: it needs none. */
static bool start_index(struct host *h, struct error *err)
{
    struct collection *c = h->collection;
    int rc = collection_merge_index_begin(c, &h->merge->ready.build, err);

    if (rc <= 0) return false;
    h->merge_index = index_crew_make(h, KIND_MERGE_INDEXED);
    if (!h->merge_index) {
        error_no_memory(err, sizeof *h->merge_index);
        return false;
    }
    if (index_crew_start(h->merge_index, c->merge.index_build, err) == 0) return true;
    index_crew_free(h->merge_index);
    h->merge_index = NULL;
    return false;
}

void engine_on_merge_ready(struct host *h, struct segment_ready_message *m)
{
    struct error err = m->error;

    CHECK(h->merge && &h->merge->ready == m);
    if (err.code == LYNSE_OK && !is_cancelled(h)) {
        if (start_index(h, &err)) return;
        h->index_failure_count += err.code != LYNSE_OK;
    }
    if (err.code != LYNSE_OK) end_merge(h, &err);
    else publish(h);
}

void engine_on_merge_indexed(struct host *h, struct index_ready_message *m)
{
    struct collection *c = h->collection;
    struct error err = {0};

    CHECK(h->merge && h->merge_index && &h->merge_index->ready == m);
    index_crew_free(h->merge_index);
    h->merge_index = NULL;
    if (collection_merge_index_end(c, &h->merge->ready.build, &err) != 0) {
        h->index_failure_count += err.code != LYNSE_CANCELLED;
        end_merge(h, &err);
        return;
    }
    if (!is_cancelled(h) && c->merge.index && collection_merge_is_searched(c) &&
        segment_index_want(c->merge.index)) {
        h->merge_load = engine_load_index(h, c->merge.index, KIND_MERGE_LOADED, &err);
        if (h->merge_load) return;
        segment_index_unwant(c->merge.index);
    }
    publish(h);
}

void engine_on_merge_loaded(struct host *h, struct index_loaded_message *m)
{
    struct error err = m->error;

    CHECK(h->merge && h->merge_load);
    engine_free_load(h->merge_load);
    h->merge_load = NULL;
    bool is_postponed = engine_postpones_load(h, &err);
    if (err.code == LYNSE_OK || is_postponed) publish(h);
    else end_merge(h, &err);
}
