/* SPDX-License-Identifier: Apache-2.0 */
/* state.c — one Lua state with its budget: made, called under protection, thrown away.
 *
 * WHAT        A trusted state compiles, and gives scripts views of memory (architecture 7).  The
 *             other one interprets, for the count hook is not called by compiled code; its
 *             library is bounded.
 * INVARIANTS  (1) Everything that can raise is inside lua_cpcall; outside of it nothing is called
 *                 that allocates.  The stack is empty between calls.
 *             (2) A state whose budget was overrun is never used again.
 *             (3) Scripts reach no loader: what is compiled comes through chunk_cache.c, as text.
 * THREADS     One at a time; whoever has borrowed the pair.
 * FAILURE     An error of a script leaves the state as good as before: environments are made anew.
 */
#include "lua/state.h"

#include <lauxlib.h>
#include <luajit.h>
#include <lualib.h>
#include <stdio.h>

#include "base/check.h"
#include "base/utf8.h"
#include "lua/hook_args.h"
#include "lua/sandbox.h"

/* Makers of views, whose addresses are set by C (hook_args.c). */
static const char trusted_source[] =
    "local ffi = ...\n"
    "local f32, f64 = ffi.typeof('const float *'), ffi.typeof('const double *')\n"
    "local out = ffi.typeof('float *')\n"
    "return function() return f32() end, function() return f64() end,\n"
    "   function() return out() end\n";

static void open_library(lua_State *L, lua_CFunction open, const char *name, int result_count)
{
    lua_pushcfunction(L, open);
    lua_pushstring(L, name);
    lua_call(L, 1, result_count);
}

/* The FFI is at ffi_at. */
static void open_trusted(lua_State *L, struct state *s, int ffi_at)
{
    open_library(L, luaopen_jit, LUA_JITLIBNAME, 0);
    if (luaL_loadbuffer(L, trusted_source, sizeof trusted_source - 1, "=lynse") != 0) lua_error(L);
    lua_pushvalue(L, ffi_at);
    lua_call(L, 1, 3);
    state_set(L, s, STATE_MAKE_OUT);
    state_set(L, s, STATE_MAKE_F64);
    state_set(L, s, STATE_MAKE_F32);
}

static int open_state(lua_State *L)
{
    struct state *s = lua_touserdata(L, 1);

    /* First, for it loses what it has where it is refused more. */
    if (s->is_trusted) open_library(L, luaopen_ffi, LUA_FFILIBNAME, 1);
    int ffi_at = lua_gettop(L);
    budget_set_born(&s->budget);
    for (int i = 0; i < STATE_SLOTS; i++) {
        lua_pushboolean(L, 0);
        s->slots[i] = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    open_library(L, luaopen_base, "", 0);
    open_library(L, luaopen_string, LUA_STRLIBNAME, 0);
    open_library(L, luaopen_table, LUA_TABLIBNAME, 0);
    open_library(L, luaopen_math, LUA_MATHLIBNAME, 0);
    open_library(L, luaopen_bit, LUA_BITLIBNAME, 0);
    if (s->is_trusted) open_trusted(L, s, ffi_at);
    else luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    sandbox_prepare(L, !s->is_trusted);
    hook_args_prepare(L, s);
    if (!s->is_trusted) lua_gc(L, LUA_GCSETPAUSE, 110);
    return 0;
}

int state_create(struct alloc *a, const struct clock *clock, bool is_trusted, struct state **out,
                 struct error *err)
{
    struct state *s = mem_zalloc(a, MEM_SCRIPT, sizeof *s);
    if (!s) return error_no_memory(err, sizeof *s);
    s->is_trusted = is_trusted;
    chunk_cache_init(&s->chunks, a);
    if (budget_init(&s->budget, a, clock, !is_trusted,
                    is_trusted ? STATE_TRUSTED_BYTES_MAX : STATE_BYTES_MAX, err) != 0)
        goto out;
    s->lua = lua_newstate(budget_resize, &s->budget);
    if (!s->lua || lua_cpcall(s->lua, open_state, s) != 0) {
        error_set(err, LYNSE_NO_MEMORY, "cannot make a state for scripts");
        goto out;
    }
    *out = s;
    return 0;
out:
    state_destroy(s);
    return -1;
}

void state_destroy(struct state *s)
{
    if (!s) return;
    if (s->lua) lua_close(s->lua);
    chunk_cache_deinit(&s->chunks);
    budget_deinit(&s->budget);
    mem_free(s->chunks.alloc, s);
}

void state_push(lua_State *L, const struct state *s, enum state_slot slot)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->slots[slot]);
}

void state_set(lua_State *L, const struct state *s, enum state_slot slot)
{
    lua_rawseti(L, LUA_REGISTRYINDEX, s->slots[slot]);
}

/* ---- Calling ---- */

/* The error value on the top of the stack, in words; nothing here allocates (1). */
static int script_error(lua_State *L, const struct state_call *call, struct error *err)
{
    char text[ERROR_TEXT_BYTES];
    size_t size = 0, name_size = strlen(call->what);

    if (lua_type(L, -1) == LUA_TSTRING) {
        const char *said = lua_tolstring(L, -1, &size);
        if (size > sizeof text - 1) size = sizeof text - 1;
        memcpy(text, said, size);
    } else {
        size = (size_t)snprintf(text, sizeof text, "raised a %s", luaL_typename(L, -1));
    }
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < 32 || text[i] == 127) text[i] = ' ';
    text[utf8_mend(text, size)] = '\0';
    if (strncmp(text, call->what, name_size) == 0 && text[name_size] == ':')
        return error_set(err, *call->code, "%s", text);
    return error_set(err, *call->code, "%s: %s", call->what, text);
}

enum hook_result state_run(struct state *s, const struct state_call *call, struct error *err)
{
    lua_State *L = s->lua;
    enum hook_result result = HOOK_DONE;

    CHECK(lua_gettop(L) == 0); /* (1) */
    budget_arm(&s->budget, L, call->deadline_us, call->room);
    int status = lua_cpcall(L, call->run, call->ctx);
    budget_disarm(&s->budget, call->room);
    enum budget_end end = s->budget.end;
    /* What a trusted script has caught is as if it were not. */
    if (end == BUDGET_WANTS) result = HOOK_WANTS_MORE;
    else if (end != BUDGET_HOLDS) result = budget_error(&s->budget, call->what, err);
    else if (status == LUA_ERRMEM) result = error_no_memory(err, 0);
    else if (status != 0) result = script_error(L, call, err);
    lua_settop(L, 0);
    return result;
}

bool state_is_spent(const struct state *s)
{
    bool is_overrun = s->budget.end != BUDGET_HOLDS && s->budget.end != BUDGET_WANTS;
    return is_overrun || (!s->is_trusted && s->budget.used_bytes > STATE_KEEP_BYTES);
}
