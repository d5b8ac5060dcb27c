/* SPDX-License-Identifier: Apache-2.0 */
/* records.h — ids, rows and hits, between Lua and the structs of lynse.h.  Thread: the state's. */
#ifndef LUA_MODULE_RECORDS_H
#define LUA_MODULE_RECORDS_H

#include <lua.h>
#include <lynse.h>

#include "base/error.h"
#include "lua/module/documents.h"
#include "lua/module/handles.h"

/* Vectors in memory of the FFI, which lynse.lua hands over as { view, what keeps it alive }.  Its
 * view has the same members in the same order. */
struct vectors_view {
    const float *values;
    double count, dim;
};
/* Raises where the value there is none. */
const struct vectors_view *vectors_borrow(lua_State *L, int index);

/* Integers in memory of the FFI, which arrays.lua hands over in a table as it does vectors. */
struct numbers_view {
    const uint64_t *numbers;
    double count, is_signed; /* is_signed: they are int64_t */
};

/* The ids at `index`, which arrays.lua hands over as { list } or { nil, view }, pushed as one block
 * of memory; texts are copied into s->ids.  NULL with err set: INVALID or LIMIT, naming the entry.
 * Lua may run (scalar_read_integer). */
struct lynse_id *ids_push(lua_State *L, int index, struct module_scratch *s, size_t *out_count,
                          struct error *err);
/* One id, whose text is borrowed from the stack.  Lua may run. */
int id_read(lua_State *L, int index, struct lynse_id *out, struct error *err);

enum hits_flags {
    HITS_PLAIN = 1,   /* documents in DOCUMENT_PLAIN */
    HITS_NUMBERS = 2, /* ids as one text of raw uint64_t too, where all are integers */
};
/* Push entries `from` to `to` of hits as a table: count, ids, and of scores, fields and vectors
 * what there is; vectors as one text of raw floats, with dim.  Lua may run: finalizers. */
void hits_push(lua_State *L, const struct lynse_hits *hits, size_t from, size_t to, unsigned flags);
/* Push a list of those of each query, and the bits of the hooks that were skipped. */
void hits_push_queries(lua_State *L, const struct lynse_hits *hits, unsigned flags);

#endif
