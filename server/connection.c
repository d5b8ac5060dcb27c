/* SPDX-License-Identifier: Apache-2.0 */
/* connection.c — reading, holding back, writing, and ending in time.
 *
 * WHAT        Bytes go to the protocol, which begins requests; answers are appended to `out` and
 *             written as far as the socket takes them, all answers of one read in one write.
 * INVARIANTS  (1) While the connection is full it is read from no further than READ_AHEAD_BYTES:
 *                 the peer's own writes stall, but that it goes away is seen.
 *             (2) feed is not entered twice: what is answered inside it resumes nothing.
 *             (3) A buffer that is empty holds no memory: an idle connection costs its struct.
 *             (4) After connection_close nothing is read or written; requests run on without it,
 *                 cancelled where they can be.
 *             (5) Whole requests in `in` wait only while the connection is full.
 * ENDING      A socket that is closed while bytes wait unread tells the peer "reset", which may
 *             overtake the last answer.  So who was refused in the middle of writing is told, and
 *             then listened to for a while.
 * THREADS     The loop's.
 * FAILURE     What fails on the way to the peer closes the connection; memory that is not there
 *             too.
 */
#include "server/connection.h"

#include <string.h>
#include <unistd.h>

#include "server/arrival.h"
#include "server/listener.h"
#include "server/loop.h"
#include "server/request.h"
#include "server/server.h"

enum {
    KEPT_BYTES = 64 << 10,
    READ_AHEAD_BYTES = 16 << 10,
    LEAST_RATE = 1024,         /* bytes a second of a body that is on its way */
    BODY_GRACE_US = 5000000,   /* before that rate is asked for */
    LINGER_US = 2000000,       /* for the peer to read the last answer */
    CANCEL_GRACE_US = 1000000, /* for what a peer asked for that has stopped sending */
    SURPLUS_US = 2000000,      /* for one too many to say which protocol it speaks */
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

static void forget_unsettled(struct connection *c);

static void on_closed(void *ctx)
{
    struct connection *c = ctx;
    struct loop *l = c->loop;

    for (struct request *r = c->requests; r; r = r->next) r->connection = NULL;
    if (c->is_unsettled) forget_unsettled(c);
    if (c->state) c->protocol->close(c->state);
    server_hold(l->server, &c->held_bytes, 0);
    if (c->is_counted) address_counts_remove(&l->server->addresses, c->address);
    loop_remove_connection(l, c);
    buf_deinit(&c->in);
    buf_deinit(&c->out);
    buf_deinit(&c->sending);
    mem_free(l->alloc, c);
}

static void cancel_requests(struct connection *c)
{
    for (struct request *r = c->requests; r; r = r->next) request_cancel(r);
}

void connection_close(struct connection *c)
{
    if (c->is_closed) return;
    c->is_closed = true;
    cancel_requests(c);
    c->stream.ops->close(&c->stream);
}

static void give_up(struct connection *c, const struct error *why)
{
    if (!c->protocol || c->is_closed || c->ends_after_write) return;
    bool was_feeding = c->is_feeding;
    c->is_feeding = true; /* (2) */
    c->protocol->give_up(c, why);
    c->is_feeding = was_feeding;
}

/* A request that is half there is refused with the reason. */
static void end_because(struct connection *c, const struct error *why)
{
    give_up(c, why);
    c->must_linger = c->must_linger || c->request_count || c->out.size || c->is_sending;
    c->ends_after_write = true;
    empty(&c->in);
    buf_reset(&c->in);
    connection_flush(c);
}

void connection_end(struct connection *c)
{
    struct error why;

    error_set(&why, LYNSE_SHUTTING_DOWN, "the server is about to stop");
    end_because(c, &why);
}

/* All is said. */
static void end_writing(struct connection *c)
{
    if (c->lingers || c->is_closed) return;
    if (!c->must_linger || c->cancel_at_us || c->stream.ops->end_writing(&c->stream) != 0) {
        connection_close(c);
        return;
    }
    c->lingers = true;
    c->read_deadline_us = loop_now_us(c->loop) + LINGER_US;
    if (c->is_reading) return;
    c->is_reading = true;
    if (c->stream.ops->start_reading(&c->stream) != 0) connection_close(c);
}

/* ---- Writing ---- */

static void end_if_done(struct connection *c)
{
    if (c->ends_after_write && c->request_count == 0 && c->out.size == 0 && !c->is_sending)
        end_writing(c);
}

static void send_rest(struct connection *c)
{
    empty(&c->sending);
    struct buf spare = c->sending;
    c->sending = c->out;
    c->out = spare;
    c->is_sending = true;
    c->unsent_bytes = c->sending.size;
    c->write_deadline_us = loop_now_us(c->loop) + options_of(c)->write_timeout_ms * 1000ull;
    if (c->stream.ops->write(&c->stream, buf_slice(&c->sending)) == 0) return;
    c->is_sending = false;
    connection_close(c);
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
            buf_reset(&c->out);
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

void connection_progress(struct connection *c)
{
    c->phase_since_us = 0;
    c->phase_bytes = 0;
}

/* What has to come now, and until when: a head has its time, and a body a while, and a second more
 * for each LEAST_RATE bytes of it.  While the connection is full nothing has to. */
static void set_read_deadline(struct connection *c)
{
    const struct server_options *o = options_of(c);
    uint64_t now = loop_now_us(c->loop);

    if (c->lingers) return;
    enum connection_phase phase = c->protocol ? c->protocol->phase(c) : PHASE_HEAD;
    if (phase == PHASE_NOTHING && c->in.size) phase = PHASE_HEAD;
    if (phase == PHASE_NOTHING || connection_is_full(c)) {
        bool is_idle = phase == PHASE_NOTHING && !c->request_count && !c->out.size;
        connection_progress(c);
        c->read_deadline_us = is_idle ? now + o->keep_alive_ms * 1000ull : 0;
        return;
    }
    if (!c->phase_since_us) c->phase_since_us = now;
    c->read_deadline_us =
        c->phase_since_us + (phase == PHASE_HEAD
                                 ? (c->is_surplus ? SURPLUS_US : o->header_timeout_ms * 1000ull)
                                 : BODY_GRACE_US + c->phase_bytes / LEAST_RATE * 1000000);
}

static bool wants_bytes(const struct connection *c)
{
    if (c->lingers) return true;
    if (c->cancel_at_us) return false;
    if (!connection_is_full(c) || c->ends_after_write) return true;
    return c->in.size < READ_AHEAD_BYTES && c->out.size + c->sending.size == 0;
}

static void set_reading(struct connection *c, bool is_wanted)
{
    if (c->is_closed || c->is_reading == is_wanted) return;
    c->is_reading = is_wanted;
    if (!is_wanted) c->stream.ops->stop_reading(&c->stream);
    else if (c->stream.ops->start_reading(&c->stream) != 0) connection_close(c);
}

static size_t feed(struct connection *c, struct slice bytes)
{
    c->is_feeding = true;
    size_t used = c->protocol->feed(c, bytes);
    c->is_feeding = false;
    return used;
}

/* Whether some of what was kept was taken. */
static bool feed_kept(struct connection *c)
{
    size_t used = feed(c, buf_slice(&c->in));

    if (used == c->in.size) {
        buf_reset(&c->in);
        empty(&c->in);
    } else if (used) {
        memmove(c->in.data, c->in.data + used, c->in.size - used);
        c->in.size -= used;
    }
    return used > 0;
}

/* What is kept and what is owed count for the whole server; where that is too much, who sends more
 * than a little is refused. */
static void hold(struct connection *c)
{
    size_t bytes = c->in.capacity + c->out.capacity + c->sending.capacity;
    struct error why;

    if (server_hold(c->loop->server, &c->held_bytes, bytes) ||
        c->in.capacity <= 2 * REQUEST_SMALL_BYTES)
        return;
    server_refuse_held(c->loop->server, &why);
    end_because(c, &why);
}

/* The peer has ended, and what is left of what it sent is no whole request. */
static void end_short(struct connection *c)
{
    struct error why;

    error_set(&why, LYNSE_INVALID, "the connection ended within a request");
    end_because(c, &why);
}

/* (5) */
static void settle(struct connection *c)
{
    do {
        connection_flush(c);
    } while (!c->is_closed && c->in.size && !connection_is_full(c) && feed_kept(c));
    if (c->cancel_at_us && !connection_is_full(c)) end_short(c); /* all that is whole has begun */
    if (!c->is_closed) hold(c);
    if (c->is_closed) return;
    set_read_deadline(c);
    set_reading(c, wants_bytes(c));
}

/* What came is answered when all that has come in this turn is read: the first write wakes a peer
 * that sleeps, which costs more than many a request, and the others find it awake. */
static void settle_later(struct connection *c)
{
    struct loop *l = c->loop;

    if (c->is_closed || c->is_unsettled) return;
    if (c->protocol && connection_is_full(c)) {
        settle(c);
        return;
    }
    c->is_unsettled = true;
    c->next_unsettled = NULL;
    *l->unsettled_end = c;
    l->unsettled_end = &c->next_unsettled;
}

static struct connection *take_unsettled(struct loop *l)
{
    struct connection *c = l->unsettled;

    if (!c) return NULL;
    l->unsettled = c->next_unsettled;
    if (!l->unsettled) l->unsettled_end = &l->unsettled;
    c->is_unsettled = false;
    return c;
}

void connection_settle_all(struct loop *l)
{
    struct connection *c;

    while ((c = take_unsettled(l)))
        if (!c->is_closed) settle(c);
}

static void forget_unsettled(struct connection *c)
{
    struct loop *l = c->loop;

    for (struct connection **at = &l->unsettled; *at; at = &(*at)->next_unsettled) {
        if (*at != c) continue;
        *at = c->next_unsettled;
        if (!*at) l->unsettled_end = at;
        return;
    }
}

void connection_resume(struct connection *c)
{
    if (c->is_closed || c->is_feeding || !c->protocol) return;
    settle(c);
}

static bool open_protocol(struct connection *c, uint8_t first)
{
    c->protocol = sniff(first);
    c->state = c->protocol ? c->protocol->open(c) : NULL;
    if (c->state) return true;
    c->protocol = NULL;
    return false;
}

static void on_bytes(void *ctx, struct slice bytes)
{
    struct connection *c = ctx;

    loop_stir(c->loop);
    metric_add(&c->loop->metrics.bytes_in, bytes.size);
    if (c->ends_after_write) return; /* nobody looks at it */
    c->phase_bytes += bytes.size;
    if (!c->protocol && !open_protocol(c, bytes.data[0])) {
        connection_close(c);
        return;
    }
    if (c->in.size == 0) {
        size_t used = feed(c, bytes);
        bytes = slice_of(bytes.data + used, bytes.size - used);
        if (c->ends_after_write) bytes.size = 0;
        buf_append(&c->in, bytes.data, bytes.size);
    } else {
        buf_append(&c->in, bytes.data, bytes.size);
    }
    if (!buf_ok(&c->in)) connection_close(c);
    settle_later(c);
}

/* A peer that only stops sending is still owed what it asked for, and cannot be told from one that
 * is gone: what has come begins and is answered for a while, and then what still runs is cancelled
 * and the rest is dropped. */
static void on_end(void *ctx, bool is_orderly)
{
    struct connection *c = ctx;

    if (!is_orderly || c->lingers) {
        connection_close(c);
        return;
    }
    c->cancel_at_us = loop_now_us(c->loop) + CANCEL_GRACE_US;
    set_reading(c, false);
    settle(c);
}

/* ---- From accept on ---- */

static const struct stream_events events = {
    .on_bytes = on_bytes, .on_end = on_end, .on_written = on_written, .on_closed = on_closed};

/* For it, which is counted among all already. */
static enum server_room find_room(struct connection *c)
{
    struct loop *l = c->loop;
    unsigned limit = options_of(c)->connections_per_address;
    enum server_room room = server_room(l->server);

    if (room != ROOM_THERE) metric_add(&l->metrics.refused, 1);
    if (room != ROOM_THERE || !limit || !stream_plain_address(&c->stream, &c->address)) return room;
    uint64_t count = address_counts_add(&l->server->addresses, c->address);
    c->is_counted = count > 0;
    if (c->is_counted && count <= limit) return ROOM_THERE;
    c->is_crowded = true;
    metric_add(&l->metrics.refused_of_address, 1);
    return c->is_counted && count <= limit + SERVER_CROWD_MAX ? ROOM_TO_REFUSE : ROOM_NONE;
}

static struct connection *connection_new(struct loop *l, bool is_pipe)
{
    struct connection *c = mem_zalloc(l->alloc, MEM_GENERAL, sizeof *c);

    if (!c) return NULL;
    c->loop = l;
    buf_init(&c->in, l->alloc, MEM_MESSAGE);
    buf_init(&c->out, l->alloc, MEM_MESSAGE);
    buf_init(&c->sending, l->alloc, MEM_MESSAGE);
    c->stream.events = &events;
    c->stream.ctx = c;
    if (stream_plain_open(&c->stream, l, is_pipe) == 0) return c;
    mem_free(l->alloc, c); /* there is nothing to close */
    return NULL;
}

/* From here on the loop has it; rc: how the taking of its peer went. */
static void begin(struct connection *c, int rc)
{
    struct loop *l = c->loop;

    loop_add_connection(l, c);
    enum server_room room = rc == 0 ? find_room(c) : ROOM_NONE;
    if (room == ROOM_NONE || server_is_draining(l->server)) {
        connection_close(c);
        return;
    }
    c->is_surplus = room == ROOM_TO_REFUSE;
    set_read_deadline(c);
    set_reading(c, true);
}

void connection_accept(struct loop *l, struct listener *listener)
{
    struct loop *target = arrival_choose(l);
    struct connection *c = NULL;

    loop_start_tick(l);
    if (target != l) {
        int rc = arrival_send(target, &listener->uv.stream, listener->is_pipe);
        listener->has_waiting = rc == UV_ENOMEM;
        return;
    }
    c = connection_new(l, listener->is_pipe);
    listener->has_waiting = !c;
    if (!c) return;
    atomic_add_relaxed(&l->peer_count, 1);
    begin(c, stream_plain_accept(&c->stream, &listener->uv.stream));
}

void connection_adopt(struct loop *l, int fd, bool is_pipe)
{
    struct connection *c = connection_new(l, is_pipe);

    loop_start_tick(l);
    if (!c) {
        atomic_sub_relaxed(&l->peer_count, 1);
        close(fd);
        return;
    }
    int rc = stream_plain_adopt(&c->stream, fd);
    if (rc != 0) close(fd);
    begin(c, rc);
}

static void check_reading(struct connection *c)
{
    struct error why;

    if (c->lingers || !c->protocol || !c->phase_since_us || c->ends_after_write) {
        connection_close(c);
        return;
    }
    error_set(&why, LYNSE_DEADLINE, "the request did not come in time");
    c->read_deadline_us = 0;
    end_because(c, &why);
}

/* A write that goes on is not late, however much there is. */
static void check_writing(struct connection *c, uint64_t now_us)
{
    size_t unsent = c->stream.ops->unsent(&c->stream);

    if (unsent < c->unsent_bytes) {
        c->unsent_bytes = unsent;
        c->write_deadline_us = now_us + options_of(c)->write_timeout_ms * 1000ull;
    } else if (now_us > c->write_deadline_us) {
        connection_close(c);
    }
}

void connection_check(struct connection *c, uint64_t now_us)
{
    if (c->is_closed) return;
    if (c->cancel_at_us && now_us > c->cancel_at_us) {
        cancel_requests(c);
        if (!c->ends_after_write) end_short(c);
    }
    if (c->is_closed) return;
    if (c->write_deadline_us) check_writing(c, now_us);
    if (!c->is_closed && c->read_deadline_us && now_us > c->read_deadline_us) check_reading(c);
}
