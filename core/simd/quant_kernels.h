/* SPDX-License-Identifier: Apache-2.0 */
/* quant_kernels.h — kernels of the quantizers: products of codes of 1 to 8 bits, sums of tables
 * over blocks of 1-bit codes, and the rotation that comes before both.
 *
 * ROWS        A row has a code c_j of `bits` bits, 0 to 2^bits - 1, for each of `dim` components,
 *             dim a multiple of QUANT_CHUNK.  Each chunk of 64 components takes 8 * bits bytes, cut
 *             into parts of 4, 2 and 1 bits, which hold the low, middle and high bits of the
 *             codes:
 *                 7 bits = 4 + 2 + 1     5 = 4 + 1     3 = 2 + 1     8: whole bytes, no parts
 *             Of 4 bits: byte i has component i in its low half, 32 + i in its high half.  Of 2:
 *             bits 2k of byte i are component 16k + i.  Of 1: bit i of 64 is component i. dot gives
 *             the sum of d_j * c_j for a query in digits (code_kernels.h; its zero_sum is not
 *             read), as exact integers, if |d_j| <= quant_digits_max(dim).  Where the query is
 *             short and codes have at most 4 bits, a kernel may leave out the high digits.
 * BLOCKS      32 rows of 1 bit, transposed: 16 bytes for each group of 4 components, byte i with
 *             those of row i in its low half and of row 16 + i in its high half, lowest first.  A
 *             table has 16 bytes a group: what each combination of four bits adds.  scan gives the
 *             32 sums, exact integers.
 * NEAR        Which rows of a block may be within a limit, each by as much as its own factor says.
 *             In f32, a rounding for each step of the formula at most, fused or not.
 * ROTATION    Rounds of: flip signs, as bits say; a Walsh-Hadamard transform, scaled to keep
 *             lengths, of the largest power of two of components, the first ones or, in odd rounds,
 *             the last; where that is not all of them, each component of the first half is
 *             turned by 45 degrees against its fellow of the second (a step of Kac's walk), whose
 *             length is mended at the very end.  Additions, and products with one number, in a
 *             fixed order: the same bits at every level.
 * SIGNS       What a 1-bit code of the residual r = x - c is made of: bit i is r_i >= 0; and sums,
 *             with roundings as dense_f32_error_factor counts them.
 * ARGUMENTS   Tables and digits are aligned to 64; rows, codes and vectors need no alignment.
 *             Counts may be 0.
 * THREADS     Kernels are pure.
 */
#ifndef SIMD_QUANT_KERNELS_H
#define SIMD_QUANT_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "simd/code_kernels.h"

enum {
    QUANT_CHUNK = 64,
    QUANT_BITS_MAX = 8,
    QUANT_BLOCK = 32,      /* rows of a block */
    QUANT_GROUP = 4,       /* components of a byte of a table */
    QUANT_TABLE_BYTES = 16 /* of a group */
};

/* The largest |d_j| for which sums have room: unsigned codes need twice that of code_kernels.h. */
static inline int32_t quant_digits_max(size_t dim)
{
    size_t room = dim > 0 ? INT32_MAX / (255 * dim) : INT32_MAX;
    return room < 8127 ? (int32_t)room : 8127;
}

/* out[i] = product with the row at rows + i * row_stride, i < row_count; bits 1 to 8. */
typedef void quant_dot_fn(const struct code_query *query, unsigned bits, const uint8_t *rows,
                          size_t row_stride, size_t row_count, int32_t *out);

/* The same of rows here and there: out[i] = product with the row at rows[i]. */
typedef void quant_gather_fn(const struct code_query *query, unsigned bits,
                             const uint8_t *const *rows, size_t row_count, int32_t *out);

/* group_count a multiple of 8. */
typedef void quant_scan_fn(const uint8_t *tables, const uint8_t *codes, size_t group_count,
                           int32_t out[QUANT_BLOCK]);

/* How sums become distances, and which of these are near. */
struct quant_reading {
    float base, step, shift;
    float limit, width; /* finite; width not negative */
};
/* Bit i: base + adds[i] + muls[i] * (sums[i] * step + shift) <= limit + |muls[i]| * width.  NaN is
 * not near. */
typedef uint32_t quant_near_fn(const struct quant_reading *reading, const int32_t sums[QUANT_BLOCK],
                               const float adds[QUANT_BLOCK], const float muls[QUANT_BLOCK]);

/* A vector of dim components, in place; signs: bits of dim / 64 words a round, 1 = flip. */
typedef void quant_rotate_fn(float *vector, size_t dim, const uint64_t *signs, size_t round_count);

struct quant_signs {
    float square;      /* sum of r_i * r_i */
    float length;      /* sum of |r_i| */
    float center_part; /* sum of c_i * r_i */
    float center_sign; /* sum of c_i, or -c_i where the bit is 0 */
};
/* dim / 64 words of bits. */
typedef void quant_sign_fn(const float *vector, const float *center, size_t dim, uint64_t *bits,
                           struct quant_signs *out);

/* The components that a round's transform takes: the largest power of two. */
static inline size_t quant_rotate_span(size_t dim)
{
    size_t span = QUANT_CHUNK;
    while (span * 2 <= dim) span *= 2;
    return span;
}

/* By so much all is too long after such turns. */
static inline float quant_rotate_excess(size_t round_count)
{
    float excess = round_count % 2 ? 1.41421356f : 1;
    for (size_t round = 0; round + 1 < round_count; round += 2) excess *= 2;
    return excess;
}

/* The kernels themselves; only select.c and the ISA files use these names. */
quant_dot_fn quant_dot_serial;
quant_gather_fn quant_gather_serial;
quant_scan_fn quant_scan_serial;
quant_near_fn quant_near_serial;
quant_rotate_fn quant_rotate_serial;
quant_sign_fn quant_sign_serial;
#if defined(__x86_64__)
quant_dot_fn quant_dot_avx2, quant_dot_vnni;
quant_gather_fn quant_gather_avx2, quant_gather_vnni;
quant_scan_fn quant_scan_avx2, quant_scan_avx512;
quant_near_fn quant_near_avx2, quant_near_avx512;
quant_rotate_fn quant_rotate_avx2, quant_rotate_avx512;
quant_sign_fn quant_sign_avx2, quant_sign_avx512;
#endif

#endif
