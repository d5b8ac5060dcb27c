/* SPDX-License-Identifier: Apache-2.0 */
/* matched_rows.h — for which rows of a segment a `where` is true, once it was found out.
 *
 * Rows never change, so neither does what is true of them: the bits say nothing of deletions, which
 * are a view's business, and are the same for every view that has the segment.  They lie among the
 * columns of column_cache.h, within its bound, a bit a row, and go when nobody has asked for them
 * the longest.  A block of COLUMN_BLOCK_ROWS is kept when all rows that it will ever have were
 * matched, so of a tail all but its last.
 */
#ifndef SEGMENT_MATCHED_ROWS_H
#define SEGMENT_MATCHED_ROWS_H

#include "segment/column_cache.h"

/* Of one segment and one text; any thread. */
struct matched_rows;

/* Every text is another one, even where it means the same.  It is copied; segment and cache outlive
 * what is acquired.  *out NULL: there is no room.  NO_MEMORY. */
int matched_rows_acquire(struct column_cache *c, struct segment *s, struct slice where,
                         struct matched_rows **out, struct error *err);
void matched_rows_release(struct column_cache *c, struct matched_rows *m); /* NULL is allowed */

/* COLUMN_BLOCK_ROWS bits, of rows from block * COLUMN_BLOCK_ROWS on, those that the segment does
 * not have 0; NULL: they are not known yet.  Until it is released. */
const uint64_t *matched_rows_block(struct matched_rows *m, uint32_t block);
/* All blocks, one after another, and how many bits are set; NULL: some are not known yet. */
const uint64_t *matched_rows_all(struct matched_rows *m, uint32_t *out_count);
/* So many rows from the block's first on were matched; bits: COLUMN_BLOCK_ROWS, copied.  Nothing
 * happens where the block has more rows, or is there already. */
void matched_rows_keep(struct matched_rows *m, uint32_t block, const uint64_t *bits,
                       uint32_t row_count);

#endif
