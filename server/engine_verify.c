/* SPDX-License-Identifier: Apache-2.0 */
/* engine_verify.c — a collection looked at: it reads all of it, on a worker, and ends when the
 * request is cancelled. */
#include "server/engine_natives.h"

struct verify_call {
    struct engine_call base;
    struct lynse_collection *collection;
    struct lynse_verify_desc desc;
    struct lynse_names *findings, *indexes;
};

static void work_verify(struct engine_call *base)
{
    struct verify_call *call = (struct verify_call *)base;
    base->code = lynse_verify(call->collection, &call->desc, &call->findings, &base->error);
}

static void push_list(lua_State *L, const struct lynse_names *names)
{
    lua_createtable(L, (int)names->count, 0);
    for (size_t i = 0; i < names->count; i++) {
        lua_pushstring(L, names->names[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    luaL_getmetatable(L, "lynse.array");
    lua_setmetatable(L, -2);
}

static int push_report(lua_State *L, struct engine_call *base)
{
    const struct verify_call *call = (const struct verify_call *)base;

    lua_createtable(L, 0, 2);
    push_list(L, call->findings);
    lua_setfield(L, -2, "findings");
    push_list(L, call->indexes);
    lua_setfield(L, -2, "indexes");
    return 1;
}

static void drop_report(struct engine_call *base)
{
    struct verify_call *call = (struct verify_call *)base;
    lynse_names_free(call->findings);
    lynse_names_free(call->indexes);
}

/* verify(collection, level: 1 to 3) → { findings, indexes } */
static int verify(lua_State *L)
{
    struct lynse_collection *c = engine_collection_check(L, 1);
    struct verify_call *call = engine_call_new(L, sizeof *call, work_verify, push_report);

    call->base.drop = drop_report;
    call->collection = c;
    call->desc = (struct lynse_verify_desc){
        .struct_bytes = sizeof call->desc,
        .level = (uint32_t)luaL_checkinteger(L, 2),
        .cancel = &call->base.request->is_cancelled,
        .out_indexes = &call->indexes,
    };
    return engine_call_run(L, &call->base, false);
}

const luaL_Reg engine_natives_verify[] = {{"verify", verify}, {NULL, NULL}};
