/* SPDX-License-Identifier: Apache-2.0 */
/* bits_vpopcnt.c — kernels over rows of bits with AVX-512 and its counts of bits.
 *
 * WHAT        Eight words are counted by one instruction.  Of many rows eight are folded at once.
 * INVARIANTS, THREADS, FAILURE: see bits_kernels.h.
 */
#include "simd/bits_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { PREFETCH_BYTES = 2048, LANES = 8, SHORT_WORDS = 4 };

enum operation { HAMMING, COMMON }; /* always a constant: each use is compiled for its own */

INLINE __m512i add_counts(enum operation op, __m512i sum, __m512i a, __m512i b)
{
    __m512i x = op == HAMMING ? _mm512_xor_si512(a, b) : _mm512_and_si512(a, b);
    return _mm512_add_epi64(sum, _mm512_popcnt_epi64(x));
}

/* The counts of one row, in eight lanes. */
INLINE __m512i count_row(enum operation op, const uint64_t *a, const uint64_t *b, size_t word_count)
{
    __m512i sum = _mm512_setzero_si512();
    size_t i = 0;

    for (; i + LANES <= word_count; i += LANES)
        sum = add_counts(op, sum, _mm512_loadu_si512(a + i), _mm512_loadu_si512(b + i));
    if (i == word_count) return sum;
    __mmask8 mask = (__mmask8)((1u << (word_count - i)) - 1);
    return add_counts(op, sum, _mm512_maskz_loadu_epi64(mask, a + i),
                      _mm512_maskz_loadu_epi64(mask, b + i));
}

/* Of so few that sums across a register would take longer. */
INLINE uint32_t count_words(enum operation op, const uint64_t *a, const uint64_t *b,
                            size_t word_count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < word_count; i++)
        sum += (uint64_t)_mm_popcnt_u64(op == HAMMING ? a[i] ^ b[i] : a[i] & b[i]);
    return (uint32_t)sum;
}

/* Quarters 0 and 1 of the result are sums of x's quarters, 2 and 3 of y's. */
INLINE __m512i add_quarters(__m512i x, __m512i y)
{
    return _mm512_add_epi64(_mm512_shuffle_i64x2(x, y, 0x88), _mm512_shuffle_i64x2(x, y, 0xdd));
}

INLINE __m512i add_neighbours(__m512i x, __m512i y)
{
    return _mm512_add_epi64(_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y));
}

INLINE void count_eight_rows(enum operation op, const uint64_t *query, const uint64_t *rows,
                             size_t stride, size_t word_count, uint32_t *out)
{
    const uint64_t *upper = rows + 4 * stride;
    __m512i x0 = count_row(op, query, rows, word_count);
    __m512i x1 = count_row(op, query, rows + stride, word_count);
    __m512i x2 = count_row(op, query, rows + 2 * stride, word_count);
    __m512i x3 = count_row(op, query, rows + 3 * stride, word_count);
    __m512i low = add_quarters(add_neighbours(x0, x1), add_neighbours(x2, x3));
    x0 = count_row(op, query, upper, word_count);
    x1 = count_row(op, query, upper + stride, word_count);
    x2 = count_row(op, query, upper + 2 * stride, word_count);
    x3 = count_row(op, query, upper + 3 * stride, word_count);
    __m512i high = add_quarters(add_neighbours(x0, x1), add_neighbours(x2, x3));
    _mm256_storeu_si256((void *)out, _mm512_cvtepi64_epi32(add_quarters(low, high)));
}

INLINE void scan_many(enum operation op, const uint64_t *query, const uint64_t *rows, size_t stride,
                      size_t row_count, size_t word_count, uint32_t *out)
{
    size_t i = 0;

    if (word_count <= SHORT_WORDS) {
        for (; i < row_count; i++, rows += stride) {
            _mm_prefetch((const char *)rows + PREFETCH_BYTES, _MM_HINT_T0);
            out[i] = count_words(op, query, rows, word_count);
        }
        return;
    }
    for (; i + LANES <= row_count; i += LANES, rows += LANES * stride) {
        const char *ahead = (const char *)rows + PREFETCH_BYTES;
        for (size_t line = 0; line < LANES * stride * 8; line += 64)
            _mm_prefetch(ahead + line, _MM_HINT_T0);
        count_eight_rows(op, query, rows, stride, word_count, out + i);
    }
    for (; i < row_count; i++, rows += stride)
        out[i] = (uint32_t)_mm512_reduce_add_epi64(count_row(op, query, rows, word_count));
}

#define VPOPCNT_KERNEL(op, OP)                                                                     \
    uint32_t bits_##op##_vpopcnt(const uint64_t *a, const uint64_t *b, size_t word_count)          \
    {                                                                                              \
        return (uint32_t)_mm512_reduce_add_epi64(count_row(OP, a, b, word_count));                 \
    }                                                                                              \
    void bits_##op##_many_vpopcnt(const uint64_t *query, const uint64_t *rows,                     \
                                  size_t row_stride_words, size_t row_count, size_t word_count,    \
                                  uint32_t *out)                                                   \
    {                                                                                              \
        scan_many(OP, query, rows, row_stride_words, row_count, word_count, out);                  \
    }
BITS_KERNELS(VPOPCNT_KERNEL)
#endif
