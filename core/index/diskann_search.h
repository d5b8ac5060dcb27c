/* SPDX-License-Identifier: Apache-2.0 */
/* diskann_search.h — a search over a disk index, for the files that it is made of:
 * diskann_search.c says how.
 *
 * THREADS  One at a time.
 */
#ifndef INDEX_DISKANN_SEARCH_H
#define INDEX_DISKANN_SEARCH_H

#include "index/candidates.h"
#include "index/diskann.h"
#include "index/visited.h"

enum {
    DISKANN_POOL_MAX = 16384,  /* nodes that a query keeps: longer lists are scanned for */
    DISKANN_SCAN_NODES = 1024, /* of a step */
};

enum diskann_stage {
    DISKANN_IDLE,     /* no query */
    DISKANN_DESCEND,  /* on the levels above 1, to the nearest node of each */
    DISKANN_NAVIGATE, /* on level 1, to some near nodes of it */
    DISKANN_WALK,     /* through pages */
    DISKANN_BY_CODES, /* the codes of all open nodes are looked at, then the pages of the best */
    DISKANN_BY_ROWS,  /* all open rows are measured */
};

struct diskann_search {
    struct index_search_desc desc;
    const struct diskann *d;
    size_t next_query;
    /* What is known of the gate, once it was looked at. */
    bool is_surveyed;
    uint64_t open_estimate; /* rows */
    /* The query at hand. */
    const struct index_query *query;
    const struct diskann_oracle *oracle;
    enum diskann_stage stage;
    size_t k;
    uint32_t ef;                /* open nodes that it keeps at least */
    float range;                /* what may be nearer it keeps besides; -inf: nothing */
    bool is_overfull;           /* there was no room for all it had to keep */
    bool follows_links;         /* of what it reads */
    uint32_t level;             /* DESCEND: at which it is, */
    uint32_t node;              /* its number there, */
    float distance;             /* and how far */
    uint32_t scanned;           /* BY_CODES, BY_ROWS: nodes or rows */
    struct candidates found;    /* by their codes, or exactly, where a page had them */
    struct candidates measured; /* open ones, exactly */
    float kth;                  /* with slack: the k-th distance, and nodes that were followed */
    uint32_t vain_nodes;        /* since it fell */
    struct visited visited;     /* nodes */
    struct visited pages;       /* that were read */
    struct disk_ring ring;      /* pages: number, and of: the node that is wanted of it */
    /* Of one step. */
    uint32_t fresh[DISKANN_SCAN_NODES];
    float distances[DISKANN_SCAN_NODES], bounds[DISKANN_SCAN_NODES];
};

static inline bool diskann_is_shut(const struct diskann_search *s, uint32_t node)
{
    const struct index_gate *gate = &s->desc.gate;
    uint32_t row = s->d->rows[node];
    return gate->shut_word && gate->shut_word(gate->ctx, row / 64 * 64) >> (row % 64) & 1;
}

/* By its codes, which may be off by `bound`. */
static inline bool diskann_is_wanted(const struct diskann_search *s, float distance, float bound)
{
    const struct candidates *c = &s->found;
    return c->open_count < s->ef || distance < c->items[c->count - 1].distance ||
           distance - bound <= s->range;
}

/* diskann_search.c: node with its marks; what is too much goes. */
void diskann_keep(struct diskann_search *s, float distance, uint32_t node);
/* Distances of s->fresh by their codes; bounds are 0 where nobody asks for them. */
int diskann_estimate(struct diskann_search *s, uint32_t count, struct error *err);
/* Keep those of s->fresh that are wanted, by their codes. */
int diskann_keep_fresh(struct diskann_search *s, uint32_t count, struct error *err);

/* diskann_walk.c */
/* Look at the next page; *is_done: there is none. */
int diskann_walk_step(struct diskann_search *s, uint64_t *distances, bool *is_done,
                      struct error *err);

#endif
