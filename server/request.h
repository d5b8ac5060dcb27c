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

struct connection;
struct engine_call;
struct loop;
struct method;
struct route;

struct request {
    struct loop *loop;
    struct connection *connection;   /* NULL: gone */
    struct request *next, *previous; /* among the connection's */
    const struct method *method;
    uint64_t number; /* of this process: x-request-id, logs */
    uint64_t begun_us, deadline_us;
    struct arena arena;    /* what its blocks and calls are in */
    struct buf body;       /* the bytes that params and raw_body are in, where they are its own */
    struct slice params;   /* msgpack */
    struct slice raw_body; /* of an octet-stream */
    bool is_lenient;       /* as arguments_source has them */
    bool has_texts;
    lua_State *thread; /* NULL: no coroutine */
    int thread_ref;
    bool is_authenticated; /* its credentials were good */

    /* The protocol's.  On success the value is at `index` of L, and err is NULL.  In a protected
     * call on success: it may raise, and is then called again with an error. */
    void (*answer)(struct request *r, lua_State *L, int index, const struct error *err);
    uint32_t message_id;       /* msgpack-RPC */
    bool wants_answer;         /* msgpack-RPC: it is no notification */
    bool keeps_alive;          /* HTTP */
    bool wants_head_only;      /* HTTP: HEAD */
    int status;                /* HTTP: of an answer that is no error; 0: 200 */
    const char *allow;         /* HTTP: the verbs of its path, where it came with another one */
    const struct route *route; /* HTTP */
};

/* NULL when out of memory. */
struct request *request_create(struct loop *loop, struct connection *connection);
void request_destroy(struct request *r);

#endif
