/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/digits.h"

#include <float.h>
#include <string.h>

/* The nearest integer of one below 2^22; without a branch, as the loops below. */
static inline int32_t nearest(float x)
{
    const float shift = 0x1.8p23f;
    return (int32_t)((x + shift) - shift);
}

static float largest_of(const float *vector, uint32_t dim)
{
    int32_t most = 0; /* bits of floats that are not negative are in their order */
    float out;

    for (uint32_t i = 0; i < dim; i++) {
        int32_t bits;
        memcpy(&bits, &vector[i], sizeof bits);
        bits &= INT32_MAX;
        most = bits > most ? bits : most;
    }
    memcpy(&out, &most, sizeof out);
    return out;
}

float digits_make(struct code_query *codes, int8_t *digits, const float *vector, uint32_t dim,
                  int32_t most, int32_t *sum)
{
    float step = largest_of(vector, dim) / (float)most;
    if (!(step >= FLT_MIN)) step = FLT_MIN;
    float inverse = 1 / step;
    size_t stride = code_stride(dim);
    int32_t total = 0, upper_mask = most == CODE_MAX ? 0 : -1;

    memset(digits, 0, 2 * stride);
    for (uint32_t first = 0; first < dim; first += CODE_CHUNK) {
        uint32_t count = dim - first < CODE_CHUNK ? dim - first : CODE_CHUNK;
        int8_t *restrict high = digits + 2 * (size_t)first, *restrict low = high + CODE_CHUNK;
        const float *restrict from = vector + first;
        for (uint32_t i = 0; i < count; i++) {
            int32_t number = nearest(from[i] * inverse);
            int32_t upper = (number + CODE_BASE / 2) >> 7 & upper_mask;
            high[i] = (int8_t)upper;
            low[i] = (int8_t)(number - upper * CODE_BASE);
            total += number;
        }
    }
    *codes = (struct code_query){digits, stride, (uint32_t)total * CODE_ZERO, most == CODE_MAX};
    *sum = total;
    return step;
}
