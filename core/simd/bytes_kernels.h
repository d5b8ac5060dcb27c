/* SPDX-License-Identifier: Apache-2.0 */
/* bytes_kernels.h — kernels over two rows of bytes, in whole numbers.
 *
 * WHAT        Types: i8 and u8, of both rows.  dot and l2, for one pair, and for one query against
 *             many rows.  Against a query of floats there are the kernels of narrow_kernels.h.
 * ARGUMENTS   No alignment; 64 bytes are fastest.  Any dim up to LIMIT_DIM, 0 too: a sum is then 0.
 *             No byte outside the dim bytes of a row is read.  row_stride_bytes >= dim.
 * VALUES      Exact, and the same at every level and in every form: up to LIMIT_DIM no sum leaves
 *             int32_t, which 255 * 255 * dim does only from 33026 on.
 * THREADS     Kernels are pure.
 */
#ifndef SIMD_BYTES_KERNELS_H
#define SIMD_BYTES_KERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef int32_t bytes_pair_fn(const void *a, const void *b, size_t dim);

/* out[i] = value of query and row i, i < row_count. */
typedef void bytes_many_fn(const void *query, const void *rows, size_t row_stride_bytes,
                           size_t row_count, size_t dim, int32_t *out);

struct bytes_forms {
    bytes_pair_fn *pair;
    bytes_many_fn *many;
};

/*    op  OP   type TYPE */
#define BYTES_KERNELS(_)                                                                           \
    _(dot, DOT, i8, I8)                                                                            \
    _(l2, L2, i8, I8)                                                                              \
    _(dot, DOT, u8, U8)                                                                            \
    _(l2, L2, u8, U8)

/* The kernels themselves; only select.c and the ISA files use these names. */
#define BYTES_DECLARE(op, type, isa)                                                               \
    bytes_pair_fn bytes_##op##_##type##_##isa;                                                     \
    bytes_many_fn bytes_##op##_many_##type##_##isa;
#define BYTES_DECLARE_SERIAL(op, OP, type, TYPE) BYTES_DECLARE(op, type, serial)
BYTES_KERNELS(BYTES_DECLARE_SERIAL)
#undef BYTES_DECLARE_SERIAL
#if defined(__x86_64__)
#define BYTES_DECLARE_X86(op, OP, type, TYPE)                                                      \
    BYTES_DECLARE(op, type, avx2)                                                                  \
    BYTES_DECLARE(op, type, vnni)
BYTES_KERNELS(BYTES_DECLARE_X86)
#undef BYTES_DECLARE_X86
#elif defined(__aarch64__)
#define BYTES_DECLARE_ARM(op, OP, type, TYPE)                                                      \
    BYTES_DECLARE(op, type, neon)                                                                  \
    BYTES_DECLARE(op, type, dotprod)
BYTES_KERNELS(BYTES_DECLARE_ARM)
#undef BYTES_DECLARE_ARM
#endif
#undef BYTES_DECLARE

#endif
