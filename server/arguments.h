/* SPDX-License-Identifier: Apache-2.0 */
/* arguments.h — the arguments of a method: declared in Lua, checked and read in C.
 *
 * A method's file (scripts/rpc) lists its arguments in the order in which they may be given by
 * position.  The list becomes a signature once, when the method is registered; a request's params,
 * a msgpack map or array, are then read against it in one pass into the table that the method gets.
 * Whatever is large (ids, vectors, documents) does not become tables of Lua: it is read into the
 * request's arena, and Lua holds a block that names it.
 *
 * Thread: that of the loop.
 */
#ifndef SERVER_ARGUMENTS_H
#define SERVER_ARGUMENTS_H

#include <lua.h>
#include <lynse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

/* name, word in scripts */
#define ARGUMENT_KINDS(_)                                                                          \
    _(NAME, "name") /* of a database or collection */                                              \
    _(TEXT, "text") /* low..high bytes */                                                          \
    _(FLAG, "flag")                                                                                \
    _(INTEGER, "integer")       /* low..high */                                                    \
    _(NUMBER, "number")         /* finite, low..high */                                            \
    _(ID, "id")                 /* block of one */                                                 \
    _(IDS, "ids")               /* block; a list, or a bin of u64, little-endian */                \
    _(VECTOR, "vector")         /* block of one row */                                             \
    _(VECTORS, "vectors")       /* block; rows, or one bin with dim or ids beside it */            \
    _(DOCUMENTS, "documents")   /* block; a list of maps and nulls, or null */                     \
    _(DOCUMENT, "document")     /* block of one map */                                             \
    _(BODY, "body")             /* block of a bin; over HTTP the body of the request */            \
    _(TEXTS, "texts")           /* a list of texts */                                              \
    _(VALUE, "value")           /* anything, as a table of Lua */                                  \
    _(REQUEST_ID, "request_id") /* 16 bytes, not all zero: a bin, or hex digits */

enum argument_kind {
#define ARGUMENT_KIND_ENUM(name, word) ARGUMENT_##name,
    ARGUMENT_KINDS(ARGUMENT_KIND_ENUM)
#undef ARGUMENT_KIND_ENUM
};

enum {
    ARGUMENT_COUNT_MAX = 24,
    ARGUMENT_NAME_BYTES = 31,
};

struct argument {
    char name[ARGUMENT_NAME_BYTES + 1];
    uint8_t name_bytes;
    enum argument_kind kind;
    bool is_required;
    double low, high;
    int default_ref; /* in the registry; LUA_NOREF: none */
    int choices_ref; /* TEXT: a list of the words that it may be; LUA_NOREF: any */
    int name_ref;    /* in the registry: the name */
};

struct signature {
    size_t count;
    bool has_request_id;
    struct argument arguments[ARGUMENT_COUNT_MAX];
};

/* From the list at `index` of the stack, whose entries are { name, kind, required =, default =,
 * low =, high =, choices = }.  Raises where it is none: a script of ours is wrong. */
void signature_read(lua_State *L, int index, struct signature *out);
void signature_deinit(lua_State *L, struct signature *s);

/* What a request's large arguments are; data lives in the request's arena. */
struct block {
    enum argument_kind kind;
    bool is_single;   /* an id or vector that came alone */
    uint64_t request; /* whose arena it is in: no other request may use it */
    size_t count;
    uint32_t dim; /* VECTORS */
    union {
        const struct lynse_id *ids;
        const float *vectors;
        const struct lynse_bytes *documents; /* size 0: none for that row */
        struct lynse_bytes body;
    } as;
};

/* Once for a state. */
void blocks_prepare(lua_State *L);
/* NULL where there is none, or not of that kind, or of an earlier request. */
const struct block *block_borrow(lua_State *L, int index, enum argument_kind kind,
                                 uint64_t request);
void block_push(lua_State *L, const struct block *block);

struct arguments_source {
    struct slice
        params;        /* one msgpack value: a map, or an array by position whose last entry may be
                          * a map of further ones; lives as long as the arena */
    struct slice body; /* of an octet-stream: what BODY is where it is not among the params */
    struct arena *arena;
    uint64_t request;
    bool is_lenient; /* what has no such name is let be, as LynseDB does over HTTP */
    bool has_texts;  /* flags and numbers may be texts: a query string's */
};

/* Push the table of arguments.  In a protected call: raises when Lua's memory runs out.
 *
 * err  INVALID: a missing or unknown argument, a wrong type or value; LIMIT; DIMENSION: rows of
 *      different lengths; NO_MEMORY.  Each names the argument. */
int arguments_push(lua_State *L, const struct signature *s, const struct arguments_source *source,
                   struct error *err);

#endif
