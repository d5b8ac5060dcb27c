/* SPDX-License-Identifier: Apache-2.0 */
/* options.h — members of a table of options, as C wants them.
 *
 * Which names there are is checked in the Lua part.  A member that is nil is 0, or NULL.  After the
 * first wrong one err is set and all further reads give 0: one check at the end is enough.
 */
#ifndef LUA_MODULE_OPTIONS_H
#define LUA_MODULE_OPTIONS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct options {
    lua_State *L;
    int index; /* of the table; nothing else is there: no options */
    struct error err;
};

struct options options_of(lua_State *L, int index);
uint64_t option_u64(struct options *o,
                    const char *name); /* INVALID: no whole number of 0 or more */
uint32_t option_u32(struct options *o, const char *name);
float option_f32(struct options *o, const char *name);
bool option_flag(struct options *o, const char *name);     /* INVALID: neither true nor false */
bool option_is_false(struct options *o, const char *name); /* likewise; true: it is there, false */
/* Without a NUL; borrowed from the table, which must not change meanwhile. */
const char *option_text(struct options *o, const char *name);
/* Exactly `size` bytes, any of them, into out; without the member it stays as it is. */
void option_bytes(struct options *o, const char *name, uint8_t *out, size_t size);
/* Append the map that the member is, if there is one.  INVALID, LIMIT, naming it; raises when Lua's
 * memory runs out. */
void option_map(struct options *o, const char *name, struct buf *out);
uint32_t option_sync(struct options *o); /* "sync": a level by its name, in any case */
uint32_t option_metric(struct options *o);
uint32_t option_storage(struct options *o);
uint32_t option_score_mode(struct options *o);
static inline bool options_failed(const struct options *o)
{
    return o->err.code != 0;
}

/* The text at a place on the stack, without a NUL in it: a name, an expression; NULL with err set
 * where it is none. */
const char *argument_text(lua_State *L, int index, const char *what, struct error *err);
const char *metric_text(uint32_t metric);    /* "" for what is none */
const char *storage_text(uint32_t storage);  /* likewise */
void sync_push(lua_State *L, uint32_t sync); /* its name, as option_sync takes it */

#endif
