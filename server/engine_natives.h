/* SPDX-License-Identifier: Apache-2.0 */
/* engine_natives.h — the engine as methods see it: functions of C, a file an area.
 *
 * Each gives its values, or nil and a failure; where it waits, the method's coroutine does.
 * scripts/server.lua makes raised errors of failures.  Thread: the loop's.
 */
#ifndef SERVER_ENGINE_NATIVES_H
#define SERVER_ENGINE_NATIVES_H

#include <lauxlib.h>
#include <lua.h>
#include <lynse.h>

#include "server/engine_call.h"

struct block;

extern const luaL_Reg engine_natives_roots[];   /* engine_roots.c */
extern const luaL_Reg engine_natives_writes[];  /* engine_writes.c */
extern const luaL_Reg engine_natives_reads[];   /* engine_reads.c */
extern const luaL_Reg engine_natives_hooks[];   /* engine_hooks.c */
extern const luaL_Reg engine_natives_index[];   /* engine_index.c */
extern const luaL_Reg engine_natives_verify[];  /* engine_verify.c */
extern const luaL_Reg engine_natives_server[];  /* engine_server.c */
extern const luaL_Reg engine_natives_metrics[]; /* engine_metrics.c */

/* Add all of them to the table at the top; metrics, the list of their words; and
 * errors, that of lynse_errors.h. */
void engine_natives_push(lua_State *L);

/* An open collection as a value of Lua, closed with it. */
struct lynse_collection *engine_collection_check(lua_State *L, int index);
/* Pushes an empty one; fill *out. */
struct lynse_collection **engine_collection_push(lua_State *L);
/* Text without NUL bytes, alive while it is on the stack; NULL where nil is allowed and there. */
const char *engine_text(lua_State *L, int index);
const char *engine_text_or_null(lua_State *L, int index);
/* One id or several, a block of the request's; raises where there is none. */
const struct block *engine_ids_check(lua_State *L, int index, const struct request *r);
/* A text that outlives the coroutine's turn: in the request's arena. */
const char *engine_keep_text(lua_State *L, const struct request *r, const char *text);

#endif
