/* SPDX-License-Identifier: Apache-2.0 */
/* quant_serial.c — the reference kernels of the quantizers: plain C. */
#include <math.h>
#include <string.h>

#include "simd/quant_kernels.h"

/* The code of component j of a chunk. */
static unsigned code_at(const uint8_t *chunk, unsigned bits, size_t j)
{
    unsigned code = 0, low = 0;

    if (bits == 8) return chunk[j];
    if (bits & 4) {
        code = (uint32_t)chunk[j % 32] >> (j / 32 * 4) & 15u;
        chunk += 32;
        low = 4;
    }
    if (bits & 2) {
        code |= ((uint32_t)chunk[j % 16] >> (j / 16 * 2) & 3u) << low;
        chunk += 16;
        low += 2;
    }
    if (bits & 1) code |= ((uint32_t)chunk[j / 8] >> (j % 8) & 1u) << low;
    return code;
}

void quant_dot_serial(const struct code_query *query, unsigned bits, const uint8_t *rows,
                      size_t row_stride, size_t row_count, int32_t *out)
{
    for (size_t r = 0; r < row_count; r++) {
        const uint8_t *chunk = rows + r * row_stride;
        uint32_t high = 0, low = 0;
        for (size_t i = 0; i < query->stride; i += QUANT_CHUNK, chunk += 8 * (size_t)bits) {
            const int8_t *digits = query->digits + 2 * i;
            for (size_t j = 0; j < QUANT_CHUNK; j++) {
                int32_t code = (int32_t)code_at(chunk, bits, j);
                high += (uint32_t)(code * digits[j]);
                low += (uint32_t)(code * digits[QUANT_CHUNK + j]);
            }
        }
        out[r] = (int32_t)(high * CODE_BASE + low);
    }
}

void quant_gather_serial(const struct code_query *query, unsigned bits, const uint8_t *const *rows,
                         size_t row_count, int32_t *out)
{
    for (size_t i = 0; i < row_count; i++) quant_dot_serial(query, bits, rows[i], 0, 1, &out[i]);
}

void quant_scan_serial(const uint8_t *tables, const uint8_t *codes, size_t group_count,
                       int32_t out[QUANT_BLOCK])
{
    memset(out, 0, QUANT_BLOCK * sizeof *out);
    for (size_t g = 0; g < group_count; g++, tables += QUANT_TABLE_BYTES, codes += 16)
        for (size_t i = 0; i < 16; i++) {
            out[i] += tables[codes[i] & 15];
            out[16 + i] += tables[codes[i] >> 4];
        }
}

uint32_t quant_near_serial(const struct quant_reading *reading, const int32_t sums[QUANT_BLOCK],
                           const float adds[QUANT_BLOCK], const float muls[QUANT_BLOCK])
{
    uint32_t near = 0;

    for (size_t i = 0; i < QUANT_BLOCK; i++) {
        float product = (float)sums[i] * reading->step + reading->shift;
        float distance = reading->base + adds[i] + muls[i] * product;
        float limit = reading->limit + fabsf(muls[i]) * reading->width;
        near |= (uint32_t)(distance <= limit) << i;
    }
    return near;
}

static void transform(float *x, size_t span)
{
    for (size_t h = 1; h < span; h *= 2)
        for (size_t i = 0; i < span; i += 2 * h)
            for (size_t j = i; j < i + h; j++) {
                float a = x[j], b = x[j + h];
                x[j] = a + b;
                x[j + h] = a - b;
            }
}

void quant_rotate_serial(float *vector, size_t dim, const uint64_t *signs, size_t round_count)
{
    size_t span = quant_rotate_span(dim), half = dim / 2;
    const float scale = 1 / sqrtf((float)span);

    for (size_t round = 0; round < round_count; round++, signs += dim / 64) {
        float *part = round % 2 ? vector + (dim - span) : vector;
        for (size_t i = 0; i < dim; i++)
            if (signs[i / 64] >> (i % 64) & 1) vector[i] = -vector[i];
        transform(part, span);
        for (size_t i = 0; i < span; i++) part[i] *= scale;
        for (size_t i = 0; span < dim && i < half; i++) {
            float a = vector[i], b = vector[i + half];
            vector[i] = a + b;
            vector[i + half] = a - b;
        }
    }
    const float mend = 1 / quant_rotate_excess(round_count);
    for (size_t i = 0; span < dim && i < dim; i++) vector[i] *= mend;
}

/* Eight lanes, as dense_f32_error_factor allows. */
void quant_sign_serial(const float *vector, const float *center, size_t dim, uint64_t *bits,
                       struct quant_signs *out)
{
    float square[8] = {0}, length[8] = {0}, part[8] = {0}, sign[8] = {0};

    memset(bits, 0, dim / 8);
    for (size_t i = 0; i < dim; i++) {
        float c = center[i], r = vector[i] - c;
        uint64_t bit = r >= 0;
        bits[i / 64] |= bit << (i % 64);
        square[i % 8] += r * r;
        length[i % 8] += fabsf(r);
        part[i % 8] += c * r;
        sign[i % 8] += bit ? c : -c;
    }
    *out = (struct quant_signs){0};
    for (size_t i = 0; i < 8; i++) {
        out->square += square[i];
        out->length += length[i];
        out->center_part += part[i];
        out->center_sign += sign[i];
    }
}
