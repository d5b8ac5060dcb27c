/* SPDX-License-Identifier: Apache-2.0 */
/* documents.c — the fields of a record, between tables of Lua and msgpack.
 *
 * WHAT        Both ways without recursion: open containers are levels of an array here, and their
 *             tables and keys are on the Lua stack.
 * INVARIANTS  (1) A level is at most LIMIT_DOC_DEPTH: a table that contains itself ends there.
 *             (2) No metamethod of a program runs: tables are read raw, and next is asked for keys
 *                 that it gave.
 *             (3) What is written is bounded while it is written: LIMIT_DOC_BYTES.
 * THREADS     That of the state.
 * FAILURE     As documents.h says.  What the library checks anyway (UTF-8, equal keys) is left to
 *             it.
 */
#include "lua/module/documents.h"

#include <lauxlib.h>
#include <lynse.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/limits.h"
#include "codec/msgpack.h"
#include "codec/quote.h"
#include "codec/value.h"
#include "lua/module/scalars.h"

static const char array_name[] = "lynse.array";

void documents_prepare(lua_State *L)
{
    luaL_newmetatable(L, array_name);
    lua_pop(L, 1);
}

static void mark_array(lua_State *L)
{
    luaL_getmetatable(L, array_name);
    lua_setmetatable(L, -2);
}

int document_array_new(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    mark_array(L);
    return 1;
}

/* ---- Writing ---- */

struct write_level {
    bool is_array;
    uint32_t count; /* of items, or pairs */
    uint32_t done;
};

struct document_writer {
    lua_State *L;
    struct buf *out;
    struct error *err;
    size_t start; /* of the document in out */
    int depth;    /* of the level that is open; 0: the document itself */
    struct write_level levels[LIMIT_DOC_DEPTH];
};

/* The value at the top cannot be stored: say where it is. */
static int refuse_value(struct document_writer *w, const char *why)
{
    char quoted[QUOTE_BYTES];
    size_t size;

    if (w->depth >= 0 && !w->levels[w->depth].is_array && lua_type(w->L, -2) == LUA_TSTRING) {
        const char *key = lua_tolstring(w->L, -2, &size);
        return error_set(w->err, LYNSE_INVALID, "fields: %s %s",
                         quote_text(slice_of(key, size), quoted, sizeof quoted), why);
    }
    return error_set(w->err, LYNSE_INVALID, "fields: a value %s", why);
}

static bool is_marked_array(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index)) return false;
    luaL_getmetatable(L, array_name);
    bool is_ours = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is_ours;
}

/* What the table at the top is, and how many it has. */
static int measure_table(struct document_writer *w, struct write_level *out)
{
    lua_State *L = w->L;
    size_t length = lua_objlen(L, -1), numbers = 0, texts = 0;

    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (numbers + texts > LIMIT_DOC_BYTES) break;
        if (lua_type(L, -2) == LUA_TSTRING) {
            texts++;
            continue;
        }
        lua_Number key = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
        if (!(key >= 1 && key <= (lua_Number)length && key == floor(key))) {
            lua_pop(L, 2);
            return error_set(w->err, LYNSE_INVALID,
                             "fields: the keys of a table are texts, or 1 to n without a gap");
        }
        numbers++;
    }
    if (numbers + texts > LIMIT_DOC_BYTES) {
        lua_settop(L, -3);
        return error_set(w->err, LYNSE_LIMIT, "fields: a table of more than %d entries",
                         LIMIT_DOC_BYTES);
    }
    bool is_array = w->depth > 0 && (numbers > 0 || is_marked_array(L, -1));
    if (is_array ? texts || numbers != length : numbers > 0)
        return error_set(w->err, LYNSE_INVALID,
                         "fields: the keys of a table are texts, or 1 to n without a gap");
    *out = (struct write_level){.is_array = is_array, .count = (uint32_t)(numbers + texts)};
    return 0;
}

/* The table at the top becomes the innermost level, and its head is written. */
static int open_level(struct document_writer *w, int depth)
{
    if (depth >= LIMIT_DOC_DEPTH) /* (1) */
        return error_set(w->err, LYNSE_LIMIT, "fields: nested deeper than %d, or within themselves",
                         LIMIT_DOC_DEPTH);
    w->depth = depth;
    struct write_level *l = &w->levels[depth];
    if (measure_table(w, l) != 0) return -1;
    if (l->is_array) msgpack_write_array(w->out, l->count);
    else msgpack_write_map(w->out, l->count);
    if (!l->is_array) lua_pushnil(w->L); /* the key that next begins with */
    return 0;
}

static void write_number(struct buf *out, lua_Number n)
{
    if (n == floor(n) && fabs(n) <= (lua_Number)SCALAR_EXACT_MAX && !(n == 0 && signbit(n)))
        msgpack_write_int(out, (int64_t)n);
    else msgpack_write_float(out, n);
}

static int write_scalar(struct document_writer *w, const struct scalar *s)
{
    switch (s->kind) {
    case SCALAR_NEGATIVE:
        msgpack_write_int(w->out, s->as.integer);
        break;
    case SCALAR_UINT:
        msgpack_write_uint(w->out, s->as.uinteger);
        break;
    case SCALAR_DATETIME:
        msgpack_write_datetime(w->out, s->as.integer);
        break;
    case SCALAR_BYTES:
        msgpack_write_bytes(w->out, slice_of(s->bytes, s->size));
        break;
    }
    return 0;
}

static int write_other(struct document_writer *w)
{
    lua_State *L = w->L;
    const struct scalar *s = scalar_borrow(L, -1);
    uint64_t bits;

    if (s) return write_scalar(w, s);
    if (lua_type(L, -1) == LUA_TLIGHTUSERDATA && !lua_touserdata(L, -1)) {
        msgpack_write_null(w->out);
        return 0;
    }
    enum scalar_integer kind = scalar_read_integer(L, -1, &bits);
    if (kind == SCALAR_IS_NEGATIVE) msgpack_write_int(w->out, (int64_t)bits);
    else if (kind == SCALAR_IS_UINT) msgpack_write_uint(w->out, bits);
    else {
        char why[64];
        snprintf(why, sizeof why, "is a %s, which cannot be stored", luaL_typename(L, -1));
        return refuse_value(w, why);
    }
    return 0;
}

/* The value at the top, which is no table. */
static int write_value(struct document_writer *w)
{
    lua_State *L = w->L;
    size_t size;
    const char *text;

    switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN:
        msgpack_write_bool(w->out, lua_toboolean(L, -1));
        return 0;
    case LUA_TNUMBER:
        write_number(w->out, lua_tonumber(L, -1));
        return 0;
    case LUA_TSTRING:
        text = lua_tolstring(L, -1, &size);
        if (size > LIMIT_DOC_BYTES)
            return error_set(w->err, LYNSE_LIMIT,
                             "fields: a text of %zu bytes, at most %d a record", size,
                             LIMIT_DOC_BYTES);
        msgpack_write_text(w->out, slice_of(text, size));
        return 0;
    default:
        return write_other(w);
    }
}

/* Push the next entry of the innermost level; a key is written.  false: there is none, and the
 * level is popped. */
static bool next_entry(struct document_writer *w)
{
    struct write_level *l = &w->levels[w->depth];
    size_t size;

    if (l->is_array) {
        if (l->done == l->count) {
            lua_pop(w->L, 1);
            return false;
        }
        lua_rawgeti(w->L, -1, (int)++l->done);
        return true;
    }
    if (!lua_next(w->L, -2)) {
        lua_pop(w->L, 1);
        return false;
    }
    const char *key = lua_tolstring(w->L, -2, &size);
    msgpack_write_text(w->out, slice_of(key, size));
    return true;
}

/* One entry, or the end of a level.  1: the document is done. */
static int write_step(struct document_writer *w)
{
    if (w->out->size - w->start > LIMIT_DOC_BYTES) /* (3) */
        return error_set(w->err, LYNSE_LIMIT, "fields: more than %d bytes", LIMIT_DOC_BYTES);
    if (!next_entry(w)) return w->depth-- == 0;
    if (lua_istable(w->L, -1)) return open_level(w, w->depth + 1);
    int rc = write_value(w);
    lua_pop(w->L, 1);
    return rc;
}

int document_write(lua_State *L, int index, struct buf *out, struct error *err)
{
    struct document_writer w = {.L = L, .out = out, .err = err, .start = out->size};
    int top = lua_gettop(L), rc = 0;

    luaL_checkstack(L, 3 * LIMIT_DOC_DEPTH + 8, "fields");
    lua_pushvalue(L, index);
    if (open_level(&w, 0) != 0) rc = -1;
    while (rc == 0) rc = write_step(&w);
    lua_settop(L, top);
    return rc < 0 ? -1 : 0;
}

int document_write_entry(lua_State *L, int index, size_t entry, struct buf *out, struct error *err)
{
    lua_rawgeti(L, index, (int)entry);
    int rc = !lua_isnil(L, -1);
    if (rc && !lua_istable(L, -1))
        rc = error_set(err, LYNSE_INVALID, "fields: entry %zu is a %s, must be a table", entry,
                       luaL_typename(L, -1));
    else if (rc && document_write(L, lua_gettop(L), out, err) != 0)
        rc = error_wrap(err, "entry %zu", entry);
    lua_pop(L, 1);
    return rc;
}

/* ---- Reading ---- */

enum { READ_DEPTH = LIMIT_DOC_DEPTH + 8 }; /* answers of a server have documents in them */

struct read_level {
    struct value_walk walk;
    int item_count; /* of an array, so far */
};

static void push_leaf(lua_State *L, const struct value *v, enum document_form form)
{
    switch (v->type) {
    case VALUE_BOOL:
        lua_pushboolean(L, v->as.boolean);
        return;
    case VALUE_INT:
        scalar_push_int(L, v->as.integer);
        return;
    case VALUE_UINT:
        scalar_push_uint(L, v->as.uinteger);
        return;
    case VALUE_FLOAT:
        lua_pushnumber(L, v->as.number);
        return;
    case VALUE_TEXT:
        lua_pushlstring(L, (const char *)v->as.text.data, v->as.text.size);
        return;
    case VALUE_BYTES:
        if (form == DOCUMENT_EXACT) scalar_push_bytes(L, v->as.bytes);
        else lua_pushlstring(L, (const char *)v->as.bytes.data, v->as.bytes.size);
        return;
    case VALUE_DATETIME:
        if (form == DOCUMENT_EXACT) scalar_push_datetime(L, v->as.datetime_us);
        else lua_pushnumber(L, (lua_Number)v->as.datetime_us / 1e6);
        return;
    default:
        if (form == DOCUMENT_EXACT) lua_pushlightuserdata(L, NULL);
        else lua_pushnil(L);
        return;
    }
}

static void push_container(lua_State *L, const struct value *v, enum document_form form)
{
    lua_newtable(L);
    if (v->type == VALUE_ARRAY && form == DOCUMENT_EXACT) mark_array(L);
}

void document_push(lua_State *L, struct slice document, enum document_form form)
{
    struct read_level levels[READ_DEPTH + 1];
    struct value v, key;
    size_t depth = 0;

    luaL_checkstack(L, 2 * READ_DEPTH + 8, "fields");
    lua_newtable(L);
    if (document.size == 0 || !value_read(document, &v)) return;
    levels[0] = (struct read_level){.walk = value_walk_of(&v)};
    for (;;) {
        struct read_level *l = &levels[depth];
        if (!value_walk_next(&l->walk, &key, &v)) {
            if (depth == 0) return;
            depth--;
            lua_rawset(L, -3);
            continue;
        }
        if (l->walk.is_map) push_leaf(L, &key, DOCUMENT_EXACT);
        else lua_pushinteger(L, ++l->item_count);
        bool is_inner = v.type == VALUE_ARRAY || v.type == VALUE_MAP;
        if (is_inner && depth < READ_DEPTH) {
            push_container(L, &v, form);
            levels[++depth] = (struct read_level){.walk = value_walk_of(&v)};
        } else {
            push_leaf(L, &v, form);
            lua_rawset(L, -3);
        }
    }
}
