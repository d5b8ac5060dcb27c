/* SPDX-License-Identifier: Apache-2.0 */
/* index_probe.h — how much of what is near does an index find?  Some of its own rows are looked up
 * in it, and by looking at every row.
 */
#ifndef INDEX_INDEX_PROBE_H
#define INDEX_INDEX_PROBE_H

#include "index/index.h"

struct index_probe_desc {
    struct alloc *alloc;
    const struct simd_kernels *kernels;
    const struct index *index; /* borrowed, like all of it */
    const struct vector_source *vectors;
    enum metric metric;
    uint32_t probe_count; /* rows that are looked up, at most; as many as there are */
    size_t k;             /* of the nearest of each */
    /* Asked before each: may it go on?  Not 0: why not.  NULL: it may. */
    int (*look)(void *ctx, struct error *err);
    void *ctx;
};

/* The share that is found, 0 to 1; a row that is as near stands for another.  NO_MEMORY, what look,
 * the index or the vectors say.  Any thread. */
int index_probe(const struct index_probe_desc *desc, double *out_recall, struct error *err);

#endif
