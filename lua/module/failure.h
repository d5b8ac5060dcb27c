/* SPDX-License-Identifier: Apache-2.0 */
/* failure.h — errors of the library as Lua sees them: nil and a table that says what went wrong.
 *
 * The table has code ("NOT_FOUND"), number, text, and where they are known os_errno and
 * retry_after_ms; tostring gives "NOT_FOUND: text".  All functions raise when memory runs out.
 */
#ifndef LUA_MODULE_FAILURE_H
#define LUA_MODULE_FAILURE_H

#include <lua.h>

#include "base/error.h"

struct lynse_error;

/* Once for a state. */
void failure_prepare(lua_State *L);
/* Push nil and the error; returns 2, for `return failure_push(L, &err);`. */
int failure_push(lua_State *L, const struct lynse_error *from);
int failure_push_error(lua_State *L, const struct error *from);
/* failure(code, text) → the error; an upvalue-free function for the Lua part. */
int failure_new(lua_State *L);

#endif
