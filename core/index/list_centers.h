/* SPDX-License-Identifier: Apache-2.0 */
/* list_centers.h — the centers of lists of rows, and how far they are from a query.
 *
 * What the kinds that keep rows in lists share (ivf.h, spann.h).  Where there are many centers they
 * lie in groups, one after another, as k-means found them (quant/kmeans.h): then only those of the
 * nearest groups are compared with a query (near_lists.h).
 * CENTERS     ip and l2: means; clusters are those of the Euclidean distance.  cosine: of length 1,
 *             clusters of directions.  Metrics of bits: those of l2, over the bits as 0 and 1.
 * CODES       Of a center there are 8 bits a component besides (code_kernels.h), where the
 *             processor multiplies bytes faster than floats: rough distances read a quarter of the
 *             memory, and are off by a few thousandths.
 * RADII       No row of a list is farther from its center than its radius (for a cosine: its
 *             direction), so lists that are too far away can be passed over.
 * OWNERSHIP   Vectors, radii and group_starts are borrowed from an image; the rest is its own.
 * THREADS     Immutable once it is open.
 */
#ifndef INDEX_LIST_CENTERS_H
#define INDEX_LIST_CENTERS_H

#include "index/index.h"
#include "index/index_image.h"

struct list_centers {
    const struct simd_kernels *kernels;
    enum metric metric, route; /* route: by which metric lists are chosen */
    enum metric_value value;   /* of the route */
    uint32_t dim, count;
    const float *vectors; /* dim a list */
    const float *radii;   /* a list's */
    float *norms;         /* of the vectors */
    uint32_t group_count; /* 0: there are none */
    const uint32_t *group_starts;
    float *groups, *group_norms; /* their middles */
    uint8_t *codes;              /* code_stride(dim) a list; NULL: there are none */
    float *adds, *muls;          /* a list's; a rough distance is add + mul * product */
};

/* A query, as codes of centers are compared with it. */
struct center_query {
    const struct oracle_query *query;
    struct code_query digits;
    float step;     /* of the digits */
    bool has_codes; /* else distances are exact ones */
};

/* Numbers of the sections of a kind. */
struct list_sections {
    uint32_t centroids, radii;
    uint32_t groups; /* may be absent: u32, the first list of each group, and the end of the last */
};

/* By which metric lists are chosen. */
static inline enum metric list_route(enum metric metric)
{
    return metric == METRIC_IP || metric == METRIC_COSINE ? metric : METRIC_L2;
}

/* metric, dim, count, kernels, vectors and, where there are groups, group_count and group_starts
 * are set, the rest is 0.  NO_MEMORY; then close. */
int list_centers_init(struct list_centers *c, struct alloc *a, struct error *err);
/* The same of an image: metric, dim, count and kernels are set.  CORRUPT, too. */
int list_centers_open(struct list_centers *c, struct alloc *a, const struct index_image *image,
                      const struct list_sections *sections, struct error *err);
void list_centers_close(struct list_centers *c, struct alloc *a);
/* Of what it owns. */
size_t list_centers_bytes(const struct list_centers *c);

/* As a list's rows are centred on it; distances to it by the metric are exact. */
static inline const float *list_center(const struct list_centers *c, uint32_t list)
{
    return c->vectors + (size_t)list * c->dim;
}
/* out[i] = distance of the query from the center first + i, as the route has it. */
void list_center_distances(const struct list_centers *c, const struct oracle_query *query,
                           uint32_t first, uint32_t count, float *out);
void list_group_distances(const struct list_centers *c, const struct oracle_query *query,
                          uint32_t first, uint32_t count, float *out);
/* What rough distances need; the query stays where it is.  digits: of center_query_bytes, aligned
 * to ALIGN_VECTOR. */
size_t center_query_bytes(const struct list_centers *c);
void center_query_init(struct center_query *q, const struct list_centers *c,
                       const struct oracle_query *query, void *digits);
/* out[i]: about the distance from the center first + i, but for what all of them have in common. */
void list_center_nearly(const struct list_centers *c, const struct center_query *q, uint32_t first,
                        uint32_t count, float *out);
/* No row of the list is nearer than this.  The query has its norm. */
float list_bound(const struct list_centers *c, const struct oracle_query *query, uint32_t list,
                 float center_distance);
/* How far a row may be from its center, from the distance between them. */
float list_radius(enum metric_value value, float distance);
/* Is a row so far from the center that the list's radius is wrong?  Kernels of another SIMD level
 * may have measured that. */
bool list_is_beyond(const struct list_centers *c, uint32_t list, float distance);

#endif
