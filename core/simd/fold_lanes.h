/* SPDX-License-Identifier: Apache-2.0 */
/* fold_lanes.h — sums of the lanes of AVX-512 registers, for files that are compiled for it. */
#ifndef SIMD_FOLD_LANES_H
#define SIMD_FOLD_LANES_H

#include <immintrin.h>

/* Lane r of the result is the sum of the lanes of x<r>. */
static inline __attribute__((always_inline)) __m128i fold_four(__m512i x0, __m512i x1, __m512i x2,
                                                               __m512i x3)
{
    __m512i y01 = _mm512_add_epi32(_mm512_unpacklo_epi32(x0, x1), _mm512_unpackhi_epi32(x0, x1));
    __m512i y23 = _mm512_add_epi32(_mm512_unpacklo_epi32(x2, x3), _mm512_unpackhi_epi32(x2, x3));
    __m512i z = _mm512_add_epi32(_mm512_unpacklo_epi64(y01, y23), _mm512_unpackhi_epi64(y01, y23));
    __m256i w = _mm256_add_epi32(_mm512_castsi512_si256(z), _mm512_extracti64x4_epi64(z, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));
}

#endif
