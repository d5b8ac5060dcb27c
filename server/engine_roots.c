/* SPDX-License-Identifier: Apache-2.0 */
/* engine_roots.c — databases and collections: made, opened, listed, dropped, described.  All of it
 * may wait for a disk or an actor, and so runs on a worker. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "lua/module/index_table.h"
#include "lua/module/scalars.h"
#include "server/engine_natives.h"
#include "server/file_room.h"
#include "server/kind_words.h"
#include "server/loop.h"
#include "server/server.h"

enum { FULL_NAME_BYTES = 2 * LIMIT_NAME_BYTES + 2 };

struct root_call {
    struct engine_call base;
    struct lynse *db;
    const char *database;
    char name[FULL_NAME_BYTES]; /* "database/collection" */
    struct lynse_collection_desc desc;
    struct lynse_collection *collection;
    struct lynse_names *names;
    struct lynse_collection_info info;
    const char *text; /* a description */
    int exists;
    uint64_t lsn;
};

static struct root_call *root_call_new(lua_State *L, void (*work)(struct engine_call *),
                                       int (*push)(lua_State *, struct engine_call *))
{
    struct root_call *call = engine_call_new(L, sizeof *call, work, push);
    call->db = call->base.request->loop->server->db;
    return call;
}

/* The names at 1 and 2. */
static void read_full_name(lua_State *L, struct root_call *call)
{
    const char *database = engine_text(L, 1), *name = engine_text(L, 2);
    size_t size = strlen(database) + strlen(name) + 2;

    if (size > sizeof call->name) luaL_error(L, "a name over %d bytes", LIMIT_NAME_BYTES);
    snprintf(call->name, sizeof call->name, "%s/%s", database, name);
}

static int push_true(lua_State *L, struct engine_call *call)
{
    (void)call;
    lua_pushboolean(L, 1);
    return 1;
}

static int push_exists(lua_State *L, struct engine_call *base)
{
    lua_pushboolean(L, ((struct root_call *)base)->exists);
    return 1;
}

static int push_names(lua_State *L, struct engine_call *base)
{
    const struct lynse_names *names = ((struct root_call *)base)->names;

    lua_createtable(L, (int)names->count, 0);
    for (size_t i = 0; i < names->count; i++) {
        lua_pushstring(L, names->names[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    luaL_getmetatable(L, "lynse.array");
    lua_setmetatable(L, -2);
    return 1;
}

static void drop_names(struct engine_call *base)
{
    lynse_names_free(((struct root_call *)base)->names);
}

static int push_collection(lua_State *L, struct engine_call *base)
{
    struct root_call *call = (struct root_call *)base;
    struct lynse_collection **c = engine_collection_push(L);
    *c = call->collection;
    call->collection = NULL;
    opened_names_add(&loop_of(L)->server->opened, call->name);
    return 1;
}

static void drop_collection_handle(struct engine_call *base)
{
    lynse_collection_close(((struct root_call *)base)->collection);
}

/* ---- Databases ---- */

static void work_create(struct engine_call *base)
{
    struct root_call *call = (struct root_call *)base;
    base->code = lynse_database_create(call->db, call->database, &base->error);
}

static void work_drop(struct engine_call *base)
{
    struct root_call *call = (struct root_call *)base;
    base->code = lynse_database_drop(call->db, call->database, &base->error);
}

static void work_database_exists(struct engine_call *base)
{
    struct root_call *call = (struct root_call *)base;
    base->code = lynse_database_exists(call->db, call->database, &call->exists, &base->error);
}

static void work_database_list(struct engine_call *base)
{
    struct root_call *call = (struct root_call *)base;
    base->code = lynse_database_list(call->db, &call->names, &base->error);
}

static void work_collection_list(struct engine_call *base)
{
    struct root_call *call = (struct root_call *)base;
    base->code = lynse_collection_list(call->db, call->database, &call->names, &base->error);
}

static int run_database(lua_State *L, void (*work)(struct engine_call *),
                        int (*push)(lua_State *, struct engine_call *))
{
    struct root_call *call = root_call_new(L, work, push);

    if (push == push_names) call->base.drop = drop_names;
    if (work != work_database_list)
        call->database = engine_keep_text(L, call->base.request, engine_text(L, 1));
    return engine_call_run(L, &call->base, false);
}

/* create_database(name) */
static int create_database(lua_State *L)
{
    return run_database(L, work_create, push_true);
}

/* Handles that loops keep are looked at again when this has moved. */
static void catalog_moves(lua_State *L)
{
    server_catalog_moves(loop_of(L)->server);
}

/* Once more: what another loop opened while the drop ran is gone too. */
static int push_dropped(lua_State *L, struct engine_call *base)
{
    const struct root_call *call = (const struct root_call *)base;
    struct opened_names *opened = &loop_of(L)->server->opened;

    catalog_moves(L);
    if (call->database) opened_names_remove_of(opened, call->database);
    else opened_names_remove(opened, call->name);
    return push_true(L, base);
}

/* drop_database(name) */
static int drop_database(lua_State *L)
{
    catalog_moves(L);
    return run_database(L, work_drop, push_dropped);
}

/* database_exists(name) → flag */
static int database_exists(lua_State *L)
{
    return run_database(L, work_database_exists, push_exists);
}

/* list_databases() → names */
static int list_databases(lua_State *L)
{
    return run_database(L, work_database_list, push_names);
}

/* list_collections(database) → names */
static int list_collections(lua_State *L)
{
    return run_database(L, work_collection_list, push_names);
}

/* ---- Collections ---- */

static void work_open(struct engine_call *base)
{
    struct root_call *call = (struct root_call *)base;
    struct server *server = base->request->loop->server;
    struct error err = {0};

    if (file_room_enter(server, call->name, &err) != 0) {
        base->code = base->error.code = err.code;
        snprintf(base->error.text, sizeof base->error.text, "%s", err.text);
    } else if (call->desc.name) {
        base->code =
            lynse_collection_require(call->db, &call->desc, &call->collection, &base->error);
    } else {
        base->code = lynse_collection_open(call->db, call->name, &call->collection, &base->error);
    }
    file_room_leave(server);
}

static void work_collection_drop(struct engine_call *base)
{
    struct root_call *call = (struct root_call *)base;
    base->code = lynse_collection_drop(call->db, call->name, &base->error);
}

static void work_collection_exists(struct engine_call *base)
{
    struct root_call *call = (struct root_call *)base;
    base->code = lynse_collection_exists(call->db, call->name, &call->exists, &base->error);
}

/* open_collection(database, name) → collection */
static int open_collection(lua_State *L)
{
    struct root_call *call = root_call_new(L, work_open, push_collection);

    read_full_name(L, call);
    call->base.drop = drop_collection_handle;
    return engine_call_run(L, &call->base, false);
}

/* require_collection(database, name, dim, metric or nil, description or nil, storage or nil) →
 * collection */
static int require_collection(lua_State *L)
{
    static const char *const metrics[] = {
#define METRIC_WORD(name, number, text, ...) text,
        LYNSE_METRICS(METRIC_WORD)
#undef METRIC_WORD
            NULL};
    static const uint32_t numbers[] = {
#define METRIC_NUMBER(name, number, ...) number,
        LYNSE_METRICS(METRIC_NUMBER)
#undef METRIC_NUMBER
    };
    static const char *const storages[] = {
#define STORAGE_WORD(name, number, text) text,
        LYNSE_STORAGES(STORAGE_WORD)
#undef STORAGE_WORD
            NULL};
    struct root_call *call = root_call_new(L, work_open, push_collection);

    read_full_name(L, call);
    call->base.drop = drop_collection_handle;
    call->desc = (struct lynse_collection_desc){
        .struct_bytes = sizeof call->desc,
        .dim = (uint32_t)luaL_optnumber(L, 3, 0),
        .name = call->name,
        .description = engine_keep_text(L, call->base.request, engine_text_or_null(L, 5))};
    if (!lua_isnoneornil(L, 4)) call->desc.metric = numbers[luaL_checkoption(L, 4, NULL, metrics)];
    if (!lua_isnoneornil(L, 6)) /* their numbers run from 1 without gaps */
        call->desc.storage = (uint32_t)luaL_checkoption(L, 6, NULL, storages) + 1;
    return engine_call_run(L, &call->base, false);
}

/* drop_collection(database, name) */
static int drop_collection(lua_State *L)
{
    struct root_call *call = root_call_new(L, work_collection_drop, push_dropped);

    catalog_moves(L);
    read_full_name(L, call);
    return engine_call_run(L, &call->base, false);
}

/* collection_exists(database, name) → flag */
static int collection_exists(lua_State *L)
{
    struct root_call *call = root_call_new(L, work_collection_exists, push_exists);

    read_full_name(L, call);
    return engine_call_run(L, &call->base, false);
}

/* ---- One collection ---- */

static int run_collection(lua_State *L, void (*work)(struct engine_call *),
                          int (*push)(lua_State *, struct engine_call *), bool has_text)
{
    struct lynse_collection *c = engine_collection_check(L, 1);
    struct root_call *call = root_call_new(L, work, push);

    call->collection = c; /* borrowed: the handle is on the coroutine's stack */
    if (push == push_names) call->base.drop = drop_names;
    if (has_text) call->text = engine_keep_text(L, call->base.request, engine_text_or_null(L, 2));
    return engine_call_run(L, &call->base, false);
}

#define COLLECTION_WORK(name, expression)                                                          \
    static void work_##name(struct engine_call *base)                                              \
    {                                                                                              \
        struct root_call *call = (struct root_call *)base;                                         \
        base->code = expression;                                                                   \
    }
COLLECTION_WORK(info, lynse_collection_info(call->collection, &call->info, &base->error))
COLLECTION_WORK(read_description,
                lynse_collection_description(call->collection, &call->names, &base->error))
COLLECTION_WORK(describe, lynse_collection_describe(call->collection, call->text, &base->error))
COLLECTION_WORK(sync, lynse_collection_sync(call->collection, &call->lsn, &base->error))
COLLECTION_WORK(flush, lynse_flush(call->collection, &base->error))
COLLECTION_WORK(checkpoint, lynse_checkpoint(call->collection, &base->error))
COLLECTION_WORK(fields, lynse_list_fields(call->collection, &call->names, &base->error))
#undef COLLECTION_WORK

static void set_number(lua_State *L, const char *name, uint64_t v)
{
    scalar_push_uint(L, v);
    lua_setfield(L, -2, name);
}

static int push_info(lua_State *L, struct engine_call *base)
{
    const struct lynse_collection_info *i = &((struct root_call *)base)->info;

    lua_createtable(L, 0, 16);
    set_number(L, "dim", i->dim);
    set_number(L, "live_count", i->live_count);
    set_number(L, "deleted_count", i->deleted_count);
    set_number(L, "tail_count", i->tail_count);
    set_number(L, "segment_count", i->segment_count);
    set_number(L, "applied_lsn", i->applied_lsn);
    set_number(L, "durable_lsn", i->durable_lsn);
    if (i->has_int_id) set_number(L, "max_id", i->max_int_id);
    lua_pushstring(L, metric_word(i->metric));
    lua_setfield(L, -2, "metric");
    lua_pushstring(L, storage_word(i->storage));
    lua_setfield(L, -2, "storage");
    lua_pushstring(L, sync_word(i->sync));
    lua_setfield(L, -2, "sync");
    lua_pushstring(L, i->index_mode);
    lua_setfield(L, -2, "index_mode");
    lua_pushstring(L, i->directory);
    lua_setfield(L, -2, "directory");
    lua_pushboolean(L, i->is_read_only != 0);
    lua_setfield(L, -2, "is_read_only");
    index_table_push_info(L, i);
    return 1;
}

/* info(collection) → a table */
static int collection_info(lua_State *L)
{
    struct lynse_collection *c = engine_collection_check(L, 1);
    struct root_call *call = root_call_new(L, work_info, push_info);

    call->collection = c;
    call->info.struct_bytes = sizeof call->info;
    return engine_call_run(L, &call->base, false);
}

static int push_description(lua_State *L, struct engine_call *base)
{
    const struct lynse_names *names = ((struct root_call *)base)->names;
    lua_pushstring(L, names->count ? names->names[0] : "");
    return 1;
}

/* description(collection) → text */
static int read_description(lua_State *L)
{
    struct lynse_collection *c = engine_collection_check(L, 1);
    struct root_call *call = root_call_new(L, work_read_description, push_description);

    call->collection = c;
    call->base.drop = drop_names;
    return engine_call_run(L, &call->base, false);
}

static int push_lsn(lua_State *L, struct engine_call *base)
{
    scalar_push_uint(L, ((struct root_call *)base)->lsn);
    return 1;
}

#define COLLECTION_NATIVE(name, work, push, has_text)                                              \
    static int collection_##name(lua_State *L)                                                     \
    {                                                                                              \
        return run_collection(L, work, push, has_text);                                            \
    }
COLLECTION_NATIVE(describe, work_describe, push_true, true)
COLLECTION_NATIVE(sync, work_sync, push_lsn, false)
COLLECTION_NATIVE(flush, work_flush, push_true, false)
COLLECTION_NATIVE(checkpoint, work_checkpoint, push_true, false)
COLLECTION_NATIVE(list_fields, work_fields, push_names, false)
#undef COLLECTION_NATIVE

const luaL_Reg engine_natives_roots[] = {{"create_database", create_database},
                                         {"drop_database", drop_database},
                                         {"database_exists", database_exists},
                                         {"list_databases", list_databases},
                                         {"list_collections", list_collections},
                                         {"open_collection", open_collection},
                                         {"require_collection", require_collection},
                                         {"drop_collection", drop_collection},
                                         {"collection_exists", collection_exists},
                                         {"info", collection_info},
                                         {"description", read_description},
                                         {"describe", collection_describe},
                                         {"sync", collection_sync},
                                         {"flush", collection_flush},
                                         {"checkpoint", collection_checkpoint},
                                         {"list_fields", collection_list_fields},
                                         {NULL, NULL}};
