/* SPDX-License-Identifier: Apache-2.0 */
/* index_table.h — what is said of an index, as tables of Lua: its parameters, how hard to look, and
 * how far it is.  Thread: that of the state. */
#ifndef LUA_MODULE_INDEX_TABLE_H
#define LUA_MODULE_INDEX_TABLE_H

#include <lua.h>
#include <lynse.h>

#include "base/error.h"
#include "base/limits.h"

/* { m = 16, … } at index, or nothing, into out; *count: how many.  The names are borrowed from the
 * table.  INVALID: no table, a name that is no text, a value that is no number; LIMIT: too many. */
int index_table_read_params(lua_State *L, int index,
                            struct lynse_index_param out[LIMIT_INDEX_PARAMS], size_t *count,
                            struct error *err);
/* index_params, index_progress and indexed_segment_count into the table at the top. */
void index_table_push_info(lua_State *L, const struct lynse_collection_info *info);

#endif
