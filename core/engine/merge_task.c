/* SPDX-License-Identifier: Apache-2.0 */
/* merge_task.c — sealed segments become one while their actor goes on.
 *
 * WHAT        A segment's build is a task (segment_task.c), begun when a seal or a merge has ended
 *             and the segments that there are then are worth it; when it comes back the actor
 *             publishes what was built.
 * INVARIANTS  (1) At most one is under way for a collection; seals go on beside it, and are served
 *                 as often as it by the jobs' threads.
 *             (2) Nothing waits for it but what ends it: closing and changing the level cancel it
 *                 first.
 * THREADS     The collection's turn.
 * FAILURE     What was made of a segment is removed, and it is not tried again for a while: a merge
 *             is never needed now.
 */
#include "base/check.h"
#include "base/log.h"
#include "engine/segment_task.h"

enum { MERGE_RETRY_US = 30000000 };

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

static void note_failure(struct host *h, const struct error *why)
{
    h->merge_not_before_us = scheduler_now_us(h->engine->scheduler) + MERGE_RETRY_US;
    log_event(LOG_WARN, "merge_failed collection=\"%s/%s\" reason=\"%s\"", h->entry.database,
              h->entry.name, why->text);
}

void engine_merge_if_due(struct host *h)
{
    struct collection *c = h->collection;
    struct error err = {0};

    if (!c || h->merge || !c->desc.may_sync || !collection_wants_merge(c)) return;
    if (scheduler_now_us(h->engine->scheduler) < h->merge_not_before_us) return;
    if (start_merge(h, &err) != 0) note_failure(h, &err);
}

void engine_cancel_merge(struct host *h)
{
    segment_task_cancel(h->merge);
}

/* -1: nothing has changed. */
static int end_merge(struct host *h, struct segment_ready_message *m)
{
    struct segment_task *t = h->merge;
    struct error err = m->error;

    CHECK(t && &t->ready == m);
    h->merge = NULL;
    if (err.code != LYNSE_OK) collection_merge_cancel(h->collection);
    else collection_merge_finish(h->collection, &m->build, &err);
    if (err.code != LYNSE_OK && err.code != LYNSE_CANCELLED && err.code != LYNSE_BUSY)
        note_failure(h, &err);
    segment_task_free(t);
    return err.code == LYNSE_OK ? 0 : -1;
}

void engine_on_merge_ready(struct host *h, struct segment_ready_message *m)
{
    if (end_merge(h, m) == 0) {
        engine_note_held(h, h->collection);
        engine_merge_if_due(h);
    }
    engine_index_if_due(h);
}
