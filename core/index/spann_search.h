/* SPDX-License-Identifier: Apache-2.0 */
/* spann_search.h — a search over short lists on the disk: spann_search.c says how.
 *
 * THREADS  One at a time.
 */
#ifndef INDEX_SPANN_SEARCH_H
#define INDEX_SPANN_SEARCH_H

#include "index/near_lists.h"
#include "index/spann.h"
#include "index/visited.h"

enum { SPANN_SAMPLE_PLACES = 4 }; /* one in so many where the gate does not come first */

struct spann_search {
    struct index_search_desc desc;
    const struct spann *s;
    size_t next_query;
    struct list_due standard; /* what is due of a query, and of the one at hand */
    float reach;              /* of the nearest list's distance; +inf: all lists are within it */
    /* The query at hand. */
    bool is_busy;
    const struct index_query *query;
    struct spann_oracle *oracle;
    struct list_due due;
    struct list_walk walk;
    struct near_lists near;
    void *near_memory;
    struct near_list next; /* the nearest that was not asked for, where there is one */
    bool has_next;
    uint32_t asked_count;  /* lists */
    uint64_t asked_rows;   /* theirs */
    float limit;           /* no list beyond it is read among the first nprobe */
    struct visited pushed; /* rows: a replica is no second result */
    struct disk_ring ring; /* lists: number */
    float *ring_distances; /* of each flight's center: by place in the ring */
    /* The list at hand. */
    uint64_t *open;   /* bit i: place i, where the gate comes first */
    uint32_t *places; /* those that are open */
    float *distances;
};

static inline float spann_limit(const struct spann_search *s)
{
    return topk_limit(s->query->best, s->query->distance_max);
}

/* Of a list's bound: with slack, what could be nearer than the last of the results by no more than
 * that is left out, as by the kind ivf. */
static inline float spann_bound_limit(const struct spann_search *s)
{
    float threshold = topk_threshold(s->query->best) - s->desc.options.slack;
    return threshold < s->query->distance_max ? threshold : s->query->distance_max;
}

/* spann_read.c: measure the list, push what is near, and count what was seen of the gate. */
int spann_read_list(struct spann_search *s, uint32_t list, const uint8_t *bytes, struct error *err);

#endif
