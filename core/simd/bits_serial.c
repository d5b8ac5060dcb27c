/* SPDX-License-Identifier: Apache-2.0 */
/* bits_serial.c — the reference kernels over rows of bits: plain C. */
#include "simd/bits_kernels.h"

enum operation { HAMMING, COMMON };

/* Adds neighbours, then pairs, then fours; the product adds the bytes. */
static inline uint32_t count_bits(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (uint32_t)(x * 0x0101010101010101u >> 56);
}

static inline uint32_t count_word(enum operation op, uint64_t a, uint64_t b)
{
    return count_bits(op == HAMMING ? a ^ b : a & b);
}

static inline uint32_t count_row(enum operation op, const uint64_t *a, const uint64_t *b,
                                 size_t word_count)
{
    uint32_t count = 0;
    for (size_t i = 0; i < word_count; i++) count += count_word(op, a[i], b[i]);
    return count;
}

#define SERIAL_KERNEL(op, OP)                                                                      \
    uint32_t bits_##op##_serial(const uint64_t *a, const uint64_t *b, size_t word_count)           \
    {                                                                                              \
        return count_row(OP, a, b, word_count);                                                    \
    }                                                                                              \
    void bits_##op##_many_serial(const uint64_t *query, const uint64_t *rows,                      \
                                 size_t row_stride_words, size_t row_count, size_t word_count,     \
                                 uint32_t *out)                                                    \
    {                                                                                              \
        for (size_t i = 0; i < row_count; i++, rows += row_stride_words)                           \
            out[i] = count_row(OP, query, rows, word_count);                                       \
    }
BITS_KERNELS(SERIAL_KERNEL)
