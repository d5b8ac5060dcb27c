/* SPDX-License-Identifier: Apache-2.0 */
/* hits_value.h — what a search, query or get found, as a value of Lua that is encoded when the
 * answer is written; tables are made of it only for who asks, by hits:lists().
 *
 * A handler says in which form it is to be written: hits:items(k) and the like answer with the hits
 * themselves.  Thread: that of the loop.
 */
#ifndef SERVER_HITS_VALUE_H
#define SERVER_HITS_VALUE_H

#include <lua.h>
#include <lynse.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

/* name, method of Lua */
#define HITS_FORMS(_)                                                                              \
    _(ITEMS, "items")     /* {k, ids, scores, vector_field, fields} */                             \
    _(RESULTS, "results") /* a list of {ids, scores, fields}, one a query */                       \
    _(RANGE, "range")     /* {ids, distances} */                                                   \
    _(DATA, "data")       /* [vectors, ids, fields] */                                             \
    _(RECORDS, "records") /* a list of maps: the fields, and id */                                 \
    _(IDS, "ids")         /* a list */                                                             \
    _(COLUMNS, "columns") /* {ids, vectors, fields}, vectors where they were read */

enum hits_form {
#define HITS_FORM_ENUM(name, word) HITS_##name,
    HITS_FORMS(HITS_FORM_ENUM)
#undef HITS_FORM_ENUM
};

struct hits_value {
    struct lynse_hits *hits;         /* owned; NULL: freed */
    struct hits_value *next, **link; /* among those of its request; link NULL: it has ended */
    enum hits_form form;
    double k; /* that was asked for, echoed in items */
    /* Whatever the form: {ids, ends, dim, as_of_lsn, metric, skipped_hooks}, and scores, fields and
     * vectors where there are any; integer ids, scores and vectors as bins, little-endian; the
     * fields of each row as a bin of msgpack, empty where it has none; where each query's hits
     * end. */
    bool is_raw;
};

/* Once for a state. */
void hits_value_prepare(lua_State *L);
/* Pushes an empty one, to be filled: nothing can be lost when Lua raises.  Linked in *list, that of
 * its request, with whose end its hits go: the collector sees how small the value is, and not what
 * it holds. */
struct hits_value *hits_value_push(lua_State *L, struct hits_value **list);
/* The bytes that its hits hold, about. */
size_t hits_value_bytes(const struct hits_value *h);
/* The request has ended: free the hits of all that is linked. */
void hits_value_free_all(struct hits_value **list);
/* NULL where there is none. */
struct hits_value *hits_value_borrow(lua_State *L, int index);

/* Append it as msgpack, in its form; the caller checks buf_ok. */
void hits_value_write(const struct hits_value *h, struct buf *out);
/* Append LynseDB's blocks (protocol 1.3): of one search, of a batch (is_batch), of head and tail.
 * err INVALID: an id is a text, which a block has no room for. */
int hits_value_write_block(const struct hits_value *h, bool is_batch, struct buf *out,
                           struct error *err);
int hits_value_write_rows(const struct hits_value *h, struct buf *out, struct error *err);

#endif
