/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c — an operator's limits, checked before a method runs, or before it writes.
 *
 * The limits on a collection are looked at when a call begins: calls that run side by side may go
 * over them together, by their own rows and no more.  An upsert counts as new rows.
 */
#include "server/limits.h"

#include <string.h>

#include "base/limits.h"
#include "lua/module/failure.h"
#include "server/arguments.h"
#include "server/engine_call.h"
#include "server/loop.h"
#include "server/methods.h"
#include "server/server.h"

static bool is_top_k(const char *name)
{
    static const char *const names[] = {"k", "n", "max_results", "candidate_limit", "limit"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

static int refuse(const char *name, double value, const char *option, unsigned limit,
                  struct error *err)
{
    return error_set(err, LYNSE_INVALID, "%s %.0f exceeds server %s %u", name, value, option,
                     limit);
}

/* The argument at the top of the stack. */
static int check_one(lua_State *L, const struct argument *a, const struct request *r,
                     struct error *err)
{
    const struct server_options *o = &r->loop->server->options;

    if (a->kind == ARGUMENT_INTEGER && o->max_top_k && is_top_k(a->name) &&
        lua_tonumber(L, -1) > o->max_top_k)
        return refuse(a->name, lua_tonumber(L, -1), "max_top_k", o->max_top_k, err);
    if ((a->kind != ARGUMENT_IDS && a->kind != ARGUMENT_VECTORS) || !o->max_batch_vectors) return 0;
    const struct block *block = block_borrow(L, -1, a->kind, r->number);
    if (!block || block->count <= o->max_batch_vectors) return 0;
    if (a->kind == ARGUMENT_VECTORS && !block->dim) return 0; /* numbers, not rows: as yet */
    return refuse(a->name, (double)block->count, "max_batch_vectors", o->max_batch_vectors, err);
}

int limits_check(lua_State *L, const struct request *r, struct error *err)
{
    const struct server_options *o = &r->loop->server->options;
    const struct signature *s = &r->method->signature;
    bool is_k_less = o->max_top_k && o->max_top_k < LIMIT_K;
    int rc = 0;

    if (!is_k_less && (!o->max_batch_vectors || o->max_batch_vectors >= LIMIT_BATCH_ROWS)) return 0;
    for (size_t i = 0; i < s->count && rc == 0; i++) {
        lua_getfield(L, -1, s->arguments[i].name);
        rc = check_one(L, &s->arguments[i], r, err);
        lua_pop(L, 1);
    }
    return rc;
}

/* has_room_limits() → whether check_room has anything to say */
static int has_room_limits(lua_State *L)
{
    const struct server_options *o = &loop_of(L)->server->options;
    lua_pushboolean(L, o->max_collection_vectors || o->max_collection_vector_bytes);
    return 1;
}

/* check_room(records, dim, vectors) → true, or nil and a failure */
static int check_room(lua_State *L)
{
    struct request *r = request_current(L);
    const struct server_options *o = &r->loop->server->options;
    const struct block *rows = block_borrow(L, 3, ARGUMENT_VECTORS, r->number);
    uint64_t count = (uint64_t)luaL_checknumber(L, 1), dim = (uint64_t)luaL_checknumber(L, 2);
    struct error err = {0};

    if (!rows) return luaL_argerror(L, 3, "no vectors of this request's");
    if (rows->dim) dim = rows->dim;
    count += rows->dim || !dim ? rows->count : rows->count / dim;
    uint64_t bytes = count * dim * sizeof(float);
    if (o->max_collection_vectors && count > o->max_collection_vectors)
        error_set(&err, LYNSE_INVALID,
                  "collection vector count %llu would exceed server max_collection_vectors %llu",
                  (unsigned long long)count, (unsigned long long)o->max_collection_vectors);
    else if (o->max_collection_vector_bytes && bytes > o->max_collection_vector_bytes)
        error_set(
            &err, LYNSE_INVALID,
            "collection vector bytes %llu would exceed server max_collection_vector_bytes %llu",
            (unsigned long long)bytes, (unsigned long long)o->max_collection_vector_bytes);
    if (err.code) return failure_push_error(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

const luaL_Reg engine_natives_limits[] = {
    {"has_room_limits", has_room_limits}, {"check_room", check_room}, {NULL, NULL}};
