/* SPDX-License-Identifier: Apache-2.0 */
/* dense_avx2.c — f32 dot and squared distance with AVX2 and FMA.
 *
 * WHAT        Every value is made the same way.  Chunks of 8 floats go round robin to four
 *             accumulators s0 to s3; of what is left behind the last block of four, whole chunks
 *             to s0, s1, s2 and the masked tail to s3.  Then, with x = (s0 + s1) + (s2 + s3):
 *                 z[j] = x[j] + x[j + 4]       j < 4
 *                 value = (z[0] + z[2]) + (z[1] + z[3])
 *             A pair folds one register; a batch folds the registers of four rows at once, lane by
 *             lane by the same tree: that is how the forms stay bit-identical (kernels.h (1)).
 *             Every product is an explicit FMA, so no compiler flag can change a value.
 * WHY SO      Two rows per step share the loads of the query, and their accumulators fit the
 *             sixteen registers.  Prefetches are spread among the loads (dense_avx512.c).
 * INVARIANTS, THREADS, FAILURE: see kernels.h.
 */
#include "simd/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { PREFETCH_BYTES = 2048 }; /* measured: 1 and 4 KiB are a little worse, none a fifth */

enum operation { DOT, L2 }; /* always a constant: each use is compiled for its own */

struct sums {
    __m256 s0, s1, s2, s3;
};

INLINE struct sums zero_sums(void)
{
    __m256 zero = _mm256_setzero_ps();
    return (struct sums){zero, zero, zero, zero};
}

INLINE __m256 total(struct sums s)
{
    return _mm256_add_ps(_mm256_add_ps(s.s0, s.s1), _mm256_add_ps(s.s2, s.s3));
}

INLINE __m256 accumulate(enum operation op, __m256 sum, __m256 a, __m256 b)
{
    if (op == DOT) return _mm256_fmadd_ps(a, b, sum);
    __m256 d = _mm256_sub_ps(a, b);
    return _mm256_fmadd_ps(d, d, sum);
}

/* One chunk of the query with one chunk of one row. */
INLINE void add_one(enum operation op, const float *query, const float *row, __m256 *sum)
{
    *sum = accumulate(op, *sum, _mm256_loadu_ps(query), _mm256_loadu_ps(row));
}

/* One chunk of the query, loaded once, with one chunk of each of two rows. */
INLINE void add_two(enum operation op, const float *query, const float *row_a, const float *row_b,
                    __m256 *sum_a, __m256 *sum_b)
{
    __m256 q = _mm256_loadu_ps(query);
    *sum_a = accumulate(op, *sum_a, q, _mm256_loadu_ps(row_a));
    *sum_b = accumulate(op, *sum_b, q, _mm256_loadu_ps(row_b));
}

/* The empty statements keep a prefetch where it is written. */
INLINE void prefetch_line(const char *p)
{
    __asm__ volatile("" ::: "memory");
    _mm_prefetch(p, _MM_HINT_T0);
    __asm__ volatile("" ::: "memory");
}

/* The first `count` < 8 lanes. */
INLINE __m256i tail_mask(size_t count)
{
    static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones_then_zeros + 8 - count));
}

/* x of the essay for one row. */
INLINE __m256 sum_one(enum operation op, const float *query, const float *row, size_t dim)
{
    struct sums s = zero_sums();
    size_t i = 0;

    for (; i + 32 <= dim; i += 32) {
        add_one(op, query + i, row + i, &s.s0);
        add_one(op, query + i + 8, row + i + 8, &s.s1);
        add_one(op, query + i + 16, row + i + 16, &s.s2);
        add_one(op, query + i + 24, row + i + 24, &s.s3);
    }
    size_t left = dim - i;
    if (left >= 8) add_one(op, query + i, row + i, &s.s0);
    if (left >= 16) add_one(op, query + i + 8, row + i + 8, &s.s1);
    if (left >= 24) add_one(op, query + i + 16, row + i + 16, &s.s2);
    i += left / 8 * 8;
    if (i < dim) {
        __m256i mask = tail_mask(dim - i);
        s.s3 = accumulate(op, s.s3, _mm256_maskload_ps(query + i, mask),
                          _mm256_maskload_ps(row + i, mask));
    }
    return total(s);
}

/* sum_one of two rows at once; the blocks at ahead_a and ahead_b, dim floats each, are prefetched
 * on the way. */
INLINE void sum_two(enum operation op, const float *query, const float *row_a, const float *row_b,
                    const char *ahead_a, const char *ahead_b, size_t dim, __m256 *out_a,
                    __m256 *out_b)
{
    struct sums a = zero_sums(), b = zero_sums();
    size_t i = 0;

    for (; i + 32 <= dim; i += 32) {
        prefetch_line(ahead_a + i * 4);
        add_two(op, query + i, row_a + i, row_b + i, &a.s0, &b.s0);
        prefetch_line(ahead_b + i * 4);
        add_two(op, query + i + 8, row_a + i + 8, row_b + i + 8, &a.s1, &b.s1);
        prefetch_line(ahead_a + i * 4 + 64);
        add_two(op, query + i + 16, row_a + i + 16, row_b + i + 16, &a.s2, &b.s2);
        prefetch_line(ahead_b + i * 4 + 64);
        add_two(op, query + i + 24, row_a + i + 24, row_b + i + 24, &a.s3, &b.s3);
    }
    if (i < dim) {
        size_t left = dim - i;
        for (size_t line = i; line < dim; line += 16) {
            prefetch_line(ahead_a + line * 4);
            prefetch_line(ahead_b + line * 4);
        }
        if (left >= 8) add_two(op, query + i, row_a + i, row_b + i, &a.s0, &b.s0);
        if (left >= 16) add_two(op, query + i + 8, row_a + i + 8, row_b + i + 8, &a.s1, &b.s1);
        if (left >= 24) add_two(op, query + i + 16, row_a + i + 16, row_b + i + 16, &a.s2, &b.s2);
        i += left / 8 * 8;
        if (i < dim) {
            __m256i mask = tail_mask(dim - i);
            __m256 q = _mm256_maskload_ps(query + i, mask);
            a.s3 = accumulate(op, a.s3, q, _mm256_maskload_ps(row_a + i, mask));
            b.s3 = accumulate(op, b.s3, q, _mm256_maskload_ps(row_b + i, mask));
        }
    }
    *out_a = total(a);
    *out_b = total(b);
}

INLINE float fold(__m256 x)
{
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}

/* Lane r of the result is fold(x<r>). */
INLINE __m128 fold_four(__m256 x0, __m256 x1, __m256 x2, __m256 x3)
{
    /* z of rows 0 and 1 side by side, and of 2 and 3; then the lanes of an upper and a lower. */
    __m256 z01 =
        _mm256_add_ps(_mm256_permute2f128_ps(x0, x1, 0x20), _mm256_permute2f128_ps(x0, x1, 0x31));
    __m256 z23 =
        _mm256_add_ps(_mm256_permute2f128_ps(x2, x3, 0x20), _mm256_permute2f128_ps(x2, x3, 0x31));
    __m256 mixed = _mm256_add_ps(_mm256_unpacklo_ps(z01, z23), _mm256_unpackhi_ps(z01, z23));
    mixed = _mm256_add_ps(mixed, _mm256_permute_ps(mixed, 0x4e));
    return _mm_unpacklo_ps(_mm256_castps256_ps128(mixed), _mm256_extractf128_ps(mixed, 1));
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
        __m256 x0, x1, x2, x3;
        sum_two(op, query, a, b, (const char *)a + ahead_bytes, (const char *)b + ahead_bytes, dim,
                &x0, &x1);
        sum_two(op, query, c, d, (const char *)c + ahead_bytes, (const char *)d + ahead_bytes, dim,
                &x2, &x3);
        _mm_storeu_ps(out + i, fold_four(x0, x1, x2, x3));
    }
    for (; i < row_count; i++)
        out[i] = fold(sum_one(op, query, row_at(rows, row_stride_bytes, i), dim));
}

float dense_dot_f32_avx2(const float *a, const float *b, size_t dim)
{
    return fold(sum_one(DOT, a, b, dim));
}

float dense_l2_f32_avx2(const float *a, const float *b, size_t dim)
{
    return fold(sum_one(L2, a, b, dim));
}

void dense_dot_many_f32_avx2(const float *query, const float *rows, size_t row_stride_bytes,
                             size_t row_count, size_t dim, float *out)
{
    scan_many(DOT, query, rows, row_stride_bytes, row_count, dim, out);
}

void dense_l2_many_f32_avx2(const float *query, const float *rows, size_t row_stride_bytes,
                            size_t row_count, size_t dim, float *out)
{
    scan_many(L2, query, rows, row_stride_bytes, row_count, dim, out);
}

/* Sixteen registers hold the sums of two rows and no more: queries take turns. */
#define AVX2_BLOCKS(kernel)                                                                        \
    void dense_##kernel##_block_f32_avx2(const float *const *queries, size_t query_count,          \
                                         const float *rows, size_t row_stride_bytes,               \
                                         size_t row_count, size_t dim, float *const *out)          \
    {                                                                                              \
        for (size_t q = 0; q < query_count; q++)                                                   \
            dense_##kernel##_many_f32_avx2(queries[q], rows, row_stride_bytes, row_count, dim,     \
                                           out[q]);                                                \
    }
AVX2_BLOCKS(dot)
AVX2_BLOCKS(l2)
#endif
