/* SPDX-License-Identifier: Apache-2.0 */
/* budget.c — what one call of a script may use: steps, time, memory, depth of C.
 *
 * WHAT        Four meters.  A count hook counts instructions and looks at the clock; functions of C
 *             that work longer than an instruction does charge steps of their own; the allocator
 *             bounds the state's memory and each block, and looks at the clock after as many bytes
 *             as take a moment to fill; calls from C into Lua are counted, for the C stack has no
 *             other bound.
 * INVARIANTS  (1) Once `end` is set it stays until the call is over: the hook then fires at every
 *                 instruction and protected calls pass the error on, so that who catches it has
 *                 nothing from it.
 *             (2) Between two looks at the clock there are BUDGET_HOOK_STEPS instructions; none
 *                 takes longer than the work on strings or tables of one block, for there are no
 *                 larger ones.
 *             (3) Nothing is enforced but memory where scripts are trusted: compiled code calls no
 *                 hook (architecture 7).
 *             (4) lua_newstate is given its memory before it is called, and is refused none.
 * THREADS     That of the state.
 * FAILURE     Everything here that raises does so by lua_error: callers are inside lua_cpcall.
 */
#include "lua/budget.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

enum {
    CLOCK_STEPS = 2000,  /* charged by functions of C between two looks at the clock */
    BYTES_PER_STEP = 64, /* of new memory */
    HEADER_BYTES = 16,   /* that a block has beside what Lua asks for (base/alloc.h) */
};

int budget_init(struct budget *b, struct alloc *a, const struct clock *clock, bool is_enforced,
                size_t bytes_max, struct error *err)
{
    *b = (struct budget){
        .alloc = a,
        .clock = clock,
        .used_bytes = BUDGET_BIRTH_BYTES,
        .used_bytes_max = bytes_max,
        .block_bytes_max = is_enforced ? BUDGET_BLOCK_BYTES : SIZE_MAX,
        .is_enforced = is_enforced,
        .line = -1,
        .birth = mem_alloc(a, MEM_SCRIPT, BUDGET_BIRTH_BYTES),
    };
    return b->birth ? 0 : error_no_memory(err, BUDGET_BIRTH_BYTES);
}

void budget_deinit(struct budget *b)
{
    mem_free(b->alloc, b->birth);
    b->birth = NULL;
}

void budget_set_born(struct budget *b)
{
    b->is_born = true;
}

static bool is_late(struct budget *b)
{
    b->unclocked = 0;
    return b->deadline_us && clock_now_us(b->clock) >= b->deadline_us;
}

/* ---- Memory ---- */

/* What forbids a block of `bytes` instead of one of old_bytes. */
static enum budget_end refuse_bytes(struct budget *b, size_t old_bytes, size_t bytes)
{
    if (bytes > b->block_bytes_max) return BUDGET_BLOCK;
    if (bytes - old_bytes > b->used_bytes_max - b->used_bytes) return BUDGET_MEMORY;
    if (!b->is_enforced || !b->is_armed) return BUDGET_HOLDS;
    b->unclocked += bytes / BYTES_PER_STEP;
    return b->unclocked >= CLOCK_STEPS && is_late(b) ? BUDGET_TIME : BUDGET_HOLDS;
}

static bool is_birth(const struct budget *b, const void *block)
{
    uintptr_t at = (uintptr_t)block, birth = (uintptr_t)b->birth;
    return at >= birth && at < birth + BUDGET_BIRTH_BYTES;
}

/* Memory that cannot be refused (4); NULL: there is no more of it. */
static void *take_birth(struct budget *b, size_t bytes)
{
    if (b->is_born || bytes > BUDGET_BIRTH_BYTES - b->birth_bytes) return NULL;
    void *block = b->birth + b->birth_bytes;
    b->birth_bytes += (bytes + HEADER_BYTES - 1) & ~(size_t)(HEADER_BYTES - 1);
    return block;
}

void *budget_resize(void *budget, void *block, size_t old_bytes, size_t bytes)
{
    struct budget *b = budget;
    enum budget_end end = BUDGET_HOLDS;
    size_t held_bytes, new_bytes = bytes + HEADER_BYTES;
    const void *born = is_birth(b, block) ? block : NULL; /* is left where it is */

    if (born) block = NULL;
    /* Without a block Lua may say in old_bytes what kind of object it is for. */
    held_bytes = block ? old_bytes + HEADER_BYTES : 0;
    if (bytes == 0) {
        mem_free(b->alloc, block);
        b->used_bytes -= held_bytes;
        return NULL;
    }
    void *made = block ? NULL : take_birth(b, bytes);
    if (!made) {
        if (new_bytes > held_bytes) end = refuse_bytes(b, held_bytes, new_bytes);
        if (end == BUDGET_HOLDS) {
            made = mem_resize(b->alloc, MEM_SCRIPT, block, bytes);
            if (!made) end = BUDGET_NO_MEMORY;
        }
        if (made) b->used_bytes += new_bytes - held_bytes;
        else if (b->end == BUDGET_HOLDS) b->end = end;
    }
    if (made && born) memcpy(made, born, old_bytes < bytes ? old_bytes : bytes);
    return made;
}

/* ---- Steps and time ---- */

/* Without allocation; level 0 is who runs: a function of Lua, or one of C that it called. */
static int find_line(lua_State *L)
{
    lua_Debug at;
    for (int level = 0; level < 4 && lua_getstack(L, level, &at); level++)
        if (lua_getinfo(L, "l", &at) && at.currentline > 0) return at.currentline;
    return -1;
}

static void count(lua_State *L, lua_Debug *at)
{
    struct budget *b = budget_of(L);

    (void)at;
    if (b->end != BUDGET_HOLDS) budget_stop(L, b->end);
    if (b->steps_left <= BUDGET_HOOK_STEPS) budget_stop(L, BUDGET_STEPS);
    b->steps_left -= BUDGET_HOOK_STEPS;
    if (is_late(b)) budget_stop(L, BUDGET_TIME);
}

void budget_arm(struct budget *b, lua_State *L, uint64_t deadline_us)
{
    CHECK(!b->is_armed);
    b->is_armed = true;
    b->end = BUDGET_HOLDS;
    b->deadline_us = deadline_us;
    b->steps_left = BUDGET_STEPS_MAX;
    b->unclocked = 0;
    b->depth = 0;
    b->line = -1;
    if (b->is_enforced) lua_sethook(L, count, LUA_MASKCOUNT, BUDGET_HOOK_STEPS);
}

void budget_disarm(struct budget *b, lua_State *L)
{
    if (b->is_enforced) lua_sethook(L, NULL, 0, 0);
    b->is_armed = false;
}

int budget_error(const struct budget *b, const char *what, struct error *err)
{
    char line[24] = "";

    if (b->line > 0) snprintf(line, sizeof line, "%d:", b->line);
    switch (b->end) {
    case BUDGET_STEPS:
        return error_set(err, LYNSE_HOOK, "%s:%s stopped after %d steps, the limit of one call",
                         what, line, BUDGET_STEPS_MAX);
    case BUDGET_TIME:
        return error_set(err, LYNSE_HOOK, "%s:%s stopped at the deadline", what, line);
    case BUDGET_MEMORY:
        return error_set(err, LYNSE_HOOK, "%s:%s needs more memory than the limit of %zu bytes",
                         what, line, b->used_bytes_max);
    case BUDGET_BLOCK:
        return error_set(err, LYNSE_HOOK,
                         "%s:%s makes a text, table or stack of more than the limit of %zu "
                         "bytes",
                         what, line, b->block_bytes_max);
    case BUDGET_NO_MEMORY:
        return error_set(err, LYNSE_NO_MEMORY, "%s: the script's state got no memory", what);
    default:
        UNREACHABLE();
    }
}

/* ---- For functions of C ---- */

struct budget *budget_of(lua_State *L)
{
    void *budget;
    lua_getallocf(L, &budget);
    return budget;
}

void budget_stop(lua_State *L, enum budget_end end)
{
    struct budget *b = budget_of(L);

    if (b->end == BUDGET_HOLDS) b->end = end;
    if (b->line < 0) b->line = find_line(L);
    if (b->is_enforced && b->is_armed) lua_sethook(L, count, LUA_MASKCOUNT, 1); /* (1) */
    lua_pushnil(L); /* The words come from budget_error: making them here may fail. */
    lua_error(L);
}

void budget_charge(lua_State *L, uint64_t steps)
{
    struct budget *b = budget_of(L);

    if (!b->is_enforced || !b->is_armed) return;
    if (b->end != BUDGET_HOLDS) budget_stop(L, b->end);
    if (b->steps_left <= steps) budget_stop(L, BUDGET_STEPS);
    b->steps_left -= steps;
    b->unclocked += steps;
    if (b->unclocked >= CLOCK_STEPS && is_late(b)) budget_stop(L, BUDGET_TIME);
}

void budget_enter(lua_State *L, unsigned weight)
{
    struct budget *b = budget_of(L);

    if (b->depth + weight > BUDGET_DEPTH_MAX)
        luaL_error(L, "too many calls inside each other through functions of the library");
    b->depth += weight;
}

void budget_leave(lua_State *L, unsigned weight)
{
    budget_of(L)->depth -= weight;
}
