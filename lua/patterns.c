/* SPDX-License-Identifier: Apache-2.0 */
/* patterns.c — find, match, gmatch and gsub for scripts that nobody vouches for.
 *
 * WHAT        The functions of Lua 5.1 over lua/pattern.h; subjects and results are bounded.
 * INVARIANTS  (1) gsub calls back from a frame of a few KiB, which weighs accordingly.
 * THREADS     That of the state.
 * FAILURE     Raises.
 */
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "lua/budget.h"
#include "lua/pattern.h"
#include "lua/sandbox.h"
#include "lua/text.h"

enum { GSUB_WEIGHT = 12, PATTERN_BYTES_MAX = 4096 };

static struct slice pattern_argument(lua_State *L, int index)
{
    struct slice s = text_argument(L, index, "pattern");
    if (s.size > PATTERN_BYTES_MAX)
        luaL_error(L, "pattern of %d bytes, the limit is %d", (int)s.size, PATTERN_BYTES_MAX);
    return s;
}

/* Push capture i; the whole match where there is no capture at all. */
static void push_capture(lua_State *L, const struct pattern *p, struct slice subject,
                         const struct pattern_match *m, size_t i)
{
    if (i >= p->capture_count) {
        if (i > 0) luaL_error(L, "invalid capture index");
        lua_pushlstring(L, (const char *)subject.data + m->begin, m->end - m->begin);
        return;
    }
    const struct pattern_capture *c = &m->captures[i];
    if (c->size == PATTERN_POSITION) lua_pushinteger(L, (lua_Integer)c->begin + 1);
    else lua_pushlstring(L, (const char *)subject.data + c->begin, (size_t)c->size);
}

/* The number pushed; is_whole: the whole match where there are no captures. */
static int push_captures(lua_State *L, const struct pattern *p, struct slice subject,
                         const struct pattern_match *m, bool is_whole)
{
    size_t count = p->capture_count == 0 && is_whole ? 1 : p->capture_count;
    luaL_checkstack(L, (int)count, "too many captures");
    for (size_t i = 0; i < count; i++) push_capture(L, p, subject, m, i);
    return (int)count;
}

static bool has_specials(struct slice pattern)
{
    for (size_t i = 0; i < pattern.size; i++)
        if (memchr("^$*+?.([%-", pattern.data[i], 10)) return true;
    return false;
}

/* From where to search: argument 3, 1-based, from the end when negative. */
static size_t first_place(lua_State *L, size_t size)
{
    lua_Number first = lua_isnoneornil(L, 3) ? 1 : luaL_checknumber(L, 3);
    if (first < 0) first += (lua_Number)size + 1;
    if (!(first > 1)) return 0;
    return first - 1 > (lua_Number)size ? size : (size_t)(first - 1);
}

static int find_plain(lua_State *L, struct slice subject, struct slice text, size_t from)
{
    const uint8_t *at = subject.data + from;
    budget_charge(L, (subject.size + text.size) / 16);
    if (text.size) at = memmem(at, subject.size - from, text.data, text.size);
    if (!at) return 0;
    lua_pushinteger(L, at - subject.data + 1);
    lua_pushinteger(L, at - subject.data + (lua_Integer)text.size);
    return 2;
}

static int find_or_match(lua_State *L, bool is_find)
{
    struct slice subject = text_argument(L, 1, is_find ? "string.find" : "string.match");
    struct slice text = text_argument(L, 2, "pattern");
    size_t from = first_place(L, subject.size);
    struct pattern p;
    struct pattern_match m;

    if (is_find && (lua_toboolean(L, 4) || !has_specials(text))) {
        int count = find_plain(L, subject, text, from);
        if (count) return count;
        lua_pushnil(L);
        return 1;
    }
    text = pattern_argument(L, 2);
    bool is_anchored = text.size > 0 && text.data[0] == '^';
    if (is_anchored) text = slice_of(text.data + 1, text.size - 1);
    pattern_compile(L, text, &p);
    if (!(is_anchored ? pattern_match_at(L, &p, subject, from, &m)
                      : pattern_search(L, &p, subject, from, &m))) {
        lua_pushnil(L);
        return 1;
    }
    if (!is_find) return push_captures(L, &p, subject, &m, true);
    lua_pushinteger(L, (lua_Integer)m.begin + 1);
    lua_pushinteger(L, (lua_Integer)m.end);
    return 2 + push_captures(L, &p, subject, &m, false);
}

static int string_find(lua_State *L)
{
    return find_or_match(L, true);
}

static int string_match(lua_State *L)
{
    return find_or_match(L, false);
}

/* Upvalues: subject, pattern, place to go on from. */
static int gmatch_next(lua_State *L)
{
    struct slice subject = text_argument(L, lua_upvalueindex(1), "string.gmatch");
    struct slice text = text_argument(L, lua_upvalueindex(2), "pattern");
    size_t from = (size_t)lua_tonumber(L, lua_upvalueindex(3));
    struct pattern p;
    struct pattern_match m;

    pattern_compile(L, text, &p);
    if (from > subject.size || !pattern_search(L, &p, subject, from, &m)) return 0;
    lua_pushinteger(L, (lua_Integer)(m.end + (m.end == m.begin)));
    lua_replace(L, lua_upvalueindex(3));
    return push_captures(L, &p, subject, &m, true);
}

static int string_gmatch(lua_State *L)
{
    text_argument(L, 1, "string.gmatch");
    pattern_argument(L, 2);
    lua_settop(L, 2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, gmatch_next, 3);
    return 1;
}

/* ---- gsub ---- */

/* A replacement text: %0 to %9 are captures, %% is %. */
static void add_template(lua_State *L, struct text *out, const struct pattern *p,
                         struct slice subject, const struct pattern_match *m)
{
    struct slice s = text_argument(L, 3, "string.gsub");
    for (size_t i = 0; i < s.size; i++) {
        if (s.data[i] != '%' || ++i >= s.size) {
            if (i < s.size) text_add(out, s.data + i, 1);
            continue;
        }
        unsigned c = s.data[i];
        if (c < '0' || c > '9') {
            text_add(out, s.data + i, 1);
        } else if (c == '0') {
            text_add(out, subject.data + m->begin, m->end - m->begin);
        } else {
            push_capture(L, p, subject, m, c - '1');
            text_add_value(out);
        }
    }
}

static void add_replacement(lua_State *L, struct text *out, const struct pattern *p,
                            struct slice subject, const struct pattern_match *m)
{
    int type = lua_type(L, 3);

    if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        add_template(L, out, p, subject, m);
        return;
    }
    budget_enter(L, GSUB_WEIGHT); /* (1) */
    if (type == LUA_TTABLE) {
        push_capture(L, p, subject, m, 0);
        lua_gettable(L, 3);
    } else {
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(L, p, subject, m, true), 1);
    }
    budget_leave(L, GSUB_WEIGHT);
    if (lua_toboolean(L, -1)) {
        if (!lua_isstring(L, -1))
            luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
        text_add_value(out);
        return;
    }
    lua_pop(L, 1);
    text_add(out, subject.data + m->begin, m->end - m->begin);
}

static int string_gsub(lua_State *L)
{
    struct slice subject = text_argument(L, 1, "string.gsub"), text = pattern_argument(L, 2);
    int type = lua_type(L, 3);
    lua_Number times_max = luaL_optnumber(L, 4, (lua_Number)subject.size + 1);
    bool is_anchored = text.size > 0 && text.data[0] == '^';
    size_t at = 0;
    lua_Number times = 0;
    struct pattern p;
    struct pattern_match m;
    struct text out;

    luaL_argcheck(L,
                  type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TTABLE ||
                      type == LUA_TFUNCTION,
                  3, "string/function/table expected");
    if (is_anchored) text = slice_of(text.data + 1, text.size - 1);
    pattern_compile(L, text, &p);
    lua_settop(L, 3);
    text_begin(&out, L, "string.gsub");
    while (times < times_max) {
        bool has_matched = pattern_match_at(L, &p, subject, at, &m);
        if (has_matched) {
            times++;
            add_replacement(L, &out, &p, subject, &m);
        }
        if (has_matched && m.end > at) {
            at = m.end;
        } else {
            if (at >= subject.size) break;
            text_add(&out, subject.data + at, 1);
            at++;
        }
        if (is_anchored) break;
    }
    text_add(&out, subject.data + at, subject.size - at);
    text_end(&out);
    lua_pushnumber(L, times);
    return 2;
}

const luaL_Reg sandbox_pattern_functions[] = {
    {"find", string_find}, {"gmatch", string_gmatch},
    {"gsub", string_gsub}, {"match", string_match},
    {NULL, NULL},
};
