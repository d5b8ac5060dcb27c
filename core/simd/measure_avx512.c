/* SPDX-License-Identifier: Apache-2.0 */
/* measure_avx512.c — the distances that are no products, with AVX-512: what a register is and does;
 * the rest is measure_lanes.h's. */
#include "simd/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define MEASURE_NAME(kernel, form) dense_##kernel##form##_f32_avx512

#define lanes __m512
enum { LANES = 16 };

INLINE lanes lanes_set(float x)
{
    return _mm512_set1_ps(x);
}
INLINE lanes lanes_load(const float *x)
{
    return _mm512_loadu_ps(x);
}
INLINE __mmask16 first_mask(size_t count)
{
    return (__mmask16)((1u << count) - 1);
}
/* The first `count` < LANES; zeros behind. */
INLINE lanes lanes_load_first(const float *x, size_t count)
{
    return _mm512_maskz_loadu_ps(first_mask(count), x);
}
INLINE lanes lanes_first(lanes x, size_t count)
{
    return _mm512_maskz_mov_ps(first_mask(count), x);
}
INLINE lanes lanes_abs(lanes x)
{
    return _mm512_abs_ps(x);
}
INLINE lanes lanes_max(lanes x, lanes y)
{
    return _mm512_max_ps(x, y);
}
INLINE lanes lanes_min(lanes x, lanes y)
{
    return _mm512_min_ps(x, y);
}
INLINE lanes lanes_sqrt(lanes x)
{
    return _mm512_sqrt_ps(x);
}
INLINE lanes lanes_fma(lanes x, lanes y, lanes z)
{
    return _mm512_fmadd_ps(x, y, z);
}
/* value where x > limit, else 0 */
INLINE lanes lanes_where_above(lanes x, lanes limit, lanes value)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_GT_OQ), value);
}
/* x = 2^result * mantissa, a mantissa of 3/4 to 3/2; x is positive and normal. */
INLINE lanes lanes_split(lanes x, lanes *mantissa)
{
    __m512i bits = _mm512_castps_si512(x);
    __m512i exponent = _mm512_srai_epi32(_mm512_sub_epi32(bits, _mm512_set1_epi32(0x3f400000)), 23);
    *mantissa = _mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(exponent, 23)));
    return _mm512_cvtepi32_ps(exponent);
}
/* Lane i: the sum of lanes 0 to i. */
INLINE lanes lanes_running(lanes x)
{
    const __m512i zero = _mm512_setzero_si512();
#define SHIFTED(by)                                                                                \
    _mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(x), zero, 16 - (by)))
    x += SHIFTED(1);
    x += SHIFTED(2);
    x += SHIFTED(4);
    x += SHIFTED(8);
#undef SHIFTED
    return x;
}
/* The last lane, in all of them. */
INLINE lanes lanes_last(lanes x)
{
    return _mm512_permutexvar_ps(_mm512_set1_epi32(15), x);
}
INLINE float lanes_sum(lanes x)
{
    __m256 y = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}
INLINE float lanes_most(lanes x)
{
    return _mm512_reduce_max_ps(x);
}

/* ---- Doubles ---- */

#define wides __m512d
enum { WIDES = 8 };

INLINE wides wides_set(double x)
{
    return _mm512_set1_pd(x);
}
INLINE wides wides_load(const float *x)
{
    return _mm512_cvtps_pd(_mm256_loadu_ps(x));
}
INLINE void wides_store(wides x, float *out)
{
    _mm256_storeu_ps(out, _mm512_cvtpd_ps(x));
}
INLINE wides wides_max(wides x, wides y)
{
    return _mm512_max_pd(x, y);
}
INLINE wides wides_min(wides x, wides y)
{
    return _mm512_min_pd(x, y);
}
INLINE wides wides_sqrt(wides x)
{
    return _mm512_sqrt_pd(x);
}
INLINE wides wides_round(wides x)
{
    return _mm512_roundscale_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
INLINE wides wides_fma(wides x, wides y, wides z)
{
    return _mm512_fmadd_pd(x, y, z);
}
INLINE wides wides_if_above(wides x, wides limit, wides yes, wides no)
{
    return _mm512_mask_blend_pd(_mm512_cmp_pd_mask(x, limit, _CMP_GT_OQ), no, yes);
}

#include "simd/measure_lanes.h"
#include "simd/place_lanes.h"
#endif
