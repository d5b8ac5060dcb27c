/* SPDX-License-Identifier: Apache-2.0 */
/* engine_server.c — what methods ask of the server itself: blocks out of raw bytes, errors of their
 * own, keys, state. */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "lua/module/failure.h"
#include "server/arguments.h"
#include "server/blocks.h"
#include "server/connection.h"
#include "server/engine_natives.h"
#include "server/loop.h"
#include "server/methods.h"
#include "server/records_binary.h"
#include "server/server.h"

static int refuse(lua_State *L, struct error *err)
{
    return failure_push_error(L, err);
}

/* split_vectors(vectors, dim) → vectors: a bin that came without a shape gets its rows. */
static int split_vectors(lua_State *L)
{
    struct request *r = request_current(L);
    const struct block *flat = block_borrow(L, 1, ARGUMENT_VECTORS, r->number);
    lua_Number dim = luaL_checknumber(L, 2);
    struct error err = {0};

    if (!flat) return luaL_argerror(L, 1, "no vectors of this request's");
    lua_settop(L, 2);
    if (flat->dim) {
        lua_pushvalue(L, 1);
        return 1;
    }
    if (!(dim >= 1 && dim <= LIMIT_DIM) || dim != floor(dim) || flat->count % (size_t)dim != 0) {
        error_set(&err, LYNSE_DIMENSION, "vectors: %zu numbers are no rows of %.15g", flat->count,
                  dim);
        return refuse(L, &err);
    }
    struct block rows = *flat;
    rows.dim = (uint32_t)dim;
    rows.count = flat->count / rows.dim;
    block_push(L, &rows);
    return 1;
}

/* refuse(code, text): an error, as "UNSUPPORTED" and what is. */
static int refuse_with(lua_State *L)
{
    static const struct {
        const char *name;
        int code;
    } rows[] = {
#define REFUSAL_ROW(name, number, http, word, text) {#name, number},
        LYNSE_ERRORS(REFUSAL_ROW)
#undef REFUSAL_ROW
    };
    const char *name = luaL_checkstring(L, 1), *text = luaL_checkstring(L, 2);
    struct error err = {0};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, name) != 0) continue;
        error_set(&err, rows[i].code, "%s", text);
        return refuse(L, &err);
    }
    luaL_where(L, 2); /* the method: 1 is what makes failures errors */
    lua_pushfstring(L, "refuse: '%s' is no name of an error (docs/ERRORS.md)", name);
    lua_concat(L, 2);
    return lua_error(L);
}

/* set_status(status): of an answer of HTTP that is no error. */
static int set_answer_status(lua_State *L)
{
    request_current(L)->status = (int)luaL_checkinteger(L, 1);
    lua_pushboolean(L, 1);
    return 1;
}

static const struct block *check_body(lua_State *L, int index, const struct request *r)
{
    const struct block *body = block_borrow(L, index, ARGUMENT_BODY, r->number);
    if (!body) luaL_argerror(L, index, "no body of this request's");
    return body;
}

/* The shape at 2, 3 and the encoding at 4. */
static int read_raw_shape(lua_State *L, struct records_shape *out, struct error *err)
{
    const char *word = luaL_optstring(L, 4, "float32");

    *out = (struct records_shape){.dim = (uint32_t)luaL_checknumber(L, 2),
                                  .row_count = (size_t)luaL_checknumber(L, 3)};
    if (vector_encoding_parse(slice_of_text(word), &out->encoding, err) == 0) return 0;
    return error_wrap(err, "vector_encoding");
}

/* raw_vectors(body, dim, count, encoding or nil, is_single) → vectors: all of the body. */
static int raw_vectors(lua_State *L)
{
    struct request *r = request_current(L);
    const struct block *body = check_body(L, 1, r);
    struct block block = {.kind = lua_toboolean(L, 5) ? ARGUMENT_VECTOR : ARGUMENT_VECTORS,
                          .is_single = lua_toboolean(L, 5),
                          .request = r->number};
    struct slice rest = slice_of(body->as.body.data, body->as.body.size);
    struct records_shape shape;
    struct error err = {0};

    if (read_raw_shape(L, &shape, &err) != 0 ||
        records_read_vectors(&shape, &rest, &r->arena, &block.as.vectors, &err) != 0)
        return refuse(L, &err);
    if (rest.size) {
        error_set(&err, LYNSE_INVALID,
                  "Expected %zu encoded vector bytes (%zu vectors × %u dim), got %zu",
                  body->count - rest.size, shape.row_count, shape.dim, body->count);
        return refuse(L, &err);
    }
    block.count = shape.row_count;
    block.dim = shape.dim;
    block_push(L, &block);
    return 1;
}

/* raw_records(body, dim, count, encoding or nil, ids_start or nil: ids are in the body)
 * → ids, vectors, documents; documents nil where the body has no block of fields. */
static int raw_records(lua_State *L)
{
    struct request *r = request_current(L);
    const struct block *body = check_body(L, 1, r);
    struct block ids = {.kind = ARGUMENT_IDS, .request = r->number};
    struct block vectors = {.kind = ARGUMENT_VECTORS, .request = r->number};
    struct block documents = {.kind = ARGUMENT_DOCUMENTS, .request = r->number};
    struct slice bytes = slice_of(body->as.body.data, body->as.body.size);
    struct records_shape shape;
    struct records records;
    struct error err = {0};

    if (read_raw_shape(L, &shape, &err) != 0) return refuse(L, &err);
    shape.is_range = !lua_isnoneornil(L, 5);
    if (shape.is_range) shape.ids_start = (uint64_t)luaL_checknumber(L, 5);
    if (records_read(&shape, bytes, &r->arena, &records, &err) != 0) return refuse(L, &err);
    ids.count = vectors.count = documents.count = shape.row_count;
    vectors.dim = shape.dim;
    ids.as.ids = records.ids;
    vectors.as.vectors = records.vectors;
    documents.as.documents = records.fields;
    block_push(L, &ids);
    block_push(L, &vectors);
    if (records.fields) block_push(L, &documents);
    else lua_pushnil(L);
    return 3;
}

/* authenticate(key) → flag: the connection's further requests of msgpack-RPC may enter. */
static int authenticate(lua_State *L)
{
    struct request *r = request_current(L);
    size_t size;
    const char *key = luaL_checklstring(L, 1, &size);
    const struct server *s = r->loop->server;
    bool is_right = !server_needs_key(s) || server_check_key(s, slice_of(key, size));

    if (is_right && r->connection) r->connection->is_authenticated = true;
    lua_pushboolean(L, is_right);
    return 1;
}

/* cancel(request id) → flag: whether there was something to cancel, on any loop */
static int cancel(lua_State *L)
{
    size_t size;
    const char *id = luaL_checklstring(L, 1, &size);

    if (size != REQUEST_ID_BYTES) return luaL_argerror(L, 1, "no id of a request");
    lua_pushboolean(L, named_requests_cancel(&loop_of(L)->server->named, (const uint8_t *)id));
    return 1;
}

/* catalog_version() → a number that moves when something is dropped */
static int catalog_version(lua_State *L)
{
    struct server *s = loop_of(L)->server;
    lua_pushnumber(L, (lua_Number)server_catalog_version(s));
    return 1;
}

/* server_state() → { draining, data_dir, version, started_us, connections, requests,
 * memory_bytes }; data_dir for those alone who may enter */
static int read_state(lua_State *L)
{
    struct loop *l = loop_of(L);
    struct server *s = l->server;
    bool may_enter = !server_needs_key(s) || request_current(L)->is_authenticated;

    lua_createtable(L, 0, 8);
    lua_pushboolean(L, server_is_draining(s));
    lua_setfield(L, -2, "draining");
    if (may_enter) lua_pushstring(L, s->options.data_dir);
    else lua_pushnil(L);
    lua_setfield(L, -2, "data_dir");
    lua_pushstring(L, lynse_version());
    lua_setfield(L, -2, "version");
    lua_pushnumber(L, (lua_Number)s->started_us);
    lua_setfield(L, -2, "started_us");
    lua_pushnumber(L, (lua_Number)l->connection_count);
    lua_setfield(L, -2, "connections");
    lua_pushnumber(L, (lua_Number)l->request_count);
    lua_setfield(L, -2, "requests");
    lua_pushnumber(L, (lua_Number)lynse_memory_bytes(s->db));
    lua_setfield(L, -2, "memory_bytes");
    return 1;
}

const luaL_Reg engine_natives_server[] = {{"split_vectors", split_vectors},
                                          {"raw_vectors", raw_vectors},
                                          {"raw_records", raw_records},
                                          {"refuse", refuse_with},
                                          {"set_status", set_answer_status},
                                          {"authenticate", authenticate},
                                          {"cancel", cancel},
                                          {"catalog_version", catalog_version},
                                          {"server_state", read_state},
                                          {NULL, NULL}};
