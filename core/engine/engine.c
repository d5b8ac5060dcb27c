/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c — a root: opened, polled, called, closed.
 *
 * WHAT        Open order: allocator → file system → directory → lock → catalog → directories of
 *             dropped collections → actors.  Close runs it backwards.
 * INVARIANTS  (1) Nothing is written before the lock is held; nothing is created in a folder that
 *                 is not ours.
 *             (2) The root directory is synced before the catalog is acted on (R3b).
 *             (3) close answers every message and joins every thread before the lock is let go.
 * THREADS     Any, but not an actor's turn.
 * FAILURE     open leaves nothing behind but an empty folder that it made; close closes all the
 *             same.
 */
#include "engine/engine.h"

#include <unistd.h>

#include "base/check.h"
#include "base/faults.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "os/fork_registry.h"
#include "os/machine.h"
#include "os/path.h"
#include "store/twin_file.h"

void engine_lock(struct engine *e)
{
    mutex_lock(&e->mutex);
}
void engine_unlock(struct engine *e)
{
    mutex_unlock(&e->mutex);
}

int engine_check(struct engine *e, struct error *err)
{
    if (check_is_poisoned())
        return error_set(err, LYNSE_INTERNAL, "an internal check failed earlier in this process");
    return fork_check(e->opener_pid, err);
}

/* ---- a folder that is not ours ---- */

struct foreign {
    const char *whose; /* NULL: nothing that we know */
    bool has_entries;
    bool has_collections; /* names that our collections' directories would have */
};

static bool look_at(void *ctx, const char *name)
{
    static const struct {
        const char *name, *whose;
    } known[] = {
        {"collections.json", "LynseDB"}, {"fields.stable_ids", "LynseDB"},
        {"chroma.sqlite3", "Chroma"},    {"_versions", "LanceDB"},
        {"raft_state.json", "Qdrant"},   {"storage.sqlite", "Qdrant"},
        {"PG_VERSION", "PostgreSQL"},
    };
    struct foreign *f = ctx;
    size_t size = strlen(name);
    struct uuid uuid;

    f->has_collections |= uuid_parse(name, size, &uuid);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0) f->whose = known[i].whose;
    if (size > 6 && strcmp(name + size - 6, ".lance") == 0) f->whose = "LanceDB";
    /* An interrupted creation of ours leaves LOCK and tmp- files. */
    if (strcmp(name, "LOCK") != 0 && !name_is_temporary(name)) f->has_entries = true;
    return true;
}

/* There is no catalog: may we make one here? */
static int check_empty(struct engine *e, struct error *err)
{
    struct foreign f = {0};

    if (vfs_dir_list(e->root, look_at, &f, err) != 0) return -1;
    if (f.whose)
        return error_set(err, LYNSE_INVALID,
                         "path: '%s' is not a Lynse database, it looks like one of %s; left alone",
                         e->desc.path, f.whose);
    if (f.has_collections && dir_lock_is_ours(e->root))
        return error_set(err, LYNSE_CORRUPT,
                         "path: the catalog of '%s' is missing, its collections are there; left "
                         "alone",
                         e->desc.path);
    if (f.has_entries)
        return error_set(err, LYNSE_INVALID,
                         "path: '%s' is not empty and is not a Lynse database; left alone",
                         e->desc.path);
    return 0;
}

/* ---- open ---- */

static bool is_in_memory(const struct engine_desc *desc)
{
    return strcmp(desc->path, ":memory:") == 0 && !desc->vfs;
}

static int open_file_system(struct engine *e, struct error *err)
{

    if (e->desc.vfs) e->vfs = e->desc.vfs;
    else if (!is_in_memory(&e->desc)) e->vfs = vfs_posix();
    else {
        e->own_vfs = e->vfs = vfs_memory_create(e->alloc);
        if (!e->vfs) return error_no_memory(err, sizeof *e->vfs);
    }
    bool may_create = !e->desc.read_only && !e->desc.no_create;
    if (vfs_dir_open(e->vfs, e->desc.path, may_create ? VFS_DIR_CREATE : 0, &e->root, err) != 0)
        return -1;
    if (!e->desc.read_only && !e->desc.allow_network_fs && vfs_dir_is_network(e->root))
        return error_set(err, LYNSE_UNSUPPORTED,
                         "path: '%s' is on a network file system; locks cannot be trusted there",
                         e->desc.path);
    return 0;
}

/* (1): a folder of somebody else, or of a version to come, is left as it is. */
static int check_folder(struct engine *e, struct error *err)
{
    struct catalog seen;
    struct twin_info info = {0};
    bool found;

    catalog_init(&seen, e->alloc, &(struct uuid){{0}});
    int rc = catalog_load(&seen, e->root, &found, &info, err);
    catalog_deinit(&seen);
    if (rc != 0 || found) return rc;
    if (check_empty(e, err) != 0) return -1;
    if (e->desc.no_create || e->desc.read_only)
        return error_set(err, LYNSE_NOT_FOUND, "path: no database at '%s'", e->desc.path);
    return 0;
}

static int open_lock(struct engine *e, struct error *err)
{
    if (check_folder(e, err) != 0) return -1;
    if (e->desc.immutable) return 0;
    if (e->desc.read_only) return dir_lock_open_reader(&e->lock, e->root, err);
    return dir_lock_acquire_writer(&e->lock, e->root, e->clock, err);
}

void engine_stir(struct rng *r, uint64_t epoch, uint64_t number)
{
    rng_init(r, hash_u64(rng_u64(r) + hash_u64(epoch + hash_u64(number))));
}

/* Memory has a bound of its own, the budget. */
static void watch_space(struct engine *e)
{
    struct rng copy = e->rng; /* itself it goes on with the numbers that a seed always gave */
    const struct space_desc desc = {e->alloc, e->root, e->desc.path, e->desc.low_water_bytes,
                                    hash_u64(rng_u64(&copy))};
    if (!is_in_memory(&e->desc)) space_watch(&e->space, &desc);
}

bool engine_frees_space(struct engine *e, const struct error *why)
{
    return why->code == LYNSE_DISK_FULL && space_release_reserve(&e->space);
}

int engine_try_surely(struct engine *e, engine_try_fn *try, void *ctx, struct error *err)
{
    struct error failed = {0};
    int rc = try(ctx, &failed);

    if (rc != 0 && engine_frees_space(e, &failed)) rc = try(ctx, &failed);
    if (rc != 0 && err) *err = failed;
    return rc;
}

/* What earlier processes left, and the promise that what is there stays (2). */
static int clean_root(struct engine *e, struct error *err)
{
    struct error failed = {0};
    size_t removed;

    if (!FAULT(ROOT_SKIP_R3B) && vfs_dir_sync(e->root, err) != 0) return -1;
    if (catalog_clean(&e->catalog, e->root, err) != 0) return -1;
    if (engine_remove_stillborn(e, &e->catalog, err) != 0) return -1;
    if (engine_remove_dropped(e, &e->catalog, &removed, err) != 0) return -1;
    if (removed == 0) return 0;
    if (engine_publish_catalog(e, &e->catalog, true, &failed) == 0)
        return catalog_clean(&e->catalog, e->root, err);
    if (failed.code == LYNSE_DISK_FULL) {
        /* What is listed and gone already does no harm; the next change forgets it. */
        log_event(LOG_WARN, "dropped_not_forgotten count=%zu reason=\"%s\"", removed, failed.text);
        return 0;
    }
    if (failed.code == LYNSE_OUTCOME_UNKNOWN) failed.code = LYNSE_IO; /* either will do */
    if (err) *err = failed;
    return -1;
}

static int open_catalog(struct engine *e, struct error *err)
{
    struct twin_info info = {0};
    bool found, is_renamed;
    struct uuid root = uuid_make(&e->rng);

    catalog_init(&e->catalog, e->alloc, &root);
    if (catalog_load(&e->catalog, e->root, &found, &info, err) != 0) return -1;
    if (!found && e->desc.read_only)
        return error_set(err, LYNSE_NOT_FOUND, "path: no database at '%s'", e->desc.path);
    /* What an interrupted creation left goes first: the same seed would give it the same name. */
    if (!found && (check_empty(e, err) != 0 || catalog_clean(&e->catalog, e->root, err) != 0 ||
                   catalog_publish(&e->catalog, e->root, &e->catalog_rng, &is_renamed, err) != 0))
        return -1;
    if (info.damaged_copies > 0)
        log_event(LOG_WARN, "damaged_copies file=catalog count=%d", info.damaged_copies);
    e->uuid = e->catalog.root;
    engine_stir(&e->rng, e->catalog.epoch, e->catalog.next_number);
    engine_stir(&e->catalog_rng, e->catalog.epoch, e->catalog.next_number);
    if (e->desc.read_only) return 0;
    if (info.read_only_needed)
        return error_set(err, LYNSE_READ_ONLY,
                         "catalog: has features that this version can read but not write");
    dir_lock_write_uuid(&e->lock, &e->uuid);
    watch_space(e);
    return clean_root(e, err);
}

static int start_actors(struct engine *e, struct error *err)
{
    struct actor_desc desc = {.ops = &catalog_actor_ops, .state = e, .name = "catalog"};

    if (e->desc.scheduler) e->scheduler = e->desc.scheduler;
    else if (e->desc.is_inline) {
        struct inline_scheduler_desc d = {.alloc = e->alloc, .clock = e->clock};
        e->own_scheduler = e->scheduler = inline_scheduler_create(&d, err);
    } else {
        struct thread_scheduler_desc d = {
            e->alloc, e->desc.actor_threads, e->desc.search_threads, e->job_threads, 0, 0, 0};
        e->own_scheduler = e->scheduler = thread_scheduler_create(&d, err);
    }
    if (!e->scheduler || reaper_create(e->alloc, e->scheduler, &e->reaper, err) != 0) return -1;
    e->catalog_actor = actor_create(e->scheduler, &desc, err);
    return e->catalog_actor ? 0 : -1;
}

/* Everything that open made, in any state of completion. */
static void tear_down(struct engine *e)
{
    struct alloc *alloc = e->alloc;
    bool owns_alloc = !e->desc.alloc;

    reaper_finish(e->reaper);
    actor_destroy(e->catalog_actor);
    scheduler_destroy(e->own_scheduler);
    reaper_destroy(e->reaper);
    catalog_deinit(&e->catalog);
    column_cache_destroy(e->fields);
    shadow_room_destroy(e->shadows);
    doc_cache_destroy(e->cache);
    dir_lock_release(&e->lock);
    vfs_dir_close(e->root);
    if (e->own_vfs) vfs_memory_destroy(e->own_vfs);
    space_deinit(&e->space);
    mutex_deinit(&e->mutex);
    mem_free(alloc, (void *)(uintptr_t)e->desc.path);
    mem_free(alloc, e);
    if (owns_alloc) alloc_destroy(alloc);
}

static int seed_rng(struct engine *e, struct error *err)
{
    uint64_t seed = e->desc.seed;

    if (seed == 0 && rng_system_bytes(&seed, sizeof seed) != 0)
        return error_set(err, LYNSE_IO, "the system gives no random numbers");
    rng_init(&e->rng, seed);
    rng_init(&e->catalog_rng, rng_u64(&e->rng));
    return 0;
}

/* A root in memory ends with the process: logging to it would only hold every row twice. */
static uint8_t default_level(const struct engine_desc *desc)
{
    if (is_in_memory(desc)) return SYNC_NONE;
    return desc->is_inline ? SYNC_OS : SYNC_ALWAYS;
}

/* Without a budget shadows may have a quarter of the machine's memory. */
static size_t shadow_bytes(void)
{
    uint64_t share = machine_memory_bytes() / 4;
    return share < SIZE_MAX ? (size_t)share : SIZE_MAX;
}

/* A cache keeps no more than an eighth of a budget, for nothing else makes its content leave. */
static size_t cache_bytes(const struct alloc *a, size_t most)
{
    size_t share = alloc_budget_bytes(a) / 8;
    return share > 0 && share < most ? share : most;
}

int engine_open(const struct engine_desc *desc, struct engine **out, struct error *err)
{
    struct alloc *alloc =
        desc->alloc ? desc->alloc : alloc_create(&desc->hooks, desc->budget_bytes);
    struct engine *e = alloc ? mem_zalloc(alloc, MEM_GENERAL, sizeof *e) : NULL;
    char *path = e ? mem_copy_text(alloc, MEM_GENERAL, desc->path, strlen(desc->path)) : NULL;

    if (!path) {
        if (e) mem_free(alloc, e);
        if (alloc && !desc->alloc) alloc_destroy(alloc);
        return error_no_memory(err, sizeof *e);
    }
    e->desc = *desc;
    e->desc.path = path;
    e->alloc = alloc;
    e->clock = desc->clock ? desc->clock : clock_system();
    e->opener_pid = (int)getpid();
    e->job_threads = desc->job_threads ? desc->job_threads : machine_core_count();
    e->search_threads = desc->search_threads ? desc->search_threads : machine_core_count();
    mutex_init(&e->mutex);
    space_init(&e->space);
    catalog_init(&e->catalog, alloc, &(struct uuid){{0}});
    if (!e->desc.sync_level) e->desc.sync_level = default_level(desc);
    if (!e->desc.sync_interval_ms) e->desc.sync_interval_ms = 100;
    if (seed_rng(e, err) != 0 || open_file_system(e, err) != 0 || open_lock(e, err) != 0 ||
        open_catalog(e, err) != 0 ||
        doc_cache_create(alloc, cache_bytes(alloc, DOC_CACHE_BYTES), &e->cache, err) != 0 ||
        column_cache_create(alloc, cache_bytes(alloc, COLUMN_CACHE_BYTES), &e->fields, err) != 0 ||
        shadow_room_create(alloc, cache_bytes(alloc, shadow_bytes()), &e->shadows, err) != 0 ||
        start_actors(e, err) != 0) {
        tear_down(e);
        return -1;
    }
    *out = e;
    return 0;
}

/* ---- close ---- */

static struct host *take_host(struct engine *e, struct host **list)
{
    engine_lock(e);
    struct host *h = *list;
    if (h) *list = h->next;
    engine_unlock(e);
    return h;
}

/* The first failure is told, but what may be missing weighs more. */
static void note_failure(struct engine *e, const struct error *failed)
{
    if (!e->close_error.code ||
        (failed->code == LYNSE_OUTCOME_UNKNOWN && e->close_error.code != LYNSE_OUTCOME_UNKNOWN))
        e->close_error = *failed;
}

void engine_stop(struct engine *e)
{
    struct host *h;

    engine_lock(e);
    e->is_closing = true;
    engine_unlock(e);
    /* It drops nothing under our hands any more, and is there for what a dropped one still has to
     * tell it. */
    actor_stop_and_wait(e->catalog_actor);
    while ((h = take_host(e, &e->hosts)) != NULL) {
        struct error failed = {0};
        if (engine_close_host(h, false, &failed) != 0) note_failure(e, &failed);
        h->next = e->closed_hosts;
        e->closed_hosts = h;
    }
}

static void end_actors(struct host *list)
{
    for (struct host *h = list; h; h = h->next) {
        actor_destroy(h->actor);
        h->actor = NULL;
    }
}

void engine_end_actors(struct engine *e)
{
    engine_stop(e);
    /* Behind the drop's own, which may wait for a seal. */
    for (struct host *h = e->dropped_hosts; h; h = h->next)
        if (h->close_order) (void)engine_close_host(h, true, NULL);
    end_actors(e->closed_hosts);
    end_actors(e->dropped_hosts);
}

int engine_close(struct engine *e, struct error *err)
{
    struct error failed;
    struct host *h;

    if (fork_check(e->opener_pid, err) != 0) return -1; /* the parent's threads are not here */
    engine_end_actors(e);
    while ((h = take_host(e, &e->closed_hosts)) != NULL) engine_free_host(h);
    while ((h = take_host(e, &e->dropped_hosts)) != NULL) engine_free_host(h);
    failed = e->close_error;
    tear_down(e);
    if (failed.code && err) *err = failed;
    return failed.code ? -1 : 0;
}

/* ---- calls ---- */

struct order_message *engine_order(struct engine *e, enum message_kind kind, struct error *err)
{
    if (engine_check(e, err) != 0) return NULL;
    struct order_message *m =
        message_create(e->scheduler, sizeof *m, (uint16_t)kind, MESSAGE_CONTROL);
    if (!m) {
        error_no_memory(err, sizeof *m);
        return NULL;
    }
    m->alloc = e->alloc;
    m->base.drop = order_message_drop;
    return m;
}

int engine_wait(struct engine *e, struct future *f, uint64_t deadline_us, struct answer *out_answer,
                struct error *err)
{
    if (!e->desc.is_inline) return future_wait(f, deadline_us, out_answer, err);
    e->waiting_calls++;
    int rc = future_wait(f, deadline_us, out_answer, err);
    e->waiting_calls--;
    return rc;
}

int engine_call(struct engine *e, struct actor *to, struct message *take_m, uint64_t deadline_us,
                void **out_result, struct error *err)
{
    struct answer answer;
    struct future *f = NULL;
    int rc = -1;

    if (engine_check(e, err) == 0) f = future_create(e->scheduler, err);
    if (!f) {
        message_drop(take_m, LYNSE_NO_MEMORY);
        return -1;
    }
    take_m->reply = &f->reply;
    take_m->deadline_us = deadline_us;
    actor_send(to, take_m);
    if (engine_wait(e, f, deadline_us, &answer, err) != 0) {
        future_cancel(f);
        goto out;
    }
    if (answer.code != LYNSE_OK) {
        if (err) *err = answer.error;
        goto out;
    }
    if (out_result) {
        *out_result = answer.result;
        answer.destroy_result = NULL;
    }
    rc = 0;
    answer_deinit(&answer);
out:
    future_release(f);
    return rc;
}

bool engine_poll(struct engine *e, uint64_t budget_us)
{
    return inline_poll(e->scheduler, budget_us);
}

/* One order to every collection that is open now; the first failure, of which the others hear
 * nothing.  A root that is being closed hides some from it: then it says so. */
static int order_all(struct engine *e, enum message_kind kind, struct error *err)
{
    struct error first = {0};
    uint32_t last = 0;

    for (;;) {
        struct host *h = NULL;
        engine_lock(e);
        if (e->is_closing && !first.code)
            error_set(&first, LYNSE_SHUTTING_DOWN, "the database is being closed");
        for (struct host *i = e->hosts; i; i = i->next)
            if (i->is_open && i->entry.number > last && (!h || i->entry.number < h->entry.number))
                h = i;
        if (h) {
            h->handle_count++;
            last = h->entry.number;
        }
        engine_unlock(e);
        if (!h) break;
        struct error failed = {0};
        struct order_message *m = engine_order(e, kind, &failed);
        int rc = m ? engine_order_host(h, m, &failed) : -1;
        bool is_gone = engine_is_dropped(h); /* meanwhile: nothing to do for it */
        engine_release_host(h);
        if (rc != 0 && !is_gone && !first.code) first = failed;
    }
    if (first.code && err) *err = first;
    return first.code ? -1 : 0;
}

int engine_sync_all(struct engine *e, struct error *err)
{
    return engine_check(e, err) == 0 ? order_all(e, KIND_SYNC, err) : -1;
}

/* The writer has dropped them: their handles answer so, and their pins go (R14). */
static int close_unnamed(struct engine *e, struct error *err)
{
    struct host *h;

    while ((h = engine_detach_unnamed(e)) != NULL) {
        if (engine_close_host(h, true, err) != 0) return -1;
        engine_mark_idle(e, h->entry.number);
    }
    engine_reap(e);
    return 0;
}

int engine_refresh(struct engine *e, struct error *err)
{
    struct catalog next;
    struct twin_info info = {0};
    bool found;

    if (engine_check(e, err) != 0) return -1;
    if (!e->desc.read_only) return 0;
    catalog_init(&next, e->alloc, &e->uuid);
    int rc = catalog_load(&next, e->root, &found, &info, err);
    if (rc == 0 && !found) rc = error_set(err, LYNSE_NOT_FOUND, "path: the database is gone");
    if (rc != 0) {
        catalog_deinit(&next);
        return rc;
    }
    engine_lock(e);
    catalog_deinit(&e->catalog);
    e->catalog = next;
    engine_unlock(e);
    return close_unnamed(e, err) == 0 ? order_all(e, KIND_REFRESH, err) : -1;
}
