/* SPDX-License-Identifier: Apache-2.0 */
/* module.c — `require "lynse"` in a program's own LuaJIT.
 *
 * The functions of C go into a table that the Lua part (lynse.lua, put in by the build) is called
 * with; what it returns is the module.  No library of Lua is linked: its functions are those of the
 * program that requires us.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lynse.h>

#include "lua/module/documents.h"
#include "lua/module/failure.h"
#include "lua/module/handles.h"
#include "lua/module/module.h"
#include "lua/module/module_script.h"
#include "lua/module/natives.h"
#include "lua/module/scalars.h"

static void add_functions(lua_State *L, const luaL_Reg *functions)
{
    for (; functions->name; functions++) {
        lua_pushcfunction(L, functions->func);
        lua_setfield(L, -2, functions->name);
    }
}

static void push_natives(lua_State *L)
{
    static const luaL_Reg values[] = {{"failure", failure_new},
                                      {"integer", scalar_integer_new},
                                      {"datetime", scalar_datetime_new},
                                      {"bytes", scalar_bytes_new},
                                      {"array", document_array_new},
                                      {"metatable", handle_metatable},
                                      {NULL, NULL}};

    lua_newtable(L);
    add_functions(L, values);
    add_functions(L, native_roots);
    add_functions(L, native_collections);
    add_functions(L, native_writes);
    add_functions(L, native_reads);
    add_functions(L, native_search);
    add_functions(L, native_hooks);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    lua_pushstring(L, lynse_version());
    lua_setfield(L, -2, "version");
    lua_pushstring(L, lynse_simd_level());
    lua_setfield(L, -2, "simd_level");
}

/* The only name that lynse.so shows. */
__attribute__((visibility("default"))) int luaopen_lynse(lua_State *L)
{
    failure_prepare(L);
    scalars_prepare(L);
    documents_prepare(L);
    handles_prepare(L);
    if (luaL_loadbuffer(L, module_script, module_script_bytes, "=lynse") != 0) return lua_error(L);
    push_natives(L);
    lua_call(L, 1, 1);
    return 1;
}
