/* SPDX-License-Identifier: Apache-2.0 */
/* catalog_actor.c — databases and collections are made and dropped by one actor, one at a time.
 *
 * WHAT        create: directory, its first manifest, then the catalog that names it.  drop: the
 *             catalog that no longer names it (nor, with a database, any of its collections), then
 *             the collections' actors close, then the directories go, then the catalog forgets
 *             them (R14).
 * INVARIANTS  (1) The catalog in memory is the published one; it is changed by copy, publish, swap.
 *             (2) A directory exists durably before a catalog names it (R10).
 *             (3) A number is used once (R14).
 *             (4) A drop that has taken place needs no memory: what closes a collection was made
 *                 with its host.
 * THREADS     The catalog actor's turn; engine_remove_dropped also while a root is being opened.
 * FAILURE     Before the new catalog is renamed nothing has happened; after it, and when nobody
 *             knows, the catalog is poisoned: it can be read, not changed, until the root is opened
 *             again.
 */
#include "base/check.h"
#include "base/faults.h"
#include "base/log.h"
#include "engine/engine.h"

static void catalog_message_free(struct catalog_message *m)
{
    mem_free(m->alloc, (void *)(uintptr_t)m->options.description);
    message_destroy(&m->base);
}

static void drop_one(struct catalog_message *m, int code)
{
    message_answer_code(&m->base, code);
    catalog_message_free(m);
}

/* One of the collections that a drop closes has let go of its files: was it the last one?  Any
 * thread: without its actor the catalog's messages are dropped where they come from. */
static bool is_last(struct catalog_message *drop)
{
    engine_lock(drop->engine);
    bool was_last = --drop->closing_count == 0;
    engine_unlock(drop->engine);
    return was_last;
}

void catalog_message_drop(struct message *base, int code)
{
    struct catalog_message *m = (struct catalog_message *)base;

    /* A drop that waits has no other waiting on it; and it has taken place, only directories are
     * left for the next start. */
    if (m->waiting && is_last(m->waiting)) drop_one(m->waiting, LYNSE_OK);
    drop_one(m, code);
}

static void answer(struct catalog_message *m, int rc, const struct error *err)
{
    if (rc == 0) message_answer_code(&m->base, LYNSE_OK);
    else message_answer_error(&m->base, err);
    catalog_message_free(m);
}

struct publication {
    struct engine *engine;
    struct catalog *catalog;
};

static int try_publish(void *ctx, struct error *err)
{
    struct engine *e = ((struct publication *)ctx)->engine;
    struct catalog *c = ((struct publication *)ctx)->catalog;
    bool is_renamed = false;

    if (catalog_publish(c, e->root, &e->catalog_rng, &is_renamed, err) == 0) return 0;
    if (is_renamed) err->code = LYNSE_OUTCOME_UNKNOWN;
    return -1;
}

int engine_publish_catalog(struct engine *e, struct catalog *c, bool frees_space, struct error *err)
{
    struct publication p = {e, c};
    return frees_space ? engine_try_surely(e, try_publish, &p, err) : try_publish(&p, err);
}

/* After a rename whose sync failed only a new start can tell which catalog rules. */
static int publish(struct engine *e, struct catalog *c, bool frees_space, struct error *err)
{
    struct error failed = {0};

    if (engine_publish_catalog(e, c, frees_space, &failed) == 0) return 0;
    if (failed.code == LYNSE_OUTCOME_UNKNOWN) {
        error_set(&e->poison, LYNSE_READ_ONLY,
                  "the catalog cannot be changed until the root is opened again: its sync failed");
        log_event(LOG_ERROR, "catalog_poisoned reason=\"%s\"", failed.text);
    }
    if (err) *err = failed;
    return -1;
}

/* Take the place of the published one, whose file goes. */
static void replace_catalog(struct engine *e, struct catalog *take_next)
{
    struct error left = {0};

    engine_lock(e);
    catalog_deinit(&e->catalog);
    e->catalog = *take_next;
    engine_unlock(e);
    if (catalog_clean(&e->catalog, e->root, &left) != 0)
        log_event(LOG_WARN, "catalog_clean_failed reason=\"%s\"", left.text);
}

/* Publish `next` and make it the catalog; frees it on failure.  frees_space: with the room of the
 * reserve if it must. */
static int swap_catalog(struct engine *e, struct catalog *next, bool frees_space, struct error *err)
{
    if (publish(e, next, frees_space, err) != 0) {
        catalog_deinit(next);
        return -1;
    }
    replace_catalog(e, next);
    return 0;
}

/* Is there room for what makes the root larger?  What is dropped, is always. */
static int check_space(struct engine *e, struct error *err)
{
    if (space_admit(&e->space, 0, scheduler_now_us(e->scheduler), true, err) == 0) return 0;
    return error_wrap(err, "root '%.80s'", e->desc.path);
}

static int begin_change(struct engine *e, struct catalog *out, struct error *err)
{
    if (e->desc.read_only)
        return error_set(err, LYNSE_READ_ONLY, "the database was opened read-only");
    if (e->poison.code) {
        if (err) *err = e->poison;
        return -1;
    }
    catalog_init(out, e->alloc, &e->catalog.root);
    return catalog_copy(out, &e->catalog, err);
}

static void on_create_database(struct engine *e, struct catalog_message *m)
{
    struct catalog next = {0};
    struct error err = {0};
    int rc = check_space(e, &err);

    if (rc == 0) rc = begin_change(e, &next, &err);
    if (rc == 0 && (rc = catalog_add_database(&next, m->database, &err)) != 0)
        catalog_deinit(&next);
    else if (rc == 0) rc = swap_catalog(e, &next, false, &err);
    answer(m, rc, &err);
}

/* ---- collections ---- */

/* The directory with its first manifest, durable in the root. */
static int make_directory(struct engine *e, const struct catalog_collection *entry,
                          const struct collection_options *options, struct error *err)
{
    char name[UUID_TEXT_BYTES];
    struct collection_desc desc = {
        .alloc = e->alloc,
        .owner = {e->uuid, entry->uuid},
        .number = entry->number,
        .clock = e->clock,
        .rng = &e->catalog_rng,
    };
    int rc = -1;

    uuid_format(&entry->uuid, name);
    if (vfs_dir_make(e->root, name, err) != 0) return -1;
    if (vfs_dir_open_in(e->root, name, &desc.take_dir, err) != 0) return -1;
    if (collection_create(&desc, options, err) == 0)
        rc = FAULT(CREATE_NO_PARENT_SYNC) ? 0 : vfs_dir_sync(e->root, err);
    vfs_dir_close(desc.take_dir);
    return rc;
}

static int add_entry(struct engine *e, const struct catalog_message *m, struct catalog *next,
                     struct catalog_collection *out_entry, struct error *err)
{
    struct catalog_collection entry = {.number = (uint32_t)next->next_number,
                                       .uuid = uuid_make(&e->catalog_rng)};

    memcpy(entry.database, m->database, sizeof entry.database);
    memcpy(entry.name, m->name, sizeof entry.name);
    if (next->next_number >= COLLECTION_NUMBER_END)
        return error_set(err, LYNSE_LIMIT, "collections: all 2^31 numbers of this root were used");
    if (!catalog_has_database(next, m->database) &&
        catalog_add_database(next, m->database, err) != 0)
        return -1;
    *out_entry = entry;
    return catalog_add_collection(next, &entry, err);
}

static int create_collection(struct engine *e, const struct catalog_message *m, struct error *err)
{
    struct catalog next = {0};
    struct catalog_collection entry;
    struct error left = {0};

    if (check_space(e, err) != 0 || begin_change(e, &next, err) != 0) return -1;
    if (add_entry(e, m, &next, &entry, err) != 0) {
        catalog_deinit(&next);
        return -1;
    }
    if (make_directory(e, &entry, &m->options, err) != 0) catalog_deinit(&next);
    else if (swap_catalog(e, &next, false, err) == 0) return 0;
    /* No catalog names it, unless nobody knows which one rules. */
    if (!e->poison.code && engine_remove_directory(e, &entry.uuid, &left) != 0)
        log_event(LOG_WARN, "create_left_files reason=\"%s\"", left.text);
    return -1;
}

static void on_create_collection(struct engine *e, struct catalog_message *m)
{
    struct error err = {0};
    int rc = create_collection(e, m, &err);
    answer(m, rc, &err);
}

/* ---- dropping ---- */

/* No actor holds the dropped directories any more, unless another drop waits for it. */
static void end_drop(struct engine *e, struct catalog_message *m)
{
    struct catalog next = {0};
    struct error err = {0};
    size_t removed = 0;

    if (begin_change(e, &next, &err) == 0) {
        /* R14: gone means durably gone before the list forgets it. */
        if (engine_remove_dropped(e, &next, &removed, &err) == 0 && removed > 0 &&
            publish(e, &next, true, &err) == 0)
            replace_catalog(e, &next);
        else catalog_deinit(&next);
    }
    /* What was dropped is gone by name either way; directories go at the next start at the latest.
     */
    if (err.code) log_event(LOG_WARN, "drop_left_files reason=\"%s\"", err.text);
    answer(m, 0, &err);
}

/* A collection's actor has let go of its files: DIRECTORY_IDLE. */
static void on_directory_idle(struct engine *e, struct catalog_message *m)
{
    struct catalog_message *drop = m->waiting;

    m->waiting = NULL;
    engine_mark_idle(e, m->number);
    message_answer_code(&m->base, LYNSE_OK);
    catalog_message_free(m);
    if (is_last(drop)) end_drop(e, drop);
}

/* The CLOSE of a drop is answered.  Its reply is its own: `idle` may be handled, and freed, before
 * that actor has let go of it. */
static void on_closed(void *ctx, struct answer *take_answer)
{
    struct catalog_message *idle = ctx;

    answer_deinit(take_answer);
    if (idle->waiting) actor_send(idle->engine->catalog_actor, &idle->base);
    else catalog_message_drop(&idle->base, LYNSE_CANCELLED); /* nothing was dropped */
}

int engine_prepare_drop(struct host *h, struct error *err)
{
    struct engine *e = h->engine;
    struct catalog_message *idle = engine_catalog_message(e, KIND_DIRECTORY_IDLE, err);
    struct order_message *close = idle ? engine_order(e, KIND_CLOSE, err) : NULL;

    if (close) close->base.reply = reply_create_callback(e->scheduler, on_closed, idle, err);
    if (!close || !close->base.reply) {
        if (close) message_drop(&close->base, LYNSE_NO_MEMORY);
        if (idle) catalog_message_drop(&idle->base, LYNSE_NO_MEMORY);
        return -1;
    }
    idle->base.class = close->base.class = MESSAGE_SYSTEM;
    idle->number = h->entry.number;
    close->is_drop = true;
    h->drop_order = close;
    h->drop_idle = idle;
    return 0;
}

/* The catalog without what m names: one change, so that no crash leaves a part of it. */
static int drop_names(struct engine *e, const struct catalog_message *m, struct error *err)
{
    struct catalog next = {0};
    int rc;

    if (begin_change(e, &next, err) != 0) return -1;
    const struct catalog_collection *entry = catalog_find(&next, m->database, m->name);
    if (FAULT(DROP_WITHOUT_CATALOG) && entry) (void)engine_remove_directory(e, &entry->uuid, err);
    if (m->base.kind == KIND_DROP_DATABASE) rc = catalog_drop_database(&next, m->database, err);
    else rc = catalog_drop_collection(&next, m->database, m->name, err);
    if (rc == 0) return swap_catalog(e, &next, true, err);
    catalog_deinit(&next);
    return -1;
}

static void on_drop(struct engine *e, struct catalog_message *m)
{
    struct error err = {0};
    struct host *h;

    if (drop_names(e, m, &err) != 0) {
        answer(m, -1, &err);
        return;
    }
    /* None is opened any more: hosts are listed only while the catalog names them. */
    m->closing_count = 1;
    while ((h = engine_detach_unnamed(e)) != NULL) {
        struct order_message *close = h->drop_order; /* (4) */
        engine_lock(e);
        m->closing_count++;
        engine_unlock(e);
        h->drop_idle->waiting = m;
        h->drop_order = NULL;
        actor_send(h->actor, &close->base);
    }
    if (is_last(m)) end_drop(e, m); /* no collection of it was open */
}

static void on_batch(struct actor *a, struct message **batch, size_t count)
{
    struct engine *e = a->state;

    for (size_t i = 0; i < count; i++) {
        struct catalog_message *m = (struct catalog_message *)batch[i];
        switch ((enum message_kind)m->base.kind) {
        case KIND_CREATE_DATABASE:
            on_create_database(e, m);
            break;
        case KIND_CREATE_COLLECTION:
            on_create_collection(e, m);
            break;
        case KIND_DROP_DATABASE:
        case KIND_DROP_COLLECTION:
            on_drop(e, m);
            break;
        case KIND_DIRECTORY_IDLE:
            on_directory_idle(e, m);
            break;
        default:
            UNREACHABLE();
        }
    }
}

const struct actor_ops catalog_actor_ops = {.on_batch = on_batch};
