/* SPDX-License-Identifier: Apache-2.0 */
/* spann_build.h — short lists that are being built: spann_build.c says how. */
#ifndef INDEX_SPANN_BUILD_H
#define INDEX_SPANN_BUILD_H

#include "index/spann.h"
#include "quant/kmeans.h"
#include "quant/lloyd.h"

enum spann_stage { SPANN_TRAIN, SPANN_ASSIGN, SPANN_SPLIT, SPANN_CLOSE, SPANN_BUILT };

#define SPANN_NONE UINT32_MAX

/* A list that a row is to be in, and how far it is from its center. */
struct spann_home {
    uint32_t list; /* SPANN_NONE: no more */
    float distance;
};

/* Lists as they are written. */
struct spann_lists {
    uint32_t count;
    uint32_t *centers; /* whose a list is: a long one's parts have the same */
    uint32_t *starts, *rows;
    float *radii;
};

struct spann_build {
    struct index_build_desc desc;
    enum metric_value value;
    uint32_t dim, cluster_count;
    uint32_t mean_rows, own_rows, list_rows; /* of a list: about, without replicas, at most */
    uint32_t home_count;                     /* of a row, at most */
    enum spann_stage stage;
    struct kmeans *kmeans;
    /* k-means' clusters and their rows, until those that are too large are divided. */
    uint32_t *labels;
    struct lloyd_order clusters;
    uint32_t *large; /* which are too large, */
    uint32_t large_count;
    float **parts; /* of each of them the centers that it is divided among, */
    uint32_t *part_counts;
    /* The centers then. */
    struct list_centers centers;
    float *center_vectors;
    uint32_t *group_starts;
    struct spann_home *homes; /* home_count a row */
    struct spann_lists lists;
};

/* spann_place.c: the lists, out of homes. */
int spann_place(struct spann_build *b, struct error *err);
void spann_lists_drop(struct spann_lists *l, struct alloc *a);

/* spann_file.c */
int spann_save(struct spann_build *b, struct index_writer *w, struct error *err);

#endif
