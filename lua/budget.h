/* SPDX-License-Identifier: Apache-2.0 */
/* budget.h — what one call of a script may use: steps, time, memory, depth of C.
 *
 * A budget belongs to one Lua state and is the context of its allocator, so that every function of
 * C finds it by its state.  One thread at a time, that of the state.
 */
#ifndef LUA_BUDGET_H
#define LUA_BUDGET_H

#include <lua.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"

enum {
    BUDGET_STEPS = 10000000,        /* of a batch: instructions, and steps of functions of C */
    BUDGET_ROW_STEPS = 100,         /* of each candidate beside them */
    BUDGET_US = 50000,              /* of a batch, of the thread's own processor time */
    BUDGET_ROW_NS = 200,            /* of each candidate beside them */
    BUDGET_HOOK_STEPS = 100,        /* instructions between two looks at the clock */
    BUDGET_DEPTH_MAX = 200,         /* weight of calls from C into Lua inside each other */
    BUDGET_BLOCK_BYTES = 512 << 10, /* one block; what an instruction does is bounded by it.  A
                                       table with a key for each of HOOK_HITS_MAX hits is one */
    BUDGET_GIVEN_BYTES = 4 << 20,   /* one block of what the engine hands over: LIMIT_DOC_BYTES in
                                       one text, a list of half a million entries */
    BUDGET_BIRTH_BYTES = 48 << 10   /* twice what lua_newstate and luaopen_ffi take */
};

/* How a call was stopped. */
enum budget_end {
    BUDGET_HOLDS,
    BUDGET_STEPS_ENDED,
    BUDGET_TIME_ENDED,
    BUDGET_DEADLINE,
    BUDGET_MEMORY,    /* the state's own bound */
    BUDGET_BLOCK,     /* one block */
    BUDGET_NO_MEMORY, /* the database's budget, or the system's */
    BUDGET_WANTS      /* the call lacks something that core can give: no fault of the script */
};

/* What a batch may use of steps and time, in all of its calls together. */
struct budget_room {
    uint64_t steps_max, us_max;
    uint64_t steps, us; /* left */
};

struct budget {
    struct alloc *alloc;
    const struct clock *clock;
    size_t used_bytes, used_bytes_max;
    size_t block_bytes_max; /* SIZE_MAX: none */
    bool is_enforced;       /* steps, time and depth */
    bool is_armed;          /* inside a call */
    bool is_giving;         /* inside of budget_begin_giving and budget_end_giving */
    enum budget_end end;    /* of the call: from then on every protected call inside it fails */
    lua_State *lua;         /* while armed */
    uint64_t deadline_us;   /* 0: none */
    struct budget_room room;
    uint64_t until_us;      /* its time is not used up before */
    uint64_t processor_us;  /* of the thread, when the call began */
    size_t given_bytes_max; /* the largest block that a run was given */
    uint64_t unclocked;     /* steps, and sixteenths of bytes, since the last look at the clock */
    unsigned depth;
    /* Memory for lua_newstate, which does not survive a refusal (LuaJIT of 2022), and luaopen_ffi,
     * which then leaks. */
    uint8_t *birth;
    size_t birth_bytes; /* used of it */
    bool is_born;       /* it is not used any more */
    int line;           /* where it ended; -1: not known */
};

/* is_enforced: for scripts that nobody vouches for. */
int budget_init(struct budget *b, struct alloc *a, const struct clock *clock, bool is_enforced,
                size_t bytes_max, struct error *err); /* NO_MEMORY */
void budget_deinit(struct budget *b);                 /* its state is closed; zeroed is allowed */
/* Once, after lua_newstate and, where it is opened, luaopen_ffi. */
void budget_set_born(struct budget *b);
/* lua_Alloc; the context is the budget. */
void *budget_resize(void *budget, void *block, size_t old_bytes, size_t bytes);

/* What a batch of so many candidates may use; 0: what takes none. */
struct budget_room budget_room_of(size_t row_count);
/* Around one call of a state whose allocator has this budget; disarm takes out of the room what
 * the call has used. */
void budget_arm(struct budget *b, lua_State *L, uint64_t deadline_us,
                const struct budget_room *room);
void budget_disarm(struct budget *b, struct budget_room *room);
/* At the begin of a run: nothing of what earlier ones were given can be reached. */
void budget_forget_given(struct budget *b);
/* What ended it, for the error of a call that failed; err NO_MEMORY or HOOK.  CHECK: it did end. */
int budget_error(const struct budget *b, const char *what, struct error *err);

/* ---- For functions of C that scripts call; each may raise ---- */

struct budget *budget_of(lua_State *L);
/* So many steps, each of some nanoseconds and at most of a hundred. */
void budget_charge(lua_State *L, uint64_t steps);
/* Stop: no pcall of the script's gets past it. */
void budget_stop(lua_State *L, enum budget_end end);
/* Around what C makes for a script out of what the engine has: a block of it may be larger than
 * those that a script makes.  No script runs in between; who catches an error ends it. */
void budget_begin_giving(lua_State *L);
void budget_end_giving(lua_State *L);
/* Before and after a call into Lua by a function of C whose frame takes `weight` times 256 bytes or
 * less.  Who catches an error restores the depth that it found. */
void budget_enter(lua_State *L, unsigned weight);
void budget_leave(lua_State *L, unsigned weight);

#endif
