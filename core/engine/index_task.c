/* SPDX-License-Identifier: Apache-2.0 */
/* index_task.c — segments get their indexes, built by all job threads, while their actor goes on.
 *
 * WHAT        A crew of tasks works on a build (index_crew.h); when it comes back the actor
 *             publishes the index, begins the next one, and answers who waits for all of them.
 *             Before one is begun segments are merged where that is due: those that wait for an
 *             index get one, not one each.  A merge that fails is put off, and they get one each.
 * INVARIANTS  (1) At most one build is under way for a collection, beside that of a merge.
 *             (2) Where no sync is allowed the file waits to be written until a call of the host
 *                 that allows one (R4b).
 *             (3) Whoever waits is answered: when every segment up to its LSN is indexed, or when a
 *                 build fails, another index is asked for, or the collection is closed.
 * THREADS     The collection's turn; the steps, on any thread.
 *             (4) AUTO is asked again where a manifest is new and another may be written: when
 *                 segments were sealed or merged.  Who waits goes on waiting then, for what it
 *                 chose.
 * FAILURE     What was built is removed, and tried again by a timer, ever more seldom; searches go
 *             on without it.  What is damaged whenever it has been built is likewise built again
 *             ever more seldom, and after all else.
 */
#include "base/check.h"
#include "base/log.h"
#include "engine/backoff.h"
#include "engine/index_crew.h"
#include "index/index_auto.h"

static const struct backoff retries = {.first_us = 1000000, .doublings = 6}; /* up to 64 s */
/* A damaged index is built again at once; the second of a segment is a failure. */
enum { DAMAGES_TOLD = 2 };

static int start(struct host *h, struct error *err)
{
    struct index_crew *crew = index_crew_make(h, KIND_INDEX_READY);

    if (!crew) return error_no_memory(err, sizeof *crew);
    if (collection_index_begin(h->collection, err) != 0) {
        index_crew_free(crew);
        return -1;
    }
    h->index = crew;
    index_pace_begin_build(h);
    h->index_is_back = false;
    if (index_crew_start(crew, h->collection->index_build, err) == 0) return 0;
    h->index = NULL;
    (void)collection_index_finish(h->collection, NULL);
    index_crew_free(crew);
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
        else if (!why && there.settled < there.wanted) waiters[left++] = m;
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

static void end_task(struct host *h);

/* Where its crew has gone and nothing is left to be done: cancelled, say, or done to its end. */
static void end_if_over(struct host *h)
{
    if (h->index && h->index_is_back && index_builder_work(h->index->builder, false) == INDEX_BUILT)
        end_task(h);
}

/* Builds for the old plan end, also one that waits to be saved, and who waits for it is told. */
static void forget_plan(struct host *h)
{
    struct error why = {0};

    engine_cancel_index(h);
    engine_cancel_merge_index(h);
    end_if_over(h);
    if (waiter_count(h) == 0) return;
    error_set(&why, LYNSE_CANCELLED, "another index was asked for meanwhile");
    answer_waiters(h, &why);
}

static void forget_failures(struct host *h)
{
    h->index_failures = 0;
    h->index_failure = h->load_failure = (struct error){0};
    h->index_not_before_us = 0;
}

/* What was put off is tried at once. */
static void ask_anew(struct host *h)
{
    forget_failures(h);
    h->damage_not_before_us = 0;
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
    if (rc == 0) rc = collection_set_index(h->collection, &m->plan, metric, m->measured, &err);
    if (rc == 0) ask_anew(h);
    if (rc == 0 && is_new) forget_plan(h);
    if (rc == 0 && engine_index_needs_seal(m)) engine_save_index(h); /* none else would, inline */
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
    index_crew_cancel(h->index);
}

bool engine_index_is_out(const struct host *h)
{
    return h->index && !h->index_is_back;
}

/* After so many failures before this one. */
static uint64_t retry_time_us(const struct host *h, uint32_t failures)
{
    return scheduler_now_us(h->engine->scheduler) + backoff_us(&retries, failures);
}

static void note_failure(struct host *h, const struct error *why)
{
    log_event(LOG_ERROR, "index_failed collection=\"%s/%s\" reason=\"%s\"", h->entry.database,
              h->entry.name, why->text);
    h->index_not_before_us = retry_time_us(h, h->index_failures++);
    h->index_failure_count++;
    h->index_failure = *why;
    actor_timer_start(h->index_timer, h->index_not_before_us, 0);
    answer_waiters(h, why);
}

void engine_note_damage(struct host *h, uint32_t damages)
{
    if (damages < DAMAGES_TOLD) return;
    h->damage_not_before_us = retry_time_us(h, damages - DAMAGES_TOLD);
    answer_waiters(h, &h->index_failure);
}

/* When what is to be built next may be begun. */
static uint64_t not_before_us(const struct host *h)
{
    bool is_doubtful = collection_next_damages(h->collection) >= DAMAGES_TOLD;

    return is_doubtful && h->damage_not_before_us > h->index_not_before_us ? h->damage_not_before_us
                                                                           : h->index_not_before_us;
}

bool engine_index_is_put_off(const struct host *h)
{
    return !h->index && scheduler_now_us(h->engine->scheduler) < not_before_us(h);
}

/* Nobody works on it any more, and it is over. */
static void end_task(struct host *h)
{
    struct index_crew *crew = h->index;
    struct error err = {0};

    h->index = NULL;
    uint32_t row_count = index_builder_row_count(crew->builder);
    uint64_t epoch = h->collection->manifest.epoch;
    int rc = collection_index_finish(h->collection, &err);
    index_crew_free(crew);
    if (rc == 0) {
        forget_failures(h);
        if (h->collection->manifest.epoch != epoch) {
            index_pace_end_build(h, row_count);
            h->index_build_count++;
        }
        engine_note_held(h, h->collection);
        engine_load_if_wanted(h);
    } else if (err.code != LYNSE_CANCELLED && err.code != LYNSE_SHUTTING_DOWN) {
        engine_name_collection(h, &err);
        note_failure(h, &err);
    }
}

void engine_save_index(struct host *h)
{
    engine_drop_damaged(h);
    if (!h->index || !h->index_is_back) return;
    while (index_builder_work(h->index->builder, true) == INDEX_WORKED) continue;
    end_task(h);
}

void engine_end_index(struct host *h, struct index_ready_message *m)
{
    CHECK(h->index && &h->index->ready == m);
    h->index_is_back = true;
    if (index_may_save(h)) engine_save_index(h);
    else end_if_over(h);
    engine_merge_if_due(h);
    if (h->collection) engine_index_if_due(h);
}

static uint64_t live_count(const struct collection *c)
{
    uint64_t count = 0;

    for (size_t i = 0; i < c->part_count; i++)
        count += c->parts[i].row_count - tombstones_count(c->parts[i].dead);
    return count;
}

static void follow(struct host *h, const struct index_plan *plan)
{
    struct collection *c = h->collection;
    struct error err = {0};

    if (collection_set_index(c, plan, c->manifest.fields[0].metric, NULL, &err) == 0) {
        ask_anew(h);
        engine_cancel_index(h);
        engine_cancel_merge_index(h);
        return;
    }
    log_event(LOG_WARN, "index_not_changed collection=\"%s/%s\" reason=\"%s\"", h->entry.database,
              h->entry.name, err.text);
}

/* A later version may have chosen what this one cannot build or compare with: that stays. */
static bool is_known(const struct manifest_field *f)
{
    const struct index_vtab *kind = index_find(f->index_kind);

    if (f->index_kind == INDEX_NONE) return true;
    return kind && quantizer_find(f->index.quantizer) && f->index.value_count <= kind->param_count;
}

/* (4) */
static void ask_auto(struct host *h)
{
    const struct collection *c = h->collection;
    const struct manifest_field *f = &c->manifest.fields[0];
    struct index_plan plan, chosen = {.kind = (enum index_kind)f->index_kind};

    if (!f->index.is_auto || h->auto_epoch == c->manifest.epoch || c->is_poisoned || !c->wal ||
        !index_may_save(h) || !is_known(f))
        return;
    h->auto_epoch = c->manifest.epoch;
    (void)collection_plan_of(f, &chosen); /* of one without a kind to build the kind is all */
    const struct index_auto_desc desc = {
        .metric = (enum metric)f->metric,
        .row_count = live_count(c),
        .dim = c->dim,
        .memory_bytes = h->engine->desc.budget_bytes,
        .storage = (enum storage_type)f->storage,
    };
    if (index_auto_changes(&desc, &chosen, &plan)) follow(h, &plan);
}

/* Is there one to be begun?  Not while an order that ends merges comes next: one may be due. */
static bool wants_build(struct host *h)
{
    if (h->index || engine_awaits_merge(h) || !collection_wants_index(h->collection)) return false;
    engine_merge_if_due(h);
    return collection_wants_index(h->collection);
}

void engine_index_if_due(struct host *h)
{
    struct collection *c = h->collection;
    struct error err = {0};

    if (!c || h->is_ending) return;
    ask_auto(h);
    if (wants_build(h)) {
        if (engine_index_is_put_off(h)) actor_timer_start(h->index_timer, not_before_us(h), 0);
        else if (start(h, &err) != 0) {
            engine_name_collection(h, &err);
            note_failure(h, &err);
        }
    }
    if (waiter_count(h) > 0) answer_waiters(h, c->is_poisoned ? &c->poison : NULL);
}

void engine_on_index_timer(struct actor *a, void *ctx)
{
    (void)a;
    engine_index_if_due(ctx);
}
