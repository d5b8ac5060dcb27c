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
    BUDGET_STEPS_MAX = 10000000,    /* of one call: instructions, and steps of functions of C */
    BUDGET_HOOK_STEPS = 100,        /* instructions between two looks at the clock */
    BUDGET_DEPTH_MAX = 200,         /* weight of calls from C into Lua inside each other */
    BUDGET_BLOCK_BYTES = 256 << 10, /* one block; what an instruction does is bounded by it */
    BUDGET_BIRTH_BYTES = 24 << 10   /* twice what lua_newstate takes */
};

/* How a call was stopped. */
enum budget_end {
    BUDGET_HOLDS,
    BUDGET_STEPS,
    BUDGET_TIME,
    BUDGET_MEMORY,    /* the state's own bound */
    BUDGET_BLOCK,     /* one block */
    BUDGET_NO_MEMORY, /* the database's budget, or the system's */
    BUDGET_WANTS      /* the call lacks something that core can give: no fault of the script */
};

struct budget {
    struct alloc *alloc;
    const struct clock *clock;
    size_t used_bytes, used_bytes_max;
    size_t block_bytes_max; /* SIZE_MAX: none */
    bool is_enforced;       /* steps, time and depth */
    bool is_armed;          /* inside a call */
    enum budget_end end;    /* of the call: from then on every protected call inside it fails */
    uint64_t deadline_us;   /* 0: none */
    uint64_t steps_left;
    uint64_t unclocked; /* steps, and sixteenths of bytes, since the last look at the clock */
    unsigned depth;
    uint8_t *birth; /* memory for lua_newstate, which does not survive a refusal (LuaJIT of 2022) */
    size_t birth_bytes; /* used of it */
    bool is_born;       /* it is not used any more */
    int line;           /* where it ended; -1: not known */
};

/* is_enforced: for scripts that nobody vouches for. */
int budget_init(struct budget *b, struct alloc *a, const struct clock *clock, bool is_enforced,
                size_t bytes_max, struct error *err); /* NO_MEMORY */
void budget_deinit(struct budget *b);                 /* its state is closed; zeroed is allowed */
/* Once, after lua_newstate. */
void budget_set_born(struct budget *b);
/* lua_Alloc; the context is the budget. */
void *budget_resize(void *budget, void *block, size_t old_bytes, size_t bytes);

/* Around one call of a state whose allocator has this budget. */
void budget_arm(struct budget *b, lua_State *L, uint64_t deadline_us);
void budget_disarm(struct budget *b, lua_State *L);
/* What ended it, for the error of a call that failed; err NO_MEMORY or HOOK.  CHECK: it did end. */
int budget_error(const struct budget *b, const char *what, struct error *err);

/* ---- For functions of C that scripts call; each may raise ---- */

struct budget *budget_of(lua_State *L);
/* So many steps, each of some nanoseconds and at most of a hundred. */
void budget_charge(lua_State *L, uint64_t steps);
/* Stop: no pcall of the script's gets past it. */
void budget_stop(lua_State *L, enum budget_end end);
/* Before and after a call into Lua by a function of C whose frame takes `weight` times 256 bytes or
 * less.  Who catches an error restores the depth that it found. */
void budget_enter(lua_State *L, unsigned weight);
void budget_leave(lua_State *L, unsigned weight);

#endif
