/* SPDX-License-Identifier: Apache-2.0 */
/* hooks.h — hooks in Lua: the implementation of query/hook.h that liblynse-lua is for.
 *
 * One host for each database.  Its hooks are destroyed before it.  Any thread.
 */
#ifndef LUA_HOOKS_H
#define LUA_HOOKS_H

#include "base/alloc.h"
#include "base/clock.h"
#include "query/hook.h"

struct lua_host_desc {
    struct alloc *alloc;       /* the database's; borrowed */
    const struct clock *clock; /* NULL: clock_system() */
    unsigned pair_max;         /* pairs of states; 0: two for each processor */
    const char *scripts_dir;   /* scripts that are found by name (loader.h); NULL: ours alone */
};

/* err NO_MEMORY; those of loader_open; PARSE, HOOK: a script of the folder, and its line. */
int lua_host_create(const struct lua_host_desc *desc, struct hook_host **out, struct error *err);
void lua_host_destroy(struct hook_host *host); /* NULL is allowed */

#endif
