/* SPDX-License-Identifier: Apache-2.0 */
/* module.c — `require "lynse"` in a program's own LuaJIT.
 *
 * The functions of C go into a table that the Lua parts (arrays.lua, remote.lua, classes.lua and
 * lynse.lua, put in by the build) are called with; what the last one returns is the module.  No
 * library of Lua is linked: its functions are those of the program that requires us.
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
    add_functions(L, native_remote);
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

/* Push what a script gives that is called with the natives, at `natives`, and all above them. */
static void run_script(lua_State *L, const struct module_script *script, int natives)
{
    int count = lua_gettop(L) - natives + 1;

    load_script(L, script);
    for (int i = 0; i < count; i++) lua_pushvalue(L, natives + i);
    lua_call(L, count, 1);
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
    int natives = lua_gettop(L);
    run_script(L, &module_arrays, natives);
    run_script(L, &module_remote, natives);
    run_script(L, &module_remote_records, natives); /* adds to what remote.lua gave */
    lua_pop(L, 1);
    run_script(L, &module_remote_search, natives); /* likewise */
    lua_pop(L, 1);
    load_script(L, &module_classes); /* which lynse.lua runs, once for each of them */
    run_script(L, &module_lynse, natives);
    return 1;
}
