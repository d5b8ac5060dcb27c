/* SPDX-License-Identifier: Apache-2.0 */
/* module.h — `require "lynse"`, for programs that have the module linked in. */
#ifndef LUA_MODULE_MODULE_H
#define LUA_MODULE_MODULE_H

#include <lua.h>

/* Pushes the module's table; returns 1.  Raises where Lua is not LuaJIT with its FFI. */
int luaopen_lynse(lua_State *L);

#endif
