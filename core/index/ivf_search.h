/* SPDX-License-Identifier: Apache-2.0 */
/* ivf_search.h — a search at work: which lists, and what becomes of their rows. */
#ifndef INDEX_IVF_SEARCH_H
#define INDEX_IVF_SEARCH_H

#include "index/ivf.h"
#include "index/near_lists.h"

enum {
    IVF_BLOCK_ROWS = 1024, /* of a list, at a time */
    IVF_QUERIES = 4,       /* that read a raw list together */
    IVF_SAMPLE_PLACES = 4, /* one in so many is asked about where the gate does not come first */
    IVF_SEEDS = 128,       /* rows that are measured first while the list of results is short */
};

/* A list that a query reads. */
struct ivf_visit {
    struct near_list at;
    uint32_t query; /* of the group */
};

enum ivf_search_stage { IVF_PLAN, IVF_TOGETHER, IVF_ALONE, IVF_CONFIRM, IVF_NEXT_GROUP };

struct ivf_search {
    struct index_search_desc desc;
    const struct ivf *ivf;
    uint32_t block_rows;
    size_t pool_rows;  /* candidates kept of a query until they are measured; 0: by bounds */
    size_t later_rows; /* by bounds: rows kept that may be near, but by their estimates are not */
    struct list_due due;
    enum ivf_search_stage stage;
    /* The group of queries at work. */
    size_t group_most, group_first, group_count, query; /* query: of the group, whose turn it is */
    struct list_walk *walks;                            /* one a query, as the next two */
    struct topk *pools; /* what is kept: the best, or by bounds in any order */
    struct candidate *pool_memory;
    struct ivf_visit *visits; /* nprobe a query, then by list */
    uint32_t *visit_order, *list_ends;
    size_t visit_count, visit_at;
    /* Lists that the query whose turn it is has not visited, and their memory. */
    struct near_lists near;
    void *near_memory;
    bool has_near;
    /* The list at work. */
    struct ivf_visit readers[IVF_QUERIES];
    size_t reader_count;
    uint32_t place, end;
    uint32_t asked, open_count; /* of its rows, as in list_walk */
    /* The block at work. */
    uint64_t open[IVF_BLOCK_ROWS / 64]; /* where the gate comes first */
    uint32_t places[IVF_BLOCK_ROWS];
    float distances[IVF_QUERIES * (IVF_BLOCK_ROWS / IVF_QUERIES + TOPK_LANES)];
    float bounds[IVF_BLOCK_ROWS + TOPK_LANES];
    struct topk seeds;
    struct candidate seed_memory[IVF_SEEDS];
};
_Static_assert(IVF_QUERIES *(IVF_BLOCK_ROWS / IVF_QUERIES + TOPK_LANES) >=
                   IVF_BLOCK_ROWS + TOPK_LANES,
               "one query's fit as well");

static inline const struct index_query *ivf_query(const struct ivf_search *s, size_t query)
{
    return &s->desc.queries[s->group_first + query];
}

static inline struct ivf_oracle *ivf_oracle_of(const struct index_query *q)
{
    return (struct ivf_oracle *)q->oracle;
}

static inline float ivf_limit(const struct index_query *q)
{
    return topk_limit(q->best, q->distance_max);
}

/* Of a bound from below: with slack, what could be nearer than the last of the results by no more
 * than that is left out, as flat.c does. */
static inline float ivf_bound_limit(const struct ivf_search *s, const struct index_query *q)
{
    float threshold = topk_threshold(q->best) - s->desc.options.slack;
    return threshold < q->distance_max ? threshold : q->distance_max;
}

/* The next block of the list at work, for its readers. */
int ivf_read_block(struct ivf_search *s, struct error *err);
/* Measure what the query's pool holds. */
int ivf_confirm(struct ivf_search *s, size_t query, struct error *err);

#endif
