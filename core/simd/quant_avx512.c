/* SPDX-License-Identifier: Apache-2.0 */
/* quant_avx512.c — tables over blocks of 1-bit codes, and the rotation, with AVX-512.
 *
 * WHAT        As quant_avx2.c, four groups of a block at a time.
 * WHY SO      Two steps at once: the four sums of a step are chains of additions, of which the
 *             processor can do more.
 * INVARIANTS, THREADS, FAILURE: see quant_kernels.h.
 */
#include "simd/quant_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16, PIECE_GROUPS = 256, STEP_BYTES = 64, PREFETCH_BYTES = 4096 };

INLINE __m512i load_bytes(const void *p)
{
    return _mm512_loadu_si512(p);
}

/* Sums of sixteen rows, in 16 bits: with odd rows above even ones, and of odd rows alone. */
struct row_sums {
    __m512i both, odd;
};

INLINE void add_found(struct row_sums *sums, __m512i table, __m512i index)
{
    __m512i found = _mm512_shuffle_epi8(table, index);
    sums->both = _mm512_add_epi16(sums->both, found);
    sums->odd = _mm512_add_epi16(sums->odd, _mm512_srli_epi16(found, 8));
}

INLINE void add_step(struct row_sums *low, struct row_sums *high, const uint8_t *tables,
                     const uint8_t *codes)
{
    const __m512i halves = _mm512_set1_epi8(15);
    __m512i table = load_bytes(tables), code = load_bytes(codes);
    add_found(low, table, _mm512_and_si512(code, halves));
    add_found(high, table, _mm512_and_si512(_mm512_srli_epi16(code, 4), halves));
}

INLINE __m128i fold(__m512i x)
{
    __m256i y = _mm256_add_epi16(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    return _mm_add_epi16(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
}

INLINE void store_sums(struct row_sums a, struct row_sums b, int32_t *out)
{
    __m512i both = _mm512_add_epi16(a.both, b.both), odd = _mm512_add_epi16(a.odd, b.odd);
    __m128i evens = fold(_mm512_sub_epi16(both, _mm512_slli_epi16(odd, 8))), odds = fold(odd);
    __m256i rows =
        _mm256_set_m128i(_mm_unpackhi_epi16(evens, odds), _mm_unpacklo_epi16(evens, odds));
    __m512i sums = _mm512_add_epi32(_mm512_cvtepu16_epi32(rows), load_bytes(out));
    _mm512_storeu_si512(out, sums);
}

void quant_scan_avx512(const uint8_t *tables, const uint8_t *codes, size_t group_count,
                       int32_t out[QUANT_BLOCK])
{
    memset(out, 0, QUANT_BLOCK * sizeof *out);
    while (group_count > 0) {
        size_t piece = group_count < PIECE_GROUPS ? group_count : PIECE_GROUPS;
        struct row_sums low = {_mm512_setzero_si512(), _mm512_setzero_si512()}, high = low;
        struct row_sums more_low = low, more_high = low;
        for (size_t g = 0; g < piece; g += 8, tables += 128, codes += 128) {
            _mm_prefetch((const char *)codes + PREFETCH_BYTES, _MM_HINT_T0);
            add_step(&low, &high, tables, codes);
            _mm_prefetch((const char *)codes + PREFETCH_BYTES + STEP_BYTES, _MM_HINT_T0);
            add_step(&more_low, &more_high, tables + STEP_BYTES, codes + STEP_BYTES);
        }
        store_sums(low, more_low, out);
        store_sums(high, more_high, out + 16);
        group_count -= piece;
    }
}

uint32_t quant_near_avx512(const struct quant_reading *reading, const int32_t sums[QUANT_BLOCK],
                           const float adds[QUANT_BLOCK], const float muls[QUANT_BLOCK])
{
    const __m512 base = _mm512_set1_ps(reading->base), step = _mm512_set1_ps(reading->step);
    const __m512 shift = _mm512_set1_ps(reading->shift), width = _mm512_set1_ps(reading->width);
    const __m512 limit = _mm512_set1_ps(reading->limit);
    uint32_t near = 0;

    for (int i = 0; i < QUANT_BLOCK; i += LANES) {
        __m512 sum = _mm512_cvtepi32_ps(_mm512_loadu_si512(sums + i));
        __m512 mul = _mm512_loadu_ps(muls + i), add = _mm512_loadu_ps(adds + i);
        __m512 product = _mm512_fmadd_ps(sum, step, shift);
        __m512 distance = _mm512_fmadd_ps(mul, product, _mm512_add_ps(base, add));
        __m512 most = _mm512_fmadd_ps(_mm512_abs_ps(mul), width, limit);
        near |= (uint32_t)_mm512_cmp_ps_mask(distance, most, _CMP_LE_OQ) << i;
    }
    return near;
}

/* The first four steps of a transform: partners are in one register. */
INLINE __m512 turn_lanes(__m512 x)
{
    const __m512 zero = _mm512_setzero_ps(), minus = _mm512_set1_ps(-0.0f);
    __m512 odd = _mm512_mask_mov_ps(zero, 0xaaaa, minus);
    __m512 second = _mm512_mask_mov_ps(zero, 0xcccc, minus);
    __m512 fourth = _mm512_mask_mov_ps(zero, 0xf0f0, minus);
    __m512 upper = _mm512_mask_mov_ps(zero, 0xff00, minus);
    x = _mm512_add_ps(_mm512_permute_ps(x, 0xb1), _mm512_xor_ps(x, odd));
    x = _mm512_add_ps(_mm512_permute_ps(x, 0x4e), _mm512_xor_ps(x, second));
    x = _mm512_add_ps(_mm512_shuffle_f32x4(x, x, 0xb1), _mm512_xor_ps(x, fourth));
    return _mm512_add_ps(_mm512_shuffle_f32x4(x, x, 0x4e), _mm512_xor_ps(x, upper));
}

/* Steps h and 2h in one pass. */
static void turn_twice(float *x, size_t span, size_t h)
{
    for (size_t i = 0; i < span; i += 4 * h)
        for (size_t j = i; j < i + h; j += LANES) {
            __m512 a = _mm512_loadu_ps(x + j), b = _mm512_loadu_ps(x + j + h);
            __m512 c = _mm512_loadu_ps(x + j + 2 * h), d = _mm512_loadu_ps(x + j + 3 * h);
            __m512 ab = _mm512_add_ps(a, b), cd = _mm512_add_ps(c, d);
            a = _mm512_sub_ps(a, b);
            c = _mm512_sub_ps(c, d);
            _mm512_storeu_ps(x + j, _mm512_add_ps(ab, cd));
            _mm512_storeu_ps(x + j + h, _mm512_add_ps(a, c));
            _mm512_storeu_ps(x + j + 2 * h, _mm512_sub_ps(ab, cd));
            _mm512_storeu_ps(x + j + 3 * h, _mm512_sub_ps(a, c));
        }
}

static void turn_halves(float *x, size_t h)
{
    for (size_t i = 0; i < h; i += LANES) {
        __m512 a = _mm512_loadu_ps(x + i), b = _mm512_loadu_ps(x + i + h);
        _mm512_storeu_ps(x + i, _mm512_add_ps(a, b));
        _mm512_storeu_ps(x + i + h, _mm512_sub_ps(a, b));
    }
}

static void transform(float *x, size_t span)
{
    size_t h = LANES;
    for (size_t i = 0; i < span; i += LANES)
        _mm512_storeu_ps(x + i, turn_lanes(_mm512_loadu_ps(x + i)));
    for (; 2 * h < span; h *= 4) turn_twice(x, span, h);
    if (h < span) turn_halves(x, h);
}

static void flip_signs(float *x, size_t dim, const uint64_t *signs)
{
    const __m512 sign = _mm512_set1_ps(-0.0f);
    for (size_t i = 0; i < dim; i += LANES) {
        __mmask16 flips = (__mmask16)(signs[i / 64] >> (i % 64));
        __m512 row = _mm512_loadu_ps(x + i);
        _mm512_storeu_ps(x + i, _mm512_mask_xor_ps(row, flips, row, sign));
    }
}

static void scale_by(float *x, size_t dim, float factor)
{
    const __m512 factors = _mm512_set1_ps(factor);
    for (size_t i = 0; i < dim; i += LANES)
        _mm512_storeu_ps(x + i, _mm512_mul_ps(_mm512_loadu_ps(x + i), factors));
}

void quant_rotate_avx512(float *vector, size_t dim, const uint64_t *signs, size_t round_count)
{
    size_t span = quant_rotate_span(dim), half = dim / 2;
    const float scale = 1 / sqrtf((float)span);

    for (size_t round = 0; round < round_count; round++, signs += dim / 64) {
        float *part = round % 2 ? vector + (dim - span) : vector;
        flip_signs(vector, dim, signs);
        transform(part, span);
        scale_by(part, span, scale);
        if (span < dim) turn_halves(vector, half);
    }
    if (span < dim) scale_by(vector, dim, 1 / quant_rotate_excess(round_count));
}

void quant_sign_avx512(const float *vector, const float *center, size_t dim, uint64_t *bits,
                       struct quant_signs *out)
{
    const __m512 minus = _mm512_set1_ps(-0.0f), zero = _mm512_setzero_ps();
    __m512 square = zero, length = zero, part = zero, sign = zero;

    for (size_t i = 0; i < dim; i += LANES) {
        __m512 c = _mm512_loadu_ps(center + i), r = _mm512_sub_ps(_mm512_loadu_ps(vector + i), c);
        __mmask16 up = _mm512_cmp_ps_mask(r, zero, _CMP_GE_OQ);
        bits[i / 64] = i % 64 ? bits[i / 64] | (uint64_t)up << (i % 64) : (uint64_t)up;
        square = _mm512_fmadd_ps(r, r, square);
        length = _mm512_add_ps(length, _mm512_abs_ps(r));
        part = _mm512_fmadd_ps(c, r, part);
        sign = _mm512_add_ps(sign, _mm512_mask_xor_ps(c, (__mmask16)~up, c, minus));
    }
    *out = (struct quant_signs){_mm512_reduce_add_ps(square), _mm512_reduce_add_ps(length),
                                _mm512_reduce_add_ps(part), _mm512_reduce_add_ps(sign)};
}
#endif
