/* SPDX-License-Identifier: Apache-2.0 */
/* quant_avx2.c — kernels of the quantizers with AVX2.
 *
 * WHAT        dot: codes become bytes, half a chunk at a time, and are multiplied as code_avx2.c
 *             does.  scan: a shuffle looks sixteen rows up in a table; sums are kept in 16 bits, of
 *             even rows with 256 times those of odd ones above them, of odd rows alone, and parted
 *             at the end of a piece that is short enough for 16 bits.
 * INVARIANTS, THREADS, FAILURE: see quant_kernels.h.
 */
#include "simd/quant_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 8, HALF = QUANT_CHUNK / 2, PIECE_GROUPS = 256, PREFETCH_BYTES = 2048 };

INLINE __m256i load_bytes(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* A byte of 1 for each bit. */
INLINE __m256i spread_bits(uint32_t bits)
{
    const __m256i place =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201u);
    __m256i x = _mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)bits), place);
    x = _mm256_cmpeq_epi8(_mm256_and_si256(x, bit), bit);
    return _mm256_and_si256(x, _mm256_set1_epi8(1));
}

/* The codes of half a chunk. */
INLINE __m256i codes_of(const uint8_t *chunk, unsigned bits, int half)
{
    __m256i codes = _mm256_setzero_si256();
    int low = 0;

    if (bits == 8) return load_bytes(chunk + half * HALF);
    if (bits & 4) {
        codes = load_bytes(chunk);
        if (half) codes = _mm256_srli_epi16(codes, 4);
        codes = _mm256_and_si256(codes, _mm256_set1_epi8(15));
        chunk += 32;
        low = 4;
    }
    if (bits & 2) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)chunk);
        if (half) x = _mm_srli_epi16(x, 4);
        __m256i two = _mm256_set_m128i(_mm_srli_epi16(x, 2), x);
        two = _mm256_and_si256(two, _mm256_set1_epi8(3));
        codes = _mm256_or_si256(codes, _mm256_slli_epi16(two, low));
        chunk += 16;
        low += 2;
    }
    if (bits & 1) {
        uint32_t word;
        memcpy(&word, chunk + half * 4, sizeof word);
        codes = _mm256_or_si256(codes, _mm256_slli_epi16(spread_bits(word), low));
    }
    return codes;
}

INLINE __m256i product(__m256i codes, const int8_t *digits)
{
    __m256i high = _mm256_maddubs_epi16(codes, load_bytes(digits));
    __m256i low = _mm256_maddubs_epi16(codes, load_bytes(digits + QUANT_CHUNK));
    return _mm256_add_epi32(_mm256_madd_epi16(high, _mm256_set1_epi16(CODE_BASE)),
                            _mm256_madd_epi16(low, _mm256_set1_epi16(1)));
}

INLINE int32_t sum_lanes(__m256i x)
{
    __m128i y = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    y = _mm_add_epi32(y, _mm_shuffle_epi32(y, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(y, _mm_shuffle_epi32(y, 0xb1)));
}

INLINE void dot_rows(const struct code_query *query, unsigned bits, const uint8_t *rows,
                     size_t row_stride, size_t row_count, int32_t *out)
{
    const size_t step = 8 * (size_t)bits;
    for (size_t r = 0; r < row_count; r++, rows += row_stride) {
        __m256i first = _mm256_setzero_si256(), second = first;
        const uint8_t *chunk = rows;
        for (size_t i = 0; i < query->stride; i += QUANT_CHUNK, chunk += step) {
            const int8_t *digits = query->digits + 2 * i;
            _mm_prefetch((const char *)chunk + PREFETCH_BYTES, _MM_HINT_T0);
            first = _mm256_add_epi32(first, product(codes_of(chunk, bits, 0), digits));
            second = _mm256_add_epi32(second, product(codes_of(chunk, bits, 1), digits + HALF));
        }
        out[r] = sum_lanes(_mm256_add_epi32(first, second));
    }
}

void quant_dot_avx2(const struct code_query *query, unsigned bits, const uint8_t *rows,
                    size_t row_stride, size_t row_count, int32_t *out)
{
    switch (bits) {
#define DOT_BITS(number)                                                                           \
    case number:                                                                                   \
        dot_rows(query, number, rows, row_stride, row_count, out);                                 \
        return;
        DOT_BITS(1)
        DOT_BITS(2)
        DOT_BITS(3)
        DOT_BITS(4)
        DOT_BITS(5)
        DOT_BITS(6)
        DOT_BITS(7)
        DOT_BITS(8)
#undef DOT_BITS
    default:
        return;
    }
}

void quant_gather_avx2(const struct code_query *query, unsigned bits, const uint8_t *const *rows,
                       size_t row_count, int32_t *out)
{
    for (size_t i = 0; i < row_count; i++) quant_dot_avx2(query, bits, rows[i], 0, 1, &out[i]);
}

/* Sums of sixteen rows, in 16 bits: with odd rows above even ones, and of odd rows alone. */
struct row_sums {
    __m256i both, odd;
};

INLINE void add_found(struct row_sums *sums, __m256i table, __m256i index)
{
    __m256i found = _mm256_shuffle_epi8(table, index);
    sums->both = _mm256_add_epi16(sums->both, found);
    sums->odd = _mm256_add_epi16(sums->odd, _mm256_srli_epi16(found, 8));
}

INLINE void store_sums(const struct row_sums *sums, int32_t *out)
{
    __m256i even = _mm256_sub_epi16(sums->both, _mm256_slli_epi16(sums->odd, 8));
    __m128i evens = _mm_add_epi16(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
    __m128i odds =
        _mm_add_epi16(_mm256_castsi256_si128(sums->odd), _mm256_extracti128_si256(sums->odd, 1));
    __m256i first = _mm256_cvtepu16_epi32(_mm_unpacklo_epi16(evens, odds));
    __m256i second = _mm256_cvtepu16_epi32(_mm_unpackhi_epi16(evens, odds));
    __m256i *to = (__m256i *)(void *)out;
    _mm256_storeu_si256(to, _mm256_add_epi32(first, load_bytes(to)));
    _mm256_storeu_si256(to + 1, _mm256_add_epi32(second, load_bytes(to + 1)));
}

void quant_scan_avx2(const uint8_t *tables, const uint8_t *codes, size_t group_count,
                     int32_t out[QUANT_BLOCK])
{
    const __m256i halves = _mm256_set1_epi8(15);

    memset(out, 0, QUANT_BLOCK * sizeof *out);
    while (group_count > 0) {
        size_t piece = group_count < PIECE_GROUPS ? group_count : PIECE_GROUPS;
        struct row_sums low = {_mm256_setzero_si256(), _mm256_setzero_si256()}, high = low;
        for (size_t g = 0; g < piece; g += 2, tables += 32, codes += 32) {
            __m256i table = load_bytes(tables), code = load_bytes(codes);
            add_found(&low, table, _mm256_and_si256(code, halves));
            add_found(&high, table, _mm256_and_si256(_mm256_srli_epi16(code, 4), halves));
        }
        store_sums(&low, out);
        store_sums(&high, out + 16);
        group_count -= piece;
    }
}

uint32_t quant_near_avx2(const struct quant_reading *reading, const int32_t sums[QUANT_BLOCK],
                         const float adds[QUANT_BLOCK], const float muls[QUANT_BLOCK])
{
    const __m256 base = _mm256_set1_ps(reading->base), step = _mm256_set1_ps(reading->step);
    const __m256 shift = _mm256_set1_ps(reading->shift), width = _mm256_set1_ps(reading->width);
    const __m256 limit = _mm256_set1_ps(reading->limit), sign = _mm256_set1_ps(-0.0f);
    uint32_t near = 0;

    for (int i = 0; i < QUANT_BLOCK; i += LANES) {
        __m256 sum = _mm256_cvtepi32_ps(load_bytes(sums + i));
        __m256 mul = _mm256_loadu_ps(muls + i), add = _mm256_loadu_ps(adds + i);
        __m256 product = _mm256_fmadd_ps(sum, step, shift);
        __m256 distance = _mm256_fmadd_ps(mul, product, _mm256_add_ps(base, add));
        __m256 most = _mm256_fmadd_ps(_mm256_andnot_ps(sign, mul), width, limit);
        __m256 is_near = _mm256_cmp_ps(distance, most, _CMP_LE_OQ);
        near |= (uint32_t)_mm256_movemask_ps(is_near) << i;
    }
    return near;
}

/* The first three steps of a transform: partners are in one register. */
INLINE __m256 turn_lanes(__m256 x)
{
    const __m256 odd = _mm256_castsi256_ps(_mm256_set1_epi64x((long long)(1ull << 63)));
    const __m256 second = _mm256_castsi256_ps(
        _mm256_setr_epi32(0, 0, INT32_MIN, INT32_MIN, 0, 0, INT32_MIN, INT32_MIN));
    const __m256 upper = _mm256_castsi256_ps(
        _mm256_setr_epi32(0, 0, 0, 0, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN));
    x = _mm256_add_ps(_mm256_permute_ps(x, 0xb1), _mm256_xor_ps(x, odd));
    x = _mm256_add_ps(_mm256_permute_ps(x, 0x4e), _mm256_xor_ps(x, second));
    return _mm256_add_ps(_mm256_permute2f128_ps(x, x, 1), _mm256_xor_ps(x, upper));
}

static void transform(float *x, size_t span)
{
    for (size_t i = 0; i < span; i += LANES)
        _mm256_storeu_ps(x + i, turn_lanes(_mm256_loadu_ps(x + i)));
    for (size_t h = LANES; h < span; h *= 2)
        for (size_t i = 0; i < span; i += 2 * h)
            for (size_t j = i; j < i + h; j += LANES) {
                __m256 a = _mm256_loadu_ps(x + j), b = _mm256_loadu_ps(x + j + h);
                _mm256_storeu_ps(x + j, _mm256_add_ps(a, b));
                _mm256_storeu_ps(x + j + h, _mm256_sub_ps(a, b));
            }
}

static void flip_signs(float *x, size_t dim, const uint64_t *signs)
{
    const __m256i shifts = _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24);
    const __m256 sign = _mm256_set1_ps(-0.0f);
    for (size_t i = 0; i < dim; i += LANES) {
        __m256i bits = _mm256_set1_epi32((int32_t)(signs[i / 64] >> (i % 64) & 0xff));
        __m256 flips = _mm256_castsi256_ps(_mm256_sllv_epi32(bits, shifts));
        flips = _mm256_and_ps(flips, sign);
        _mm256_storeu_ps(x + i, _mm256_xor_ps(_mm256_loadu_ps(x + i), flips));
    }
}

static void scale_by(float *x, size_t dim, float factor)
{
    const __m256 factors = _mm256_set1_ps(factor);
    for (size_t i = 0; i < dim; i += LANES)
        _mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_loadu_ps(x + i), factors));
}

void quant_rotate_avx2(float *vector, size_t dim, const uint64_t *signs, size_t round_count)
{
    size_t span = quant_rotate_span(dim), half = dim / 2;
    const float scale = 1 / sqrtf((float)span);

    for (size_t round = 0; round < round_count; round++, signs += dim / 64) {
        float *part = round % 2 ? vector + (dim - span) : vector;
        flip_signs(vector, dim, signs);
        transform(part, span);
        scale_by(part, span, scale);
        for (size_t i = 0; span < dim && i < half; i += LANES) {
            __m256 a = _mm256_loadu_ps(vector + i), b = _mm256_loadu_ps(vector + i + half);
            _mm256_storeu_ps(vector + i, _mm256_add_ps(a, b));
            _mm256_storeu_ps(vector + i + half, _mm256_sub_ps(a, b));
        }
    }
    if (span < dim) scale_by(vector, dim, 1 / quant_rotate_excess(round_count));
}

INLINE float sum_floats(__m256 x)
{
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}

void quant_sign_avx2(const float *vector, const float *center, size_t dim, uint64_t *bits,
                     struct quant_signs *out)
{
    const __m256 minus = _mm256_set1_ps(-0.0f), zero = _mm256_setzero_ps();
    __m256 square = zero, length = zero, part = zero, sign = zero;

    for (size_t i = 0; i < dim; i += LANES) {
        __m256 c = _mm256_loadu_ps(center + i), r = _mm256_sub_ps(_mm256_loadu_ps(vector + i), c);
        __m256 up = _mm256_cmp_ps(r, zero, _CMP_GE_OQ);
        uint64_t byte = (uint64_t)_mm256_movemask_ps(up);
        bits[i / 64] = i % 64 ? bits[i / 64] | byte << (i % 64) : byte;
        square = _mm256_fmadd_ps(r, r, square);
        length = _mm256_add_ps(length, _mm256_andnot_ps(minus, r));
        part = _mm256_fmadd_ps(c, r, part);
        sign = _mm256_add_ps(sign, _mm256_xor_ps(c, _mm256_andnot_ps(up, minus)));
    }
    *out = (struct quant_signs){sum_floats(square), sum_floats(length), sum_floats(part),
                                sum_floats(sign)};
}
#endif
