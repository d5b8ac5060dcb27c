/* SPDX-License-Identifier: Apache-2.0 */
/* collection_room.c — what a disk that fills changes for one collection: what is refused before it
 * is logged, and what is tried again with the room of the reserve. */
#include "engine/engine.h"

#define BUDGET_WORD "memory_budget_bytes"

/* Deletes of a batch that found the disk full: they are answered when they were tried again. */
struct kept_deletes {
    struct collection_write *writes[ACTOR_BATCH_MAX];
    size_t count;
    bool are_overtaken; /* something that came later has been done: the order would be another */
};

/* An error comes by here in the engine, and again where it leaves the library. */
void engine_explain_budget(const struct engine *e, struct error *err)
{
    size_t budget = alloc_budget_bytes(e->alloc);

    if (err->code != LYNSE_NO_MEMORY || budget == 0 || strstr(err->text, BUDGET_WORD)) return;
    (void)error_wrap(err, BUDGET_WORD " %zu, %zu in use", budget, alloc_used_bytes(e->alloc));
}

void engine_name_collection(const struct host *h, struct error *err)
{
    engine_explain_budget(h->engine, err);
    if (err->code == LYNSE_DISK_FULL || err->code == LYNSE_BUSY || err->code == LYNSE_IO ||
        err->code == LYNSE_OUTCOME_UNKNOWN)
        (void)error_wrap(err, "collection '%.64s/%.64s'", h->entry.database, h->entry.name);
}

/* Asked of the collection, not summed up: what was admitted may still have been refused. */
static void note_waiting(struct host *h, const struct collection *c)
{
    space_set_waiting(&h->engine->space, &h->waiting_bytes, c ? collection_waiting_bytes(c) : 0);
}

void engine_note_held(struct host *h, const struct collection *c)
{
    space_set_held(&h->engine->space, &h->held_bytes, c ? collection_disk_bytes(c) : 0);
    note_waiting(h, c);
}

struct flush {
    struct collection *collection;
    bool retire_log;
};

static int try_flush(void *ctx, struct error *err)
{
    const struct flush *f = ctx;
    return collection_flush(f->collection, f->retire_log, err);
}

void engine_keep_reserve(struct host *h)
{
    space_keep_reserve(&h->engine->space, scheduler_now_us(h->engine->scheduler));
}

int engine_flush_surely(struct host *h, bool retire_log, struct error *err)
{
    struct flush f = {h->collection, retire_log};
    int rc = engine_try_surely(h->engine, try_flush, &f, err);

    engine_heed_seal(h);
    if (rc != 0) return rc;
    engine_note_held(h, h->collection);
    return 0;
}

struct sync_change {
    struct collection *collection;
    uint8_t level;
    uint32_t interval_ms;
};

static int try_set_sync(void *ctx, struct error *err)
{
    const struct sync_change *change = ctx;
    return collection_set_sync(change->collection, change->level, change->interval_ms, err);
}

int engine_set_sync_surely(struct host *h, uint8_t level, uint32_t interval_ms, struct error *err)
{
    struct sync_change change = {h->collection, level, interval_ms};
    int rc = engine_try_surely(h->engine, try_set_sync, &change, err);

    /* Leaving `none` flushes. */
    engine_heed_seal(h);
    engine_note_held(h, h->collection);
    return rc;
}

bool engine_keeps_delete(struct host *h, struct collection_write *w)
{
    struct kept_deletes *k = h->kept;

    if (w->error.code == LYNSE_DISK_FULL) space_doubt(&h->engine->space);
    if (!k) return false;
    if (!w->error.code) k->are_overtaken = k->are_overtaken || k->count > 0;
    if (w->kind != WRITE_DELETE || w->error.code != LYNSE_DISK_FULL || k->are_overtaken)
        return false;
    k->writes[k->count++] = w;
    return true;
}

void engine_write_batch(struct host *h, struct collection_write **writes, size_t count)
{
    struct kept_deletes kept = {.count = 0};

    h->kept = &kept;
    collection_write_batch(h->collection, writes, count);
    h->kept = NULL;
    note_waiting(h, h->collection);
    if (kept.count == 0) return;
    if (!kept.are_overtaken && engine_frees_space(h->engine, &kept.writes[0]->error))
        collection_write_batch(h->collection, kept.writes, kept.count);
    else
        for (size_t i = 0; i < kept.count; i++) engine_on_written(h, kept.writes[i]);
}

size_t engine_refuse_without_room(struct host *h, struct message **run, size_t count)
{
    uint64_t now_us = scheduler_now_us(h->engine->scheduler);
    bool may_wait = !h->engine->desc.is_inline; /* 16 MiB are too much for any frame */
    size_t left = 0;

    for (size_t i = 0; i < count; i++) {
        struct write_message *m = (struct write_message *)run[i];
        struct error err = {0};
        /* What was applied adds nothing when it is sent again. */
        if (m->write.kind == WRITE_DELETE || collection_knows_request(h->collection, &m->write) ||
            space_admit(&h->engine->space, m->base.bytes, now_us, may_wait, &err) == 0) {
            run[left++] = run[i];
            continue;
        }
        engine_name_collection(h, &err);
        message_answer_error(&m->base, &err);
        write_message_free(m);
    }
    return left;
}
