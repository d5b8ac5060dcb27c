/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h — params and answers of a server's methods, between tables of Lua and msgpack
 * (docs/PROTOCOL.md).  Thread: that of the state. */
#ifndef LUA_MODULE_WIRE_H
#define LUA_MODULE_WIRE_H

#include <lua.h>

#include "base/error.h"
#include "codec/value.h"
#include "lua/module/handles.h"

/* Append the params in the table at `index` to s->bytes: truth values, numbers and texts by
 * themselves, others as { kind, value, count }:
 *
 *     "id"         one id                  "ids"        as arrays.lua hands them over
 *     "vector"     a view of one row       "vectors"    a view of rows
 *     "document"   a map                   "documents"  a list of `count` maps or nils
 *
 * err     INVALID, LIMIT, NO_MEMORY, in the words that a call without a server has for it
 * raises  when Lua's memory runs out.  Lua may run (scalar_read_integer).
 */
int params_write(lua_State *L, int index, struct module_scratch *s, struct error *err);

/* Push what a method answers to raw = true as search of natives.h does: a list of hits, one for
 * each query, and the bits of the hooks that were skipped.  -1, nothing pushed: INTERNAL, it is
 * no such answer.  flags: enum hits_flags. */
int answer_push_hits(lua_State *L, const struct value *answer, unsigned flags, struct error *err);

#endif
