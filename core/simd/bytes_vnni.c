/* SPDX-License-Identifier: Apache-2.0 */
/* bytes_vnni.c — dot and squared distance of two rows of bytes with AVX-512 and its byte products.
 *
 * WHAT        The processor multiplies an unsigned byte by a signed one and adds four products into
 *             32 bits.  A dot moves one side by 128, by flipping its highest bit:
 *                 i8    sum (r + 128) * q - 128 * sum q
 *                 u8    sum q * (r - 128) + 128 * sum q
 *             so that what has to be added depends on the query alone.  A squared distance takes
 *             the differences as unsigned bytes and squares them in 16 bits, in whatever order.
 *             Sums wrap on the way, and are right in the end (bytes_kernels.h, VALUES).
 * WHY SO      Four rows per step share the loads of the query, and hide the latency of the product.
 *             Prefetches as dense_avx512.c has them.
 * INVARIANTS, THREADS, FAILURE: see bytes_kernels.h.
 */
#include "simd/bytes_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { PREFETCH_BYTES = 4096, LANES = 64 };

/* Always constants: each use is compiled for its own. */
enum operation { DOT, L2 };
enum number_type { I8, U8 };

/* Those of the bytes at p that the mask has, and 0. */
INLINE __m512i load(const char *p, __mmask64 mask)
{
    return _mm512_maskz_loadu_epi8(mask, p);
}

/* The lanes of the chunk that begins at i. */
INLINE __mmask64 lanes_at(size_t i, size_t dim)
{
    return dim - i >= LANES ? ~0ull : (1ull << (dim - i)) - 1;
}

INLINE __m512i accumulate(enum operation op, enum number_type type, __m512i sum, __m512i query,
                          __m512i row)
{
    if (op == DOT) {
        __m512i moved = _mm512_xor_si512(row, _mm512_set1_epi8(-128));
        return type == I8 ? _mm512_dpbusd_epi32(sum, moved, query)
                          : _mm512_dpbusd_epi32(sum, query, moved);
    }
    __m512i most = type == I8 ? _mm512_max_epi8(query, row) : _mm512_max_epu8(query, row);
    __m512i least = type == I8 ? _mm512_min_epi8(query, row) : _mm512_min_epu8(query, row);
    __m512i d = _mm512_sub_epi8(most, least), zero = _mm512_setzero_si512();
    __m512i low = _mm512_unpacklo_epi8(d, zero), high = _mm512_unpackhi_epi8(d, zero);
    return _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(sum, low, low), high, high);
}

/* sum, and those of the bytes of a query. */
INLINE __m512i add_bytes(enum number_type type, __m512i sum, __m512i query)
{
    const __m512i ones = _mm512_set1_epi8(1);
    return type == I8 ? _mm512_dpbusd_epi32(sum, ones, query)
                      : _mm512_dpbusd_epi32(sum, query, ones);
}

/* What a dot adds to the sum of its products. */
INLINE uint32_t moved_by(enum number_type type, __m512i bytes_of_query)
{
    uint32_t moved = (uint32_t)_mm512_reduce_add_epi32(bytes_of_query) * 128;
    return type == I8 ? 0 - moved : moved;
}

INLINE uint32_t sum_one(enum operation op, enum number_type type, const char *query,
                        const char *row, size_t dim)
{
    __m512i sum = _mm512_setzero_si512(), bytes = sum;
    size_t i = 0;

    for (; i + LANES <= dim; i += LANES) {
        __m512i q = _mm512_loadu_si512(query + i);
        sum = accumulate(op, type, sum, q, _mm512_loadu_si512(row + i));
        if (op == DOT) bytes = add_bytes(type, bytes, q);
    }
    if (i < dim) {
        __mmask64 lanes = lanes_at(i, dim);
        __m512i q = load(query + i, lanes);
        sum = accumulate(op, type, sum, q, load(row + i, lanes));
        if (op == DOT) bytes = add_bytes(type, bytes, q);
    }
    return (uint32_t)_mm512_reduce_add_epi32(sum) + (op == DOT ? moved_by(type, bytes) : 0);
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

INLINE void prefetch_line(const char *p)
{
    __asm__ volatile("" ::: "memory");
    _mm_prefetch(p, _MM_HINT_T0);
    __asm__ volatile("" ::: "memory");
}

/* The sums of four rows; as many bytes PREFETCH_BYTES further on are prefetched. */
INLINE __m128i sum_four(enum operation op, enum number_type type, const char *query,
                        const char *row, size_t stride, size_t dim)
{
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    const char *row_c = row + 2 * stride;

    for (size_t i = 0; i < dim; i += LANES) {
        const char *ahead = row + i + PREFETCH_BYTES;
        __mmask64 lanes = lanes_at(i, dim);
        __m512i q = load(query + i, lanes);
        prefetch_line(ahead);
        a = accumulate(op, type, a, q, load(row + i, lanes));
        prefetch_line(ahead + stride);
        b = accumulate(op, type, b, q, load(row + stride + i, lanes));
        prefetch_line(ahead + 2 * stride);
        c = accumulate(op, type, c, q, load(row_c + i, lanes));
        prefetch_line(ahead + 3 * stride);
        d = accumulate(op, type, d, q, load(row_c + stride + i, lanes));
    }
    return fold_four(a, b, c, d);
}

INLINE void scan_many(enum operation op, enum number_type type, const char *query, const char *row,
                      size_t stride, size_t row_count, size_t dim, int32_t *out)
{
    __m512i bytes = _mm512_setzero_si512();
    size_t i = 0;

    for (size_t j = 0; op == DOT && j < dim; j += LANES)
        bytes = add_bytes(type, bytes, load(query + j, lanes_at(j, dim)));
    const uint32_t moved = op == DOT ? moved_by(type, bytes) : 0;

    for (; i + 4 <= row_count; i += 4, row += 4 * stride) {
        __m128i sums = sum_four(op, type, query, row, stride, dim);
        sums = _mm_add_epi32(sums, _mm_set1_epi32((int32_t)moved));
        _mm_storeu_si128((__m128i *)(void *)(out + i), sums);
    }
    for (; i < row_count; i++, row += stride) out[i] = (int32_t)sum_one(op, type, query, row, dim);
}

#define VNNI_KERNEL(op, OP, type, TYPE)                                                            \
    int32_t bytes_##op##_##type##_vnni(const void *a, const void *b, size_t dim)                   \
    {                                                                                              \
        return (int32_t)sum_one(OP, TYPE, a, b, dim);                                              \
    }                                                                                              \
    void bytes_##op##_many_##type##_vnni(const void *query, const void *rows,                      \
                                         size_t row_stride_bytes, size_t row_count, size_t dim,    \
                                         int32_t *out)                                             \
    {                                                                                              \
        scan_many(OP, TYPE, query, rows, row_stride_bytes, row_count, dim, out);                   \
    }
BYTES_KERNELS(VNNI_KERNEL)
#endif
