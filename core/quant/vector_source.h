/* SPDX-License-Identifier: Apache-2.0 */
/* vector_source.h — where an oracle finds the full vectors: runs of rows that lie one after
 * another.
 *
 * Segments implement it; an oracle and an index know nothing else of a segment.
 */
#ifndef QUANT_VECTOR_SOURCE_H
#define QUANT_VECTOR_SOURCE_H

#include <stdint.h>

#include "base/error.h"
#include "codec/vector_types.h"

/* Rows [row, row + row_count): row i at vectors + (i - row) * dim; norms likewise. Borrowed as long
 * as the segment is held. */
struct vector_run {
    const float *vectors; /* aligned to 4 bytes at least */
    const float *norms;   /* Euclidean norms, one a row */
    uint32_t row_count;
};
/* The same of rows as they are kept, one after another. */
struct row_run {
    const void *rows;
    const float *norms; /* of the floats that they mean */
    uint32_t row_count;
};

struct vector_source {
    /* The run that starts at `row`, of at least 1 and at most `row_max` rows.  CORRUPT or IO when
     * the bytes cannot be trusted. Any thread. */
    int (*run)(const struct vector_source *s, uint32_t row, uint32_t row_max,
               struct vector_run *out, struct error *err);
    uint32_t dim;
    /* Not NULL: all rows lie here one after another, verified, as long as the source is held: what
     * run would say, without asking. */
    const float *all, *all_norms;
    /* What rows are kept as (narrow_rows.h); 0 is F32.  Only the vectors of a segment are
     * anything else: those that an index is built over and searched with are floats. */
    uint32_t storage;
    /* NULL but where rows are kept narrow, for which run says INTERNAL. */
    int (*run_narrow)(const struct vector_source *s, uint32_t row, uint32_t row_max,
                      struct row_run *out, struct error *err);
};

static inline bool vector_source_is_narrow(const struct vector_source *s)
{
    return s->storage != 0 && s->storage != STORAGE_F32;
}

#endif
