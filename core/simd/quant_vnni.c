/* SPDX-License-Identifier: Apache-2.0 */
/* quant_vnni.c — products of codes of 1 to 8 bits with AVX-512 and its byte products.
 *
 * WHAT        A chunk of codes becomes 64 bytes and is multiplied with the high and the low digits,
 *             as code_vnni.c does.
 *             Of 4 bits and a short query two chunks are multiplied at once, with low digits alone.
 * WHY SO      Two rows per step: their digits are loaded once, and four chains of additions hide
 *             the latency of the product.  Of rows here and there, which are few, four: their sums
 *             are folded at once.
 * INVARIANTS, THREADS, FAILURE: see quant_kernels.h.
 */
#include "simd/quant_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "simd/fold_lanes.h"

#define INLINE static inline __attribute__((always_inline))

enum { PREFETCH_BYTES = 4096 };

INLINE __m512i load_bytes(const void *p)
{
    return _mm512_loadu_si512(p);
}

INLINE __m512i codes_of(const uint8_t *chunk, unsigned bits)
{
    __m512i codes = _mm512_setzero_si512();
    int low = 0;

    if (bits == 8) return load_bytes(chunk);
    if (bits & 4) {
        __m256i four = _mm256_loadu_si256((const __m256i *)(const void *)chunk);
        codes = _mm512_inserti64x4(_mm512_castsi256_si512(four), _mm256_srli_epi16(four, 4), 1);
        codes = _mm512_and_si512(codes, _mm512_set1_epi8(15));
        chunk += 32;
        low = 4;
    }
    if (bits & 2) {
        const __m512i shifts = _mm512_setr_epi64(0, 0, 2, 2, 4, 4, 6, 6);
        __m512i two = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)chunk));
        two = _mm512_and_si512(_mm512_srlv_epi64(two, shifts), _mm512_set1_epi8(3));
        codes = _mm512_or_si512(codes, _mm512_slli_epi16(two, low));
        chunk += 16;
        low += 2;
    }
    if (bits & 1) {
        uint64_t mask;
        memcpy(&mask, chunk, sizeof mask);
        codes = _mm512_or_si512(codes, _mm512_maskz_set1_epi8(mask, (char)(1 << low)));
    }
    return codes;
}

struct digit_sums {
    __m512i high, low;
};

INLINE __m512i joined(struct digit_sums sums)
{
    return _mm512_add_epi32(_mm512_slli_epi32(sums.high, 7), sums.low);
}

INLINE int32_t total(struct digit_sums sums)
{
    return _mm512_reduce_add_epi32(joined(sums));
}

INLINE void dot_rows(const struct code_query *query, unsigned bits, const uint8_t *rows,
                     size_t row_stride, size_t row_count, int32_t *out)
{
    const struct digit_sums none = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    const size_t step = 8 * (size_t)bits;
    size_t r = 0;

    for (; r + 2 <= row_count; r += 2, rows += 2 * row_stride) {
        struct digit_sums a = none, b = none;
        const uint8_t *chunk = rows;
        for (size_t i = 0; i < query->stride; i += QUANT_CHUNK, chunk += step) {
            __m512i high = load_bytes(query->digits + 2 * i);
            __m512i low = load_bytes(query->digits + 2 * i + QUANT_CHUNK);
            __m512i codes = codes_of(chunk, bits), next = codes_of(chunk + row_stride, bits);
            _mm_prefetch((const char *)chunk + PREFETCH_BYTES, _MM_HINT_T0);
            _mm_prefetch((const char *)chunk + row_stride + PREFETCH_BYTES, _MM_HINT_T0);
            a.high = _mm512_dpbusd_epi32(a.high, codes, high);
            a.low = _mm512_dpbusd_epi32(a.low, codes, low);
            b.high = _mm512_dpbusd_epi32(b.high, next, high);
            b.low = _mm512_dpbusd_epi32(b.low, next, low);
        }
        out[r] = total(a);
        out[r + 1] = total(b);
    }
    if (r < row_count) {
        struct digit_sums a = none;
        for (size_t i = 0; i < query->stride; i += QUANT_CHUNK, rows += step) {
            __m512i codes = codes_of(rows, bits);
            a.high = _mm512_dpbusd_epi32(a.high, codes, load_bytes(query->digits + 2 * i));
            a.low =
                _mm512_dpbusd_epi32(a.low, codes, load_bytes(query->digits + 2 * i + QUANT_CHUNK));
        }
        out[r] = total(a);
    }
}

/* ---- Of 4 bits, the query short ---- */

struct half_sums {
    __m512i low, high; /* by the low and by the high halves of bytes */
};

INLINE void add_pair(struct half_sums *sums, const uint8_t *pair, __m512i low, __m512i high)
{
    const __m512i half = _mm512_set1_epi8(15);
    __m512i bytes = load_bytes(pair);
    sums->low = _mm512_dpbusd_epi32(sums->low, _mm512_and_si512(bytes, half), low);
    bytes = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), half);
    sums->high = _mm512_dpbusd_epi32(sums->high, bytes, high);
}

INLINE __m512i last_chunk(struct half_sums sums, const uint8_t *chunk, __m512i digits)
{
    __m512i sum = _mm512_add_epi32(sums.low, sums.high);
    return chunk ? _mm512_dpbusd_epi32(sum, codes_of(chunk, 4), digits) : sum;
}

/* Of four rows; ahead: what is prefetched of each, from its beginning. */
INLINE __m128i short_dots(const struct code_query *query, const uint8_t *const rows[4],
                          size_t ahead)
{
    const struct half_sums none = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    struct half_sums a = none, b = none, c = none, d = none;
    const int8_t *digits = query->digits + QUANT_CHUNK;
    __m512i last = none.low;
    size_t at = 0, end = query->stride / 2;
    bool has_last = query->stride % (2 * QUANT_CHUNK) != 0;

    for (; at + QUANT_CHUNK <= end; at += QUANT_CHUNK, digits += 4 * QUANT_CHUNK) {
        __m512i one = load_bytes(digits), two = load_bytes(digits + 2 * QUANT_CHUNK);
        __m512i low = _mm512_shuffle_i64x2(one, two, 0x44);
        __m512i high = _mm512_shuffle_i64x2(one, two, 0xee);
        for (size_t i = 0; ahead > 0 && i < 4; i++)
            _mm_prefetch((const char *)rows[i] + ahead + at, _MM_HINT_T0);
        add_pair(&a, rows[0] + at, low, high);
        add_pair(&b, rows[1] + at, low, high);
        add_pair(&c, rows[2] + at, low, high);
        add_pair(&d, rows[3] + at, low, high);
    }
    if (has_last) last = load_bytes(digits);
    return fold_four(last_chunk(a, has_last ? rows[0] + at : NULL, last),
                     last_chunk(b, has_last ? rows[1] + at : NULL, last),
                     last_chunk(c, has_last ? rows[2] + at : NULL, last),
                     last_chunk(d, has_last ? rows[3] + at : NULL, last));
}

INLINE void store_dots(__m128i sums, size_t left, int32_t *out)
{
    _mm_mask_storeu_epi32(out, (__mmask8)(left >= 4 ? 15 : (1u << left) - 1), sums);
}

static void short_gather(const struct code_query *query, const uint8_t *const *rows,
                         size_t row_count, int32_t *out)
{
    for (size_t r = 0; r < row_count; r += 4) {
        size_t left = row_count - r;
        const uint8_t *const four[4] = {rows[r], rows[r + (left > 1)], rows[left > 2 ? r + 2 : r],
                                        rows[left > 3 ? r + 3 : r]};
        store_dots(short_dots(query, four, 0), left, out + r);
    }
}

static void short_dot(const struct code_query *query, const uint8_t *rows, size_t row_stride,
                      size_t row_count, int32_t *out)
{
    for (size_t r = 0; r < row_count; r += 4, rows += 4 * row_stride) {
        size_t left = row_count - r, last = left < 4 ? left - 1 : 3;
        const uint8_t *const four[4] = {rows, rows + (last > 0 ? row_stride : 0),
                                        rows + (last > 1 ? 2 : 0) * row_stride,
                                        rows + (last > 2 ? 3 : 0) * row_stride};
        store_dots(short_dots(query, four, PREFETCH_BYTES), left, out + r);
    }
}

/* ---- All others ---- */

void quant_dot_vnni(const struct code_query *query, unsigned bits, const uint8_t *rows,
                    size_t row_stride, size_t row_count, int32_t *out)
{
    if (bits == 4 && query->is_short) {
        short_dot(query, rows, row_stride, row_count, out);
        return;
    }
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

INLINE void add_chunk(struct digit_sums *sums, __m512i codes, __m512i high, __m512i low)
{
    sums->high = _mm512_dpbusd_epi32(sums->high, codes, high);
    sums->low = _mm512_dpbusd_epi32(sums->low, codes, low);
}

INLINE void gather_rows(const struct code_query *query, unsigned bits, const uint8_t *const *rows,
                        size_t row_count, int32_t *out)
{
    const struct digit_sums none = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    const size_t step = 8 * (size_t)bits;

    for (size_t r = 0; r < row_count; r += 4) {
        size_t left = row_count - r, at = 0;
        const uint8_t *p0 = rows[r], *p1 = rows[r + (left > 1)], *p2 = left > 2 ? rows[r + 2] : p0;
        const uint8_t *p3 = left > 3 ? rows[r + 3] : p0;
        struct digit_sums a = none, b = none, c = none, d = none;
        for (size_t i = 0; i < query->stride; i += QUANT_CHUNK, at += step) {
            __m512i high = load_bytes(query->digits + 2 * i);
            __m512i low = load_bytes(query->digits + 2 * i + QUANT_CHUNK);
            add_chunk(&a, codes_of(p0 + at, bits), high, low);
            add_chunk(&b, codes_of(p1 + at, bits), high, low);
            add_chunk(&c, codes_of(p2 + at, bits), high, low);
            add_chunk(&d, codes_of(p3 + at, bits), high, low);
        }
        __m128i sums = fold_four(joined(a), joined(b), joined(c), joined(d));
        __mmask8 wanted = (__mmask8)(left >= 4 ? 15 : (1u << left) - 1);
        _mm_mask_storeu_epi32(out + r, wanted, sums);
    }
}

void quant_gather_vnni(const struct code_query *query, unsigned bits, const uint8_t *const *rows,
                       size_t row_count, int32_t *out)
{
    if (bits == 4 && query->is_short) {
        short_gather(query, rows, row_count, out);
        return;
    }
    switch (bits) {
#define GATHER_BITS(number)                                                                        \
    case number:                                                                                   \
        gather_rows(query, number, rows, row_count, out);                                          \
        return;
        GATHER_BITS(1)
        GATHER_BITS(2)
        GATHER_BITS(3)
        GATHER_BITS(4)
        GATHER_BITS(5)
        GATHER_BITS(6)
        GATHER_BITS(7)
        GATHER_BITS(8)
#undef GATHER_BITS
    default:
        return;
    }
}
#endif
