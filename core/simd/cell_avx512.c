/* SPDX-License-Identifier: Apache-2.0 */
/* cell_avx512.c — cells compared eight at a time with AVX-512, and types looked up 64 at a time.
 * See cell_kernels.h. */
#include "simd/cell_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { LANES = 8 };

void cell_order_i64_avx512(const int64_t *cells, size_t word_count, int64_t k, uint64_t *less,
                           uint64_t *equal)
{
    const __m512i wide_k = _mm512_set1_epi64(k);

    for (size_t w = 0; w < word_count; w++, cells += CELL_WORD) {
        uint64_t is_less = 0, is_equal = 0;
        for (unsigned i = 0; i < CELL_WORD; i += LANES) {
            __m512i v = _mm512_loadu_si512(cells + i);
            is_less |= (uint64_t)_mm512_cmplt_epi64_mask(v, wide_k) << i;
            is_equal |= (uint64_t)_mm512_cmpeq_epi64_mask(v, wide_k) << i;
        }
        less[w] = is_less;
        equal[w] = is_equal;
    }
}

void cell_order_f64_avx512(const double *cells, size_t word_count, double k, uint64_t *less,
                           uint64_t *equal, uint64_t *greater)
{
    const __m512d wide_k = _mm512_set1_pd(k);

    for (size_t w = 0; w < word_count; w++, cells += CELL_WORD) {
        uint64_t is_less = 0, is_equal = 0, is_greater = 0;
        for (unsigned i = 0; i < CELL_WORD; i += LANES) {
            __m512d v = _mm512_loadu_pd(cells + i);
            is_less |= (uint64_t)_mm512_cmp_pd_mask(v, wide_k, _CMP_LT_OQ) << i;
            is_equal |= (uint64_t)_mm512_cmp_pd_mask(v, wide_k, _CMP_EQ_OQ) << i;
            is_greater |= (uint64_t)_mm512_cmp_pd_mask(v, wide_k, _CMP_GT_OQ) << i;
        }
        less[w] = is_less;
        equal[w] = is_equal;
        greater[w] = is_greater;
    }
}

void cell_select_avx512(const uint8_t *types, size_t word_count, uint32_t wanted, uint64_t *out)
{
    _Alignas(16) uint8_t is_wanted[16];
    for (unsigned t = 0; t < 16; t++) is_wanted[t] = wanted >> t & 1 ? 0xff : 0;
    const __m512i table =
        _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)(const void *)is_wanted));

    for (size_t w = 0; w < word_count; w++, types += CELL_WORD)
        out[w] = _mm512_movepi8_mask(_mm512_shuffle_epi8(table, _mm512_loadu_si512(types)));
}

#endif
