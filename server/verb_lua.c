/* SPDX-License-Identifier: Apache-2.0 */
/* verb_lua.c — `lynse lua SCRIPT [ARGUMENT]...`: a script of Lua whose require knows lynse.
 *
 * It has the arguments as `arg` and as `...`; - is stdin.  The status is 0; 1 where the script
 * fails, whose error and traceback are on stderr.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

#include "lua/module/module.h"
#include "server/verbs.h"

/* The raised value as a text with a traceback. */
static int explain(lua_State *L)
{
    if (!luaL_callmeta(L, 1, "__tostring")) lua_pushvalue(L, 1);
    if (!lua_isstring(L, -1)) {
        lua_pushfstring(L, "an error that is a %s", luaL_typename(L, 1));
        lua_replace(L, -2);
    }
    luaL_traceback(L, L, lua_tostring(L, -1), 1);
    return 1;
}

/* arg[-1] = "lua", arg[0] the script, arg[1] … what it is given. */
static void push_arg(lua_State *L, int argc, char **argv)
{
    lua_createtable(L, argc, 2);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - 2);
    }
    lua_setglobal(L, "arg");
}

struct command {
    int argc;
    char **argv;
};

static int run_script(lua_State *L)
{
    struct command *c = lua_touserdata(L, 1);
    const char *path = c->argv[2];

    luaL_openlibs(L);
    lua_getfield(L, LUA_REGISTRYINDEX, "_PRELOAD");
    lua_pushcfunction(L, luaopen_lynse);
    lua_setfield(L, -2, "lynse");
    lua_settop(L, 0);
    push_arg(L, c->argc, c->argv);
    if (luaL_loadfile(L, strcmp(path, "-") == 0 ? NULL : path) != 0) return lua_error(L);
    luaL_checkstack(L, c->argc, "arguments");
    for (int i = 3; i < c->argc; i++) lua_pushstring(L, c->argv[i]);
    lua_call(L, c->argc - 3, 0);
    return 0;
}

static int run_lua(struct command *c)
{
    lua_State *L = luaL_newstate();

    if (!L) {
        fputs("lynse: no memory for a state of Lua\n", stderr);
        return 1;
    }
    lua_pushcfunction(L, explain);
    lua_pushcfunction(L, run_script);
    lua_pushlightuserdata(L, c);
    int status = lua_pcall(L, 1, 0, 1);
    if (status != 0) {
        const char *text = lua_tostring(L, -1);
        fprintf(stderr, "lynse: %s\n", text ? text : "an error without a text");
    }
    lua_close(L);
    return status != 0;
}

int verb_lua(int argc, char **argv)
{
    struct command c = {argc, argv};
    return run_lua(&c);
}
