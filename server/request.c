/* SPDX-License-Identifier: Apache-2.0 */
#include "server/request.h"

#include "base/clock.h"
#include "server/connection.h"
#include "server/engine_call.h"
#include "server/hits_value.h"
#include "server/loop.h"
#include "server/server.h"

enum { KEPT_ARENA_BYTES = 8 << 10, KEPT_BODY_BYTES = 4 << 10 };

/* A request with nothing in it but, perhaps, memory of an earlier one. */
static struct request *take_spare(struct loop *l)
{
    struct request *r;

    if (l->spare_count == 0) {
        r = mem_zalloc(l->alloc, MEM_MESSAGE, sizeof *r);
        if (!r) return NULL;
        arena_init(&r->arena, l->alloc, MEM_MESSAGE);
        buf_init(&r->body, l->alloc, MEM_MESSAGE);
        return r;
    }
    r = l->spares[--l->spare_count];
    *r = (struct request){.arena = r->arena, .body = r->body};
    return r;
}

static void free_request(struct loop *l, struct request *r)
{
    arena_deinit(&r->arena);
    buf_deinit(&r->body);
    mem_free(l->alloc, r);
}

static void give_spare(struct loop *l, struct request *r)
{
    bool is_small = r->arena.total_bytes <= KEPT_ARENA_BYTES && r->body.capacity <= KEPT_BODY_BYTES;

    if (is_small && l->spare_count < LOOP_REQUESTS_KEPT) {
        arena_reset(&r->arena);
        buf_reset(&r->body);
        l->spares[l->spare_count++] = r;
        return;
    }
    free_request(l, r);
}

void request_free_spares(struct loop *l)
{
    while (l->spare_count) free_request(l, l->spares[--l->spare_count]);
}

struct request *request_create(struct loop *loop, struct connection *connection)
{
    struct request *r = take_spare(loop);

    if (!r) return NULL;
    r->loop = loop;
    r->connection = connection;
    r->number = server_next_number(loop->server);
    r->begun_us = clock_now_us(clock_system());
    buf_init(&r->written, loop->alloc, MEM_MESSAGE);
    buf_init(&r->packed, loop->alloc, MEM_MESSAGE);
    r->next = connection->requests;
    if (r->next) r->next->previous = r;
    connection->requests = r;
    connection->request_count++;
    loop->request_count++;
    return r;
}

void request_destroy(struct request *r)
{
    struct connection *c = r->connection;
    struct loop *l = r->loop;

    if (c) {
        if (r->previous) r->previous->next = r->next;
        else c->requests = r->next;
        if (r->next) r->next->previous = r->previous;
        c->request_count--;
    }
    l->request_count--;
    named_requests_remove(&l->server->named, &r->name);
    if (r->call) engine_call_drop(r->call);
    hits_value_free_all(&r->hits);
    server_hold(l->server, &r->held_bytes, 0);
    buf_deinit(&r->written);
    buf_deinit(&r->packed);
    give_spare(l, r);
    if (c) connection_resume(c);
    else loop_request_gone(l);
}

bool request_hold(struct request *r)
{
    size_t bytes = r->body.capacity + r->hits_bytes;
    return server_hold(r->loop->server, &r->held_bytes, bytes) || bytes <= REQUEST_SMALL_BYTES;
}

void request_set_deadline(struct request *r, uint32_t timeout_ms)
{
    if (!timeout_ms) timeout_ms = r->loop->server->options.request_timeout_ms;
    if (timeout_ms > REQUEST_TIMEOUT_MAX_MS) timeout_ms = REQUEST_TIMEOUT_MAX_MS;
    r->deadline_us = clock_now_us(clock_system()) + timeout_ms * 1000ull;
}

void request_cancel(struct request *r)
{
    /* Relaxed: the flag carries nothing with it. */
    __atomic_store_n(&r->is_cancelled, 1, __ATOMIC_RELAXED);
}
