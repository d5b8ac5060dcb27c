/* SPDX-License-Identifier: Apache-2.0 */
/* search_object.h — what a search consists of, for the files that it is made of: search.c makes and
 * advances its slices, search_rounds.c what comes after them.
 */
#ifndef QUERY_SEARCH_OBJECT_H
#define QUERY_SEARCH_OBJECT_H

#include "base/limits.h"
#include "query/indexed_scan.h"
#include "query/merge_topk.h"
#include "query/scored_list.h"
#include "query/scored_scan.h"
#include "query/search.h"

enum { SLICES_MAX = 64 };

enum search_stage {
    STAGE_SCAN,   /* slices are being advanced */
    STAGE_SCORE,  /* what they collected is in front of the score hook */
    STAGE_LISTED, /* the lists of all queries are what they will be */
};

/* Of a search that goes on after its results. */
struct search_pages {
    bool is_on;
    bool is_given;   /* the page at hand was */
    size_t page;     /* results of the page at hand, at most */
    uint64_t *given; /* places of rows that were in one; ascending */
    size_t given_count, given_capacity;
};

struct search_slice {
    _Alignas(ALIGN_VECTOR) enum search_state state; /* no line is shared with a neighbour */
    bool has_begun;
    size_t query_first, query_count;
    struct topk *best; /* one for each of its queries */
    struct merge_tie tie;
    struct row_filter *filter; /* NULL: none */
    struct exact_scan scan;
    struct indexed_scan indexed; /* after it, in the same memory */
    bool is_scanned;             /* scan is done */
    struct scored_scan *scored;  /* instead of both, where there is a score hook */
    struct error error;          /* when FAILED */
};

struct search {
    struct alloc *alloc;
    struct view *view;
    struct filter *filter; /* NULL: none */
    struct column_cache *fields;
    struct shadow_room *room, *shadows; /* the request's; of this scan */
    struct hook *score;                 /* NULL: none */
    enum score_mode score_mode;
    struct hook *rerank;
    bool rerank_may_fail;
    struct error rerank_error; /* why there is none any more */
    struct hook_wants rerank_wants;
    const struct clock *clock;
    const struct simd_kernels *kernels;
    struct exact_method method;
    struct indexed_parts indexed; /* count 0: no part is looked up */
    struct index_options options;
    const _Atomic(bool) *cancel;
    const uint32_t *host_cancel;
    uint64_t deadline_us;
    size_t query_count;
    unsigned columns;
    bool larger_is_nearer; /* of the metric: scores are negated distances, but for hooks */
    bool is_range, is_exact;
    float threshold;      /* range: in the user's terms */
    float distance_max;   /* range: farther rows are not found */
    size_t wanted;        /* results of each query; 0: there is nothing to search */
    size_t list_capacity; /* of each slice's lists: wanted, or as many as are collected */
    uint64_t row_count;   /* of all parts that are not looked up */
    uint64_t quantum;     /* distances between two looks */
    struct search_slice *slices;
    size_t slice_count;
    size_t slice_queries; /* queries of each slice but perhaps the last */
    enum search_stage stage;
    struct scored_list *scored; /* stages from SCORE on: what was collected */
    struct scored_list *before; /* of the round before */
    struct search_pages pages;
    struct oracle_query queries[]; /* then their vectors */
};

static inline bool search_scores_all(const struct search *s)
{
    return s->score && s->score_mode == SCORE_ALL;
}

/* What a list may have.  What a score hook gives is compared with the threshold as it is. */
static inline float search_score_max(const struct search *s)
{
    if (!s->is_range) return __builtin_inff();
    return s->larger_is_nearer && !s->score ? -s->threshold : s->threshold;
}

/* search.c */
/* New slices, cut as those that are there, with lists of list_capacity.  NO_MEMORY: those that were
 * there are still. */
int search_make_slices(struct search *s, struct error *err);
/* Which parts are looked up, and how far a row may be, by what the search is now. */
void search_choose_scan(struct search *s);
int search_check_limits(const struct search *s, struct error *err);

/* search_rounds.c */
/* Rows that each query's lists are to have, by what is wanted of them. */
size_t search_collect_count(const struct search *s);

#endif
