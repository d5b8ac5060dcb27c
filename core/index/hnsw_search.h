/* SPDX-License-Identifier: Apache-2.0 */
/* hnsw_search.h — a search over a graph, for the files that it is made of: hnsw_search.c says how.
 *
 * THREADS  One at a time.
 */
#ifndef INDEX_HNSW_SEARCH_H
#define INDEX_HNSW_SEARCH_H

#include "index/candidates.h"
#include "index/hnsw.h"
#include "index/visited.h"

enum {
    HNSW_LANES_MAX = 1,    /* queries in flight; eight were 12 to 25 % slower */
    HNSW_POOL_MAX = 16384, /* nodes that a query keeps: longer lists are scanned for */
    HNSW_FRESH_MAX = 2 * HNSW_LINKS_MAX,
    HNSW_SCAN_ROWS = 1024, /* of a step */
    HNSW_SEEDS = 32,
    HNSW_LINE_BYTES = 64,
};

/* What a query walks by: hnsw_oracle.c. */
struct hnsw_oracle {
    struct oracle base; /* first */
    const struct hnsw *h;
    dense_pair_f32_fn *pair;
    const float *query;
    struct hnsw_turn turn;
    struct oracle *codes; /* NULL: by vectors */
    /* What lies there of each node, and is asked for before it is measured. */
    const uint8_t *places;
    size_t place_bytes, ahead_bytes;
    const float *rows; /* of the segment, at one place, to prefetch; NULL: it has none */
    bool is_exact;     /* its distances are those of the segment's rows, bit for bit */
};

enum hnsw_stage {
    HNSW_IDLE,    /* no query */
    HNSW_DESCEND, /* on the levels above 0 */
    HNSW_EXPAND,  /* the links of `node` are to be looked at */
    HNSW_SCORE,   /* `fresh` nodes are to be measured */
    HNSW_SCAN,    /* all open rows are looked at */
};

enum hnsw_way {
    HNSW_PLAIN,   /* all rows are open */
    HNSW_THROUGH, /* shut ones are walked through */
    HNSW_OVER,    /* shut ones are stepped over, to the open ones behind them */
};

struct hnsw_lane {
    const struct index_query *query;
    const struct hnsw_oracle *oracle;
    enum hnsw_stage stage;
    enum hnsw_way way;
    uint32_t ef;       /* open nodes that it keeps at least */
    float range;       /* what is nearer it keeps besides; -inf: nothing */
    uint32_t most;     /* open nodes, in all */
    uint32_t level;    /* at which it is, and */
    uint32_t node;     /* the node at hand */
    float distance;    /* DESCEND: of the node */
    uint32_t scan_row; /* SCAN: the next one */
    float kth;         /* with slack: the k-th distance, and steps since it fell */
    uint32_t vain_steps;
    bool has_distances; /* SCORE: those of the fresh ones are at hand */
    uint32_t fresh_count;
    uint32_t fresh[HNSW_FRESH_MAX]; /* nodes, and whether they are shut */
    struct candidates found;
    struct candidates measured; /* by blocks: nodes that were looked at, by their true distance */
    struct visited visited;
};

struct hnsw_search {
    struct index_search_desc desc;
    const struct hnsw *h;
    struct hnsw_lane *lanes;
    uint32_t lane_count, turn; /* whose turn it is */
    size_t next_query;
    uint32_t ef, most; /* as of a lane */
    /* What is known of the gate, once it was looked at. */
    bool is_surveyed;
    uint64_t open_estimate; /* rows */
    uint32_t seed_count;
    uint32_t seeds[HNSW_SEEDS]; /* open nodes, here and there */
    /* Of one step. */
    uint32_t rows[HNSW_SCAN_ROWS], nodes[HNSW_SCAN_ROWS];
    float distances[HNSW_SCAN_ROWS];
};

static inline bool hnsw_is_shut(const struct hnsw_search *s, uint32_t node)
{
    uint32_t row = s->h->rows[node];
    return !(index_gate_open(&s->desc.gate, row / 64 * 64) >> (row % 64) & 1);
}

/* hnsw_oracle.c */
/* Distances of nodes, which may have marks; at most HNSW_FRESH_MAX. */
int hnsw_measure(const struct hnsw_oracle *o, const uint32_t *nodes, uint32_t count, float *out,
                 struct error *err);
/* Links and what is beside them. */
void hnsw_prefetch_links(const struct hnsw_oracle *o, uint32_t node);

static inline void hnsw_prefetch(const struct hnsw_oracle *o, uint32_t node)
{
    const uint8_t *place = o->places + (size_t)(node & CANDIDATE_NODE) * o->place_bytes;
    for (size_t i = 0; i < o->ahead_bytes; i += HNSW_LINE_BYTES) __builtin_prefetch(place + i);
    __builtin_prefetch(place + o->ahead_bytes - 1);
}

/* hnsw_gate.c */
/* Look whether some nodes are shut: which of those that are open a walk may begin at, and how many
 * there are, where nobody has counted them. */
void hnsw_survey(struct hnsw_search *s);
/* Look at the links of lane->node, and over those that are shut at what they link to. */
void hnsw_step_over(struct hnsw_search *s, struct hnsw_lane *lane);
/* Some more of all open rows; the distances it took, 0: it failed; UINT64_MAX: it is done. */
int hnsw_scan(struct hnsw_search *s, struct hnsw_lane *lane, uint64_t *distances, bool *is_done,
              struct error *err);

#endif
