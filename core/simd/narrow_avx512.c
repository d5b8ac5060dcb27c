/* SPDX-License-Identifier: Apache-2.0 */
/* narrow_avx512.c — dot and squared distance over narrow rows with AVX-512.
 *
 * WHAT        dense_avx512.c with other loads: sixteen numbers of a row are widened as they are
 *             loaded, and then they go the way of floats, accumulator for accumulator and lane for
 *             lane, which is what makes the values the same (narrow_kernels.h (1)).
 * WHY SO      A row is half or a quarter of the bytes, so that a scan from memory has two or four
 *             times the work for each line; widening costs one or two operations a chunk, and stays
 *             below what memory gives.
 * INVARIANTS, THREADS, FAILURE: see narrow_kernels.h.
 */
#include "simd/narrow_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { PREFETCH_BYTES = 2048, LANES = 16, BLOCK = 4 * LANES, LINE = 64 };

/* Always constants: each use is compiled for its own. */
enum operation { DOT, L2 };
enum number_type { F16, BF16, I8, U8 };

struct sums {
    __m512 s0, s1, s2, s3;
};

INLINE struct sums zero_sums(void)
{
    __m512 zero = _mm512_setzero_ps();
    return (struct sums){zero, zero, zero, zero};
}

INLINE __m512 total(struct sums s)
{
    return _mm512_add_ps(_mm512_add_ps(s.s0, s.s1), _mm512_add_ps(s.s2, s.s3));
}

INLINE size_t bytes_of(enum number_type type)
{
    return type == F16 || type == BF16 ? 2 : 1;
}

INLINE __m512 widen_halves(enum number_type type, __m256i halves)
{
    if (type == F16) return _mm512_cvtph_ps(halves);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

INLINE __m512 widen_bytes(enum number_type type, __m128i bytes)
{
    return _mm512_cvtepi32_ps(type == I8 ? _mm512_cvtepi8_epi32(bytes)
                                         : _mm512_cvtepu8_epi32(bytes));
}

/* Numbers i to i + 15. */
INLINE __m512 load(enum number_type type, const char *row, size_t i)
{
    const char *at = row + i * bytes_of(type);
    if (bytes_of(type) == 2) return widen_halves(type, _mm256_loadu_si256((const void *)at));
    return widen_bytes(type, _mm_loadu_si128((const void *)at));
}

/* Those of the mask, and 0. */
INLINE __m512 load_tail(enum number_type type, const char *row, size_t i, __mmask16 mask)
{
    const char *at = row + i * bytes_of(type);
    if (bytes_of(type) == 2) return widen_halves(type, _mm256_maskz_loadu_epi16(mask, at));
    return widen_bytes(type, _mm_maskz_loadu_epi8(mask, at));
}

/* The first `count` < 16 lanes. */
INLINE __mmask16 tail_mask(size_t count)
{
    return (__mmask16)((1u << count) - 1);
}

INLINE __m512 accumulate(enum operation op, __m512 sum, __m512 a, __m512 b)
{
    if (op == DOT) return _mm512_fmadd_ps(a, b, sum);
    __m512 d = _mm512_sub_ps(a, b);
    return _mm512_fmadd_ps(d, d, sum);
}

INLINE void add_one(enum operation op, enum number_type type, const float *query, const char *row,
                    size_t i, __m512 *sum)
{
    *sum = accumulate(op, *sum, _mm512_loadu_ps(query + i), load(type, row, i));
}

INLINE void add_two(enum operation op, enum number_type type, const float *query, const char *row_a,
                    const char *row_b, size_t i, __m512 *sum_a, __m512 *sum_b)
{
    __m512 q = _mm512_loadu_ps(query + i);
    *sum_a = accumulate(op, *sum_a, q, load(type, row_a, i));
    *sum_b = accumulate(op, *sum_b, q, load(type, row_b, i));
}

/* The empty statements keep a prefetch where it is written. */
INLINE void prefetch_line(const char *p)
{
    __asm__ volatile("" ::: "memory");
    _mm_prefetch(p, _MM_HINT_T0);
    __asm__ volatile("" ::: "memory");
}

/* x of dense_avx512.c for one row. */
INLINE __m512 sum_one(enum operation op, enum number_type type, const float *query, const char *row,
                      size_t dim)
{
    struct sums s = zero_sums();
    size_t i = 0;

    for (; i + BLOCK <= dim; i += BLOCK) {
        add_one(op, type, query, row, i, &s.s0);
        add_one(op, type, query, row, i + 16, &s.s1);
        add_one(op, type, query, row, i + 32, &s.s2);
        add_one(op, type, query, row, i + 48, &s.s3);
    }
    size_t left = dim - i;
    if (left >= 16) add_one(op, type, query, row, i, &s.s0);
    if (left >= 32) add_one(op, type, query, row, i + 16, &s.s1);
    if (left >= 48) add_one(op, type, query, row, i + 32, &s.s2);
    i += left / LANES * LANES;
    if (i < dim) {
        __mmask16 mask = tail_mask(dim - i);
        s.s3 = accumulate(op, s.s3, _mm512_maskz_loadu_ps(mask, query + i),
                          load_tail(type, row, i, mask));
    }
    return total(s);
}

/* sum_one of two rows at once; as many bytes ahead_bytes further on are prefetched on the way. */
INLINE void sum_two(enum operation op, enum number_type type, const float *query, const char *row_a,
                    const char *row_b, size_t ahead_bytes, size_t dim, __m512 *out_a, __m512 *out_b)
{
    struct sums a = zero_sums(), b = zero_sums();
    const char *ahead_a = row_a + ahead_bytes, *ahead_b = row_b + ahead_bytes;
    size_t bytes = bytes_of(type), i = 0;

    for (; i + BLOCK <= dim; i += BLOCK) {
        prefetch_line(ahead_a + i * bytes);
        add_two(op, type, query, row_a, row_b, i, &a.s0, &b.s0);
        prefetch_line(ahead_b + i * bytes);
        add_two(op, type, query, row_a, row_b, i + 16, &a.s1, &b.s1);
        if (bytes == 2) prefetch_line(ahead_a + i * bytes + LINE);
        add_two(op, type, query, row_a, row_b, i + 32, &a.s2, &b.s2);
        if (bytes == 2) prefetch_line(ahead_b + i * bytes + LINE);
        add_two(op, type, query, row_a, row_b, i + 48, &a.s3, &b.s3);
    }
    if (i < dim) {
        size_t left = dim - i;
        for (size_t line = i * bytes; line < dim * bytes; line += LINE) {
            prefetch_line(ahead_a + line);
            prefetch_line(ahead_b + line);
        }
        if (left >= 16) add_two(op, type, query, row_a, row_b, i, &a.s0, &b.s0);
        if (left >= 32) add_two(op, type, query, row_a, row_b, i + 16, &a.s1, &b.s1);
        if (left >= 48) add_two(op, type, query, row_a, row_b, i + 32, &a.s2, &b.s2);
        i += left / LANES * LANES;
        if (i < dim) {
            __mmask16 mask = tail_mask(dim - i);
            __m512 q = _mm512_maskz_loadu_ps(mask, query + i);
            a.s3 = accumulate(op, a.s3, q, load_tail(type, row_a, i, mask));
            b.s3 = accumulate(op, b.s3, q, load_tail(type, row_b, i, mask));
        }
    }
    *out_a = total(a);
    *out_b = total(b);
}

INLINE float fold(__m512 x)
{
    __m256 y = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}

/* Lane r of the result is fold(x<r>). */
INLINE __m128 fold_four(__m512 x0, __m512 x1, __m512 x2, __m512 x3)
{
    /* y of two rows side by side, then z of four: quarter r of z is that of row r. */
    __m512 y01 =
        _mm512_add_ps(_mm512_shuffle_f32x4(x0, x1, 0x44), _mm512_shuffle_f32x4(x0, x1, 0xee));
    __m512 y23 =
        _mm512_add_ps(_mm512_shuffle_f32x4(x2, x3, 0x44), _mm512_shuffle_f32x4(x2, x3, 0xee));
    __m512 z =
        _mm512_add_ps(_mm512_shuffle_f32x4(y01, y23, 0x88), _mm512_shuffle_f32x4(y01, y23, 0xdd));
    z = _mm512_add_ps(z, _mm512_permute_ps(z, 0x4e));
    z = _mm512_add_ps(z, _mm512_permute_ps(z, 0xb1));
    const __m512i first_of_quarters =
        _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
    return _mm512_castps512_ps128(_mm512_permutexvar_ps(first_of_quarters, z));
}

INLINE void scan_many(enum operation op, enum number_type type, const float *query,
                      const void *rows, size_t row_stride_bytes, size_t row_count, size_t dim,
                      float *out)
{
    /* Whole rows ahead; within the row where rows are long (dense_avx512.c). */
    size_t ahead_bytes = PREFETCH_BYTES, i = 0;
    if (dim * bytes_of(type) < PREFETCH_BYTES) {
        size_t rows_ahead = row_stride_bytes ? PREFETCH_BYTES / row_stride_bytes : 0;
        ahead_bytes = (rows_ahead ? rows_ahead : 1) * row_stride_bytes;
    }
    const char *row = rows;

    for (; i + 4 <= row_count; i += 4, row += 4 * row_stride_bytes) {
        const char *c = row + 2 * row_stride_bytes;
        __m512 x0, x1, x2, x3;
        sum_two(op, type, query, row, row + row_stride_bytes, ahead_bytes, dim, &x0, &x1);
        sum_two(op, type, query, c, c + row_stride_bytes, ahead_bytes, dim, &x2, &x3);
        _mm_storeu_ps(out + i, fold_four(x0, x1, x2, x3));
    }
    for (; i < row_count; i++, row += row_stride_bytes)
        out[i] = fold(sum_one(op, type, query, row, dim));
}

/* ---- Several queries ---- */

/* One chunk of a row, widened once, with one chunk of each of four queries. */
INLINE void add_four(enum operation op, const float *const *queries, size_t i, __m512 row,
                     __m512 *sum_a, __m512 *sum_b, __m512 *sum_c, __m512 *sum_d)
{
    *sum_a = accumulate(op, *sum_a, _mm512_loadu_ps(queries[0] + i), row);
    *sum_b = accumulate(op, *sum_b, _mm512_loadu_ps(queries[1] + i), row);
    *sum_c = accumulate(op, *sum_c, _mm512_loadu_ps(queries[2] + i), row);
    *sum_d = accumulate(op, *sum_d, _mm512_loadu_ps(queries[3] + i), row);
}

/* fold(sum_one) of four queries with one row, in four lanes. */
INLINE __m128 value_four(enum operation op, enum number_type type, const float *const *queries,
                         const char *row, size_t dim)
{
    struct sums a = zero_sums(), b = zero_sums(), c = zero_sums(), d = zero_sums();
    const char *ahead = row + PREFETCH_BYTES;
    size_t bytes = bytes_of(type), i = 0;

    for (; i + BLOCK <= dim; i += BLOCK) {
        prefetch_line(ahead + i * bytes);
        add_four(op, queries, i, load(type, row, i), &a.s0, &b.s0, &c.s0, &d.s0);
        add_four(op, queries, i + 16, load(type, row, i + 16), &a.s1, &b.s1, &c.s1, &d.s1);
        if (bytes == 2) prefetch_line(ahead + i * bytes + LINE);
        add_four(op, queries, i + 32, load(type, row, i + 32), &a.s2, &b.s2, &c.s2, &d.s2);
        add_four(op, queries, i + 48, load(type, row, i + 48), &a.s3, &b.s3, &c.s3, &d.s3);
    }
    size_t left = dim - i;
    if (left >= 16) add_four(op, queries, i, load(type, row, i), &a.s0, &b.s0, &c.s0, &d.s0);
    if (left >= 32)
        add_four(op, queries, i + 16, load(type, row, i + 16), &a.s1, &b.s1, &c.s1, &d.s1);
    if (left >= 48)
        add_four(op, queries, i + 32, load(type, row, i + 32), &a.s2, &b.s2, &c.s2, &d.s2);
    i += left / LANES * LANES;
    if (i < dim) {
        __mmask16 mask = tail_mask(dim - i);
        __m512 r = load_tail(type, row, i, mask);
        a.s3 = accumulate(op, a.s3, _mm512_maskz_loadu_ps(mask, queries[0] + i), r);
        b.s3 = accumulate(op, b.s3, _mm512_maskz_loadu_ps(mask, queries[1] + i), r);
        c.s3 = accumulate(op, c.s3, _mm512_maskz_loadu_ps(mask, queries[2] + i), r);
        d.s3 = accumulate(op, d.s3, _mm512_maskz_loadu_ps(mask, queries[3] + i), r);
    }
    return fold_four(total(a), total(b), total(c), total(d));
}

/* Four queries at a time: a row is loaded and widened a quarter as often. */
INLINE void scan_block(enum operation op, enum number_type type, const float *const *queries,
                       size_t query_count, const void *rows, size_t row_stride_bytes,
                       size_t row_count, size_t dim, float *const *out)
{
    size_t q = 0;

    for (; q + 4 <= query_count; q += 4) {
        const char *row = rows;
        for (size_t i = 0; i < row_count; i++, row += row_stride_bytes) {
            float values[4];
            _mm_storeu_ps(values, value_four(op, type, queries + q, row, dim));
            for (size_t j = 0; j < 4; j++) out[q + j][i] = values[j];
        }
    }
    for (; q < query_count; q++)
        scan_many(op, type, queries[q], rows, row_stride_bytes, row_count, dim, out[q]);
}

#define AVX512_FORMS(op, OP, type, TYPE)                                                           \
    float narrow_##op##_##type##_avx512(const float *query, const void *row, size_t dim)           \
    {                                                                                              \
        return fold(sum_one(OP, TYPE, query, row, dim));                                           \
    }                                                                                              \
    void narrow_##op##_many_##type##_avx512(const float *query, const void *rows,                  \
                                            size_t row_stride_bytes, size_t row_count, size_t dim, \
                                            float *out)                                            \
    {                                                                                              \
        scan_many(OP, TYPE, query, rows, row_stride_bytes, row_count, dim, out);                   \
    }                                                                                              \
    void narrow_##op##_block_##type##_avx512(const float *const *queries, size_t query_count,      \
                                             const void *rows, size_t row_stride_bytes,            \
                                             size_t row_count, size_t dim, float *const *out)      \
    {                                                                                              \
        scan_block(OP, TYPE, queries, query_count, rows, row_stride_bytes, row_count, dim, out);   \
    }
#define AVX512_KERNELS(type, bytes, TYPE)                                                          \
    AVX512_FORMS(dot, DOT, type, TYPE)                                                             \
    AVX512_FORMS(l2, L2, type, TYPE)
NARROW_TYPES(AVX512_KERNELS)
#endif
