/* SPDX-License-Identifier: Apache-2.0 */
/* code_vnni.c — kernels over codes with AVX-512 and its byte products.
 *
 * WHAT        Sums of high and of low digits, in sixteen lanes each, joined before they are folded.
 * WHY SO      Four rows per step: eight chains of additions hide the latency of the product, and
 *             the digits are loaded once for four rows.  Prefetches as dense_avx512.c has them.
 *             Of panels, six queries at a time: their 24 sums and what they are made of fill the
 *             registers, so that the processor multiplies all the time.
 * INVARIANTS, THREADS, FAILURE: see code_kernels.h.
 */
#include "simd/code_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>

#include "simd/fold_lanes.h"

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

/* ---- Panels ---- */

struct four {
    __m512i x0, x1, x2, x3;
};

/* Of four rows: quarter j of x<i> has word 4 * j + i of each of them. */
INLINE struct four join_words(const uint8_t *rows, size_t stride, size_t row_count)
{
    __m512i zero = _mm512_setzero_si512();
    __m512i a = row_count > 0 ? load_bytes(rows) : zero;
    __m512i b = row_count > 1 ? load_bytes(rows + stride) : zero;
    __m512i c = row_count > 2 ? load_bytes(rows + 2 * stride) : zero;
    __m512i d = row_count > 3 ? load_bytes(rows + 3 * stride) : zero;
    __m512i ab_low = _mm512_unpacklo_epi32(a, b), ab_high = _mm512_unpackhi_epi32(a, b);
    __m512i cd_low = _mm512_unpacklo_epi32(c, d), cd_high = _mm512_unpackhi_epi32(c, d);
    return (struct four){
        _mm512_unpacklo_epi64(ab_low, cd_low), _mm512_unpackhi_epi64(ab_low, cd_low),
        _mm512_unpacklo_epi64(ab_high, cd_high), _mm512_unpackhi_epi64(ab_high, cd_high)};
}

/* Quarter j of a, b, c and d side by side, `step` bytes behind those of quarter j - 1. */
INLINE void store_quarters(__m512i a, __m512i b, __m512i c, __m512i d, uint8_t *out, size_t step)
{
    __m512i ab_low = _mm512_shuffle_i32x4(a, b, 0x44), ab_high = _mm512_shuffle_i32x4(a, b, 0xee);
    __m512i cd_low = _mm512_shuffle_i32x4(c, d, 0x44), cd_high = _mm512_shuffle_i32x4(c, d, 0xee);
    _mm512_storeu_si512(out, _mm512_shuffle_i32x4(ab_low, cd_low, 0x88));
    _mm512_storeu_si512(out + step, _mm512_shuffle_i32x4(ab_low, cd_low, 0xdd));
    _mm512_storeu_si512(out + 2 * step, _mm512_shuffle_i32x4(ab_high, cd_high, 0x88));
    _mm512_storeu_si512(out + 3 * step, _mm512_shuffle_i32x4(ab_high, cd_high, 0xdd));
}

/* A chunk of each of 16 rows, to one half of a panel. */
INLINE void pack_half(const uint8_t *rows, size_t stride, size_t row_count, uint8_t *out)
{
    enum { GROUP = 4 * CODE_PANEL_ROWS };
    struct four a = join_words(rows, stride, row_count);
    struct four b = join_words(rows + 4 * stride, stride, row_count > 4 ? row_count - 4 : 0);
    struct four c = join_words(rows + 8 * stride, stride, row_count > 8 ? row_count - 8 : 0);
    struct four d = join_words(rows + 12 * stride, stride, row_count > 12 ? row_count - 12 : 0);
    store_quarters(a.x0, b.x0, c.x0, d.x0, out, 4 * GROUP);
    store_quarters(a.x1, b.x1, c.x1, d.x1, out + GROUP, 4 * GROUP);
    store_quarters(a.x2, b.x2, c.x2, d.x2, out + 2 * GROUP, 4 * GROUP);
    store_quarters(a.x3, b.x3, c.x3, d.x3, out + 3 * GROUP, 4 * GROUP);
}

void code_panel_vnni(const uint8_t *rows, size_t stride, size_t row_count, uint8_t *panels)
{
    for (size_t row = 0; row < row_count; row += CODE_PANEL_ROWS) {
        size_t left = row_count - row;
        size_t second = left > LANES ? left - LANES : 0;
        for (size_t i = 0; i < stride; i += CODE_CHUNK, panels += CODE_PANEL_ROWS * CODE_CHUNK) {
            const uint8_t *from = rows + row * stride + i;
            pack_half(from, stride, left, panels);
            pack_half(from + LANES * stride, stride, second, panels + CODE_CHUNK);
        }
    }
}

struct panel_sums {
    struct digit_sums a, b; /* of the first and the second half of the rows */
};

INLINE __m512i repeat_word(const int8_t *digits)
{
    int32_t word;
    __builtin_memcpy(&word, digits, sizeof word);
    return _mm512_set1_epi32(word);
}

INLINE void add_word(struct panel_sums *sums, __m512i a, __m512i b, const int8_t *digits)
{
    __m512i high = repeat_word(digits), low = repeat_word(digits + CODE_CHUNK);
    sums->a.high = _mm512_dpbusd_epi32(sums->a.high, a, high);
    sums->b.high = _mm512_dpbusd_epi32(sums->b.high, b, high);
    sums->a.low = _mm512_dpbusd_epi32(sums->a.low, a, low);
    sums->b.low = _mm512_dpbusd_epi32(sums->b.low, b, low);
}

INLINE void store_sums(const struct panel_sums *sums, const struct code_query *query, int32_t *out)
{
    __m512i zero_sums = _mm512_set1_epi32((int32_t)query->zero_sum);
    _mm512_storeu_si512(out, _mm512_sub_epi32(total(sums->a), zero_sums));
    _mm512_storeu_si512(out + LANES, _mm512_sub_epi32(total(sums->b), zero_sums));
}

/* One panel for `count` queries, 1 to 6: a constant. */
INLINE void dot_panel(const struct code_query *const *queries, size_t count, const uint8_t *panel,
                      int32_t *const *out, size_t row)
{
    __m512i zero = _mm512_setzero_si512();
    struct panel_sums none = {{zero, zero}, {zero, zero}};
    struct panel_sums s0 = none, s1 = none, s2 = none, s3 = none, s4 = none, s5 = none;
    const int8_t *d0 = queries[0]->digits, *d1 = queries[count > 1 ? 1 : 0]->digits;
    const int8_t *d2 = queries[count > 2 ? 2 : 0]->digits, *d3 = queries[count > 3 ? 3 : 0]->digits;
    const int8_t *d4 = queries[count > 4 ? 4 : 0]->digits, *d5 = queries[count > 5 ? 5 : 0]->digits;
    size_t end = 2 * queries[0]->stride;

    for (size_t i = 0; i < end; i += CODE_CHUNK) { /* past the low digits */
        for (size_t chunk_end = i + CODE_CHUNK; i < chunk_end; i += 4, panel += 2 * CODE_CHUNK) {
            __m512i a = load_bytes(panel), b = load_bytes(panel + CODE_CHUNK);
            add_word(&s0, a, b, d0 + i);
            if (count > 1) add_word(&s1, a, b, d1 + i);
            if (count > 2) add_word(&s2, a, b, d2 + i);
            if (count > 3) add_word(&s3, a, b, d3 + i);
            if (count > 4) add_word(&s4, a, b, d4 + i);
            if (count > 5) add_word(&s5, a, b, d5 + i);
        }
    }
    store_sums(&s0, queries[0], out[0] + row);
    if (count > 1) store_sums(&s1, queries[1], out[1] + row);
    if (count > 2) store_sums(&s2, queries[2], out[2] + row);
    if (count > 3) store_sums(&s3, queries[3], out[3] + row);
    if (count > 4) store_sums(&s4, queries[4], out[4] + row);
    if (count > 5) store_sums(&s5, queries[5], out[5] + row);
}

void code_dot_panels_vnni(const struct code_query *const *queries, size_t query_count,
                          const uint8_t *panels, size_t panel_count, int32_t *const *out)
{
    for (size_t p = 0; p < panel_count; p++) {
        const uint8_t *panel = panels + p * code_panel_bytes(queries[0]->stride);
        size_t q = 0, row = p * CODE_PANEL_ROWS;
        for (; q + 6 <= query_count; q += 6) dot_panel(queries + q, 6, panel, out + q, row);
        for (; q + 3 <= query_count; q += 3) dot_panel(queries + q, 3, panel, out + q, row);
        for (; q < query_count; q++) dot_panel(queries + q, 1, panel, out + q, row);
    }
}

/* ---- Rows ---- */

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
