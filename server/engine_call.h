/* SPDX-License-Identifier: Apache-2.0 */
/* engine_call.h — a call of lynse.h that a method makes: at once where it is small, else on a
 * worker or with a completion of the engine's, while the coroutine waits and the loop goes on.
 *
 * A call is the head of a larger struct in the request's arena, with its arguments and its outcome.
 *
 *     struct count_call *call = engine_call_new(L, sizeof *call, work_count, push_count);
 *     call->where = …;
 *     return engine_call_run(L, &call->base, is_small);
 *
 * THREADS  `work` runs on the loop's thread or a worker's and touches its own struct alone; the
 *          other functions and `push` are the loop's.
 */
#ifndef SERVER_ENGINE_CALL_H
#define SERVER_ENGINE_CALL_H

#include <lua.h>
#include <lynse.h>
#include <uv.h>

#include "base/mpsc.h"
#include "server/request.h"

struct engine_call {
    struct mpsc_node node; /* of the loop's completions; first */
    uv_work_t job;
    struct request *request;
    void (*work)(struct engine_call *call);
    /* Push what the call gave onto the coroutine and return how many values.  Called on success
     * alone.  May raise; what the call owns is then freed by its `drop`. */
    int (*push)(lua_State *L, struct engine_call *call);
    /* Free what was not pushed; NULL: there is nothing.  Called by engine_call_drop alone. */
    void (*drop)(struct engine_call *call);
    int code;
    struct lynse_error error;
};

/* The request that runs now.  In functions of Lua that methods call. */
struct request *request_current(lua_State *L);
/* Zeroed, in the arena of the request that runs now.  Raises when out of memory, and where the
 * method could not wait: in a coroutine of its own, or in a callback of string.gsub and the like.
 * */
void *engine_call_new(lua_State *L, size_t bytes, void (*work)(struct engine_call *call),
                      int (*push)(lua_State *L, struct engine_call *call));
/* For `return engine_call_run(…)`: the values, nil and an error, or a yield.  is_small: it takes
 * less than a hop to another thread would, some 100 us at most, and waits for nothing. */
int engine_call_run(lua_State *L, struct engine_call *call, bool is_small);
/* The same for a call that was begun and ends with engine_call_done. */
int engine_call_wait(lua_State *L, struct engine_call *call);
/* Any thread, once: code and error are set. */
void engine_call_done(struct engine_call *call);
/* Does nobody wait for it any more?  Then its code and error say so: CANCELLED or DEADLINE with its
 * text.  Any thread. */
bool engine_call_is_in_vain(struct engine_call *call, const char *if_cancelled,
                            const char *if_late);
/* Free what it owns, once. */
void engine_call_drop(struct engine_call *call);
/* Microseconds up to the request's deadline, at least 1: for timeout_us. */
uint64_t engine_call_timeout_us(const struct request *r);

#endif
