/* SPDX-License-Identifier: Apache-2.0 */
/* nearest_avx2.c — six points with half a panel at a time: twelve sums in sixteen registers. */
#include "simd/nearest_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { HALF_LANES = NEAREST_LANES / 2, HALF_POINTS = NEAREST_POINTS / 2 };

#define POINTS(_) _(0) _(1) _(2) _(3) _(4) _(5)

static inline __attribute__((always_inline)) void
keep(__m256 sum, const float *offsets, uint32_t label, struct nearest_lanes *best, int lane)
{
    __m256 score = _mm256_sub_ps(sum, _mm256_load_ps(offsets));
    __m256 most = _mm256_loadu_ps(best->scores + lane);
    __m256 better = _mm256_cmp_ps(score, most, _CMP_GT_OQ);
    __m256i mask = _mm256_castps_si256(better);
    _mm256_storeu_ps(best->scores + lane, _mm256_blendv_ps(most, score, better));
    _mm256_maskstore_epi32((int *)best->labels + lane, mask, _mm256_set1_epi32((int)label));
}

/* Lanes [lane, lane + HALF_LANES) of the panel. */
static inline __attribute__((always_inline)) void
look_at(const float *points, size_t stride, const float *panel, const float *offsets,
        uint32_t label, size_t dim, struct nearest_lanes *const *best, int lane)
{
    panel += lane;
    offsets += lane;
#define ZERO(n) __m256 a##n = _mm256_setzero_ps(), b##n = _mm256_setzero_ps();
    POINTS(ZERO)
#undef ZERO
    for (size_t j = 0; j < dim; j++, panel += NEAREST_LANES) {
        __m256 x = _mm256_load_ps(panel), y = _mm256_load_ps(panel + 8);
#define STEP(n)                                                                                    \
    {                                                                                              \
        __m256 v = _mm256_broadcast_ss(points + n * stride + j);                                   \
        a##n = _mm256_fmadd_ps(v, x, a##n);                                                        \
        b##n = _mm256_fmadd_ps(v, y, b##n);                                                        \
    }
        POINTS(STEP)
#undef STEP
    }
#define KEEP(n)                                                                                    \
    keep(a##n, offsets, label, best[n], lane);                                                     \
    keep(b##n, offsets + 8, label, best[n], lane + 8);
    POINTS(KEEP)
#undef KEEP
}

void nearest_f32_avx2(const float *points, size_t stride, const float *panels, const float *offsets,
                      uint32_t panel_first, uint32_t panel_count, size_t dim,
                      struct nearest_lanes *const best[NEAREST_POINTS])
{
    for (uint32_t p = 0; p < panel_count; p++) {
        const float *panel = panels + (size_t)p * NEAREST_LANES * dim;
        for (size_t i = 0; i < NEAREST_POINTS; i += HALF_POINTS)
            for (int lane = 0; lane < NEAREST_LANES; lane += HALF_LANES)
                look_at(points + i * stride, stride, panel, offsets + (size_t)p * NEAREST_LANES,
                        panel_first + p, dim, best + i, lane);
    }
}
#endif
