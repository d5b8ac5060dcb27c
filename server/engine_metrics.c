/* SPDX-License-Identifier: Apache-2.0 */
/* engine_metrics.c — what the method `metrics` is made of. */
#include <string.h>

#include "server/engine_natives.h"
#include "server/loop.h"
#include "server/metrics.h"
#include "server/opened_names.h"
#include "server/server.h"

/* opened_collections() → { { database =, collection = }, … } */
static int opened_collections(lua_State *L)
{
    struct opened_names *opened = &loop_of(L)->server->opened;
    struct opened_name name;

    lua_newtable(L);
    for (int i = 0; opened_names_at(opened, (size_t)i, &name) == 0; i++) {
        const char *slash = strchr(name.text, '/');
        lua_createtable(L, 0, 3);
        lua_pushlstring(L, name.text, (size_t)(slash - name.text));
        lua_setfield(L, -2, "database");
        lua_pushstring(L, slash + 1);
        lua_setfield(L, -2, "collection");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* forget_collection(database, collection): it is not there any more */
static int forget_collection(lua_State *L)
{
    const char *name = lua_pushfstring(L, "%s/%s", engine_text(L, 1), engine_text(L, 2));

    opened_names_remove(&loop_of(L)->server->opened, name);
    lua_pushboolean(L, 1);
    return 1;
}

/* Buffers that outlive an error of Lua's are the request's: freed with its arena. */
static int push_text(lua_State *L)
{
    struct buf *out = lua_touserdata(L, 2);

    metrics_write_collections(L, 1, out);
    if (!buf_ok(out)) return luaL_error(L, "not enough memory");
    lua_pushlstring(L, (const char *)out->data, out->size);
    return 1;
}

/* metrics_text(collections) → text; each of the list's entries has its info besides */
static int metrics_text(lua_State *L)
{
    struct loop *l = loop_of(L);
    struct buf out;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    buf_init(&out, l->alloc, MEM_MESSAGE);
    metrics_write_server(l, &out);
    lua_pushcfunction(L, push_text);
    lua_insert(L, 1);
    lua_pushlightuserdata(L, &out);
    int status = lua_pcall(L, 2, 1, 0);
    buf_deinit(&out);
    return status == 0 ? 1 : lua_error(L);
}

const luaL_Reg engine_natives_metrics[] = {{"opened_collections", opened_collections},
                                           {"forget_collection", forget_collection},
                                           {"metrics_text", metrics_text},
                                           {NULL, NULL}};
