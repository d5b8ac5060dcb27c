/* SPDX-License-Identifier: Apache-2.0 */
/* code_serial.c — the reference kernels over codes: plain C. */
#include <math.h>

#include "simd/code_kernels.h"

enum { WORD = 4 };   /* codes of a row that stand together in a panel */
enum { LANES = 16 }; /* partial sums of a packed row, as dense_f32_error_factor allows */

void code_dot_serial(const struct code_query *query, const uint8_t *rows, size_t row_count,
                     int32_t *out)
{
    for (size_t r = 0; r < row_count; r++, rows += query->stride) {
        uint32_t high = 0, low = 0;
        for (size_t i = 0; i < query->stride; i += CODE_CHUNK) {
            const int8_t *digits = query->digits + 2 * i;
            for (size_t j = 0; j < CODE_CHUNK; j++) {
                high += (uint32_t)(rows[i + j] * digits[j]);
                low += (uint32_t)(rows[i + j] * digits[CODE_CHUNK + j]);
            }
        }
        out[r] = (int32_t)(high * CODE_BASE + low - query->zero_sum);
    }
}

void code_panel_serial(const uint8_t *rows, size_t stride, size_t row_count, uint8_t *panels)
{
    size_t row_end = (row_count + CODE_PANEL_ROWS - 1) / CODE_PANEL_ROWS * CODE_PANEL_ROWS;

    for (size_t row = 0; row < row_end; row++) {
        uint8_t *to = panels + row / CODE_PANEL_ROWS * code_panel_bytes(stride) +
                      row % CODE_PANEL_ROWS * WORD;
        for (size_t i = 0; i < stride; i += WORD, to += CODE_PANEL_ROWS * WORD)
            for (size_t j = 0; j < WORD; j++)
                to[j] = row < row_count ? rows[row * stride + i + j] : 0;
    }
}

void code_dot_panels_serial(const struct code_query *const *queries, size_t query_count,
                            const uint8_t *panels, size_t panel_count, int32_t *const *out)
{
    size_t stride = query_count > 0 ? queries[0]->stride : 0;
    uint8_t row[CODE_CHUNK];

    for (size_t q = 0; q < query_count; q++) {
        for (size_t r = 0; r < panel_count * CODE_PANEL_ROWS; r++) {
            const uint8_t *from = panels + r / CODE_PANEL_ROWS * code_panel_bytes(stride) +
                                  r % CODE_PANEL_ROWS * WORD;
            uint32_t sum = 0;
            for (size_t i = 0; i < stride; i += CODE_CHUNK) {
                const struct code_query chunk = {.digits = queries[q]->digits + 2 * i,
                                                 .stride = CODE_CHUNK};
                int32_t part;
                for (size_t j = 0; j < CODE_CHUNK; j++)
                    row[j] = from[(i + j) / WORD * CODE_PANEL_ROWS * WORD + j % WORD];
                code_dot_serial(&chunk, row, 1, &part);
                sum += (uint32_t)part;
            }
            out[q][r] = (int32_t)(sum - queries[q]->zero_sum);
        }
    }
}

void code_bound_serial(const struct code_bounds *bounds, const int32_t *products,
                       const struct code_rests *rests, size_t row_count, float *out)
{
    const struct code_bounds b = *bounds;
    for (size_t i = 0; i < row_count; i++) {
        float norm = rests->norms[i], inverse = 1 / norm;
        float product = (float)products[i] * rests->scales[i] * b.step;
        float cosine = fabsf(product) * inverse * b.cosine_factor - b.cosine_slack;
        if (cosine < 0) cosine = 0;
        float square = 1 - cosine * cosine;
        float sine = 0.4001f + 0.625f * square, near = 0.1501f + 1.6667f * square;
        if (near < sine) sine = near;
        if (sine > 1) sine = 1;
        float most = product + b.error_factor * rests->errors[i] * sine + b.norm_factor * norm;
        float turn = b.turn + b.turn_by_norm * inverse;
        float bound = b.base + b.square_factor * norm * norm - most * turn;
        out[i] = bound < b.most ? bound : b.most;
    }
}

static float sum_lanes(const float lanes[LANES])
{
    float sum = 0;
    for (size_t i = 0; i < LANES; i++) sum += lanes[i];
    return sum;
}

void code_pack_serial(const float *row, size_t dim, uint8_t *codes, struct code_fit *out)
{
    float most = 0, products[LANES] = {0}, squares[LANES] = {0}, rests[LANES] = {0};

    for (size_t i = 0; i < dim; i++) most = fabsf(row[i]) > most ? fabsf(row[i]) : most;
    float inverse = CODE_MAX / most;
    for (size_t i = 0; i < dim; i++) {
        float code = rintf(row[i] * inverse);
        products[i % LANES] += row[i] * code;
        squares[i % LANES] += code * code;
        codes[i] = (uint8_t)((int)code + CODE_ZERO);
    }
    float scale = sum_lanes(products) / sum_lanes(squares);
    for (size_t i = 0; i < dim; i++) {
        float rest = row[i] - scale * (float)((int)codes[i] - CODE_ZERO);
        rests[i % LANES] += rest * rest;
    }
    *out = (struct code_fit){scale, sqrtf(sum_lanes(rests))};
}
