/* SPDX-License-Identifier: Apache-2.0 */
/* state.h — one Lua state with its budget: made, called under protection, thrown away.
 *
 * Owned by a pair of the pool; one thread at a time.  C enters a state through state_run alone.
 */
#ifndef LUA_STATE_H
#define LUA_STATE_H

#include <lua.h>

#include "lua/budget.h"
#include "lua/chunk_cache.h"
#include "query/hook.h"

enum {
    STATE_BYTES_MAX = 8 << 20,
    STATE_TRUSTED_BYTES_MAX = 64 << 20,
    STATE_KEEP_BYTES = 3 << 20 /* a state that holds more after a run is thrown away */
};

/* What a state keeps in its registry for the run that has it. */
enum state_slot {
    STATE_FUNCTION, /* the hook's */
    STATE_OPTIONS,  /* its options, made anew for each run */
    STATE_FIELDS,   /* score: the table `field` */
    STATE_PLACES,   /* rerank: hit -> its place */
    STATE_FIELDS_META,
    STATE_HIT_META,
    /* Trusted: functions that make a view; and the state's views, so that they live. */
    STATE_MAKE_F32,
    STATE_MAKE_F64,
    STATE_MAKE_OUT,
    STATE_DISTANCES,
    STATE_OUT,
    STATE_COLUMNS, /* a list of them */
    STATE_SLOTS
};

struct state {
    lua_State *lua;
    bool is_trusted; /* compiled, with views of memory; no limit but of memory */
    struct budget budget;
    struct chunk_cache chunks;
    int slots[STATE_SLOTS];
    /* Of the call, for functions that scripts call; NULL outside of one. */
    struct hook_wants *wants;
    size_t column_count;                                                /* given of wants->fields */
    const void **distances_at, **out_at, **columns_at[HOOK_FIELDS_MAX]; /* inside of the views */
    size_t view_count;  /* of columns, made so far */
    size_t shown_count; /* of those, that are in the run's `field` */
    const struct hook_hits *hits;
};

/* err NO_MEMORY. */
int state_create(struct alloc *a, const struct clock *clock, bool is_trusted, struct state **out,
                 struct error *err);
void state_destroy(struct state *s); /* NULL is allowed */

struct state_call {
    const char *what;  /* of error texts: the hook's name, which is the chunk's too */
    lua_CFunction run; /* gets ctx as a light userdata, may raise */
    void *ctx;
    uint64_t deadline_us;     /* 0: none */
    struct budget_room *room; /* less after it; not of trusted states */
    const int *code;          /* of an error that run raises; read after it */
};
/* What run returns on the stack is dropped. */
enum hook_result state_run(struct state *s, const struct state_call *call, struct error *err);

/* Whether it must not be used again: its budget was overrun, or it holds much. */
bool state_is_spent(const struct state *s);

/* Inside state_run. */
void state_push(lua_State *L, const struct state *s, enum state_slot slot);
void state_set(lua_State *L, const struct state *s, enum state_slot slot); /* pops the value */

#endif
