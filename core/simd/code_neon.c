/* SPDX-License-Identifier: Apache-2.0 */
/* code_neon.c — kernels over codes with NEON.
 *
 * WHAT        Codes lose their CODE_ZERO again by a flip of the highest bit, so that both sides are
 *             signed and the sum of the digits is not needed.  Products with the high digits, and
 *             with the low ones, fit 16 bits two by two: 2 * 128 * 64 < 2^15; pairs of these are
 *             added into 32.
 * INVARIANTS, THREADS, FAILURE: see code_kernels.h.
 */
#include "simd/code_kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { PREFETCH_BYTES = 2048, LANES = 4, BYTES = 16 };

INLINE int8x16_t codes_at(const uint8_t *codes)
{
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(codes), vdupq_n_u8(CODE_ZERO)));
}

INLINE int32x4_t add_products(int32x4_t sum, int8x16_t codes, int8x16_t digits)
{
    int16x8_t products = vmull_s8(vget_low_s8(codes), vget_low_s8(digits));
    return vpadalq_s16(sum, vmlal_high_s8(products, codes, digits));
}

void code_dot_neon(const struct code_query *query, const uint8_t *rows, size_t row_count,
                   int32_t *out)
{
    for (size_t r = 0; r < row_count; r++, rows += query->stride) {
        int32x4_t high = vdupq_n_s32(0), low = high;
        const int8_t *digits = query->digits;
        for (size_t i = 0; i < query->stride; i += CODE_CHUNK, digits += 2 * CODE_CHUNK) {
            __builtin_prefetch(rows + i + PREFETCH_BYTES);
            for (size_t j = 0; j < CODE_CHUNK; j += BYTES) {
                int8x16_t codes = codes_at(rows + i + j);
                high = add_products(high, codes, vld1q_s8(digits + j));
                low = add_products(low, codes, vld1q_s8(digits + CODE_CHUNK + j));
            }
        }
        out[r] = vaddvq_s32(vaddq_s32(vshlq_n_s32(high, 7), low));
    }
}

INLINE float32x4_t set(float x)
{
    return vdupq_n_f32(x);
}

void code_bound_neon(const struct code_bounds *bounds, const int32_t *products,
                     const struct code_rests *rests, size_t row_count, float *out)
{
    const struct code_bounds b = *bounds;
    size_t i = 0;

    for (; i + LANES <= row_count; i += LANES) {
        float32x4_t norm = vld1q_f32(rests->norms + i), inverse = vdivq_f32(set(1), norm);
        float32x4_t scale = vld1q_f32(rests->scales + i), error = vld1q_f32(rests->errors + i);
        float32x4_t product = vmulq_f32(vcvtq_f32_s32(vld1q_s32(products + i)), scale);
        product = vmulq_f32(product, set(b.step));
        float32x4_t cosine = vmulq_f32(vabsq_f32(product), inverse);
        cosine = vfmaq_f32(set(-b.cosine_slack), cosine, set(b.cosine_factor));
        cosine = vmaxq_f32(cosine, set(0));
        float32x4_t square = vfmsq_f32(set(1), cosine, cosine);
        float32x4_t sine = vminq_f32(vfmaq_f32(set(0.4001f), set(0.625f), square),
                                     vfmaq_f32(set(0.1501f), set(1.6667f), square));
        sine = vminq_f32(sine, set(1));
        float32x4_t most = vfmaq_f32(product, vmulq_f32(set(b.error_factor), error), sine);
        most = vfmaq_f32(most, set(b.norm_factor), norm);
        float32x4_t bound = vfmaq_f32(set(b.base), vmulq_f32(set(b.square_factor), norm), norm);
        float32x4_t turn = vfmaq_f32(set(b.turn), set(b.turn_by_norm), inverse);
        vst1q_f32(out + i, vminq_f32(vfmsq_f32(bound, most, turn), set(b.most)));
    }
    struct code_rests left = {rests->scales + i, rests->errors + i, rests->norms + i};
    code_bound_serial(bounds, products + i, &left, row_count - i, out + i);
}

/* ---- Packing ---- */

struct floats {
    float32x4_t a, b;
};

/* The eight numbers from i on, 0 behind dim. */
INLINE struct floats floats_at(const float *row, size_t i, size_t dim)
{
    float tail[2 * LANES] = {0};
    const float *at = row + i;
    if (dim - i < 2 * LANES) {
        memcpy(tail, at, (dim - i) * sizeof *at);
        at = tail;
    }
    return (struct floats){vld1q_f32(at), vld1q_f32(at + LANES)};
}

INLINE float sum_of(struct floats sums)
{
    return vaddvq_f32(vaddq_f32(sums.a, sums.b));
}

INLINE void add_product(struct floats *sums, struct floats x, struct floats y)
{
    sums->a = vfmaq_f32(sums->a, x.a, y.a);
    sums->b = vfmaq_f32(sums->b, x.b, y.b);
}

INLINE struct floats whole(struct floats x, float32x4_t inverse)
{
    return (struct floats){vrndnq_f32(vmulq_f32(x.a, inverse)),
                           vrndnq_f32(vmulq_f32(x.b, inverse))};
}

INLINE void store_codes(uint8_t *codes, size_t count, struct floats whole_numbers)
{
    int16x8_t halves = vcombine_s16(vmovn_s32(vcvtq_s32_f32(whole_numbers.a)),
                                    vmovn_s32(vcvtq_s32_f32(whole_numbers.b)));
    uint8_t bytes[2 * LANES];
    vst1_u8(bytes, veor_u8(vreinterpret_u8_s8(vmovn_s16(halves)), vdup_n_u8(CODE_ZERO)));
    memcpy(codes, bytes, count < 2 * LANES ? count : 2 * LANES);
}

void code_pack_neon(const float *row, size_t dim, uint8_t *codes, struct code_fit *out)
{
    struct floats products = {set(0), set(0)}, squares = products, rests = products;
    float32x4_t most = set(0);

    for (size_t i = 0; i < dim; i += 2 * LANES) {
        struct floats x = floats_at(row, i, dim);
        most = vmaxq_f32(most, vmaxq_f32(vabsq_f32(x.a), vabsq_f32(x.b)));
    }
    const float32x4_t inverse = set(CODE_MAX / vmaxvq_f32(most));
    for (size_t i = 0; i < dim; i += 2 * LANES) {
        struct floats x = floats_at(row, i, dim), c = whole(x, inverse);
        add_product(&products, x, c);
        add_product(&squares, c, c);
        store_codes(codes + i, dim - i, c);
    }
    float fit = sum_of(products) / sum_of(squares);
    for (size_t i = 0; i < dim; i += 2 * LANES) {
        struct floats x = floats_at(row, i, dim), c = whole(x, inverse);
        struct floats rest = {vfmsq_f32(x.a, set(fit), c.a), vfmsq_f32(x.b, set(fit), c.b)};
        add_product(&rests, rest, rest);
    }
    *out = (struct code_fit){fit, sqrtf(sum_of(rests))};
}
#endif
