/* SPDX-License-Identifier: Apache-2.0 */
/* row_filter.h — the rows of a view that are live and for which a `where` is true, block by block.
 *
 * Rows are matched when they are asked for, COLUMN_BLOCK_ROWS at a time, so that several searches'
 * slices share the work of a large one and none is done for rows that nobody reaches; and what was
 * matched is kept for the next search with the same text, as long as there is room.  A block
 * whose matching takes long, for its texts are long or the filter is, is left in the middle where
 * a limit says so: a look is taken about once in a millisecond of work.
 */
#ifndef QUERY_ROW_FILTER_H
#define QUERY_ROW_FILTER_H

#include "base/clock.h"
#include "segment/column_cache.h"
#include "segment/view.h"

struct filter;
struct row_filter; /* of one thread */
/* All are borrowed.  filter NULL: every live row.  columns may be NULL when filter is.
 * NO_MEMORY. */
int row_filter_create(struct alloc *a, struct column_cache *columns, const struct filter *filter,
                      const struct view *view, struct row_filter **out, struct error *err);
void row_filter_destroy(struct row_filter *f); /* NULL is allowed */

/* How long something may work. */
struct row_limits {
    const struct clock *clock;   /* NULL: for ever */
    uint64_t deadline_us;        /* monotonic, an error; 0: none */
    const _Atomic(bool) *cancel; /* NULL: none */
    uint64_t pause_us;           /* monotonic, row_filter_load returns; 0: none */
    const uint32_t *host_cancel; /* the host's own, not 0: cancelled; NULL: none */
};
/* Relaxed: nothing else is read because of either flag. */
static inline bool is_cancelled(const _Atomic(bool) *cancel, const uint32_t *host_cancel)
{
    return (cancel && atomic_load_relaxed(cancel)) ||
           (host_cancel && __atomic_load_n(host_cancel, __ATOMIC_RELAXED) != 0);
}
/* DEADLINE, CANCELLED: the text begins with `what`. */
int row_limits_check(const struct row_limits *l, const char *what, struct error *err);
void row_filter_limit(struct row_filter *f, const struct row_limits *limits); /* copied */

/* Match the block of this row.  False: the pause came first; the next call goes on from there, and
 * each of them gets further.  True: it is done, or failed. */
bool row_filter_load(struct row_filter *f, size_t part, uint32_t row);
/* Bit i: row + i of the part is wanted; row: a multiple of 64.  Bits past the part's row_count are
 * 0.  0 too once it has failed, see row_filter_error.  Its block is matched before, however long
 * that takes within deadline and cancel. */
uint64_t row_filter_word(struct row_filter *f, size_t part, uint32_t row);
/* Bits of all rows of the part, as row_filter_word has them, and how many are set, where no row is
 * deleted and all were matched before; NULL: ask for words.  Valid until another part is asked
 * for. */
const uint64_t *row_filter_whole(struct row_filter *f, size_t part, uint32_t *out_count);
/* Code 0, or why rows could not be matched: NO_MEMORY, CORRUPT, IO; DEADLINE, CANCELLED. */
const struct error *row_filter_error(const struct row_filter *f);

#endif
