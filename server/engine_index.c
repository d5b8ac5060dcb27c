/* SPDX-License-Identifier: Apache-2.0 */
/* engine_index.c — indexes of collections: asked for, removed, waited for.  The first two wait for
 * the collection's actor, and so run on a worker; a build takes longer than a worker can be spared,
 * so that a method looks at how far it is and pauses in between. */
#include "lua/module/failure.h"
#include "lua/module/index_table.h"
#include "server/engine_natives.h"
#include "server/loop.h"

struct index_call {
    struct engine_call base;
    struct lynse_collection *collection;
    struct lynse_index_desc desc;
    struct lynse_index_param params[LIMIT_INDEX_PARAMS];
};

static struct index_call *index_call_new(lua_State *L, void (*work)(struct engine_call *),
                                         int (*push)(lua_State *, struct engine_call *))
{
    struct lynse_collection *c = engine_collection_check(L, 1);
    struct index_call *call = engine_call_new(L, sizeof *call, work, push);
    call->collection = c;
    return call;
}

static int push_done(lua_State *L, struct engine_call *base)
{
    (void)base;
    lua_pushboolean(L, 1);
    return 1;
}

static void work_build(struct engine_call *base)
{
    struct index_call *call = (struct index_call *)base;
    base->code = lynse_index_set(call->collection, &call->desc, &base->error);
}

/* build_index(collection, mode, params or nil): begun, not done */
static int build_index(lua_State *L)
{
    struct index_call *call = index_call_new(L, work_build, push_done);
    const struct request *r = call->base.request;
    struct lynse_index_desc *d = &call->desc;
    struct error wrong = {0};

    if (index_table_read_params(L, 3, call->params, &d->param_count, &wrong) != 0)
        return failure_push_error(L, &wrong);
    for (size_t i = 0; i < d->param_count; i++)
        call->params[i].name = engine_keep_text(L, r, call->params[i].name);
    d->struct_bytes = sizeof *d;
    d->params = call->params;
    d->mode = engine_keep_text(L, r, engine_text(L, 2));
    d->flags = LYNSE_INDEX_NO_WAIT;
    return engine_call_run(L, &call->base, false);
}

static void work_remove(struct engine_call *base)
{
    base->code = lynse_remove_index(((struct index_call *)base)->collection, &base->error);
}

/* remove_index(collection) */
static int remove_index(lua_State *L)
{
    return engine_call_run(L, &index_call_new(L, work_remove, push_done)->base, false);
}

/* ---- Pauses ---- */

struct pause_call {
    struct engine_call base;
    uv_timer_t timer;
    const char *what; /* is waited for */
};

/* The request may go from now on: nothing of the call is in the loop any more. */
static void on_closed(uv_handle_t *timer)
{
    struct pause_call *call = timer->data;

    (void)engine_call_is_in_vain(&call->base, call->what, call->what);
    engine_call_done(&call->base);
}

static void on_time(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, on_closed);
}

/* pause(ms, what) → true; CANCELLED, DEADLINE, with `what` as the text, when the request is over.
 */
static int pause_for(lua_State *L)
{
    uint64_t ms = (uint64_t)luaL_checkinteger(L, 1);
    struct pause_call *call = engine_call_new(L, sizeof *call, NULL, push_done);
    struct request *r = call->base.request;
    uint64_t left_ms = engine_call_timeout_us(r) / 1000 + 1;

    call->what = engine_keep_text(L, r, engine_text(L, 2));
    call->timer.data = call;
    uv_timer_init(&r->loop->uv, &call->timer);
    uv_timer_start(&call->timer, on_time, ms < left_ms ? ms : left_ms, 0);
    return engine_call_wait(L, &call->base);
}

const luaL_Reg engine_natives_index[] = {{"build_index", build_index},
                                         {"remove_index", remove_index},
                                         {"pause", pause_for},
                                         {NULL, NULL}};
