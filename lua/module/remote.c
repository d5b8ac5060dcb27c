/* SPDX-License-Identifier: Apache-2.0 */
/* remote.c — a server's methods, called by the Lua part: one request at a time.
 *
 * WHAT        Encodes a request, sends it, and says of what was lost on the way what can have
 *             become of it.  Which methods there are is remote.lua's.
 * INVARIANTS  (1) Between the first byte that is sent and the last one that comes no Lua runs; what
 *                 is decoded belongs to the call, so that a finalizer of the program may call, too.
 *             (2) A request is sent again once: when nothing can have come of the first one, or it
 *                 only reads, or it has the id of a request, with which it is applied once.
 *             (3) A write whose outcome nobody knows is OUTCOME_UNKNOWN.
 * THREADS     That of the state.
 * FAILURE     A lost connection is made anew by the next call.  A closed one raises.
 */
#include <lauxlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/rng.h"
#include "codec/msgpack.h"
#include "codec/request_stamp.h"
#include "lua/module/client.h"
#include "lua/module/documents.h"
#include "lua/module/failure.h"
#include "lua/module/natives.h"
#include "lua/module/records.h"
#include "lua/module/wire.h"

enum {
    URI_BYTES = 300,
    LONGEST_CALL_MS = 600000,
    GRACE_MS = 5000, /* what an answer that was in time may take to come, at most */
    US_PER_MS = 1000,
};
static const char connection_name[] = "lynse.connection";

struct module_connection {
    struct client client;
    bool is_open;
    char uri[URI_BYTES]; /* for errors */
};

static struct module_connection *check_open(lua_State *L)
{
    struct module_connection *m = luaL_checkudata(L, 1, connection_name);
    if (!m->is_open) luaL_error(L, "the database is closed");
    return m;
}

/* remote_close(connection) */
static int close_remote(lua_State *L)
{
    struct module_connection *m = luaL_checkudata(L, 1, connection_name);

    client_deinit(&m->client);
    m->is_open = false;
    lua_pushboolean(L, 1);
    return 1;
}

static void copy_text(lua_State *L, int index, char *out, size_t room)
{
    size_t size;
    const char *text = luaL_checklstring(L, index, &size);

    luaL_argcheck(L, size < room, index, "too long");
    memcpy(out, text, size + 1);
}

/* remote_connection(uri, host, port, path, key or nil) → connection, which no socket is made for */
static int new_connection(lua_State *L)
{
    lua_settop(L, 5);
    struct module_connection *m = lua_newuserdata(L, sizeof *m);
    memset(m, 0, sizeof *m);
    client_init(&m->client);
    if (luaL_newmetatable(L, connection_name)) {
        lua_pushcfunction(L, close_remote);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    copy_text(L, 1, m->uri, sizeof m->uri);
    copy_text(L, 2, m->client.host, sizeof m->client.host);
    m->client.port = (uint16_t)luaL_checkinteger(L, 3);
    copy_text(L, 4, m->client.path, sizeof m->client.path);
    m->is_open = true;
    if (lua_isnil(L, 5)) return 1;
    size_t size;
    const char *key = luaL_checklstring(L, 5, &size);
    luaL_argcheck(L, size <= LIMIT_KEY_BYTES, 5, "too long");
    msgpack_write_map(&m->client.key, 1);
    msgpack_write_text(&m->client.key, slice_of_text("api_key"));
    msgpack_write_text(&m->client.key, slice_of(key, size));
    if (!buf_ok(&m->client.key)) luaL_error(L, "not enough memory for a connection");
    return 1;
}

/* request_id() → one of 16 bytes */
static int new_request_id(lua_State *L)
{
    char id[REQUEST_ID_BYTES];

    if (rng_system_bytes(id, sizeof id) != 0) return luaL_error(L, "the system has no randomness");
    lua_pushlstring(L, id, sizeof id);
    return 1;
}

/* ---- Calls ---- */

/* The fourth argument: { timeout_ms =, is_write =, hits =, numbers =, plain = }. */
struct call_options {
    uint64_t deadline_us;
    bool is_write, may_repeat;
    bool has_plain;   /* the hits once more, HITS_PLAIN */
    const char *hits; /* the member of the answer that is hits; NULL: none */
    unsigned form;
};

static struct call_options read_call_options(lua_State *L)
{
    struct call_options o = {0};

    luaL_checktype(L, 4, LUA_TTABLE);
    lua_getfield(L, 4, "timeout_ms");
    lua_Number timeout_ms = luaL_optnumber(L, -1, LONGEST_CALL_MS);
    luaL_argcheck(L, timeout_ms > 0 && timeout_ms <= LONGEST_CALL_MS, 4, "timeout_ms");
    timeout_ms += timeout_ms < GRACE_MS ? timeout_ms : GRACE_MS;
    o.deadline_us = clock_now_us(clock_system()) + (uint64_t)(timeout_ms * US_PER_MS);
    lua_getfield(L, 4, "is_write");
    o.is_write = lua_toboolean(L, -1);
    lua_getfield(L, 3, "request_id");
    o.may_repeat = !o.is_write || !lua_isnil(L, -1);
    lua_getfield(L, 4, "numbers");
    o.form = lua_toboolean(L, -1) ? HITS_NUMBERS : 0;
    lua_getfield(L, 4, "plain");
    o.has_plain = lua_toboolean(L, -1);
    lua_pop(L, 5);
    lua_getfield(L, 4, "hits"); /* stays on the stack, which keeps the text */
    o.hits = lua_tostring(L, -1);
    return o;
}

static enum exchange exchange_twice(struct client *c, struct slice frame,
                                    const struct call_options *o, struct buf *answer,
                                    struct rpc_message *out, struct error *err)
{
    enum exchange end = client_exchange(c, frame, o->deadline_us, answer, out, err);
    bool is_harmless = (end == EXCHANGE_UNSENT && err->code != LYNSE_DEADLINE) ||
                       (end == EXCHANGE_LOST && o->may_repeat);

    if (!is_harmless) return end;
    enum exchange again = client_exchange(c, frame, o->deadline_us, answer, out, err);
    bool is_undone = again == EXCHANGE_REFUSED || again == EXCHANGE_UNSENT;
    return end == EXCHANGE_LOST && is_undone ? end : again; /* the first one may have been done */
}

/* What a request that was not answered is, as an error. */
static void explain(enum exchange end, const struct module_connection *m, const char *method,
                    bool is_write, struct error *err)
{
    bool is_known = end == EXCHANGE_REFUSED || end == EXCHANGE_UNSENT;
    bool is_too_large = err->code == LYNSE_TOO_LARGE || err->code == LYNSE_LIMIT;

    if (end == EXCHANGE_BROKEN && !is_too_large && err->code != LYNSE_NO_MEMORY) {
        err->code = LYNSE_INTERNAL;
        error_wrap(err, "what came is no answer");
    }
    error_wrap(err, end == EXCHANGE_REFUSED ? "%s" : "%s: %s", m->uri, method);
    if (!is_write || is_known) return;
    err->code = LYNSE_OUTCOME_UNKNOWN; /* (3) */
    error_wrap(err, "it may or may not have been carried out");
}

static int push_result(lua_State *L, const struct rpc_message *message,
                       const struct call_options *o)
{
    struct error err = {0};
    struct value hits;

    if (!o->hits) {
        document_push(L, message->result.raw, DOCUMENT_EXACT);
        return 1;
    }
    if (!value_get(&message->result, slice_of_text(o->hits), &hits)) hits.type = VALUE_NULL;
    int count = answer_push_hits(L, &hits, o->form, &err);
    if (count < 0) return failure_push_error(L, &err);
    if (!o->has_plain) return count;
    if (answer_push_hits(L, &hits, HITS_PLAIN, &err) < 0) return failure_push_error(L, &err);
    lua_pop(L, 1);
    return count + 1;
}

/* remote_call(connection, method, params, options) → the answer, a table; of hits as search of
 * natives.h gives them: a list and bits; with plain the same list as a rerank sees it */
static int call_method(lua_State *L)
{
    const char *method = luaL_checkstring(L, 2);
    struct error err = {0};
    struct rpc_message message = {0};

    lua_settop(L, 4);
    struct call_options o = read_call_options(L);
    uint32_t number = check_open(L)->client.number + 1;
    struct module_scratch *asked = handle_push_scratch(L), *answered = handle_push_scratch(L);
    rpc_write_request_head(&asked->bytes, number, slice_of_text(method));
    if (params_write(L, 3, asked, &err) != 0) return failure_push_error(L, &err);
    if (asked->bytes.size > LIMIT_BODY_BYTES) {
        error_set(&err, LYNSE_LIMIT, "%s: a request of %zu bytes, at most %llu", method,
                  asked->bytes.size, (unsigned long long)LIMIT_BODY_BYTES);
        return failure_push_error(L, &err);
    }
    struct module_connection *m = check_open(L);
    m->client.number = number; /* calls of finalizers have had others meanwhile */
    enum exchange end =
        exchange_twice(&m->client, buf_slice(&asked->bytes), &o, &answered->bytes, &message, &err);
    scratch_clear(asked);
    bool is_result = end == EXCHANGE_ANSWERED && message.error.type == VALUE_NULL;
    if (end != EXCHANGE_ANSWERED) explain(end, m, method, o.is_write, &err);
    else if (!is_result) client_read_error(&message.error, &err);
    int count = is_result ? push_result(L, &message, &o) : failure_push_error(L, &err);
    scratch_clear(answered);
    return count;
}

const luaL_Reg native_remote[] = {{"remote_connection", new_connection},
                                  {"remote_call", call_method},
                                  {"remote_close", close_remote},
                                  {"request_id", new_request_id},
                                  {NULL, NULL}};
