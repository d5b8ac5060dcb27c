/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h — what an operator allows less of than the engine would: LynseDB's max_top_k and its
 * siblings, in LynseDB's words.  Thread: the loop's. */
#ifndef SERVER_LIMITS_H
#define SERVER_LIMITS_H

#include <lauxlib.h>
#include <lua.h>

#include "base/error.h"
#include "server/request.h"

/* Look at the table of arguments on top of the stack.  err INVALID. */
int limits_check(lua_State *L, const struct request *r, struct error *err);

extern const luaL_Reg engine_natives_limits[];

#endif
