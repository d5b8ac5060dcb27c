/* SPDX-License-Identifier: Apache-2.0 */
/* chunk_cache.c — sources that a state has compiled: the least recently used of 64 goes first. */
#include "lua/chunk_cache.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>

#include "lua/budget.h"
#include "lua/sandbox.h"

enum {
    PIECE_BYTES = 256,  /* read between two looks at the clock: parsing can be quadratic */
    PIECE_STEPS = 2000, /* so many, that each piece is such a look */
    JUMPS_MAX = 1000,   /* the parser compares each with each, without a piece in between */
    NAME_BYTES = 56,    /* LuaJIT has 60 for it */
};

void chunk_cache_init(struct chunk_cache *c, struct alloc *a)
{
    c->alloc = a;
    c->now = 0;
    c->count = 0;
}

void chunk_cache_deinit(struct chunk_cache *c)
{
    for (size_t i = 0; i < c->count; i++) mem_free(c->alloc, (void *)c->chunks[i].key.source.data);
    c->count = 0;
}

/* ---- Compiling ---- */

struct reading {
    const char *prefix; /* NULL when it was read */
    struct slice rest;
    size_t piece_bytes;
};

static const char *read_piece(lua_State *L, void *ctx, size_t *out_size)
{
    struct reading *r = ctx;

    budget_charge(L, PIECE_STEPS * r->piece_bytes / PIECE_BYTES + 1);
    if (r->prefix) {
        const char *prefix = r->prefix;
        r->prefix = NULL;
        *out_size = strlen(prefix);
        return prefix;
    }
    size_t size = r->rest.size < r->piece_bytes ? r->rest.size : r->piece_bytes;
    const char *piece = (const char *)r->rest.data;
    r->rest = slice_of(r->rest.data + size, r->rest.size - size);
    *out_size = size;
    return size ? piece : NULL;
}

/* Push the function, or an error; the status of lua_load.  out_left: bytes that were not read, to
 * the piece. */
static int load_with(lua_State *L, const struct chunk_key *key, const char *prefix,
                     size_t piece_bytes, size_t *out_left)
{
    struct reading r = {.prefix = prefix, .rest = key->source, .piece_bytes = piece_bytes};
    char name[NAME_BYTES];

    snprintf(name, sizeof name, "=%s", key->name);
    int status = lua_loadx(L, read_piece, &r, name, "t");
    if (budget_of(L)->end != BUDGET_HOLDS) budget_stop(L, budget_of(L)->end);
    *out_left = r.rest.size;
    return status;
}

/* How often the words goto and break are in the text, at the most. */
static size_t count_jumps(struct slice source)
{
    size_t count = 0;
    for (size_t i = 0; i + 5 <= source.size; i++)
        count +=
            memcmp(source.data + i, "goto", 4) == 0 || memcmp(source.data + i, "break", 5) == 0;
    return count;
}

/* Push the error of the attempt that understood more of the text; of two that are alike the one
 * about what was written.  Read byte by byte, for a piece may hold both places. */
static void push_better_error(lua_State *L, const struct chunk_key *key)
{
    size_t chunk_left, function_left;

    (void)load_with(L, key, NULL, 1, &chunk_left);
    (void)load_with(L, key, "return ", 1, &function_left);
    lua_pop(L, function_left < chunk_left ? 0 : 1);
}

static void compile(lua_State *L, const struct chunk_key *key)
{
    size_t left;

    if (budget_of(L)->is_enforced && count_jumps(key->source) > JUMPS_MAX)
        luaL_error(L, "%s: more than %d times goto or break", key->name, JUMPS_MAX);
    if (load_with(L, key, NULL, PIECE_BYTES, &left) == 0) return;
    lua_pop(L, 1);
    if (load_with(L, key, "return ", PIECE_BYTES, &left) == 0) return;
    push_better_error(L, key);
    lua_error(L);
}

/* ---- Keeping ---- */

static struct chunk *find(struct chunk_cache *c, const struct chunk_key *key)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct chunk_key *k = &c->chunks[i].key;
        if (k->hash.low == key->hash.low && k->hash.high == key->hash.high &&
            k->name == key->name && slice_equal(k->source, key->source))
            return &c->chunks[i];
    }
    return NULL;
}

/* A place for one more, emptied. */
static struct chunk *make_room(struct chunk_cache *c, lua_State *L)
{
    if (c->count < CHUNK_CACHE_CHUNKS) return &c->chunks[c->count++];
    struct chunk *oldest = &c->chunks[0];
    for (size_t i = 1; i < c->count; i++)
        if (c->chunks[i].used_at < oldest->used_at) oldest = &c->chunks[i];
    luaL_unref(L, LUA_REGISTRYINDEX, oldest->reference);
    mem_free(c->alloc, (void *)oldest->key.source.data);
    return oldest;
}

uint32_t chunk_cache_push(struct chunk_cache *c, lua_State *L, const struct chunk_key *key)
{
    struct chunk *chunk = find(c, key);

    if (!chunk) {
        compile(L, key);
        lua_pushvalue(L, -1);
        int reference = luaL_ref(L, LUA_REGISTRYINDEX);
        const char *copy =
            mem_copy_text(c->alloc, MEM_SCRIPT, (const char *)key->source.data, key->source.size);
        if (!copy) {
            luaL_unref(L, LUA_REGISTRYINDEX, reference);
            budget_stop(L, BUDGET_NO_MEMORY);
        }
        chunk = make_room(c, L);
        *chunk = (struct chunk){
            .key = *key, .reference = reference, .names = sandbox_find_names(key->source)};
        chunk->key.source.data = (const uint8_t *)copy;
    } else {
        lua_rawgeti(L, LUA_REGISTRYINDEX, chunk->reference);
    }
    chunk->used_at = ++c->now;
    return chunk->names;
}
