/* SPDX-License-Identifier: Apache-2.0 */
/* test_pattern.c — bounded functions against LuaJIT's own, over random arguments.
 *
 * Both are in one state; the comparison is a script.  Patterns are made of the language's parts,
 * and subjects of few bytes, so that most patterns match somewhere.
 */
#include <lauxlib.h>
#include <lualib.h>

#include "lua/budget.h"
#include "lua/sandbox.h"
#include "support/test.h"

static const char script[] =
    "local seed, rounds = ...\n"
    "local function random(n) seed = (seed * 16807) % 2147483647 return seed % n + 1 end\n"
    "local parts = { 'a', 'b', 'a', '.', '%a', '%d', '%s', '%w', '%A', '%z', '[ab]', '[^a]',\n"
    "   '[a-c]', '[%d%s]', '[]]', '[^%a-]', '%.', '%-', ' ', '1', '%f[%a]', '%f[^%w]', '%b()',\n"
    "   '(', ')', '()', '%1', '%2', '$', '^', '%', '[', '-', ']', '%p', '%l', '%u', '%c', '%x' }\n"
    "local repeats = { '', '', '', '*', '+', '-', '?' }\n"
    "local bytes = { 'a', 'b', 'a', 'a', ' ', '1', '(', ')', '.', '-', '\\0', 'A', '\\255', '_' }\n"
    "local function make(from, most, with)\n"
    "   local t = {}\n"
    "   for i = 1, random(most + 1) - 1 do\n"
    "      t[i] = from[random(#from)] .. (with and with[random(#with)] or '')\n"
    "   end\n"
    "   return table.concat(t)\n"
    "end\n"
    "local function show(...)\n"
    "   local t = { ... }\n"
    "   for i = 1, select('#', ...) do t[i] = ('%q'):format(tostring(t[i])) end\n"
    "   return table.concat(t, ' ')\n"
    "end\n"
    "local compared, failed = 0, 0\n"
    "local function same(what, name, ...)\n"
    "   local expected, got = { pcall(string[name], ...) }, { pcall(bounded[name], ...) }\n"
    "   if not expected[1] and not got[1] then failed = failed + 1 return end\n"
    "   -- What is malformed is found at once here, elsewhere when it is come to.\n"
    "   local is_miss = expected[2] == nil or name == 'gsub' and expected[3] == 0\n"
    "      or tostring(got[2]):find('unfinished capture')\n"
    "   if not got[1] and is_miss then failed = failed + 1 return end\n"
    "   local a, b = show(unpack(expected, 1, 40)), show(unpack(got, 1, 40))\n"
    "   compared = compared + 1\n"
    "   if a ~= b then error(name .. ': ' .. what .. ' expected ' .. a .. ' got ' .. b, 0) end\n"
    "end\n"
    "for _ = 1, rounds do\n"
    "   local s, p = make(bytes, 12), make(parts, 5, repeats)\n"
    "   if random(4) == 1 then p = '^' .. p end\n"
    "   if random(3) == 1 then p = '(' .. p .. ')' .. make(parts, 2) end\n"
    "   local what, from = show(s, p), random(16) - 4\n"
    "   same(what, 'find', s, p, from)\n"
    "   same(what, 'find', s, p, from, true)\n"
    "   same(what, 'match', s, p, from)\n"
    "   same(what, 'gsub', s, p, '<%0>', random(5) > 1 and 1e9 or random(3))\n"
    "   same(what, 'gsub', s, p, { a = 'x', [''] = '-', b = false })\n"
    "   same(what, 'gsub', s, p, function(...) return (select('#', ...) .. tostring((...))) end)\n"
    "   local list = {}\n"
    "   for _, library in ipairs({ string, bounded }) do\n"
    "      local t = {}\n"
    "      local ok = pcall(function() for a, b in library.gmatch(s, p) do\n"
    "         t[#t + 1] = show(a, b) end end)\n"
    "      list[#list + 1] = ok and table.concat(t, ';') or 'failed'\n"
    "   end\n"
    "   if list[1] ~= list[2] and not (list[1] == '' and list[2] == 'failed') then error('gmatch: "
    "' .. what .. list[1] .. ' got ' .. list[2], 0) "
    "end\n"
    "end\n"
    "return compared, failed\n";

static const char other_script[] =
    "local function same(name, ...)\n"
    "   local a, b = { pcall(string[name], ...) }, { pcall(bounded[name], ...) }\n"
    "   if a[1] ~= b[1] or a[1] and a[2] ~= b[2] then\n"
    "      error(name .. ' ' .. tostring(a[2]) .. ' got ' .. tostring(b[2]), 0)\n"
    "   end\n"
    "end\n"
    "local values = { 0, 1, -1, 1.5, 1e15, 2 ^ 53, -2 ^ 31, 'x', '12', 'long text', '', "
    "'q\"\\n\\0' }\n"
    "local kinds = { '%d', '%5d', '%-5d|', '%05d', '%+d', '%i', '%u', '%c', '%x', '%#X', '%o',\n"
    "   '%e', '%.3f', '%10.2f', '%g', '%a', '%s', '%10s', '%-10s|', '%.2s', '%10.1s', '%%', '%q',\n"
    "   'a%sb%sc', '%y', '%', '%5', '%.', '%123d' }\n"
    "for _, kind in ipairs(kinds) do\n"
    "   for _, value in ipairs(values) do\n"
    "      local quotes = kind == '%q' and value == 'q\"\\n\\0'\n"
    "      if not quotes and not (kind == '%c' and value == 1e15) then\n"
    "         same('format', kind, value, value)\n"
    "      end\n"
    "   end\n"
    "   same('format', kind)\n"
    "end\n"
    "assert(loadstring('return ' .. bounded.format('%q', 'q\"\\n\\r\\0012\\\\'))() == "
    "'q\"\\n\\r\\0012\\\\')\n"
    "for _, s in ipairs({ '', 'aZ', ('ab'):rep(100), 'a\\0\\255' }) do\n"
    "   same('upper', s) same('lower', s) same('reverse', s)\n"
    "   for _, n in ipairs({ -1, 0, 1, 2, 3.7 }) do same('rep', s, n) same('rep', s, n, ',') end\n"
    "end\n"
    "local function row(t) return table.concat(t, ',') end\n"
    "for n = 0, 60 do\n"
    "   local a, b = {}, {}\n"
    "   for i = 1, n do a[i] = (i * 7919) % 31 b[i] = a[i] end\n"
    "   table.sort(a) bounded.sort(b)\n"
    "   assert(row(a) == row(b))\n"
    "   bounded.sort(b, function(x, y) return x > y end)\n"
    "   table.sort(a, function(x, y) return x > y end)\n"
    "   assert(row(a) == row(b))\n"
    "   assert(row(a) == bounded.concat(b, ','))\n"
    "   for _, at in ipairs({ 1, n, n + 1, math.ceil(n / 2) }) do\n"
    "      if at >= 1 then\n"
    "         table.insert(a, at, 'x') bounded.insert(b, at, 'x')\n"
    "         assert(row(a) == row(b) and table.remove(a, at) == bounded.remove(b, at))\n"
    "         assert(row(a) == row(b))\n"
    "      end\n"
    "   end\n"
    "   assert(table.remove(a) == bounded.remove(b) and row(a) == row(b))\n"
    "   table.insert(a, 5) bounded.insert(b, 5)\n"
    "   assert(row(a) == row(b))\n"
    "end\n";

static struct budget budget;

/* A state with all libraries, and `bounded`, with all that is bounded. */
static lua_State *open_state(void)
{
    const luaL_Reg *const lists[] = {sandbox_string_functions, sandbox_pattern_functions,
                                     sandbox_table_functions};
    assert_int_equal(budget_init(&budget, alloc_libc(), clock_system(), true, 64 << 20, NULL), 0);
    lua_State *L = lua_newstate(budget_resize, &budget);
    assert_non_null(L);
    luaL_openlibs(L);
    lua_newtable(L);
    for (size_t i = 0; i < 3; i++)
        for (const luaL_Reg *f = lists[i]; f->name; f++) {
            lua_getglobal(L, "string");
            lua_getfield(L, -1, f->name);
            lua_pushcclosure(L, f->func, 1);
            lua_setfield(L, -3, f->name);
            lua_pop(L, 1);
        }
    lua_setglobal(L, "bounded");
    return L;
}

static void run(lua_State *L, int argument_count, int result_count)
{
    if (lua_pcall(L, argument_count, result_count, 0) != 0) fail_msg("%s", lua_tostring(L, -1));
}

static void patterns_match_what_they_match_elsewhere(void **state)
{
    uint64_t seed = test_seed(20260407);
    lua_State *L = open_state();

    (void)state;
    assert_int_equal(luaL_loadstring(L, script), 0);
    lua_pushnumber(L, (lua_Number)(seed % 2147483646 + 1));
    lua_pushnumber(L, test_rounds(40000));
    run(L, 2, 2);
    print_message("%.0f compared, %.0f malformed\n", lua_tonumber(L, -2), lua_tonumber(L, -1));
    assert_true(lua_tonumber(L, -2) > lua_tonumber(L, -1));
    lua_close(L);
    budget_deinit(&budget);
}

static void texts_and_tables_are_made_as_elsewhere(void **state)
{
    lua_State *L = open_state();
    (void)state;
    assert_int_equal(luaL_loadstring(L, other_script), 0);
    run(L, 0, 0);
    lua_close(L);
    budget_deinit(&budget);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(patterns_match_what_they_match_elsewhere),
    cmocka_unit_test(texts_and_tables_are_made_as_elsewhere),
};
TEST_MAIN(tests)
