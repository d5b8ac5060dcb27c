/* SPDX-License-Identifier: Apache-2.0 */
/* request.h — one request from its last byte to its answer, whichever protocol it came by.
 *
 * WHAT     A protocol makes a request, gives it its params and hands it to dispatch_begin; the
 *          method runs as a coroutine, which waits for calls of the engine (engine_call.h); at its
 *          end the protocol's `answer` is called once, on the loop's thread.
 * OWNER    The loop.  A connection that goes away leaves its requests: they run to their end, and
 *          nobody is answered.
 * THREADS  The loop's alone.
 */
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"
#include "server/named_requests.h"

enum {
    REQUEST_SMALL_BYTES = 64 << 10,    /* a body that comes in however much is held already */
    REQUEST_STRANGER_BYTES = 64 << 10, /* of who has shown no key where one is needed */
    REQUEST_TIMEOUT_MAX_MS = 600000,
};

struct connection;
struct engine_call;
struct hits_value;
struct loop;
struct method;
struct route;

struct request {
    struct loop *loop;
    struct connection *connection;   /* NULL: gone */
    struct request *next, *previous; /* among the connection's */
    const struct method *method;
    uint64_t number; /* of this process: x-request-id, logs */
    uint64_t begun_us;
    uint64_t deadline_us;  /* from when its method begins: what is not done then is not begun */
    uint32_t timeout_ms;   /* as the caller wants it; 0: the server's */
    uint32_t is_cancelled; /* nobody waits for it; written with __atomic, for the engine reads it */
    struct request_name name; /* where it came with a request_id */
    size_t held_bytes;        /* of its body and its hits, as the server has counted them */
    struct arena arena;       /* what its blocks and calls are in */
    struct buf body;       /* the bytes that params and raw_body are in, where they are its own */
    struct slice params;   /* msgpack */
    struct slice raw_body; /* of an octet-stream */
    bool is_lenient;       /* as arguments_source has them */
    bool has_texts;
    struct hits_value *hits;    /* what calls of the engine found for it: freed at its end */
    size_t hits_bytes;          /* what they hold */
    struct buf written, packed; /* what a protocol writes its answer in, which may raise */
    lua_State *thread;          /* NULL: no coroutine */
    int thread_ref;
    bool waits;               /* its coroutine does, for a call */
    struct engine_call *call; /* the last one, while it owns something; NULL: none */
    bool is_authenticated;    /* its credentials were good */

    /* The protocol's.  On success the value is at `index` of L, and err is NULL.  In a protected
     * call on success: it may raise, and is then called again with an error. */
    void (*answer)(struct request *r, lua_State *L, int index, const struct error *err);
    uint32_t message_id;    /* msgpack-RPC */
    bool wants_answer;      /* msgpack-RPC: it is no notification */
    bool is_being_answered; /* msgpack-RPC: what is at answer_start of c->out is its answer's */
    size_t answer_start;
    bool keeps_alive;          /* HTTP */
    uint8_t version_minor;     /* HTTP/1.x: 1.0 has to be told that the connection stays */
    bool wants_head_only;      /* HTTP: HEAD */
    int status;                /* HTTP: of an answer that is no error; 0: 200 */
    const char *allow;         /* HTTP: the verbs of its path, where it came with another one */
    bool wants_msgpack;        /* HTTP: as its Accept says */
    const struct route *route; /* HTTP */
};

/* NULL when out of memory. */
struct request *request_create(struct loop *loop, struct connection *connection);
void request_destroy(struct request *r);
/* Count its body and its hits.  false: the server holds too much, and this is no small part of
 * it. */
bool request_hold(struct request *r);
/* Its time begins: what the caller wants, or the server's. */
void request_set_deadline(struct request *r, uint32_t timeout_ms);
/* What has not begun is dropped, a search ends soon, a write goes on.  Any thread, while the
 * request is there (named_requests.h). */
void request_cancel(struct request *r);
/* A loop keeps a few small requests, with the memory they have; at its end they go. */
void request_free_spares(struct loop *loop);

#endif
