/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/module/records.h"

#include <lauxlib.h>

#include "base/limits.h"
#include "lua/module/scalars.h"

const struct vectors_view *vectors_borrow(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    lua_rawgeti(L, index, 1);
    if (lua_type(L, -1) != SCALAR_TCDATA) luaL_argerror(L, index, "vectors expected");
    const struct vectors_view *view = lua_topointer(L, -1);
    lua_pop(L, 1);
    return view;
}

/* ---- ids ---- */

int id_read(lua_State *L, int index, struct lynse_id *out, struct error *err)
{
    uint64_t number;
    size_t size;

    if (lua_type(L, index) == LUA_TSTRING) {
        const char *text = lua_tolstring(L, index, &size);
        if (size == 0 || size > LIMIT_ID_BYTES)
            return error_set(err, LYNSE_LIMIT, "a text of %zu bytes, must be 1 to %d", size,
                             LIMIT_ID_BYTES);
        *out = (struct lynse_id){.text = text, .text_bytes = (uint32_t)size};
        return 0;
    }
    switch (scalar_read_integer(L, index, &number)) {
    case SCALAR_IS_UINT:
        *out = (struct lynse_id){.number = number};
        return 0;
    case SCALAR_IS_NEGATIVE:
        return error_set(err, LYNSE_INVALID, "a number below 0");
    case SCALAR_IS_NO_INTEGER:
        break;
    }
    if (lua_type(L, index) == LUA_TNUMBER)
        return error_set(err, LYNSE_INVALID,
                         "%g is not whole, or beyond 2^53, where lynse.integer is exact",
                         lua_tonumber(L, index));
    return error_set(err, LYNSE_INVALID, "a %s, must be an integer or a text",
                     luaL_typename(L, index));
}

static int check_count(size_t count, struct error *err)
{
    if (count <= LIMIT_BATCH_ROWS) return 0;
    return error_set(err, LYNSE_LIMIT, "ids: %zu, at most %d a call", count, LIMIT_BATCH_ROWS);
}

/* Texts into the scratch: who runs in the middle may take them out of the program's list. */
static int keep_text(struct lynse_id *id, struct module_scratch *s, struct error *err)
{
    if (!id->text) return 0;
    buf_append(&s->ids, id->text, id->text_bytes);
    return buf_ok(&s->ids) ? 0 : error_no_memory(err, s->ids.size + id->text_bytes);
}

/* The list at the top. */
static struct lynse_id *push_list(lua_State *L, struct module_scratch *s, size_t *out_count,
                                  struct error *err)
{
    int list = lua_gettop(L);
    size_t count = lua_objlen(L, list);

    if (check_count(count, err) != 0) return NULL;
    struct lynse_id *ids = lua_newuserdata(L, (count + 1) * sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, list, (int)i + 1);
        int rc = id_read(L, -1, &ids[i], err);
        if (rc != 0) error_wrap(err, "ids: entry %zu", i + 1);
        else rc = keep_text(&ids[i], s, err);
        lua_pop(L, 1);
        if (rc != 0) return NULL;
    }
    const char *text = (const char *)s->ids.data; /* The buffer has moved while it grew. */
    for (size_t i = 0; i < count; i++) {
        if (!ids[i].text) continue;
        ids[i].text = text;
        text += ids[i].text_bytes;
    }
    *out_count = count;
    return ids;
}

static struct lynse_id *push_numbers(lua_State *L, const struct numbers_view *view,
                                     size_t *out_count, struct error *err)
{
    size_t count = (size_t)view->count;

    if (check_count(count, err) != 0) return NULL;
    struct lynse_id *ids = lua_newuserdata(L, (count + 1) * sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        ids[i] = (struct lynse_id){.number = view->numbers[i]};
        if (view->is_signed == 0 || (int64_t)view->numbers[i] >= 0) continue;
        error_set(err, LYNSE_INVALID, "ids: entry %zu: a number below 0", i + 1);
        return NULL;
    }
    *out_count = count;
    return ids;
}

struct lynse_id *ids_push(lua_State *L, int index, struct module_scratch *s, size_t *out_count,
                          struct error *err)
{
    luaL_checktype(L, index, LUA_TTABLE);
    lua_rawgeti(L, index, 1);
    if (lua_istable(L, -1)) return push_list(L, s, out_count, err);
    lua_pop(L, 1);
    lua_rawgeti(L, index, 2);
    if (lua_type(L, -1) != SCALAR_TCDATA) luaL_argerror(L, index, "ids expected");
    return push_numbers(L, lua_topointer(L, -1), out_count, err);
}

static void push_id(lua_State *L, const struct lynse_id *id)
{
    if (id->text) lua_pushlstring(L, id->text, id->text_bytes);
    else scalar_push_uint(L, id->number);
}

/* ---- hits ---- */

void hits_push(lua_State *L, const struct lynse_hits *hits, size_t from, size_t to, unsigned flags)
{
    enum document_form form = flags & HITS_PLAIN ? DOCUMENT_PLAIN : DOCUMENT_EXACT;
    int count = (int)(to - from);

    lua_createtable(L, 0, 8);
    lua_pushinteger(L, count);
    lua_setfield(L, -2, "count");
    lua_pushnumber(L, (lua_Number)hits->as_of_lsn);
    lua_setfield(L, -2, "as_of_lsn");
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        push_id(L, &hits->ids[from + (size_t)i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "ids");
    if ((flags & HITS_NUMBERS) && hits->numbers) {
        lua_pushlstring(L, (const char *)(hits->numbers + from), (size_t)count * sizeof(uint64_t));
        lua_setfield(L, -2, "numbers");
    }
    if (hits->scores) {
        lua_createtable(L, count, 0);
        for (int i = 0; i < count; i++) {
            lua_pushnumber(L, (lua_Number)hits->scores[from + (size_t)i]);
            lua_rawseti(L, -2, i + 1);
        }
        lua_setfield(L, -2, "scores");
    }
    if (hits->fields) {
        lua_createtable(L, count, 0);
        for (int i = 0; i < count; i++) {
            const struct lynse_bytes *f = &hits->fields[from + (size_t)i];
            document_push(L, slice_of(f->data, f->size), form);
            lua_rawseti(L, -2, i + 1);
        }
        lua_setfield(L, -2, "fields");
    }
    if (!hits->vectors) return;
    size_t row_bytes = hits->dim * sizeof(float);
    lua_pushlstring(L, (const char *)hits->vectors + from * row_bytes, (to - from) * row_bytes);
    lua_setfield(L, -2, "vectors");
    lua_pushinteger(L, (lua_Integer)hits->dim);
    lua_setfield(L, -2, "dim");
}

void hits_push_queries(lua_State *L, const struct lynse_hits *hits, unsigned flags)
{
    lua_createtable(L, (int)hits->query_count, 0);
    for (size_t i = 0; i < hits->query_count; i++) {
        hits_push(L, hits, i ? hits->query_ends[i - 1] : 0, hits->query_ends[i], flags);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_pushinteger(L, (lua_Integer)hits->skipped_hooks);
}
