/* SPDX-License-Identifier: Apache-2.0 */
/* centroids.h — points that stand for clusters, and which of them a vector is nearest to.
 *
 * Where there are many they lie in groups, each around a point of its own: a vector is then
 * compared with the points of the groups, and with the centroids of the nearest few groups.  What
 * it is given is nearly always the nearest centroid, for a fraction of the work.
 */
#ifndef QUANT_CENTROIDS_H
#define QUANT_CENTROIDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/error.h"
#include "simd/kernels.h"

/* Borrows all that it points to. */
struct centroids {
    const float *vectors; /* count of dim floats, one after another */
    uint32_t count, dim;
    const float *panels, *offsets;  /* the same as the kernel reads them (nearest_kernels.h) */
    const struct centroids *groups; /* the points of the groups; NULL: there are none */
    /* Group g has the centroids from group_starts[g] to [g + 1], in panels of its own, from number
     * group_panels[g] on. */
    const uint32_t *group_starts, *group_panels;
};

/* Whole panels of so many points. */
static inline uint32_t centroid_panel_count(uint32_t count)
{
    return count / NEAREST_LANES + (count % NEAREST_LANES != 0);
}
/* Floats of so many panels with their offsets. */
static inline size_t centroid_panel_floats(size_t panel_count, uint32_t dim)
{
    return panel_count * NEAREST_LANES * ((size_t)dim + 1);
}

/* Vectors into whole panels, aligned to 64. */
void centroid_pack(const struct simd_kernels *kernels, const float *vectors, uint32_t count,
                   uint32_t dim, float *panels, float *offsets);

/* labels[i] = the nearest centroid to points[i], the lower one of two that are as near; 0 where no
 * distance can be told.  Any thread.  NO_MEMORY. */
int centroids_assign(const struct centroids *c, struct alloc *a, const struct simd_kernels *kernels,
                     const float *const *points, uint32_t count, uint32_t *labels,
                     struct error *err);

#endif
