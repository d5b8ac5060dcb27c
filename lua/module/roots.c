/* SPDX-License-Identifier: Apache-2.0 */
/* roots.c — open roots and what is done to all of one: databases, polls, barriers. */
#include <lynse.h>
#include <lynse_lua.h>
#include <string.h>

#include "lua/module/failure.h"
#include "lua/module/handles.h"
#include "lua/module/natives.h"
#include "lua/module/options.h"

void push_names(lua_State *L, const struct lynse_names *names)
{
    lua_createtable(L, (int)names->count, 0);
    for (size_t i = 0; i < names->count; i++) {
        lua_pushstring(L, names->names[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

static int push_done(lua_State *L, int code, const struct lynse_error *err)
{
    if (code != LYNSE_OK) return failure_push(L, err);
    lua_pushboolean(L, 1);
    return 1;
}

static uint32_t read_open_flags(struct options *o)
{
    static const struct {
        const char *name;
        uint32_t flag;
    } flags[] = {
        {"read_only", LYNSE_OPEN_READ_ONLY},    {"immutable", LYNSE_OPEN_IMMUTABLE},
        {"no_create", LYNSE_OPEN_NO_CREATE},    {"network_fs", LYNSE_OPEN_NETWORK_FS},
        {"poll_may_sync", LYNSE_POLL_MAY_SYNC}, {"trusted_scripts", LYNSE_OPEN_TRUSTED_SCRIPTS},
        {"no_recall", LYNSE_OPEN_NO_RECALL}};
    uint32_t all = 0;

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (option_flag(o, flags[i].name)) all |= flags[i].flag;
    return all;
}

/* open(path, options) → root */
static int open_root(lua_State *L)
{
    struct options o = options_of(L, 2);
    struct lynse_error err = {0};
    const char *path = argument_text(L, 1, "path", &o.err);
    const char *mode = option_text(&o, "mode");
    struct lynse_open_desc desc = {
        .struct_bytes = sizeof desc,
        .flags = read_open_flags(&o),
        .path = path,
        .sync = option_sync(&o),
        .sync_interval_ms = option_u32(&o, "sync_interval_ms"),
        .actor_threads = option_u32(&o, "actor_threads"),
        .search_threads = option_u32(&o, "search_threads"),
        .job_threads = option_u32(&o, "job_threads"),
        .memory_budget_bytes = option_u64(&o, "memory_budget_bytes"),
        .seed = option_u64(&o, "seed"),
        .low_water_bytes = option_u64(&o, "low_water_bytes"),
    };

    if (mode && strcmp(mode, "inline") == 0) desc.mode = LYNSE_INLINE;
    else if (mode && strcmp(mode, "threads") != 0)
        error_set(&o.err, LYNSE_INVALID, "mode: must be 'threads' or 'inline'");
    if (options_failed(&o)) return failure_push_error(L, &o.err);
    struct module_root *r = handle_push_root(L);
    r->is_inline = desc.mode == LYNSE_INLINE;
    if (lynse_open(&desc, &r->db, &err) != LYNSE_OK) return failure_push(L, &err);
    if (lynse_lua_attach(r->db, &err) != LYNSE_OK) return failure_push(L, &err);
    return 1;
}

/* poll(root, budget_us) → is something left to do */
static int poll_root(lua_State *L)
{
    lua_Number budget_us = luaL_optnumber(L, 2, 0);
    luaL_argcheck(L, budget_us >= 0 && budget_us <= 1e12, 2, "a number of microseconds expected");
    struct module_root *r = handle_check_root(L, 1);
    int code = lynse_poll(r->db, (uint64_t)budget_us);

    if (code != LYNSE_OK && code != LYNSE_MORE) {
        struct error err = {0};
        error_set(&err, code, "poll: %s", error_sentence(code));
        return failure_push_error(L, &err);
    }
    lua_pushboolean(L, code == LYNSE_MORE);
    return 1;
}

static int sync_root(lua_State *L)
{
    struct lynse_error err = {0};
    int code = lynse_sync(handle_check_root(L, 1)->db, &err);
    return push_done(L, code, &err);
}

static int refresh_root(lua_State *L)
{
    struct lynse_error err = {0};
    int code = lynse_refresh(handle_check_root(L, 1)->db, &err);
    return push_done(L, code, &err);
}

static int memory_bytes(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)lynse_memory_bytes(handle_check_root(L, 1)->db));
    return 1;
}

/* ---- Databases ---- */

typedef int named_call(struct lynse *db, const char *name, struct lynse_error *err);

static int call_named(lua_State *L, named_call *call, const char *what)
{
    struct module_root *r = handle_check_root(L, 1);
    struct error wrong = {0};
    struct lynse_error err = {0};
    const char *name = argument_text(L, 2, what, &wrong);

    if (!name) return failure_push_error(L, &wrong);
    int code = call(r->db, name, &err);
    return push_done(L, code, &err);
}

static int create_database(lua_State *L)
{
    return call_named(L, lynse_database_create, "database");
}

static int drop_database(lua_State *L)
{
    return call_named(L, lynse_database_drop, "database");
}

static int list_databases(lua_State *L)
{
    handle_check_root(L, 1);
    struct module_scratch *s = handle_push_scratch(L);
    struct lynse_error err = {0};

    if (lynse_database_list(handle_check_root(L, 1)->db, &s->names, &err) != LYNSE_OK)
        return failure_push(L, &err);
    push_names(L, s->names);
    scratch_clear(s);
    return 1;
}

static int drop_collection(lua_State *L)
{
    return call_named(L, lynse_collection_drop, "name");
}

/* list(root, database or nil) */
static int list_collections(lua_State *L)
{
    struct error wrong = {0};
    struct lynse_error err = {0};
    const char *name = lua_isnoneornil(L, 2) ? "default" : argument_text(L, 2, "database", &wrong);

    handle_check_root(L, 1);
    if (!name) return failure_push_error(L, &wrong);
    struct module_scratch *s = handle_push_scratch(L);
    if (lynse_collection_list(handle_check_root(L, 1)->db, name, &s->names, &err) != LYNSE_OK)
        return failure_push(L, &err);
    push_names(L, s->names);
    scratch_clear(s);
    return 1;
}

static int collection_exists(lua_State *L)
{
    struct module_root *r = handle_check_root(L, 1);
    struct error wrong = {0};
    struct lynse_error err = {0};
    const char *name = argument_text(L, 2, "name", &wrong);
    int is_there = 0;

    if (!name) return failure_push_error(L, &wrong);
    if (lynse_collection_exists(r->db, name, &is_there, &err) != LYNSE_OK)
        return failure_push(L, &err);
    lua_pushboolean(L, is_there);
    return 1;
}

const luaL_Reg native_roots[] = {{"open", open_root},
                                 {"close_root", handle_close_root},
                                 {"poll", poll_root},
                                 {"sync_root", sync_root},
                                 {"refresh_root", refresh_root},
                                 {"memory_bytes", memory_bytes},
                                 {"create_database", create_database},
                                 {"drop_database", drop_database},
                                 {"list_databases", list_databases},
                                 {"drop_collection", drop_collection},
                                 {"list_collections", list_collections},
                                 {"collection_exists", collection_exists},
                                 {NULL, NULL}};
