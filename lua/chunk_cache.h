/* SPDX-License-Identifier: Apache-2.0 */
/* chunk_cache.h — sources that a state has compiled: the least recently used of 64 goes first.
 *
 * Belongs to one state and its thread.  Chunks are held in the state's registry; they are functions
 * without upvalues, whose environment is set before each call.
 */
#ifndef LUA_CHUNK_CACHE_H
#define LUA_CHUNK_CACHE_H

#include <lua.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/slice.h"

enum { CHUNK_CACHE_CHUNKS = 64 };

struct chunk_key {
    struct hash128 hash; /* XXH3 of the source */
    struct slice source; /* borrowed; compared too */
    const char *name;    /* of error texts; static, compared by address */
};
struct chunk {
    struct chunk_key key; /* its source is the cache's own copy */
    int reference;        /* in the registry */
    uint32_t names;       /* of the environment, that it can reach (sandbox.h) */
    uint64_t used_at;
};
struct chunk_cache {
    struct alloc *alloc;
    uint64_t now; /* counts look-ups */
    size_t count;
    struct chunk chunks[CHUNK_CACHE_CHUNKS];
};

void chunk_cache_init(struct chunk_cache *c, struct alloc *a);
void chunk_cache_deinit(struct chunk_cache *c); /* before or after its state is closed */

/* Push the compiled source.  In a protected call: raises what does not compile, as a text, and what
 * its budget stops.  Bytecode is refused.  A source that is a function and no chunk, as in
 * `function(n) end`, is taken for a chunk that returns it.  Returns what sandbox_push_environment
 * has to give it. */
uint32_t chunk_cache_push(struct chunk_cache *c, lua_State *L, const struct chunk_key *key);

#endif
