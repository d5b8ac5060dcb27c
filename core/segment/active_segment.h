/* SPDX-License-Identifier: Apache-2.0 */
/* active_segment.h — the tail: rows in memory, appended by one thread, read by all.
 *
 * A row is staged (written behind the visible rows; may fail), then committed with all others of
 * its batch (cannot fail) or dropped.  Memory comes in chunks that grow from small to about 2 MiB
 * of vectors, so that a small collection stays small and a pointer never moves.  Ids are found
 * through a table of atomic row numbers with one writer: a slot names the newest row of its id,
 * each row the next older one, so that a reader with an older view walks down to what it may see.
 */
#ifndef SEGMENT_ACTIVE_SEGMENT_H
#define SEGMENT_ACTIVE_SEGMENT_H

#include "segment/segment.h"

struct active_segment; /* a struct segment first */

/* row_capacity: SEAL_ROWS + LIMIT_BATCH_ROWS as a rule; dim 1..LIMIT_DIM.  Norms are those of the
 * kernels in use (simd/kernels.h).  One reference, the caller's. */
int active_segment_create(struct alloc *a, uint32_t dim, uint32_t row_capacity,
                          struct active_segment **out, struct error *err);
struct segment *active_segment_base(struct active_segment *t);
struct active_segment *active_segment_of(struct segment *base); /* one that was made here */

/* Writer.  Row number of the staged row; the document (msgpack map; size 0 = empty) and the text of
 * the id are copied.  NO_MEMORY, LIMIT (capacity): nothing of this row is staged. */
int active_segment_stage(struct active_segment *t, const struct record_id *id, uint64_t lsn,
                         const float *vector, struct slice document, uint32_t *out_row,
                         struct error *err);
/* A whole block of rows, for bulk loads. */
struct tail_rows {
    const struct record_id *ids;
    size_t count;
    uint64_t lsn;
    const float *vectors;          /* count x dim */
    const struct slice *documents; /* NULL: empty ones */
    /* NULL, or: vectors is all of this block of the tail's allocator.  A tail that keeps it as its
     * own, even when it then stages nothing, sets *take_block to NULL; vectors can be read until
     * the rows are dropped or the tail ends, or the giver's block does.  After an error they cannot
     * if the block was taken. */
    float **take_block;
};
/* The same as count calls of stage, but all or nothing.  count 0 is allowed. */
int active_segment_stage_many(struct active_segment *t, const struct tail_rows *rows,
                              uint32_t *out_first_row, struct error *err);
uint32_t active_segment_staged(const struct active_segment *t); /* rows, visible and staged */
/* Make all staged rows below `row_count` findable and committed; the rest stays staged.  Cannot
 * fail. */
void active_segment_commit(struct active_segment *t, uint32_t row_count);
/* Back to row_count rows; no committed one goes.  The memory of the others is given back. */
void active_segment_drop_staged(struct active_segment *t, uint32_t row_count);

uint64_t active_segment_bytes(const struct active_segment *t); /* of committed vectors */
/* What it should hold at most, fields included; without this call there is no bound.  Writer. */
void active_segment_set_share(struct active_segment *t, uint64_t bytes);
/* Does it hold more than that? */
bool active_segment_is_over_share(const struct active_segment *t);
/* SEAL_ROWS or SEAL_BYTES reached, or over its share. */
bool active_segment_is_full(const struct active_segment *t);

#endif
