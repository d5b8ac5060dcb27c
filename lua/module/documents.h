/* SPDX-License-Identifier: Apache-2.0 */
/* documents.h — the fields of a record, between tables of Lua and msgpack.
 *
 * A table with the keys 1 to n, and every table of lynse.array, is an array; any other is a map
 * with texts for keys.  null is lynse.null, on both sides.  Thread: that of the state.
 */
#ifndef LUA_MODULE_DOCUMENTS_H
#define LUA_MODULE_DOCUMENTS_H

#include <lua.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

/* Once for a state: the metatable of arrays. */
void documents_prepare(lua_State *L);

/* Append the map at `index` to out, which the caller checks with buf_ok.
 *
 * err     INVALID: what cannot be a field, naming the key it is under; LIMIT: deeper or larger than
 *         a record's fields may be.  What was appended is void then.
 * raises  when Lua's memory runs out: `out` must be owned by something on the stack.
 */
int document_write(lua_State *L, int index, struct buf *out, struct error *err);

/* The same of entry `entry`, from 1, of the list at `index`, whose errors name it.  1: appended; 0:
 * it is nil, and nothing was; -1: err is set. */
int document_write_entry(lua_State *L, int index, size_t entry, struct buf *out, struct error *err);

/* Push a document (size 0: empty).  EXACT: what is written again is the same.  PLAIN, for hooks, as
 * scripts from source text get it: datetimes as seconds since 1970, bytes as texts, no nulls. */
enum document_form { DOCUMENT_EXACT, DOCUMENT_PLAIN };
void document_push(lua_State *L, struct slice document, enum document_form form);

int document_array_new(lua_State *L); /* array(table): marks it, and answers with it */

#endif
