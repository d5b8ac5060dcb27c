/* SPDX-License-Identifier: Apache-2.0 */
/* hnsw_neighbors.h — how far rows are from one another while a graph is built, and which of the
 * rows near to one become its neighbours. */
#ifndef INDEX_HNSW_NEIGHBORS_H
#define INDEX_HNSW_NEIGHBORS_H

#include <math.h>

#include "index/candidates.h"
#include "quant/vector_source.h"
#include "simd/kernels.h"
#include "simd/metrics.h"

/* What a graph is built by: the metric, or where that is no distance one that orders alike.
 *     DISTANCE, MEASURE  the metric's own
 *     ANGLE              1 - cos
 *     PRODUCT            the negative product, as a query has it.  Rows that are long are then the
 *                        neighbours of most, as they are what most queries want.  (With a component
 *                        more, which makes all rows equally long, it would be a distance; but where
 *                        lengths differ a graph by that finds next to nothing: measured.) */
struct hnsw_space {
    const float *vectors; /* of rows, one after another */
    const float *inverse; /* ANGLE: 1 / norm of each node, 0 where there is none */
    const uint32_t *rows; /* of nodes */
    dense_pair_f32_fn *pair;
    uint32_t dim;
    enum metric_value value;
    float hiding; /* 1; more: what a neighbour hides must be so many times nearer to it */
};

static inline const float *hnsw_space_vector(const struct hnsw_space *s, uint32_t node)
{
    return s->vectors + (size_t)s->rows[node] * s->dim;
}

/* Of two nodes, whose vectors these are. */
static inline float hnsw_space_distance(const struct hnsw_space *s, uint32_t node_a, const float *a,
                                        uint32_t node_b, const float *b)
{
    float value = s->pair(a, b, s->dim);
    if (s->value == METRIC_VALUE_PRODUCT) return value == value ? -value : INFINITY;
    if (s->value == METRIC_VALUE_ANGLE) value = 1 - value * s->inverse[node_a] * s->inverse[node_b];
    return value > 0 ? value : value <= 0 ? 0 : INFINITY;
}

/* Sorts by distance, then number. */
void hnsw_sort(struct found_node *nodes, uint32_t count);

/* Of nodes, sorted, those that are neighbours in truth: none that is nearer to a chosen one, which
 * hides it, than to the node itself.  Where that leaves few, the nearest of the others fill half of
 * the limit: it makes walks shorter by more than it costs (measured).  At most `limit`, sorted, to
 * the front of `nodes`; how many. */
enum { HNSW_FILL_MAX = 128 };
uint32_t hnsw_choose(const struct hnsw_space *s, struct found_node *nodes, uint32_t count,
                     uint32_t limit);

#endif
