/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/bit_rows.h"

enum { WORD_BITS = 64 };

static uint64_t pack_word(const float *components, size_t count)
{
    uint64_t word = 0;
    for (size_t i = 0; i < count; i++) word |= (uint64_t)(components[i] > 0.5f) << i;
    return word;
}

void bit_row_pack(const float *vector, size_t dim, uint64_t *words)
{
    size_t i = 0;

    for (; i + WORD_BITS <= dim; i += WORD_BITS) *words++ = pack_word(vector + i, WORD_BITS);
    if (i < dim) *words = pack_word(vector + i, dim - i);
}

void bit_row_widen(const uint64_t *words, size_t dim, float *vector)
{
    for (size_t i = 0; i < dim; i++)
        vector[i] = (float)(int)(words[i / WORD_BITS] >> i % WORD_BITS & 1);
}
