/* SPDX-License-Identifier: Apache-2.0 */
/* code_vnni.c — kernels over codes with AVX-512 and its byte products.
 *
 * WHAT        Sums of high and of low digits, in sixteen lanes each, joined before they are folded.
 * WHY SO      Four rows per step: eight chains of additions hide the latency of the product, and
 *             the digits are loaded once for four rows.  Prefetches as dense_avx512.c has them.
 * INVARIANTS, THREADS, FAILURE: see code_kernels.h.
 */
#include "simd/code_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>

#define INLINE static inline __attribute__((always_inline))

enum { PREFETCH_BYTES = 4096, LANES = 16 };

struct digit_sums {
    __m512i high, low;
};

INLINE __m512i load_bytes(const void *p)
{
    return _mm512_loadu_si512(p);
}

INLINE void add_chunk(struct digit_sums *sums, __m512i row, __m512i high, __m512i low)
{
    sums->high = _mm512_dpbusd_epi32(sums->high, row, high);
    sums->low = _mm512_dpbusd_epi32(sums->low, row, low);
}

INLINE __m512i total(struct digit_sums sums)
{
    return _mm512_add_epi32(_mm512_slli_epi32(sums.high, 7), sums.low);
}

INLINE void prefetch_line(const uint8_t *p)
{
    __asm__ volatile("" ::: "memory");
    _mm_prefetch((const char *)p, _MM_HINT_T0);
    __asm__ volatile("" ::: "memory");
}

/* Lane r of the result is the sum of the lanes of x<r>. */
INLINE __m128i fold_four(__m512i x0, __m512i x1, __m512i x2, __m512i x3)
{
    __m512i y01 = _mm512_add_epi32(_mm512_unpacklo_epi32(x0, x1), _mm512_unpackhi_epi32(x0, x1));
    __m512i y23 = _mm512_add_epi32(_mm512_unpacklo_epi32(x2, x3), _mm512_unpackhi_epi32(x2, x3));
    __m512i z = _mm512_add_epi32(_mm512_unpacklo_epi64(y01, y23), _mm512_unpackhi_epi64(y01, y23));
    __m256i w = _mm256_add_epi32(_mm512_castsi512_si256(z), _mm512_extracti64x4_epi64(z, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));
}

void code_dot_vnni(const struct code_query *query, const uint8_t *rows, size_t row_count,
                   int32_t *out)
{
    const __m128i zero_sums = _mm_set1_epi32((int32_t)query->zero_sum);
    size_t stride = query->stride, r = 0;

    for (; r + 4 <= row_count; r += 4, rows += 4 * stride) {
        struct digit_sums a = {_mm512_setzero_si512(), _mm512_setzero_si512()};
        struct digit_sums b = a, c = a, d = a;
        const uint8_t *ahead = rows + PREFETCH_BYTES;
        for (size_t i = 0; i < stride; i += CODE_CHUNK, ahead += 4 * CODE_CHUNK) {
            __m512i high = load_bytes(query->digits + 2 * i);
            __m512i low = load_bytes(query->digits + 2 * i + CODE_CHUNK);
            prefetch_line(ahead);
            add_chunk(&a, load_bytes(rows + i), high, low);
            prefetch_line(ahead + CODE_CHUNK);
            add_chunk(&b, load_bytes(rows + stride + i), high, low);
            prefetch_line(ahead + 2 * CODE_CHUNK);
            add_chunk(&c, load_bytes(rows + 2 * stride + i), high, low);
            prefetch_line(ahead + 3 * CODE_CHUNK);
            add_chunk(&d, load_bytes(rows + 3 * stride + i), high, low);
        }
        __m128i sums = fold_four(total(a), total(b), total(c), total(d));
        _mm_storeu_si128((__m128i *)(void *)(out + r), _mm_sub_epi32(sums, zero_sums));
    }
    for (; r < row_count; r++, rows += stride) {
        struct digit_sums a = {_mm512_setzero_si512(), _mm512_setzero_si512()};
        for (size_t i = 0; i < stride; i += CODE_CHUNK)
            add_chunk(&a, load_bytes(rows + i), load_bytes(query->digits + 2 * i),
                      load_bytes(query->digits + 2 * i + CODE_CHUNK));
        __m128i sums = fold_four(total(a), total(a), total(a), total(a));
        out[r] = _mm_cvtsi128_si32(_mm_sub_epi32(sums, zero_sums));
    }
}

/* The lanes of the chunk that begins at i. */
INLINE __mmask16 lanes_at(size_t i, size_t dim)
{
    return (__mmask16)(dim - i >= LANES ? 0xffffu : (1u << (dim - i)) - 1);
}

void code_bound_vnni(const struct code_bounds *bounds, const int32_t *products,
                     const struct code_rests *rests, size_t row_count, float *out)
{
    const struct code_bounds b = *bounds;
    const __m512 one = _mm512_set1_ps(1), step = _mm512_set1_ps(b.step);
    const __m512 cosine_factor = _mm512_set1_ps(b.cosine_factor);
    const __m512 cosine_slack = _mm512_set1_ps(b.cosine_slack);
    const __m512 error_factor = _mm512_set1_ps(b.error_factor);
    const __m512 norm_factor = _mm512_set1_ps(b.norm_factor);
    const __m512 base = _mm512_set1_ps(b.base), square_factor = _mm512_set1_ps(b.square_factor);
    const __m512 turn = _mm512_set1_ps(b.turn), turn_by_norm = _mm512_set1_ps(b.turn_by_norm);

    for (size_t i = 0; i < row_count; i += LANES) {
        __mmask16 lanes = lanes_at(i, row_count);
        __m512 norm = _mm512_mask_loadu_ps(one, lanes, rests->norms + i);
        __m512 error = _mm512_maskz_loadu_ps(lanes, rests->errors + i);
        __m512 sum = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(lanes, products + i));
        __m512 scale = _mm512_maskz_loadu_ps(lanes, rests->scales + i);
        __m512 product = _mm512_mul_ps(_mm512_mul_ps(sum, scale), step);
        __m512 inverse = _mm512_div_ps(one, norm);
        __m512 cosine = _mm512_fmsub_ps(_mm512_mul_ps(_mm512_abs_ps(product), inverse),
                                        cosine_factor, cosine_slack);
        cosine = _mm512_max_ps(cosine, _mm512_setzero_ps());
        __m512 square = _mm512_fnmadd_ps(cosine, cosine, one);
        __m512 sine = _mm512_min_ps(
            _mm512_fmadd_ps(_mm512_set1_ps(0.625f), square, _mm512_set1_ps(0.4001f)),
            _mm512_fmadd_ps(_mm512_set1_ps(1.6667f), square, _mm512_set1_ps(0.1501f)));
        sine = _mm512_min_ps(sine, one);
        __m512 most = _mm512_fmadd_ps(_mm512_mul_ps(error_factor, error), sine, product);
        most = _mm512_fmadd_ps(norm_factor, norm, most);
        __m512 bound = _mm512_fmadd_ps(_mm512_mul_ps(square_factor, norm), norm, base);
        bound = _mm512_fnmadd_ps(most, _mm512_fmadd_ps(turn_by_norm, inverse, turn), bound);
        _mm512_mask_storeu_ps(out + i, lanes, _mm512_min_ps(bound, _mm512_set1_ps(b.most)));
    }
}

void code_pack_vnni(const float *row, size_t dim, uint8_t *codes, struct code_fit *out)
{
    const __m512i zero = _mm512_set1_epi32(CODE_ZERO);
    __m512 most = _mm512_setzero_ps(), products = most, squares = most, rests = most;

    for (size_t i = 0; i < dim; i += LANES)
        most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_maskz_loadu_ps(lanes_at(i, dim), row + i)));
    const __m512 inverse = _mm512_set1_ps(CODE_MAX / _mm512_reduce_max_ps(most));
    for (size_t i = 0; i < dim; i += LANES) {
        __m512 x = _mm512_maskz_loadu_ps(lanes_at(i, dim), row + i);
        __m512i code = _mm512_cvtps_epi32(_mm512_mul_ps(x, inverse));
        __m512 c = _mm512_cvtepi32_ps(code);
        products = _mm512_fmadd_ps(x, c, products);
        squares = _mm512_fmadd_ps(c, c, squares);
        _mm512_mask_cvtepi32_storeu_epi8(codes + i, lanes_at(i, dim), _mm512_add_epi32(code, zero));
    }
    float fit = _mm512_reduce_add_ps(products) / _mm512_reduce_add_ps(squares);
    const __m512 scale = _mm512_set1_ps(fit);
    for (size_t i = 0; i < dim; i += LANES) {
        __mmask16 lanes = lanes_at(i, dim);
        __m512 x = _mm512_maskz_loadu_ps(lanes, row + i);
        __m512i code = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes, codes + i));
        __m512 c = _mm512_maskz_cvtepi32_ps(lanes, _mm512_sub_epi32(code, zero));
        __m512 rest = _mm512_fnmadd_ps(scale, c, x);
        rests = _mm512_fmadd_ps(rest, rest, rests);
    }
    *out = (struct code_fit){fit, sqrtf(_mm512_reduce_add_ps(rests))};
}
#endif
