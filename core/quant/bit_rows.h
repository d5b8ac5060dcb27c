/* SPDX-License-Identifier: Apache-2.0 */
/* bit_rows.h — rows of bits: a component of a vector is a bit, set where it is above one half.
 *
 * LAYOUT   As simd/bits_kernels.h has it: 64 components a word, the bits behind the last are 0.
 * MEANING  A row means floats of 0 and 1.  Metrics that count bits depend on nothing else of any
 *          vector, so that a vector of floats may be turned into bits before it is measured by
 *          them: the distance is the same bits.
 * THREADS  Any.
 */
#ifndef QUANT_BIT_ROWS_H
#define QUANT_BIT_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "simd/bits_kernels.h"
#include "simd/measures.h"
#include "simd/metrics.h"

static inline size_t bit_row_bytes(size_t dim)
{
    return bits_word_count(dim) * sizeof(uint64_t);
}

/* One vector to bits and back: dim components, bits_word_count(dim) words. */
void bit_row_pack(const float *vector, size_t dim, uint64_t *words);
void bit_row_widen(const uint64_t *words, size_t dim, float *vector);

/* Is it one of those that count bits? */
static inline bool metric_counts_bits(enum metric metric)
{
    return metric == METRIC_HAMMING || metric == METRIC_JACCARD || metric == METRIC_DICE;
}

/* How many bits a row has, from the norm of the floats that it means: its square, for both are
 * exact but for a rounding.  Of a norm that is none of such a row any number. */
static inline uint32_t bit_row_count(float norm)
{
    float square = norm * norm;
    return square < 0x1p24f ? (uint32_t)(square + 0.5f) : 0;
}

/* The metric's value of two rows of which so many bits differ, and that have so many together: the
 * bits that the kernels over floats give. */
static inline float bit_rows_distance(enum metric metric, uint32_t differing, uint32_t count)
{
    switch (metric) {
    case METRIC_HAMMING:
        return (float)differing;
    case METRIC_JACCARD: /* of those that one or both have */
        return measure_apart((float)differing, (float)((count + differing) / 2));
    case METRIC_DICE:
        return measure_apart((float)differing, (float)count);
    default:
        UNREACHABLE();
    }
}

#endif
