/* SPDX-License-Identifier: Apache-2.0 */
/* module.c — `require "lynse"` in a program's own LuaJIT.
 *
 * The functions of C go into a table that the Lua part (arrays.lua and lynse.lua, put in by the
 * build) is called with; what the last one returns is the module.  No library of Lua is linked: its
 * functions are those of the program that requires us.
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
#include "lua/module/tickets.h"

static void add_functions(lua_State *L, const luaL_Reg *functions)
{
    for (; functions->name; functions++) {
        lua_pushcfunction(L, functions->func);
        lua_setfield(L, -2, functions->name);
    }
}

static void push_natives(lua_State *L)
{
    static const luaL_Reg values[] = {
        {"failure", failure_new},          {"integer", scalar_integer_new},
        {"datetime", scalar_datetime_new}, {"bytes", scalar_bytes_new},
        {"array", document_array_new},     {"set_integer_kind", scalar_set_integer_kind},
        {"metatable", handle_metatable},   {NULL, NULL}};

    lua_newtable(L);
    add_functions(L, values);
    add_functions(L, native_roots);
    add_functions(L, native_collections);
    add_functions(L, native_writes);
    add_functions(L, native_reads);
    add_functions(L, native_search);
    add_functions(L, native_steps);
    add_functions(L, native_tickets);
    add_functions(L, native_hooks);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    lua_pushstring(L, lynse_version());
    lua_setfield(L, -2, "version");
    lua_pushstring(L, lynse_simd_level());
    lua_setfield(L, -2, "simd_level");
}

static void load_script(lua_State *L, const struct module_script *script)
{
    if (luaL_loadbuffer(L, script->text, script->bytes, script->chunk) != 0) lua_error(L);
}

/* The only name that lynse.so shows. */
__attribute__((visibility("default"))) int luaopen_lynse(lua_State *L)
{
    failure_prepare(L);
    scalars_prepare(L);
    documents_prepare(L);
    handles_prepare(L);
    tickets_prepare(L);
    push_natives(L);
    load_script(L, &module_arrays);
    lua_pushvalue(L, -2);
    lua_call(L, 1, 1); /* natives, what arrays.lua gives */
    load_script(L, &module_lynse);
    lua_insert(L, -3);
    lua_call(L, 2, 1);
    return 1;
}
