/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine_natives.h"

#include <string.h>

#include "server/arguments.h"
#include "server/limits.h"
#include "server/method_guard.h"
#include "server/own_methods.h"

static const char collection_name[] = "lynse.server.collection";

static int close_collection(lua_State *L)
{
    struct lynse_collection **c = luaL_checkudata(L, 1, collection_name);
    lynse_collection_close(*c);
    *c = NULL;
    return 0;
}

struct lynse_collection *engine_collection_check(lua_State *L, int index)
{
    struct lynse_collection **c = luaL_checkudata(L, index, collection_name);
    if (!*c) luaL_argerror(L, index, "the collection is closed");
    return *c;
}

struct lynse_collection **engine_collection_push(lua_State *L)
{
    struct lynse_collection **c = lua_newuserdata(L, sizeof *c);
    *c = NULL;
    luaL_getmetatable(L, collection_name);
    lua_setmetatable(L, -2);
    return c;
}

const char *engine_text(lua_State *L, int index)
{
    size_t size;
    const char *text = luaL_checklstring(L, index, &size);
    if (strlen(text) != size) luaL_argerror(L, index, "holds a NUL byte");
    return text;
}

const char *engine_text_or_null(lua_State *L, int index)
{
    return lua_isnoneornil(L, index) ? NULL : engine_text(L, index);
}

const struct block *engine_ids_check(lua_State *L, int index, const struct request *r)
{
    const struct block *ids = block_borrow(L, index, ARGUMENT_IDS, r->number);
    if (!ids) ids = block_borrow(L, index, ARGUMENT_ID, r->number);
    if (!ids) luaL_argerror(L, index, "no ids of this request's");
    return ids;
}

const char *engine_keep_text(lua_State *L, const struct request *r, const char *text)
{
    if (!text) return NULL;
    const char *kept = arena_copy_text((struct arena *)&r->arena, text, strlen(text));
    if (!kept) luaL_error(L, "not enough memory");
    return kept;
}

static void add_all(lua_State *L, const luaL_Reg *functions)
{
    for (; functions->name; functions++) {
        lua_pushcfunction(L, functions->func);
        lua_setfield(L, -2, functions->name);
    }
}

static void push_metrics(lua_State *L)
{
    static const char *const words[] = {
#define METRIC_WORD(name, number, text, ...) text,
        LYNSE_METRICS(METRIC_WORD)
#undef METRIC_WORD
    };

    lua_newtable(L);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        lua_pushstring(L, words[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

/* A list of { name, number, status, code, text }. */
static void push_errors(lua_State *L)
{
    static const struct {
        int number, status;
        const char *name, *code, *text;
    } rows[] = {
#define ERROR_ROW_OF(name, number, http, code, text) {number, http, #name, code, text},
        LYNSE_ERRORS(ERROR_ROW_OF)
#undef ERROR_ROW_OF
    };

    lua_newtable(L);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lua_createtable(L, 0, 5);
        lua_pushinteger(L, rows[i].number);
        lua_setfield(L, -2, "number");
        lua_pushinteger(L, rows[i].status);
        lua_setfield(L, -2, "status");
        lua_pushstring(L, rows[i].name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, rows[i].code);
        lua_setfield(L, -2, "code");
        lua_pushstring(L, rows[i].text);
        lua_setfield(L, -2, "text");
        lua_rawseti(L, -2, (int)i + 1);
    }
}

void engine_natives_push(lua_State *L)
{
    luaL_newmetatable(L, collection_name);
    lua_pushcfunction(L, close_collection);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L); /* methods of a collection: scripts/server.lua fills it */
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__index");
    lua_setfield(L, -3, "collection_methods");
    lua_pop(L, 1);
    add_all(L, engine_natives_roots);
    add_all(L, engine_natives_writes);
    add_all(L, engine_natives_reads);
    add_all(L, engine_natives_hooks);
    add_all(L, engine_natives_index);
    add_all(L, engine_natives_verify);
    add_all(L, engine_natives_server);
    push_metrics(L);
    lua_setfield(L, -2, "metrics");
    push_errors(L);
    lua_setfield(L, -2, "errors");
    add_all(L, engine_natives_metrics);
    add_all(L, engine_natives_limits);
    add_all(L, engine_natives_guard);
    add_all(L, engine_natives_own);
}
