/* SPDX-License-Identifier: Apache-2.0 */
#include "index/graph_bits.h"

#include <string.h>

static uint64_t *words_of(float *row)
{
    return (uint64_t *)(void *)row;
}

static void count_bits(uint64_t *words, size_t word_count)
{
    words[word_count] = 0;
    for (size_t i = 0; i < word_count; i++)
        words[word_count] += (uint64_t)__builtin_popcountll(words[i]);
}

void graph_bits_pack(const float *vector, uint32_t dim, float *row)
{
    bit_row_pack(vector, dim, words_of(row));
    count_bits(words_of(row), bits_word_count(dim));
}

void graph_bits_pack_row(const struct row_run *run, uint32_t storage, uint32_t dim, uint32_t i,
                         float *row)
{
    if (storage != STORAGE_BIT) {
        graph_bits_pack((const float *)run->rows + (size_t)i * dim, dim, row);
        return;
    }
    memcpy(row, (const char *)run->rows + i * bit_row_bytes(dim), bit_row_bytes(dim));
    count_bits(words_of(row), bits_word_count(dim));
}

static inline float distance(enum metric metric, const float *a, const float *b, size_t floats)
{
    size_t word_count = floats / 2 - 1;
    const uint64_t *x = (const uint64_t *)(const void *)a;
    const uint64_t *y = (const uint64_t *)(const void *)b;
    return bit_rows_distance(metric, kernels_active()->bits_hamming.pair(x, y, word_count),
                             (uint32_t)(x[word_count] + y[word_count]));
}

static float hamming(const float *a, const float *b, size_t floats)
{
    return distance(METRIC_HAMMING, a, b, floats);
}

static float jaccard(const float *a, const float *b, size_t floats)
{
    return distance(METRIC_JACCARD, a, b, floats);
}

static float dice(const float *a, const float *b, size_t floats)
{
    return distance(METRIC_DICE, a, b, floats);
}

dense_pair_f32_fn *graph_bits_pair(enum metric metric)
{
    switch (metric) {
    case METRIC_HAMMING:
        return hamming;
    case METRIC_JACCARD:
        return jaccard;
    case METRIC_DICE:
        return dice;
    default:
        UNREACHABLE();
    }
}
