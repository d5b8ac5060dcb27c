/* SPDX-License-Identifier: Apache-2.0 */
/* code_avx2.c — kernels over codes with AVX2.
 *
 * WHAT        The processor adds pairs of products into 16 bits, which hold them; multiplying these
 *             by 128, or by 1, and adding pairs again joins the digits on the way.
 * INVARIANTS, THREADS, FAILURE: see code_kernels.h.
 */
#include "simd/code_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>

#define INLINE static inline __attribute__((always_inline))

enum { PREFETCH_BYTES = 2048, LANES = 8, HALF = CODE_CHUNK / 2 };

INLINE __m256i load_bytes(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* Half a chunk: the products with its high and its low digits, in eight lanes. */
INLINE __m256i product(__m256i row, __m256i high, __m256i low)
{
    __m256i highs =
        _mm256_madd_epi16(_mm256_maddubs_epi16(row, high), _mm256_set1_epi16(CODE_BASE));
    __m256i lows = _mm256_madd_epi16(_mm256_maddubs_epi16(row, low), _mm256_set1_epi16(1));
    return _mm256_add_epi32(highs, lows);
}

/* The sum of the lanes of each. */
INLINE __m128i fold_two(__m256i x0, __m256i x1)
{
    __m256i y = _mm256_hadd_epi32(x0, x1);
    __m128i z = _mm_add_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
    return _mm_hadd_epi32(z, z);
}

INLINE __m256i sum_row(const struct code_query *query, const uint8_t *row)
{
    __m256i sum = _mm256_setzero_si256();
    for (size_t i = 0; i < query->stride; i += HALF) {
        const int8_t *digits = query->digits + i / CODE_CHUNK * 2 * CODE_CHUNK + i % CODE_CHUNK;
        sum = _mm256_add_epi32(
            sum, product(load_bytes(row + i), load_bytes(digits), load_bytes(digits + CODE_CHUNK)));
    }
    return sum;
}

void code_dot_avx2(const struct code_query *query, const uint8_t *rows, size_t row_count,
                   int32_t *out)
{
    size_t stride = query->stride, r = 0;

    for (; r + 2 <= row_count; r += 2, rows += 2 * stride) {
        __m256i a = _mm256_setzero_si256(), b = a;
        const uint8_t *ahead = rows + PREFETCH_BYTES;
        for (size_t i = 0; i < stride; i += HALF, ahead += 2 * HALF) {
            const int8_t *digits = query->digits + i / CODE_CHUNK * 2 * CODE_CHUNK + i % CODE_CHUNK;
            __m256i high = load_bytes(digits), low = load_bytes(digits + CODE_CHUNK);
            _mm_prefetch((const char *)ahead, _MM_HINT_T0);
            a = _mm256_add_epi32(a, product(load_bytes(rows + i), high, low));
            b = _mm256_add_epi32(b, product(load_bytes(rows + stride + i), high, low));
        }
        __m128i sums = _mm_sub_epi32(fold_two(a, b), _mm_set1_epi32((int32_t)query->zero_sum));
        _mm_storel_epi64((__m128i *)(void *)(out + r), sums);
    }
    if (r < row_count) {
        __m256i a = sum_row(query, rows);
        out[r] = (int32_t)((uint32_t)_mm_cvtsi128_si32(fold_two(a, a)) - query->zero_sum);
    }
}

void code_bound_avx2(const struct code_bounds *bounds, const int32_t *products,
                     const struct code_rests *rests, size_t row_count, float *out)
{
    const struct code_bounds b = *bounds;
    const __m256 one = _mm256_set1_ps(1), minus_zero = _mm256_set1_ps(-0.0f);
    size_t i = 0;

    for (; i + LANES <= row_count; i += LANES) {
        __m256 norm = _mm256_loadu_ps(rests->norms + i), inverse = _mm256_div_ps(one, norm);
        __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(load_bytes(products + i)),
                                       _mm256_loadu_ps(rests->scales + i));
        product = _mm256_mul_ps(product, _mm256_set1_ps(b.step));
        __m256 cosine = _mm256_mul_ps(_mm256_andnot_ps(minus_zero, product), inverse);
        cosine = _mm256_fmsub_ps(cosine, _mm256_set1_ps(b.cosine_factor),
                                 _mm256_set1_ps(b.cosine_slack));
        cosine = _mm256_max_ps(cosine, _mm256_setzero_ps());
        __m256 square = _mm256_fnmadd_ps(cosine, cosine, one);
        __m256 sine = _mm256_min_ps(
            _mm256_fmadd_ps(_mm256_set1_ps(0.625f), square, _mm256_set1_ps(0.4001f)),
            _mm256_fmadd_ps(_mm256_set1_ps(1.6667f), square, _mm256_set1_ps(0.1501f)));
        sine = _mm256_min_ps(sine, one);
        __m256 error =
            _mm256_mul_ps(_mm256_set1_ps(b.error_factor), _mm256_loadu_ps(rests->errors + i));
        __m256 most = _mm256_fmadd_ps(error, sine, product);
        most = _mm256_fmadd_ps(_mm256_set1_ps(b.norm_factor), norm, most);
        __m256 bound = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_set1_ps(b.square_factor), norm), norm,
                                       _mm256_set1_ps(b.base));
        __m256 turn =
            _mm256_fmadd_ps(_mm256_set1_ps(b.turn_by_norm), inverse, _mm256_set1_ps(b.turn));
        bound = _mm256_fnmadd_ps(most, turn, bound);
        _mm256_storeu_ps(out + i, _mm256_min_ps(bound, _mm256_set1_ps(b.most)));
    }
    struct code_rests left = {rests->scales + i, rests->errors + i, rests->norms + i};
    code_bound_serial(bounds, products + i, &left, row_count - i, out + i);
}

INLINE float sum_lanes(__m256 x)
{
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}

/* The eight numbers from i on, 0 behind dim. */
INLINE __m256 load_floats(const float *row, size_t i, size_t dim)
{
    static const int32_t ones_then_zeros[2 * LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};
    if (dim - i >= LANES) return _mm256_loadu_ps(row + i);
    return _mm256_maskload_ps(row + i, load_bytes(ones_then_zeros + LANES - (dim - i)));
}

INLINE void store_codes(uint8_t *codes, size_t i, size_t dim, __m256i code)
{
    __m256i shorts = _mm256_packs_epi32(code, code);
    __m128i joined =
        _mm_unpacklo_epi64(_mm256_castsi256_si128(shorts), _mm256_extracti128_si256(shorts, 1));
    uint64_t bytes = (uint64_t)_mm_cvtsi128_si64(_mm_packs_epi16(joined, joined));
    bytes ^= 0x8080808080808080u; /* CODE_ZERO is added to each */
    for (size_t j = i; j < dim && j < i + LANES; j++, bytes >>= 8) codes[j] = (uint8_t)bytes;
}

void code_pack_avx2(const float *row, size_t dim, uint8_t *codes, struct code_fit *out)
{
    const __m256 no_sign = _mm256_castsi256_ps(_mm256_set1_epi32(INT32_MAX));
    __m256 most = _mm256_setzero_ps(), products = most, squares = most, rests = most;

    for (size_t i = 0; i < dim; i += LANES)
        most = _mm256_max_ps(most, _mm256_and_ps(no_sign, load_floats(row, i, dim)));
    float largest[LANES], top = 0;
    _mm256_storeu_ps(largest, most);
    for (size_t i = 0; i < LANES; i++) top = largest[i] > top ? largest[i] : top;
    const __m256 inverse = _mm256_set1_ps(CODE_MAX / top);
    for (size_t i = 0; i < dim; i += LANES) {
        __m256 x = load_floats(row, i, dim);
        __m256i code = _mm256_cvtps_epi32(_mm256_mul_ps(x, inverse));
        __m256 c = _mm256_cvtepi32_ps(code);
        products = _mm256_fmadd_ps(x, c, products);
        squares = _mm256_fmadd_ps(c, c, squares);
        store_codes(codes, i, dim, code);
    }
    float fit = sum_lanes(products) / sum_lanes(squares);
    const __m256 scale = _mm256_set1_ps(fit);
    for (size_t i = 0; i < dim; i += LANES) {
        /* The code is made once more: that is cheaper than to widen what was stored. */
        __m256 x = load_floats(row, i, dim);
        __m256 c = _mm256_cvtepi32_ps(_mm256_cvtps_epi32(_mm256_mul_ps(x, inverse)));
        __m256 rest = _mm256_fnmadd_ps(scale, c, x);
        rests = _mm256_fmadd_ps(rest, rest, rests);
    }
    *out = (struct code_fit){fit, sqrtf(sum_lanes(rests))};
}
#endif
