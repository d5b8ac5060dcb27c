/* SPDX-License-Identifier: Apache-2.0 */
/* catalog_call.c — asking the catalog's actor, from any thread. */
#include "engine/engine.h"
#include "os/path.h"

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

int engine_drop_database(struct engine *e, const char *database, struct error *err)
{
    struct catalog_message *m = make(e, KIND_DROP_DATABASE, database, NULL, err);
    return m ? call(e, m, err) : -1;
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
