/* SPDX-License-Identifier: Apache-2.0 */
#include "server/request.h"

#include "base/clock.h"
#include "server/connection.h"
#include "server/engine_call.h"
#include "server/loop.h"
#include "server/server.h"

struct request *request_create(struct loop *loop, struct connection *connection)
{
    struct request *r = mem_zalloc(loop->alloc, MEM_MESSAGE, sizeof *r);

    if (!r) return NULL;
    r->loop = loop;
    r->connection = connection;
    r->number = server_next_number(loop->server);
    r->begun_us = clock_now_us(clock_system());
    arena_init(&r->arena, loop->alloc, MEM_MESSAGE);
    buf_init(&r->body, loop->alloc, MEM_MESSAGE);
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
    if (r->call) engine_call_drop(r->call);
    server_hold(l->server, &r->held_bytes, 0);
    arena_deinit(&r->arena);
    buf_deinit(&r->body);
    buf_deinit(&r->written);
    buf_deinit(&r->packed);
    mem_free(l->alloc, r);
    if (c) connection_resume(c);
    else loop_request_gone(l);
}

bool request_hold(struct request *r)
{
    return server_hold(r->loop->server, &r->held_bytes, r->body.capacity) ||
           r->body.capacity <= REQUEST_SMALL_BYTES;
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
