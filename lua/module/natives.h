/* SPDX-License-Identifier: Apache-2.0 */
/* natives.h — the functions of C that the Lua part of the module calls, a file an area.
 *
 * Arguments are checked here as if anybody called them; defaults, option names and whatever needs
 * the FFI are the Lua part's.  Each answers with a value, or nil and an error (failure.h).
 */
#ifndef LUA_MODULE_NATIVES_H
#define LUA_MODULE_NATIVES_H

#include <lauxlib.h>
#include <lua.h>

extern const luaL_Reg native_roots[];       /* roots.c */
extern const luaL_Reg native_collections[]; /* collections.c */
extern const luaL_Reg native_writes[];      /* writes.c */
extern const luaL_Reg native_reads[];       /* reads.c */
extern const luaL_Reg native_search[];      /* search.c */
extern const luaL_Reg native_steps[];       /* steps.c */
extern const luaL_Reg native_tickets[];     /* tickets.c */
extern const luaL_Reg native_hooks[];       /* hooks.c */
extern const luaL_Reg native_remote[];      /* remote.c */

struct lynse_names;
void push_names(lua_State *L, const struct lynse_names *names); /* a list of texts */

#endif
