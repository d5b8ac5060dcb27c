/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.h — what a script can reach: an allow-list, made anew for each run.
 *
 * Functions run inside a protected call and raise.
 */
#ifndef LUA_SANDBOX_H
#define LUA_SANDBOX_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/* Once for a state, after the libraries were opened: keep what is allowed, make the metatable of
 * texts unreachable and forget the rest.  is_bounded: functions that work long, or make much of
 * little, are replaced by ones that count. */
void sandbox_prepare(lua_State *L, bool is_bounded);
/* Push a fresh environment; nothing that a script does to it is seen by another one. */
void sandbox_push_environment(lua_State *L);

/* The bounded functions, by library. */
extern const luaL_Reg sandbox_string_functions[];
extern const luaL_Reg sandbox_pattern_functions[]; /* of the library string, too */
extern const luaL_Reg sandbox_table_functions[];

/* Push what tostring says of the value: no address of anything. */
void sandbox_push_text_of(lua_State *L, int index);

#endif
