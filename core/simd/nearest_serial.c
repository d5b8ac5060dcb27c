/* SPDX-License-Identifier: Apache-2.0 */
/* nearest_serial.c — a point with a panel at a time. */
#include "simd/nearest_kernels.h"

static void look_at(const float *point, const float *panel, const float *offsets, uint32_t label,
                    size_t dim, struct nearest_lanes *best)
{
    float sums[NEAREST_LANES] = {0};

    for (size_t j = 0; j < dim; j++)
        for (size_t i = 0; i < NEAREST_LANES; i++)
            sums[i] += point[j] * panel[j * NEAREST_LANES + i];
    for (int i = 0; i < NEAREST_LANES; i++) {
        float score = sums[i] - offsets[i];
        if (!(score > best->scores[i])) continue;
        best->scores[i] = score;
        best->labels[i] = label;
    }
}

void nearest_f32_serial(const float *points, size_t stride, const float *panels,
                        const float *offsets, uint32_t panel_first, uint32_t panel_count,
                        size_t dim, struct nearest_lanes *const best[NEAREST_POINTS])
{
    for (uint32_t p = 0; p < panel_count; p++)
        for (size_t i = 0; i < NEAREST_POINTS; i++)
            look_at(points + i * stride, panels + (size_t)p * NEAREST_LANES * dim,
                    offsets + (size_t)p * NEAREST_LANES, panel_first + p, dim, best[i]);
}
