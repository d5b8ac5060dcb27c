/* SPDX-License-Identifier: Apache-2.0 */
/* collections.c — collections opened and made, and what is done to all of one. */
#include <lynse.h>

#include "lua/module/failure.h"
#include "lua/module/handles.h"
#include "lua/module/index_table.h"
#include "lua/module/natives.h"
#include "lua/module/options.h"
#include "lua/module/scalars.h"

static int push_done(lua_State *L, int code, const struct lynse_error *err)
{
    if (code != LYNSE_OK) return failure_push(L, err);
    lua_pushboolean(L, 1);
    return 1;
}

/* open_collection(root, name) */
static int open_collection(lua_State *L)
{
    struct error wrong = {0};
    struct lynse_error err = {0};
    const char *name = argument_text(L, 2, "name", &wrong);

    handle_check_root(L, 1);
    if (!name) return failure_push_error(L, &wrong);
    struct module_collection *c = handle_push_collection(L, 1);
    if (lynse_collection_open(handle_check_root(L, 1)->db, name, &c->collection, &err) != LYNSE_OK)
        return failure_push(L, &err);
    return 1;
}

typedef int make_call(struct lynse *db, const struct lynse_collection_desc *desc,
                      struct lynse_collection **out, struct lynse_error *err);

static struct lynse_collection_desc read_desc(struct options *o)
{
    return (struct lynse_collection_desc){
        .struct_bytes = sizeof(struct lynse_collection_desc),
        .dim = option_u32(o, "dim"),
        .name = option_text(o, "name"),
        .metric = option_metric(o),
        .storage = option_storage(o),
        .sync = option_sync(o),
        .sync_interval_ms = option_u32(o, "sync_interval_ms"),
        .description = option_text(o, "description"),
    };
}

/* check_create(options) → true: options that a collection can be made with, or required */
static int check_create(lua_State *L)
{
    struct options o = options_of(L, 1);

    read_desc(&o);
    if (options_failed(&o)) return failure_push_error(L, &o.err);
    lua_pushboolean(L, 1);
    return 1;
}

static int make_collection(lua_State *L, make_call *make)
{
    struct options o = options_of(L, 2);
    struct lynse_error err = {0};
    struct lynse_collection_desc desc = read_desc(&o);

    handle_check_root(L, 1);
    if (options_failed(&o)) return failure_push_error(L, &o.err);
    struct module_collection *c = handle_push_collection(L, 1);
    if (make(handle_check_root(L, 1)->db, &desc, &c->collection, &err) != LYNSE_OK)
        return failure_push(L, &err);
    return 1;
}

static int create_collection(lua_State *L)
{
    return make_collection(L, lynse_collection_create);
}

static int require_collection(lua_State *L)
{
    return make_collection(L, lynse_collection_require);
}

/* ---- About one ---- */

static void set_number(lua_State *L, const char *name, uint64_t v)
{
    lua_pushnumber(L, (lua_Number)v);
    lua_setfield(L, -2, name);
}

static int describe_state(lua_State *L)
{
    struct module_collection *c = handle_check_collection(L, 1);
    struct lynse_collection_info info = {.struct_bytes = sizeof info};
    struct lynse_error err = {0};

    if (lynse_collection_info(c->collection, &info, &err) != LYNSE_OK) return failure_push(L, &err);
    lua_createtable(L, 0, 18);
    set_number(L, "dim", info.dim);
    set_number(L, "sync_interval_ms", info.sync_interval_ms);
    set_number(L, "segment_count", info.segment_count);
    set_number(L, "live_count", info.live_count);
    set_number(L, "deleted_count", info.deleted_count);
    set_number(L, "tail_count", info.tail_count);
    set_number(L, "applied_lsn", info.applied_lsn);
    set_number(L, "durable_lsn", info.durable_lsn);
    set_number(L, "flushed_lsn", info.flushed_lsn);
    set_number(L, "log_bytes", info.log_bytes);
    if (info.has_int_id) {
        scalar_push_uint(L, info.max_int_id);
        lua_setfield(L, -2, "max_int_id");
    }
    lua_pushboolean(L, info.is_read_only != 0);
    lua_setfield(L, -2, "is_read_only");
    lua_pushstring(L, metric_text(info.metric));
    lua_setfield(L, -2, "metric");
    lua_pushstring(L, storage_text(info.storage));
    lua_setfield(L, -2, "storage");
    sync_push(L, info.sync);
    lua_setfield(L, -2, "sync");
    lua_pushstring(L, info.index_mode);
    lua_setfield(L, -2, "index_mode");
    lua_pushstring(L, info.directory);
    lua_setfield(L, -2, "directory");
    index_table_push_info(L, &info);
    return 1;
}

/* describe(collection, text or nil) */
static int set_description(lua_State *L)
{
    struct module_collection *c = handle_check_collection(L, 1);
    struct error wrong = {0};
    struct lynse_error err = {0};
    const char *text = NULL;

    if (!lua_isnoneornil(L, 2) && !(text = argument_text(L, 2, "description", &wrong)))
        return failure_push_error(L, &wrong);
    int code = lynse_collection_describe(c->collection, text, &err);
    return push_done(L, code, &err);
}

typedef int list_call(struct lynse_collection *c, struct lynse_names **out,
                      struct lynse_error *err);

static int push_list(lua_State *L, list_call *list)
{
    handle_check_collection(L, 1);
    struct module_scratch *s = handle_push_scratch(L);
    struct lynse_error err = {0};

    if (list(handle_check_collection(L, 1)->collection, &s->names, &err) != LYNSE_OK)
        return failure_push(L, &err);
    push_names(L, s->names);
    scratch_clear(s);
    return 1;
}

static int read_description(lua_State *L)
{
    return push_list(L, lynse_collection_description);
}

static int list_fields(lua_State *L)
{
    return push_list(L, lynse_list_fields);
}

/* verify(collection, level or nil) → {findings, indexes} */
static int verify(lua_State *L)
{
    static const char *const levels[] = {"quick", "full", "deep", NULL};
    struct lynse_names *indexes = NULL;
    struct lynse_verify_desc desc = {.struct_bytes = sizeof desc, .out_indexes = &indexes};
    struct error wrong = {0};
    struct lynse_error err = {0};
    const char *level = lua_isnoneornil(L, 2) ? "full" : argument_text(L, 2, "level", &wrong);

    handle_check_collection(L, 1);
    if (!level) return failure_push_error(L, &wrong);
    while (levels[desc.level] && strcmp(levels[desc.level], level) != 0) desc.level++;
    if (!levels[desc.level++]) {
        error_set(&wrong, LYNSE_INVALID, "level: must be quick, full or deep, not '%.32s'", level);
        return failure_push_error(L, &wrong);
    }
    struct module_scratch *findings = handle_push_scratch(L), *found = handle_push_scratch(L);
    if (lynse_verify(handle_check_collection(L, 1)->collection, &desc, &findings->names, &err) !=
        LYNSE_OK)
        return failure_push(L, &err);
    found->names = indexes;
    lua_createtable(L, 0, 2);
    push_names(L, findings->names);
    lua_setfield(L, -2, "findings");
    push_names(L, found->names);
    lua_setfield(L, -2, "indexes");
    scratch_clear(findings);
    scratch_clear(found);
    return 1;
}

/* ---- Done to one ---- */

typedef int plain_call(struct lynse_collection *c, struct lynse_error *err);

static int call_plain(lua_State *L, plain_call *call)
{
    struct module_collection *c = handle_check_collection(L, 1);
    struct lynse_error err = {0};
    int code = call(c->collection, &err);
    return push_done(L, code, &err);
}

static int flush_collection(lua_State *L)
{
    return call_plain(L, lynse_flush);
}

static int checkpoint_collection(lua_State *L)
{
    return call_plain(L, lynse_checkpoint);
}

static int remove_index(lua_State *L)
{
    return call_plain(L, lynse_remove_index);
}

/* build_index(collection, mode, params or nil, wait or nil) */
static int build_index(lua_State *L)
{
    struct module_collection *c = handle_check_collection(L, 1);
    struct error wrong = {0};
    struct lynse_error err = {0};
    struct lynse_index_param params[LIMIT_INDEX_PARAMS];
    struct lynse_index_desc desc = {
        .struct_bytes = sizeof desc, .mode = argument_text(L, 2, "mode", &wrong), .params = params};

    if (!desc.mode || index_table_read_params(L, 3, params, &desc.param_count, &wrong) != 0)
        return failure_push_error(L, &wrong);
    if (lua_type(L, 4) > LUA_TBOOLEAN) {
        error_set(&wrong, LYNSE_INVALID, "wait: must be true or false");
        return failure_push_error(L, &wrong);
    }
    if (lua_isboolean(L, 4) && !lua_toboolean(L, 4)) desc.flags |= LYNSE_INDEX_NO_WAIT;
    int code = lynse_index_set(c->collection, &desc, &err);
    return push_done(L, code, &err);
}

/* sync(collection) → durable LSN */
static int sync_collection(lua_State *L)
{
    struct module_collection *c = handle_check_collection(L, 1);
    struct lynse_error err = {0};
    uint64_t lsn = 0;

    if (lynse_collection_sync(c->collection, &lsn, &err) != LYNSE_OK) return failure_push(L, &err);
    lua_pushnumber(L, (lua_Number)lsn);
    return 1;
}

/* set_sync(collection, {sync =, sync_interval_ms =}) */
static int set_sync(lua_State *L)
{
    struct options o = options_of(L, 2);
    struct lynse_error err = {0};
    uint32_t level = option_sync(&o), interval_ms = option_u32(&o, "sync_interval_ms");
    struct module_collection *c = handle_check_collection(L, 1);

    if (options_failed(&o)) return failure_push_error(L, &o.err);
    int code = lynse_set_sync(c->collection, level, interval_ms, &err);
    return push_done(L, code, &err);
}

const luaL_Reg native_collections[] = {{"open_collection", open_collection},
                                       {"create_collection", create_collection},
                                       {"require_collection", require_collection},
                                       {"check_create", check_create},
                                       {"close_collection", handle_close_collection},
                                       {"info", describe_state},
                                       {"describe", set_description},
                                       {"description", read_description},
                                       {"list_fields", list_fields},
                                       {"verify", verify},
                                       {"flush", flush_collection},
                                       {"checkpoint", checkpoint_collection},
                                       {"build_index", build_index},
                                       {"remove_index", remove_index},
                                       {"sync_collection", sync_collection},
                                       {"set_sync", set_sync},
                                       {NULL, NULL}};
