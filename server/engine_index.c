/* SPDX-License-Identifier: Apache-2.0 */
/* engine_index.c — indexes of collections: asked for, removed.  Both wait for the collection's
 * actor, and so run on a worker. */
#include "lua/module/failure.h"
#include "lua/module/index_table.h"
#include "server/engine_natives.h"

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

/* build_index(collection, mode, params or nil, wait) */
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
    if (!lua_toboolean(L, 4)) d->flags |= LYNSE_INDEX_NO_WAIT;
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

const luaL_Reg engine_natives_index[] = {
    {"build_index", build_index}, {"remove_index", remove_index}, {NULL, NULL}};
