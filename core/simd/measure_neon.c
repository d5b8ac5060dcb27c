/* SPDX-License-Identifier: Apache-2.0 */
/* measure_neon.c — the distances that are no products, with NEON.
 *
 * WHAT        What a register is and does; for the rest see measure_lanes.h.  A pair of registers
 *             stands for one, since sums of four lanes would be longer than the bounds of
 *             measures.h allow.
 */
#include "simd/kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define MEASURE_NAME(kernel, form) dense_##kernel##form##_f32_neon

#define lanes __attribute__((vector_size(32))) float
#define ints __attribute__((vector_size(32))) int32_t
enum { LANES = 8 };

INLINE float32x4_t lower(lanes x)
{
    return (float32x4_t)__builtin_shufflevector(x, x, 0, 1, 2, 3);
}
INLINE float32x4_t upper(lanes x)
{
    return (float32x4_t)__builtin_shufflevector(x, x, 4, 5, 6, 7);
}
INLINE lanes join(float32x4_t low, float32x4_t high)
{
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
}

INLINE lanes lanes_set(float x)
{
    return join(vdupq_n_f32(x), vdupq_n_f32(x));
}
INLINE lanes lanes_load(const float *x)
{
    return join(vld1q_f32(x), vld1q_f32(x + 4));
}
/* The first `count` < LANES; zeros behind. */
INLINE lanes lanes_load_first(const float *x, size_t count)
{
    float copy[LANES] = {0};
    memcpy(copy, x, count * sizeof *x);
    return lanes_load(copy);
}
INLINE lanes lanes_first(lanes x, size_t count)
{
    const int32_t end = (int32_t)count;
    const ints places = {0, 1, 2, 3, 4, 5, 6, 7};
    return (lanes)((ints)x & (places < end));
}
INLINE lanes lanes_abs(lanes x)
{
    return join(vabsq_f32(lower(x)), vabsq_f32(upper(x)));
}
INLINE lanes lanes_max(lanes x, lanes y)
{
    return join(vmaxq_f32(lower(x), lower(y)), vmaxq_f32(upper(x), upper(y)));
}
INLINE lanes lanes_min(lanes x, lanes y)
{
    return join(vminq_f32(lower(x), lower(y)), vminq_f32(upper(x), upper(y)));
}
INLINE lanes lanes_sqrt(lanes x)
{
    return join(vsqrtq_f32(lower(x)), vsqrtq_f32(upper(x)));
}
INLINE lanes lanes_fma(lanes x, lanes y, lanes z)
{
    return join(vfmaq_f32(lower(z), lower(x), lower(y)), vfmaq_f32(upper(z), upper(x), upper(y)));
}
/* value where x > limit, else 0 */
INLINE lanes lanes_where_above(lanes x, lanes limit, lanes value)
{
    return (lanes)((ints)value & (ints)(x > limit));
}
/* x = 2^result * mantissa, a mantissa of 3/4 to 3/2; x is positive and normal. */
INLINE lanes lanes_split(lanes x, lanes *mantissa)
{
    ints bits = (ints)x, exponent = (bits - 0x3f400000) >> 23;
    *mantissa = (lanes)(bits - (exponent << 23));
    return __builtin_convertvector(exponent, lanes);
}
/* Lane i: the sum of lanes 0 to i. */
INLINE lanes lanes_running(lanes x)
{
    const lanes zero = lanes_set(0);
    x += __builtin_shufflevector(zero, x, 0, 8, 9, 10, 11, 12, 13, 14);
    x += __builtin_shufflevector(zero, x, 0, 0, 8, 9, 10, 11, 12, 13);
    x += __builtin_shufflevector(zero, x, 0, 0, 0, 0, 8, 9, 10, 11);
    return x;
}
/* The last lane, in all of them. */
INLINE lanes lanes_last(lanes x)
{
    return __builtin_shufflevector(x, x, 7, 7, 7, 7, 7, 7, 7, 7);
}
INLINE float lanes_sum(lanes x)
{
    return vaddvq_f32(vaddq_f32(lower(x), upper(x)));
}
INLINE float lanes_most(lanes x)
{
    return vmaxvq_f32(vmaxq_f32(lower(x), upper(x)));
}

/* ---- Doubles ---- */

#define wides float64x2_t
enum { WIDES = 2 };

INLINE wides wides_set(double x)
{
    return vdupq_n_f64(x);
}
INLINE wides wides_load(const float *x)
{
    return vcvt_f64_f32(vld1_f32(x));
}
INLINE void wides_store(wides x, float *out)
{
    vst1_f32(out, vcvt_f32_f64(x));
}
INLINE wides wides_max(wides x, wides y)
{
    return vmaxq_f64(x, y);
}
INLINE wides wides_min(wides x, wides y)
{
    return vminq_f64(x, y);
}
INLINE wides wides_sqrt(wides x)
{
    return vsqrtq_f64(x);
}
INLINE wides wides_round(wides x)
{
    return vrndnq_f64(x);
}
INLINE wides wides_fma(wides x, wides y, wides z)
{
    return vfmaq_f64(z, x, y);
}
INLINE wides wides_if_above(wides x, wides limit, wides yes, wides no)
{
    return vbslq_f64(vcgtq_f64(x, limit), yes, no);
}

#include "simd/measure_lanes.h"
#include "simd/place_lanes.h"
#endif
