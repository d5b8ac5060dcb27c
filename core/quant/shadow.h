/* SPDX-License-Identifier: Apache-2.0 */
/* shadow.h — rows in 8-bit codes beside the rows themselves, each with how far it is from what it
 * stands for.
 *
 * A scan reads the shadow and learns bounds of all distances; only rows that may matter are then
 * looked at (shadowed.c, with the proof).  Segments keep shadows; the oracle knows nothing else of
 * how.
 */
#ifndef QUANT_SHADOW_H
#define QUANT_SHADOW_H

#include <stdint.h>

#include "simd/kernels.h"

/* Rows [row, row + row_count): codes code_stride(dim) bytes apart, the rest one a row.  Borrowed as
 * long as the segment is held. */
struct shadow_run {
    const uint8_t *codes;
    /* errors: at least |x - scale * code|; +inf: the row cannot be told of.  norms: of the vector,
     * as the segment has it; 1 where the error is +inf. */
    struct code_rests rests;
    uint32_t row_count;
};

struct shadow_source {
    /* The run that starts at `row`, of 0 to row_max rows.  Up to *make_max rows that are missing
     * may be made for it, and are taken off.  A row that was there once stays.  Never fails:
     * without memory there are no rows.  Any thread. */
    void (*run)(struct shadow_source *s, uint32_t row, uint32_t row_max, uint32_t *make_max,
                struct shadow_run *out);
};

/* Where rows are packed to. */
struct shadow_rows {
    uint8_t *codes; /* code_stride(dim) bytes a row */
    float *scales, *errors, *norms;
};

/* Pack row_count rows; norms: dense_norm_f32 of each. */
void shadow_pack(const struct simd_kernels *kernels, const float *vectors, const float *norms,
                 uint32_t row_count, uint32_t dim, const struct shadow_rows *to);

/* Vectors with norms within these can be told of: no product of two of them, nor of their scales,
 * leaves the range in which floats are exact to a factor. */
#define SHADOW_NORM_MIN 1e-12f
#define SHADOW_NORM_MAX 1e12f

#endif
