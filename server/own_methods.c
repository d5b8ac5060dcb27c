/* SPDX-License-Identifier: Apache-2.0 */
#include "server/own_methods.h"

#include <lua.h>
#include <string.h>

#include "lua/script_folder.h"
#include "server/loop.h"
#include "server/server.h"

static const char kind[] = "rpc";

static int take_method(void *ctx, const char *path, struct slice source, struct error *err)
{
    struct own_methods *m = ctx;
    size_t at = m->count;

    if (m->count == OWN_METHODS_MAX)
        return error_set(err, LYNSE_LIMIT, "%s: more than %d methods", path, OWN_METHODS_MAX);
    while (at > 0 && strcmp(m->list[at - 1].path, path) > 0) at--;
    memmove(m->list + at + 1, m->list + at, (m->count - at) * sizeof *m->list);
    m->list[at] = (struct own_method){path, source};
    m->count++;
    return 0;
}

int own_methods_read(struct own_methods *m, const char *folder, struct error *err)
{
    struct script_folder f = {.alloc = alloc_libc(),
                              .path = folder,
                              .file_bytes_max = OWN_METHOD_BYTES,
                              .bytes_max = OWN_METHODS_BYTES};

    return folder ? script_folder_read(&f, kind, take_method, m, err) : 0;
}

void own_methods_free(struct own_methods *m)
{
    for (size_t i = 0; i < m->count; i++) mem_free(alloc_libc(), (void *)m->list[i].path);
    m->count = 0;
}

static int push_own_methods(lua_State *L)
{
    const struct own_methods *m = &loop_of(L)->server->own_methods;

    lua_createtable(L, (int)m->count, 0);
    for (size_t i = 0; i < m->count; i++) {
        lua_createtable(L, 0, 3);
        lua_pushstring(L, m->list[i].path + sizeof kind); /* behind the stroke */
        lua_setfield(L, -2, "name");
        lua_pushfstring(L, "%s.lua", m->list[i].path);
        lua_setfield(L, -2, "file");
        lua_pushlstring(L, (const char *)m->list[i].source.data, m->list[i].source.size);
        lua_setfield(L, -2, "source");
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

const luaL_Reg engine_natives_own[] = {{"own_methods", push_own_methods}, {NULL, NULL}};
