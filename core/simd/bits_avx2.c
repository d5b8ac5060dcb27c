/* SPDX-License-Identifier: Apache-2.0 */
/* bits_avx2.c — kernels over rows of bits with AVX2.
 *
 * WHAT        A table of sixteen entries in a register counts the bits of half bytes; the counts of
 *             the eight bytes of a word are added by one instruction.
 * INVARIANTS, THREADS, FAILURE: see bits_kernels.h.
 */
#include "simd/bits_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { PREFETCH_BYTES = 2048, LANES = 4 };

enum operation { HAMMING, COMMON }; /* always a constant: each use is compiled for its own */

INLINE __m256i load(const uint64_t *p)
{
    return _mm256_loadu_si256((const void *)p);
}

INLINE __m256i load_tail(const uint64_t *p, size_t count)
{
    static const int64_t ones_then_zeros[2 * LANES] = {-1, -1, -1, -1};
    return _mm256_maskload_epi64((const void *)p,
                                 load((const void *)(ones_then_zeros + LANES - count)));
}

/* sum, and the counts of four words. */
INLINE __m256i add_counts(enum operation op, __m256i sum, __m256i a, __m256i b)
{
    const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1,
                                            2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low_half = _mm256_set1_epi8(0x0f);
    __m256i x = op == HAMMING ? _mm256_xor_si256(a, b) : _mm256_and_si256(a, b);
    __m256i low = _mm256_shuffle_epi8(counts, _mm256_and_si256(x, low_half));
    __m256i high = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(x, 4), low_half));
    __m256i bytes = _mm256_add_epi8(low, high);
    return _mm256_add_epi64(sum, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
}

INLINE uint32_t count_row(enum operation op, const uint64_t *a, const uint64_t *b,
                          size_t word_count)
{
    __m256i sum = _mm256_setzero_si256();
    size_t i = 0;

    for (; i + LANES <= word_count; i += LANES) sum = add_counts(op, sum, load(a + i), load(b + i));
    if (i < word_count)
        sum =
            add_counts(op, sum, load_tail(a + i, word_count - i), load_tail(b + i, word_count - i));
    __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    return (uint32_t)(_mm_cvtsi128_si32(half) + _mm_extract_epi32(half, 2));
}

#define AVX2_KERNEL(op, OP)                                                                        \
    uint32_t bits_##op##_avx2(const uint64_t *a, const uint64_t *b, size_t word_count)             \
    {                                                                                              \
        return count_row(OP, a, b, word_count);                                                    \
    }                                                                                              \
    void bits_##op##_many_avx2(const uint64_t *query, const uint64_t *rows,                        \
                               size_t row_stride_words, size_t row_count, size_t word_count,       \
                               uint32_t *out)                                                      \
    {                                                                                              \
        for (size_t i = 0; i < row_count; i++, rows += row_stride_words) {                         \
            _mm_prefetch((const char *)rows + PREFETCH_BYTES, _MM_HINT_T0);                        \
            out[i] = count_row(OP, query, rows, word_count);                                       \
        }                                                                                          \
    }
BITS_KERNELS(AVX2_KERNEL)
#endif
