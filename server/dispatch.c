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
 *             (4) Nothing that may allocate in the state is called outside of a protected call: the
 *                 functions for that are made at the beginning (steps), and find what they work on
 *                 in loop->step.
 * THREADS     The loop's.
 * FAILURE     A failure (failure.h) that a method returns or raises is its answer; anything else
 *             that is raised is INTERNAL, with its text and place in the log.  Of a method of the
 *             operator's it is HOOK, and says so to the caller too; that such a method was stopped
 *             (method_guard.h) is HOOK or DEADLINE, whatever it did to be left alone.
 */
#include "server/dispatch.h"

#include <lauxlib.h>
#include <lynse.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "lua/module/failure.h"
#include "server/arguments.h"
#include "server/engine_call.h"
#include "server/limits.h"
#include "server/loop.h"
#include "server/methods.h"
#include "server/server.h"

enum { COLLECT_BYTES = 16 << 20 }; /* answered: then what they were made of is collected */

/* ---- Protected steps ---- */

enum step { STEP_BEGIN, STEP_TAKE_OUTCOME, STEP_WRITE_ANSWER, STEP_COLLECT };
/* What steps share, on the stack of who runs one. */
struct step_work {
    struct request *request;
    struct engine_call *call;
    struct error *error; /* in place of a value */
    bool is_failure;     /* of ours */
};

/* With the value at the top of value_of, or without one.  0, or what lua_pcall says. */
static int run_step(struct loop *l, enum step step, struct step_work *work, int result_count,
                    lua_State *value_of)
{
    lua_rawgeti(l->L, LUA_REGISTRYINDEX, l->step_refs[step]);
    if (value_of) lua_xmove(value_of, l->L, 1);
    l->step = work;
    return lua_pcall(l->L, value_of ? 1 : 0, result_count, 0);
}

/* ---- Coroutines ---- */

/* step(): the request has a coroutine, on which are the function that it begins with and what that
 * gets. */
static int begin_coroutine(lua_State *L)
{
    struct loop *l = loop_of(L);
    struct request *r = ((struct step_work *)l->step)->request;

    if (l->thread_count) {
        r->thread_ref = l->threads[--l->thread_count];
        lua_rawgeti(L, LUA_REGISTRYINDEX, r->thread_ref);
        r->thread = lua_tothread(L, -1);
    } else {
        lua_State *thread = lua_newthread(L);
        lua_pushvalue(L, -1);
        r->thread_ref = luaL_ref(L, LUA_REGISTRYINDEX);
        r->thread = thread;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, l->enter_ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->method->run_ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, l->context_ref);
    luaL_checkstack(r->thread, 3, "a coroutine");
    lua_xmove(L, r->thread, 3);
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

/* A number is not made a text, which would need memory. */
static const char *text_at(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : NULL;
}

static void report_bug(struct request *r, const char *text)
{
    log_event(LOG_ERROR, "method_failed method=%s request_id=%llu text=\"%s\"",
              r->method ? r->method->name : "", (unsigned long long)r->number,
              text ? text : "an error without a text");
}

/* What a method of the operator's raised is for its caller, who may be the operator. */
static void set_own_failure(lua_State *L, const struct request *r, struct error *out)
{
    const char *text = text_at(L, 1), *name = r->method->name;

    if (!text) error_set(out, LYNSE_HOOK, "%s: it raised a %s", name, luaL_typename(L, 1));
    else if (strncmp(text, "rpc/", 4) == 0) error_set(out, LYNSE_HOOK, "%s", text);
    else error_set(out, LYNSE_HOOK, "%s: %s", name, text);
    error_on_one_line(out);
}

/* step(value): the answer is written; with an error, the value becomes that. */
static int write_answer(lua_State *L)
{
    struct loop *l = loop_of(L);
    struct step_work *work = l->step;

    if (work->error) {
        work->is_failure = read_failure(L, work->error);
        if (!work->is_failure) report_bug(work->request, text_at(L, 1));
        if (!work->is_failure && work->request->method->is_own) {
            set_own_failure(L, work->request, work->error);
            work->is_failure = true;
        }
        return 0;
    }
    work->request->answer(work->request, L, 1, NULL);
    return 0;
}

/* step() */
static int collect(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

/* What answers were made of, of which the collector sees the handles alone.  A step of its own: a
 * finalizer of the operator's may raise, and the answer is given (1). */
static void collect_answered(struct request *r)
{
    struct loop *l = r->loop;
    struct step_work work = {.request = r};
    int top = lua_gettop(l->L);

    if (l->answered_bytes <= COLLECT_BYTES) return;
    l->answered_bytes = 0;
    if (run_step(l, STEP_COLLECT, &work, 0, NULL) == 0) return;
    report_bug(r, text_at(l->L, -1));
    lua_settop(l->L, top);
}

/* The value at the top of the coroutine is a failure, or something else that was raised. */
static void answer_failure(struct request *r, int status)
{
    lua_State *main = r->loop->L;
    struct error err = {.code = LYNSE_INTERNAL};
    struct step_work work = {.request = r, .error = &err};
    int top = lua_gettop(main);

    int rc = run_step(r->loop, STEP_WRITE_ANSWER, &work, 0, r->thread);
    lua_settop(main, top);
    if (rc != 0 || status == LUA_ERRMEM)
        error_set(&err, LYNSE_NO_MEMORY, "no memory for the method");
    else if (!work.is_failure)
        error_set(&err, LYNSE_INTERNAL, "the method failed; the server's log says where");
    r->answer(r, NULL, 0, &err);
}

/* The coroutine is at its end, with its values on its stack. */
static void answer_values(struct request *r)
{
    lua_State *L = r->thread;
    lua_State *main = r->loop->L; /* a coroutine that has ended is nothing to call in */
    struct step_work work = {.request = r};
    struct error err;

    if (lua_gettop(L) >= 2 && lua_isnil(L, 1)) {
        lua_settop(L, 2);
        answer_failure(r, 0);
        return;
    }
    lua_settop(L, 1);
    int top = lua_gettop(main);
    if (run_step(r->loop, STEP_WRITE_ANSWER, &work, 0, L) == 0) {
        collect_answered(r);
        return;
    }
    report_bug(r, text_at(main, -1));
    lua_settop(main, top);
    error_set(&err, LYNSE_NO_MEMORY, "the answer could not be written");
    r->answer(r, NULL, 0, &err);
}

/* lua_resume, with a guard where the method is the operator's.  *out_is_stopped: it took too much;
 * err says of what. */
static int resume(struct request *r, int argument_count, bool *out_is_stopped, struct error *err)
{
    struct loop *l = r->loop;
    const struct method_guard *g = &l->guard;
    char told[ERROR_TEXT_BYTES];

    *out_is_stopped = false;
    if (!r->method->is_own) return lua_resume(r->thread, argument_count);
    method_guard_begin(l, &r->deadline_us);
    int status = lua_resume(r->thread, argument_count);
    method_guard_end(l);
    if (g->end == GUARD_HOLDS || (g->end == GUARD_MEMORY && status != LUA_ERRMEM)) return status;
    *out_is_stopped = true;
    method_guard_tell(g, told, sizeof told);
    error_set(err, g->end == GUARD_DEADLINE ? LYNSE_DEADLINE : LYNSE_HOOK, "%s", told);
    l->answered_bytes = COLLECT_BYTES + 1; /* what it held goes with the next answer */
    return status;
}

/* Run the coroutine on, with argument_count values at the top of its stack. */
static void run_on(struct request *r, int argument_count)
{
    struct request *before = r->loop->current;
    struct error err;
    bool is_stopped;

    r->waits = false;
    r->loop->current = r;
    int status = resume(r, argument_count, &is_stopped, &err);
    r->loop->current = before;
    if (status == LUA_YIELD && r->waits) return;
    named_requests_remove(&r->loop->server->named, &r->name); /* who has the answer finds none */
    if (is_stopped) {
        report_bug(r, err.text);
        r->answer(r, NULL, 0, &err);
    } else if (status == LUA_YIELD) {
        report_bug(r, "it yields, and waits for nothing");
        if (r->method->is_own)
            error_set(&err, LYNSE_HOOK, "%s: it yields, and waits for nothing", r->method->name);
        else error_set(&err, LYNSE_INTERNAL, "the method failed; the server's log says where");
        r->answer(r, NULL, 0, &err);
    } else if (status == 0) {
        answer_values(r);
    } else {
        answer_failure(r, status);
    }
    finish(r, status == 0 && !is_stopped);
}

/* ---- Beginning ---- */

/* timeout_ms is every method's. */
static void read_timeout(lua_State *L, struct request *r)
{
    lua_getfield(L, -1, "timeout_ms");
    if (lua_isnumber(L, -1)) request_set_deadline(r, (uint32_t)lua_tonumber(L, -1));
    lua_pop(L, 1);
}

/* It can be found by it from now on.  What is urgent is over at once, and its id is another's. */
static void read_request_id(lua_State *L, struct request *r)
{
    size_t size = 0;

    if (!r->method->signature.has_request_id || r->method->is_urgent) return;
    lua_getfield(L, -1, "request_id");
    const char *id = lua_isstring(L, -1) ? lua_tolstring(L, -1, &size) : NULL;
    if (size == REQUEST_ID_BYTES)
        named_requests_add(&r->loop->server->named, &r->name, (const uint8_t *)id, r);
    lua_pop(L, 1);
}

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

    if (arguments_push(L, &r->method->signature, &source, &err) == 0) {
        read_timeout(L, r);
        read_request_id(L, r);
        if (limits_check(L, r, &err) == 0) return 1;
    }
    failure_push_error(L, &err);
    return lua_error(L);
}

/* step() → what a call gave. */
static int push_outcome(lua_State *L)
{
    struct engine_call *call = ((struct step_work *)loop_of(L)->step)->call;

    if (call->code != LYNSE_OK) return failure_push(L, &call->error);
    return call->push(L, call);
}

void dispatch_prepare(lua_State *L)
{
    static const lua_CFunction steps[] = {[STEP_BEGIN] = begin_coroutine,
                                          [STEP_TAKE_OUTCOME] = push_outcome,
                                          [STEP_WRITE_ANSWER] = write_answer,
                                          [STEP_COLLECT] = collect};
    struct loop *l = loop_of(L);

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        lua_pushcfunction(L, steps[i]);
        l->step_refs[i] = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_pushboolean(L, 1); /* the registry's list of free places: luaL_unref needs no memory then */
    luaL_unref(L, LUA_REGISTRYINDEX, luaL_ref(L, LUA_REGISTRYINDEX));
    lua_pushcfunction(L, read_arguments);
    lua_setfield(L, -2, "arguments");
}

struct request *request_current(lua_State *L)
{
    struct request *r = loop_of(L)->current;
    if (!r) luaL_error(L, "only a method that runs for a request may do that");
    return r;
}

static void fail_without_memory(struct request *r, int top)
{
    struct error err;

    lua_settop(r->loop->L, top);
    error_set(&err, LYNSE_NO_MEMORY, "no memory for the method");
    r->answer(r, NULL, 0, &err);
    finish(r, false);
}

void dispatch_begin(struct request *r)
{
    struct step_work work = {.request = r};
    int top = lua_gettop(r->loop->L);

    if (run_step(r->loop, STEP_BEGIN, &work, 0, NULL) == 0) run_on(r, 2);
    else fail_without_memory(r, top);
}

void dispatch_resume(struct engine_call *call)
{
    struct request *r = call->request;
    lua_State *main = r->loop->L;
    struct step_work work = {.request = r, .call = call};
    int top = lua_gettop(main);

    int status = run_step(r->loop, STEP_TAKE_OUTCOME, &work, LUA_MULTRET, NULL);
    engine_call_drop(call);
    if (status != 0) {
        fail_without_memory(r, top);
        return;
    }
    int count = lua_gettop(main) - top;
    lua_xmove(main, r->thread, count);
    run_on(r, count);
}
