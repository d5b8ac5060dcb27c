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
#include <stdint.h>

#include "base/slice.h"

/* Once for a state, after the libraries were opened: keep what is allowed, make the metatable of
 * texts unreachable and forget the rest.  is_bounded: functions that work long, or make much of
 * little, are replaced by ones that count. */
void sandbox_prepare(lua_State *L, bool is_bounded);
/* Which names of the environment stand in a source, in code or elsewhere; any thread. */
uint32_t sandbox_find_names(struct slice source);
/* Push a fresh environment of these names; nothing that a script does to it is seen by another one.
 * A source that has no others cannot tell it from one of all. */
void sandbox_push_environment(lua_State *L, uint32_t names);

/* The bounded functions, by library. */
extern const luaL_Reg sandbox_string_functions[];
extern const luaL_Reg sandbox_pattern_functions[]; /* of the library string, too */
extern const luaL_Reg sandbox_table_functions[];

/* Push what tostring says of the value: no address of anything. */
void sandbox_push_text_of(lua_State *L, int index);

#endif
