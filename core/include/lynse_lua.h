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

struct lynse_lua_desc {
    uint32_t struct_bytes;
    /* A folder with files rerank/<name>.lua and score/<name>.lua, which a search then names as it
     * names those that come along, and whose places they take.  They are trusted: who may write
     * there may run code in this process.  Read once, here.  NULL: none. */
    const char *scripts_dir;
};
/* The same; desc NULL: as lynse_lua_attach.  Also NOT_FOUND, INVALID, LIMIT, READ_ONLY, IO: what is
 * wrong with the folder or a file of it, and nothing is attached; PARSE, HOOK: a script that does
 * not compile, or does not return a function within the bounds of scripts that are not trusted. */
LYNSE_API int lynse_lua_attach_with(struct lynse *db, const struct lynse_lua_desc *desc,
                                    struct lynse_error *err);

#ifdef __cplusplus
}
#endif

#endif
