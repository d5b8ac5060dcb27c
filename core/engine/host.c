/* SPDX-License-Identifier: Apache-2.0 */
/* host.c — collections that are open in this process: found or started, counted, read, ended.
 *
 * WHAT        The first handle to a collection starts its actor and has it recovered in the actor's
 *             own turn, so that opening many at once runs in parallel.  It stays open until the
 *             root is closed or the collection is dropped.
 * INVARIANTS  (1) A host in the list has an actor; its collection is touched in the actor's turn
 *                 only.
 *             (2) Readers use the slot alone; a closed slot is empty.
 *             (3) A reader of another process pins an epoch before it trusts it (L4).
 * THREADS     Any, under the engine's mutex; engine_open_collection and engine_refresh_collection
 *             in the actor's turn.
 * FAILURE     A collection that cannot be opened answers so to every handle; the others go on.
 */
#include "base/check.h"
#include "base/log.h"
#include "engine/engine.h"
#include "store/twin_file.h"

enum { PIN_TRIES_MAX = 1000 };

static int open_directory(struct host *h, struct vfs_dir **out, struct error *err)
{
    char name[UUID_TEXT_BYTES];

    uuid_format(&h->entry.uuid, name);
    return vfs_dir_open_in(h->engine->root, name, out, err);
}

static void unpin(struct host *h, uint64_t epoch)
{
    /* What is open holds its own pin of the same byte. */
    if (epoch && epoch != h->pinned_epoch) dir_lock_unpin(&h->engine->lock, h->entry.number, epoch);
}

/* L4: pin first, then look again; go on only if the newest epoch is the pinned one. */
static int pin_newest(struct host *h, struct vfs_dir *dir, uint64_t *out_epoch, struct error *err)
{
    struct engine *e = h->engine;
    uint64_t epoch, again;
    bool found;

    for (int i = 0; i < PIN_TRIES_MAX; i++) {
        if (twin_file_newest(dir, MANIFEST_PREFIX, &epoch, &found, err) != 0) return -1;
        if (!found) return error_set(err, LYNSE_CORRUPT, "there is no manifest");
        if (dir_lock_pin(&e->lock, h->entry.number, epoch, err) != 0) return -1;
        if (twin_file_newest(dir, MANIFEST_PREFIX, &again, &found, err) == 0 && found &&
            again == epoch) {
            *out_epoch = epoch;
            return 0;
        }
        unpin(h, epoch);
    }
    return error_set(err, LYNSE_BUSY, "the writer publishes faster than this reader can follow");
}

/* The catalog names the collection: what of it is not found is damage. */
static int fail_open(struct host *h, struct error *err)
{
    if (err && err->code == LYNSE_NOT_FOUND) err->code = LYNSE_CORRUPT;
    return error_wrap(err, "collection '%s/%s'", h->entry.database, h->entry.name);
}

/* A tail may hold this part of a memory budget.  Three of them, as two may wait to be sealed, then
 * leave half of it and more to writes, which are there twice for a moment, and in buffers,
 * and which begin when a tail is not yet quite full.  In a root in memory nothing would be gained:
 * a segment takes what its rows took. */
enum { TAIL_SHARES = 8 };

static uint64_t tail_share(const struct engine *e)
{
    return e->own_vfs ? 0 : alloc_budget_bytes(e->alloc) / TAIL_SHARES;
}

/* Where polls may not sync a host may make none, and what it calls does all of its work (R4b). */
static bool has_reaper(const struct engine *e)
{
    return !e->desc.is_inline || e->desc.poll_may_sync;
}

static int open_state(struct host *h, struct collection **out, uint64_t *out_epoch,
                      struct error *err)
{
    struct engine *e = h->engine;
    struct collection_desc desc = {
        .alloc = e->alloc,
        .owner = {e->uuid, h->entry.uuid},
        .number = h->entry.number,
        .tail_share_bytes = tail_share(e),
        .clock = e->clock,
        .rng = &h->rng,
        .cache = e->cache,
        .lock_file = e->lock.is_writer ? e->lock.file : NULL,
        .slot = &h->slot,
        .sweeper = has_reaper(e) ? &e->reaper->sweeper : NULL,
        .read_only = e->desc.read_only,
        .may_sync = !e->desc.is_inline || e->desc.poll_may_sync,
        .on_written = engine_on_written,
        .on_written_ctx = h,
    };
    bool pins = e->desc.read_only && !e->desc.immutable && e->lock.file;

    *out_epoch = 0;
    if (open_directory(h, &desc.take_dir, err) != 0) {
        if (err && err->code == LYNSE_INVALID) err->code = LYNSE_CORRUPT;
        return fail_open(h, err);
    }
    if (pins && pin_newest(h, desc.take_dir, out_epoch, err) != 0) {
        vfs_dir_close(desc.take_dir);
        return fail_open(h, err);
    }
    if (collection_open(&desc, out, err) == 0) return 0;
    unpin(h, *out_epoch);
    return fail_open(h, err);
}

int engine_open_collection(struct host *h, struct error *err)
{
    uint64_t epoch; /* not in its place yet: unpin spares what is there */

    if (open_state(h, &h->collection, &epoch, err) != 0) return -1;
    h->pinned_epoch = epoch;
    h->last_write_us = scheduler_now_us(h->engine->scheduler);
    if (h->collection->wal)
        engine_stir(&h->rng, h->collection->manifest.epoch,
                    wal_first_needed(h->collection->wal, UINT64_MAX));
    /* R4b: inline, the host's call to open makes the first log file, so that no write needs a sync.
     * */
    if (!h->collection->wal || h->collection->desc.may_sync) return 0;
    if (h->collection->manifest.sync_level == SYNC_NONE) return 0;
    wal_set_rules(h->collection->wal, WAL_MAY_SYNC);
    int rc = wal_prepare(h->collection->wal, err);
    wal_set_rules(h->collection->wal, 0);
    if (rc == 0) return 0;
    view_slot_publish(&h->slot, NULL); /* (2) */
    collection_abandon(h->collection);
    h->collection = NULL;
    return -1;
}

int engine_refresh_collection(struct host *h, struct error *err)
{
    struct collection *fresh;
    uint64_t epoch;

    if (!h->engine->desc.read_only) return 0;
    if (open_state(h, &fresh, &epoch, err) != 0) return -1;
    /* The new state has published its view in the same slot; views of the old one live on. */
    collection_abandon(h->collection);
    if (h->pinned_epoch && h->pinned_epoch != epoch)
        dir_lock_unpin(&h->engine->lock, h->entry.number, h->pinned_epoch);
    h->collection = fresh;
    h->pinned_epoch = epoch;
    return 0;
}

static int make_close_order(struct host *h, struct error *err)
{
    h->close_order = engine_order(h->engine, KIND_CLOSE, err);
    if (!h->close_order) return -1;
    h->closed = future_create(h->engine->scheduler, err);
    if (!h->closed) return -1;
    h->close_order->base.class = MESSAGE_SYSTEM;
    h->close_order->is_drop = h->engine->own_vfs != NULL; /* nothing of it is going to be read */
    h->close_order->base.reply = &h->closed->reply;
    return 0;
}

static int start_host(struct engine *e, const struct catalog_collection *entry, struct host **out,
                      struct error *err)
{
    struct host *h = mem_zalloc(e->alloc, MEM_GENERAL, sizeof *h);

    if (!h) return error_no_memory(err, sizeof *h);
    h->engine = e;
    h->entry = *entry;
    view_slot_init(&h->slot);
    if (has_reaper(e)) h->slot.reaper = &e->reaper->views;
    recall_sampler_init(&h->recall, e->alloc);
    engine_lock(e);
    rng_init(&h->rng, rng_u64(&e->rng));
    engine_unlock(e);
    if (engine_start_actor(h, err) != 0 || make_close_order(h, err) != 0 ||
        engine_prepare_drop(h, err) != 0) {
        engine_free_host(h);
        return -1;
    }
    *out = h;
    return 0;
}

int engine_close_host(struct host *h, bool is_drop, struct error *err)
{
    struct answer answer;
    struct order_message *m = h->close_order;

    h->close_order = NULL;
    m->is_drop = m->is_drop || is_drop;
    actor_send(h->actor, &m->base);
    if (engine_wait(h->engine, h->closed, 0, &answer, err) != 0) return -1;
    int code = answer.code;
    if (code != LYNSE_OK && err) *err = answer.error;
    answer_deinit(&answer);
    return code == LYNSE_OK ? 0 : -1;
}

void engine_free_host(struct host *h)
{
    if (h->close_order) message_drop(&h->close_order->base, LYNSE_CANCELLED);
    if (h->drop_order) message_drop(&h->drop_order->base, LYNSE_CANCELLED);
    if (h->closed) future_release(h->closed);
    actor_destroy(h->actor);
    if (h->pinned_epoch) dir_lock_unpin(&h->engine->lock, h->entry.number, h->pinned_epoch);
    buf_deinit(&h->deferred);
    buf_deinit(&h->deferred_spare);
    buf_deinit(&h->index_waiters);
    view_slot_deinit(&h->slot);
    recall_sampler_deinit(&h->recall);
    mem_free(h->engine->alloc, h);
}

static struct host *find_host(struct engine *e, uint32_t number)
{
    struct host *h = e->hosts;

    while (h && h->entry.number != number) h = h->next;
    return h;
}

/* The collection's host if it is open here, counted; else its entry, so that it can be opened. */
static int look_up(struct engine *e, const char *database, const char *name, struct host **out,
                   struct catalog_collection *out_entry, struct error *err)
{
    engine_lock(e);
    const struct catalog_collection *entry = catalog_find(&e->catalog, database, name);
    bool is_found = entry && !e->is_closing;
    if (e->is_closing) error_set(err, LYNSE_SHUTTING_DOWN, "the database is being closed");
    else if (!entry)
        error_set(err, LYNSE_NOT_FOUND, "collection '%s/%s' not found", database, name);
    *out = is_found ? find_host(e, entry->number) : NULL;
    if (*out) (*out)->handle_count++;
    else if (is_found) *out_entry = *entry;
    engine_unlock(e);
    return is_found ? 0 : -1;
}

/* List it, counted, unless another thread was first.  False: it was, or the collection is not there
 * any more. */
static bool add_host(struct engine *e, struct host *h)
{
    engine_lock(e);
    const struct catalog_collection *entry =
        catalog_find(&e->catalog, h->entry.database, h->entry.name);
    bool is_first = entry && entry->number == h->entry.number && !e->is_closing &&
                    !find_host(e, h->entry.number);
    if (is_first) {
        h->handle_count++;
        h->next = e->hosts;
        e->hosts = h;
    }
    engine_unlock(e);
    return is_first;
}

/* An actor is started, and ended again, without the lock: others' turns may need it meanwhile. */
static int find_or_start(struct engine *e, const char *database, const char *name,
                         struct host **out, struct error *err)
{
    for (;;) {
        struct catalog_collection entry;
        struct host *h;
        if (look_up(e, database, name, out, &entry, err) != 0) return -1;
        if (*out) return 0;
        if (start_host(e, &entry, &h, err) != 0) return -1;
        if (add_host(e, h)) {
            *out = h;
            return 0;
        }
        engine_free_host(h);
    }
}

int engine_acquire_host(struct engine *e, const char *database, const char *name, struct host **out,
                        struct error *err)
{
    struct host *h;

    if (find_or_start(e, database, name, &h, err) != 0) return -1;
    engine_lock(e);
    bool is_open = h->is_open;
    engine_unlock(e);
    if (!is_open) {
        struct order_message *m = engine_order(e, KIND_OPEN, err);
        if (!m || engine_order_host(h, m, err) != 0) {
            engine_release_host(h);
            return -1;
        }
        engine_lock(e);
        h->is_open = true;
        engine_unlock(e);
    }
    *out = h;
    return 0;
}

void engine_release_host(struct host *h)
{
    struct engine *e = h->engine;

    engine_lock(e);
    CHECK(h->handle_count > 0);
    h->handle_count--;
    engine_unlock(e);
}

/* The open ones that the catalog does not name any more are dropped from now on, and the first of
 * the list: one pass for all, as a database may have had thousands. */
static void bring_dropped_forward(struct engine *e)
{
    struct host *named = NULL, *dropped = NULL;
    struct host **named_end = &named, **dropped_end = &dropped;

    for (struct host *h = e->hosts; h; h = h->next) {
        const struct catalog_collection *entry =
            catalog_find(&e->catalog, h->entry.database, h->entry.name);
        h->is_dropped = !entry || entry->number != h->entry.number;
        struct host ***end = h->is_dropped ? &dropped_end : &named_end;
        **end = h;
        *end = &h->next;
    }
    *named_end = NULL;
    *dropped_end = named;
    e->hosts = dropped;
}

struct host *engine_detach_unnamed(struct engine *e)
{
    engine_lock(e);
    if (e->hosts && !e->hosts->is_dropped) bring_dropped_forward(e);
    struct host *h = e->hosts && e->hosts->is_dropped ? e->hosts : NULL;
    if (h) {
        e->hosts = h->next;
        h->next = e->dropped_hosts;
        e->dropped_hosts = h;
    }
    engine_unlock(e);
    return h;
}

void engine_mark_idle(struct engine *e, uint32_t number)
{
    engine_lock(e);
    for (struct host *h = e->dropped_hosts; h; h = h->next)
        if (h->entry.number == number) h->is_idle = true;
    engine_unlock(e);
}

void engine_reap(struct engine *e)
{
    struct host *done = NULL, *h;

    engine_lock(e);
    for (struct host **at = &e->dropped_hosts; (h = *at) != NULL;) {
        if (h->handle_count > 0 || !h->is_idle) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        h->next = done;
        done = h;
    }
    engine_unlock(e);
    while ((h = done) != NULL) {
        done = h->next;
        engine_free_host(h);
    }
}

bool engine_is_dropped(struct host *h)
{
    engine_lock(h->engine);
    bool is_dropped = h->is_dropped;
    engine_unlock(h->engine);
    return is_dropped;
}

int engine_view(struct host *h, struct view **out, struct error *err)
{
    if (engine_check(h->engine, err) != 0) return -1;
    *out = view_slot_acquire(&h->slot);
    if (*out) return 0;
    error_set(err, LYNSE_SHUTTING_DOWN, "collection '%s/%s' is closed", h->entry.database,
              h->entry.name);
    engine_explain_closed(h, err);
    return -1;
}

void engine_explain_closed(struct host *h, struct error *err)
{
    if (err && err->code == LYNSE_SHUTTING_DOWN && engine_is_dropped(h))
        error_set(err, LYNSE_NOT_FOUND, "collection '%s/%s' was dropped", h->entry.database,
                  h->entry.name);
}

int engine_order_host(struct host *h, struct order_message *take_m, struct error *err)
{
    if (engine_call(h->engine, h->actor, &take_m->base, 0, NULL, err) == 0) return 0;
    engine_explain_closed(h, err);
    return -1;
}

int engine_host_status(struct host *h, struct collection_status **out, struct error *err)
{
    struct order_message *m = engine_order(h->engine, KIND_INFO, err);
    void *result = NULL;

    if (!m) return -1;
    m->status = mem_zalloc(h->engine->alloc, MEM_GENERAL, sizeof *m->status);
    if (!m->status) {
        message_drop(&m->base, LYNSE_NO_MEMORY);
        return error_no_memory(err, sizeof *m->status);
    }
    m->status->alloc = h->engine->alloc;
    if (engine_call(h->engine, h->actor, &m->base, 0, &result, err) != 0) {
        engine_explain_closed(h, err);
        return -1;
    }
    *out = result;
    return 0;
}
