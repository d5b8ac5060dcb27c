/* SPDX-License-Identifier: Apache-2.0 */
/* method_guard.h — what a method of the operator's may use while it has the loop: time and memory.
 *
 * All other connections of the loop wait meanwhile, so that a loop without an end must not be one.
 * The guard is for mistakes: a method that means harm is let in by nobody but the operator.
 *
 * Thread: the loop's.
 */
#ifndef SERVER_METHOD_GUARD_H
#define SERVER_METHOD_GUARD_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    METHOD_RUN_MS = 1000,         /* of the processor, from one wait for the engine to the next */
    METHOD_RUN_BYTES = 256 << 20, /* more in the loop's state than when it began */
    METHOD_CHECK_STEPS = 1000,    /* instructions between two looks at the clock */
};

enum guard_end { GUARD_HOLDS, GUARD_TIME, GUARD_DEADLINE, GUARD_MEMORY };

struct loop;
struct method_guard {
    bool is_armed;
    enum guard_end end; /* of the last run */
    uint64_t begun_us, processor_us;
    const uint64_t *deadline_us; /* NULL: none */
    int64_t grown_bytes;
    lua_Alloc allocate; /* the state's own; its context stays what it is */
    char place[96];     /* where it was stopped: "rpc/digest.lua:7: " */
};

/* Around one run of a coroutine, or one call.  Nothing is allocated.  deadline_us: monotonic, and
 * read again and again, as a method begins by reading what its caller wants; NULL: none. */
void method_guard_begin(struct loop *l, const uint64_t *deadline_us);
void method_guard_end(struct loop *l);

/* Of the last run.  "stopped: …" with where it was; "" where it was not stopped. */
void method_guard_tell(const struct method_guard *g, char *out, size_t out_bytes);

/* For scripts/server.lua: call_guarded(function) → its value, or raises; is_stopped(). */
extern const luaL_Reg engine_natives_guard[];

#endif
