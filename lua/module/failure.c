/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/module/failure.h"

#include <lauxlib.h>
#include <lynse.h>
#include <string.h>

static const char failure_name[] = "lynse.error";

static int describe(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "code");
    lua_pushliteral(L, ": ");
    lua_getfield(L, 1, "text");
    if (!lua_isstring(L, -1) || !lua_isstring(L, -3)) {
        lua_pushliteral(L, "an error of lynse");
        return 1;
    }
    lua_concat(L, 3);
    return 1;
}

void failure_prepare(lua_State *L)
{
    luaL_newmetatable(L, failure_name);
    lua_pushcfunction(L, describe);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}

/* The error as a table, from its code and the text at the top, which goes into it. */
static void push_table(lua_State *L, int code)
{
    lua_createtable(L, 0, 5);
    lua_insert(L, -2);
    lua_setfield(L, -2, "text");
    lua_pushstring(L, error_name(code));
    lua_setfield(L, -2, "code");
    lua_pushinteger(L, code);
    lua_setfield(L, -2, "number");
    luaL_getmetatable(L, failure_name);
    lua_setmetatable(L, -2);
}

/* What is known besides, into the table at the top. */
static void set_more(lua_State *L, int os_errno, uint32_t retry_after_ms)
{
    if (os_errno) {
        lua_pushinteger(L, os_errno);
        lua_setfield(L, -2, "os_errno");
    }
    if (retry_after_ms) {
        lua_pushinteger(L, (lua_Integer)retry_after_ms);
        lua_setfield(L, -2, "retry_after_ms");
    }
}

int failure_push(lua_State *L, const struct lynse_error *from)
{
    lua_pushnil(L);
    lua_pushlstring(L, from->text, strnlen(from->text, sizeof from->text));
    push_table(L, from->code);
    set_more(L, from->os_errno, from->retry_after_ms);
    return 2;
}

int failure_push_error(lua_State *L, const struct error *from)
{
    lua_pushnil(L);
    lua_pushstring(L, from->text);
    push_table(L, from->code);
    set_more(L, from->os_errno, from->retry_after_ms);
    return 2;
}

int failure_new(lua_State *L)
{
    static const struct {
        const char *name;
        int code;
    } codes[] = {
#define FAILURE_CODE(name, number, http, wire, sentence) {#name, number},
        LYNSE_ERRORS(FAILURE_CODE)
#undef FAILURE_CODE
    };
    const char *name = luaL_checkstring(L, 1);

    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (strcmp(name, codes[i].name) != 0) continue;
        push_table(L, codes[i].code);
        return 1;
    }
    return luaL_argerror(L, 1, "no code of an error");
}
