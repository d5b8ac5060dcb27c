/* SPDX-License-Identifier: Apache-2.0 */
/* dense_avx512.c — f32 dot and squared distance with AVX-512.
 *
 * WHAT        Every value is made the same way.  Chunks of 16 floats go round robin to four
 *             accumulators s0 to s3; of what is left behind the last block of four, whole chunks
 *             to s0, s1, s2 and the masked tail to s3.  Then, with x = (s0 + s1) + (s2 + s3):
 *                 y[j] = x[j] + x[j + 8]       j < 8
 *                 z[j] = y[j] + y[j + 4]       j < 4
 *                 value = (z[0] + z[2]) + (z[1] + z[3])
 *             A pair folds one register; a batch folds the registers of four rows at once, lane by
 *             lane by the same tree: that is how the forms stay bit-identical (kernels.h (1)).
 *             Every product is an explicit FMA, so no compiler flag can change a value.
 * WHY SO      Two rows per step share the loads of the query, which the caches feel; four rows gain
 *             little more there and are slower from memory, which likes few streams.  Prefetches
 *             are spread among the loads: in bursts they keep the fill buffers from the loads and
 *             cost a tenth of the bandwidth (measured).
 * NOTE        gcc 12 spills arrays of __m512: accumulators are named members.
 * INVARIANTS, THREADS, FAILURE: see kernels.h.
 */
#include "simd/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { PREFETCH_BYTES = 2048 }; /* measured: 1 and 4 KiB are a little worse, none a fifth */

enum operation { DOT, L2 }; /* always a constant: each use is compiled for its own */

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

INLINE __m512 accumulate(enum operation op, __m512 sum, __m512 a, __m512 b)
{
    if (op == DOT) return _mm512_fmadd_ps(a, b, sum);
    __m512 d = _mm512_sub_ps(a, b);
    return _mm512_fmadd_ps(d, d, sum);
}

/* One chunk of the query with one chunk of one row. */
INLINE void add_one(enum operation op, const float *query, const float *row, __m512 *sum)
{
    *sum = accumulate(op, *sum, _mm512_loadu_ps(query), _mm512_loadu_ps(row));
}

/* One chunk of the query, loaded once, with one chunk of each of two rows. */
INLINE void add_two(enum operation op, const float *query, const float *row_a, const float *row_b,
                    __m512 *sum_a, __m512 *sum_b)
{
    __m512 q = _mm512_loadu_ps(query);
    *sum_a = accumulate(op, *sum_a, q, _mm512_loadu_ps(row_a));
    *sum_b = accumulate(op, *sum_b, q, _mm512_loadu_ps(row_b));
}

/* The empty statements keep a prefetch where it is written. */
INLINE void prefetch_line(const char *p)
{
    __asm__ volatile("" ::: "memory");
    _mm_prefetch(p, _MM_HINT_T0);
    __asm__ volatile("" ::: "memory");
}

/* The first `count` < 16 lanes. */
INLINE __mmask16 tail_mask(size_t count)
{
    return (__mmask16)((1u << count) - 1);
}

/* x of the essay for one row. */
INLINE __m512 sum_one(enum operation op, const float *query, const float *row, size_t dim)
{
    struct sums s = zero_sums();
    size_t i = 0;

    for (; i + 64 <= dim; i += 64) {
        add_one(op, query + i, row + i, &s.s0);
        add_one(op, query + i + 16, row + i + 16, &s.s1);
        add_one(op, query + i + 32, row + i + 32, &s.s2);
        add_one(op, query + i + 48, row + i + 48, &s.s3);
    }
    size_t left = dim - i;
    if (left >= 16) add_one(op, query + i, row + i, &s.s0);
    if (left >= 32) add_one(op, query + i + 16, row + i + 16, &s.s1);
    if (left >= 48) add_one(op, query + i + 32, row + i + 32, &s.s2);
    i += left / 16 * 16;
    if (i < dim) {
        __mmask16 mask = tail_mask(dim - i);
        s.s3 = accumulate(op, s.s3, _mm512_maskz_loadu_ps(mask, query + i),
                          _mm512_maskz_loadu_ps(mask, row + i));
    }
    return total(s);
}

/* sum_one of two rows at once; the blocks at ahead_a and ahead_b, dim floats each, are prefetched
 * on the way. */
INLINE void sum_two(enum operation op, const float *query, const float *row_a, const float *row_b,
                    const char *ahead_a, const char *ahead_b, size_t dim, __m512 *out_a,
                    __m512 *out_b)
{
    struct sums a = zero_sums(), b = zero_sums();
    size_t i = 0;

    for (; i + 64 <= dim; i += 64) {
        prefetch_line(ahead_a + i * 4);
        prefetch_line(ahead_b + i * 4);
        add_two(op, query + i, row_a + i, row_b + i, &a.s0, &b.s0);
        prefetch_line(ahead_a + i * 4 + 64);
        prefetch_line(ahead_b + i * 4 + 64);
        add_two(op, query + i + 16, row_a + i + 16, row_b + i + 16, &a.s1, &b.s1);
        prefetch_line(ahead_a + i * 4 + 128);
        prefetch_line(ahead_b + i * 4 + 128);
        add_two(op, query + i + 32, row_a + i + 32, row_b + i + 32, &a.s2, &b.s2);
        prefetch_line(ahead_a + i * 4 + 192);
        prefetch_line(ahead_b + i * 4 + 192);
        add_two(op, query + i + 48, row_a + i + 48, row_b + i + 48, &a.s3, &b.s3);
    }
    if (i < dim) {
        size_t left = dim - i;
        for (size_t line = i; line < dim; line += 16) {
            prefetch_line(ahead_a + line * 4);
            prefetch_line(ahead_b + line * 4);
        }
        if (left >= 16) add_two(op, query + i, row_a + i, row_b + i, &a.s0, &b.s0);
        if (left >= 32) add_two(op, query + i + 16, row_a + i + 16, row_b + i + 16, &a.s1, &b.s1);
        if (left >= 48) add_two(op, query + i + 32, row_a + i + 32, row_b + i + 32, &a.s2, &b.s2);
        i += left / 16 * 16;
        if (i < dim) {
            __mmask16 mask = tail_mask(dim - i);
            __m512 q = _mm512_maskz_loadu_ps(mask, query + i);
            a.s3 = accumulate(op, a.s3, q, _mm512_maskz_loadu_ps(mask, row_a + i));
            b.s3 = accumulate(op, b.s3, q, _mm512_maskz_loadu_ps(mask, row_b + i));
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

INLINE const float *row_at(const float *base, size_t row_stride_bytes, size_t row_index)
{
    return (const float *)(const void *)((const char *)base + row_index * row_stride_bytes);
}

INLINE void scan_many(enum operation op, const float *query, const float *rows,
                      size_t row_stride_bytes, size_t row_count, size_t dim, float *out)
{
    /* Whole rows ahead, so that padding is skipped; within the row where rows are long.  Running
     * past the last row is meant: the next block of a scan begins there. */
    size_t ahead_bytes = PREFETCH_BYTES;
    if (dim * 4 < PREFETCH_BYTES) {
        size_t rows_ahead = row_stride_bytes ? PREFETCH_BYTES / row_stride_bytes : 0;
        ahead_bytes = (rows_ahead ? rows_ahead : 1) * row_stride_bytes;
    }
    size_t i = 0;

    for (; i + 4 <= row_count; i += 4) {
        const float *a = row_at(rows, row_stride_bytes, i);
        const float *b = row_at(a, row_stride_bytes, 1);
        const float *c = row_at(a, row_stride_bytes, 2);
        const float *d = row_at(a, row_stride_bytes, 3);
        __m512 x0, x1, x2, x3;
        sum_two(op, query, a, b, (const char *)a + ahead_bytes, (const char *)b + ahead_bytes, dim,
                &x0, &x1);
        sum_two(op, query, c, d, (const char *)c + ahead_bytes, (const char *)d + ahead_bytes, dim,
                &x2, &x3);
        _mm_storeu_ps(out + i, fold_four(x0, x1, x2, x3));
    }
    for (; i < row_count; i++)
        out[i] = fold(sum_one(op, query, row_at(rows, row_stride_bytes, i), dim));
}

/* ---- Several queries ---- */

/* One chunk of a row, loaded once, with one chunk of each of four queries. */
INLINE void add_four(enum operation op, const float *const *queries, size_t i, __m512 row,
                     __m512 *sum_a, __m512 *sum_b, __m512 *sum_c, __m512 *sum_d)
{
    *sum_a = accumulate(op, *sum_a, _mm512_loadu_ps(queries[0] + i), row);
    *sum_b = accumulate(op, *sum_b, _mm512_loadu_ps(queries[1] + i), row);
    *sum_c = accumulate(op, *sum_c, _mm512_loadu_ps(queries[2] + i), row);
    *sum_d = accumulate(op, *sum_d, _mm512_loadu_ps(queries[3] + i), row);
}

/* fold(sum_one) of four queries with one row, in four lanes. */
INLINE __m128 value_four(enum operation op, const float *const *queries, const float *row,
                         const char *ahead, size_t dim)
{
    struct sums a = zero_sums(), b = zero_sums(), c = zero_sums(), d = zero_sums();
    size_t i = 0;

    for (; i + 64 <= dim; i += 64) {
        prefetch_line(ahead + i * 4);
        add_four(op, queries, i, _mm512_loadu_ps(row + i), &a.s0, &b.s0, &c.s0, &d.s0);
        prefetch_line(ahead + i * 4 + 64);
        add_four(op, queries, i + 16, _mm512_loadu_ps(row + i + 16), &a.s1, &b.s1, &c.s1, &d.s1);
        prefetch_line(ahead + i * 4 + 128);
        add_four(op, queries, i + 32, _mm512_loadu_ps(row + i + 32), &a.s2, &b.s2, &c.s2, &d.s2);
        prefetch_line(ahead + i * 4 + 192);
        add_four(op, queries, i + 48, _mm512_loadu_ps(row + i + 48), &a.s3, &b.s3, &c.s3, &d.s3);
    }
    size_t left = dim - i;
    if (left >= 16) add_four(op, queries, i, _mm512_loadu_ps(row + i), &a.s0, &b.s0, &c.s0, &d.s0);
    if (left >= 32)
        add_four(op, queries, i + 16, _mm512_loadu_ps(row + i + 16), &a.s1, &b.s1, &c.s1, &d.s1);
    if (left >= 48)
        add_four(op, queries, i + 32, _mm512_loadu_ps(row + i + 32), &a.s2, &b.s2, &c.s2, &d.s2);
    i += left / 16 * 16;
    if (i < dim) {
        __mmask16 mask = tail_mask(dim - i);
        __m512 r = _mm512_maskz_loadu_ps(mask, row + i);
        a.s3 = accumulate(op, a.s3, _mm512_maskz_loadu_ps(mask, queries[0] + i), r);
        b.s3 = accumulate(op, b.s3, _mm512_maskz_loadu_ps(mask, queries[1] + i), r);
        c.s3 = accumulate(op, c.s3, _mm512_maskz_loadu_ps(mask, queries[2] + i), r);
        d.s3 = accumulate(op, d.s3, _mm512_maskz_loadu_ps(mask, queries[3] + i), r);
    }
    return fold_four(total(a), total(b), total(c), total(d));
}

/* Four queries at a time, so that rows are loaded a quarter as often: from the second cache it is
 * the rows that a scan waits for.  Fewer than four are as fast one by one. */
INLINE void scan_block(enum operation op, const float *const *queries, size_t query_count,
                       const float *rows, size_t row_stride_bytes, size_t row_count, size_t dim,
                       float *const *out)
{
    size_t q = 0;

    for (; q + 4 <= query_count; q += 4) {
        for (size_t i = 0; i < row_count; i++) {
            const float *row = row_at(rows, row_stride_bytes, i);
            float values[4];
            _mm_storeu_ps(
                values, value_four(op, queries + q, row, (const char *)row + PREFETCH_BYTES, dim));
            for (size_t j = 0; j < 4; j++) out[q + j][i] = values[j];
        }
    }
    for (; q < query_count; q++)
        scan_many(op, queries[q], rows, row_stride_bytes, row_count, dim, out[q]);
}

float dense_dot_f32_avx512(const float *a, const float *b, size_t dim)
{
    return fold(sum_one(DOT, a, b, dim));
}

float dense_l2_f32_avx512(const float *a, const float *b, size_t dim)
{
    return fold(sum_one(L2, a, b, dim));
}

void dense_dot_many_f32_avx512(const float *query, const float *rows, size_t row_stride_bytes,
                               size_t row_count, size_t dim, float *out)
{
    scan_many(DOT, query, rows, row_stride_bytes, row_count, dim, out);
}

void dense_l2_many_f32_avx512(const float *query, const float *rows, size_t row_stride_bytes,
                              size_t row_count, size_t dim, float *out)
{
    scan_many(L2, query, rows, row_stride_bytes, row_count, dim, out);
}

void dense_dot_block_f32_avx512(const float *const *queries, size_t query_count, const float *rows,
                                size_t row_stride_bytes, size_t row_count, size_t dim,
                                float *const *out)
{
    scan_block(DOT, queries, query_count, rows, row_stride_bytes, row_count, dim, out);
}

void dense_l2_block_f32_avx512(const float *const *queries, size_t query_count, const float *rows,
                               size_t row_stride_bytes, size_t row_count, size_t dim,
                               float *const *out)
{
    scan_block(L2, queries, query_count, rows, row_stride_bytes, row_count, dim, out);
}
#endif
