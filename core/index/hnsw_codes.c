/* SPDX-License-Identifier: Apache-2.0 */
#include "index/hnsw_codes.h"

#include <math.h>
#include <string.h>

/* Whose codes mean something: what code_pack takes. */
#define NORM_MIN 1e-12f
#define NORM_MAX 1e12f

static bool is_plain(float square)
{
    return square >= NORM_MIN * NORM_MIN && square <= NORM_MAX * NORM_MAX;
}

/* To a largest component of 1/2 to 1, if there is one; what it was divided by is the product of
 * factors[0] and [1], for none alone may be a float. */
static bool scale_down(float *vector, uint32_t dim, float factors[2])
{
    float most = 0;
    int power;

    for (uint32_t i = 0; i < dim; i++) most = fabsf(vector[i]) > most ? fabsf(vector[i]) : most;
    if (!(most > 0 && most < INFINITY)) return false;
    (void)frexpf(most, &power);
    factors[0] = ldexpf(1, power / 2);
    factors[1] = ldexpf(1, power - power / 2);
    for (uint32_t i = 0; i < dim; i++) vector[i] = vector[i] / factors[0] / factors[1];
    return true;
}

void hnsw_codes_encode(struct hnsw_codes *c, uint32_t node, float *centered)
{
    uint8_t *codes = c->codes + node * c->stride;
    struct code_fit fit = {0};
    float square = c->kernels->dense_dot_f32(centered, centered, c->dim), factors[2] = {1, 1};

    memset(codes, CODE_ZERO, c->stride);
    if (is_plain(square) || scale_down(centered, c->dim, factors))
        c->kernels->code_pack(centered, c->dim, codes, &fit);
    fit.scale *= factors[0];
    fit.scale *= factors[1];
    c->rests[node] = (struct hnsw_code_rest){fit.scale, c->is_product ? 0 : square};
}

/* The nearest integer of one below 2^22; without a branch. */
static inline int32_t nearest(float x)
{
    const float shift = 0x1.8p23f;
    return (int32_t)((x + shift) - shift);
}

void hnsw_codes_ask(const struct hnsw_codes *c, float *vector, int8_t *digits,
                    struct hnsw_code_query *out)
{
    float square = c->kernels->dense_dot_f32(vector, vector, c->dim), factors[2] = {1, 1};
    float most = 0, largest = (float)code_digits_max(c->dim);
    int32_t sum = 0;
    bool can_tell = is_plain(square) || scale_down(vector, c->dim, factors);

    for (uint32_t i = 0; i < c->dim; i++) {
        float size = vector[i] < 0 ? -vector[i] : vector[i];
        most = size > most ? size : most;
    }
    float inverse = can_tell ? largest / most : 0;
    memset(digits, 0, 2 * c->stride);
    for (uint32_t first = 0; first < c->dim; first += CODE_CHUNK) {
        uint32_t count = c->dim - first < CODE_CHUNK ? c->dim - first : CODE_CHUNK;
        int8_t *restrict high = digits + 2 * (size_t)first, *restrict low = high + CODE_CHUNK;
        const float *restrict from = vector + first;
        for (uint32_t i = 0; can_tell && i < count; i++) {
            int32_t number = nearest(from[i] * inverse);
            int32_t upper = (number + CODE_BASE / 2) >> 7;
            high[i] = (int8_t)upper;
            low[i] = (int8_t)(number - upper * CODE_BASE);
            sum += number;
        }
    }
    *out = (struct hnsw_code_query){
        .digits = {digits, c->stride, (uint32_t)sum * CODE_ZERO},
        .step = can_tell ? most / largest * factors[0] * factors[1] : 0,
        .square = c->is_product ? 0 : square,
    };
}

void hnsw_codes_measure(const struct hnsw_codes *c, const struct hnsw_code_query *q,
                        const uint32_t *nodes, uint32_t count, float *out)
{
    enum { AT_ONCE = 32 };
    const uint8_t *rows[AT_ONCE];
    int32_t sums[AT_ONCE];

    for (; count > 0; nodes += AT_ONCE, out += AT_ONCE) {
        uint32_t now = count < AT_ONCE ? count : AT_ONCE;
        for (uint32_t i = 0; i < now; i++) rows[i] = c->codes + nodes[i] * c->stride;
        c->kernels->quant_gather(&q->digits, 8, rows, now, sums);
        for (uint32_t i = 0; i < now; i++) {
            const struct hnsw_code_rest *rest = &c->rests[nodes[i]];
            float sum = (float)(int32_t)((uint32_t)sums[i] - q->digits.zero_sum);
            float distance = q->square + rest->square - 2 * (sum * rest->scale * q->step);
            out[i] = distance == distance ? distance : INFINITY;
        }
        count -= now;
    }
}
