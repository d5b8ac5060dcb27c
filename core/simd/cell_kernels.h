/* SPDX-License-Identifier: Apache-2.0 */
/* cell_kernels.h — kernels over the cells of a column, eight bytes each: a bit a row.
 *
 * WHAT        order_i64, order_f64: which cells are less than k, equal to it and, of floats,
 *             greater: a NaN is in no set, and of integers the third is what is left.
 *             select: which of 64 bytes, all below 16, are among those whose bit `wanted` has: the
 *             rows of some types.
 * LAYOUT      A word of each set for 64 cells, the first in its lowest bit; word_count * 64 cells.
 * ARGUMENTS   Cells need the alignment of eight bytes; out words are written whole.  word_count may
 *             be 0.
 * VALUES      Exact: the same at every level.
 * THREADS     Kernels are pure.
 */
#ifndef SIMD_CELL_KERNELS_H
#define SIMD_CELL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum { CELL_WORD = 64 }; /* cells of a word */

typedef void cell_order_i64_fn(const int64_t *cells, size_t word_count, int64_t k, uint64_t *less,
                               uint64_t *equal);
typedef void cell_order_f64_fn(const double *cells, size_t word_count, double k, uint64_t *less,
                               uint64_t *equal, uint64_t *greater);
typedef void cell_select_fn(const uint8_t *types, size_t word_count, uint32_t wanted,
                            uint64_t *out);

/* The kernels themselves; only select.c and the ISA files use these names. */
#define CELL_DECLARE(isa)                                                                          \
    cell_order_i64_fn cell_order_i64_##isa;                                                        \
    cell_order_f64_fn cell_order_f64_##isa;                                                        \
    cell_select_fn cell_select_##isa;
CELL_DECLARE(serial)
#if defined(__x86_64__)
CELL_DECLARE(avx2)
CELL_DECLARE(avx512)
#elif defined(__aarch64__)
CELL_DECLARE(neon)
#endif
#undef CELL_DECLARE

#endif
