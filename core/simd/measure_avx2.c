/* SPDX-License-Identifier: Apache-2.0 */
/* measure_avx2.c — the distances that are no products, with AVX2 and FMA: what a register is and
 * does; the rest is measure_lanes.h's. */
#include "simd/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define MEASURE_NAME(kernel, form) dense_##kernel##form##_f32_avx2

#define lanes __m256
enum { LANES = 8 };

INLINE lanes lanes_set(float x)
{
    return _mm256_set1_ps(x);
}
INLINE lanes lanes_load(const float *x)
{
    return _mm256_loadu_ps(x);
}
INLINE __m256i first_mask(size_t count)
{
    static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones_then_zeros + 8 - count));
}
/* The first `count` < LANES; zeros behind. */
INLINE lanes lanes_load_first(const float *x, size_t count)
{
    return _mm256_maskload_ps(x, first_mask(count));
}
INLINE lanes lanes_first(lanes x, size_t count)
{
    return _mm256_and_ps(x, _mm256_castsi256_ps(first_mask(count)));
}
INLINE lanes lanes_abs(lanes x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}
INLINE lanes lanes_max(lanes x, lanes y)
{
    return _mm256_max_ps(x, y);
}
INLINE lanes lanes_min(lanes x, lanes y)
{
    return _mm256_min_ps(x, y);
}
INLINE lanes lanes_sqrt(lanes x)
{
    return _mm256_sqrt_ps(x);
}
INLINE lanes lanes_fma(lanes x, lanes y, lanes z)
{
    return _mm256_fmadd_ps(x, y, z);
}
/* value where x > limit, else 0 */
INLINE lanes lanes_where_above(lanes x, lanes limit, lanes value)
{
    return _mm256_and_ps(_mm256_cmp_ps(x, limit, _CMP_GT_OQ), value);
}
/* x = 2^result * mantissa, a mantissa of 3/4 to 3/2; x is positive and normal. */
INLINE lanes lanes_split(lanes x, lanes *mantissa)
{
    __m256i bits = _mm256_castps_si256(x);
    __m256i exponent = _mm256_srai_epi32(_mm256_sub_epi32(bits, _mm256_set1_epi32(0x3f400000)), 23);
    *mantissa = _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(exponent, 23)));
    return _mm256_cvtepi32_ps(exponent);
}
/* Lane i: the sum of lanes 0 to i. */
INLINE lanes lanes_running(lanes x)
{
#define SHIFTED(by) _mm256_castsi256_ps(_mm256_slli_si256(_mm256_castps_si256(x), 4 * (by)))
    x += SHIFTED(1);
    x += SHIFTED(2);
#undef SHIFTED
    /* The last of the lower half, into the upper one. */
    __m256 lower = _mm256_permute2f128_ps(x, x, 0x08);
    return x + _mm256_permute_ps(lower, 0xff);
}
/* The last lane, in all of them. */
INLINE lanes lanes_last(lanes x)
{
    return _mm256_permutevar8x32_ps(x, _mm256_set1_epi32(7));
}
INLINE float lanes_sum(lanes x)
{
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}
INLINE float lanes_most(lanes x)
{
    __m128 z = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    z = _mm_max_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_max_ss(z, _mm_movehdup_ps(z)));
}

/* ---- Doubles ---- */

#define wides __m256d
enum { WIDES = 4 };

INLINE wides wides_set(double x)
{
    return _mm256_set1_pd(x);
}
INLINE wides wides_load(const float *x)
{
    return _mm256_cvtps_pd(_mm_loadu_ps(x));
}
INLINE void wides_store(wides x, float *out)
{
    _mm_storeu_ps(out, _mm256_cvtpd_ps(x));
}
INLINE wides wides_max(wides x, wides y)
{
    return _mm256_max_pd(x, y);
}
INLINE wides wides_min(wides x, wides y)
{
    return _mm256_min_pd(x, y);
}
INLINE wides wides_sqrt(wides x)
{
    return _mm256_sqrt_pd(x);
}
INLINE wides wides_round(wides x)
{
    return _mm256_round_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
INLINE wides wides_fma(wides x, wides y, wides z)
{
    return _mm256_fmadd_pd(x, y, z);
}
INLINE wides wides_if_above(wides x, wides limit, wides yes, wides no)
{
    return _mm256_blendv_pd(no, yes, _mm256_cmp_pd(x, limit, _CMP_GT_OQ));
}

#include "simd/measure_lanes.h"
#include "simd/place_lanes.h"
#endif
