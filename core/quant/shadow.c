/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/shadow.h"

#include <math.h>
#include <string.h>

/* Nothing of a float evaluation is more than a few of these off. */
#define ROUNDING 0x1p-24

/* The kernel's sum of squares is off by K, each component by a rounding of what was subtracted. */
static float error_bound(float error, float norm, uint32_t dim)
{
    double bound = (double)error * (1 + 2 * dense_f32_error_factor(dim) + 16 * ROUNDING) +
                   (double)norm * 16 * ROUNDING;
    return (float)(bound * (1 + 4 * ROUNDING));
}

void shadow_pack(const struct simd_kernels *kernels, const float *vectors, const float *norms,
                 uint32_t row_count, uint32_t dim, const struct shadow_rows *to)
{
    size_t stride = code_stride(dim);

    for (uint32_t i = 0; i < row_count; i++) {
        uint8_t *codes = to->codes + i * stride;
        struct code_fit fit = {0};
        float norm = norms[i];
        bool fits = norm >= SHADOW_NORM_MIN && norm <= SHADOW_NORM_MAX; /* no NaN, no infinity */
        memset(codes, CODE_ZERO, stride);
        if (fits) kernels->code_pack(vectors + (size_t)i * dim, dim, codes, &fit);
        to->scales[i] = fit.scale;
        to->errors[i] = fits ? error_bound(fit.error, norm, dim) : INFINITY;
        to->norms[i] = fits ? norm : 1;
    }
}
