/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c — params and answers of a server's methods, between tables of Lua and msgpack.
 *
 * WHAT        Params are written from what arrays.lua and the program give, by the functions that
 *             read it for the library: the same is refused, in the same words.  Hits become the
 *             struct that the library fills, and are pushed by the function that pushes it.
 * INVARIANTS  (1) Nothing of an answer is believed: each column has as many entries as there are
 *                 ids, or it is no answer.
 *             (2) What is made of an answer is a small multiple of its bytes.
 * THREADS     That of the state.
 * FAILURE     As wire.h says.
 */
#include "lua/module/wire.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "codec/msgpack.h"
#include "lua/module/documents.h"
#include "lua/module/records.h"
#include "lua/module/scalars.h"

/* ---- Params ---- */

static void write_number(struct buf *out, lua_Number n)
{
    if (n == floor(n) && fabs(n) <= (lua_Number)SCALAR_EXACT_MAX)
        msgpack_write_int(out, (int64_t)n);
    else msgpack_write_float(out, n);
}

static void write_id(struct buf *out, const struct lynse_id *id)
{
    if (id->text) msgpack_write_text(out, slice_of(id->text, id->text_bytes));
    else msgpack_write_uint(out, id->number);
}

static int write_one_id(lua_State *L, int index, struct module_scratch *s, struct error *err)
{
    struct lynse_id id;

    if (id_read(L, index, &id, err) != 0) return error_wrap(err, "id");
    write_id(&s->bytes, &id);
    return 0;
}

/* A bin of u64 where all are integers. */
static int write_ids(lua_State *L, int index, struct module_scratch *s, struct error *err)
{
    struct buf *out = &s->bytes;
    size_t count = 0, text_count = 0;
    struct lynse_id *ids = ids_push(L, index, s, &count, err);

    if (!ids) return -1;
    for (size_t i = 0; i < count; i++) text_count += ids[i].text != NULL;
    if (text_count > 0) {
        msgpack_write_array(out, (uint32_t)count);
        for (size_t i = 0; i < count; i++) write_id(out, &ids[i]);
        return 0;
    }
    uint64_t *numbers = lua_newuserdata(L, (count + 1) * sizeof *numbers);
    for (size_t i = 0; i < count; i++) numbers[i] = ids[i].number;
    msgpack_write_bytes(out, slice_of(numbers, count * sizeof *numbers));
    return 0;
}

static int write_vectors(lua_State *L, int index, bool is_one, struct buf *out, struct error *err)
{
    const struct vectors_view *v = vectors_borrow(L, index);
    double bytes = v->count * v->dim * (double)sizeof(float);

    if (bytes > (double)LIMIT_GROUP_BYTES)
        return error_set(err, LYNSE_LIMIT, "vectors: %.0f bytes, at most %llu a call", bytes,
                         (unsigned long long)LIMIT_GROUP_BYTES);
    if (!is_one) {
        msgpack_write_map(out, 2);
        msgpack_write_text(out, slice_of_text("shape"));
        msgpack_write_array(out, 2);
        msgpack_write_uint(out, (uint64_t)v->count);
        msgpack_write_uint(out, (uint64_t)v->dim);
        msgpack_write_text(out, slice_of_text("data"));
    }
    msgpack_write_bytes(out, slice_of(v->values, (size_t)bytes));
    return 0;
}

static int write_documents(lua_State *L, int index, size_t count, struct buf *out,
                           struct error *err)
{
    size_t start = out->size;

    msgpack_write_array(out, (uint32_t)count);
    for (size_t i = 1; i <= count; i++) {
        int rc = document_write_entry(L, index, i, out, err);
        if (rc < 0) return -1;
        if (rc == 0) msgpack_write_null(out);
        if (out->size - start > LIMIT_GROUP_BYTES)
            return error_set(err, LYNSE_LIMIT, "fields: more than %llu bytes a call",
                             (unsigned long long)LIMIT_GROUP_BYTES);
    }
    return 0;
}

/* { kind, value, count } at the top. */
static int write_marked(lua_State *L, struct module_scratch *s, struct error *err)
{
    static const char *const kinds[] = {"id",       "ids",       "vector", "vectors",
                                        "document", "documents", NULL};
    enum { ID, IDS, VECTOR, VECTORS, DOCUMENT, DOCUMENTS };
    int marked = lua_gettop(L);

    luaL_checkstack(L, 8, "params");
    lua_rawgeti(L, marked, 1);
    int kind = luaL_checkoption(L, -1, NULL, kinds);
    lua_rawgeti(L, marked, 3);
    size_t count = (size_t)lua_tointeger(L, -1);
    lua_rawgeti(L, marked, 2);
    int value = lua_gettop(L);
    if ((kind == DOCUMENT || kind == DOCUMENTS) && !lua_istable(L, value))
        return error_set(err, LYNSE_INVALID, "a %s, must be a table", luaL_typename(L, value));
    switch (kind) {
    case ID:
        return write_one_id(L, value, s, err);
    case IDS:
        return write_ids(L, value, s, err);
    case VECTOR:
    case VECTORS:
        return write_vectors(L, value, kind == VECTOR, &s->bytes, err);
    case DOCUMENT:
        return document_write(L, value, &s->bytes, err);
    default:
        return write_documents(L, value, count, &s->bytes, err);
    }
}

/* The value at the top. */
static int write_param(lua_State *L, struct module_scratch *s, struct error *err)
{
    size_t size;
    const char *text;

    switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN:
        msgpack_write_bool(&s->bytes, lua_toboolean(L, -1));
        return 0;
    case LUA_TNUMBER:
        write_number(&s->bytes, lua_tonumber(L, -1));
        return 0;
    case LUA_TSTRING:
        text = lua_tolstring(L, -1, &size);
        msgpack_write_text(&s->bytes, slice_of(text, size));
        return 0;
    case LUA_TTABLE:
        return write_marked(L, s, err);
    default:
        return error_set(err, LYNSE_INVALID, "a %s, which no method takes", luaL_typename(L, -1));
    }
}

int params_write(lua_State *L, int index, struct module_scratch *s, struct error *err)
{
    uint32_t count = 0;

    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) count++;
    msgpack_write_map(&s->bytes, count);
    for (lua_pushnil(L); lua_next(L, index);) {
        int key = lua_gettop(L) - 1;
        const char *name = luaL_checkstring(L, key);
        msgpack_write_text(&s->bytes, slice_of_text(name));
        if (write_param(L, s, err) != 0) {
            bool is_named = strncmp(err->text, name, strlen(name)) == 0;
            return is_named ? -1 : error_wrap(err, "%s", name);
        }
        lua_settop(L, key);
    }
    return buf_ok(&s->bytes) ? 0 : error_no_memory(err, s->bytes.capacity);
}

/* ---- Hits ---- */

/* A member of the map; INTERNAL where it is none of that type. */
static int get_member(const struct value *map, const char *name, enum value_type type,
                      struct value *out, struct error *err)
{
    if (value_get(map, slice_of_text(name), out) && out->type == type) return 0;
    return error_set(err, LYNSE_INTERNAL, "an answer whose %s are no %s", name,
                     value_type_name(type));
}

static int refuse_column(const char *name, struct error *err)
{
    return error_set(err, LYNSE_INTERNAL, "an answer whose %s do not fit its ids", name);
}

static bool read_id(const struct value *v, struct lynse_id *out)
{
    *out = (struct lynse_id){0};
    if (v->type == VALUE_TEXT) {
        *out = (struct lynse_id){.text = (const char *)v->as.text.data,
                                 .text_bytes = (uint32_t)v->as.text.size};
        return v->as.text.size >= 1 && v->as.text.size <= LIMIT_ID_BYTES;
    }
    out->number = v->type == VALUE_UINT ? v->as.uinteger : (uint64_t)v->as.integer;
    return v->type == VALUE_UINT || (v->type == VALUE_INT && v->as.integer >= 0);
}

/* Integers in a bin, or a list of both kinds. */
static int read_ids(lua_State *L, const struct value *map, struct lynse_hits *hits,
                    struct error *err)
{
    struct value ids, v;
    size_t at = 0;

    if (!value_get(map, slice_of_text("ids"), &ids)) ids.type = VALUE_NULL;
    bool is_list = ids.type == VALUE_ARRAY;
    if (!is_list && (ids.type != VALUE_BYTES || ids.as.bytes.size % sizeof(uint64_t) != 0))
        return error_set(err, LYNSE_INTERNAL, "an answer without ids");
    hits->count = is_list ? ids.count : ids.as.bytes.size / sizeof(uint64_t);
    struct lynse_id *out = lua_newuserdata(L, (hits->count + 1) * sizeof *out);
    hits->ids = out;
    if (is_list) {
        for (struct value_walk w = value_walk_of(&ids); value_walk_next(&w, NULL, &v); at++)
            if (!read_id(&v, &out[at])) return refuse_column("ids", err);
        return at == hits->count ? 0 : refuse_column("ids", err);
    }
    uint64_t *numbers = lua_newuserdata(L, (hits->count + 1) * sizeof *numbers);
    for (; at < hits->count; at++) {
        numbers[at] = load_u64(ids.as.bytes.data + at * sizeof *numbers);
        out[at] = (struct lynse_id){.number = numbers[at]};
    }
    hits->numbers = numbers;
    return 0;
}

/* Where each query's hits end. */
static int read_ends(lua_State *L, const struct value *map, struct lynse_hits *hits,
                     struct error *err)
{
    struct value list, v;
    size_t from = 0, at = 0;

    if (get_member(map, "ends", VALUE_ARRAY, &list, err) != 0) return -1;
    size_t *ends = lua_newuserdata(L, (list.count + 1) * sizeof *ends);
    for (struct value_walk w = value_walk_of(&list); value_walk_next(&w, NULL, &v); at++) {
        bool is_end = v.type == VALUE_INT && v.as.integer >= (int64_t)from &&
                      v.as.integer <= (int64_t)hits->count;
        if (!is_end) return refuse_column("ends", err);
        ends[at] = from = (size_t)v.as.integer;
    }
    if (at != list.count || at == 0 || from != hits->count) return refuse_column("ends", err);
    hits->query_ends = ends;
    hits->query_count = at;
    return 0;
}

static int read_scores(lua_State *L, const struct value *map, struct lynse_hits *hits,
                       struct error *err)
{
    struct value v;

    if (!value_get(map, slice_of_text("scores"), &v)) return 0;
    if (v.type != VALUE_BYTES || v.as.bytes.size != hits->count * sizeof(float))
        return refuse_column("scores", err);
    float *scores = lua_newuserdata(L, (hits->count + 1) * sizeof *scores);
    if (hits->count > 0) memcpy(scores, v.as.bytes.data, v.as.bytes.size);
    hits->scores = scores;
    return 0;
}

static int read_fields(lua_State *L, const struct value *map, struct lynse_hits *hits,
                       struct error *err)
{
    struct value list, v;
    size_t at = 0;

    if (!value_get(map, slice_of_text("fields"), &list)) return 0;
    if (list.type != VALUE_ARRAY || list.count != hits->count) return refuse_column("fields", err);
    struct lynse_bytes *fields = lua_newuserdata(L, (hits->count + 1) * sizeof *fields);
    for (struct value_walk w = value_walk_of(&list); value_walk_next(&w, NULL, &v); at++) {
        if (v.type != VALUE_BYTES) return refuse_column("fields", err);
        if (v.as.bytes.size > 0 && document_check(v.as.bytes, err) != 0) {
            err->code = LYNSE_INTERNAL;
            return error_wrap(err, "an answer whose fields are none");
        }
        fields[at] = (struct lynse_bytes){v.as.bytes.data, v.as.bytes.size};
    }
    if (at != hits->count) return refuse_column("fields", err);
    hits->fields = fields;
    return 0;
}

static int read_vectors(const struct value *map, struct lynse_hits *hits, struct error *err)
{
    struct value v, dim;

    if (!value_get(map, slice_of_text("vectors"), &v)) return 0;
    if (get_member(map, "dim", VALUE_INT, &dim, err) != 0) return -1;
    if (dim.as.integer < 0 || dim.as.integer > LIMIT_DIM || v.type != VALUE_BYTES ||
        v.as.bytes.size != hits->count * (size_t)dim.as.integer * sizeof(float))
        return refuse_column("vectors", err);
    hits->dim = (uint32_t)dim.as.integer;
    hits->vectors = (const float *)(const void *)v.as.bytes.data; /* as bytes alone: hits_push */
    return 0;
}

static uint32_t read_skipped(const struct value *map)
{
    struct value list, v;
    uint32_t bits = 0;

    if (!value_get(map, slice_of_text("skipped_hooks"), &list)) return 0;
    for (struct value_walk w = value_walk_of(&list); value_walk_next(&w, NULL, &v);) {
        if (v.type != VALUE_TEXT) continue;
        if (slice_equal(v.as.text, slice_of_text("score"))) bits |= LYNSE_SKIPPED_SCORE;
        if (slice_equal(v.as.text, slice_of_text("rerank"))) bits |= LYNSE_SKIPPED_RERANK;
    }
    return bits;
}

int answer_push_hits(lua_State *L, const struct value *answer, unsigned flags, struct error *err)
{
    struct lynse_hits hits = {.skipped_hooks = read_skipped(answer)};
    struct value lsn;
    int top = lua_gettop(L);

    luaL_checkstack(L, 16, "hits");
    if (read_ids(L, answer, &hits, err) != 0 || read_ends(L, answer, &hits, err) != 0 ||
        read_scores(L, answer, &hits, err) != 0 || read_fields(L, answer, &hits, err) != 0 ||
        read_vectors(answer, &hits, err) != 0) { /* (1) */
        lua_settop(L, top);
        return -1;
    }
    if (value_get(answer, slice_of_text("as_of_lsn"), &lsn) && lsn.type == VALUE_INT)
        hits.as_of_lsn = (uint64_t)lsn.as.integer;
    hits_push_queries(L, &hits, flags);
    lua_replace(L, top + 2); /* in the places of the ids and their ends */
    lua_replace(L, top + 1);
    lua_settop(L, top + 2);
    return 2;
}
