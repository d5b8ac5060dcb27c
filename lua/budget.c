/* SPDX-License-Identifier: Apache-2.0 */
/* budget.c — what one call of a script may use: steps, time, memory, depth of C.
 *
 * WHAT        Four meters.  A count hook counts instructions and looks at the clock; functions of C
 *             that work longer than an instruction does charge steps of their own; the allocator
 *             bounds the state's memory and each block, and looks at the clock after as many bytes
 *             as take a moment to fill; calls from C into Lua are counted, for the C stack has no
 *             other bound.
 *             A batch's time is that of the thread's processor, so that a busy machine ends no
 *             script early.  To ask for it is slow: the monotonic clock is asked, and that one when
 *             the time would be over had the thread had a processor to itself.
 * INVARIANTS  (1) Once `end` is set it stays until the call is over: the hook then fires at every
 *                 instruction and protected calls pass the error on, so that who catches it has
 *                 nothing from it.
 *             (2) Between two looks at the clock there are BUDGET_HOOK_STEPS instructions, none of
 *                 which takes longer than the work on a string or table of one block; where larger
 *                 ones were given, there are fewer by as much.
 *             (3) Nothing is enforced but memory where scripts are trusted: compiled code calls no
 *                 hook (architecture 7).
 *             (4) lua_newstate and luaopen_ffi are given their memory before they are called, and
 *                 are refused none.
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

static uint64_t used_us(const struct budget *b)
{
    uint64_t now_us = clock_processor_us(b->clock);
    return now_us > b->processor_us ? now_us - b->processor_us : 0;
}

/* Look at the clock: HOLDS, or which time is over. */
static enum budget_end check_time(struct budget *b)
{
    uint64_t now_us = clock_now_us(b->clock);

    b->unclocked = 0;
    if (b->deadline_us && now_us >= b->deadline_us) return BUDGET_DEADLINE;
    if (now_us < b->until_us) return BUDGET_HOLDS;
    uint64_t used = used_us(b);
    if (used >= b->room.us) return BUDGET_TIME_ENDED;
    b->until_us = now_us + (b->room.us - used);
    return BUDGET_HOLDS;
}

/* ---- Memory ---- */

/* Without allocation; level 0 is who runs: a function of Lua, or one of C that it called. */
static int find_line(lua_State *L)
{
    lua_Debug at;
    for (int level = 0; level < 4 && lua_getstack(L, level, &at); level++)
        if (lua_getinfo(L, "l", &at) && at.currentline > 0) return at.currentline;
    return -1;
}

/* Memory was refused: LuaJIT raises its own error, which has no line.  Only what is interpreted has
 * its place on the stack; compiled code keeps it in registers. */
static void note_refusal(struct budget *b, enum budget_end end)
{
    if (b->end != BUDGET_HOLDS) return;
    b->end = end;
    if (b->is_enforced && b->is_armed) b->line = find_line(b->lua);
}

/* What forbids a block of `bytes` instead of one of old_bytes. */
static enum budget_end refuse_bytes(struct budget *b, size_t old_bytes, size_t bytes)
{
    if (bytes > b->block_bytes_max && (!b->is_giving || bytes > BUDGET_GIVEN_BYTES))
        return BUDGET_BLOCK;
    if (bytes - old_bytes > b->used_bytes_max - b->used_bytes) return BUDGET_MEMORY;
    if (!b->is_enforced || !b->is_armed) return BUDGET_HOLDS;
    if (b->is_giving && bytes > b->given_bytes_max) b->given_bytes_max = bytes;
    b->unclocked += bytes / BYTES_PER_STEP;
    return b->unclocked >= CLOCK_STEPS ? check_time(b) : BUDGET_HOLDS;
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
        else note_refusal(b, end);
    }
    if (made && born) memcpy(made, born, old_bytes < bytes ? old_bytes : bytes);
    return made;
}

/* ---- Steps and time ---- */

/* Instructions between two looks at the clock (2). */
static int hook_steps(const struct budget *b)
{
    size_t larger = b->given_bytes_max / BUDGET_BLOCK_BYTES;
    return BUDGET_HOOK_STEPS / (int)(larger + 1);
}

static void count(lua_State *L, lua_Debug *at)
{
    struct budget *b = budget_of(L);
    uint64_t steps = (uint64_t)hook_steps(b);

    (void)at;
    if (b->end != BUDGET_HOLDS) budget_stop(L, b->end);
    if (b->room.steps <= steps) budget_stop(L, BUDGET_STEPS_ENDED);
    b->room.steps -= steps;
    enum budget_end end = check_time(b);
    if (end != BUDGET_HOLDS) budget_stop(L, end);
}

struct budget_room budget_room_of(size_t row_count)
{
    uint64_t steps = BUDGET_STEPS + (uint64_t)row_count * BUDGET_ROW_STEPS;
    uint64_t us = BUDGET_US + (uint64_t)row_count * BUDGET_ROW_NS / 1000;
    return (struct budget_room){.steps_max = steps, .us_max = us, .steps = steps, .us = us};
}

void budget_arm(struct budget *b, lua_State *L, uint64_t deadline_us,
                const struct budget_room *room)
{
    CHECK(!b->is_armed);
    b->is_armed = true;
    b->is_giving = false;
    b->end = BUDGET_HOLDS;
    b->lua = L;
    b->deadline_us = deadline_us;
    b->room = *room;
    b->unclocked = 0;
    b->depth = 0;
    b->line = -1;
    if (!b->is_enforced) return;
    b->processor_us = clock_processor_us(b->clock);
    b->until_us = clock_now_us(b->clock) + room->us;
    lua_sethook(L, count, LUA_MASKCOUNT, hook_steps(b));
}

void budget_disarm(struct budget *b, struct budget_room *room)
{
    if (b->is_enforced) {
        uint64_t used = used_us(b);
        lua_sethook(b->lua, NULL, 0, 0);
        room->steps = b->room.steps;
        room->us -= used < room->us ? used : room->us;
    }
    b->is_armed = false;
}

void budget_forget_given(struct budget *b)
{
    b->given_bytes_max = 0;
}

/* What was refused, in words. */
static int memory_error(const struct budget *b, const char *what, const char *line,
                        struct error *err)
{
    size_t block_bytes = b->is_giving ? (size_t)BUDGET_GIVEN_BYTES : b->block_bytes_max;

    if (b->end == BUDGET_NO_MEMORY)
        return error_set(err, LYNSE_NO_MEMORY, "%s:%s the script's state got no memory", what,
                         line);
    if (b->end == BUDGET_MEMORY)
        return error_set(err, LYNSE_HOOK, "%s:%s %s more memory than the limit of %zu bytes", what,
                         line, b->is_giving ? "with what it is given it needs" : "needs",
                         b->used_bytes_max);
    return error_set(err, LYNSE_HOOK,
                     "%s:%s %s a text, table or stack of more than the limit of %zu bytes", what,
                     line, b->is_giving ? "is given" : "makes", block_bytes);
}

int budget_error(const struct budget *b, const char *what, struct error *err)
{
    char line[24] = "";

    if (b->line > 0) snprintf(line, sizeof line, "%d:", b->line);
    switch (b->end) {
    case BUDGET_STEPS_ENDED:
        return error_set(err, LYNSE_HOOK, "%s:%s stopped after %llu steps, the limit of a batch",
                         what, line, (unsigned long long)b->room.steps_max);
    case BUDGET_TIME_ENDED:
        return error_set(err, LYNSE_HOOK, "%s:%s stopped after %llu us, the limit of a batch", what,
                         line, (unsigned long long)b->room.us_max);
    case BUDGET_DEADLINE:
        return error_set(err, LYNSE_HOOK, "%s:%s stopped at the deadline", what, line);
    case BUDGET_MEMORY:
    case BUDGET_BLOCK:
    case BUDGET_NO_MEMORY:
        return memory_error(b, what, line, err);
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
    if (b->room.steps <= steps) budget_stop(L, BUDGET_STEPS_ENDED);
    b->room.steps -= steps;
    b->unclocked += steps;
    if (b->unclocked < CLOCK_STEPS) return;
    enum budget_end end = check_time(b);
    if (end != BUDGET_HOLDS) budget_stop(L, end);
}

void budget_begin_giving(lua_State *L)
{
    budget_of(L)->is_giving = true;
}

void budget_end_giving(lua_State *L)
{
    struct budget *b = budget_of(L);

    b->is_giving = false;
    if (b->is_enforced && b->is_armed && b->given_bytes_max > b->block_bytes_max)
        lua_sethook(L, count, LUA_MASKCOUNT, hook_steps(b));
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
