/* SPDX-License-Identifier: Apache-2.0 */
/* engine_writes.c — writes: queued at once, answered by the engine's completion.
 *
 * A large group is copied into its message on a worker, because that would hold up the loop; a
 * small one here.  Either way the method goes on when the group has reached its level of
 * durability.
 */
#include <string.h>

#include "lua/module/failure.h"
#include "lua/module/scalars.h"
#include "server/arguments.h"
#include "server/engine_natives.h"
#include "server/kind_words.h"

enum { INLINE_BYTES = 256 << 10 };

struct write_call {
    struct engine_call base;
    struct lynse_collection *collection;
    int (*write)(struct lynse_collection *c, const struct lynse_rows *rows,
                 const struct lynse_write_options *options, struct lynse_write_result *result,
                 struct lynse_error *err);
    int (*change)(struct lynse_collection *c, const struct lynse_id *ids, size_t count,
                  const struct lynse_write_options *options, struct lynse_write_result *result,
                  struct lynse_error *err);
    struct lynse_rows rows;
    const char *where;
    struct lynse_write_options options;
    struct lynse_write_result result;
};

/* { lsn, row_count, first_number, sync, is_repeat where it is one } */
static int push_result(lua_State *L, struct engine_call *base)
{
    const struct lynse_write_result *result = &((struct write_call *)base)->result;

    lua_createtable(L, 0, 4);
    scalar_push_uint(L, result->lsn);
    lua_setfield(L, -2, "lsn");
    scalar_push_uint(L, result->row_count);
    lua_setfield(L, -2, "row_count");
    scalar_push_uint(L, result->first_number);
    lua_setfield(L, -2, "first_number");
    lua_pushstring(L, sync_word(result->sync_reached));
    lua_setfield(L, -2, "sync");
    if (result->is_repeat) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "is_repeat");
    }
    return 1;
}

static void send_write(struct write_call *call)
{
    struct engine_call *base = &call->base;

    if (call->write)
        base->code =
            call->write(call->collection, &call->rows, &call->options, &call->result, &base->error);
    else if (call->where)
        base->code = lynse_delete_where(call->collection, call->where, &call->options,
                                        &call->result, &base->error);
    else
        base->code = call->change(call->collection, call->rows.ids, call->rows.count,
                                  &call->options, &call->result, &base->error);
}

static void work_write(struct engine_call *base)
{
    send_write((struct write_call *)base);
}

/* The engine's thread, or this one where the write is refused at once. */
static void on_done(void *ctx, const struct lynse_write_result *result,
                    const struct lynse_error *error)
{
    struct write_call *call = ctx;

    if (error) {
        call->base.error = *error;
        call->base.code = error->code;
    } else {
        call->result = *result;
        call->base.code = LYNSE_OK;
    }
    engine_call_done(&call->base);
}

static struct write_call *write_call_new(lua_State *L)
{
    struct lynse_collection *c = engine_collection_check(L, 1);
    struct write_call *call = engine_call_new(L, sizeof *call, work_write, push_result);

    call->collection = c;
    call->rows.struct_bytes = sizeof call->rows;
    call->options =
        (struct lynse_write_options){.struct_bytes = sizeof call->options,
                                     .timeout_us = engine_call_timeout_us(call->base.request)};
    return call;
}

static int run_write(lua_State *L, struct write_call *call, size_t bytes)
{
    if (bytes > INLINE_BYTES || call->where) return engine_call_run(L, &call->base, false);
    call->options.done = on_done;
    call->options.done_ctx = call;
    struct lynse_error error = {0};
    struct lynse_write_result unused;
    int code = call->write
                   ? call->write(call->collection, &call->rows, &call->options, &unused, &error)
                   : call->change(call->collection, call->rows.ids, call->rows.count,
                                  &call->options, &unused, &error);
    if (code != LYNSE_OK) return failure_push(L, &error); /* on_done hears nothing then */
    return engine_call_wait(L, &call->base);
}

/* The bytes of the argument at the index, which was checked (arguments.h), or nothing. */
static void read_request_id(lua_State *L, int index, struct write_call *call)
{
    size_t size = 0;
    const char *id = lua_isnoneornil(L, index) ? NULL : luaL_checklstring(L, index, &size);

    if (!id) return;
    if (size != sizeof call->options.request_id) luaL_argerror(L, index, "no id of a request");
    memcpy(call->options.request_id, id, size);
}
_Static_assert(REQUEST_ID_BYTES == sizeof((struct lynse_write_options *)0)->request_id,
               "what arguments.c reads is what the engine takes");

static const struct block *check_block(lua_State *L, int index, enum argument_kind kind,
                                       const struct write_call *call)
{
    const struct block *block = block_borrow(L, index, kind, call->base.request->number);
    if (!block) luaL_argerror(L, index, "no block of this request's");
    return block;
}

static int check_lengths(const struct block *ids, const struct block *vectors,
                         const struct block *fields, struct error *err)
{
    if (ids && ids->count == 0) return error_set(err, LYNSE_INVALID, "ids cannot be empty");
    if (vectors->count == 0) return error_set(err, LYNSE_INVALID, "vectors cannot be empty");
    if (ids && ids->count != vectors->count)
        return error_set(err, LYNSE_INVALID, "ids length must match vectors length: %zu and %zu",
                         ids->count, vectors->count);
    if (fields && fields->count != vectors->count)
        return error_set(err, LYNSE_INVALID, "fields length must match vectors length: %zu and %zu",
                         fields->count, vectors->count);
    return 0;
}

/* (collection, ids or nil, vectors, documents or nil, sync or nil, request id or nil) → result */
static int write_rows(lua_State *L,
                      int (*write)(struct lynse_collection *, const struct lynse_rows *,
                                   const struct lynse_write_options *, struct lynse_write_result *,
                                   struct lynse_error *))
{
    struct write_call *call = write_call_new(L);
    const struct block *vectors = check_block(L, 3, ARGUMENT_VECTORS, call);
    const struct block *ids = NULL, *fields = NULL;
    struct error err = {0};
    size_t bytes = 0;

    call->write = write;
    call->rows.dim = vectors->dim;
    call->rows.count = vectors->count;
    call->rows.vectors = vectors->as.vectors;
    if (!lua_isnoneornil(L, 2)) ids = engine_ids_check(L, 2, call->base.request);
    if (!lua_isnoneornil(L, 4)) fields = check_block(L, 4, ARGUMENT_DOCUMENTS, call);
    if (check_lengths(ids, vectors, fields, &err) != 0) return failure_push_error(L, &err);
    read_request_id(L, 6, call);
    if (ids) call->rows.ids = ids->as.ids;
    if (fields) call->rows.fields = fields->as.documents;
    call->options.sync = (uint32_t)luaL_checkoption(L, 5, "default", sync_words);
    for (size_t i = 0; call->rows.fields && i < call->rows.count; i++)
        bytes += call->rows.fields[i].size;
    return run_write(L, call, bytes + call->rows.count * call->rows.dim * sizeof(float));
}

static int add_rows(lua_State *L)
{
    return write_rows(L, lynse_add);
}

static int upsert_rows(lua_State *L)
{
    return write_rows(L, lynse_upsert);
}

static int change_rows(lua_State *L,
                       int (*change)(struct lynse_collection *, const struct lynse_id *, size_t,
                                     const struct lynse_write_options *,
                                     struct lynse_write_result *, struct lynse_error *))
{
    struct write_call *call = write_call_new(L);
    const struct block *ids = engine_ids_check(L, 2, call->base.request);
    struct error err = {0};

    if (ids->count == 0) {
        error_set(&err, LYNSE_INVALID, "ids cannot be empty");
        return failure_push_error(L, &err);
    }
    read_request_id(L, 3, call);
    call->change = change;
    call->rows.ids = ids->as.ids;
    call->rows.count = ids->count;
    return run_write(L, call, ids->count * sizeof(struct lynse_id));
}

/* delete(collection, ids, request id or nil) → result */
static int delete_rows(lua_State *L)
{
    return change_rows(L, lynse_delete);
}

/* restore(collection, ids, request id or nil) → result */
static int restore_rows(lua_State *L)
{
    return change_rows(L, lynse_restore);
}

/* delete_where(collection, where, request id or nil) → result */
static int delete_where(lua_State *L)
{
    struct write_call *call = write_call_new(L);

    read_request_id(L, 3, call);
    call->where = engine_keep_text(L, call->base.request, engine_text(L, 2));
    return run_write(L, call, 0);
}

const luaL_Reg engine_natives_writes[] = {
    {"add", add_rows},         {"upsert", upsert_rows},        {"delete", delete_rows},
    {"restore", restore_rows}, {"delete_where", delete_where}, {NULL, NULL}};
