/* SPDX-License-Identifier: Apache-2.0 */
/* nearest_avx512.c — twelve points with a panel of thirty-two centroids at a time.
 *
 * WHAT        24 sums stay in registers; a number of a point is broadcast once for two products,
 *             and a panel's numbers are loaded once for twelve.  Points stay in the first cache.
 * NOTE        gcc 12 spills arrays of __m512: sums are named, by the list.
 * INVARIANTS, THREADS: see nearest_kernels.h.
 */
#include "simd/nearest_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define POINTS(_)                                                                                  \
    _(0, row0, 0)                                                                                  \
    _(1, row0, 1)                                                                                  \
    _(2, row0, 2)                                                                                  \
    _(3, row3, 0)                                                                                  \
    _(4, row3, 1)                                                                                  \
    _(5, row3, 2)                                                                                  \
    _(6, row6, 0)                                                                                  \
    _(7, row6, 1)                                                                                  \
    _(8, row6, 2)                                                                                  \
    _(9, row9, 0)                                                                                  \
    _(10, row9, 1)                                                                                 \
    _(11, row9, 2)

static inline __attribute__((always_inline)) void
keep(__m512 sum, const float *offsets, uint32_t label, struct nearest_lanes *best, int lane)
{
    __m512 score = _mm512_sub_ps(sum, _mm512_load_ps(offsets + lane));
    __m512 most = _mm512_loadu_ps(best->scores + lane);
    __mmask16 better = _mm512_cmp_ps_mask(score, most, _CMP_GT_OQ);
    _mm512_mask_storeu_ps(best->scores + lane, better, score);
    _mm512_mask_storeu_epi32(best->labels + lane, better, _mm512_set1_epi32((int)label));
}

static inline __attribute__((always_inline)) void
look_at(const float *points, size_t stride, const float *panel, const float *offsets,
        uint32_t label, size_t dim, struct nearest_lanes *const best[NEAREST_POINTS])
{
#define ZERO(n, row, rows) __m512 a##n = _mm512_setzero_ps(), b##n = _mm512_setzero_ps();
    POINTS(ZERO)
#undef ZERO
    /* Four pointers and a stride reach all of them, where twelve would not fit registers. */
    const float *row0 = points, *row3 = row0 + 3 * stride, *row6 = row3 + 3 * stride,
                *row9 = row6 + 3 * stride;
    for (size_t j = 0; j < dim; j++, panel += NEAREST_LANES) {
        __m512 x = _mm512_load_ps(panel), y = _mm512_load_ps(panel + 16);
#define STEP(n, row, rows)                                                                         \
    {                                                                                              \
        __m512 v = _mm512_set1_ps(row[rows * stride + j]);                                         \
        a##n = _mm512_fmadd_ps(v, x, a##n);                                                        \
        b##n = _mm512_fmadd_ps(v, y, b##n);                                                        \
    }
        POINTS(STEP)
#undef STEP
    }
#define KEEP(n, row, rows)                                                                         \
    keep(a##n, offsets, label, best[n], 0);                                                        \
    keep(b##n, offsets, label, best[n], 16);
    POINTS(KEEP)
#undef KEEP
}

void nearest_f32_avx512(const float *points, size_t stride, const float *panels,
                        const float *offsets, uint32_t panel_first, uint32_t panel_count,
                        size_t dim, struct nearest_lanes *const best[NEAREST_POINTS])
{
    for (uint32_t p = 0; p < panel_count; p++)
        look_at(points, stride, panels + (size_t)p * NEAREST_LANES * dim,
                offsets + (size_t)p * NEAREST_LANES, panel_first + p, dim, best);
}
#endif
