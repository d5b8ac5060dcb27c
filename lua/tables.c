/* SPDX-License-Identifier: Apache-2.0 */
/* tables.c — the library `table` for scripts that nobody vouches for: what it does is counted. */
#include <lauxlib.h>
#include <lua.h>

#include "lua/budget.h"
#include "lua/sandbox.h"
#include "lua/text.h"

static int length_of(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    return (int)lua_objlen(L, index); /* fits: a table's memory is bounded */
}

static int table_concat(lua_State *L)
{
    int length = length_of(L, 1);
    struct slice between = {NULL, 0};
    struct text t;

    if (!lua_isnoneornil(L, 2)) between = text_argument(L, 2, "table.concat");
    lua_Integer first = luaL_optinteger(L, 3, 1);
    lua_Integer last = luaL_optinteger(L, 4, length);
    lua_settop(L, 2);
    text_begin(&t, L, "table.concat");
    for (lua_Integer i = first; i <= last; i++) {
        lua_rawgeti(L, 1, (int)i);
        if ((int)i != i || !lua_isstring(L, -1))
            return luaL_error(L, "invalid value (%s) at index %d in table for 'concat'",
                              luaL_typename(L, -1), (int)i);
        text_add_value(&t);
        if (i < last) text_add(&t, between.data, between.size);
    }
    text_end(&t);
    return 1;
}

static int table_insert(lua_State *L)
{
    int end = length_of(L, 1) + 1, at = end;

    if (lua_gettop(L) == 3) at = luaL_checkint(L, 2);
    else if (lua_gettop(L) != 2) return luaL_error(L, "wrong number of arguments to 'insert'");
    for (int i = end; i > at; i--) {
        budget_charge(L, 1);
        lua_rawgeti(L, 1, i - 1);
        lua_rawseti(L, 1, i);
    }
    lua_rawseti(L, 1, at);
    return 0;
}

static int table_remove(lua_State *L)
{
    int end = length_of(L, 1), at = luaL_optint(L, 2, end);

    if (at < 1 || at > end) return 0;
    lua_rawgeti(L, 1, at);
    for (int i = at; i < end; i++) {
        budget_charge(L, 1);
        lua_rawgeti(L, 1, i + 1);
        lua_rawseti(L, 1, i);
    }
    lua_pushnil(L);
    lua_rawseti(L, 1, end);
    return 1;
}

/* ---- sort: heap sort, for its bound; equal values change places, as Lua lets them ---- */

/* Whether the value at stack index a comes before the one at b. */
static int is_before(lua_State *L, int a, int b)
{
    budget_charge(L, 4);
    if (lua_isnil(L, 2)) return lua_lessthan(L, a, b);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, a);
    lua_pushvalue(L, b);
    lua_call(L, 2, 1);
    int answer = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return answer;
}

/* The value on the top of the stack, popped, sinks from `root` to where it belongs in the heap
 * [1, length]. */
static void sink(lua_State *L, int root, int length)
{
    int value = lua_gettop(L);

    while (root <= length / 2) {
        int child = root * 2;
        lua_rawgeti(L, 1, child);
        if (child < length) {
            lua_rawgeti(L, 1, child + 1);
            if (is_before(L, value + 1, value + 2)) {
                child++;
                lua_replace(L, value + 1);
            } else {
                lua_pop(L, 1);
            }
        }
        if (!is_before(L, value, value + 1)) {
            lua_pop(L, 1);
            break;
        }
        lua_rawseti(L, 1, root);
        root = child;
    }
    lua_rawseti(L, 1, root);
}

static int table_sort(lua_State *L)
{
    int length = length_of(L, 1);

    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
    budget_enter(L, 1);
    for (int i = length / 2; i >= 1; i--) {
        lua_rawgeti(L, 1, i);
        sink(L, i, length);
    }
    for (int i = length; i > 1; i--) {
        lua_rawgeti(L, 1, i);
        lua_rawgeti(L, 1, 1);
        lua_rawseti(L, 1, i);
        sink(L, 1, i - 1);
    }
    budget_leave(L, 1);
    return 0;
}

const luaL_Reg sandbox_table_functions[] = {
    {"concat", table_concat},
    {"insert", table_insert},
    {"remove", table_remove},
    {"sort", table_sort},
    {NULL, NULL},
};
