/* SPDX-License-Identifier: Apache-2.0 */
/* steps.c — searches that a program carries on by and by: begin, step, cancel.
 *
 * WHAT        The userdata of the search (search_call.h) has the library's search in it; its
 *             environment keeps the root's userdata and the table of hooks.
 * INVARIANTS  (1) call->search is touched while its root is open only: lynse_close ends it.
 *             (2) A step of a search does not run within another step of it, nor its cancel: its
 *                 functions may do anything else.
 *             (3) Each step lays the stack out anew: it may be another coroutine's.
 * THREADS     That of the state.
 * FAILURE     After an error the search is over.  __gc cancels one that was forgotten.
 */
#include <string.h>

#include "base/limits.h"
#include "lua/module/failure.h"
#include "lua/module/natives.h"
#include "lua/module/search_call.h"

/* search_begin(collection, options, vectors, hooks or nil) → call */
static int begin_search(lua_State *L)
{
    struct options o = options_of(L, OPTIONS_AT);
    struct lynse_search_desc desc;

    handle_check_collection(L, 1);
    struct search_call *call = search_call_prepare(L, &o, &desc);
    if (!call) return failure_push_error(L, &o.err);
    lua_pushvalue(L, CALL_AT);
    call->root = handle_keep_root(L, 1);
    lua_getfenv(L, -1);
    lua_pushvalue(L, HOOKS_AT);
    lua_rawseti(L, -2, 2); /* the first one is the root */
    lua_pop(L, 1);
    struct module_collection *c = handle_check_collection(L, 1);
    call->is_paged = desc.flags & LYNSE_PAGES;
    if (lynse_search_begin(c->collection, &desc, &call->search) != LYNSE_OK)
        return search_call_push_failure(L, call);
    scratch_clear(lua_touserdata(L, SCRATCH_AT)); /* the library has copied the options of hooks */
    return 1;
}

/* The search that goes on; raises where there is none (1), or it is this one that asks (2). */
static struct search_call *check_going(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) luaL_error(L, "the search is over");
    struct search_call *call = search_call_check(L, 1);
    if (call->is_running) luaL_error(L, "the search is in the middle of a step");
    if (!call->search) luaL_error(L, "the search is over");
    if (!call->root->db) luaL_error(L, "the search's database is closed");
    return call;
}

/* search_step(call, budget_us) → false: there is more to do; a list of hits and bits of the hooks
 * that were skipped; nil and an error */
static int step_search(lua_State *L)
{
    lua_Number budget_us = luaL_checknumber(L, 2);

    luaL_argcheck(L, budget_us >= 0 && budget_us <= 1e12, 2, "a number of microseconds expected");
    check_going(L);
    luaL_checkstack(L, STACK_ROOM, "search");
    lua_settop(L, VECTORS_AT); /* (3) */
    lua_getfenv(L, 1);
    lua_rawgeti(L, -1, 2);
    lua_replace(L, HOOKS_AT);
    struct module_scratch *s = handle_push_scratch(L);
    lua_pushvalue(L, 1);
    search_call_place_hooks(L, lua_touserdata(L, CALL_AT));
    struct search_call *call = check_going(L);
    search_call_enter(L, call, call->root);
    int code = lynse_search_step(call->search, (uint64_t)budget_us, &s->hits);
    search_call_leave(call, call->root);
    if (code == LYNSE_MORE) {
        scratch_clear(s);
        lua_pushboolean(L, 0);
        return 1;
    }
    if (code != LYNSE_OK || !call->is_paged) call->search = NULL;
    if (code != LYNSE_OK) return search_call_push_failure(L, call);
    int count = search_call_push_hits(L, call, s->hits);
    scratch_clear(s);
    return count;
}

/* search_next(call, k) → true; nil and an error */
static int ask_for_next(lua_State *L)
{
    struct search_call *call = check_going(L);
    lua_Number k = luaL_checknumber(L, 2);

    luaL_argcheck(L, k >= 1 && k <= LIMIT_K && k == (double)(uint32_t)k, 2,
                  "a whole number from 1 to 100,000 expected");
    memset(&call->err, 0, sizeof call->err);
    if (lynse_search_next(call->search, (uint32_t)k) != LYNSE_OK)
        return failure_push(L, &call->err);
    lua_pushboolean(L, 1);
    return 1;
}

/* search_cancel(call or nil) */
static int cancel_search(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) return 0;
    struct search_call *call = search_call_check(L, 1);
    if (call->is_running) return luaL_error(L, "the search is in the middle of a step");
    if (call->search && call->root->db) lynse_search_cancel(call->search);
    call->search = NULL;
    return 0;
}

int search_call_finalize(lua_State *L)
{
    struct search_call *call = search_call_check(L, 1);

    if (call->is_running) return 0; /* os.exit in a search closes the state and the process */
    if (call->search && call->root->db) lynse_search_cancel(call->search); /* (1) */
    call->search = NULL;
    return 0;
}

const luaL_Reg native_steps[] = {{"search_begin", begin_search},
                                 {"search_step", step_search},
                                 {"search_next", ask_for_next},
                                 {"search_cancel", cancel_search},
                                 {NULL, NULL}};
