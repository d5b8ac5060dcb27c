/* SPDX-License-Identifier: Apache-2.0 */
/* bytes_neon.c — dot and squared distance of two rows of bytes with NEON.
 *
 * WHAT        Eight products of bytes, or squares of absolute differences, fit 16 bits; pairs of
 *             them are added into 32.
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

INLINE uint8x16_t load(const uint8_t *at)
{
    return vld1q_u8(at);
}

INLINE uint8x16_t load_tail(const uint8_t *at, size_t count)
{
    uint8_t bytes[LANES] = {0};
    memcpy(bytes, at, count);
    return vld1q_u8(bytes);
}

INLINE uint32x4_t add_squares(uint32x4_t sum, uint8x16_t a, uint8x16_t b)
{
    sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(a), vget_low_u8(b)));
    return vpadalq_u16(sum, vmull_high_u8(a, b));
}

INLINE uint32x4_t accumulate(enum operation op, enum number_type type, uint32x4_t sum, uint8x16_t a,
                             uint8x16_t b)
{
    int8x16_t x = vreinterpretq_s8_u8(a), y = vreinterpretq_s8_u8(b);

    if (op == L2) {
        uint8x16_t d = type == I8 ? vreinterpretq_u8_s8(vabdq_s8(x, y)) : vabdq_u8(a, b);
        return add_squares(sum, d, d);
    }
    if (type == U8) return add_squares(sum, a, b);
    int32x4_t s = vreinterpretq_s32_u32(sum);
    s = vpadalq_s16(s, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
    return vreinterpretq_u32_s32(vpadalq_s16(s, vmull_high_s8(x, y)));
}

/* As many bytes from `ahead` on are prefetched. */
INLINE int32_t sum_row(enum operation op, enum number_type type, const uint8_t *query,
                       const uint8_t *row, const uint8_t *ahead, size_t dim)
{
    uint32x4_t s0 = vdupq_n_u32(0), s1 = s0;
    size_t i = 0;

    for (; i + 2 * LANES <= dim; i += 2 * LANES) {
        __builtin_prefetch(ahead + i);
        s0 = accumulate(op, type, s0, load(query + i), load(row + i));
        s1 = accumulate(op, type, s1, load(query + i + LANES), load(row + i + LANES));
    }
    if (i + LANES <= dim) {
        s0 = accumulate(op, type, s0, load(query + i), load(row + i));
        i += LANES;
    }
    if (i < dim)
        s1 = accumulate(op, type, s1, load_tail(query + i, dim - i), load_tail(row + i, dim - i));
    return (int32_t)vaddvq_u32(vaddq_u32(s0, s1));
}

#define NEON_KERNEL(op, OP, type, TYPE)                                                            \
    int32_t bytes_##op##_##type##_neon(const void *a, const void *b, size_t dim)                   \
    {                                                                                              \
        return sum_row(OP, TYPE, a, b, b, dim);                                                    \
    }                                                                                              \
    void bytes_##op##_many_##type##_neon(const void *query, const void *rows,                      \
                                         size_t row_stride_bytes, size_t row_count, size_t dim,    \
                                         int32_t *out)                                             \
    {                                                                                              \
        const uint8_t *row = rows;                                                                 \
        for (size_t i = 0; i < row_count; i++, row += row_stride_bytes)                            \
            out[i] = sum_row(OP, TYPE, query, row, row + PREFETCH_BYTES, dim);                     \
    }
BYTES_KERNELS(NEON_KERNEL)
#endif
