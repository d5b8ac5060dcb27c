/* SPDX-License-Identifier: Apache-2.0 */
/* lynse_lua.h — hooks from source text, in Lua: liblynse-lua beside liblynse (docs/LUA.md).
 *
 *     #include <lynse.h>
 *     #include <lynse_lua.h>
 *
 *     lynse_open(&open, &db, NULL);
 *     lynse_lua_attach(db, NULL);
 *     query.score = "function(n, distance, field, out)"
 *                   "  for i = 0, n - 1 do out[i] = distance[i] + field.age[i] / 365 end "
 *                   "end";
 *     lynse_search(docs, &query, &hits);
 *
 * Both libraries are of one version.  Link with -llynse-lua -llynse and LuaJIT.
 */
#ifndef LYNSE_LUA_H
#define LYNSE_LUA_H

#include "lynse.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Searches of this root take `score` and `rerank` as source text from now on.  Once for a root, any
 * thread; it ends with the root.  ALREADY_EXISTS: it was called before; UNSUPPORTED: the libraries
 * are not of one version; NO_MEMORY. */
LYNSE_API int lynse_lua_attach(struct lynse *db, struct lynse_error *err);

#ifdef __cplusplus
}
#endif

#endif
