/* SPDX-License-Identifier: Apache-2.0 */
/* dense_serial.c — the reference kernels: plain C, built without vectoriser and without contraction
 * to FMA, so that they give the same bits on every machine. */
#include "simd/kernels.h"

static float sum_tree(const float sums[8], float tail)
{
    float even = (sums[0] + sums[4]) + (sums[2] + sums[6]);
    float odd = (sums[1] + sums[5]) + (sums[3] + sums[7]);
    return (even + odd) + tail;
}

float dense_dot_f32_serial(const float *a, const float *b, size_t dim)
{
    float sums[8] = {0};
    float tail = 0;
    size_t i = 0;

    for (; i + 8 <= dim; i += 8)
        for (size_t lane = 0; lane < 8; lane++) sums[lane] += a[i + lane] * b[i + lane];
    for (; i < dim; i++) tail += a[i] * b[i];
    return sum_tree(sums, tail);
}

float dense_l2_f32_serial(const float *a, const float *b, size_t dim)
{
    float sums[8] = {0};
    float tail = 0;
    size_t i = 0;

    for (; i + 8 <= dim; i += 8) {
        for (size_t lane = 0; lane < 8; lane++) {
            float d = a[i + lane] - b[i + lane];
            sums[lane] += d * d;
        }
    }
    for (; i < dim; i++) {
        float d = a[i] - b[i];
        tail += d * d;
    }
    return sum_tree(sums, tail);
}

static const float *row_at(const float *base, size_t row_stride_bytes, size_t row_index)
{
    return (const float *)(const void *)((const char *)base + row_index * row_stride_bytes);
}

static void scan_many(dense_pair_f32_fn *pair, const float *query, const float *rows,
                      size_t row_stride_bytes, size_t row_count, size_t dim, float *out)
{
    for (size_t i = 0; i < row_count; i++)
        out[i] = pair(query, row_at(rows, row_stride_bytes, i), dim);
}

/* The other forms are the pair, row by row. */
#define SERIAL_BATCHES(kernel)                                                                     \
    void dense_##kernel##_many_f32_serial(const float *query, const float *rows,                   \
                                          size_t row_stride_bytes, size_t row_count, size_t dim,   \
                                          float *out)                                              \
    {                                                                                              \
        scan_many(dense_##kernel##_f32_serial, query, rows, row_stride_bytes, row_count, dim,      \
                  out);                                                                            \
    }                                                                                              \
    void dense_##kernel##_block_f32_serial(const float *const *queries, size_t query_count,        \
                                           const float *rows, size_t row_stride_bytes,             \
                                           size_t row_count, size_t dim, float *const *out)        \
    {                                                                                              \
        for (size_t q = 0; q < query_count; q++)                                                   \
            scan_many(dense_##kernel##_f32_serial, queries[q], rows, row_stride_bytes, row_count,  \
                      dim, out[q]);                                                                \
    }
#define OWN_BATCHES(metric, number, text, words, names, kernel, value, ...)                        \
    DENSE_F32_OWN(value, SERIAL_BATCHES(kernel))
LYNSE_METRICS(OWN_BATCHES)
