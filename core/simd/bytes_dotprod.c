/* SPDX-License-Identifier: Apache-2.0 */
/* bytes_dotprod.c — dot and squared distance of two rows of bytes with NEON's dot products.
 *
 * WHAT        One instruction adds four products of bytes into 32 bits, in each of four lanes; a
 *             squared distance is the product of the absolute differences with themselves.
 * WHY SO      Four rows per step share the loads of the query, and hide the latency of the product.
 * INVARIANTS, THREADS, FAILURE: see bytes_kernels.h.
 */
#include "simd/bytes_kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { PREFETCH_BYTES = 2048, LANES = 16 };

/* Always constants: each use is compiled for its own. */
enum operation { DOT, L2 };
enum number_type { I8, U8 };

/* Those from i on, and 0 behind dim. */
INLINE uint8x16_t load(const uint8_t *bytes, size_t i, size_t dim)
{
    uint8_t tail[LANES] = {0};
    if (dim - i >= LANES) return vld1q_u8(bytes + i);
    memcpy(tail, bytes + i, dim - i);
    return vld1q_u8(tail);
}

INLINE uint32x4_t accumulate(enum operation op, enum number_type type, uint32x4_t sum, uint8x16_t a,
                             uint8x16_t b)
{
    int8x16_t x = vreinterpretq_s8_u8(a), y = vreinterpretq_s8_u8(b);

    if (op == L2) {
        uint8x16_t d = type == I8 ? vreinterpretq_u8_s8(vabdq_s8(x, y)) : vabdq_u8(a, b);
        return vdotq_u32(sum, d, d);
    }
    if (type == U8) return vdotq_u32(sum, a, b);
    return vreinterpretq_u32_s32(vdotq_s32(vreinterpretq_s32_u32(sum), x, y));
}

INLINE uint32x4_t sum_row(enum operation op, enum number_type type, const uint8_t *query,
                          const uint8_t *row, size_t dim)
{
    uint32x4_t sum = vdupq_n_u32(0);
    for (size_t i = 0; i < dim; i += LANES)
        sum = accumulate(op, type, sum, load(query, i, dim), load(row, i, dim));
    return sum;
}

/* Lane r of the result is the sum of row r; as many bytes further on are prefetched. */
INLINE uint32x4_t sum_four(enum operation op, enum number_type type, const uint8_t *query,
                           const uint8_t *row, size_t stride, size_t dim)
{
    uint32x4_t a = vdupq_n_u32(0), b = a, c = a, d = a;
    const uint8_t *row_c = row + 2 * stride;

    for (size_t i = 0; i < dim; i += LANES) {
        uint8x16_t q = load(query, i, dim);
        __builtin_prefetch(row + PREFETCH_BYTES + 4 * i);
        a = accumulate(op, type, a, q, load(row, i, dim));
        b = accumulate(op, type, b, q, load(row + stride, i, dim));
        c = accumulate(op, type, c, q, load(row_c, i, dim));
        d = accumulate(op, type, d, q, load(row_c + stride, i, dim));
    }
    return vpaddq_u32(vpaddq_u32(a, b), vpaddq_u32(c, d));
}

INLINE void scan_many(enum operation op, enum number_type type, const uint8_t *query,
                      const uint8_t *row, size_t stride, size_t row_count, size_t dim, int32_t *out)
{
    size_t i = 0;
    for (; i + 4 <= row_count; i += 4, row += 4 * stride)
        vst1q_s32(out + i, vreinterpretq_s32_u32(sum_four(op, type, query, row, stride, dim)));
    for (; i < row_count; i++, row += stride)
        out[i] = (int32_t)vaddvq_u32(sum_row(op, type, query, row, dim));
}

#define DOTPROD_KERNEL(op, OP, type, TYPE)                                                         \
    int32_t bytes_##op##_##type##_dotprod(const void *a, const void *b, size_t dim)                \
    {                                                                                              \
        return (int32_t)vaddvq_u32(sum_row(OP, TYPE, a, b, dim));                                  \
    }                                                                                              \
    void bytes_##op##_many_##type##_dotprod(const void *query, const void *rows,                   \
                                            size_t row_stride_bytes, size_t row_count, size_t dim, \
                                            int32_t *out)                                          \
    {                                                                                              \
        scan_many(OP, TYPE, query, rows, row_stride_bytes, row_count, dim, out);                   \
    }
BYTES_KERNELS(DOTPROD_KERNEL)
#endif
