/* SPDX-License-Identifier: Apache-2.0 */
/* narrow_kernels.h — kernels over rows of numbers narrower than f32, for a query of f32; how such
 * rows are made and read.
 *
 * WHAT        Types: f16 (IEEE binary16) and bf16 (the upper half of an f32), kept as uint16_t,
 *             for ISO C has neither; i8 and u8, whole numbers.  f32 holds every number of each, so
 *             that a row means one row of floats: the wide row.  dot and l2 in the three forms of
 *             kernels.h; widen gives the wide row; pack makes the row nearest to floats.
 * ARGUMENTS   As in kernels.h, but that rows need no alignment at all and row_stride_bytes is any
 *             number that is at least a row's bytes.  f16 and bf16 are in the order of bytes of
 *             the machine.
 * INVARIANTS  (1) The value of a query and a row is, bit for bit, that of the f32 kernel of the
 *                 same level for the query and the wide row (a NaN's payload excepted).  All that
 *                 kernels.h says of values holds with it: the bounds of error, the equality of
 *                 forms, what overflows.
 *             (2) widen is exact, pack rounds to the nearest, ties to even, at every level; so
 *                 pack gives back what was widened.  Beyond the largest number f16 and bf16 become
 *                 infinite, as IEEE has it, and i8 and u8 their ends.  A NaN stays one in f16 and
 *                 bf16; of i8 and u8 it has no meaning, and gives any number.
 * THREADS     Kernels are pure.
 */
#ifndef SIMD_NARROW_KERNELS_H
#define SIMD_NARROW_KERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef float narrow_pair_fn(const float *query, const void *row, size_t dim);

typedef void narrow_many_fn(const float *query, const void *rows, size_t row_stride_bytes,
                            size_t row_count, size_t dim, float *out);

typedef void narrow_block_fn(const float *const *queries, size_t query_count, const void *rows,
                             size_t row_stride_bytes, size_t row_count, size_t dim,
                             float *const *out);

/* out: dim floats, aligned as such. */
typedef void narrow_widen_fn(const void *row, size_t dim, float *out);

/* row: dim numbers. */
typedef void narrow_pack_fn(const float *floats, size_t dim, void *row);

/*    type  bytes of a number  TYPE in vector types */
#define NARROW_TYPES(_)                                                                            \
    _(f16, 2, F16)                                                                                 \
    _(bf16, 2, BF16)                                                                               \
    _(i8, 1, I8)                                                                                   \
    _(u8, 1, U8)

struct narrow_forms {
    narrow_pair_fn *pair;
    narrow_many_fn *many;
    narrow_block_fn *block;
};

/* Of one type; no member is NULL. */
struct narrow_kernels {
    struct narrow_forms dot, l2;
    narrow_widen_fn *widen;
    narrow_pack_fn *pack;
};

/* The kernels themselves; only select.c and the ISA files use these names. */
#define NARROW_DECLARE_FORMS(op, type, isa)                                                        \
    narrow_pair_fn narrow_##op##_##type##_##isa;                                                   \
    narrow_many_fn narrow_##op##_many_##type##_##isa;                                              \
    narrow_block_fn narrow_##op##_block_##type##_##isa;
#define NARROW_DECLARE_SUMS(type, isa)                                                             \
    NARROW_DECLARE_FORMS(dot, type, isa)                                                           \
    NARROW_DECLARE_FORMS(l2, type, isa)
#define NARROW_DECLARE_ROWS(type, isa)                                                             \
    narrow_widen_fn narrow_widen_##type##_##isa;                                                   \
    narrow_pack_fn narrow_pack_##type##_##isa;

#define NARROW_DECLARE_SERIAL(type, bytes, TYPE)                                                   \
    NARROW_DECLARE_SUMS(type, serial)                                                              \
    NARROW_DECLARE_ROWS(type, serial)
NARROW_TYPES(NARROW_DECLARE_SERIAL)
#undef NARROW_DECLARE_SERIAL
#if defined(__x86_64__)
#define NARROW_DECLARE_X86(type, bytes, TYPE)                                                      \
    NARROW_DECLARE_SUMS(type, avx2)                                                                \
    NARROW_DECLARE_ROWS(type, avx2)                                                                \
    NARROW_DECLARE_SUMS(type, avx512)
NARROW_TYPES(NARROW_DECLARE_X86)
#undef NARROW_DECLARE_X86
#elif defined(__aarch64__)
#define NARROW_DECLARE_NEON(type, bytes, TYPE)                                                     \
    NARROW_DECLARE_SUMS(type, neon)                                                                \
    NARROW_DECLARE_ROWS(type, neon)
NARROW_TYPES(NARROW_DECLARE_NEON)
#undef NARROW_DECLARE_NEON
#endif
#undef NARROW_DECLARE_FORMS
#undef NARROW_DECLARE_SUMS
#undef NARROW_DECLARE_ROWS

#endif
