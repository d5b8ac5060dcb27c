/* SPDX-License-Identifier: Apache-2.0 */
/* memory_sweep.c — `memory_sweep SCENARIO FOLDER`: the module where Lua's memory runs out.
 *
 * The scenario is run in a state of its own again and again; the first allocation of Lua's fails,
 * then the second, and so on, until it ends well; once with all that come after it, once alone.
 * Whatever it answers, the state closes, nothing
 * of its memory is left, and the folder can be opened by the next one: no root was left open.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/module/module.h"

enum { STEPS_EACH = 400, STEP_DIVISOR = 100 }; /* each of the first 400, then 1 % further */

struct memory {
    size_t block_count; /* not bytes: LuaJIT forgets how large a half-made closure was */
    size_t fail_after;  /* 0: never */
    size_t count;
    bool is_sticky;
    int has_failed;
};

static bool must_fail(struct memory *m)
{
    if (m->fail_after == 0 || ++m->count < m->fail_after) return false;
    if (m->count > m->fail_after && !m->is_sticky) return false;
    m->has_failed = 1;
    return true;
}

static void *allocate(void *ctx, void *block, size_t old_bytes, size_t bytes)
{
    struct memory *m = ctx;

    if (bytes == 0) {
        free(block);
        m->block_count -= block != NULL;
        return NULL;
    }
    if (bytes > (block ? old_bytes : 0) && must_fail(m)) return NULL;
    void *moved = realloc(block, bytes);
    m->block_count += moved && !block;
    return moved;
}

/* The scenario as a function, at the top. */
static int prepare(lua_State *L)
{
    const char *path = lua_touserdata(L, 1);

    luaL_openlibs(L);
    if (luaL_dostring(L, "jit.off()") != 0) return lua_error(L);
    lua_pushcfunction(L, luaopen_lynse);
    lua_setglobal(L, "open_module");
    if (luaL_loadfile(L, path) != 0) return lua_error(L);
    return 1;
}

/* 0: it ended well, 1: an allocation failed in it, -1: the test has failed. */
static int run_once(char *scenario, const char *folder, size_t fail_after, struct memory *m)
{
    lua_State *L = lua_newstate(allocate, m);
    int rc = -1;

    lua_pushcfunction(L, prepare);
    lua_pushlightuserdata(L, scenario);
    if (lua_pcall(L, 1, 1, 0) != 0) {
        printf("%s\n", lua_tostring(L, -1));
        lua_close(L);
        return -1;
    }
    lua_pushstring(L, folder);
    m->fail_after = fail_after;
    int status = lua_pcall(L, 1, 0, 0);
    m->fail_after = 0;
    if (status == 0 || m->has_failed) rc = m->has_failed;
    else printf("without a failed allocation: %s\n", lua_tostring(L, -1));
    lua_close(L);
    if (m->block_count != 0) {
        printf("%zu blocks are left\n", m->block_count);
        rc = -1;
    }
    return rc;
}

static bool sweep(char **argv, bool is_sticky)
{
    size_t runs = 0;

    for (size_t n = 1;; n += n < STEPS_EACH ? 1 : n / STEP_DIVISOR) {
        struct memory m = {.is_sticky = is_sticky};
        int rc = run_once(argv[1], argv[2], n, &m);
        runs++;
        if (rc == 1) continue;
        if (rc < 0) printf("with allocation %zu failing\n", n);
        printf("%zu runs, to allocation %zu\n", runs, n);
        return rc == 0;
    }
}

int main(int argc, char **argv)
{
    int passed = 0;

    if (argc != 3) return 2;
    passed += sweep(argv, true);
    passed += sweep(argv, false);
    printf("cases: %d passed, %d failed\n", passed, 2 - passed);
    return passed != 2;
}
