/* SPDX-License-Identifier: Apache-2.0 */
/* catalog_call.c — asking the catalog's actor, from any thread. */
#include "engine/engine.h"
#include "os/path.h"

enum { DROP_TRIES_MAX = 1000 };

struct catalog_message *engine_catalog_message(struct engine *e, enum message_kind kind,
                                               struct error *err)
{
    struct catalog_message *m =
        message_create(e->scheduler, sizeof *m, (uint16_t)kind, MESSAGE_CONTROL);

    if (!m) {
        error_no_memory(err, sizeof *m);
        return NULL;
    }
    m->engine = e;
    m->alloc = e->alloc;
    m->base.drop = catalog_message_drop;
    return m;
}

/* The names are checked, so that they fit. */
static struct catalog_message *make(struct engine *e, enum message_kind kind, const char *database,
                                    const char *name, struct error *err)
{
    if (name_check("database", slice_of_text(database), err) != 0) return NULL;
    if (name && name_check("collection", slice_of_text(name), err) != 0) return NULL;
    struct catalog_message *m = engine_catalog_message(e, kind, err);
    if (!m) return NULL;
    memcpy(m->database, database, strlen(database) + 1);
    if (name) memcpy(m->name, name, strlen(name) + 1);
    return m;
}

static int call(struct engine *e, struct catalog_message *take_m, struct error *err)
{
    engine_reap(e);
    return engine_call(e, e->catalog_actor, &take_m->base, 0, NULL, err);
}

int engine_create_database(struct engine *e, const char *database, struct error *err)
{
    struct catalog_message *m = make(e, KIND_CREATE_DATABASE, database, NULL, err);
    return m ? call(e, m, err) : -1;
}

/* One collection of the database, or false. */
static bool any_collection(struct engine *e, const char *database, char out_name[NAME_ROOM])
{
    bool found = false;

    engine_lock(e);
    for (size_t i = 0; i < e->catalog.collection_count && !found; i++) {
        if (strcmp(e->catalog.collections[i].database, database) != 0) continue;
        memcpy(out_name, e->catalog.collections[i].name, NAME_ROOM);
        found = true;
    }
    engine_unlock(e);
    return found;
}

int engine_drop_database(struct engine *e, const char *database, struct error *err)
{
    char name[NAME_ROOM];
    int busy_count = 0;

    if (name_check("database", slice_of_text(database), err) != 0) return -1;
    for (;;) {
        struct error failed = {0};
        if (any_collection(e, database, name)) {
            if (engine_drop_collection(e, database, name, &failed) == 0 ||
                failed.code == LYNSE_NOT_FOUND)
                continue;
        } else {
            struct catalog_message *m = make(e, KIND_DROP_DATABASE, database, NULL, &failed);
            if (m && call(e, m, &failed) == 0) return 0;
            /* A collection was made meanwhile, and may be gone again. */
            if (failed.code == LYNSE_BUSY && ++busy_count < DROP_TRIES_MAX) continue;
        }
        if (err) *err = failed;
        return -1;
    }
}

int engine_create_collection(struct engine *e, const char *database, const char *name,
                             const struct collection_options *options, struct error *err)
{
    struct catalog_message *m = make(e, KIND_CREATE_COLLECTION, database, name, err);

    if (!m) return -1;
    m->options = *options;
    if (options->description) {
        m->options.description = mem_copy_text(e->alloc, MEM_GENERAL, options->description,
                                               strlen(options->description));
        if (!m->options.description) {
            message_drop(&m->base, LYNSE_NO_MEMORY);
            return error_no_memory(err, strlen(options->description));
        }
    }
    return call(e, m, err);
}

int engine_drop_collection(struct engine *e, const char *database, const char *name,
                           struct error *err)
{
    struct catalog_message *m = make(e, KIND_DROP_COLLECTION, database, name, err);
    return m ? call(e, m, err) : -1;
}
