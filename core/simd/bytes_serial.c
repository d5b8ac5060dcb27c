/* SPDX-License-Identifier: Apache-2.0 */
/* bytes_serial.c — the reference kernels over two rows of bytes: plain C. */
#include "simd/bytes_kernels.h"

enum operation { DOT, L2 };
enum number_type { I8, U8 };

static inline int32_t number_at(enum number_type type, const void *row, size_t i)
{
    return type == U8 ? ((const uint8_t *)row)[i] : ((const int8_t *)row)[i];
}

static inline int32_t sum_row(enum operation op, enum number_type type, const void *a,
                              const void *b, size_t dim)
{
    int32_t sum = 0;
    for (size_t i = 0; i < dim; i++) {
        int32_t x = number_at(type, a, i), y = number_at(type, b, i);
        sum += op == DOT ? x * y : (x - y) * (x - y);
    }
    return sum;
}

#define SERIAL_KERNEL(op, OP, type, TYPE)                                                          \
    int32_t bytes_##op##_##type##_serial(const void *a, const void *b, size_t dim)                 \
    {                                                                                              \
        return sum_row(OP, TYPE, a, b, dim);                                                       \
    }                                                                                              \
    void bytes_##op##_many_##type##_serial(const void *query, const void *rows,                    \
                                           size_t row_stride_bytes, size_t row_count, size_t dim,  \
                                           int32_t *out)                                           \
    {                                                                                              \
        const char *row = rows;                                                                    \
        for (size_t i = 0; i < row_count; i++, row += row_stride_bytes)                            \
            out[i] = sum_row(OP, TYPE, query, row, dim);                                           \
    }
BYTES_KERNELS(SERIAL_KERNEL)
