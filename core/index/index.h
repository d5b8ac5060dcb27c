/* SPDX-License-Identifier: Apache-2.0 */
/* index.h — what an index kind is: a way to find the rows of one segment that are near a query.
 *
 * A search over one segment is an object in its user's memory: begin, then advance until it is
 * done; what was found is then in the lists of the queries.  It allocates nothing and knows no
 * clock: an advance is bounded by distances, and its user looks at clock, deadline and cancel flag
 * between two of them.  The user may drop a search at any time.
 * THREADS  One thread at a time.
 */
#ifndef INDEX_INDEX_H
#define INDEX_INDEX_H

#include "base/topk.h"
#include "index/index_kinds.h"
#include "quant/oracle.h"

/* Which rows may not be returned.  An index does not know why. */
struct index_gate {
    /* 64 rows from row, a multiple of 64: bit i set = row + i is shut.  Bits of rows that the
     * segment does not have may be anything.  NULL: all rows are open. */
    uint64_t (*shut_word)(void *ctx, uint32_t row);
    void *ctx;
    /* Many rows may be shut: look before the distances are computed, not after.  Words are asked
     * for in ascending order then, those of a block a few times. */
    bool comes_first;
};

struct index_query {
    struct oracle *oracle;
    struct topk *best;  /* found rows are pushed; those of other segments may be there already */
    float distance_max; /* farther rows are not found; +inf: none is too far */
};

struct index_search_desc {
    const struct index_query *queries; /* borrowed until the search is done */
    size_t query_count;                /* 1 at least */
    struct index_gate gate;
    uint32_t part;               /* what candidates name as their part */
    uint32_t row_first, row_end; /* rows in question; row_first <= row_end */
};

enum index_state { INDEX_MORE, INDEX_DONE, INDEX_FAILED };

struct index_vtab {
    const char *name;    /* as the user writes it, lower case, without '-' */
    size_t search_bytes; /* of a search object; begin's memory is aligned to 16 */
    void (*begin)(void *search, const struct index_search_desc *desc);
    /* Go on for about distance_max distances, one block or step at least.  FAILED: err says what
     * the oracle said. */
    enum index_state (*advance)(void *search, uint64_t distance_max, struct error *err);
};

#define INDEX_DECLARE(KIND, number, name) extern const struct index_vtab index_##name;
INDEX_KINDS(INDEX_DECLARE)
#undef INDEX_DECLARE

/* By number; NULL for one that is none, as a damaged file may hold, and for INDEX_NONE. */
const struct index_vtab *index_find(unsigned kind);
/* The number of a name, ASCII case ignored, `length` bytes without NUL; INDEX_NONE when it is none.
 */
enum index_kind index_find_name(const char *name, size_t length);

#endif
