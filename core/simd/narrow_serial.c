/* SPDX-License-Identifier: Apache-2.0 */
/* narrow_serial.c — the reference kernels over narrow rows: plain C.
 *
 * WHAT        dense_serial.c with other loads, built as that is and with its order of sums.  f16 is
 *             taken apart and put together by its bits, since no type of ISO C has them.
 * INVARIANTS, THREADS, FAILURE: see narrow_kernels.h.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "simd/narrow_kernels.h"

enum number_type { F16, BF16, I8, U8 }; /* always a constant: each use is compiled for its own */
enum operation { DOT, L2 };

static inline float float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t bits_of_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* IEEE 754-2019, 3.4: 1 sign, 5 exponent and 10 fraction bits. */
static inline float float_of_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = half >> 10 & 0x1f, fraction = half & 0x3ffu;

    if (exponent == 0) {
        float small = (float)fraction * 0x1p-24f;
        return sign ? -small : small;
    }
    if (exponent == 0x1f)
        return float_of_bits(sign | 0x7f800000u | fraction << 13 | (fraction ? 0x400000u : 0));
    return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

static inline uint16_t f16_of_float(float f)
{
    uint32_t bits = bits_of_float(f), sign = bits >> 16 & 0x8000u;
    float size = fabsf(f);

    if (!(size < 65520.0f)) /* halfway from the largest to what would be next */
        return (uint16_t)(sign | (isnan(f) ? 0x7e00u | (bits >> 13 & 0x1ffu) : 0x7c00u));
    if (size < 0x1p-14f) /* a multiple of 2^-24; 1024 of them are the least normal number */
        return (uint16_t)(sign | (uint32_t)rintf(size * 0x1p24f));
    uint32_t odd = bits >> 13 & 1;
    uint32_t rounded = (bits & 0x7fffffffu) + 0xfffu + odd;
    return (uint16_t)(sign | ((rounded >> 13) - (112u << 10)));
}

static inline uint16_t bf16_of_float(float f)
{
    uint32_t bits = bits_of_float(f);

    if (isnan(f)) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static inline float number_at(enum number_type type, const void *row, size_t i)
{
    uint16_t half;
    int8_t byte;

    if (type == U8) return ((const uint8_t *)row)[i];
    if (type == I8) {
        memcpy(&byte, (const char *)row + i, 1);
        return byte;
    }
    memcpy(&half, (const char *)row + 2 * i, 2);
    return type == F16 ? float_of_f16(half) : float_of_bits((uint32_t)half << 16);
}

static inline void put_number(enum number_type type, void *row, size_t i, float f)
{
    float least = type == U8 ? 0 : -128, most = type == U8 ? 255 : 127;

    if (type == F16 || type == BF16) {
        uint16_t half = type == F16 ? f16_of_float(f) : bf16_of_float(f);
        memcpy((char *)row + 2 * i, &half, 2);
        return;
    }
    /* So that a NaN is one end. */
    f = f > least ? f : least;
    f = f < most ? f : most;
    ((uint8_t *)row)[i] = (uint8_t)(int)rintf(f);
}

static inline float term(enum operation op, float a, float b)
{
    return op == DOT ? a * b : (a - b) * (a - b);
}

static inline float sum_row(enum operation op, enum number_type type, const float *query,
                            const void *row, size_t dim)
{
    float sums[8] = {0};
    float tail = 0;
    size_t i = 0;

    /* One loop instead of two, or sixteen functions would each be unrolled. */
    for (; i < dim / 8 * 8; i++) sums[i % 8] += term(op, query[i], number_at(type, row, i));
    for (; i < dim; i++) tail += term(op, query[i], number_at(type, row, i));
    float even = (sums[0] + sums[4]) + (sums[2] + sums[6]);
    float odd = (sums[1] + sums[5]) + (sums[3] + sums[7]);
    return (even + odd) + tail;
}

static void scan_many(narrow_pair_fn *pair, const float *query, const void *rows,
                      size_t row_stride_bytes, size_t row_count, size_t dim, float *out)
{
    for (size_t i = 0; i < row_count; i++)
        out[i] = pair(query, (const char *)rows + i * row_stride_bytes, dim);
}

#define SERIAL_FORMS(op, OP, type, TYPE)                                                           \
    float narrow_##op##_##type##_serial(const float *query, const void *row, size_t dim)           \
    {                                                                                              \
        return sum_row(OP, TYPE, query, row, dim);                                                 \
    }                                                                                              \
    void narrow_##op##_many_##type##_serial(const float *query, const void *rows,                  \
                                            size_t row_stride_bytes, size_t row_count, size_t dim, \
                                            float *out)                                            \
    {                                                                                              \
        scan_many(narrow_##op##_##type##_serial, query, rows, row_stride_bytes, row_count, dim,    \
                  out);                                                                            \
    }                                                                                              \
    void narrow_##op##_block_##type##_serial(const float *const *queries, size_t query_count,      \
                                             const void *rows, size_t row_stride_bytes,            \
                                             size_t row_count, size_t dim, float *const *out)      \
    {                                                                                              \
        for (size_t q = 0; q < query_count; q++)                                                   \
            scan_many(narrow_##op##_##type##_serial, queries[q], rows, row_stride_bytes,           \
                      row_count, dim, out[q]);                                                     \
    }
#define SERIAL_KERNELS(type, bytes, TYPE)                                                          \
    SERIAL_FORMS(dot, DOT, type, TYPE)                                                             \
    SERIAL_FORMS(l2, L2, type, TYPE)                                                               \
    void narrow_widen_##type##_serial(const void *row, size_t dim, float *out)                     \
    {                                                                                              \
        for (size_t i = 0; i < dim; i++) out[i] = number_at(TYPE, row, i);                         \
    }                                                                                              \
    void narrow_pack_##type##_serial(const float *floats, size_t dim, void *row)                   \
    {                                                                                              \
        for (size_t i = 0; i < dim; i++) put_number(TYPE, row, i, floats[i]);                      \
    }
NARROW_TYPES(SERIAL_KERNELS)
