/* SPDX-License-Identifier: Apache-2.0 */
/* connection.c — reading, holding back, writing, and ending in time.
 *
 * WHAT        Bytes go to the protocol, which begins requests; answers are appended to `out` and
 *             written as far as the socket takes them, all answers of one read in one write.
 * INVARIANTS  (1) While the connection is full it is not read from: the peer's own writes stall.
 *             (2) feed is not entered twice: what is answered inside it resumes nothing.
 *             (3) A buffer that is empty holds no memory: an idle connection costs its struct.
 *             (4) After connection_close nothing is read or written; requests run on without it.
 * THREADS     The loop's.
 * FAILURE     What fails on the way to the peer closes the connection; memory that is not there
 *             too.
 */
#include "server/connection.h"

#include <string.h>

#include "server/loop.h"
#include "server/request.h"
#include "server/server.h"

enum {
    KEPT_BYTES = 64 << 10,
    LEAST_RATE = 1024, /* bytes a second of a request that is on its way */
};

static const struct server_options *options_of(const struct connection *c)
{
    return &c->loop->server->options;
}

bool connection_is_full(const struct connection *c)
{
    const struct server_options *o = options_of(c);

    return c->is_closed || c->ends_after_write || (c->protocol && c->protocol->is_busy(c)) ||
           c->out.size + c->sending.size > o->out_bytes_max;
}

static void empty(struct buf *b)
{
    if (b->capacity > KEPT_BYTES || b->size == 0) {
        struct alloc *a = b->alloc;
        enum mem_tag tag = b->tag;
        buf_deinit(b);
        buf_init(b, a, tag);
    } else {
        buf_reset(b);
    }
}

/* ---- Ending ---- */

static void on_closed(void *ctx)
{
    struct connection *c = ctx;
    struct loop *l = c->loop;

    for (struct request *r = c->requests; r; r = r->next) r->connection = NULL;
    if (c->state) c->protocol->close(c->state);
    if (c->previous) c->previous->next = c->next;
    else l->connections = c->next;
    if (c->next) c->next->previous = c->previous;
    l->connection_count--;
    buf_deinit(&c->in);
    buf_deinit(&c->out);
    buf_deinit(&c->sending);
    mem_free(l->alloc, c);
    loop_connection_gone(l);
}

void connection_close(struct connection *c)
{
    if (c->is_closed) return;
    c->is_closed = true;
    c->stream.ops->close(&c->stream);
}

void connection_end(struct connection *c)
{
    c->ends_after_write = true;
    connection_flush(c);
}

/* ---- Writing ---- */

static void end_if_done(struct connection *c)
{
    if (c->ends_after_write && c->request_count == 0 && c->out.size == 0 && !c->is_sending)
        connection_close(c);
}

static void send_rest(struct connection *c)
{
    empty(&c->sending);
    struct buf spare = c->sending;
    c->sending = c->out;
    c->out = spare;
    c->is_sending = true;
    c->write_deadline_us = uv_hrtime() / 1000 + options_of(c)->write_timeout_ms * 1000ull;
    if (c->stream.ops->write(&c->stream, buf_slice(&c->sending)) != 0) connection_close(c);
}

void connection_flush(struct connection *c)
{
    if (c->is_closed || c->is_feeding || c->is_sending) return;
    if (!buf_ok(&c->out)) {
        connection_close(c);
        return;
    }
    if (c->out.size) {
        long taken = c->stream.ops->try_write(&c->stream, buf_slice(&c->out));
        if (taken < 0) {
            connection_close(c);
            return;
        }
        metric_add(&c->loop->metrics.bytes_out, (uint64_t)taken);
        if ((size_t)taken == c->out.size) {
            empty(&c->out);
        } else {
            memmove(c->out.data, c->out.data + taken, c->out.size - (size_t)taken);
            c->out.size -= (size_t)taken;
            send_rest(c);
        }
    }
    end_if_done(c);
}

static void on_written(void *ctx, int status)
{
    struct connection *c = ctx;

    c->is_sending = false;
    c->write_deadline_us = 0;
    if (status == 0) metric_add(&c->loop->metrics.bytes_out, c->sending.size);
    buf_reset(&c->sending);
    empty(&c->sending);
    if (c->is_closed) return;
    if (status != 0) {
        connection_close(c);
        return;
    }
    connection_flush(c);
    connection_resume(c);
}

/* ---- Reading ---- */

static const struct protocol *sniff(uint8_t first)
{
    if ((first >= 0x90 && first <= 0x9f) || first == 0xdc || first == 0xdd) return &protocol_rpc;
    if ((first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z') || first == '\r')
        return &protocol_http;
    return NULL;
}

/* What has to come now, and until when: a request that has begun is given a while, and a second
 * more for each LEAST_RATE bytes of it. */
static void set_read_deadline(struct connection *c)
{
    const struct server_options *o = options_of(c);
    uint64_t now = c->loop->now_us;
    bool is_inside = !c->protocol || c->in.size > 0 || c->protocol->is_inside(c);

    if (!is_inside) {
        c->inside_since_us = c->inside_bytes = 0;
        c->read_deadline_us = c->request_count ? 0 : now + o->keep_alive_ms * 1000ull;
        return;
    }
    if (!c->inside_since_us) c->inside_since_us = now;
    c->read_deadline_us = c->inside_since_us + o->header_timeout_ms * 1000ull +
                          c->inside_bytes / LEAST_RATE * 1000000;
}

static void set_reading(struct connection *c, bool is_wanted)
{
    if (c->is_closed || c->is_reading == is_wanted) return;
    c->is_reading = is_wanted;
    if (!is_wanted) c->stream.ops->stop_reading(&c->stream);
    else if (c->stream.ops->start_reading(&c->stream) != 0) connection_close(c);
}

/* Bytes of `fresh` that were taken. */
static size_t feed(struct connection *c, struct slice fresh)
{
    c->is_feeding = true;
    size_t used = c->protocol->feed(c, fresh);
    c->is_feeding = false;
    return used;
}

static void feed_kept(struct connection *c)
{
    size_t used = feed(c, buf_slice(&c->in));

    if (used == c->in.size) {
        empty(&c->in);
        buf_reset(&c->in);
    } else if (used) {
        memmove(c->in.data, c->in.data + used, c->in.size - used);
        c->in.size -= used;
    }
}

static void settle(struct connection *c)
{
    connection_flush(c);
    if (c->is_closed) return;
    set_read_deadline(c);
    set_reading(c, !connection_is_full(c));
}

void connection_resume(struct connection *c)
{
    if (c->is_closed || c->is_feeding || !c->protocol) return;
    if (c->in.size && !connection_is_full(c)) feed_kept(c);
    settle(c);
}

static void on_bytes(void *ctx, struct slice bytes)
{
    struct connection *c = ctx;

    metric_add(&c->loop->metrics.bytes_in, bytes.size);
    c->inside_bytes += bytes.size;
    if (!c->protocol) {
        c->protocol = sniff(bytes.data[0]);
        c->state = c->protocol ? c->protocol->open(c) : NULL;
        if (!c->state) {
            c->protocol = NULL;
            connection_close(c);
            return;
        }
    }
    if (c->in.size == 0) {
        size_t used = feed(c, bytes);
        bytes = slice_of(bytes.data + used, bytes.size - used);
        buf_append(&c->in, bytes.data, bytes.size);
    } else {
        buf_append(&c->in, bytes.data, bytes.size);
        if (buf_ok(&c->in)) feed_kept(c);
    }
    if (!buf_ok(&c->in)) connection_close(c);
    settle(c);
}

/* A peer that only stops sending is still owed what it asked for. */
static void on_end(void *ctx)
{
    struct connection *c = ctx;

    set_reading(c, false);
    if (c->request_count == 0 && c->out.size == 0 && !c->is_sending) connection_close(c);
    else connection_end(c);
}

/* ---- From accept on ---- */

static const struct stream_events events = {
    .on_bytes = on_bytes, .on_end = on_end, .on_written = on_written, .on_closed = on_closed};

void connection_accept(struct loop *l, uv_stream_t *listener, bool is_pipe)
{
    struct connection *c = mem_zalloc(l->alloc, MEM_GENERAL, sizeof *c);

    if (!c) return; /* the peer waits in the listener's queue */
    c->loop = l;
    buf_init(&c->in, l->alloc, MEM_MESSAGE);
    buf_init(&c->out, l->alloc, MEM_MESSAGE);
    buf_init(&c->sending, l->alloc, MEM_MESSAGE);
    c->stream.events = &events;
    c->stream.ctx = c;
    c->next = l->connections;
    if (c->next) c->next->previous = c;
    l->connections = c;
    l->connection_count++;
    int rc = stream_plain_accept(&c->stream, l, listener, is_pipe);
    if (rc != 0 || l->connection_count > l->server->options.connections_max ||
        server_is_draining(l->server)) {
        connection_close(c);
        return;
    }
    l->now_us = uv_hrtime() / 1000;
    loop_connection_came(l);
    set_read_deadline(c);
    set_reading(c, true);
}

void connection_check(struct connection *c, uint64_t now_us)
{
    bool is_late =
        (c->read_deadline_us && now_us > c->read_deadline_us && !connection_is_full(c)) ||
        (c->write_deadline_us && now_us > c->write_deadline_us);

    if (is_late) connection_close(c);
}
