/* SPDX-License-Identifier: Apache-2.0 */
/* handles.h — open roots, collections and scans, and what a call holds, as userdata.
 *
 * A handle knows when what it stands for is gone: a call with it raises "… is closed".  __gc closes
 * what a program forgot.  Thread: that of the state.
 */
#ifndef LUA_MODULE_HANDLES_H
#define LUA_MODULE_HANDLES_H

#include <lua.h>
#include <lynse.h>
#include <stdbool.h>

#include "base/buf.h"

struct module_root {
    struct lynse *db;    /* NULL: closed */
    unsigned hook_depth; /* searches with functions of a program that are under way */
    bool is_inline;
};
struct module_collection {
    struct lynse_collection *collection; /* NULL: closed alone */
    struct module_root *root;            /* kept alive by this userdata's environment */
};
struct module_scan {
    struct lynse_scan *scan;  /* NULL: at its end */
    struct module_root *root; /* as of a collection */
};
/* What a call must give back although Lua may raise in its middle. */
struct module_scratch {
    struct lynse_hits *hits;
    struct lynse_names *names;
    struct lynse_hooks *hooks;
    struct buf bytes; /* documents */
    struct buf ids;   /* texts of ids */
};

/* Once for a state: metatables, whose methods the Lua part adds. */
void handles_prepare(lua_State *L);

/* Push an empty handle, to be filled once nothing can raise any more.  root_index: of the root's
 * userdata, or of a collection's, which has the same. */
struct module_root *handle_push_root(lua_State *L);
struct module_collection *handle_push_collection(lua_State *L, int root_index);
struct module_scan *handle_push_scan(lua_State *L, int collection_index);
struct module_scratch *handle_push_scratch(lua_State *L);
void scratch_clear(struct module_scratch *s); /* now rather than by __gc */

/* The userdata at the top, of a kind of its own, keeps its root alive, that of `index`: a root's
 * userdata, or a collection's. */
struct module_root *handle_keep_root(lua_State *L, int index);

/* The open handle at `index`; raises where it is none, or closed.  Good until Lua runs, and every
 * allocation of Lua's may run a finalizer of the program, which may close it: check last. */
struct module_root *handle_check_root(lua_State *L, int index);
struct module_collection *handle_check_collection(lua_State *L, int index);
struct module_scan *handle_check_scan(lua_State *L, int index);

/* root:close() → true, or nil and an error; a closed one is let be.  In a function of a search it
 * raises.  collection:close() likewise, and is allowed there. */
int handle_close_root(lua_State *L);
int handle_close_collection(lua_State *L);
int handle_close_scan(lua_State *L);
/* metatable(name) → for the Lua part, to add methods: "root", "collection", "ticket". */
int handle_metatable(lua_State *L);

#endif
