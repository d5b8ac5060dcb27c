/* SPDX-License-Identifier: Apache-2.0 */
/* rpc.c — msgpack-RPC on a connection: frames in, answers out in any order (docs/PROTOCOL.md). */
#include <string.h>

#include "codec/rpc.h"
#include "server/connection.h"
#include "server/dispatch.h"
#include "server/loop.h"
#include "server/request.h"
#include "server/result.h"
#include "server/server.h"

struct rpc_state {
    struct alloc *alloc;
    struct rpc_limits limits;
    struct rpc_finder finder;
};

static void *open_rpc(struct connection *c)
{
    struct rpc_state *s = mem_zalloc(c->loop->alloc, MEM_MESSAGE, sizeof *s);

    if (!s) return NULL;
    s->alloc = c->loop->alloc;
    s->limits = rpc_limits_default;
    s->limits.bytes_max = c->loop->server->options.body_bytes_max;
    rpc_finder_reset(&s->finder);
    return s;
}

static void close_rpc(void *state)
{
    struct rpc_state *s = state;
    mem_free(s->alloc, s);
}

/* What has come of a frame is in c->in. */
static enum connection_phase phase(const struct connection *c)
{
    return c->in.size ? PHASE_BODY : PHASE_NOTHING;
}

static bool is_busy(const struct connection *c)
{
    return c->request_count >= c->loop->server->options.in_flight_max;
}

/* What there is of its answer goes, and with it that there was no memory for more: an error is
 * small.  Where memory ran out before it began, bytes are missing that were owed, and the
 * connection ends. */
static void take_back(struct request *r)
{
    struct buf *out = &r->connection->out;

    if (!r->is_being_answered) return;
    out->size = r->answer_start;
    out->failed = false;
}

static void answer(struct request *r, lua_State *L, int index, const struct error *err)
{
    struct connection *c = r->connection;
    struct error failed;

    if (!c || c->is_closed || !r->wants_answer) {
        server_report(r, err);
        return;
    }
    take_back(r); /* what the writing raised in */
    size_t at = r->answer_start = c->out.size;
    r->is_being_answered = buf_ok(&c->out);
    if (!err) {
        rpc_write_result_head(&c->out, r->message_id);
        int rc = result_write(L, index, r->number, &c->out, &failed);
        if (rc == 0 && buf_ok(&c->out)) {
            server_report(r, NULL); /* behind what may fail, or raise and lead here again */
            c->loop->answered_bytes += c->out.size - at;
            connection_flush(c);
            return;
        }
        if (rc == 0) error_no_memory(&failed, c->out.size - at);
        take_back(r);
        err = &failed;
    }
    server_report(r, err);
    rpc_write_error(&c->out, r->message_id, err);
    connection_flush(c);
}

/* false: it has no msgid that could be read. */
static bool refuse_frame(struct connection *c, struct slice frame, const struct error *err)
{
    uint32_t id;
    if (!rpc_peek_msgid(frame, &id)) return false;
    rpc_write_error(&c->out, id, err);
    return true;
}

/* Whoever waits for an answer that cannot be addressed to him sees the end instead. */
static void refuse_message(struct connection *c, struct slice frame, const struct error *err)
{
    if (!refuse_frame(c, frame, err) && !rpc_is_notification(frame))
        c->must_linger = c->ends_after_write = true;
}

/* INVARIANT: the request owns a copy of its frame, in which its params are. */
static void begin(struct connection *c, struct slice frame)
{
    struct rpc_state *s = c->state;
    struct rpc_message message;
    struct error err = {0};
    struct request *r = request_create(c->loop, c);

    if (r) buf_append(&r->body, frame.data, frame.size);
    if (!r || !buf_ok(&r->body)) {
        error_no_memory(&err, frame.size);
        refuse_frame(c, frame, &err);
        if (r) request_destroy(r);
        return;
    }
    if (rpc_read(buf_slice(&r->body), &s->limits, &message, &err) != 0 ||
        message.kind == RPC_RESPONSE) {
        if (err.code) refuse_message(c, frame, &err); /* a response answers nothing of ours */
        request_destroy(r);
        return;
    }
    r->answer = answer;
    r->message_id = message.msgid;
    r->wants_answer = message.kind == RPC_REQUEST;
    r->params = message.params.raw;
    r->is_authenticated = c->is_authenticated;
    if (c->is_surplus) c->must_linger = c->ends_after_write = true;
    server_begin(r, message.method);
}

/* Who has shown no key has no large frames. */
static const struct rpc_limits *limits_of(const struct connection *c, struct rpc_limits *small)
{
    const struct rpc_state *s = c->state;

    if (!server_needs_key(c->loop->server) || c->is_authenticated) return &s->limits;
    *small = s->limits;
    if (small->bytes_max > REQUEST_STRANGER_BYTES) small->bytes_max = REQUEST_STRANGER_BYTES;
    return small;
}

static void give_up(struct connection *c, const struct error *why)
{
    if (c->in.size) refuse_frame(c, buf_slice(&c->in), why);
}

static size_t feed(struct connection *c, struct slice bytes)
{
    struct rpc_state *s = c->state;
    struct rpc_limits small;
    struct error err = {0};
    size_t used = 0, frame_bytes = 0;

    while (used < bytes.size && !connection_is_full(c)) {
        struct slice rest = slice_of(bytes.data + used, bytes.size - used);
        switch (rpc_finder_feed(&s->finder, limits_of(c, &small), rest, &frame_bytes, &err)) {
        case RPC_MORE:
            return used;
        case RPC_BROKEN:
            refuse_frame(c, rest, &err);
            c->must_linger = c->ends_after_write = true;
            return bytes.size;
        case RPC_FRAME:
            rpc_finder_reset(&s->finder);
            used += frame_bytes;
            connection_progress(c);
            begin(c, slice_of(rest.data, frame_bytes));
        }
    }
    return used;
}

const struct protocol protocol_rpc = {
    .open = open_rpc,
    .close = close_rpc,
    .feed = feed,
    .phase = phase,
    .is_busy = is_busy,
    .give_up = give_up,
};
