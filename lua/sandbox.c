/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.c — what a script can reach: an allow-list, made anew for each run.
 *
 * WHAT        A state's own globals are emptied when it is made.  What is on the list is kept in a
 *             table of the registry; a run gets a copy, with a copy of each library in it.
 * INVARIANTS  (1) A script shares no table with another one: whatever it sets, in its environment
 *                 or in `string`, is gone with its run.  The metatable of texts, which all share,
 *                 says `false` to who asks for it, and its functions are in a table of their own.
 *             (2) Nothing on the list compiles, loads, yields, reaches files, clocks, chance, the
 *                 collector, functions' environments or addresses.  coroutine, load, loadstring,
 *                 dofile, require, module, xpcall, newproxy, getfenv, setfenv, collectgarbage,
 *                 string.dump and math.random are among what is not there, each for one of these
 *                 reasons, or because a budget would not hold in it.
 *             (3) Bounded: pcall passes on what a budget has stopped.
 * THREADS     That of the state.
 * FAILURE     Raises; a state that could not be prepared is closed.
 */
#include "lua/sandbox.h"

#include <string.h>

#include "lua/budget.h"

struct library {
    const char *name; /* NULL: the globals */
    const char *functions[32];
};

static const struct library allowed[] = {
    {NULL,
     {"assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget",
      "rawset", "select", "setmetatable", "tonumber", "tostring", "type", "unpack", "_VERSION"}},
    {"string",
     {"byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep", "reverse",
      "sub", "upper"}},
    {"table", {"concat", "insert", "remove", "sort"}},
    {"math", {"abs",   "acos", "asin",  "atan", "atan2", "ceil", "cos",   "cosh", "deg", "exp",
              "floor", "fmod", "frexp", "huge", "ldexp", "log",  "log10", "max",  "min", "modf",
              "pi",    "pow",  "rad",   "sin",  "sinh",  "sqrt", "tan",   "tanh"}},
    {"bit",
     {"arshift", "band", "bnot", "bor", "bswap", "bxor", "lshift", "rol", "ror", "rshift", "tobit",
      "tohex"}},
};

static const char environment_key[] = "lynse.environment";

/* ---- Functions of the globals that are bounded ---- */

void sandbox_push_text_of(lua_State *L, int index)
{
    if (luaL_getmetafield(L, index, "__tostring")) {
        lua_pushvalue(L, index);
        budget_enter(L, 1);
        lua_call(L, 1, 1);
        budget_leave(L, 1);
        if (!lua_isstring(L, -1)) luaL_error(L, "'__tostring' must return a string");
        return;
    }
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
    case LUA_TSTRING:
        lua_pushvalue(L, index);
        lua_tolstring(L, -1, NULL);
        break;
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
        break;
    default:
        lua_pushstring(L, luaL_typename(L, index));
        break;
    }
}

static int bounded_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    sandbox_push_text_of(L, 1);
    return 1;
}

static int bounded_pcall(lua_State *L)
{
    struct budget *b = budget_of(L);
    unsigned depth = b->depth;

    luaL_checkany(L, 1);
    budget_enter(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    b->depth = depth;
    if (b->end != BUDGET_HOLDS) budget_stop(L, b->end); /* (3) */
    luaL_checkstack(L, 1, "pcall");
    lua_pushboolean(L, status == 0);
    lua_insert(L, 1);
    return lua_gettop(L);
}

static const luaL_Reg bounded_globals[] = {
    {"pcall", bounded_pcall},
    {"tostring", bounded_tostring},
    {NULL, NULL},
};

/* ---- Making ---- */

/* Into the table at the top, from the library's own, which is below it. */
static void copy_allowed(lua_State *L, const struct library *library)
{
    for (size_t i = 0; i < 32 && library->functions[i]; i++) {
        lua_getfield(L, -2, library->functions[i]);
        lua_setfield(L, -2, library->functions[i]);
    }
}

/* Each has LuaJIT's own function of that name for an upvalue. */
static void set_functions(lua_State *L, const luaL_Reg *functions)
{
    for (; functions->name; functions++) {
        lua_getfield(L, -2, functions->name);
        lua_pushcclosure(L, functions->func, 1);
        lua_setfield(L, -2, functions->name);
    }
}

static void set_bounded(lua_State *L, const char *library)
{
    if (!library) set_functions(L, bounded_globals);
    else if (strcmp(library, "table") == 0) set_functions(L, sandbox_table_functions);
    else if (strcmp(library, "string") == 0) {
        set_functions(L, sandbox_string_functions);
        set_functions(L, sandbox_pattern_functions);
    }
}

/* (1) The copy of `string` at the top becomes what texts are indexed with. */
static void lock_text_metatable(lua_State *L)
{
    lua_pushliteral(L, "");
    if (!lua_getmetatable(L, -1)) lua_newtable(L);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, -5)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_settable(L, -4);
    }
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static void forget_globals(lua_State *L)
{
    lua_pushnil(L);
    while (lua_next(L, LUA_GLOBALSINDEX)) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, LUA_GLOBALSINDEX);
    }
}

void sandbox_prepare(lua_State *L, bool is_bounded)
{
    lua_newtable(L);
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        const struct library *library = &allowed[i];
        if (library->name) lua_getglobal(L, library->name);
        else lua_pushvalue(L, LUA_GLOBALSINDEX);
        if (library->name) lua_newtable(L);
        else lua_pushvalue(L, -2); /* the globals go where the libraries go */
        copy_allowed(L, library);
        if (is_bounded) set_bounded(L, library->name);
        if (!library->name) {
            lua_pop(L, 2);
            continue;
        }
        if (strcmp(library->name, "string") == 0) lock_text_metatable(L);
        lua_setfield(L, -3, library->name);
        lua_pop(L, 1);
    }
    lua_setfield(L, LUA_REGISTRYINDEX, environment_key);
    forget_globals(L);
}

/* Push a copy of the table at the top: of it alone. */
static void push_copy(lua_State *L)
{
    lua_createtable(L, 0, 32);
    lua_pushnil(L);
    while (lua_next(L, -3)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
}

void sandbox_push_environment(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, environment_key);
    push_copy(L);
    for (size_t i = 1; i < sizeof allowed / sizeof allowed[0]; i++) {
        lua_getfield(L, -1, allowed[i].name);
        push_copy(L);
        lua_setfield(L, -3, allowed[i].name);
        lua_pop(L, 1);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "_G");
    lua_remove(L, -2);
}
