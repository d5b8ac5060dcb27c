/* SPDX-License-Identifier: Apache-2.0 */
/* strings.c — functions of `string` that make texts, for scripts that nobody vouches for.
 *
 * WHAT        format, lower, rep, reverse and upper in counted steps, with texts of TEXT_BYTES_MAX
 *             bytes at the most.  Numbers are written by LuaJIT's own format, one directive at a
 *             time, so that no locale has a say.
 * INVARIANTS  (1) A directive that reaches LuaJIT's format has at most two digits of width and of
 *                 precision, and a number: it cannot call back, nor write more than 512 bytes.
 * THREADS     That of the state.
 * FAILURE     Raises.
 */
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <string.h>

#include "lua/budget.h"
#include "lua/sandbox.h"
#include "lua/text.h"

static int map_bytes(lua_State *L, const char *what, unsigned low, unsigned high, int change)
{
    struct slice s = text_argument(L, 1, what);
    char *out = lua_newuserdata(L, s.size ? s.size : 1);
    for (size_t i = 0; i < s.size; i++) {
        unsigned c = s.data[i];
        out[i] = (char)(c >= low && c <= high ? c + (unsigned)change : c);
    }
    lua_pushlstring(L, out, s.size);
    return 1;
}

static int string_lower(lua_State *L)
{
    return map_bytes(L, "string.lower", 'A', 'Z', 'a' - 'A');
}

static int string_upper(lua_State *L)
{
    return map_bytes(L, "string.upper", 'a', 'z', 'A' - 'a');
}

static int string_reverse(lua_State *L)
{
    struct slice s = text_argument(L, 1, "string.reverse");
    char *out = lua_newuserdata(L, s.size ? s.size : 1);
    for (size_t i = 0; i < s.size; i++) out[i] = (char)s.data[s.size - 1 - i];
    lua_pushlstring(L, out, s.size);
    return 1;
}

static int string_rep(lua_State *L)
{
    struct slice s = text_argument(L, 1, "string.rep");
    lua_Number times = floor(luaL_checknumber(L, 2));
    struct slice between = {NULL, 0};
    struct text t;

    if (!lua_isnoneornil(L, 3)) between = text_argument(L, 3, "string.rep");
    text_begin(&t, L, "string.rep");
    if (s.size + between.size == 0) times = 0;
    for (lua_Number i = 0; i < times; i++) { /* ends: each turn adds a byte at least */
        if (i > 0) text_add(&t, between.data, between.size);
        text_add(&t, s.data, s.size);
    }
    text_end(&t);
    return 1;
}

/* ---- format ---- */

struct formatter {
    lua_State *L;
    struct text text;
    int argument; /* the last one taken */
    int argument_count;
    int native; /* stack index of LuaJIT's own format */
};

/* %q: as source text that reads back as the same value. */
static void add_quoted(struct formatter *f)
{
    struct slice s = text_argument(f->L, f->argument, "string.format");
    text_add(&f->text, "\"", 1);
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];
        char escape[8];
        if (c == '"' || c == '\\' || c == '\n') {
            escape[0] = '\\';
            escape[1] = (char)c;
            text_add(&f->text, escape, 2);
        } else if (c < 32 || c == 127) {
            int size = snprintf(escape, sizeof escape, "\\%03u", (unsigned)c);
            text_add(&f->text, escape, (size_t)size);
        } else {
            text_add(&f->text, &c, 1);
        }
    }
    text_add(&f->text, "\"", 1);
}

/* %s with width and precision. */
static void add_text(struct formatter *f, const char *digits, bool is_left, bool has_precision)
{
    static const char blanks[] = "                                                                "
                                 "                                    ";
    size_t width = 0, precision = 0, size;
    const char *at = digits;

    for (; *at >= '0' && *at <= '9'; at++) width = width * 10 + (size_t)(*at - '0');
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9'; at++) precision = precision * 10 + (size_t)(*at - '0');
    sandbox_push_text_of(f->L, f->argument);
    const char *bytes = lua_tolstring(f->L, -1, &size);
    if (has_precision && size > precision) size = precision;
    size_t gap = size < width ? width - size : 0;
    if (!is_left) text_add(&f->text, blanks, gap);
    text_add(&f->text, bytes, size);
    if (is_left) text_add(&f->text, blanks, gap);
    lua_pop(f->L, 1);
}

/* The directive at `at`, behind its '%'; returns what follows it. */
static const char *add_directive(struct formatter *f, const char *at, const char *end)
{
    char spec[16] = "%";
    size_t size = 1;
    size_t flags = strspn(at, "-+ #0");
    const char *digits = at + flags;
    size_t width = strspn(digits, "0123456789");
    const char *point = digits + width;
    size_t precision = *point == '.' ? 1 + strspn(point + 1, "0123456789") : 0;
    const char *kind = point + precision;

    if (kind >= end || flags > 5 || width > 2 || precision > 3 ||
        !strchr("cdiouxXaAeEfgGqs", *kind) || *kind == '\0')
        luaL_error(f->L, "invalid option in the format of string.format");
    if (++f->argument > f->argument_count)
        luaL_error(f->L, "string.format: no value for argument %d", f->argument);
    if (*kind == 'q') {
        add_quoted(f);
    } else if (*kind == 's') {
        add_text(f, digits, memchr(at, '-', flags) != NULL, precision > 0);
    } else {
        memcpy(spec + size, at, (size_t)(kind + 1 - at)); /* (1) 5 + 2 + 3 + 1 bytes at the most */
        lua_pushvalue(f->L, f->native);
        lua_pushstring(f->L, spec);
        lua_pushnumber(f->L, luaL_checknumber(f->L, f->argument));
        lua_call(f->L, 2, 1);
        text_add_value(&f->text);
    }
    return kind + 1;
}

static int string_format(lua_State *L)
{
    struct slice format = text_argument(L, 1, "string.format");
    struct formatter f = {.L = L, .argument = 1, .argument_count = lua_gettop(L)};
    const char *at = (const char *)format.data, *end = at + format.size;

    lua_pushvalue(L, lua_upvalueindex(1));
    f.native = lua_gettop(L);
    text_begin(&f.text, L, "string.format");
    while (at < end) {
        const char *percent = memchr(at, '%', (size_t)(end - at));
        if (!percent) percent = end;
        text_add(&f.text, at, (size_t)(percent - at));
        at = percent;
        if (at == end) break;
        if (at + 1 < end && at[1] == '%') {
            text_add(&f.text, "%", 1);
            at += 2;
        } else {
            at = add_directive(&f, at + 1, end);
        }
    }
    text_end(&f.text);
    return 1;
}

const luaL_Reg sandbox_string_functions[] = {
    {"format", string_format},   {"lower", string_lower}, {"rep", string_rep},
    {"reverse", string_reverse}, {"upper", string_upper}, {NULL, NULL},
};
