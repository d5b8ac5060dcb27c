/* SPDX-License-Identifier: Apache-2.0 */
/* whole_rows.h — the vectors of a segment, verified once from the first to the last, so that any
 * row can be read at a fixed address without asking (vector_source.all).
 *
 * What "verified" promises is what it promises of a run: the bytes were right when they were looked
 * at, and they are those of a file that nobody writes (R12).
 * Rows that are kept narrow are copied as floats, which an index is built over and searched with:
 * the copy is as large as the vectors of a collection of f32 would be.  Bits stay bits, and where
 * they are, for an index that takes them so (index.h, takes_bits).
 * THREADS  Stepped by one at a time, which hands it over; then it is constant, and any may read.
 */
#ifndef SEGMENT_WHOLE_ROWS_H
#define SEGMENT_WHOLE_ROWS_H

#include "index/index.h"
#include "segment/segment.h"

struct whole_rows {
    struct vector_source source; /* first; may be read at any time */
    struct segment *segment;     /* borrowed */
    struct alloc *alloc;
    uint32_t row_count;
    uint32_t row; /* those before it are verified */
    bool is_run;  /* they lie one after another from here on: */
    const float *vectors, *norms;
    float *wide; /* a copy as floats of rows that are kept narrow; NULL: of those that are not */
};

/* For an index of that kind and metric. */
void whole_rows_init(struct whole_rows *w, struct alloc *a, struct segment *segment,
                     uint32_t row_count, const struct index_vtab *kind, enum metric metric);
void whole_rows_deinit(struct whole_rows *w);        /* of all zero too */
size_t whole_rows_bytes(const struct whole_rows *w); /* memory that is its own */
/* Verify about BUILD_STEP_BYTES of vectors.  0: more is left; 1: done, and source.all is set, but
 * for a segment whose rows lie in several places; -1: what its vectors say, or NO_MEMORY. */
int whole_rows_step(struct whole_rows *w, struct error *err);

#endif
