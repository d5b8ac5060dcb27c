/* SPDX-License-Identifier: Apache-2.0 */
/* bits_neon.c — kernels over rows of bits with NEON, which counts the bits of bytes.
 *
 * INVARIANTS, THREADS, FAILURE: see bits_kernels.h.
 */
#include "simd/bits_kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))

enum { PREFETCH_BYTES = 2048, LANES = 2 };

enum operation { HAMMING, COMMON }; /* always a constant: each use is compiled for its own */

INLINE uint64x2_t count_words(enum operation op, uint64x2_t a, uint64x2_t b)
{
    uint8x16_t x = vreinterpretq_u8_u64(op == HAMMING ? veorq_u64(a, b) : vandq_u64(a, b));
    return vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(vcntq_u8(x))));
}

INLINE uint32_t count_row(enum operation op, const uint64_t *a, const uint64_t *b,
                          size_t word_count)
{
    uint64x2_t sum = vdupq_n_u64(0);
    size_t i = 0;

    for (; i + LANES <= word_count; i += LANES)
        sum = vaddq_u64(sum, count_words(op, vld1q_u64(a + i), vld1q_u64(b + i)));
    if (i < word_count) {
        uint64x2_t x = vcombine_u64(vld1_u64(a + i), vdup_n_u64(0));
        uint64x2_t y = vcombine_u64(vld1_u64(b + i), vdup_n_u64(0));
        sum = vaddq_u64(sum, count_words(op, x, y));
    }
    return (uint32_t)vaddvq_u64(sum);
}

#define NEON_KERNEL(op, OP)                                                                        \
    uint32_t bits_##op##_neon(const uint64_t *a, const uint64_t *b, size_t word_count)             \
    {                                                                                              \
        return count_row(OP, a, b, word_count);                                                    \
    }                                                                                              \
    void bits_##op##_many_neon(const uint64_t *query, const uint64_t *rows,                        \
                               size_t row_stride_words, size_t row_count, size_t word_count,       \
                               uint32_t *out)                                                      \
    {                                                                                              \
        for (size_t i = 0; i < row_count; i++, rows += row_stride_words) {                         \
            __builtin_prefetch((const char *)rows + PREFETCH_BYTES);                               \
            out[i] = count_row(OP, query, rows, word_count);                                       \
        }                                                                                          \
    }
BITS_KERNELS(NEON_KERNEL)
#endif
