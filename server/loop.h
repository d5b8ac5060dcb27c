/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h — one thread with its libuv loop, its state of Lua, its connections and their requests.
 *
 * Loops share nothing but the engine and what server.h says; a connection stays with the loop that
 * it was sent to (arrival.h).  THREADS  The loop's own, but for what says otherwise.
 */
#ifndef SERVER_LOOP_H
#define SERVER_LOOP_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/alloc.h"
#include "base/error.h"
#include "server/completion.h"
#include "server/listener.h"
#include "server/method_guard.h"
#include "server/methods.h"
#include "server/metrics.h"

struct connection;
struct request;
struct server;

enum {
    LOOP_READ_BYTES = 64 << 10, /* read at once from a socket; one buffer for all connections */
    LOOP_THREADS_KEPT = 64,     /* coroutines that wait for a next request */
    LOOP_REQUESTS_KEPT = 32,    /* with up to 12 KiB each */
    LOOP_TICK_MS = 1000,        /* how often connections are looked at for lateness */
    DRAIN_TICK_MS = 100,        /* the same while it drains */
    SPIN_CREDIT_MAX = 8,
    GATHER_TURNS = 4, /* that are read before the first of them is answered */
};

struct loop {
    struct server *server;
    bool is_open;
    unsigned number; /* 0: the first, which listens */
    struct alloc *alloc;
    struct listener listeners[2];     /* the port's, the socket's; of the first loop */
    struct completion_queue arrivals; /* peers that it sends here */
    _Atomic(size_t) peer_count;       /* connections, with those that are on their way */
    uv_loop_t uv;
    uv_thread_t thread;
    uv_async_t stop;   /* look at the server's state: sent by server_stop alone, under its lock */
    bool can_be_woken; /* by `stop`; under that lock too */
    uv_timer_t tick;   /* runs while there are connections, and drains */
    uint64_t drain_end_us;                         /* 0: it does not drain */
    struct connection *unsettled, **unsettled_end; /* that were read from in this turn */
    struct completion_queue completions;
    uint64_t woke_us;     /* monotonic: when this turn's first work came; 0: none has */
    unsigned spin_credit; /* how often looking for more has paid lately */

    lua_State *L;
    lua_Alloc allocate; /* LuaJIT's, and its context */
    void *allocate_ctx;
    struct methods methods;
    int context_ref, enter_ref; /* in the registry: what methods get, the coroutine's function */
    int step_refs[4];           /* likewise: the functions of dispatch.c */
    void *step;                 /* what one of them works on */
    int threads[LOOP_THREADS_KEPT];
    size_t thread_count;
    struct request *current; /* whose coroutine runs */
    struct method_guard guard;

    struct connection *connections;
    size_t connection_count;
    size_t request_count;  /* under way */
    size_t call_count;     /* of the engine, that run elsewhere */
    size_t answered_bytes; /* since the last collection of what answers were made of */
    struct request *spares[LOOP_REQUESTS_KEPT];
    size_t spare_count;
    struct loop_metrics metrics;
    char read_buffer[LOOP_READ_BYTES];
};

/* The state of Lua is made and all scripts are loaded.  err INTERNAL: a script is wrong; IO. */
int loop_open(struct loop *l, struct server *server, unsigned number, struct error *err);
void loop_run(struct loop *l); /* until it is told to stop and all is closed */
void loop_close(struct loop *l);
/* Loop's thread. */
void loop_add_connection(struct loop *l, struct connection *c);
void loop_remove_connection(struct loop *l, struct connection *c);
void loop_request_gone(struct loop *l);
void loop_stir(struct loop *l);                                 /* something came */
void loop_refuse_call(const struct loop *l, struct error *out); /* BUSY: as many as may run */
void loop_start_tick(struct loop *l); /* there is something to look after */

/* Monotonic; that of this turn. */
static inline uint64_t loop_now_us(const struct loop *l)
{
    return uv_now(&l->uv) * 1000;
}

static inline struct loop *loop_of(lua_State *L)
{
    void *ud;
    lua_getallocf(L, &ud);
    return ud;
}

#endif
