/* SPDX-License-Identifier: Apache-2.0 */
/* hook_args.h — what hooks get and give, between C and Lua.
 *
 * All functions are called inside state_run and raise.
 */
#ifndef LUA_HOOK_ARGS_H
#define LUA_HOOK_ARGS_H

#include <lua.h>

#include "lua/state.h"

/* Once for a state. */
void hook_args_prepare(lua_State *L, struct state *s);
/* For a run: an empty table `field`, which asks core for what is read of it. */
void hook_args_reset(lua_State *L, struct state *s);

/* Call the function of the state with a batch; batch->out is filled. */
void hook_args_score(lua_State *L, struct state *s, const struct hook_batch *batch);
/* Call it with hits; out is filled. */
void hook_args_rerank(lua_State *L, struct state *s, struct hook_order *out);

#endif
