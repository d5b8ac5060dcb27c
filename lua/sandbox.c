/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.c — what a script can reach: an allow-list, made anew for each run.
 *
 * WHAT        A state's own globals are emptied when it is made.  What is on the list is kept in a
 *             table of the registry; a run gets a copy, with a copy of each library in it.  Only of
 *             what it can reach: a global is reached by its name in the source, or through `_G`,
 *             which is a name too; so a source without any of them gets an empty table, at a
 *             fiftieth of the price, and cannot tell.
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

/* Bits of names: the globals' functions from 0 on, libraries by their place from here on. */
enum { FIRST_LIBRARY = 24 };

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
    b->is_giving = false;
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

/* ---- For a run ---- */

_Static_assert(sizeof allowed / sizeof allowed[0] <= 32 - FIRST_LIBRARY, "a bit for each");

/* The bits of what stands in the environment under this name. */
static uint32_t bits_of_name(const uint8_t *name, size_t size)
{
    const struct library *globals = &allowed[0];

    if (size == 2 && memcmp(name, "_G", 2) == 0) return UINT32_MAX;
    for (size_t i = 0; i < FIRST_LIBRARY && globals->functions[i]; i++)
        if (strncmp(globals->functions[i], (const char *)name, size) == 0 &&
            globals->functions[i][size] == '\0')
            return 1u << i;
    for (size_t i = 1; i < sizeof allowed / sizeof allowed[0]; i++)
        if (strncmp(allowed[i].name, (const char *)name, size) == 0 &&
            allowed[i].name[size] == '\0')
            return 1u << (FIRST_LIBRARY + i);
    return 0;
}

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c >= 128;
}

uint32_t sandbox_find_names(struct slice source)
{
    uint32_t found = 0;

    for (size_t i = 0, end; i < source.size; i = end + 1) {
        for (end = i; end < source.size && is_name_byte(source.data[end]);) end++;
        if (end > i) found |= bits_of_name(source.data + i, end - i);
    }
    return found;
}

/* Push a copy of the table at the top: of it alone. */
static void push_copy(lua_State *L, int entry_count)
{
    lua_createtable(L, 0, entry_count);
    lua_pushnil(L);
    while (lua_next(L, -3)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
}

static int count_functions(const struct library *library)
{
    int count = 0;
    while (count < 32 && library->functions[count]) count++;
    return count;
}

void sandbox_push_environment(lua_State *L, uint32_t names)
{
    lua_createtable(L, 0, __builtin_popcount(names));
    if (names == 0) return;
    lua_getfield(L, LUA_REGISTRYINDEX, environment_key);
    for (int i = 0; i < count_functions(&allowed[0]); i++) {
        if (!(names >> i & 1)) continue;
        lua_getfield(L, -1, allowed[0].functions[i]);
        lua_setfield(L, -3, allowed[0].functions[i]);
    }
    for (size_t i = 1; i < sizeof allowed / sizeof allowed[0]; i++) {
        if (!(names >> (FIRST_LIBRARY + i) & 1)) continue;
        lua_getfield(L, -1, allowed[i].name);
        push_copy(L, count_functions(&allowed[i]));
        lua_setfield(L, -4, allowed[i].name);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    if (names != UINT32_MAX) return;
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "_G");
}
