/* SPDX-License-Identifier: Apache-2.0 */
/* convert.c — ids and documents as values of Lua.
 *
 * WHAT        A document becomes tables.  Numbers of Lua are doubles: an integer that is none
 *             becomes a userdata, so that it is equal to itself alone and is written exactly.
 * INVARIANTS  (1) Documents are as deep as LIMIT_DOC_DEPTH; what is deeper was damaged: left out.
 *             (2) Open containers are on the Lua stack: table, and for each inner one its key.
 * THREADS     That of the state.
 * FAILURE     Raises.
 */
#include "lua/convert.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdio.h>

#include "base/limits.h"
#include "lua/budget.h"

#define EXACT_INTEGER_MAX (1ll << 53)

struct wide_integer {
    uint64_t bits;
    bool is_negative; /* bits are those of an int64_t */
};

static const char wide_key[] = "lynse.integer";

static int wide_equal(lua_State *L)
{
    const struct wide_integer *a = lua_touserdata(L, 1), *b = lua_touserdata(L, 2);
    lua_pushboolean(L, a->bits == b->bits && a->is_negative == b->is_negative);
    return 1;
}

static int wide_text(lua_State *L)
{
    const struct wide_integer *a = luaL_checkudata(L, 1, wide_key);
    char text[24];
    if (a->is_negative) snprintf(text, sizeof text, "%" PRId64, (int64_t)a->bits);
    else snprintf(text, sizeof text, "%" PRIu64, a->bits);
    lua_pushstring(L, text);
    return 1;
}

void convert_prepare(lua_State *L)
{
    luaL_newmetatable(L, wide_key);
    lua_pushcfunction(L, wide_equal); /* Lua calls it for two that share it alone. */
    lua_setfield(L, -2, "__eq");
    lua_pushcfunction(L, wide_text);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

static void push_wide(lua_State *L, uint64_t bits, bool is_negative)
{
    struct wide_integer *w = lua_newuserdata(L, sizeof *w);
    *w = (struct wide_integer){bits, is_negative};
    luaL_getmetatable(L, wide_key);
    lua_setmetatable(L, -2);
}

static void push_unsigned(lua_State *L, uint64_t v)
{
    if (v <= (uint64_t)EXACT_INTEGER_MAX) lua_pushnumber(L, (lua_Number)v);
    else push_wide(L, v, false);
}

static void push_signed(lua_State *L, int64_t v)
{
    if (v < -EXACT_INTEGER_MAX) push_wide(L, (uint64_t)v, true);
    else if (v < 0) lua_pushnumber(L, (lua_Number)v);
    else push_unsigned(L, (uint64_t)v);
}

void convert_push_id(lua_State *L, const struct record_id *id)
{
    if (id->is_text) lua_pushlstring(L, (const char *)id->text.data, id->text.size);
    else push_unsigned(L, id->number);
}

static void push_scalar(lua_State *L, const struct value *v)
{
    switch (v->type) {
    case VALUE_BOOL:
        lua_pushboolean(L, v->as.boolean);
        break;
    case VALUE_INT:
        push_signed(L, v->as.integer);
        break;
    case VALUE_UINT:
        push_unsigned(L, v->as.uinteger);
        break;
    case VALUE_FLOAT:
        lua_pushnumber(L, v->as.number);
        break;
    case VALUE_TEXT:
        lua_pushlstring(L, (const char *)v->as.text.data, v->as.text.size);
        break;
    case VALUE_BYTES:
        lua_pushlstring(L, (const char *)v->as.bytes.data, v->as.bytes.size);
        break;
    case VALUE_DATETIME:
        lua_pushnumber(L, (lua_Number)v->as.datetime_us / 1e6);
        break;
    default:
        lua_pushnil(L);
        break;
    }
}

struct level {
    struct value_walk walk;
    int item_count; /* of an array, so far */
};

/* Push a table with room for what the container says it has, in so many bytes at least: one that
 * grew would take twice as much for a moment. */
static struct level open_level(lua_State *L, const struct value *container)
{
    struct level l = {.walk = value_walk_of(container)};
    size_t room = l.walk.is_map ? l.walk.rest.size / 2 : l.walk.rest.size;
    int count = (int)(l.walk.left < room ? l.walk.left : room);

    lua_createtable(L, l.walk.is_map ? 0 : count, l.walk.is_map ? count : 0);
    return l;
}

void convert_push_document(lua_State *L, struct slice document)
{
    struct level levels[LIMIT_DOC_DEPTH + 1];
    struct value v, key;
    size_t depth = 0;

    luaL_checkstack(L, 2 * LIMIT_DOC_DEPTH + 8, "document");
    if (document.size == 0 || !value_read(document, &v)) {
        lua_newtable(L);
        return;
    }
    levels[0] = open_level(L, &v);
    for (;;) {
        struct level *l = &levels[depth];
        budget_charge(L, 2);
        if (!value_walk_next(&l->walk, &key, &v)) {
            if (depth == 0) break;
            depth--;
            lua_rawset(L, -3);
            continue;
        }
        if (!l->walk.is_map) lua_pushinteger(L, ++l->item_count);
        else if (key.type == VALUE_TEXT) push_scalar(L, &key);
        else continue;
        bool is_inner = v.type == VALUE_ARRAY || v.type == VALUE_MAP;
        if (is_inner && depth < LIMIT_DOC_DEPTH) {
            levels[++depth] = open_level(L, &v); /* (2) */
        } else {
            push_scalar(L, &v); /* (1) */
            lua_rawset(L, -3);
        }
    }
}
