/* SPDX-License-Identifier: Apache-2.0 */
/* dense_neon.c — f32 dot and squared distance with NEON: sums_neon.h, of floats. */
#include "simd/kernels.h"

#if defined(__aarch64__)
#include "simd/sums_neon.h"

#define NEON_FORMS(op, OP)                                                                         \
    float dense_##op##_f32_neon(const float *a, const float *b, size_t dim)                        \
    {                                                                                              \
        return fold(sum_one(OP, F32, a, (const char *)b, dim));                                    \
    }                                                                                              \
    void dense_##op##_many_f32_neon(const float *query, const float *rows,                         \
                                    size_t row_stride_bytes, size_t row_count, size_t dim,         \
                                    float *out)                                                    \
    {                                                                                              \
        scan_many(OP, F32, query, rows, row_stride_bytes, row_count, dim, out);                    \
    }                                                                                              \
    void dense_##op##_block_f32_neon(const float *const *queries, size_t query_count,              \
                                     const float *rows, size_t row_stride_bytes, size_t row_count, \
                                     size_t dim, float *const *out)                                \
    {                                                                                              \
        scan_block(OP, F32, queries, query_count, rows, row_stride_bytes, row_count, dim, out);    \
    }
NEON_FORMS(dot, DOT)
NEON_FORMS(l2, L2)
#endif
