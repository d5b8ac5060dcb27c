/* SPDX-License-Identifier: Apache-2.0 */
/* engine_hooks.c — hooks that collections keep: set, dropped, listed.  All of it waits for the
 * collection's actor, and so runs on a worker.
 *
 * What comes over the wire is trusted only where the whole root is (--trust-scripts). */
#include "lua/module/documents.h"
#include "lua/module/scalars.h"
#include "server/arguments.h"
#include "server/engine_natives.h"

struct hook_call {
    struct engine_call base;
    struct lynse_collection *collection;
    struct lynse_hook_desc desc;
    struct lynse_hooks *hooks;
    uint64_t version;
};

static const char *const policies[] = {"fail", "skip", NULL}; /* by their numbers */

static struct hook_call *hook_call_new(lua_State *L, void (*work)(struct engine_call *),
                                       int (*push)(lua_State *, struct engine_call *))
{
    struct lynse_collection *c = engine_collection_check(L, 1);
    struct hook_call *call = engine_call_new(L, sizeof *call, work, push);
    call->collection = c;
    call->desc.struct_bytes = sizeof call->desc;
    return call;
}

static void work_set_hook(struct engine_call *base)
{
    struct hook_call *call = (struct hook_call *)base;
    base->code = lynse_hook_set(call->collection, &call->desc, &call->version, &base->error);
}

static int push_version(lua_State *L, struct engine_call *base)
{
    scalar_push_uint(L, ((struct hook_call *)base)->version);
    return 1;
}

/* set_hook(collection, point, source, options or nil, on_failure or nil) → version */
static int set_hook(lua_State *L)
{
    struct hook_call *call = hook_call_new(L, work_set_hook, push_version);
    const struct request *r = call->base.request;
    const struct block *options = block_borrow(L, 4, ARGUMENT_DOCUMENT, r->number);

    call->desc.point = engine_keep_text(L, r, engine_text(L, 2));
    call->desc.source = engine_keep_text(L, r, engine_text(L, 3));
    if (options) call->desc.options = options->as.documents[0];
    call->desc.on_failure = (uint32_t)luaL_checkoption(L, 5, policies[0], policies);
    return engine_call_run(L, &call->base, false);
}

static void work_drop_hook(struct engine_call *base)
{
    struct hook_call *call = (struct hook_call *)base;
    base->code = lynse_hook_drop(call->collection, call->desc.point, &base->error);
}

static int push_done(lua_State *L, struct engine_call *base)
{
    (void)base;
    lua_pushboolean(L, 1);
    return 1;
}

/* drop_hook(collection, point) */
static int drop_hook(lua_State *L)
{
    struct hook_call *call = hook_call_new(L, work_drop_hook, push_done);

    call->desc.point = engine_keep_text(L, call->base.request, engine_text(L, 2));
    return engine_call_run(L, &call->base, false);
}

static void work_list_hooks(struct engine_call *base)
{
    struct hook_call *call = (struct hook_call *)base;
    base->code = lynse_hook_list(call->collection, &call->hooks, &base->error);
}

static void drop_list(struct engine_call *base)
{
    lynse_hooks_free(((struct hook_call *)base)->hooks);
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void push_hook(lua_State *L, const struct lynse_hook_info *hook)
{
    lua_createtable(L, 0, 8);
    set_text(L, "point", hook->point);
    set_text(L, "source", hook->source);
    set_text(L, "on_failure", policies[hook->on_failure == LYNSE_HOOK_SKIP]);
    scalar_push_uint(L, hook->version);
    lua_setfield(L, -2, "version");
    lua_pushboolean(L, hook->is_trusted != 0);
    lua_setfield(L, -2, "is_trusted");
    lua_pushboolean(L, hook->is_disabled != 0);
    lua_setfield(L, -2, "is_disabled");
    if (hook->options.size)
        document_push(L, slice_of(hook->options.data, hook->options.size), DOCUMENT_EXACT);
    else lua_newtable(L);
    lua_setfield(L, -2, "options");
}

static int push_hooks(lua_State *L, struct engine_call *base)
{
    const struct lynse_hooks *hooks = ((struct hook_call *)base)->hooks;

    lua_createtable(L, (int)hooks->count, 0);
    for (size_t i = 0; i < hooks->count; i++) {
        push_hook(L, &hooks->hooks[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    luaL_getmetatable(L, "lynse.array");
    lua_setmetatable(L, -2);
    return 1;
}

/* list_hooks(collection) → a list of { point, source, options, on_failure, version, is_trusted,
 * is_disabled } */
static int list_hooks(lua_State *L)
{
    struct hook_call *call = hook_call_new(L, work_list_hooks, push_hooks);

    call->base.drop = drop_list;
    return engine_call_run(L, &call->base, false);
}

const luaL_Reg engine_natives_hooks[] = {
    {"set_hook", set_hook}, {"drop_hook", drop_hook}, {"list_hooks", list_hooks}, {NULL, NULL}};
