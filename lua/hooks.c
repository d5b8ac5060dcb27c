/* SPDX-License-Identifier: Apache-2.0 */
/* hooks.c — hooks in Lua: the implementation of query/hook.h that liblynse-lua is for.
 *
 * WHAT        A hook is its source.  A run borrows a pair of states, takes the compiled chunk from
 *             the state's cache, runs it in a fresh environment, and has the function that it
 *             returned; each batch is one protected call.
 * INVARIANTS  (1) Each call ends in time: within a few milliseconds of its deadline where the
 *                 script is not trusted.  A trusted source that held a thread past its deadline in
 *                 HOOK_OVERRUNS_MAX runs is begun no more.  Ours are left alone: what they do is
 *                 bounded by what they are given, and who searches in too little time must not take
 *                 them from others.
 *             (4) All calls for one batch share its room of steps and time.
 *             (2) A run's state is nobody else's until hook_end, and is closed there if a
 *                 budget was overrun.
 *             (3) What a run calls is new: nothing is left of an earlier one but compiled code.
 * THREADS     Hosts and hooks any, runs one.
 * FAILURE     A run that failed may be ended or go on, unless a budget was overrun: then each
 *             further call is HOOK.
 */
#include "lua/hooks.h"

#include <lauxlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "lua/convert.h"
#include "lua/hook_args.h"
#include "lua/lateness.h"
#include "lua/loader.h"
#include "lua/pool.h"
#include "lua/sandbox.h"

/* A trusted call that took less and was late came too late, or had no time to begin with. */
enum { OVERRUN_US = BUDGET_US };

struct lua_host {
    struct hook_host base; /* first */
    struct alloc *alloc;
    const struct clock *clock;
    struct pool pool;
    struct lateness lateness;
    struct loader *loader;
};

struct lua_hook {
    struct hook base; /* first */
    struct lua_host *host;
    struct chunk_key key;
    bool is_trusted;
    bool is_ours;
    struct slice options; /* behind the source */
    char source[];
};

struct lua_run {
    struct hook_run base; /* first */
    struct lua_hook *hook;
    struct state_pair *pair;
    struct state *state;
    uint64_t deadline_us;
    struct budget_room room; /* of the batch */
    bool is_repeat;          /* the next call is for the same batch */
    bool is_late;            /* it was noted */
};

static const char *const point_words[] = {
#define POINT_WORD(name, word) word,
    HOOK_POINTS(POINT_WORD)
#undef POINT_WORD
};

/* ---- Runs ---- */

struct opening {
    struct lua_hook *hook;
    struct state *state;
    int code; /* of what is raised now */
};

/* (3) */
static int open_run(lua_State *L)
{
    struct opening *o = lua_touserdata(L, 1);

    uint32_t names = chunk_cache_push(&o->state->chunks, L, &o->hook->key);
    o->code = LYNSE_HOOK;
    sandbox_push_environment(L, names);
    lua_setfenv(L, -2);
    lua_call(L, 0, 1);
    if (!lua_isfunction(L, -1))
        return luaL_error(L, "the source returns a %s instead of a function", luaL_typename(L, -1));
    state_set(L, o->state, STATE_FUNCTION);
    convert_push_document(L, o->hook->options);
    state_set(L, o->state, STATE_OPTIONS);
    hook_args_reset(L, o->state);
    return 0;
}

static void end(struct hook_run *run)
{
    struct lua_run *r = (struct lua_run *)run;
    struct lua_host *host = r->hook->host;

    pool_give_back(&host->pool, r->pair);
    mem_free(host->alloc, r);
}

static bool is_disabled(struct hook *hook)
{
    struct lua_hook *h = (struct lua_hook *)hook;
    return h->is_trusted && !h->is_ours && lateness_forbids(&h->host->lateness, &h->key.hash);
}

static int begin(struct hook *hook, uint64_t deadline_us, struct hook_run **out, struct error *err)
{
    struct lua_hook *h = (struct lua_hook *)hook;
    struct lua_host *host = h->host;

    if (is_disabled(hook))
        return error_set(err, LYNSE_HOOK,
                         "%s: disabled until the root is opened again: %d searches with it were "
                         "late by its fault",
                         h->key.name, HOOK_OVERRUNS_MAX);
    struct lua_run *r = mem_alloc(host->alloc, MEM_SCRIPT, sizeof *r);
    if (!r) return error_no_memory(err, sizeof *r);
    *r = (struct lua_run){.base = {hook->ops}, .hook = h, .deadline_us = deadline_us};
    if (pool_borrow(&host->pool, h->is_trusted, deadline_us, &r->pair, err) != 0) {
        mem_free(host->alloc, r);
        return -1;
    }
    r->state = r->pair->states[h->is_trusted];
    struct opening o = {.hook = h, .state = r->state, .code = LYNSE_PARSE};
    r->room = budget_room_of(0);
    struct state_call call = {h->key.name, open_run, &o, deadline_us, &r->room, &o.code};
    if (state_run(r->state, &call, err) != HOOK_DONE) {
        end(&r->base);
        return -1;
    }
    *out = &r->base;
    return 0;
}

/* ---- Calls ---- */

static const int hook_code = LYNSE_HOOK;

struct calling {
    struct state *state;
    const struct hook_batch *batch;
    struct hook_order *order;
};

static int run_score(lua_State *L)
{
    struct calling *c = lua_touserdata(L, 1);
    hook_args_score(L, c->state, c->batch);
    return 0;
}

static int run_rerank(lua_State *L)
{
    struct calling *c = lua_touserdata(L, 1);
    hook_args_rerank(L, c->state, c->order);
    return 0;
}

/* (1) A trusted call cannot be stopped; it is told.  The result that there is now. */
static enum hook_result check_late(struct lua_run *r, uint64_t began_us, enum hook_result result,
                                   struct error *err)
{
    struct lua_hook *h = r->hook;

    if (!h->is_trusted || !r->deadline_us) return result;
    uint64_t now_us = clock_now_us(h->host->clock);
    if (now_us <= r->deadline_us) return result;
    if (!r->is_late && !h->is_ours && now_us - began_us >= OVERRUN_US) {
        r->is_late = true;
        lateness_note(&h->host->lateness, &h->key.hash);
    }
    if (result == HOOK_FAILED) return result;
    return error_set(err, LYNSE_HOOK, "%s: ended %llu us after the deadline", h->key.name,
                     (unsigned long long)(now_us - r->deadline_us));
}

/* row_count: candidates of the batch that take time of their own. */
static enum hook_result call_function(struct lua_run *r, struct calling *c, lua_CFunction run,
                                      size_t row_count, struct hook_wants *wants, struct error *err)
{
    struct state *s = r->state;
    struct state_call call = {r->hook->key.name, run, c, r->deadline_us, &r->room, &hook_code};
    bool is_timed = r->hook->is_trusted && r->deadline_us;
    uint64_t began_us = is_timed ? clock_now_us(r->hook->host->clock) : 0;

    if (!r->is_repeat) r->room = budget_room_of(row_count); /* (4) */
    if (s->budget.end != BUDGET_HOLDS && s->budget.end != BUDGET_WANTS)
        return budget_error(&s->budget, r->hook->key.name, err);
    c->state = s;
    s->wants = wants;
    enum hook_result result = state_run(s, &call, err);
    s->wants = NULL;
    s->hits = NULL;
    r->is_repeat = result == HOOK_WANTS_MORE;
    return check_late(r, began_us, result, err);
}

static enum hook_result score(struct hook_run *run, const struct hook_batch *batch,
                              struct hook_wants *wants, struct error *err)
{
    struct lua_run *r = (struct lua_run *)run;
    struct calling c = {.batch = batch};

    CHECK(batch->row_count <= HOOK_BATCH_ROWS && batch->column_count <= wants->field_count);
    r->state->column_count = batch->column_count;
    return call_function(r, &c, run_score, batch->row_count, wants, err);
}

static enum hook_result rerank(struct hook_run *run, const struct hook_hits *hits,
                               struct hook_wants *wants, struct hook_order *out, struct error *err)
{
    struct lua_run *r = (struct lua_run *)run;
    struct calling c = {.order = out};

    if (hits->hit_count > HOOK_HITS_MAX)
        return error_set(err, LYNSE_LIMIT, "rerank of %zu hits, the limit is %d", hits->hit_count,
                         HOOK_HITS_MAX);
    r->state->hits = hits;
    return call_function(r, &c, run_rerank, 0, wants, err);
}

/* ---- Hooks and hosts ---- */

static void destroy(struct hook *hook)
{
    struct lua_hook *h = (struct lua_hook *)hook;
    mem_free(h->host->alloc, h);
}

/* out_script: NULL for a text that has no name. */
static int find_source(const struct lua_host *host, const struct hook_desc *desc,
                       const struct loader_script **out_script, struct slice *out,
                       struct error *err)
{
    struct slice name = desc->builtin.size > 0 ? desc->builtin : desc->source;

    *out_script = NULL;
    *out = desc->source;
    if (loader_is_name(name) || desc->builtin.size > 0) {
        if (loader_find(host->loader, desc->point, name, out_script, err) != 0) return -1;
        *out = (*out_script)->source;
    }
    if (out->size > HOOK_SOURCE_BYTES_MAX)
        return error_set(err, LYNSE_LIMIT, "%s: source of %zu bytes, the limit is %d",
                         point_words[desc->point], out->size, HOOK_SOURCE_BYTES_MAX);
    if (desc->options.size > HOOK_OPTIONS_BYTES_MAX)
        return error_set(err, LYNSE_LIMIT, "%s: options of %zu bytes, the limit is %d",
                         point_words[desc->point], desc->options.size, HOOK_OPTIONS_BYTES_MAX);
    return 0;
}

/* With copies of the source and the options; NULL: no memory. */
static struct lua_hook *make_hook(struct lua_host *host, const struct lua_hook *from)
{
    struct slice source = from->key.source, options = from->options;
    struct lua_hook *h = mem_alloc(host->alloc, MEM_SCRIPT, sizeof *h + source.size + options.size);

    if (!h) return NULL;
    *h = *from;
    h->host = host;
    if (source.size) memcpy(h->source, source.data, source.size);
    h->key.source = slice_of(h->source, source.size);
    h->options = slice_of(h->source + source.size, options.size);
    if (options.size) memcpy(h->source + source.size, options.data, options.size);
    return h;
}

/* Compile it, and take it to where it returns its function. */
static int try_hook(struct lua_hook *h, uint64_t deadline_us, struct error *err)
{
    struct hook_run *run;

    if (begin(&h->base, deadline_us, &run, err) != 0) return -1;
    end(run);
    return 0;
}

static int prepare(struct hook_host *host_base, const struct hook_desc *desc, struct hook **out,
                   struct error *err)
{
    struct lua_host *host = (struct lua_host *)host_base;
    const struct loader_script *script;
    struct slice source;

    if (find_source(host, desc, &script, &source, err) != 0) return -1;
    const struct lua_hook from = {
        .base = {host->base.ops, desc->point},
        .is_trusted = desc->is_trusted || script,
        .is_ours = script && script->is_ours,
        .key = {.name = script ? script->path : point_words[desc->point],
                .hash = script ? script->hash : hash_xxh3_128(source.data, source.size),
                .source = source},
        .options = slice_of(desc->options.data, desc->options.size),
    };
    struct lua_hook *h = make_hook(host, &from);
    if (!h) return error_no_memory(err, sizeof *h + source.size + desc->options.size);
    if (try_hook(h, desc->deadline_us, err) != 0) {
        destroy(&h->base);
        return -1;
    }
    *out = &h->base;
    return 0;
}

static const struct hook_ops ops = {prepare, destroy, begin, score, rerank, end, is_disabled};

/* Each script of the folder, as a search would begin it, but with budgets: one that does not end
 * must not keep the root from opening for good. */
static int try_folder(struct lua_host *host, const char *folder, struct error *err)
{
    size_t count;
    const struct loader_script *scripts = loader_scripts(host->loader, &count);

    for (size_t i = 0; i < count; i++) {
        const struct loader_script *s = &scripts[i];
        if (s->is_ours) continue;
        const struct lua_hook from = {
            .base = {host->base.ops, s->point},
            .key = {.name = s->path, .hash = s->hash, .source = s->source},
        };
        struct lua_hook *h = make_hook(host, &from);
        if (!h) return error_no_memory(err, sizeof *h + s->source.size);
        int rc = try_hook(h, 0, err);
        destroy(&h->base);
        if (rc != 0) return error_wrap(err, "scripts in %s", folder);
    }
    return 0;
}

int lua_host_create(const struct lua_host_desc *desc, struct hook_host **out, struct error *err)
{
    struct lua_host *host = mem_zalloc(desc->alloc, MEM_SCRIPT, sizeof *host);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned pair_max = desc->pair_max;

    if (!host) return error_no_memory(err, sizeof *host);
    if (loader_open(desc->alloc, desc->scripts_dir, &host->loader, err) != 0) {
        mem_free(desc->alloc, host);
        return -1;
    }
    if (pair_max == 0) pair_max = processors > 0 ? 2 * (unsigned)processors : 2;
    host->base.ops = &ops;
    host->alloc = desc->alloc;
    host->clock = desc->clock ? desc->clock : clock_system();
    pool_init(&host->pool, host->alloc, host->clock, pair_max);
    lateness_init(&host->lateness);
    if (desc->scripts_dir && try_folder(host, desc->scripts_dir, err) != 0) {
        lua_host_destroy(&host->base);
        return -1;
    }
    *out = &host->base;
    return 0;
}

void lua_host_destroy(struct hook_host *base)
{
    struct lua_host *host = (struct lua_host *)base;

    if (!host) return;
    lateness_deinit(&host->lateness);
    pool_deinit(&host->pool);
    loader_close(host->loader);
    mem_free(host->alloc, host);
}
