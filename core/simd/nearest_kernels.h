/* SPDX-License-Identifier: Apache-2.0 */
/* nearest_kernels.h — data sheet of the kernel that finds which of many centroids is nearest to
 * each of some points.
 *
 * WHAT        Centroids lie in panels of NEAREST_LANES, transposed: number j of centroid i of a
 *             panel at [j * NEAREST_LANES + i].  The score of a centroid is its product with the
 *             point less its offset (half its squared norm: then the largest score is the nearest
 *             centroid).  A score needs no sum across lanes; each lane keeps its own best.
 *             Points come NEAREST_POINTS at a time, `stride` floats from one to the next.
 * ARGUMENTS   Panels and offsets are aligned to 64; a place without a centroid has the offset +inf,
 *             which is never best.
 * VALUES      One f32 sum for each score, in the order of the numbers; FMA but in serial.
 * INVARIANTS  (1) What a point is given depends on that point and the panels alone.
 *             (2) Of a lane's equal scores the first stays; NaN is never best.
 */
#ifndef SIMD_NEAREST_KERNELS_H
#define SIMD_NEAREST_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum { NEAREST_LANES = 32, NEAREST_POINTS = 12 };

/* The best of each lane, of one point. */
struct nearest_lanes {
    float scores[NEAREST_LANES];    /* -inf: none yet */
    uint32_t labels[NEAREST_LANES]; /* of the panel that it is in: panel's, of panel_first on */
};

typedef void nearest_f32_fn(const float *points, size_t stride, const float *panels,
                            const float *offsets, uint32_t panel_first, uint32_t panel_count,
                            size_t dim, struct nearest_lanes *const best[NEAREST_POINTS]);

nearest_f32_fn nearest_f32_serial;
#if defined(__x86_64__)
nearest_f32_fn nearest_f32_avx2, nearest_f32_avx512;
#endif

#endif
