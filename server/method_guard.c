/* SPDX-License-Identifier: Apache-2.0 */
/* method_guard.c — a hook that counts instructions, and an allocator that counts bytes.
 *
 * WHAT        LuaJIT does not look at hooks in compiled code: while a run is guarded nothing new is
 *             compiled, and what only such runs execute is therefore always interpreted.  What the
 *             loop has compiled of its own scripts is used as ever, and ends by itself.
 * INVARIANTS  (1) A stop is not caught: after it every instruction raises again, and pcall and
 *                 xpcall as the operator's scripts have them (scripts/server.lua) pass it on.
 *             (2) Outside of a run the state has no hook and its own allocator.
 *             (3) A function of C is not interrupted; what it takes of memory is bounded.
 * THREADS     The loop's.
 * FAILURE     Memory that is refused is Lua's own error, and may be caught.
 */
#include "server/method_guard.h"

#include <luajit.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "server/loop.h"

enum { LEVELS_MAX = 64 }; /* of calls that are looked through for a line */

static void *allocate(void *ctx, void *block, size_t old_bytes, size_t bytes)
{
    struct method_guard *g = &((struct loop *)ctx)->guard;
    struct loop *l = ctx;
    int64_t more = (int64_t)bytes - (block ? (int64_t)old_bytes : 0);

    if (more > 0 && g->grown_bytes + more > METHOD_RUN_BYTES) {
        g->end = GUARD_MEMORY;
        return NULL;
    }
    void *made = l->allocate(l->allocate_ctx, block, old_bytes, bytes);
    if (made || bytes == 0) g->grown_bytes += more;
    return made;
}

/* The nearest line of the operator's. */
static void find_place(lua_State *L, struct method_guard *g)
{
    lua_Debug at;

    for (int level = 0; level < LEVELS_MAX && lua_getstack(L, level, &at); level++) {
        lua_getinfo(L, "Sl", &at);
        if (at.currentline <= 0 || strncmp(at.source, "@rpc/", 5) != 0) continue;
        snprintf(g->place, sizeof g->place, "%s:%d: ", at.short_src, at.currentline);
        return;
    }
}

static enum guard_end check_time(const struct method_guard *g)
{
    uint64_t now_us = clock_now_us(clock_system());

    if (g->deadline_us && now_us >= *g->deadline_us) return GUARD_DEADLINE;
    if (now_us - g->begun_us < METHOD_RUN_MS * 1000ull) return GUARD_HOLDS;
    uint64_t used_us = clock_processor_us(clock_system()) - g->processor_us;
    return used_us >= METHOD_RUN_MS * 1000ull ? GUARD_TIME : GUARD_HOLDS;
}

static bool is_stopped(const struct method_guard *g)
{
    return g->end == GUARD_TIME || g->end == GUARD_DEADLINE;
}

static void count(lua_State *L, lua_Debug *where)
{
    struct method_guard *g = &loop_of(L)->guard;

    (void)where;
    if (!is_stopped(g)) {
        enum guard_end end = check_time(g);
        if (end == GUARD_HOLDS) return;
        g->end = end;
        find_place(L, g);
        lua_sethook(L, count, LUA_MASKCOUNT, 1); /* (1) */
    }
    lua_pushnil(L); /* the words come from method_guard_tell: making them here may fail */
    lua_error(L);
}

void method_guard_begin(struct loop *l, const uint64_t *deadline_us)
{
    struct method_guard *g = &l->guard;
    void *ctx;

    *g = (struct method_guard){.is_armed = true,
                               .begun_us = clock_now_us(clock_system()),
                               .processor_us = clock_processor_us(clock_system()),
                               .deadline_us = deadline_us,
                               .allocate = lua_getallocf(l->L, &ctx)};
    lua_setallocf(l->L, allocate, ctx);
    luaJIT_setmode(l->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    lua_sethook(l->L, count, LUA_MASKCOUNT, METHOD_CHECK_STEPS);
}

void method_guard_end(struct loop *l)
{
    lua_sethook(l->L, NULL, 0, 0); /* (2) */
    luaJIT_setmode(l->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
    lua_setallocf(l->L, l->guard.allocate, l);
    l->guard.is_armed = false;
}

void method_guard_tell(const struct method_guard *g, char *out, size_t out_bytes)
{
    out[0] = '\0';
    if (g->end == GUARD_TIME)
        snprintf(out, out_bytes, "%sstopped after %d ms without a call that waits", g->place,
                 METHOD_RUN_MS);
    if (g->end == GUARD_DEADLINE) snprintf(out, out_bytes, "%sstopped at the deadline", g->place);
    if (g->end == GUARD_MEMORY)
        snprintf(out, out_bytes, "stopped: more than the limit of %d MiB of memory",
                 METHOD_RUN_BYTES >> 20);
}

/* ---- For scripts/server.lua ---- */

static int call_guarded(lua_State *L)
{
    struct loop *l = loop_of(L);
    char told[ERROR_TEXT_BYTES];

    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    if (l->guard.is_armed) return luaL_error(L, "call_guarded: inside of itself");
    method_guard_begin(l, NULL);
    int status = lua_pcall(L, 0, 1, 0);
    method_guard_end(l);
    if (is_stopped(&l->guard) || status == LUA_ERRMEM) {
        method_guard_tell(&l->guard, told, sizeof told);
        if (told[0]) lua_pushstring(L, told);
        return lua_error(L);
    }
    return status == 0 ? 1 : lua_error(L);
}

static int push_is_stopped(lua_State *L)
{
    const struct method_guard *g = &loop_of(L)->guard;
    lua_pushboolean(L, g->is_armed && is_stopped(g));
    return 1;
}

const luaL_Reg engine_natives_guard[] = {
    {"call_guarded", call_guarded}, {"is_stopped", push_is_stopped}, {NULL, NULL}};
