/* SPDX-License-Identifier: Apache-2.0 */
/* lua_bed.h — a state of Lua beside an allocator of ours, either of which can run out.
 *
 * A scenario runs as a method does, inside of a protected call; what it needs is in its ctx.  The
 * sweeps of the bed ask that whatever fails is LYNSE_NO_MEMORY, and that nothing is left of it.
 */
#ifndef UNIT_SERVER_LUA_BED_H
#define UNIT_SERVER_LUA_BED_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "base/alloc.h"
#include "lua/module/documents.h"
#include "lua/module/scalars.h"
#include "server/arguments.h"
#include "server/hits_value.h"
#include "support/oom_sweep.h"
#include "support/test.h"

struct bed {
    struct alloc *alloc;
    lua_State *L;
    size_t block_count; /* of the state: LuaJIT forgets how large a half-made closure was */
    size_t grown_count; /* allocations since bed_fail_after */
    size_t fail_after;  /* 0: never */
    bool is_sticky;
    bool has_failed;
};

/* Returns 0, or -1 with the error; may raise.  ctx is the scenario's own. */
typedef int bed_scenario(lua_State *L, void *ctx, struct error *err);
/* What its owner does when it is over, however it ended: ctx holds no memory then. */
typedef void bed_end(void *ctx);

static inline void *bed_allocate(void *ud, void *block, size_t old_bytes, size_t bytes)
{
    struct bed *b = ud;

    if (bytes == 0) {
        free(block);
        b->block_count -= block != NULL;
        return NULL;
    }
    if (b->fail_after && bytes > (block ? old_bytes : 0)) {
        b->grown_count++;
        if (b->grown_count == b->fail_after || (b->is_sticky && b->grown_count > b->fail_after)) {
            b->has_failed = true;
            return NULL;
        }
    }
    void *moved = realloc(block, bytes);
    b->block_count += moved && !block;
    return moved;
}

/* In a protected call: nothing that tests need is missing when memory runs out. */
static inline int bed_prepare(lua_State *L)
{
    luaL_openlibs(L);
    scalars_prepare(L);
    documents_prepare(L);
    blocks_prepare(L);
    hits_value_prepare(L);
    return 0;
}

static inline void bed_open(struct bed *b)
{
    *b = (struct bed){.alloc = alloc_create(NULL, 0)};
    assert_non_null(b->alloc);
    b->L = lua_newstate(bed_allocate, b);
    assert_non_null(b->L);
    assert_int_equal(lua_cpcall(b->L, bed_prepare, NULL), 0);
    lua_settop(b->L, 0);
}

static inline void bed_close(struct bed *b)
{
    lua_close(b->L);
    assert_int_equal(b->block_count, 0);
    assert_int_equal(alloc_used_bytes(b->alloc), 0);
    alloc_destroy(b->alloc);
}

/* A scenario, and how to run it. */
struct bed_run {
    struct bed *bed;
    bed_scenario *scenario;
    bed_end *end;
    void *ctx;
    struct error *err;
    int rc;
};

static inline int bed_enter(lua_State *L)
{
    struct bed_run *run = lua_touserdata(L, 1);
    run->rc = run->scenario(L, run->ctx, run->err);
    return 0;
}

/* What oom_sweep calls: what Lua raises is an error like others. */
static inline int bed_run(void *ctx, struct error *err)
{
    struct bed_run *run = ctx;
    lua_State *L = run->bed->L;
    int top = lua_gettop(L);

    run->err = err;
    run->rc = -1;
    int status = lua_cpcall(L, bed_enter, run);
    if (status == LUA_ERRMEM) error_set(err, LYNSE_NO_MEMORY, "Lua's memory");
    else if (status != 0) fail_msg("raised: %s", lua_tostring(L, -1));
    lua_settop(L, top);
    run->end(run->ctx);
    return status == 0 ? run->rc : -1;
}

/* Each allocation of Lua's in turn.  Blocks that are left are garbage, or the state's own. */
static inline void bed_sweep_state(struct bed_run *run, bool is_sticky)
{
    struct bed *b = run->bed;
    struct error err = {0};

    assert_ok(bed_run(run, &err), &err); /* what is made once is made */
    lua_gc(b->L, LUA_GCCOLLECT, 0);
    size_t blocks = b->block_count;
    size_t used = alloc_used_bytes(b->alloc);
    for (uint64_t n = 1;; n = test_sweep_next(n)) {
        b->fail_after = (size_t)n;
        b->grown_count = 0;
        b->is_sticky = is_sticky;
        b->has_failed = false;
        err = (struct error){0};
        int rc = bed_run(run, &err);
        b->fail_after = 0;
        if (!b->has_failed) {
            assert_ok(rc, &err);
            break;
        }
        assert_fails(rc, &err, LYNSE_NO_MEMORY);
        assert_int_equal(alloc_used_bytes(b->alloc), used);
        lua_gc(b->L, LUA_GCCOLLECT, 0);
        assert_int_equal(b->block_count, blocks);
    }
    assert_ok(bed_run(run, &err), &err); /* the state is as good as before */
}

/* Either memory, once each allocation alone and once with all that follow. */
static inline void bed_sweep(struct bed_run *run)
{
    bed_sweep_state(run, false);
    bed_sweep_state(run, true);
    oom_sweep(run->bed->alloc, bed_run, run);
}

#endif
