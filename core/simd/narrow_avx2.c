/* SPDX-License-Identifier: Apache-2.0 */
/* narrow_avx2.c — dot and squared distance over narrow rows with AVX2, FMA and F16C; how rows are
 * widened and packed, for the levels above as well.
 *
 * WHAT        dense_avx2.c with other loads, as narrow_avx512.c is dense_avx512.c: eight numbers
 *             are widened as they are loaded, and then go the way of floats.
 * WHY SO      There are no masked loads of less than four bytes: tails are copied, number by
 *             number, to where a whole chunk can be loaded from.
 * INVARIANTS, THREADS, FAILURE: see narrow_kernels.h.
 */
#include "simd/narrow_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { PREFETCH_BYTES = 2048, LANES = 8, BLOCK = 4 * LANES, LINE = 64 };

/* Always constants: each use is compiled for its own. */
enum operation { DOT, L2 };
enum number_type { F16, BF16, I8, U8 };

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

INLINE size_t bytes_of(enum number_type type)
{
    return type == F16 || type == BF16 ? 2 : 1;
}

/* Numbers i to i + 7. */
INLINE __m256 load(enum number_type type, const char *row, size_t i)
{
    const void *at = row + i * bytes_of(type);
    if (type == F16) return _mm256_cvtph_ps(_mm_loadu_si128(at));
    if (type == BF16) {
        __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(at));
        return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
    }
    __m128i bytes = _mm_loadl_epi64(at);
    return _mm256_cvtepi32_ps(type == I8 ? _mm256_cvtepi8_epi32(bytes)
                                         : _mm256_cvtepu8_epi32(bytes));
}

/* The `count` < 8 numbers from i on, and 0. */
INLINE __m256 load_tail(enum number_type type, const char *row, size_t i, size_t count)
{
    char chunk[2 * LANES] = {0};
    const char *at = row + i * bytes_of(type);
    for (size_t j = 0; j < count * bytes_of(type); j++) chunk[j] = at[j];
    return load(type, chunk, 0);
}

/* The first `count` < 8 lanes. */
INLINE __m256i tail_mask(size_t count)
{
    static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones_then_zeros + 8 - count));
}

INLINE __m256 accumulate(enum operation op, __m256 sum, __m256 a, __m256 b)
{
    if (op == DOT) return _mm256_fmadd_ps(a, b, sum);
    __m256 d = _mm256_sub_ps(a, b);
    return _mm256_fmadd_ps(d, d, sum);
}

INLINE void add_one(enum operation op, enum number_type type, const float *query, const char *row,
                    size_t i, __m256 *sum)
{
    *sum = accumulate(op, *sum, _mm256_loadu_ps(query + i), load(type, row, i));
}

INLINE void add_two(enum operation op, enum number_type type, const float *query, const char *row_a,
                    const char *row_b, size_t i, __m256 *sum_a, __m256 *sum_b)
{
    __m256 q = _mm256_loadu_ps(query + i);
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

/* x of dense_avx2.c for one row. */
INLINE __m256 sum_one(enum operation op, enum number_type type, const float *query, const char *row,
                      size_t dim)
{
    struct sums s = zero_sums();
    size_t i = 0;

    for (; i + BLOCK <= dim; i += BLOCK) {
        add_one(op, type, query, row, i, &s.s0);
        add_one(op, type, query, row, i + 8, &s.s1);
        add_one(op, type, query, row, i + 16, &s.s2);
        add_one(op, type, query, row, i + 24, &s.s3);
    }
    size_t left = dim - i;
    if (left >= 8) add_one(op, type, query, row, i, &s.s0);
    if (left >= 16) add_one(op, type, query, row, i + 8, &s.s1);
    if (left >= 24) add_one(op, type, query, row, i + 16, &s.s2);
    i += left / LANES * LANES;
    if (i < dim)
        s.s3 = accumulate(op, s.s3, _mm256_maskload_ps(query + i, tail_mask(dim - i)),
                          load_tail(type, row, i, dim - i));
    return total(s);
}

/* sum_one of two rows at once; as many bytes ahead_bytes further on are prefetched on the way. */
INLINE void sum_two(enum operation op, enum number_type type, const float *query, const char *row_a,
                    const char *row_b, size_t ahead_bytes, size_t dim, __m256 *out_a, __m256 *out_b)
{
    struct sums a = zero_sums(), b = zero_sums();
    const char *ahead_a = row_a + ahead_bytes, *ahead_b = row_b + ahead_bytes;
    size_t bytes = bytes_of(type), i = 0;

    for (; i + BLOCK <= dim; i += BLOCK) {
        prefetch_line(ahead_a + i * bytes);
        add_two(op, type, query, row_a, row_b, i, &a.s0, &b.s0);
        add_two(op, type, query, row_a, row_b, i + 8, &a.s1, &b.s1);
        prefetch_line(ahead_b + i * bytes);
        add_two(op, type, query, row_a, row_b, i + 16, &a.s2, &b.s2);
        add_two(op, type, query, row_a, row_b, i + 24, &a.s3, &b.s3);
    }
    if (i < dim) {
        size_t left = dim - i;
        prefetch_line(ahead_a + i * bytes);
        prefetch_line(ahead_b + i * bytes);
        if (left >= 8) add_two(op, type, query, row_a, row_b, i, &a.s0, &b.s0);
        if (left >= 16) add_two(op, type, query, row_a, row_b, i + 8, &a.s1, &b.s1);
        if (left >= 24) add_two(op, type, query, row_a, row_b, i + 16, &a.s2, &b.s2);
        i += left / LANES * LANES;
        if (i < dim) {
            __m256 q = _mm256_maskload_ps(query + i, tail_mask(dim - i));
            a.s3 = accumulate(op, a.s3, q, load_tail(type, row_a, i, dim - i));
            b.s3 = accumulate(op, b.s3, q, load_tail(type, row_b, i, dim - i));
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

INLINE void scan_many(enum operation op, enum number_type type, const float *query,
                      const void *rows, size_t row_stride_bytes, size_t row_count, size_t dim,
                      float *out)
{
    /* Whole rows ahead; within the row where rows are long (dense_avx2.c). */
    size_t ahead_bytes = PREFETCH_BYTES, i = 0;
    if (dim * bytes_of(type) < PREFETCH_BYTES) {
        size_t rows_ahead = row_stride_bytes ? PREFETCH_BYTES / row_stride_bytes : 0;
        ahead_bytes = (rows_ahead ? rows_ahead : 1) * row_stride_bytes;
    }
    const char *row = rows;

    for (; i + 4 <= row_count; i += 4, row += 4 * row_stride_bytes) {
        const char *c = row + 2 * row_stride_bytes;
        __m256 x0, x1, x2, x3;
        sum_two(op, type, query, row, row + row_stride_bytes, ahead_bytes, dim, &x0, &x1);
        sum_two(op, type, query, c, c + row_stride_bytes, ahead_bytes, dim, &x2, &x3);
        _mm_storeu_ps(out + i, fold_four(x0, x1, x2, x3));
    }
    for (; i < row_count; i++, row += row_stride_bytes)
        out[i] = fold(sum_one(op, type, query, row, dim));
}

/* ---- Rows ---- */

INLINE void widen(enum number_type type, const void *row, size_t dim, float *out)
{
    size_t i = 0;
    for (; i + LANES <= dim; i += LANES) _mm256_storeu_ps(out + i, load(type, row, i));
    if (i < dim) _mm256_maskstore_ps(out + i, tail_mask(dim - i), load_tail(type, row, i, dim - i));
}

/* To the nearest bf16, ties to even; a NaN stays one.  Each in the lower half of its lane. */
INLINE __m256i bf16_of(__m256 f)
{
    __m256i bits = _mm256_castps_si256(f), upper = _mm256_srli_epi32(bits, 16);
    __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    __m256i sum = _mm256_add_epi32(_mm256_add_epi32(bits, odd), _mm256_set1_epi32(0x7fff));
    __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
    __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(f, f, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(_mm256_srli_epi32(sum, 16), quiet, is_nan);
}

/* Both halves of x, which AVX2 packs apart, one behind the other. */
INLINE __m128i join(__m256i x)
{
    return _mm_unpacklo_epi64(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
}

/* Eight numbers; of bytes the lower half. */
INLINE __m128i pack_chunk(enum number_type type, __m256 f)
{
    if (type == F16) return _mm256_cvtps_ph(f, _MM_FROUND_TO_NEAREST_INT);
    if (type == BF16) {
        __m256i x = bf16_of(f);
        return join(_mm256_packus_epi32(x, x));
    }
    __m256 most = _mm256_set1_ps(type == U8 ? 255 : 127);
    __m256 least = _mm256_set1_ps(type == U8 ? 0 : -128);
    __m256i x = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(f, least), most));
    __m128i halves = join(_mm256_packs_epi32(x, x));
    return type == U8 ? _mm_packus_epi16(halves, halves) : _mm_packs_epi16(halves, halves);
}

INLINE void pack(enum number_type type, const float *floats, size_t dim, char *row)
{
    size_t bytes = bytes_of(type), i = 0;
    char chunk[2 * LANES];

    for (; i + LANES <= dim; i += LANES) {
        __m128i packed = pack_chunk(type, _mm256_loadu_ps(floats + i));
        if (bytes == 2) _mm_storeu_si128((void *)(row + i * bytes), packed);
        else _mm_storel_epi64((void *)(row + i), packed);
    }
    if (i == dim) return;
    __m256 tail = _mm256_maskload_ps(floats + i, tail_mask(dim - i));
    _mm_storeu_si128((void *)chunk, pack_chunk(type, tail));
    memcpy(row + i * bytes, chunk, (dim - i) * bytes);
}

/* Sixteen registers hold the sums of two rows and no more: queries take turns. */
#define AVX2_FORMS(op, OP, type, TYPE)                                                             \
    float narrow_##op##_##type##_avx2(const float *query, const void *row, size_t dim)             \
    {                                                                                              \
        return fold(sum_one(OP, TYPE, query, row, dim));                                           \
    }                                                                                              \
    void narrow_##op##_many_##type##_avx2(const float *query, const void *rows,                    \
                                          size_t row_stride_bytes, size_t row_count, size_t dim,   \
                                          float *out)                                              \
    {                                                                                              \
        scan_many(OP, TYPE, query, rows, row_stride_bytes, row_count, dim, out);                   \
    }                                                                                              \
    void narrow_##op##_block_##type##_avx2(const float *const *queries, size_t query_count,        \
                                           const void *rows, size_t row_stride_bytes,              \
                                           size_t row_count, size_t dim, float *const *out)        \
    {                                                                                              \
        for (size_t q = 0; q < query_count; q++)                                                   \
            narrow_##op##_many_##type##_avx2(queries[q], rows, row_stride_bytes, row_count, dim,   \
                                             out[q]);                                              \
    }
#define AVX2_KERNELS(type, bytes, TYPE)                                                            \
    AVX2_FORMS(dot, DOT, type, TYPE)                                                               \
    AVX2_FORMS(l2, L2, type, TYPE)                                                                 \
    void narrow_widen_##type##_avx2(const void *row, size_t dim, float *out)                       \
    {                                                                                              \
        widen(TYPE, row, dim, out);                                                                \
    }                                                                                              \
    void narrow_pack_##type##_avx2(const float *floats, size_t dim, void *row)                     \
    {                                                                                              \
        pack(TYPE, floats, dim, row);                                                              \
    }
NARROW_TYPES(AVX2_KERNELS)
#endif
