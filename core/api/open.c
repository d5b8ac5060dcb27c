/* SPDX-License-Identifier: Apache-2.0 */
/* open.c — the library and its roots.
 *
 * WHAT        Version, log sink, panic handler; a root is an engine with its allocator.
 * INVARIANTS  (1) A root that could not be opened leaves nothing allocated.
 *             (2) The log sink and the panic handler are the only state of the process here.
 *             (3) lynse_close: no call begins any more; what waits is answered; nobody is inside;
 *                 no actor runs; then handles go, and the engine last.
 * THREADS     Any; a root is closed by one thread, others may be in calls on it.
 * FAILURE     lynse_close closes in any case and says what was not made durable.
 */
#include <string.h>

#include "api/handles.h"
#include "base/check.h"
#include "base/log.h"
#include "simd/cpu.h"
#include "simd/kernels.h"

const char *lynse_version(void)
{
    return "0.1.0";
}
uint32_t lynse_abi_version(void)
{
    return 1;
}
const char *lynse_error_name(int code)
{
    return error_name(code);
}
const char *lynse_simd_level(void)
{
    return cpu_level_name(kernels_active()->level);
}

/* ---- log and panic: two sinks, set once each in the life of most processes ---- */

static struct {
    void (*sink)(void *ctx, int level, const char *line);
    void *ctx;
} log_target;

static void pass_on(void *ctx, enum log_level level, const char *message)
{
    (void)ctx;
    log_target.sink(log_target.ctx, (int)level, message);
}

void lynse_set_log(void (*sink)(void *ctx, int level, const char *line), void *ctx, int lowest)
{
    log_set_sink(NULL, NULL, LOG_ERROR);
    log_target.sink = sink;
    log_target.ctx = ctx;
    if (sink) log_set_sink(pass_on, NULL, (enum log_level)lowest);
}

void lynse_set_panic_handler(void (*handler)(const char *text, void *ctx), void *ctx)
{
    check_set_panic_hook(handler, ctx);
}

/* ---- roots ---- */

static int check_range(const char *field, uint32_t value, uint32_t low, uint32_t high,
                       struct error *err)
{
    if (value >= low && value <= high) return 0;
    return error_set(err, LYNSE_INVALID, "%s: %u, allowed are %u to %u", field, value, low, high);
}

static int check_desc(const struct lynse_open_desc *d, struct error *err)
{
    const uint32_t known = LYNSE_OPEN_READ_ONLY | LYNSE_OPEN_IMMUTABLE | LYNSE_OPEN_NO_CREATE |
                           LYNSE_OPEN_NETWORK_FS | LYNSE_POLL_MAY_SYNC |
                           LYNSE_OPEN_TRUSTED_SCRIPTS | LYNSE_OPEN_NO_RECALL;

    if (!d->path) return error_set(err, LYNSE_INVALID, "path: missing");
    if (!d->path[0]) return error_set(err, LYNSE_INVALID, "path: empty");
    if (d->flags & ~known)
        return error_set(err, LYNSE_INVALID, "flags: unknown bits 0x%x", d->flags & ~known);
    if ((d->flags & LYNSE_OPEN_READ_ONLY) && strcmp(d->path, ":memory:") == 0)
        return error_set(err, LYNSE_INVALID,
                         "path: ':memory:' cannot be opened read-only, there is nothing in it");
    if ((d->flags & LYNSE_OPEN_IMMUTABLE) && !(d->flags & LYNSE_OPEN_READ_ONLY))
        return error_set(err, LYNSE_INVALID,
                         "flags: LYNSE_OPEN_IMMUTABLE needs LYNSE_OPEN_READ_ONLY");
    if (check_range("mode", d->mode, LYNSE_THREADS, LYNSE_INLINE, err) != 0) return -1;
    if (check_range("sync", d->sync, LYNSE_SYNC_DEFAULT, SYNC_LEVEL_MAX, err) != 0) return -1;
    if (d->sync_interval_ms &&
        check_range("sync_interval_ms", d->sync_interval_ms, 1, 1000, err) != 0)
        return -1;
    if (check_range("actor_threads", d->actor_threads, 0, 256, err) != 0) return -1;
    if (check_range("search_threads", d->search_threads, 0, 256, err) != 0) return -1;
    if (check_range("job_threads", d->job_threads, 0, 256, err) != 0) return -1;
    if (d->low_water_bytes > LIMIT_LOW_WATER_BYTES)
        return error_set(err, LYNSE_LIMIT, "low_water_bytes: %llu, at most %llu",
                         (unsigned long long)d->low_water_bytes, LIMIT_LOW_WATER_BYTES);
    if (!d->allocator.alloc != !d->allocator.free)
        return error_set(err, LYNSE_INVALID,
                         "allocator: alloc and free are given together or not at all");
    return 0;
}

static struct api_memory *create_memory(struct alloc *take_alloc)
{
    struct api_memory *m = take_alloc ? mem_zalloc(take_alloc, MEM_GENERAL, sizeof *m) : NULL;

    if (!m) {
        if (take_alloc) alloc_destroy(take_alloc);
        return NULL;
    }
    mutex_init(&m->mutex);
    m->reference_count = 1;
    m->alloc = take_alloc;
    return m;
}

int api_open(const struct engine_desc *desc, struct alloc *take_alloc, struct lynse **out,
             struct error *err)
{
    struct engine_desc e = *desc;
    struct api_memory *memory = create_memory(take_alloc);
    struct lynse *db = memory ? mem_zalloc(take_alloc, MEM_GENERAL, sizeof *db) : NULL;

    if (!db) {
        if (memory) api_memory_release(memory);
        return error_no_memory(err, sizeof *db);
    }
    e.alloc = take_alloc;
    if (engine_open(&e, &db->engine, err) != 0) {
        mem_free(take_alloc, db);
        api_memory_release(memory);
        return -1;
    }
    db->memory = memory;
    db->opener_pid = db->engine->opener_pid;
    api_init_child(db, &db->self, NULL);
    mutex_init(&db->mutex);
    condition_init(&db->left);
    *out = db;
    return 0;
}

/* Whose LOCK, whose catalog: texts from below know names in the folder only. */
static void name_root(struct error *err, const char *path)
{
    struct error old = *err;

    if (strstr(old.text, path)) return;
    error_set(err, old.code, "%s (root '%s')", old.text, path);
    err->os_errno = old.os_errno;
}

int lynse_open(const struct lynse_open_desc *desc, struct lynse **out, struct lynse_error *err)
{
    struct lynse_open_desc d;
    struct error failed = {0};

    if (!out) return api_missing("out", err);
    if (check_is_poisoned())
        error_set(&failed, LYNSE_INTERNAL, "an internal check failed earlier in this process");
    if (failed.code ||
        api_copy_desc("desc", &d, sizeof d, desc, desc ? desc->struct_bytes : 0, sizeof d,
                      &failed) != 0 ||
        check_desc(&d, &failed) != 0)
        return api_fail(&failed, err);

    struct engine_desc e = {
        .path = d.path,
        .read_only = d.flags & LYNSE_OPEN_READ_ONLY,
        .immutable = d.flags & LYNSE_OPEN_IMMUTABLE,
        .no_create = d.flags & LYNSE_OPEN_NO_CREATE,
        .allow_network_fs = d.flags & LYNSE_OPEN_NETWORK_FS,
        .poll_may_sync = d.flags & LYNSE_POLL_MAY_SYNC,
        .is_inline = d.mode == LYNSE_INLINE,
        .sync_level = (uint8_t)d.sync,
        .sync_interval_ms = d.sync_interval_ms,
        .low_water_bytes = d.low_water_bytes,
        .actor_threads = d.actor_threads,
        .search_threads = d.search_threads,
        .job_threads = d.job_threads,
        .seed = d.seed,
        .measures_recall = !(d.flags & LYNSE_OPEN_NO_RECALL),
    };
    const struct alloc_hooks hooks = {d.allocator.alloc, d.allocator.free, d.allocator.ctx};
    struct alloc *alloc = alloc_create(&hooks, (size_t)d.memory_budget_bytes);
    if (api_open(&e, alloc, out, &failed) == 0) {
        (*out)->trusts_scripts = d.flags & LYNSE_OPEN_TRUSTED_SCRIPTS;
        return LYNSE_OK;
    }
    name_root(&failed, d.path);
    return api_fail(&failed, err);
}

/* Of several that close a root one does; it is not counted then, for it waits for the others. */
static int begin_close(struct lynse *db, struct error *err)
{
    API_CALL struct api_child *inside = api_enter(&db->self, err);

    if (!inside || api_may_wait("lynse_close", err) != 0 || engine_check(db->engine, err) != 0)
        return -1;
    if (api_refuse_calls(db)) return 0;
    return error_set(err, LYNSE_SHUTTING_DOWN, "the database is being closed");
}

int lynse_close(struct lynse *db, struct lynse_error *err)
{
    struct error failed = {0};

    if (!db) return LYNSE_OK;
    if (begin_close(db, &failed) != 0) return api_fail(&failed, err);
    struct api_memory *memory = db->memory;
    engine_stop(db->engine); /* (3) */
    api_await_calls(db);
    engine_end_actors(db->engine); /* and with them the last done callbacks */
    api_end_children(db);
    int rc = engine_close(db->engine, &failed);
    if (db->hook_host) db->destroy_hook_host(db->hook_host); /* after installed hooks */
    api_await_calls(db); /* those that came too late, and are refused */
    condition_deinit(&db->left);
    mutex_deinit(&db->mutex);
    mem_free(memory->alloc, db);
    api_memory_release(memory);
    return rc == 0 ? LYNSE_OK : api_fail(&failed, err);
}

int lynse_refresh(struct lynse *db, struct lynse_error *err)
{
    struct error failed = {0};

    if (!db) return api_missing("db", err);
    API_CALL struct api_child *inside = api_enter(&db->self, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
    return engine_refresh(db->engine, &failed) == 0 ? LYNSE_OK : api_fail(&failed, err);
}

int lynse_poll(struct lynse *db, uint64_t budget_us)
{
    struct error failed = {0};

    if (!db) return api_missing("db", NULL);
    API_CALL struct api_child *inside = api_enter(&db->self, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0 || engine_check(db->engine, &failed) != 0)
        return failed.code;
    if (!db->engine->desc.is_inline) return LYNSE_OK; /* threads do the work */
    return engine_poll(db->engine, budget_us) ? LYNSE_MORE : LYNSE_OK;
}

int lynse_sync(struct lynse *db, struct lynse_error *err)
{
    struct error failed = {0};

    if (!db) return api_missing("db", err);
    API_CALL struct api_child *inside = api_enter(&db->self, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
    return engine_sync_all(db->engine, &failed) == 0 ? LYNSE_OK : api_fail(&failed, err);
}

uint64_t lynse_memory_bytes(const struct lynse *db)
{
    struct lynse *root = (struct lynse *)(uintptr_t)db;
    API_CALL struct api_child *inside = root ? api_enter(&root->self, NULL) : NULL;
    return inside ? alloc_used_bytes(root->memory->alloc) : 0;
}
