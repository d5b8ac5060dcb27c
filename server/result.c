/* SPDX-License-Identifier: Apache-2.0 */
/* result.c — a walk over the tables of an answer, without recursion: open ones are levels here, and
 * their table and key are on the Lua stack. */
#include "server/result.h"

#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>

#include "codec/msgpack.h"
#include "lua/module/scalars.h"
#include "server/arguments.h"
#include "server/hits_value.h"

struct level {
    bool is_list;
    uint32_t count, done;
};

struct writer {
    lua_State *L;
    uint64_t request;
    struct buf *out;
    struct error *err;
    size_t depth;
    struct level levels[RESULT_DEPTH_MAX];
};

static void write_number(struct buf *out, double number)
{
    if (number == floor(number) && fabs(number) <= (double)SCALAR_EXACT_MAX)
        msgpack_write_int(out, (int64_t)number);
    else msgpack_write_float(out, number);
}

static void write_ids(const struct block *block, struct buf *out)
{
    if (!block->is_single) msgpack_write_array(out, (uint32_t)block->count);
    for (size_t i = 0; i < block->count; i++) {
        const struct lynse_id *id = &block->as.ids[i];
        if (id->text) msgpack_write_text(out, slice_of(id->text, id->text_bytes));
        else msgpack_write_uint(out, id->number);
    }
}

static void write_scalar(const struct scalar *s, struct buf *out)
{
    switch (s->kind) {
    case SCALAR_NEGATIVE:
        msgpack_write_int(out, s->as.integer);
        return;
    case SCALAR_UINT:
        msgpack_write_uint(out, s->as.uinteger);
        return;
    case SCALAR_DATETIME:
        msgpack_write_datetime(out, s->as.integer);
        return;
    case SCALAR_BYTES:
        msgpack_write_bytes(out, slice_of(s->bytes, s->size));
        return;
    }
}

static int write_userdata(struct writer *w, int index)
{
    const struct hits_value *hits = hits_value_borrow(w->L, index);
    if (hits && hits->hits) {
        hits_value_write(hits, w->out);
        return 0;
    }
    const struct block *ids = block_borrow(w->L, index, ARGUMENT_IDS, w->request);
    if (!ids) ids = block_borrow(w->L, index, ARGUMENT_ID, w->request);
    if (ids) {
        write_ids(ids, w->out);
        return 0;
    }
    const struct scalar *s = scalar_borrow(w->L, index);
    if (!s)
        return error_set(w->err, LYNSE_INTERNAL, "the method answered with a userdata of its own");
    write_scalar(s, w->out);
    return 0;
}

/* Whether the table at the top is a list, and its entries.  Not a list: its pairs. */
static bool measure(lua_State *L, uint32_t *out_count)
{
    uint32_t count = 0;
    bool is_marked = false;

    if (lua_getmetatable(L, -1)) {
        luaL_getmetatable(L, "lynse.array");
        is_marked = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    size_t length = lua_objlen(L, -1);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        count++;
        lua_pop(L, 1);
    }
    *out_count = count;
    return is_marked || (length > 0 && length == count);
}

static int open_table(struct writer *w)
{
    if (w->depth == RESULT_DEPTH_MAX)
        return error_set(w->err, LYNSE_INTERNAL, "the method answered with tables %d deep",
                         RESULT_DEPTH_MAX);
    struct level *level = &w->levels[w->depth++];
    *level = (struct level){0};
    level->is_list = measure(w->L, &level->count);
    if (level->is_list) msgpack_write_array(w->out, level->count);
    else msgpack_write_map(w->out, level->count);
    lua_pushnil(w->L); /* the key that lua_next goes on from; of a list unused */
    return 0;
}

/* The value at the top, which is popped unless it is a table that is now open. */
static int write_value(struct writer *w)
{
    lua_State *L = w->L;
    size_t size;
    int rc = 0;

    switch (lua_type(L, -1)) {
    case LUA_TNIL:
        msgpack_write_null(w->out);
        break;
    case LUA_TBOOLEAN:
        msgpack_write_bool(w->out, lua_toboolean(L, -1));
        break;
    case LUA_TNUMBER:
        write_number(w->out, lua_tonumber(L, -1));
        break;
    case LUA_TSTRING: {
        const char *text = lua_tolstring(L, -1, &size);
        msgpack_write_text(w->out, slice_of(text, size));
        break;
    }
    case LUA_TTABLE:
        return open_table(w);
    case LUA_TLIGHTUSERDATA: /* lynse.null */
        msgpack_write_null(w->out);
        break;
    case LUA_TUSERDATA:
        rc = write_userdata(w, -1);
        break;
    default:
        rc = error_set(w->err, LYNSE_INTERNAL, "the method answered with a %s",
                       luaL_typename(L, -1));
    }
    lua_pop(L, 1);
    return rc;
}

/* One entry of the innermost open table, or its end. */
static int advance(struct writer *w)
{
    struct level *level = &w->levels[w->depth - 1];
    lua_State *L = w->L;
    size_t size;

    if (level->done == level->count) {
        lua_pop(L, 2); /* the key and the table */
        w->depth--;
        return 0;
    }
    level->done++;
    if (level->is_list) {
        lua_rawgeti(L, -2, (int)level->done);
        return write_value(w);
    }
    lua_next(L, -2);
    if (lua_type(L, -2) != LUA_TSTRING)
        return error_set(w->err, LYNSE_INTERNAL, "the method answered with a %s for a key",
                         luaL_typename(L, -2));
    const char *key = lua_tolstring(L, -2, &size);
    msgpack_write_text(w->out, slice_of(key, size));
    return write_value(w);
}

int result_write(lua_State *L, int index, uint64_t request, struct buf *out, struct error *err)
{
    struct writer w = {.L = L, .request = request, .out = out, .err = err};
    int top = lua_gettop(L);

    luaL_checkstack(L, RESULT_DEPTH_MAX * 2 + 8, "an answer");
    lua_pushvalue(L, index);
    int rc = write_value(&w);
    while (rc == 0 && w.depth > 0) rc = advance(&w);
    lua_settop(L, top);
    if (rc == 0 && !buf_ok(out)) rc = error_no_memory(err, out->size);
    return rc;
}
