/* SPDX-License-Identifier: Apache-2.0 */
/* scalars.c — values that Lua has no type for.
 *
 * WHAT        One kind of userdata; what it is is its first member.
 * INVARIANTS  (1) An integer that a double holds exactly is a number, never one of these: so two
 *                 equal integers are equal in Lua, whatever they came from.
 *             (2) A scalar never changes.
 * THREADS     That of the state.
 * FAILURE     Texts and numbers that are none: nil and INVALID.  Raises when memory runs out.
 */
#include "lua/module/scalars.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <lynse.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "codec/datetime.h"
#include "codec/quote.h"
#include "lua/module/failure.h"

enum { MICROSECONDS = 1000000 };

static const char scalar_name[] = "lynse.scalar", kind_name[] = "lynse.integer_kind";

static struct scalar *push_new(lua_State *L, enum scalar_kind kind, size_t size)
{
    struct scalar *s = lua_newuserdata(L, sizeof *s + size);

    *s = (struct scalar){.kind = kind, .size = (uint32_t)size};
    luaL_getmetatable(L, scalar_name);
    lua_setmetatable(L, -2);
    return s;
}

const struct scalar *scalar_borrow(lua_State *L, int index)
{
    const struct scalar *s = lua_touserdata(L, index);

    if (!s || lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) return NULL;
    luaL_getmetatable(L, scalar_name);
    bool is_ours = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is_ours ? s : NULL;
}

void scalar_push_uint(lua_State *L, uint64_t v)
{
    if (v <= (uint64_t)SCALAR_EXACT_MAX) lua_pushnumber(L, (lua_Number)v); /* (1) */
    else push_new(L, SCALAR_UINT, 0)->as.uinteger = v;
}

void scalar_push_int(lua_State *L, int64_t v)
{
    if (v < -SCALAR_EXACT_MAX) push_new(L, SCALAR_NEGATIVE, 0)->as.integer = v;
    else if (v < 0) lua_pushnumber(L, (lua_Number)v);
    else scalar_push_uint(L, (uint64_t)v);
}

void scalar_push_datetime(lua_State *L, int64_t us)
{
    push_new(L, SCALAR_DATETIME, 0)->as.integer = us;
}

void scalar_push_bytes(lua_State *L, struct slice bytes)
{
    struct scalar *s = push_new(L, SCALAR_BYTES, bytes.size);
    if (bytes.size) memcpy(s->bytes, bytes.data, bytes.size);
}

/* ---- Reading integers ---- */

/* Decimal digits with a sign. */
static enum scalar_integer parse_integer(const char *text, size_t size, uint64_t *out)
{
    const char *end = text + size;
    bool is_negative = size > 0 && *text == '-';
    uint64_t v = 0;

    text += is_negative;
    const char *digits = text;
    for (; text < end && *text >= '0' && *text <= '9'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        if (v > (UINT64_MAX - digit) / 10) return SCALAR_IS_NO_INTEGER;
        v = v * 10 + digit;
    }
    if (text == digits || text != end) return SCALAR_IS_NO_INTEGER;
    if (is_negative && v > (uint64_t)INT64_MAX + 1) return SCALAR_IS_NO_INTEGER;
    *out = is_negative ? 0 - v : v;
    return is_negative && v > 0 ? SCALAR_IS_NEGATIVE : SCALAR_IS_UINT;
}

static enum scalar_integer read_number(lua_Number n, uint64_t *out)
{
    if (n != floor(n) || fabs(n) > (lua_Number)SCALAR_EXACT_MAX) return SCALAR_IS_NO_INTEGER;
    *out = n < 0 ? (uint64_t)(int64_t)n : (uint64_t)n;
    return n < 0 ? SCALAR_IS_NEGATIVE : SCALAR_IS_UINT;
}

/* Of its type the interface of C says nothing, and its tostring may be the program's. */
static enum scalar_integer read_cdata(lua_State *L, int index, uint64_t *out)
{
    const void *bits = lua_topointer(L, index);

    if (index < 0) index = lua_gettop(L) + index + 1;
    lua_getfield(L, LUA_REGISTRYINDEX, kind_name);
    lua_pushvalue(L, index);
    lua_call(L, 1, 1);
    lua_Integer kind = lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (kind == 0) return SCALAR_IS_NO_INTEGER;
    memcpy(out, bits, sizeof *out);
    return kind == 2 && (int64_t)*out < 0 ? SCALAR_IS_NEGATIVE : SCALAR_IS_UINT;
}

int scalar_set_integer_kind(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, kind_name);
    return 0;
}

enum scalar_integer scalar_read_integer(lua_State *L, int index, uint64_t *out)
{
    int type = lua_type(L, index);

    if (type == LUA_TNUMBER) return read_number(lua_tonumber(L, index), out);
    if (type == SCALAR_TCDATA) return read_cdata(L, index, out);
    const struct scalar *s = scalar_borrow(L, index);
    if (!s || (s->kind != SCALAR_NEGATIVE && s->kind != SCALAR_UINT)) return SCALAR_IS_NO_INTEGER;
    *out = s->as.uinteger;
    return s->kind == SCALAR_UINT ? SCALAR_IS_UINT : SCALAR_IS_NEGATIVE;
}

/* ---- What they answer to ---- */

static const struct scalar *check_scalar(lua_State *L, int index)
{
    const struct scalar *s = scalar_borrow(L, index);
    if (!s) luaL_argerror(L, index, "a value of lynse expected");
    return s;
}

static struct slice bytes_of(const struct scalar *s)
{
    return slice_of(s->bytes, s->size);
}

static int scalar_equal(lua_State *L)
{
    const struct scalar *a = scalar_borrow(L, 1), *b = scalar_borrow(L, 2);

    lua_pushboolean(L, a && b && a->kind == b->kind && a->as.uinteger == b->as.uinteger &&
                           slice_equal(bytes_of(a), bytes_of(b)));
    return 1;
}

static bool is_less(const struct scalar *a, const struct scalar *b)
{
    switch (a->kind) {
    case SCALAR_BYTES:
        return slice_compare(bytes_of(a), bytes_of(b)) < 0;
    case SCALAR_UINT:
        return a->as.uinteger < b->as.uinteger;
    default:
        return a->as.integer < b->as.integer;
    }
}

static bool is_integer(const struct scalar *s)
{
    return s->kind == SCALAR_NEGATIVE || s->kind == SCALAR_UINT;
}

static int scalar_less(lua_State *L)
{
    const struct scalar *a = check_scalar(L, 1), *b = check_scalar(L, 2);

    if (a->kind == b->kind) lua_pushboolean(L, is_less(a, b));
    else if (is_integer(a) && is_integer(b)) lua_pushboolean(L, a->kind == SCALAR_NEGATIVE);
    else return luaL_error(L, "attempt to compare values of lynse that have no order");
    return 1;
}

static int scalar_text(lua_State *L)
{
    const struct scalar *s = check_scalar(L, 1);
    char text[DATETIME_TEXT_BYTES];

    switch (s->kind) {
    case SCALAR_NEGATIVE:
        snprintf(text, sizeof text, "%" PRId64, s->as.integer);
        break;
    case SCALAR_UINT:
        snprintf(text, sizeof text, "%" PRIu64, s->as.uinteger);
        break;
    case SCALAR_DATETIME:
        datetime_format(s->as.integer, text);
        break;
    case SCALAR_BYTES:
        lua_pushlstring(L, s->bytes, s->size);
        return 1;
    }
    lua_pushstring(L, text);
    return 1;
}

/* .kind of all, .seconds since 1970 of a datetime. */
static int scalar_member(lua_State *L)
{
    const struct scalar *s = check_scalar(L, 1);
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (strcmp(name, "kind") == 0)
        lua_pushstring(L, s->kind == SCALAR_BYTES      ? "bytes"
                          : s->kind == SCALAR_DATETIME ? "datetime"
                                                       : "integer");
    else if (strcmp(name, "seconds") == 0 && s->kind == SCALAR_DATETIME)
        lua_pushnumber(L, (lua_Number)s->as.integer / MICROSECONDS);
    else lua_pushnil(L);
    return 1;
}

void scalars_prepare(lua_State *L)
{
    static const luaL_Reg functions[] = {{"__eq", scalar_equal},
                                         {"__lt", scalar_less},
                                         {"__tostring", scalar_text},
                                         {"__index", scalar_member},
                                         {NULL, NULL}};

    luaL_newmetatable(L, scalar_name);
    for (const luaL_Reg *f = functions; f->name; f++) {
        lua_pushcfunction(L, f->func);
        lua_setfield(L, -2, f->name);
    }
    lua_pushliteral(L, "lynse.scalar");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

/* ---- Made by a program ---- */

/* nil and INVALID, quoting the argument where it is a text. */
static int refuse(lua_State *L, const char *what)
{
    struct error err = {0};
    char quoted[QUOTE_BYTES];
    size_t size = 0;
    const char *text = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &size) : NULL;

    error_set(&err, LYNSE_INVALID, "%s is no %s",
              text ? quote_text(slice_of(text, size), quoted, sizeof quoted) : luaL_typename(L, 1),
              what);
    return failure_push_error(L, &err);
}

int scalar_integer_new(lua_State *L)
{
    uint64_t v = 0;
    size_t size;
    enum scalar_integer kind;

    luaL_checkany(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING) {
        const char *text = lua_tolstring(L, 1, &size);
        kind = parse_integer(text, size, &v);
    } else {
        kind = scalar_read_integer(L, 1, &v);
    }
    if (kind == SCALAR_IS_NO_INTEGER) return refuse(L, "integer of 64 bits, or exact");
    if (kind == SCALAR_IS_NEGATIVE) scalar_push_int(L, (int64_t)v);
    else scalar_push_uint(L, v);
    return 1;
}

int scalar_datetime_new(lua_State *L)
{
    struct error err = {0};
    int64_t us = 0;
    size_t size;

    luaL_checkany(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING) {
        const char *text = lua_tolstring(L, 1, &size);
        if (datetime_parse(slice_of(text, size), &us, &err) != 0)
            return failure_push_error(L, &err);
    } else {
        lua_Number seconds = lua_type(L, 1) == LUA_TNUMBER ? lua_tonumber(L, 1) : NAN;
        lua_Number wanted = floor(seconds * MICROSECONDS + 0.5);
        if (!(wanted >= (lua_Number)DATETIME_US_MIN && wanted < (lua_Number)DATETIME_US_MAX))
            return refuse(L, "datetime of the years 1 to 9999");
        us = (int64_t)wanted;
    }
    scalar_push_datetime(L, us);
    return 1;
}

int scalar_bytes_new(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);

    if (size > UINT32_MAX) return luaL_argerror(L, 1, "too long");
    scalar_push_bytes(L, slice_of(text, size));
    return 1;
}
