/* SPDX-License-Identifier: Apache-2.0 */
#include "server/request.h"

#include "base/clock.h"
#include "server/connection.h"
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
    r->deadline_us = r->begun_us + (uint64_t)loop->server->options.request_timeout_ms * 1000;
    arena_init(&r->arena, loop->alloc, MEM_MESSAGE);
    buf_init(&r->body, loop->alloc, MEM_MESSAGE);
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
    arena_deinit(&r->arena);
    buf_deinit(&r->body);
    mem_free(l->alloc, r);
    if (c) connection_resume(c);
    else loop_request_gone(l);
}
