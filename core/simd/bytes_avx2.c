/* SPDX-License-Identifier: Apache-2.0 */
/* bytes_avx2.c — dot and squared distance of two rows of bytes with AVX2.
 *
 * WHAT        Sixteen bytes become sixteen numbers of 16 bits, or their differences; the processor
 *             multiplies these and adds pairs of products into 32 bits, which nothing leaves.
 * INVARIANTS, THREADS, FAILURE: see bytes_kernels.h.
 */
#include "simd/bytes_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { PREFETCH_BYTES = 2048, LANES = 16 };

/* Always constants: each use is compiled for its own. */
enum operation { DOT, L2 };
enum number_type { I8, U8 };

INLINE __m256i widen(enum number_type type, __m128i bytes)
{
    return type == I8 ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
}

INLINE __m256i load(enum number_type type, const char *at)
{
    return widen(type, _mm_loadu_si128((const void *)at));
}

/* The `count` < 16 numbers there, and 0. */
INLINE __m256i load_tail(enum number_type type, const char *at, size_t count)
{
    char chunk[LANES] = {0};
    for (size_t i = 0; i < count; i++) chunk[i] = at[i];
    return load(type, chunk);
}

INLINE __m256i accumulate(enum operation op, __m256i sum, __m256i a, __m256i b)
{
    if (op == DOT) return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
    __m256i d = _mm256_sub_epi16(a, b);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(d, d));
}

INLINE int32_t fold(__m256i x)
{
    __m128i y = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    y = _mm_add_epi32(y, _mm_shuffle_epi32(y, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(y, _mm_shuffle_epi32(y, 0xb1)));
}

/* As many bytes from `ahead` on are prefetched. */
INLINE int32_t sum_row(enum operation op, enum number_type type, const char *query, const char *row,
                       const char *ahead, size_t dim)
{
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;
    size_t i = 0;

    for (; i + 2 * LANES <= dim; i += 2 * LANES) {
        _mm_prefetch(ahead + i, _MM_HINT_T0);
        s0 = accumulate(op, s0, load(type, query + i), load(type, row + i));
        s1 = accumulate(op, s1, load(type, query + i + LANES), load(type, row + i + LANES));
    }
    if (i + LANES <= dim) {
        s0 = accumulate(op, s0, load(type, query + i), load(type, row + i));
        i += LANES;
    }
    if (i < dim)
        s1 = accumulate(op, s1, load_tail(type, query + i, dim - i),
                        load_tail(type, row + i, dim - i));
    return fold(_mm256_add_epi32(s0, s1));
}

#define AVX2_KERNEL(op, OP, type, TYPE)                                                            \
    int32_t bytes_##op##_##type##_avx2(const void *a, const void *b, size_t dim)                   \
    {                                                                                              \
        return sum_row(OP, TYPE, a, b, b, dim);                                                    \
    }                                                                                              \
    void bytes_##op##_many_##type##_avx2(const void *query, const void *rows,                      \
                                         size_t row_stride_bytes, size_t row_count, size_t dim,    \
                                         int32_t *out)                                             \
    {                                                                                              \
        const char *row = rows;                                                                    \
        for (size_t i = 0; i < row_count; i++, row += row_stride_bytes)                            \
            out[i] = sum_row(OP, TYPE, query, row, row + PREFETCH_BYTES, dim);                     \
    }
BYTES_KERNELS(AVX2_KERNEL)
#endif
