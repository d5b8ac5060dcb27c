/* SPDX-License-Identifier: Apache-2.0 */
/* narrow_rows.h — rows of a type of storage: how long they are, which floats they mean, which ones
 * they can hold.
 *
 * A row of f16, bf16, i8, u8 or bits means the floats that it is widened to, and the kernels over
 * such rows give the bits of those over these floats (simd/narrow_kernels.h, bit_rows.h).  So it is
 * of no matter to a distance where a row was widened: floats that were rounded once may be kept as
 * either.
 * THREADS  Any.
 */
#ifndef QUANT_NARROW_ROWS_H
#define QUANT_NARROW_ROWS_H

#include <stddef.h>

#include "base/error.h"
#include "codec/vector_types.h"
#include "quant/vector_source.h"
#include "simd/kernels.h"

/* 0 is F32 wherever a source of vectors says it. */
size_t storage_row_bytes(unsigned storage, uint32_t dim);
/* Rows, one after another, to the floats that they mean, and floats that such rows can hold to
 * rows.  Rows of bits are aligned to their words. */
void storage_widen(const struct simd_kernels *kernels, unsigned storage, const void *rows,
                   size_t row_count, uint32_t dim, float *out);
void storage_pack(const struct simd_kernels *kernels, unsigned storage, const float *vectors,
                  size_t row_count, uint32_t dim, void *rows);
/* Kernels over rows of numbers; NULL: rows are floats, or bits. */
const struct narrow_kernels *storage_kernels(const struct simd_kernels *kernels, unsigned storage);

/* A run of rows as they are kept, floats or not. */
int vector_source_rows(const struct vector_source *source, uint32_t row, uint32_t row_max,
                       struct row_run *out, struct error *err);
/* Rows [row, row + row_count) as floats, whatever they are kept as, and their norms (NULL: not
 * wanted).  What the source says. */
int vector_source_read(const struct vector_source *source, uint32_t row, uint32_t row_count,
                       float *out, float *norms, struct error *err);

/* Round finite floats to what rows of the type hold, in place.  LYNSE_INVALID: a number is beyond
 * its ends, which are in the text; some may be rounded by then. */
int storage_round(const struct simd_kernels *kernels, unsigned storage, float *vectors,
                  size_t count, uint32_t dim, struct error *err);

#endif
