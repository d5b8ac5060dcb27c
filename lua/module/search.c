/* SPDX-License-Identifier: Apache-2.0 */
/* search.c — searches, and in them functions of the program that asks.
 *
 * WHAT        score and rerank are functions of the caller's own state, called on its thread in the
 *             middle of lynse_search (LYNSE_ONE_THREAD).  The Lua part has a runner for each: it
 *             makes what the program's function wants to see and looks at what it answers.  What
 *             the two sides share is one struct in memory of the FFI, search_view.
 * INVARIANTS  (1) Nothing raises through the library: between lynse_search and a runner there is a
 *                 lua_pcall, and what comes before it neither allocates nor raises.
 *             (2) What search_view points to is valid while a runner runs; afterwards it is empty.
 *             (3) While a runner may run its root is not closed (handles.h).
 *             (4) Each call leaves the stack as it was, but for the place of the failure.
 * THREADS     That of the state.
 * FAILURE     A runner's error is the search's: HOOK, with the text and traceback.  A runner that
 *             answers true ends the search: it lacks fields, and the Lua part begins anew.
 */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "lua/module/failure.h"
#include "lua/module/natives.h"
#include "lua/module/scalars.h"
#include "lua/module/search_call.h"

static const char call_name[] = "lynse.search_call";

#define STANDARD_EPS 1e-4f

struct search_call *search_call_check(lua_State *L, int index)
{
    return luaL_checkudata(L, index, call_name);
}

/* Run the runner at `runner_at`; 0, or the search is to fail. */
static int run(struct search_call *call, const char *hook, int runner_at, size_t count)
{
    lua_State *L = call->L;
    int top = lua_gettop(L);

    lua_pushvalue(L, runner_at);
    lua_pushinteger(L, (lua_Integer)count);
    lua_pushvalue(L, CALL_AT);
    int status = lua_pcall(L, 2, 1, TRACEBACK_AT); /* (1) */
    bool is_refused = status == 0 && lua_toboolean(L, -1);
    if (status != 0) {
        call->failed_hook = hook;
        lua_replace(L, FAILURE_AT);
    }
    lua_settop(L, top); /* (4) */
    return status != 0 || is_refused;
}

static int on_score(void *ctx, size_t count, const float *distances, const double *const *fields,
                    float *out)
{
    struct search_call *call = ctx;
    struct search_view *v = call->view;

    memcpy(out, distances, count * sizeof *out); /* what the function leaves alone stays */
    v->distances = distances;
    v->out = out;
    for (size_t i = 0; i < call->field_count; i++) v->columns[i] = fields[i];
    int rc = run(call, "score", SCORE_AT, count);
    memset(v, 0, sizeof *v); /* (2) */
    return rc;
}

static int on_rerank(void *ctx, const struct lynse_hits *hits, size_t *inout_count,
                     uint32_t *places, float *scores)
{
    struct search_call *call = ctx;
    struct search_view *v = call->view;

    v->vectors = hits->vectors;
    v->places = places;
    v->scores = scores;
    v->count = (double)hits->count;
    v->dim = hits->dim;
    call->hits = hits;
    int rc = run(call, "rerank", RERANK_AT, hits->count);
    call->hits = NULL;
    *inout_count = (size_t)v->count;
    memset(v, 0, sizeof *v); /* (2) */
    return rc;
}

/* hook_hits(call) → the hits that a rerank is about, for its runner */
static int push_hook_hits(lua_State *L)
{
    struct search_call *call = search_call_check(L, 1);

    if (!call->hits) return luaL_error(L, "the search is over");
    /* Not its vectors: the view points to them. */
    struct lynse_hits hits = *call->hits;
    hits.vectors = NULL;
    hits_push(L, &hits, 0, hits.count, HITS_PLAIN);
    return 1;
}

/* ---- The request ---- */

static bool has_option(struct options *o, const char *name)
{
    lua_pushstring(o->L, name);
    lua_rawget(o->L, o->index);
    bool is_there = !lua_isnil(o->L, -1);
    lua_pop(o->L, 1);
    return is_there;
}

/* A 0 that is written down is a mistake, as a server says too; in C it stands for the default. */
static uint32_t read_wanted(struct options *o, const char *name)
{
    uint32_t wanted = option_u32(o, name);

    if (wanted == 0 && !options_failed(o) && has_option(o, name))
        error_set(&o->err, LYNSE_INVALID, "%s: 0, must be 1 to %d", name, LIMIT_K);
    return wanted;
}

/* One option by the names that it has for kinds of indexes; 0: none of them. */
static uint32_t read_effort(struct options *o)
{
    static const char *const names[] = {"ef", "nprobe", "beam"};
    const char *from = NULL;
    uint32_t effort = 0;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint32_t value = option_u32(o, names[i]);
        if (value == 0 || options_failed(o)) continue;
        if (value > LIMIT_EFFORT)
            error_set(&o->err, LYNSE_LIMIT, "%s: %u, at most %d", names[i], value, LIMIT_EFFORT);
        if (from && value != effort) {
            error_set(&o->err, LYNSE_INVALID, "%s: %u, but %s: %u; they are one option", names[i],
                      value, from, effort);
            return 0;
        }
        from = names[i];
        effort = value;
    }
    return effort;
}

static float read_oversample(struct options *o)
{
    float times = option_f32(o, "oversample");

    if (!options_failed(o) && has_option(o, "oversample") &&
        !(times >= 1 && times <= LIMIT_OVERSAMPLE))
        error_set(&o->err, LYNSE_LIMIT, "oversample: %g, must be 1 to %d", (double)times,
                  LIMIT_OVERSAMPLE);
    return times;
}

/* 0: none, for `eps` says nothing without `approx`. */
static float read_eps(struct options *o)
{
    float eps = has_option(o, "eps") ? option_f32(o, "eps") : STANDARD_EPS;

    return option_flag(o, "approx") ? eps : 0;
}

static void read_request(struct options *o, struct lynse_search_desc *desc)
{
    desc->k = read_wanted(o, "k");
    desc->flags = (option_flag(o, "fields") ? LYNSE_WITH_FIELDS : 0u) |
                  (option_flag(o, "vectors") ? LYNSE_WITH_VECTORS : 0u);
    desc->where = option_text(o, "where");
    if (option_is_false(o, "hooks")) desc->flags |= LYNSE_NO_HOOKS;
    desc->effort = read_effort(o);
    desc->oversample = read_oversample(o);
    desc->eps = read_eps(o);
    desc->score_mode = option_score_mode(o);
    if (option_flag(o, "pages")) desc->flags |= LYNSE_PAGES;
    if (option_flag(o, "exact")) desc->flags |= LYNSE_EXACT;
    desc->timeout_us = option_u64(o, "timeout_us");
    desc->max_results = read_wanted(o, "max_results");
    if (has_option(o, "range")) {
        desc->threshold = option_f32(o, "range");
        desc->flags |= LYNSE_RANGE;
    }
}

/* hooks.names into the call; the texts are the table's. */
static void read_names(lua_State *L, struct search_call *call)
{
    lua_getfield(L, HOOKS_AT, "names");
    size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    if (count > HOOK_FIELDS) luaL_error(L, "score reads more than %d fields", HOOK_FIELDS);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        call->field_names[call->field_count++] = luaL_checkstring(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static struct search_call *push_call(lua_State *L)
{
    struct search_call *call = lua_newuserdata(L, sizeof *call);

    *call = (struct search_call){.L = L};
    if (luaL_newmetatable(L, call_name)) {
        lua_pushcfunction(L, search_call_finalize);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    call->score =
        (struct lynse_score_callback){on_score, call, call->field_names, 0, LYNSE_ONE_THREAD};
    call->rerank =
        (struct lynse_rerank_callback){on_rerank, call, LYNSE_WITH_FIELDS | LYNSE_WITH_VECTORS};
    return call;
}

/* From hooks.view and .names; the table of hooks keeps them. */
static void read_hooks(lua_State *L, struct search_call *call)
{
    if (!lua_istable(L, HOOKS_AT)) return;
    lua_getfield(L, HOOKS_AT, "view");
    if (lua_type(L, -1) != SCALAR_TCDATA) luaL_error(L, "hooks.view: memory of the FFI expected");
    call->view = (struct search_view *)lua_topointer(L, -1);
    lua_pop(L, 1);
    read_names(L, call);
    call->score.field_count = call->field_count;
}

void search_call_place_hooks(lua_State *L, struct search_call *call)
{
    static const char *const members[] = {"score", "rerank", "traceback"};
    bool has_hooks = lua_istable(L, HOOKS_AT);

    call->L = L;
    call->failed_hook = NULL;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (has_hooks) lua_getfield(L, HOOKS_AT, members[i]);
        else lua_pushnil(L);
    }
    lua_pushnil(L); /* FAILURE_AT */
}

/* A source text stays one, a runner becomes a callback. */
static void set_hooks(lua_State *L, struct lynse_search_desc *desc, struct options *o,
                      struct search_call *call)
{
    if (lua_isfunction(L, SCORE_AT)) desc->score_callback = &call->score;
    else desc->score = option_text(o, "score");
    if (lua_isfunction(L, RERANK_AT)) desc->rerank_callback = &call->rerank;
    else desc->rerank = option_text(o, "rerank");
}

/* A text gets its options as a map; a program's function gets them as they are. */
static void read_hook_options(struct options *o, struct lynse_search_desc *desc, struct buf *bytes)
{
    if (!lua_isfunction(o->L, SCORE_AT)) option_map(o, "score_options", bytes);
    size_t score_bytes = bytes->size;
    if (!lua_isfunction(o->L, RERANK_AT)) option_map(o, "rerank_options", bytes);
    if (options_failed(o)) return;
    desc->score_options = (struct lynse_bytes){bytes->data, score_bytes};
    desc->rerank_options = (struct lynse_bytes){
        bytes->size > score_bytes ? bytes->data + score_bytes : NULL, bytes->size - score_bytes};
}

struct search_call *search_call_prepare(lua_State *L, struct options *o,
                                        struct lynse_search_desc *desc)
{
    luaL_checktype(L, OPTIONS_AT, LUA_TTABLE);
    lua_settop(L, HOOKS_AT);
    luaL_checkstack(L, STACK_ROOM, "search");
    const struct vectors_view *vectors = vectors_borrow(L, VECTORS_AT);
    struct module_scratch *s = handle_push_scratch(L);
    struct search_call *call = push_call(L);
    search_call_place_hooks(L, call);
    read_hooks(L, call);
    *desc = (struct lynse_search_desc){.struct_bytes = sizeof *desc,
                                       .dim = (uint32_t)vectors->dim,
                                       .vector = vectors->values,
                                       .query_count = (size_t)vectors->count,
                                       .error = &call->err};
    read_request(o, desc);
    call->form = option_flag(o, "numbers") ? HITS_NUMBERS : 0;
    set_hooks(L, desc, o, call);
    read_hook_options(o, desc, &s->bytes);
    return options_failed(o) ? NULL : call;
}

/* ---- The answer ---- */

int search_call_push_failure(lua_State *L, const struct search_call *call)
{
    if (!call->failed_hook) return failure_push(L, &call->err);
    lua_pushnil(L);
    lua_pushcfunction(L, failure_new);
    lua_pushliteral(L, "HOOK");
    lua_pushfstring(L, "%s: %s", call->failed_hook,
                    lua_type(L, FAILURE_AT) == LUA_TSTRING ? lua_tostring(L, FAILURE_AT)
                                                           : "an error without a text");
    lua_call(L, 2, 1);
    return 2;
}

int search_call_push_hits(lua_State *L, const struct search_call *call,
                          const struct lynse_hits *hits)
{
    hits_push_queries(L, hits, call->form);
    return 2;
}

/* ---- The call ---- */

/* Each search takes some 90 KiB of the C stack, which nobody else watches. */
enum { NESTED_MAX = 8 };
static _Thread_local int nested;

void search_call_enter(lua_State *L, struct search_call *call, struct module_root *root)
{
    if (nested >= NESTED_MAX)
        luaL_error(L, "searches within each other's functions: at most %d", NESTED_MAX);
    nested++;
    root->hook_depth++; /* (3) */
    call->is_running = true;
}

void search_call_leave(struct search_call *call, struct module_root *root)
{
    call->is_running = false;
    root->hook_depth--;
    nested--;
}

/* search(collection, options, vectors, hooks or nil) → a list of hits, one for each query, and bits
 * of the hooks that were skipped */
static int search(lua_State *L)
{
    struct options o = options_of(L, OPTIONS_AT);
    struct lynse_search_desc desc;

    handle_check_collection(L, 1);
    struct search_call *call = search_call_prepare(L, &o, &desc);
    if (!call) return failure_push_error(L, &o.err);
    struct module_collection *c = handle_check_collection(L, 1);
    struct module_scratch *s = lua_touserdata(L, SCRATCH_AT);
    search_call_enter(L, call, c->root);
    int code = lynse_search(c->collection, &desc, &s->hits);
    search_call_leave(call, c->root);
    if (code != LYNSE_OK) return search_call_push_failure(L, call);
    search_call_push_hits(L, call, s->hits);
    scratch_clear(s);
    return 2;
}

/* check_search(nil, options, vectors) → true: what a search without a server would not refuse */
static int check_search(lua_State *L)
{
    struct options o = options_of(L, OPTIONS_AT);
    struct lynse_search_desc desc;

    if (!search_call_prepare(L, &o, &desc)) return failure_push_error(L, &o.err);
    scratch_clear(lua_touserdata(L, SCRATCH_AT));
    lua_pushboolean(L, 1);
    return 1;
}

const luaL_Reg native_search[] = {{"search", search},
                                  {"hook_hits", push_hook_hits},
                                  {"check_search", check_search},
                                  {NULL, NULL}};
