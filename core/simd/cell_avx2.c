/* SPDX-License-Identifier: Apache-2.0 */
/* cell_avx2.c — cells compared four at a time with AVX2; types looked up 32 at a time, for the
 * levels above as well.  See cell_kernels.h. */
#include "simd/cell_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { LANES = 4 };

static inline uint64_t mask_of(__m256i lanes)
{
    return (uint64_t)(uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(lanes));
}

void cell_order_i64_avx2(const int64_t *cells, size_t word_count, int64_t k, uint64_t *less,
                         uint64_t *equal)
{
    const __m256i wide_k = _mm256_set1_epi64x(k);

    for (size_t w = 0; w < word_count; w++, cells += CELL_WORD) {
        uint64_t is_less = 0, is_equal = 0;
        for (unsigned i = 0; i < CELL_WORD; i += LANES) {
            __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(cells + i));
            is_less |= mask_of(_mm256_cmpgt_epi64(wide_k, v)) << i;
            is_equal |= mask_of(_mm256_cmpeq_epi64(wide_k, v)) << i;
        }
        less[w] = is_less;
        equal[w] = is_equal;
    }
}

void cell_order_f64_avx2(const double *cells, size_t word_count, double k, uint64_t *less,
                         uint64_t *equal, uint64_t *greater)
{
    const __m256d wide_k = _mm256_set1_pd(k);

    for (size_t w = 0; w < word_count; w++, cells += CELL_WORD) {
        uint64_t is_less = 0, is_equal = 0, is_greater = 0;
        for (unsigned i = 0; i < CELL_WORD; i += LANES) {
            __m256d v = _mm256_loadu_pd(cells + i);
            __m256d l = _mm256_cmp_pd(v, wide_k, _CMP_LT_OQ);
            __m256d e = _mm256_cmp_pd(v, wide_k, _CMP_EQ_OQ);
            __m256d g = _mm256_cmp_pd(v, wide_k, _CMP_GT_OQ);
            is_less |= (uint64_t)(uint32_t)_mm256_movemask_pd(l) << i;
            is_equal |= (uint64_t)(uint32_t)_mm256_movemask_pd(e) << i;
            is_greater |= (uint64_t)(uint32_t)_mm256_movemask_pd(g) << i;
        }
        less[w] = is_less;
        equal[w] = is_equal;
        greater[w] = is_greater;
    }
}

void cell_select_avx2(const uint8_t *types, size_t word_count, uint32_t wanted, uint64_t *out)
{
    _Alignas(16) uint8_t is_wanted[16];
    for (unsigned t = 0; t < 16; t++) is_wanted[t] = wanted >> t & 1 ? 0xff : 0;
    const __m256i table =
        _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)is_wanted));

    for (size_t w = 0; w < word_count; w++, types += CELL_WORD) {
        __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)types);
        __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(types + 32));
        uint64_t first = (uint32_t)_mm256_movemask_epi8(_mm256_shuffle_epi8(table, low));
        uint64_t second = (uint32_t)_mm256_movemask_epi8(_mm256_shuffle_epi8(table, high));
        out[w] = first | second << 32;
    }
}

#endif
