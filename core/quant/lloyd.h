/* SPDX-License-Identifier: Apache-2.0 */
/* lloyd.h — the steps that k-means is made of: pick, sort by cluster, move, repair; and all of them
 * in turn, where the points are few enough for one thread.
 *
 * Nothing here owns anything; points are looked at where they are.
 */
#ifndef QUANT_LLOYD_H
#define QUANT_LLOYD_H

#include <stdbool.h>

#include "base/rng.h"
#include "quant/centroids.h"

struct lloyd_points {
    const float *const *vectors;
    const float *weights; /* each vector counts as so many times itself; NULL: once */
    uint32_t count, dim;
};

/* Centroids that move. */
struct lloyd_set {
    float *vectors;
    uint32_t count;
    bool is_spherical; /* lengths are kept at 1 */
};

/* Points by cluster: those of cluster c are order[starts[c]] to order[starts[c + 1]], ascending. */
struct lloyd_order {
    uint32_t *starts; /* one more than there are clusters */
    uint32_t *order;
};

/* `wanted` different places of 0 to count, ascending, spread evenly. */
void lloyd_sample(struct rng *rng, uint64_t count, uint32_t wanted, uint32_t *out);
/* Centroids are points of a sample. */
void lloyd_seed(const struct lloyd_points *p, const struct simd_kernels *kernels, struct rng *rng,
                uint32_t *room, struct lloyd_set *set);
/* labels are below cluster_count. */
void lloyd_sort(const uint32_t *labels, uint32_t count, uint32_t cluster_count,
                struct lloyd_order *out);
/* Centroids [first, end) to the mean of their points; one without points stays where it is. */
void lloyd_move(const struct lloyd_points *p, const struct lloyd_order *order, uint32_t first,
                uint32_t end, const struct simd_kernels *kernels, struct lloyd_set *set);
/* Of the centroids [first, end): each one without points takes half of the largest cluster's.
 * sizes: of their clusters, end - first of them, changed. */
void lloyd_repair(uint32_t first, uint32_t end, uint32_t *sizes, uint32_t dim,
                  const struct simd_kernels *kernels, struct lloyd_set *set);
/* So many rounds of all of it, from a seed.  NO_MEMORY. */
int lloyd_run(const struct lloyd_points *p, struct alloc *a, const struct simd_kernels *kernels,
              struct rng *rng, uint32_t rounds, struct lloyd_set *set, struct error *err);

#endif
