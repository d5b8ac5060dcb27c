/* SPDX-License-Identifier: Apache-2.0 */
/* result.h — what a method answered, from Lua to msgpack.  Thread: that of the loop. */
#ifndef SERVER_RESULT_H
#define SERVER_RESULT_H

#include <lua.h>

#include "base/buf.h"
#include "base/error.h"

enum { RESULT_DEPTH_MAX = 16 };

/* Append the value at `index`: nil, booleans, numbers (whole ones as integers), texts, lists (the
 * keys 1 to n, or marked by lynse.array), maps with texts for keys, hits, blocks of ids, and the
 * scalars of the module.  Tables are read raw.
 *
 * request  whose blocks may be in it
 * err      INTERNAL: a value that no answer can have, or nesting over RESULT_DEPTH_MAX: a method of
 *          ours is wrong; NO_MEMORY.  In a protected call: raises when Lua's memory runs out. */
int result_write(lua_State *L, int index, uint64_t request, struct buf *out, struct error *err);

#endif
