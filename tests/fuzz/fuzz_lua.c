/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_lua.c — scripts that nobody vouches for: prepared, run, and looked after.
 *
 * Input that begins with 'i' is a row of idioms, each by its number modulo their count, put into
 * the function of a hook; other input is a source.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "fuzz/fuzz.h"
#include "lua/hooks.h"

enum { ROWS = 4, DEADLINE_US = 20000, LATE_US_MAX = 2000000, IDIOMS_MAX = 200 };

static const char *const idioms[] = {
    "while true do ",
    "end ",
    "for i = 0, n - 1 do ",
    "if x then ",
    "pcall(function() ",
    "end) ",
    "local t = { 1, 'b', {} } ",
    "local x = 'x' ",
    "t[#t + 1] = t ",
    "t = setmetatable({}, t) ",
    "x = x .. x ",
    "x = ('ab'):rep(100) ",
    "x = x:sub(2) ",
    "x = tostring(x) ",
    "x = ('%5.1f|%-9s|%q'):format(1, x, x) ",
    "x = x:gsub('(.)(%w*)', '%2%1') ",
    "x = (x:gsub('.', function(c) return c .. c end)) ",
    "x = x:match('(%a-)(b+)()') ",
    "t = { ('x y z'):find('%f[%w](%w+)') } ",
    "for a, b in x:gmatch('(a)(.-)') do ",
    "x = ('((a)b)'):match('%b()') ",
    "table.sort(t) ",
    "table.insert(t, 1, x) ",
    "table.sort(t, function(a, b) return tostring(a) < tostring(b) end) ",
    "table.remove(t, 1) ",
    "x = table.concat(t, x) ",
    "out[i] = distance[i] + field.a[i] ",
    "out = t ",
    "field = t ",
    "error(x) ",
    "t.__index = function(s, k) return s[k] end ",
    "t.__tostring = function() ",
    "string.find = nil ",
    "rawset(_G, x, t) ",
    "x = next(t) ",
    "x = select('#', unpack(t)) ",
    "return x ",
    "goto a ",
    "::a:: ",
    "f = function(...) return f(...) end f(x) ",
    "x = 1 / 0 ",
    "x = bit.band(#x, 3) ",
    "x = getmetatable(x) ",
    "x = field[x] ",
    "t = { t, t } ",
};

/* The source of a row of idioms, NUL-terminated. */
static size_t write_idioms(const uint8_t *data, size_t size, char *out, size_t out_bytes)
{
    size_t count = sizeof idioms / sizeof idioms[0];
    int used = snprintf(out, out_bytes, "return function(n, distance, field, out) ");
    for (size_t i = 0; i < size && i < IDIOMS_MAX; i++)
        used += snprintf(out + used, out_bytes - (size_t)used, "%s", idioms[data[i] % count]);
    used += snprintf(out + used, out_bytes - (size_t)used, "end");
    return (size_t)used;
}

static enum hook_result score(struct hook *hook, uint64_t deadline_us, float out[ROWS])
{
    static struct hook_wants wants;
    static const float distances[ROWS] = {0, 1, 2, 3};
    static const double column[ROWS] = {4, 3, 2, 1};
    const double *columns[HOOK_FIELDS_MAX];
    struct hook_run *run;
    enum hook_result result = HOOK_WANTS_MORE;

    wants.field_count = 0;
    for (size_t i = 0; i < HOOK_FIELDS_MAX; i++) columns[i] = column;
    if (hook_begin(hook, deadline_us, &run, NULL) != 0) return HOOK_FAILED;
    while (result == HOOK_WANTS_MORE) {
        struct hook_batch batch = {ROWS, distances, columns, wants.field_count, out};
        result = hook_score(run, &batch, &wants, NULL);
    }
    hook_end(run);
    return result;
}

static const char canary_source[] =
    "function(n, distance, field, out)\n"
    "   local count = 0\n"
    "   for _ in pairs(_G) do count = count + 1 end\n"
    "   assert(count == 22 and getmetatable('') == false and ('x'):upper() == 'X')\n"
    "   assert(string.find('ab', 'b') == 2 and table.concat({ 1, 2 }) == '12')\n"
    "   out[0] = 42\n"
    "end";

static struct hook_host *host;
static struct hook *canary;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char source[IDIOMS_MAX * 80];
    struct slice text = slice_of(data, size);
    uint64_t deadline_us = clock_now_us(clock_system()) + DEADLINE_US;
    struct hook *hook;
    float out[ROWS];

    if (!host) {
        struct lua_host_desc desc = {.alloc = alloc_libc(), .pair_max = 1};
        struct hook_desc watch = {.point = HOOK_SCORE, .source = slice_of_text(canary_source)};
        CHECK(lua_host_create(&desc, &host, NULL) == 0);
        CHECK(hook_prepare(host, &watch, &canary, NULL) == 0);
    }
    if (size > 0 && data[0] == 'i')
        text = slice_of(source, write_idioms(data + 1, size - 1, source, sizeof source));
    struct hook_desc desc = {.point = HOOK_SCORE, .source = text, .deadline_us = deadline_us};
    if (hook_prepare(host, &desc, &hook, NULL) == 0) {
        score(hook, deadline_us, out);
        hook_destroy(hook);
    }
    CHECK(clock_now_us(clock_system()) < deadline_us + LATE_US_MAX);
    CHECK(score(canary, 0, out) == HOOK_DONE && out[0] == 42 && out[1] == 1);
    return 0;
}
