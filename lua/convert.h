/* SPDX-License-Identifier: Apache-2.0 */
/* convert.h — ids and documents as values of Lua.  Functions raise.
 *
 * null: nil.  Integers beyond 2^53: userdata with == and tostring.  Datetimes: seconds since 1970.
 * Bytes: text.  Arrays begin at 1.
 */
#ifndef LUA_CONVERT_H
#define LUA_CONVERT_H

#include <lua.h>

#include "codec/id.h"
#include "codec/value.h"

void convert_prepare(lua_State *L); /* once for a state */
void convert_push_id(lua_State *L, const struct record_id *id);
/* size 0: an empty table. */
void convert_push_document(lua_State *L, struct slice document);

#endif
