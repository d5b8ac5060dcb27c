/* SPDX-License-Identifier: Apache-2.0 */
/* collections.c — databases and collections: made, opened, listed, dropped.
 *
 * WHAT        Names are checked here; making and dropping is the catalog actor's; a handle is a
 *             counted reference to a collection that is open in this process.
 * INVARIANTS  (1) Every handle is in its root's list until it is closed, so that lynse_close finds
 *                 it.
 *             (2) require makes a collection only when there is none, whoever else tries, and opens
 *                 none that is not as it was asked for.
 * THREADS     Any; lists are read under the engine's mutex.
 * FAILURE     Nothing is made by a failed call; a handle is given out only by a successful one.
 */
#include "api/handles.h"
#include "base/limits.h"
#include "codec/vector_types.h"
#include "os/path.h"
#include "simd/metrics.h"

int lynse_database_create(struct lynse *db, const char *database, struct lynse_error *err)
{
    struct error failed = {0};

    if (!db) return api_missing("db", err);
    if (!database) return api_missing("database", err);
    API_CALL struct api_child *inside = api_enter(&db->self, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
    if (engine_create_database(db->engine, database, &failed) != 0) return api_fail(&failed, err);
    return LYNSE_OK;
}

int lynse_database_drop(struct lynse *db, const char *database, struct lynse_error *err)
{
    struct error failed = {0};

    if (!db) return api_missing("db", err);
    if (!database) return api_missing("database", err);
    API_CALL struct api_child *inside = api_enter(&db->self, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
    if (engine_drop_database(db->engine, database, &failed) != 0) return api_fail(&failed, err);
    return LYNSE_OK;
}

int lynse_database_exists(struct lynse *db, const char *database, int *out, struct lynse_error *err)
{
    struct error failed = {0};

    if (!db) return api_missing("db", err);
    if (!database) return api_missing("database", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&db->self, &failed);
    if (!inside) return api_fail(&failed, err);
    if (engine_check(db->engine, &failed) != 0) return api_fail(&failed, err);
    if (name_check("database", slice_of_text(database), &failed) != 0)
        return api_fail(&failed, err);
    engine_lock(db->engine);
    *out = catalog_has_database(&db->engine->catalog, database);
    engine_unlock(db->engine);
    return LYNSE_OK;
}

/* Names that match, copied under the lock. */
static int list_names(struct lynse *db, const char *database, struct lynse_names **out,
                      struct error *err)
{
    struct catalog *c = &db->engine->catalog;
    struct alloc *a = db->memory->alloc;
    struct slice *names = NULL;
    size_t count = 0;
    int rc = -1;

    engine_lock(db->engine);
    size_t room = database ? c->collection_count : c->database_count;
    names = mem_alloc(a, MEM_GENERAL, (room + 1) * sizeof *names);
    if (!names) error_no_memory(err, room * sizeof *names);
    else if (database && !catalog_has_database(c, database))
        error_set(err, LYNSE_NOT_FOUND, "database '%s' not found", database);
    else {
        for (size_t i = 0; i < room; i++) {
            if (!database) names[count++] = slice_of_text(c->databases[i]);
            else if (strcmp(c->collections[i].database, database) == 0)
                names[count++] = slice_of_text(c->collections[i].name);
        }
        rc = api_names(db, names, count, out, err);
    }
    engine_unlock(db->engine);
    mem_free(a, names);
    return rc;
}

int lynse_database_list(struct lynse *db, struct lynse_names **out, struct lynse_error *err)
{
    struct error failed = {0};

    if (!db) return api_missing("db", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&db->self, &failed);
    if (!inside) return api_fail(&failed, err);
    if (engine_check(db->engine, &failed) != 0 || list_names(db, NULL, out, &failed) != 0)
        return api_fail(&failed, err);
    return LYNSE_OK;
}

int lynse_collection_list(struct lynse *db, const char *database, struct lynse_names **out,
                          struct lynse_error *err)
{
    struct error failed = {0};

    if (!db) return api_missing("db", err);
    if (!database) return api_missing("database", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&db->self, &failed);
    if (!inside) return api_fail(&failed, err);
    if (engine_check(db->engine, &failed) != 0 ||
        name_check("database", slice_of_text(database), &failed) != 0 ||
        list_names(db, database, out, &failed) != 0)
        return api_fail(&failed, err);
    return LYNSE_OK;
}

/* ---- handles ---- */

static void end_handle(struct api_child *child)
{
    struct lynse_collection *c = (struct lynse_collection *)child;

    engine_release_host(c->host);
    mem_free(c->db->memory->alloc, c);
}

static int open_handle(struct lynse *db, const char *database, const char *name,
                       struct lynse_collection **out, struct error *err)
{
    struct lynse_collection *c = mem_zalloc(db->memory->alloc, MEM_GENERAL, sizeof *c);

    if (!c) return error_no_memory(err, sizeof *c);
    c->db = db;
    if (engine_acquire_host(db->engine, database, name, &c->host, err) != 0) {
        mem_free(db->memory->alloc, c);
        return -1;
    }
    api_adopt(db, &c->child, end_handle);
    *out = c;
    return 0;
}

void lynse_collection_close(struct lynse_collection *c)
{
    if (c) api_end(&c->child);
}

struct creation {
    char database[NAME_ROOM];
    char name[NAME_ROOM];
    struct lynse_collection_desc asked; /* 0: the caller leaves it to us */
    struct collection_options options;  /* of a new one */
};

static int check_creation(const struct lynse *db, const struct lynse_collection_desc *desc,
                          struct creation *out, struct error *err)
{
    struct lynse_collection_desc d;
    const struct engine_desc *e = &db->engine->desc;

    if (engine_check(db->engine, err) != 0) return -1;
    if (api_copy_desc("desc", &d, sizeof d, desc, desc ? desc->struct_bytes : 0, sizeof d, err) !=
        0)
        return -1;
    if (api_name(d.name, out->database, out->name, err) != 0) return -1;
    if (d.dim > LIMIT_DIM)
        return error_set(err, LYNSE_LIMIT, "dim: %u, at most %d", d.dim, LIMIT_DIM);
    if (d.metric && !metric_find(d.metric))
        return error_set(err, LYNSE_INVALID, "metric: %u, allowed are 0 to %d", d.metric,
                         METRIC_MAX);
    if (d.metric && d.dim && metric_check_dim(metric_find(d.metric), d.dim, err) != 0) return -1;
    if (d.sync && !sync_level_is_known(d.sync))
        return error_set(err, LYNSE_INVALID, "sync: %u, allowed are 0 to %d", d.sync,
                         SYNC_LEVEL_MAX);
    if (d.sync_interval_ms > 1000)
        return error_set(err, LYNSE_INVALID, "sync_interval_ms: %u, allowed are 1 to 1000",
                         d.sync_interval_ms);
    if (d.storage && !storage_type_is_known(d.storage))
        return error_set(err, LYNSE_INVALID, "storage: %u, allowed are 0 to %d", d.storage,
                         STORAGE_TYPE_MAX);
    if (collection_description_check(d.description, err) != 0) return -1;
    out->asked = d;
    out->options = (struct collection_options){
        .dim = d.dim,
        .storage = (uint8_t)d.storage,
        .metric = (uint8_t)(d.metric ? d.metric : METRIC_DEFAULT),
        .sync_level = (uint8_t)(d.sync ? d.sync : e->sync_level),
        .sync_interval_ms = d.sync_interval_ms ? d.sync_interval_ms : e->sync_interval_ms,
        .description = d.description,
    };
    return 0;
}

int lynse_collection_create(struct lynse *db, const struct lynse_collection_desc *desc,
                            struct lynse_collection **out, struct lynse_error *err)
{
    struct creation c;
    struct error failed = {0};

    if (!db) return api_missing("db", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&db->self, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
    if (check_creation(db, desc, &c, &failed) != 0 ||
        engine_create_collection(db->engine, c.database, c.name, &c.options, &failed) != 0)
        return api_fail(&failed, err);
    if (open_handle(db, c.database, c.name, out, &failed) == 0) return LYNSE_OK;
    /* It is not taken back: somebody else may write to it already. */
    error_wrap(&failed, "made, but not opened");
    return api_fail(&failed, err);
}

int lynse_collection_open(struct lynse *db, const char *name, struct lynse_collection **out,
                          struct lynse_error *err)
{
    char database[NAME_ROOM], collection[NAME_ROOM];
    struct error failed = {0};

    if (!db) return api_missing("db", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&db->self, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
    if (engine_check(db->engine, &failed) != 0 ||
        api_name(name, database, collection, &failed) != 0 ||
        open_handle(db, database, collection, out, &failed) != 0)
        return api_fail(&failed, err);
    return LYNSE_OK;
}

static int refuse_metric(const struct creation *c, uint8_t metric, struct error *err)
{
    return error_set(
        err, LYNSE_INVALID, "metric: %s, collection '%s/%s' has %s; build_index changes it",
        metric_find(c->asked.metric)->name, c->database, c->name, metric_find(metric)->name);
}

/* (2) */
static int check_existing(const struct creation *c, const struct collection_status *s,
                          struct error *err)
{
    const struct lynse_collection_desc *asked = &c->asked;

    if (asked->dim && s->dim && asked->dim != s->dim)
        return error_set(err, LYNSE_DIMENSION, "dim: %u, collection '%s/%s' has %u", asked->dim,
                         c->database, c->name, s->dim);
    if (asked->storage && asked->storage != s->storage)
        return error_set(err, LYNSE_INVALID, "storage: %s, collection '%s/%s' has %s, for good",
                         storage_type_name(asked->storage), c->database, c->name,
                         storage_type_name(s->storage));
    if (asked->metric && asked->metric != s->metric) return refuse_metric(c, s->metric, err);
    if (asked->sync && sync_level_is_weaker(s->sync_level, asked->sync))
        return error_set(err, LYNSE_INVALID,
                         "sync: %u, collection '%s/%s' has %u, which promises less; set_sync "
                         "changes it",
                         asked->sync, c->database, c->name, s->sync_level);
    if (asked->sync == LYNSE_SYNC_INTERVAL && s->sync_level == SYNC_INTERVAL &&
        asked->sync_interval_ms && asked->sync_interval_ms < s->sync_interval_ms)
        return error_set(err, LYNSE_INVALID,
                         "sync_interval_ms: %u, collection '%s/%s' has %u, which promises less; "
                         "set_sync changes it",
                         asked->sync_interval_ms, c->database, c->name, s->sync_interval_ms);
    return 0;
}

int lynse_collection_require(struct lynse *db, const struct lynse_collection_desc *desc,
                             struct lynse_collection **out, struct lynse_error *err)
{
    struct creation c;
    struct error failed = {0};
    struct lynse_collection *handle = NULL;
    struct collection_status *status = NULL;

    if (!db) return api_missing("db", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&db->self, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
    if (check_creation(db, desc, &c, &failed) != 0) return api_fail(&failed, err);
    if (open_handle(db, c.database, c.name, &handle, &failed) != 0) {
        if (failed.code != LYNSE_NOT_FOUND) return api_fail(&failed, err);
        /* Somebody else may make it at the same moment: then it is there. */
        if (engine_create_collection(db->engine, c.database, c.name, &c.options, &failed) != 0 &&
            failed.code != LYNSE_ALREADY_EXISTS)
            return api_fail(&failed, err);
        if (open_handle(db, c.database, c.name, &handle, &failed) != 0)
            return api_fail(&failed, err);
    }
    int rc = engine_host_status(handle->host, &status, &failed);
    if (rc == 0) {
        rc = check_existing(&c, status, &failed);
        collection_status_destroy(status);
    }
    if (rc != 0) {
        lynse_collection_close(handle);
        return api_fail(&failed, err);
    }
    *out = handle;
    return LYNSE_OK;
}

int lynse_collection_drop(struct lynse *db, const char *name, struct lynse_error *err)
{
    char database[NAME_ROOM], collection[NAME_ROOM];
    struct error failed = {0};

    if (!db) return api_missing("db", err);
    API_CALL struct api_child *inside = api_enter(&db->self, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
    if (engine_check(db->engine, &failed) != 0 ||
        api_name(name, database, collection, &failed) != 0 ||
        engine_drop_collection(db->engine, database, collection, &failed) != 0)
        return api_fail(&failed, err);
    return LYNSE_OK;
}

int lynse_collection_exists(struct lynse *db, const char *name, int *out, struct lynse_error *err)
{
    char database[NAME_ROOM], collection[NAME_ROOM];
    struct error failed = {0};

    if (!db) return api_missing("db", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&db->self, &failed);
    if (!inside) return api_fail(&failed, err);
    if (engine_check(db->engine, &failed) != 0 ||
        api_name(name, database, collection, &failed) != 0)
        return api_fail(&failed, err);
    engine_lock(db->engine);
    *out = catalog_find(&db->engine->catalog, database, collection) != NULL;
    engine_unlock(db->engine);
    return LYNSE_OK;
}
