/* SPDX-License-Identifier: Apache-2.0 */
/* http.c — HTTP/1.1 on a connection: requests in, answers out in their order (docs/PROTOCOL.md).
 *
 * WHAT        A head finds its route; the body is gathered, and becomes params: of JSON or msgpack,
 *             or of the query string with the body as raw bytes beside them.  One request of a
 *             connection runs at a time, so that answers are in order; further ones wait unread.
 *             Large JSON is decoded on a thread of the pool (body_decode.h).
 * INVARIANTS  (1) Whoever may not enter, or asks for what is not there, is told so only after its
 *                 request is read: the next one begins where it should.
 *             (2) A head that cannot be trusted ends the connection after its answer.
 * THREADS     The loop's.
 */
#include <lynse.h>
#include <stdio.h>
#include <string.h>

#include "codec/json.h"
#include "codec/msgpack.h"
#include "server/body_decode.h"
#include "server/connection.h"
#include "server/dispatch.h"
#include "server/hits_value.h"
#include "server/http_codec.h"
#include "server/http_origin.h"
#include "server/http_parser.h"
#include "server/loop.h"
#include "server/methods.h"
#include "server/request.h"
#include "server/result.h"
#include "server/server.h"

struct http_state {
    struct alloc *alloc;
    struct http_parser parser;
    struct request *request; /* whose body is being read; NULL: none */
    struct error refusal;    /* what it is told at its end; code 0: nothing */
    int refusal_status;      /* 0: that of the code */
};

static void *open_http(struct connection *c)
{
    struct http_state *s = mem_zalloc(c->loop->alloc, MEM_MESSAGE, sizeof *s);
    struct http_limits limits = http_limits_default;

    if (!s) return NULL;
    s->alloc = c->loop->alloc;
    limits.body_bytes_max = c->loop->server->options.body_bytes_max;
    http_parser_init(&s->parser, s->alloc, &limits);
    return s;
}

static void close_http(void *state)
{
    struct http_state *s = state;
    if (s->request) request_destroy(s->request);
    http_parser_deinit(&s->parser);
    mem_free(s->alloc, s);
}

static enum connection_phase phase(const struct connection *c)
{
    const struct http_state *s = c->state;
    return s->request ? PHASE_BODY : http_parser_is_idle(&s->parser) ? PHASE_NOTHING : PHASE_HEAD;
}

/* One at a time; the one that is being read is none yet. */
static bool is_busy(const struct connection *c)
{
    const struct http_state *s = c->state;
    return c->request_count > 0 && !s->request;
}

/* ---- Answers ---- */

static const struct {
    int code, status;
    const char *word; /* LynseDB's */
} error_rows[] = {
#define ERROR_ROW(name, number, http, word, text) {number, http, word},
    LYNSE_ERRORS(ERROR_ROW)
#undef ERROR_ROW
};

static int status_of(int code, const char **out_word)
{
    for (size_t i = 0; i < sizeof error_rows / sizeof *error_rows; i++) {
        if (error_rows[i].code != code) continue;
        *out_word = error_rows[i].word;
        return error_rows[i].status;
    }
    *out_word = "internal_error";
    return 500;
}

static void write_response(struct request *r, struct http_response *head, struct slice body)
{
    struct connection *c = r->connection;
    struct error err;

    head->version_minor = r->version_minor;
    head->keeps_alive = r->keeps_alive && !c->ends_after_write;
    head->content_length = body.size;
    head->request_id = r->number;
    if (http_write_head(&c->out, head, &err) != 0) {
        connection_close(c);
        return;
    }
    if (!r->wants_head_only) buf_append(&c->out, body.data, body.size);
    if (!r->keeps_alive) c->ends_after_write = true;
    connection_flush(c);
}

static void answer_error(struct request *r, const struct error *err, int status)
{
    static const struct http_field challenge = {"WWW-Authenticate", {NULL, 0}};
    struct http_field fields[1] = {challenge};
    struct http_response head = {.content_type = "application/json"};
    struct error ignored;
    struct buf body;
    const char *word;
    int usual = status_of(err->code, &word);

    fields[0].value = slice_of_text("Basic realm=\"LynseDB\"");
    buf_init(&body, r->loop->alloc, MEM_MESSAGE);
    if (r->route && r->route->reply >= ROUTE_SEARCH_BLOCK) {
        head.content_type = "text/plain; charset=utf-8";
        buf_append_text(&body, "%s", err->text);
    } else {
        buf_append_text(&body, "{\"error\":");
        if (json_write_text(&body, slice_of_text(err->text), &ignored) != 0)
            buf_append_text(&body, "\"\"");
        buf_append_text(&body, ",\"code\":\"%s\",\"name\":\"%s\"", word, error_name(err->code));
        if (err->retry_after_ms)
            buf_append_text(&body, ",\"retry_after_ms\":%u", (unsigned)err->retry_after_ms);
        buf_append_u8(&body, '}');
    }
    head.status = status ? status : usual;
    if (head.status == 503) head.retry_after_s = 1 + err->retry_after_ms / 1000;
    if (head.status == 405 && r->allow)
        fields[0] = (struct http_field){"Allow", slice_of_text(r->allow)};
    if (head.status == 401 || head.status == 405) head.fields = fields, head.field_count = 1;
    if (buf_ok(&body)) write_response(r, &head, buf_slice(&body));
    else connection_close(r->connection);
    buf_deinit(&body);
}

static int write_json(struct request *r, lua_State *L, int index, struct buf *body,
                      struct error *err)
{
    bool is_envelope = r->route->reply == ROUTE_ENVELOPE;

    int rc = result_write(L, index, r->number, &r->packed, err);
    if (is_envelope) buf_append_text(body, "{\"status\":\"success\",\"params\":");
    if (rc == 0 && !buf_ok(&r->packed)) rc = error_no_memory(err, r->packed.size);
    if (rc == 0) rc = json_from_msgpack(buf_slice(&r->packed), body, err);
    if (is_envelope) buf_append_u8(body, '}');
    return rc;
}

static int write_msgpack(struct request *r, lua_State *L, int index, struct buf *body,
                         struct error *err)
{
    if (r->route->reply == ROUTE_ENVELOPE) {
        msgpack_write_map(body, 2);
        msgpack_write_text(body, slice_of_text("status"));
        msgpack_write_text(body, slice_of_text("success"));
        msgpack_write_text(body, slice_of_text("params"));
    }
    return result_write(L, index, r->number, body, err);
}

/* The hits that a map has as its one value of that kind. */
static struct hits_value *find_hits(lua_State *L, int index)
{
    struct hits_value *found = NULL;

    if (!lua_istable(L, index)) return hits_value_borrow(L, index);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (!found) found = hits_value_borrow(L, -1);
        lua_pop(L, 1);
    }
    return found;
}

static int write_body(struct request *r, lua_State *L, int index, struct buf *body,
                      const char **out_type, struct error *err)
{
    enum route_reply reply = r->route->reply;
    size_t size;

    if (reply == ROUTE_ENVELOPE || reply == ROUTE_PLAIN) {
        *out_type = r->wants_msgpack ? "application/msgpack" : "application/json";
        if (r->wants_msgpack) return write_msgpack(r, L, index, body, err);
        return write_json(r, L, index, body, err);
    }
    if (reply == ROUTE_TEXT) {
        const char *text = lua_tolstring(L, index, &size);
        if (!text) return error_set(err, LYNSE_INTERNAL, "the method answered with no text");
        *out_type = r->route->content_type;
        buf_append(body, text, size);
        return 0;
    }
    struct hits_value *hits = find_hits(L, index);
    *out_type = "application/octet-stream";
    if (!hits || !hits->hits)
        return error_set(err, LYNSE_INTERNAL, "the method answered without hits");
    if (reply == ROUTE_ROWS_BLOCK) return hits_value_write_rows(hits, body, err);
    return hits_value_write_block(hits, reply == ROUTE_BATCH_BLOCK, body, err);
}

static void answer(struct request *r, lua_State *L, int index, const struct error *err)
{
    struct http_response head = {.status = r->status ? r->status : 200};
    struct error failed;
    bool is_heard = r->connection && !r->connection->is_closed;

    if (!err && is_heard) {
        int rc = write_body(r, L, index, &r->written, &head.content_type, &failed);
        if (rc == 0 && !buf_ok(&r->written)) rc = error_no_memory(&failed, r->written.size);
        if (rc != 0) err = &failed;
    }
    server_report(r, err); /* behind what may fail, or raise and lead here again */
    if (!is_heard) return;
    if (err) answer_error(r, err, 0);
    else write_response(r, &head, buf_slice(&r->written));
    r->loop->answered_bytes += r->written.size;
}

/* ---- Params ---- */

static int read_query(struct request *r, struct slice query, struct error *err)
{
    struct http_query pairs;
    struct buf texts, packed;
    int rc;

    buf_init(&texts, r->loop->alloc, MEM_MESSAGE);
    buf_init(&packed, r->loop->alloc, MEM_MESSAGE);
    rc = http_read_query(query, &texts, &pairs, err);
    if (rc == 0) {
        msgpack_write_map(&packed, (uint32_t)pairs.count);
        for (size_t i = 0; i < pairs.count; i++) {
            msgpack_write_text(&packed, pairs.pairs[i].key);
            msgpack_write_text(&packed, pairs.pairs[i].value);
        }
        uint8_t *copy = buf_ok(&packed) ? arena_alloc(&r->arena, packed.size) : NULL;
        if (copy) {
            memcpy(copy, packed.data, packed.size);
            r->params = slice_of(copy, packed.size);
        } else rc = error_no_memory(err, packed.size);
    }
    buf_deinit(&texts);
    buf_deinit(&packed);
    return rc;
}

/* *out_is_large: the body is JSON, of which there is too much to be decoded on the loop. */
static int read_params(struct request *r, const struct http_parser *p, bool *out_is_large,
                       struct error *err)
{
    struct slice path, query, type;
    size_t size = 0;

    http_split_target(p->request.target, &path, &query);
    if (r->route->params == ROUTE_PARAMS_QUERY) {
        r->has_texts = true;
        r->raw_body = buf_slice(&r->body);
        return read_query(r, query, err);
    }
    http_parser_find(p, "content-type", &type);
    if (!http_is_type(type, "application/msgpack")) {
        uint64_t bytes_max = r->loop->server->options.json_bytes_max;
        if (r->body.size > bytes_max)
            return error_set(err, LYNSE_TOO_LARGE, "the body: %zu bytes of JSON, at most %llu",
                             r->body.size, (unsigned long long)bytes_max);
        *out_is_large = r->body.size > BODY_DECODED_HERE_BYTES;
        return r->body.size == 0 || *out_is_large ? 0 : body_decode(r, err);
    }
    if (msgpack_check(buf_slice(&r->body), &body_params_limits, &size, err) != 0) return -1;
    r->params = buf_slice(&r->body);
    if (size == r->body.size) return 0;
    return error_set(err, LYNSE_PARSE, "params: %zu bytes behind their end", r->body.size - size);
}

/* ---- Requests ---- */

static void refuse_later(struct http_state *s, int status, int code, const char *text)
{
    if (s->refusal.code) return;
    error_set(&s->refusal, code, "%s", text);
    s->refusal_status = status;
}

static bool has_key(struct connection *c, const struct http_parser *p)
{
    struct slice authorization;
    struct http_key key;
    struct error ignored;

    if (!server_needs_key(c->loop->server)) return true;
    if (http_parser_find(p, "authorization", &authorization) != 1) return false;
    return http_read_key(authorization, &key, &ignored) == 0 &&
           server_check_key(c->loop->server, slice_of(key.bytes, key.size));
}

/* Where no key says who asks.  A browser reaches no Unix socket. */
static void refuse_foreigners(struct connection *c, struct http_state *s)
{
    const struct server *server = c->loop->server;
    bool is_pipe = stream_plain_is_pipe(&c->stream);

    if (server_needs_key(server)) return;
    const char *text = http_foreign_text(&s->parser, is_pipe ? NULL : server->options.host);
    if (!text) return;
    s->refusal.code = 0;
    refuse_later(s, 403, LYNSE_UNAUTHORIZED, text);
}

static void find_route(struct connection *c, struct http_state *s)
{
    const struct http_request *h = &s->parser.request;
    const struct route *get, *post, *wanted = NULL;
    bool is_other = false;
    struct slice path, query;
    struct buf decoded;
    struct error err;

    http_split_target(h->target, &path, &query);
    buf_init(&decoded, c->loop->alloc, MEM_MESSAGE);
    if (http_decode_path(path, &decoded, &err) != 0) {
        refuse_later(s, 0, err.code, err.text);
        buf_deinit(&decoded);
        return;
    }
    get = methods_route(&c->loop->methods, true, buf_slice(&decoded), &is_other);
    post = methods_route(&c->loop->methods, false, buf_slice(&decoded), &is_other);
    if (h->method == HTTP_GET_METHOD || h->method == HTTP_HEAD_METHOD) wanted = get;
    else if (h->method == HTTP_POST_METHOD) wanted = post;
    s->request->route = wanted;
    if (!get && !post) {
        const char *near = methods_suggest_path(&c->loop->methods, buf_slice(&decoded));
        error_set(&err, LYNSE_NOT_FOUND, "no such path%s%s%s", near ? "; did you mean '" : "",
                  near ? near : "", near ? "'?" : "");
        refuse_later(s, 404, err.code, err.text);
    } else if (!wanted) {
        s->request->allow = get && post ? "GET, HEAD, POST" : get ? "GET, HEAD" : "POST";
        refuse_later(s, 405, LYNSE_INVALID, "this path is there with another verb");
    }
    buf_deinit(&decoded);
}

/* The request that is coming is answered now, and nothing behind it. */
static void fail(struct connection *c, struct http_state *s, const struct error *err, int status)
{
    struct request *r = s->request ? s->request : request_create(c->loop, c);

    s->request = NULL;
    if (!r) {
        connection_close(c);
        return;
    }
    r->keeps_alive = false;
    server_report(r, err);
    answer_error(r, err, status);
    c->must_linger = c->ends_after_write = true;
    request_destroy(r);
}

static void give_up(struct connection *c, const struct error *why)
{
    struct http_state *s = c->state;

    if (phase(c) == PHASE_NOTHING || (c->request_count && !s->request)) return;
    fail(c, s, why, why->code == LYNSE_DEADLINE ? 408 : 0);
}

/* x-lynse-timeout-ms; 0: there is none, or it is no number. */
static uint32_t read_timeout(const struct http_parser *p)
{
    struct slice value;
    uint64_t number = 0;

    if (http_parser_find(p, "x-lynse-timeout-ms", &value) != 1 || value.size > 9) return 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') return 0;
        number = number * 10 + (uint64_t)(value.data[i] - '0');
    }
    return (uint32_t)number;
}

/* msgpack is for who prefers it: "*" is not enough. */
static bool prefers_msgpack(const struct http_parser *p)
{
    struct slice accept;

    return http_parser_find(p, "accept", &accept) > 0 &&
           http_accept_quality(accept, "application/msgpack") >
               http_accept_quality(accept, "application/json");
}

static void begin_head(struct connection *c, struct http_state *s)
{
    struct request *r = request_create(c->loop, c);

    if (!r) {
        connection_close(c);
        return;
    }
    s->request = r;
    s->refusal = (struct error){0};
    s->refusal_status = 0;
    r->answer = answer;
    r->is_lenient = true;
    r->keeps_alive = s->parser.request.keeps_alive && !c->is_surplus;
    r->version_minor = s->parser.request.version_minor;
    r->timeout_ms = read_timeout(&s->parser);
    r->wants_head_only = s->parser.request.method == HTTP_HEAD_METHOD;
    r->wants_msgpack = prefers_msgpack(&s->parser);
    r->is_authenticated = has_key(c, &s->parser);
    find_route(c, s);
    if (!r->is_authenticated && !(r->route && r->route->method->is_public)) {
        s->refusal.code = 0; /* who may not enter learns of no path */
        refuse_later(s, 401, LYNSE_UNAUTHORIZED, "Unauthorized");
    }
    refuse_foreigners(c, s);
    if (!s->refusal.code) http_parser_gather(&s->parser, &r->body);
    connection_progress(c);
    if (!s->parser.request.wants_continue) return;
    /* The body of a refused request would be sent for nothing. */
    if (s->refusal.code) fail(c, s, &s->refusal, s->refusal_status);
    else http_write_continue(&c->out);
}

static void refuse(struct request *r, const struct error *err, int status)
{
    server_report(r, err);
    answer_error(r, err, status);
    request_destroy(r);
}

static void begin_request(struct http_state *s)
{
    struct request *r = s->request;
    bool is_large = false;

    s->request = NULL;
    if (!buf_ok(&r->body)) error_no_memory(&s->refusal, r->body.size);
    if (!s->refusal.code) read_params(r, &s->parser, &is_large, &s->refusal);
    if (!s->refusal.code && is_large && body_decode_elsewhere(r, &s->refusal) == 0) return;
    if (s->refusal.code) refuse(r, &s->refusal, s->refusal_status);
    else server_begin_method(r, r->route->method);
}

/* What a body has brought so far counts for the whole server; of a stranger it is little. */
static void check_body(struct connection *c, struct http_state *s)
{
    const struct request *r = s->request;
    struct error err;

    if (!r) return;
    if (!r->is_authenticated && r->body.size > REQUEST_STRANGER_BYTES)
        error_set(&err, LYNSE_UNAUTHORIZED, "Unauthorized");
    else if (request_hold(s->request)) return;
    else server_refuse_held(c->loop->server, &err);
    fail(c, s, &err, 0);
}

static size_t feed(struct connection *c, struct slice bytes)
{
    struct http_state *s = c->state;
    struct error err = {0};
    size_t used = 0;

    while (!c->is_closed && !c->ends_after_write) {
        size_t step = 0;
        if (!s->request && connection_is_full(c)) return used;
        struct slice rest = slice_of(bytes.data + used, bytes.size - used);
        enum http_progress progress = http_parser_feed(&s->parser, rest, &step, &err);
        used += step;
        switch (progress) {
        case HTTP_MORE:
            check_body(c, s);
            return used;
        case HTTP_HEAD:
            begin_head(c, s);
            break;
        case HTTP_BODY: /* of a request that is refused: nobody wants it */
            break;
        case HTTP_COMPLETE:
            connection_progress(c);
            begin_request(s);
            http_parser_reset(&s->parser);
            break;
        case HTTP_FAILED:
            fail(c, s, &err, s->parser.status);
            return bytes.size;
        }
    }
    return bytes.size;
}

const struct protocol protocol_http = {.open = open_http,
                                       .close = close_http,
                                       .feed = feed,
                                       .phase = phase,
                                       .is_busy = is_busy,
                                       .give_up = give_up};
