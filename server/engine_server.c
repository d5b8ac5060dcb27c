/* SPDX-License-Identifier: Apache-2.0 */
/* engine_server.c — what methods ask of the server itself: blocks out of raw bytes, keys, state. */
#include <string.h>

#include "base/limits.h"
#include "lua/module/failure.h"
#include "server/arguments.h"
#include "server/blocks.h"
#include "server/connection.h"
#include "server/engine_natives.h"
#include "server/loop.h"
#include "server/methods.h"
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
    if (dim < 1 || dim > LIMIT_DIM || flat->count % (size_t)dim != 0) {
        error_set(&err, LYNSE_DIMENSION, "vectors: %zu numbers are no rows of %.0f", flat->count,
                  dim);
        return refuse(L, &err);
    }
    struct block rows = *flat;
    rows.dim = (uint32_t)dim;
    rows.count = flat->count / rows.dim;
    block_push(L, &rows);
    return 1;
}

/* raw_vectors(dim, count, encoding or nil, is_single) → vectors, bytes behind them: of the body. */
static int raw_vectors(lua_State *L)
{
    struct request *r = request_current(L);
    size_t dim = (size_t)luaL_checknumber(L, 1), count = (size_t)luaL_checknumber(L, 2);
    const char *word = luaL_optstring(L, 3, "float32");
    enum vector_encoding encoding;
    struct block block = {.kind = lua_toboolean(L, 4) ? ARGUMENT_VECTOR : ARGUMENT_VECTORS,
                          .is_single = lua_toboolean(L, 4),
                          .request = r->number,
                          .count = count,
                          .dim = (uint32_t)dim};
    struct error err = {0};

    if (vector_encoding_parse(slice_of_text(word), &encoding, &err) != 0) {
        error_wrap(&err, "vector_encoding");
        return refuse(L, &err);
    }
    size_t bytes = dim * count * (encoding == VECTOR_ENCODING_F32 ? 4 : 2);
    if (bytes > r->raw_body.size) {
        error_set(&err, LYNSE_INVALID,
                  "Expected %zu encoded vector bytes (%zu vectors × %zu dim), got %zu", bytes,
                  count, dim, r->raw_body.size);
        return refuse(L, &err);
    }
    if (block_copy_floats(slice_of(r->raw_body.data, bytes), encoding, dim * count, &r->arena,
                          &block.as.vectors, &err) != 0)
        return refuse(L, &err);
    block_push(L, &block);
    lua_pushnumber(L, (lua_Number)(r->raw_body.size - bytes));
    return 2;
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

/* catalog_version() → a number that moves when something is dropped */
static int catalog_version(lua_State *L)
{
    struct server *s = loop_of(L)->server;
    lua_pushnumber(L, (lua_Number)server_catalog_version(s));
    return 1;
}

/* server_state() → { draining, data_dir, version, uptime_us, connections, requests } */
static int read_state(lua_State *L)
{
    struct loop *l = loop_of(L);
    struct server *s = l->server;

    lua_createtable(L, 0, 8);
    lua_pushboolean(L, server_is_draining(s));
    lua_setfield(L, -2, "draining");
    lua_pushstring(L, s->options.data_dir);
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

const luaL_Reg engine_natives_server[] = {
    {"split_vectors", split_vectors}, {"raw_vectors", raw_vectors},
    {"authenticate", authenticate},   {"catalog_version", catalog_version},
    {"server_state", read_state},     {NULL, NULL}};
