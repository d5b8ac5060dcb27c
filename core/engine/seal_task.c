/* SPDX-License-Identifier: Apache-2.0 */
/* seal_task.c — a frozen tail becomes a segment while its actor goes on.
 *
 * WHAT        A segment's build is a task (segment_task.c); when it comes back the actor publishes
 *             what was built.  What fails is tried again by a timer, ever more seldom, and by
 *             whatever else seals.
 * INVARIANTS  (1) At most one is under way for a collection.
 *             (2) While sealing fails a timer is armed, but where polls may not sync (R4b).
 * THREADS     The collection's turn.
 * FAILURE     What was made of a segment is removed; its rows stay frozen, and writes are refused
 *             when too many do (collection_check_room).
 */
#include "base/check.h"
#include "base/log.h"
#include "engine/backoff.h"
#include "engine/segment_task.h"

static const struct backoff retries = {.first_us = 250000, .doublings = 6}; /* up to 16 s */

int engine_start_seal(struct host *h, struct error *err)
{
    struct segment_task *t = segment_task_make(h, KIND_SEGMENT_READY);
    int rc = -1;

    if (!t) return error_no_memory(err, sizeof *t);
    if (collection_seal_begin(h->collection, false, &t->desc, err) != 0) goto out;
    h->seal = t;
    rc = segment_task_start(t, err);
    if (rc == 0) return 0;
    h->seal = NULL;
    collection_seal_cancel(h->collection);
out:
    segment_task_free(t);
    return rc;
}

void engine_cancel_seal(struct host *h)
{
    segment_task_cancel(h->seal);
}

static int end_seal(struct host *h, struct segment_ready_message *m, struct error *err)
{
    struct segment_task *t = h->seal;
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
    segment_task_free(t);
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
    h->seal_not_before_us =
        scheduler_now_us(h->engine->scheduler) + backoff_us(&retries, c->seal_failures - 1);
    /* Where polls may not sync, only a call of the host seals (R4b). */
    if (h->engine->desc.is_inline && !h->engine->desc.poll_may_sync) return;
    c->seal_retry_us = h->seal_not_before_us;
    actor_timer_start(h->seal_timer, h->seal_not_before_us, 0);
}

void engine_on_segment_ready(struct host *h, struct segment_ready_message *m)
{
    struct error err = {0};

    int rc = end_seal(h, m, &err);
    engine_heed_seal(h);
    engine_on_seal_over(h);
    if (rc == 0) {
        engine_note_held(h, h->collection);
        engine_seal_if_due(h);
        engine_merge_if_due(h);
        return;
    }
    if (err.code == LYNSE_CANCELLED) return;
    (void)engine_frees_space(h->engine, &err); /* for the next try */
    log_event(LOG_ERROR, "seal_failed collection=\"%s/%s\" reason=\"%s\"", h->entry.database,
              h->entry.name, err.text);
}
