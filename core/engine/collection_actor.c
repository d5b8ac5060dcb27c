/* SPDX-License-Identifier: Apache-2.0 */
/* collection_actor.c — a collection's actor: one handler per message, consecutive writes in one
 * batch.
 *
 * WHAT        Takes what the mailbox held, hands runs of writes to the collection as one sync
 *             batch, starts seals on the job pool and publishes what they built.
 * INVARIANTS  (1) Every message is answered exactly once and freed here.
 *             (2) What must wait for a seal, inline for a call that may sync, or rows for the pace
 *                 of indexes, is deferred with all behind it, in order, but for what only reads and
 *                 for another index; what is deferred is bounded as the mailbox is.
 *             (3) At most one seal is under way; the actor is stopped only after it came back.
 * THREADS     The actor's turn.
 * FAILURE     A write's error is its answer; a seal's error is logged and tried again later.  Below
 *             the mark of space.h what would add is refused before it is logged; what a full disk
 *             must not stop is tried again with the room of the reserve.
 */
#include <stdio.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "engine/engine.h"

enum {
    MARK_DELAY_US = 100000, /* R3: a durable mark after this long without a write */
};

static struct host *host_of(struct actor *a)
{
    return a->state;
}

/* ---- may the disk be waited for? (R4b) ---- */

/* Outside a call of the host that asks for it. */
static bool base_may_sync(const struct host *h)
{
    return !h->engine->desc.is_inline || h->engine->desc.poll_may_sync;
}

void engine_set_may_sync(struct host *h, bool may_sync)
{
    if (!h->collection) return;
    h->collection->desc.may_sync = may_sync;
    if (h->collection->wal) wal_set_rules(h->collection->wal, may_sync ? WAL_MAY_SYNC : 0);
}

static int try_prepare(void *ctx, struct error *err)
{
    return wal_prepare(ctx, err);
}

/* Inline: make the next log file ahead, so that no write needs a sync. */
static int prepare_log(struct host *h, int rc, struct error *err)
{
    struct collection *c = h->collection;

    if (base_may_sync(h)) return rc;
    if (rc == 0 && c->wal && !c->is_poisoned && c->manifest.sync_level != SYNC_NONE) {
        rc = engine_try_surely(h->engine, try_prepare, c->wal, err);
        if (rc != 0) error_wrap(err, "done, but there is no log file for the next writes");
    }
    engine_set_may_sync(h, false);
    return rc;
}

int engine_end_host_call(struct host *h, int rc, struct error *err)
{
    rc = prepare_log(h, rc, err);
    if (rc == 0) engine_keep_reserve(h);
    return rc;
}

static uint8_t level_of(const struct host *h, const struct message *m)
{
    uint8_t asked = ((const struct write_message *)m)->write.sync;
    return asked ? asked : h->collection->manifest.sync_level;
}

/* ---- timers ---- */

static void on_sync_timer(struct actor *a, void *ctx)
{
    struct host *h = ctx;
    struct error err = {0};
    uint64_t durable;

    (void)a;
    h->sync_is_armed = false;
    if (!h->collection || collection_sync(h->collection, &durable, &err) == 0) return;
    log_event(LOG_ERROR, "sync_failed collection=\"%s/%s\" reason=\"%s\"", h->entry.database,
              h->entry.name, err.text);
}

static void on_mark_timer(struct actor *a, void *ctx)
{
    struct host *h = ctx;
    struct error err = {0};
    uint64_t now = scheduler_now_us(a->scheduler);

    h->mark_is_armed = false;
    if (!h->collection) return;
    if (now < h->last_write_us + MARK_DELAY_US) {
        h->mark_is_armed = true;
        actor_timer_start(h->mark_timer, h->last_write_us + MARK_DELAY_US, 0);
    } else if (collection_mark(h->collection, &err) != 0) {
        log_event(LOG_ERROR, "mark_failed collection=\"%s/%s\" reason=\"%s\"", h->entry.database,
                  h->entry.name, err.text);
    }
}

/* After writes of these levels, a bit each. */
static void arm_timers(struct host *h, struct actor *a, unsigned levels)
{
    const struct manifest *m = &h->collection->manifest;

    h->last_write_us = scheduler_now_us(a->scheduler);
    if (!h->collection->desc.may_sync || m->sync_level == SYNC_NONE) return;
    if ((levels & 1u << SYNC_INTERVAL) && !h->sync_is_armed) {
        h->sync_is_armed = true;
        actor_timer_start(h->sync_timer, h->last_write_us + m->sync_interval_ms * 1000ull, 0);
    }
    if ((levels & (1u << SYNC_ALWAYS | 1u << SYNC_INTERVAL)) && !h->mark_is_armed) {
        h->mark_is_armed = true;
        actor_timer_start(h->mark_timer, h->last_write_us + MARK_DELAY_US, 0);
    }
}

/* ---- writes ---- */

static struct write_message *message_of_write(struct collection_write *w)
{
    return (struct write_message *)(void *)((char *)w - offsetof(struct write_message, write));
}

void engine_on_written(void *ctx, struct collection_write *w)
{
    struct host *h = ctx;
    struct write_message *m = message_of_write(w);
    struct answer answer;

    if (engine_keeps_delete(h, w)) return;
    if (w->error.code) {
        engine_name_collection(h, &w->error);
        message_answer_error(&m->base, &w->error);
    } else {
        m->outcome->lsn = w->lsn;
        m->outcome->row_count = w->row_count;
        m->outcome->first_number = w->first_number;
        m->outcome->sync_reached = w->sync_reached;
        m->outcome->is_repeat = w->is_repeat;
        answer_init(&answer, LYNSE_OK);
        answer.result = m->outcome;
        answer.destroy_result = write_outcome_destroy;
        m->outcome = NULL;
        message_answer(&m->base, &answer);
    }
    write_message_free(m);
}

/* Inline nobody seals between the host's calls.  One that may wait for the disk does it here, or
 * full tails would pile up in memory. */
static void make_room(struct host *h)
{
    struct error err = {0};

    if (!collection_is_stalled(h->collection) ||
        scheduler_now_us(h->engine->scheduler) < h->seal_not_before_us)
        return;
    if (engine_flush_surely(h, false, &err) == 0) return;
    log_event(LOG_ERROR, "seal_failed collection=\"%s/%s\" reason=\"%s\"", h->entry.database,
              h->entry.name, err.text);
}

static void write_run(struct host *h, struct actor *a, struct message **run, size_t run_count)
{
    struct collection_write *writes[ACTOR_BATCH_MAX];
    unsigned levels = 0;
    size_t count = run_count;

    CHECK(count <= ACTOR_BATCH_MAX);
    for (size_t i = 0; i < count; i++) levels |= 1u << level_of(h, run[i]);
    if (!base_may_sync(h) && (levels & 1u << SYNC_ALWAYS)) {
        engine_set_may_sync(h, true);
        make_room(h);
    }
    count = engine_refuse_without_room(h, run, count);
    for (size_t i = 0; i < count; i++) writes[i] = &((struct write_message *)run[i])->write;
    if (count > 0) engine_write_batch(h, writes, count);
    if (!base_may_sync(h)) engine_set_may_sync(h, false);
    arm_timers(h, a, levels);
    engine_await_quiet(h);
    engine_seal_if_due(h);
}

/* ---- orders ---- */

static void on_sync(struct host *h, struct order_message *m)
{
    struct error err = {0};
    uint64_t durable;
    int rc = 0;

    /* R4b: full tails waited for this call.  Where they cannot be sealed the log still has them. */
    if (!base_may_sync(h) && collection_wants_seal(h->collection)) {
        engine_set_may_sync(h, true);
        rc = engine_flush_surely(h, false, &err);
        if (h->collection->manifest.sync_level != SYNC_NONE) rc = 0;
    }
    engine_set_may_sync(h, true);
    engine_save_index(h);
    if (rc == 0) rc = collection_sync(h->collection, &durable, &err);
    rc = engine_end_host_call(h, rc, &err);
    engine_name_collection(h, &err);
    engine_answer_order(m, rc, &err);
}

static void on_flush(struct host *h, struct order_message *m)
{
    struct error err = {0};

    engine_set_may_sync(h, true);
    int rc = engine_flush_surely(h, m->retire_log, &err);
    engine_save_index(h);
    rc = engine_end_host_call(h, rc, &err);
    engine_name_collection(h, &err);
    engine_answer_order(m, rc, &err);
    engine_merge_if_due(h);
}

static void on_set_sync(struct host *h, struct order_message *m)
{
    struct error err = {0};

    engine_set_may_sync(h, true);
    int rc = engine_set_sync_surely(h, m->level, m->interval_ms, &err);
    rc = engine_end_host_call(h, rc, &err);
    engine_name_collection(h, &err);
    engine_answer_order(m, rc, &err);
}

static void on_describe(struct host *h, struct order_message *m)
{
    struct error err = {0};
    engine_answer_order(m, collection_set_description(h->collection, m->text, &err), &err);
}

static void on_set_hook(struct host *h, struct order_message *m)
{
    struct error err = {0};
    engine_answer_order(m, collection_set_hook(h->collection, m->hook, &err), &err);
}

static void on_check(struct host *h, struct order_message *m)
{
    struct error err = {0};
    engine_answer_order(m, collection_check(h->collection, &err), &err);
}

static void on_info(struct host *h, struct order_message *m)
{
    struct error err = {0};
    struct answer answer;

    if (engine_fill_status(h, m->status, &err) != 0) {
        engine_answer_order(m, -1, &err);
        return;
    }
    answer_init(&answer, LYNSE_OK);
    answer.result = m->status;
    answer.destroy_result = collection_status_destroy;
    m->status = NULL;
    message_answer(&m->base, &answer);
    order_message_free(m);
}

static int try_open(void *ctx, struct error *err)
{
    return engine_open_collection(ctx, err);
}

static void on_open(struct host *h, struct order_message *m)
{
    struct error err = {0};
    int rc = 0;

    /* A drop may overtake the open of another thread. */
    if (h->is_closed) rc = error_set(&err, LYNSE_SHUTTING_DOWN, "the collection is closed");
    else if (!h->collection) {
        rc = engine_try_surely(h->engine, try_open, h, &err);
        if (rc == 0) {
            engine_note_held(h, h->collection);
            engine_keep_reserve(h);
        }
    }
    engine_answer_order(m, rc, &err);
    engine_seal_if_due(h);
    engine_merge_if_due(h);
}

static void on_refresh(struct host *h, struct order_message *m)
{
    struct error err = {0};
    engine_answer_order(m, engine_refresh_collection(h, &err), &err);
}

static int try_settle(void *ctx, struct error *err)
{
    return collection_settle(ctx, err);
}

static void on_close(struct host *h, struct order_message *m)
{
    struct error err = {0};
    int rc = 0;

    if (h->collection && m->is_drop) engine_cancel_index(h);
    if (h->collection) engine_save_index(h);
    struct collection *c = h->collection;
    engine_drop_index_waiters(h, LYNSE_SHUTTING_DOWN);
    h->collection = NULL;
    h->is_closed = true;
    if (c && m->is_drop) collection_abandon(c);
    else if (c) {
        rc = engine_try_surely(h->engine, try_settle, c, &err);
        if (rc != 0) {
            collection_explain_unsettled(c, &err);
            error_wrap(&err, "collection '%.64s/%.64s'", h->entry.database, h->entry.name);
            log_event(LOG_ERROR, "close_failed reason=\"%s\"", err.text);
        } else {
            engine_note_held(h, c);
            engine_keep_reserve(h); /* for the next start */
        }
        collection_abandon(c);
    }
    engine_note_held(h, NULL);
    view_slot_publish(&h->slot, NULL);
    if (h->pinned_epoch) dir_lock_unpin(&h->engine->lock, h->entry.number, h->pinned_epoch);
    h->pinned_epoch = 0;
    engine_answer_order(m, rc, &err);
}

/* ---- the batch ---- */

/* Sent by what is under way: it waits for nothing. */
static bool is_of_task(const struct message *m)
{
    return m->class == MESSAGE_SYSTEM && m->kind != KIND_CLOSE;
}

/* That it adds. */
static size_t rows_of(const struct message *m)
{
    const struct collection_write *w = &((const struct write_message *)m)->write;

    if (m->kind != KIND_WRITE || (w->kind != WRITE_ADD && w->kind != WRITE_UPSERT)) return 0;
    return w->count;
}

/* Must this message wait for the seal that is under way, or for the last task to come back? */
static bool must_wait(struct host *h, const struct message *m)
{
    if (is_of_task(m)) return false;
    if (h->merge && engine_ends_merge(m)) return true;
    if ((m->kind == KIND_CLOSE || m->kind == KIND_REFRESH) &&
        (engine_index_is_out(h) || h->load || engine_recall_is_out(h)))
        return true;
    if (m->kind == KIND_WRITE && h->collection && !base_may_sync(h) &&
        h->engine->waiting_calls == 0 && level_of(h, m) == SYNC_ALWAYS)
        return true; /* a poll syncs only if it may (R4b) */
    if (index_pace_holds(h, rows_of(m))) return true;
    if (!h->seal) return false;
    if (m->kind == KIND_WRITE) return h->collection && collection_is_stalled(h->collection);
    return m->kind == KIND_FLUSH || m->kind == KIND_SET_SYNC || m->kind == KIND_CLOSE ||
           m->kind == KIND_REFRESH ||
           (m->kind == KIND_SET_INDEX && engine_index_needs_seal((const struct order_message *)m));
}

/* May it be done before what is deferred?  What only reads, of what is there, may; and so may an
 * order for an index where nothing but writes wait: it may be what they wait for. */
static bool overtakes(struct host *h, const struct message *m)
{
    struct message **deferred = (struct message **)(void *)h->deferred.data;
    size_t count = h->deferred.size / sizeof *deferred;

    if (m->kind == KIND_INFO || m->kind == KIND_CHECK) return true;
    if (m->kind != KIND_SET_INDEX || must_wait(h, m)) return false;
    for (size_t i = 0; i < count; i++)
        if (deferred[i]->kind != KIND_WRITE) return false;
    return true;
}

static void defer(struct host *h, struct message *m)
{
    /* Room for the one CLOSE is always left. */
    bool is_bounded = m->class != MESSAGE_SYSTEM;

    if (is_bounded &&
        (h->deferred_bytes > MAILBOX_BYTES || !buf_reserve(&h->deferred, 2 * sizeof m))) {
        h->deferred.failed = false;
        message_drop(m, LYNSE_BUSY);
        return;
    }
    buf_append(&h->deferred, &m, sizeof m);
    h->deferred_bytes += m->bytes;
}

static void handle(struct host *h, struct message *m)
{
    if (!h->collection && m->kind != KIND_OPEN && m->kind != KIND_CLOSE && !is_of_task(m)) {
        message_drop(m, LYNSE_SHUTTING_DOWN);
        return;
    }
    switch ((enum message_kind)m->kind) {
    case KIND_OPEN:
        on_open(h, (struct order_message *)m);
        break;
    case KIND_SYNC:
        on_sync(h, (struct order_message *)m);
        break;
    case KIND_FLUSH:
        on_flush(h, (struct order_message *)m);
        break;
    case KIND_SET_INDEX:
        engine_set_index(h, (struct order_message *)m);
        break;
    case KIND_SET_SYNC:
        on_set_sync(h, (struct order_message *)m);
        break;
    case KIND_DESCRIBE:
        on_describe(h, (struct order_message *)m);
        break;
    case KIND_SET_HOOK:
        on_set_hook(h, (struct order_message *)m);
        break;
    case KIND_INFO:
        on_info(h, (struct order_message *)m);
        break;
    case KIND_REFRESH:
        on_refresh(h, (struct order_message *)m);
        break;
    case KIND_CHECK:
        on_check(h, (struct order_message *)m);
        break;
    case KIND_LOAD_INDEXES:
        engine_load_if_wanted(h);
        order_message_free((struct order_message *)m);
        break;
    case KIND_CLOSE:
        on_close(h, (struct order_message *)m);
        break;
    default:
        engine_handle_task(h, m);
    }
}

/* A CLOSE has come: what it would wait for ends soon, and nothing like it is begun. */
static void begin_end(struct host *h, const struct order_message *m)
{
    h->is_ending = true;
    if (m->is_drop) engine_cancel_seal(h); /* what is dropped needs no segment any more */
    if (engine_index_is_out(h)) engine_cancel_index(h);
    engine_cancel_load(h->load);
    engine_cancel_recall(h);
}

/* Messages in order; the first that must wait makes all behind it wait (2). */
static void handle_all(struct host *h, struct actor *a, struct message **batch, size_t count)
{
    struct message *run[ACTOR_BATCH_MAX];
    size_t run_count = 0;

    for (size_t i = 0; i < count; i++) {
        struct message *m = batch[i];
        bool is_write = m->kind == KIND_WRITE && h->collection;
        if (run_count > 0 && (!is_write || run_count == ACTOR_BATCH_MAX)) {
            write_run(h, a, run, run_count);
            run_count = 0;
        }
        if (m->kind == KIND_CLOSE) begin_end(h, (struct order_message *)m);
        if (engine_ends_merge(m)) engine_cancel_merge(h);
        bool waits = !is_of_task(m) && (h->deferred.size > 0 || must_wait(h, m));
        if (waits && !overtakes(h, m)) defer(h, m);
        else if (is_write) {
            index_pace_admit(h, rows_of(m));
            run[run_count++] = m;
        } else handle(h, m);
    }
    if (run_count > 0) write_run(h, a, run, run_count);
}

/* They have waited: some may have passed their deadlines, or been given up. */
static void drop_overdue(struct host *h)
{
    struct message **deferred = (struct message **)(void *)h->deferred.data;
    size_t count = h->deferred.size / sizeof *deferred, left = 0;
    uint64_t now_us = scheduler_now_us(h->engine->scheduler);

    for (size_t i = 0; i < count; i++) {
        int code = message_refusal(deferred[i], now_us);
        if (code == LYNSE_OK) {
            deferred[left++] = deferred[i];
            continue;
        }
        h->deferred_bytes -= deferred[i]->bytes;
        message_drop(deferred[i], code);
    }
    h->deferred.size = left * sizeof *deferred;
}

static bool may_go_on(struct host *h)
{
    drop_overdue(h);
    return h->deferred.size > 0 && !must_wait(h, *(struct message **)(void *)h->deferred.data);
}

static void handle_deferred(struct host *h, struct actor *a)
{
    if (h->deferred.size > 0) index_pace_look(h);
    while (may_go_on(h)) {
        struct buf work = h->deferred;
        h->deferred = h->deferred_spare;
        h->deferred_bytes = 0;
        handle_all(h, a, (struct message **)(void *)work.data,
                   work.size / sizeof(struct message *));
        buf_reset(&work);
        h->deferred_spare = work;
    }
}

static void on_batch(struct actor *a, struct message **batch, size_t count)
{
    struct host *h = host_of(a);

    index_pace_look(h);
    handle_all(h, a, batch, count);
    handle_deferred(h, a);
    engine_index_if_due(h);
}

static void on_pace_timer(struct actor *a, void *ctx)
{
    struct host *h = ctx;

    handle_deferred(h, a);
    engine_index_if_due(h);
}

static void on_stop(struct actor *a)
{
    struct host *h = host_of(a);
    struct message **deferred = (struct message **)(void *)h->deferred.data;

    for (size_t i = 0; i < h->deferred.size / sizeof *deferred; i++)
        message_drop(deferred[i], LYNSE_SHUTTING_DOWN);
    buf_reset(&h->deferred);
    actor_timer_destroy(h->sync_timer);
    actor_timer_destroy(h->mark_timer);
    actor_timer_destroy(h->seal_timer);
    actor_timer_destroy(h->merge_timer);
    actor_timer_destroy(h->index_timer);
    actor_timer_destroy(h->load_timer);
    actor_timer_destroy(h->pace.timer);
    h->sync_timer = h->mark_timer = h->seal_timer = h->index_timer = h->load_timer = NULL;
    h->merge_timer = h->pace.timer = NULL;
    engine_stop_recall(h);
    if (h->collection) collection_abandon(h->collection);
    h->collection = NULL;
}

const struct actor_ops collection_actor_ops = {.on_batch = on_batch, .on_stop = on_stop};

/* ---- set up, by the starter before anything is sent ---- */

int engine_start_actor(struct host *h, struct error *err)
{
    char name[2 * NAME_ROOM];
    struct actor_desc desc = {.ops = &collection_actor_ops, .state = h, .name = name};

    snprintf(name, sizeof name, "%s/%s", h->entry.database, h->entry.name);
    buf_init(&h->deferred, h->engine->alloc, MEM_MESSAGE);
    buf_init(&h->deferred_spare, h->engine->alloc, MEM_MESSAGE);
    buf_init(&h->index_waiters, h->engine->alloc, MEM_MESSAGE);
    if (!buf_reserve(&h->deferred, sizeof(struct message *)) ||
        !buf_reserve(&h->deferred_spare, sizeof(struct message *)))
        return error_no_memory(err, sizeof(struct message *));
    h->actor = actor_create(h->engine->scheduler, &desc, err);
    if (!h->actor) return -1;
    h->sync_timer = actor_timer_create(h->actor, on_sync_timer, h, err);
    h->mark_timer = h->sync_timer ? actor_timer_create(h->actor, on_mark_timer, h, err) : NULL;
    if (h->mark_timer) h->seal_timer = actor_timer_create(h->actor, engine_on_seal_timer, h, err);
    if (h->seal_timer) h->merge_timer = actor_timer_create(h->actor, engine_on_merge_timer, h, err);
    if (h->merge_timer)
        h->index_timer = actor_timer_create(h->actor, engine_on_index_timer, h, err);
    if (h->index_timer) h->load_timer = actor_timer_create(h->actor, engine_on_load_timer, h, err);
    if (h->load_timer) h->pace.timer = actor_timer_create(h->actor, on_pace_timer, h, err);
    return h->pace.timer ? 0 : -1;
}
