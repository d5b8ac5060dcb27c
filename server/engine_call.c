/* SPDX-License-Identifier: Apache-2.0 */
/* engine_call.c — where a call runs, and how its coroutine waits (engine_call.h). */
#include "server/engine_call.h"

#include <lauxlib.h>
#include <stdio.h>

#include "base/clock.h"
#include "lua/module/failure.h"
#include "server/dispatch.h"
#include "server/loop.h"
#include "server/server.h"

void *engine_call_new(lua_State *L, size_t bytes, void (*work)(struct engine_call *call),
                      int (*push)(lua_State *L, struct engine_call *call))
{
    struct request *r = request_current(L);
    struct engine_call *call = NULL;

    /* A call that is under way when its request ends would write into freed memory. */
    if (L != r->thread || !lua_isyieldable(L))
        luaL_error(L, "a method calls the engine itself, not from a coroutine or callback");
    call = arena_zalloc(&r->arena, bytes);
    if (!call) luaL_error(L, "not enough memory");
    call->request = r;
    call->work = work;
    call->push = push;
    return call;
}

uint64_t engine_call_timeout_us(const struct request *r)
{
    uint64_t now = clock_now_us(clock_system());
    return r->deadline_us > now ? r->deadline_us - now : 1;
}

void engine_call_drop(struct engine_call *call)
{
    if (call->request->call == call) call->request->call = NULL;
    if (call->drop) call->drop(call);
    call->drop = NULL;
}

bool engine_call_is_in_vain(struct engine_call *call, const char *if_cancelled, const char *if_late)
{
    const struct request *r = call->request;
    bool is_cancelled = __atomic_load_n(&r->is_cancelled, __ATOMIC_RELAXED);

    if (!is_cancelled && clock_now_us(clock_system()) < r->deadline_us) return false;
    call->code = call->error.code = is_cancelled ? LYNSE_CANCELLED : LYNSE_DEADLINE;
    snprintf(call->error.text, sizeof call->error.text, "%s",
             is_cancelled ? if_cancelled : if_late);
    return true;
}

static void run_job(uv_work_t *job)
{
    struct engine_call *call = job->data;
    if (!engine_call_is_in_vain(call, "cancelled before it began",
                                "its time was over before it began"))
        call->work(call);
}

static void finish_job(uv_work_t *job, int status)
{
    struct engine_call *call = job->data;

    (void)status; /* jobs are not cancelled */
    loop_stir(call->request->loop);
    call->request->loop->call_count--;
    dispatch_resume(call);
}

static int refuse_busy(lua_State *L, struct engine_call *call)
{
    struct error err = {0};

    loop_refuse_call(call->request->loop, &err);
    engine_call_drop(call);
    return failure_push_error(L, &err);
}

static int run_here(lua_State *L, struct engine_call *call)
{
    call->work(call);
    int count = call->code == LYNSE_OK ? call->push(L, call) : failure_push(L, &call->error);
    engine_call_drop(call);
    return count;
}

int engine_call_run(lua_State *L, struct engine_call *call, bool is_small)
{
    struct loop *l = call->request->loop;

    call->request->call = call;
    if (is_small) return run_here(L, call);
    if (l->call_count >= l->server->options.calls_max) return refuse_busy(L, call);
    call->job.data = call;
    if (uv_queue_work(&l->uv, &call->job, run_job, finish_job) != 0) return refuse_busy(L, call);
    l->call_count++;
    call->request->waits = true;
    return lua_yield(L, 0);
}

int engine_call_wait(lua_State *L, struct engine_call *call)
{
    call->request->call = call;
    call->request->waits = true;
    call->request->loop->call_count++;
    return lua_yield(L, 0);
}

void engine_call_done(struct engine_call *call)
{
    completion_push(&call->request->loop->completions, &call->node);
}
