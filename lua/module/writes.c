/* SPDX-License-Identifier: Apache-2.0 */
/* writes.c — rows added, replaced, deleted and brought back. */
#include <lynse.h>

#include "base/limits.h"
#include "lua/module/failure.h"
#include "lua/module/natives.h"
#include "lua/module/options.h"
#include "lua/module/records.h"
#include "lua/module/tickets.h"

enum { FIELDS_BYTES_MAX = 256 << 20 }; /* of one call, LIMIT_GROUP_BYTES; its rows are less */

static struct lynse_write_options read_write_options(struct options *o)
{
    struct lynse_write_options options = {
        .struct_bytes = sizeof options,
        .sync = option_sync(o),
        .timeout_us = option_u64(o, "timeout_us"),
    };

    option_bytes(o, "request_id", options.request_id, sizeof options.request_id);
    return options;
}

/* The documents of the list at `index`, encoded into the scratch's bytes, and pushed as one block
 * of structs; entries that are nil have none.  NULL with err set. */
static struct lynse_bytes *fields_push(lua_State *L, int index, size_t count,
                                       struct module_scratch *s, struct error *err)
{
    struct lynse_bytes *fields = lua_newuserdata(L, (count + 1) * sizeof *fields);

    for (size_t i = 0; i < count; i++) {
        size_t start = s->bytes.size;
        if (document_write_entry(L, index, i + 1, &s->bytes, err) < 0) return NULL;
        fields[i].size = s->bytes.size - start;
        if (!buf_ok(&s->bytes)) {
            error_no_memory(err, s->bytes.size);
            return NULL;
        }
        if (s->bytes.size > FIELDS_BYTES_MAX) {
            error_set(err, LYNSE_LIMIT, "fields: more than %d bytes a call", FIELDS_BYTES_MAX);
            return NULL;
        }
    }
    const uint8_t *at = s->bytes.data; /* The buffer has moved while it grew: places only now. */
    for (size_t i = 0; i < count; i++) {
        fields[i].data = fields[i].size ? at : NULL;
        at += fields[i].size;
    }
    return fields;
}

typedef int write_call(struct lynse_collection *c, const struct lynse_rows *rows,
                       const struct lynse_write_options *options, struct lynse_write_result *result,
                       struct lynse_error *err);

/* check_write(options) → true: what a write without a server would not refuse */
static int check_write(lua_State *L)
{
    struct options o = options_of(L, 1);

    read_write_options(&o);
    if (options_failed(&o)) return failure_push_error(L, &o.err);
    lua_pushboolean(L, 1);
    return 1;
}

/* rows.ids and .fields of the request, from the table at 4 (or nil) and the list at 5 (or nil). */
static int read_rows(lua_State *L, struct lynse_rows *rows, struct module_scratch *s,
                     struct error *err)
{
    size_t id_count = 0;

    if (!lua_isnil(L, 4) && !(rows->ids = ids_push(L, 4, s, &id_count, err))) return -1;
    if (rows->ids && id_count != rows->count)
        return error_set(err, LYNSE_INVALID, "ids: %zu for %zu vectors", id_count, rows->count);
    if (lua_isnil(L, 5)) return 0;
    if (!lua_istable(L, 5))
        return error_set(err, LYNSE_INVALID, "fields: a %s, must be a list", luaL_typename(L, 5));
    rows->fields = fields_push(L, 5, rows->count, s, err);
    return rows->fields ? 0 : -1;
}

/* add(collection, rows, vectors, ids or nil) → a result, or a ticket: rows.fields, .sync,
 * .timeout_us, .request_id, .is_ticket */
static int write_rows(lua_State *L, write_call *call)
{
    struct options o = options_of(L, 2);
    const struct vectors_view *vectors = vectors_borrow(L, 3);
    struct lynse_rows rows = {.struct_bytes = sizeof rows,
                              .dim = (uint32_t)vectors->dim,
                              .count = (size_t)vectors->count,
                              .vectors = vectors->values};
    struct lynse_write_result result = {0};
    struct lynse_error err = {0};

    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 4);
    handle_check_collection(L, 1);
    struct lynse_write_options options = read_write_options(&o);
    bool is_ticket = option_flag(&o, "is_ticket");
    if (options_failed(&o)) return failure_push_error(L, &o.err);
    lua_getfield(L, 2, "fields");
    struct module_scratch *s = handle_push_scratch(L);
    if (read_rows(L, &rows, s, &o.err) != 0) return failure_push_error(L, &o.err);
    struct ticket *ticket = is_ticket ? ticket_push(L, 1, !rows.ids, &options) : NULL;
    struct module_collection *c = handle_check_collection(L, 1);
    if (ticket) ticket_begin(ticket);
    int code = call(c->collection, &rows, &options, &result, &err);
    scratch_clear(s);
    if (ticket) return ticket_answer(L, ticket, code, &err);
    if (code != LYNSE_OK) return failure_push(L, &err);
    return write_result_push(L, &result, !rows.ids);
}

static int add_rows(lua_State *L)
{
    return write_rows(L, lynse_add);
}

static int upsert_rows(lua_State *L)
{
    return write_rows(L, lynse_upsert);
}

typedef int ids_call(struct lynse_collection *c, const struct lynse_id *ids, size_t count,
                     const struct lynse_write_options *options, struct lynse_write_result *result,
                     struct lynse_error *err);

/* delete_ids(collection, ids, options) → a result, or a ticket */
static int write_ids(lua_State *L, ids_call *call)
{
    struct options o = options_of(L, 3);
    struct lynse_write_result result = {0};
    struct lynse_error err = {0};
    size_t count = 0;

    lua_settop(L, 3);
    handle_check_collection(L, 1);
    struct lynse_write_options options = read_write_options(&o);
    bool is_ticket = option_flag(&o, "is_ticket");
    struct module_scratch *s = handle_push_scratch(L);
    struct lynse_id *ids = options_failed(&o) ? NULL : ids_push(L, 2, s, &count, &o.err);
    if (!ids) return failure_push_error(L, &o.err);
    struct ticket *ticket = is_ticket ? ticket_push(L, 1, false, &options) : NULL;
    struct module_collection *c = handle_check_collection(L, 1);
    if (ticket) ticket_begin(ticket);
    int code = call(c->collection, ids, count, &options, &result, &err);
    scratch_clear(s);
    if (ticket) return ticket_answer(L, ticket, code, &err);
    if (code != LYNSE_OK) return failure_push(L, &err);
    return write_result_push(L, &result, false);
}

static int delete_ids(lua_State *L)
{
    return write_ids(L, lynse_delete);
}

static int restore_ids(lua_State *L)
{
    return write_ids(L, lynse_restore);
}

/* delete_where(collection, where, options); the error says in `count` how many went all the same */
static int delete_where(lua_State *L)
{
    struct options o = options_of(L, 3);
    struct lynse_write_result result = {0};
    struct lynse_error err = {0};
    struct lynse_write_options options = read_write_options(&o);
    const char *where = argument_text(L, 2, "where", &o.err);
    struct module_collection *c = handle_check_collection(L, 1);

    if (options_failed(&o)) return failure_push_error(L, &o.err);
    if (lynse_delete_where(c->collection, where, &options, &result, &err) == LYNSE_OK)
        return write_result_push(L, &result, false);
    failure_push(L, &err);
    lua_pushnumber(L, (lua_Number)result.row_count);
    lua_setfield(L, -2, "count");
    return 2;
}

const luaL_Reg native_writes[] = {{"add", add_rows},
                                  {"upsert", upsert_rows},
                                  {"delete_ids", delete_ids},
                                  {"restore", restore_ids},
                                  {"delete_where", delete_where},
                                  {"check_write", check_write},
                                  {NULL, NULL}};
