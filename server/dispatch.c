/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch.c — methods as coroutines of the loop's state.
 *
 * WHAT        A request gets a coroutine, from those that are kept; in it runs enter(run, context),
 *             which reads the arguments (they may be wrong: that is an error like others) and calls
 *             the method.  It runs until it is done, or waits for a call of the engine: then the
 *             loop goes on, and dispatch_resume continues it with what the call gave.
 * INVARIANTS  (1) A request is answered exactly once, and destroyed after that.
 *             (2) loop->current is the request whose coroutine runs; NULL outside.
 *             (3) A coroutine that ended with an error is never used again.
 * THREADS     The loop's.
 * FAILURE     A failure (failure.h) that a method returns or raises is its answer; anything else
 *             that is raised is INTERNAL, with its text and place in the log.
 */
#include "server/dispatch.h"

#include <lauxlib.h>
#include <lynse.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "lua/module/failure.h"
#include "server/arguments.h"
#include "server/engine_call.h"
#include "server/limits.h"
#include "server/loop.h"
#include "server/methods.h"

/* ---- Coroutines ---- */

static int take_thread(struct request *r)
{
    struct loop *l = r->loop;

    if (l->thread_count) {
        r->thread_ref = l->threads[--l->thread_count];
        lua_rawgeti(l->L, LUA_REGISTRYINDEX, r->thread_ref);
        r->thread = lua_tothread(l->L, -1);
    } else {
        r->thread = lua_newthread(l->L);
        lua_pushvalue(l->L, -1);
        r->thread_ref = luaL_ref(l->L, LUA_REGISTRYINDEX);
    }
    lua_pop(l->L, 1);
    return 0;
}

static void give_thread(struct request *r, bool is_sound)
{
    struct loop *l = r->loop;

    if (!r->thread) return;
    if (is_sound && l->thread_count < LOOP_THREADS_KEPT) {
        lua_settop(r->thread, 0);
        l->threads[l->thread_count++] = r->thread_ref;
    } else {
        luaL_unref(l->L, LUA_REGISTRYINDEX, r->thread_ref);
    }
    r->thread = NULL;
}

/* ---- Answers ---- */

static void finish(struct request *r, bool is_sound)
{
    give_thread(r, is_sound);
    request_destroy(r);
}

void dispatch_refuse(struct request *r, const struct error *err)
{
    r->answer(r, NULL, 0, err);
    finish(r, false);
}

/* The failure at the top of L as an error; false where it is none of ours. */
static bool read_failure(lua_State *L, struct error *out)
{
    *out = (struct error){.code = LYNSE_INTERNAL};
    if (!lua_istable(L, -1)) return false;
    lua_pushliteral(L, "number");
    lua_rawget(L, -2);
    lua_pushliteral(L, "text");
    lua_rawget(L, -3);
    lua_pushliteral(L, "retry_after_ms");
    lua_rawget(L, -4);
    bool is_failure = lua_isnumber(L, -3) && lua_isstring(L, -2);
    if (is_failure) {
        out->code = (int)lua_tointeger(L, -3);
        out->retry_after_ms = (uint32_t)lua_tointeger(L, -1);
        snprintf(out->text, sizeof out->text, "%s", lua_tostring(L, -2));
    }
    lua_pop(L, 3);
    return is_failure;
}

static void report_bug(struct request *r, const char *text)
{
    log_event(LOG_ERROR, "method_failed method=%s request_id=%llu text=\"%s\"",
              r->method ? r->method->name : "", (unsigned long long)r->number,
              text ? text : "an error without a text");
}

/* answer(r): its value is at 2. */
static int write_answer(lua_State *L)
{
    struct request *r = lua_touserdata(L, 1);
    r->answer(r, L, 2, NULL);
    return 0;
}

/* The coroutine is at its end, with its values on its stack. */
static void answer_values(struct request *r)
{
    lua_State *L = r->thread;
    struct error err;
    int count = lua_gettop(L);

    if (count >= 2 && lua_isnil(L, 1)) {
        lua_settop(L, 2);
        if (!read_failure(L, &err)) {
            report_bug(r, "nil without a failure");
            error_set(&err, LYNSE_INTERNAL, "the method failed without saying why");
        }
        r->answer(r, NULL, 0, &err);
        return;
    }
    lua_settop(L, 1);
    lua_State *main = r->loop->L; /* a coroutine that has ended is nothing to call in */
    int top = lua_gettop(main);
    lua_pushcfunction(main, write_answer);
    lua_pushlightuserdata(main, r);
    lua_xmove(L, main, 1);
    int status = lua_pcall(main, 2, 0, 0);
    if (status == 0) return;
    report_bug(r, lua_tostring(main, -1));
    lua_settop(main, top);
    error_set(&err, LYNSE_NO_MEMORY, "the answer could not be written");
    r->answer(r, NULL, 0, &err);
}

static void answer_raised(struct request *r, int status)
{
    struct error err;

    if (!read_failure(r->thread, &err)) {
        report_bug(r, lua_tostring(r->thread, -1));
        if (status == LUA_ERRMEM) error_set(&err, LYNSE_NO_MEMORY, "no memory for the method");
        else error_set(&err, LYNSE_INTERNAL, "the method failed; the server's log says where");
    }
    r->answer(r, NULL, 0, &err);
}

/* Run the coroutine on, with argument_count values at the top of its stack. */
static void run_on(struct request *r, int argument_count)
{
    struct request *before = r->loop->current;

    r->loop->current = r;
    int status = lua_resume(r->thread, argument_count);
    r->loop->current = before;
    if (status == LUA_YIELD) return;
    if (status == 0) answer_values(r);
    else answer_raised(r, status);
    finish(r, status == 0);
}

/* ---- Beginning ---- */

/* arguments() → the table; raises a failure.  The first thing that a coroutine does. */
static int read_arguments(lua_State *L)
{
    struct request *r = request_current(L);
    struct arguments_source source = {.params = r->params,
                                      .arena = &r->arena,
                                      .body = r->raw_body,
                                      .request = r->number,
                                      .is_lenient = r->is_lenient || r->method->is_lenient,
                                      .has_texts = r->has_texts};
    struct error err = {0};

    if (arguments_push(L, &r->method->signature, &source, &err) == 0 &&
        limits_check(L, r, &err) == 0)
        return 1;
    failure_push_error(L, &err);
    return lua_error(L);
}

void dispatch_prepare(lua_State *L)
{
    lua_pushcfunction(L, read_arguments);
    lua_setfield(L, -2, "arguments");
}

struct request *request_current(lua_State *L)
{
    struct request *r = loop_of(L)->current;
    if (!r) luaL_error(L, "only a method that runs for a request may do that");
    return r;
}

void dispatch_begin(struct request *r)
{
    struct loop *l = r->loop;

    take_thread(r);
    lua_rawgeti(r->thread, LUA_REGISTRYINDEX, l->enter_ref);
    lua_rawgeti(r->thread, LUA_REGISTRYINDEX, r->method->run_ref);
    lua_rawgeti(r->thread, LUA_REGISTRYINDEX, l->context_ref);
    run_on(r, 2);
}

/* What a call gave, pushed under protection: push may raise. */
static int push_outcome(lua_State *L)
{
    struct engine_call *call = lua_touserdata(L, 1);

    lua_settop(L, 0);
    if (call->code != LYNSE_OK) return failure_push(L, &call->error);
    return call->push(L, call);
}

void dispatch_resume(struct engine_call *call)
{
    struct request *r = call->request;
    lua_State *main = r->loop->L;
    int top = lua_gettop(main);

    lua_pushcfunction(main, push_outcome);
    lua_pushlightuserdata(main, call);
    int status = lua_pcall(main, 1, LUA_MULTRET, 0);
    if (call->drop) call->drop(call);
    if (status != 0) {
        struct error err;
        lua_settop(main, top);
        error_set(&err, LYNSE_NO_MEMORY, "no memory for what the call gave");
        r->answer(r, NULL, 0, &err);
        finish(r, false);
        return;
    }
    int count = lua_gettop(main) - top;
    lua_xmove(main, r->thread, count);
    run_on(r, count);
}
