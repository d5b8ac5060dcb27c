/* SPDX-License-Identifier: Apache-2.0 */
/* search_exact.h — some queries against a range of a view's rows, all of them, as a state machine.
 *
 * Rows are numbered through all parts, oldest first.  Lies in memory of its user and owns nothing.
 * THREADS  One thread at a time; several scans may share queries and view.
 */
#ifndef QUERY_SEARCH_EXACT_H
#define QUERY_SEARCH_EXACT_H

#include "index/index.h"
#include "quant/quantizer.h"
#include "query/row_filter.h"
#include "segment/segment_shadow.h"
#include "segment/view.h"

/* What every row is looked at by: one line of each registry. */
struct exact_method {
    const struct index_vtab *index;
    const struct quantizer_vtab *quantizer;
};

struct exact_desc {
    const struct view *view;           /* with a dimension; borrowed, as all else */
    const struct exact_method *method; /* likewise */
    const struct simd_kernels *kernels;
    struct shadow_room *shadows; /* where segments keep shadows; NULL: none is read or made */
    const struct oracle_query *queries;
    size_t query_count;
    struct topk *best;         /* one for each query */
    float distance_max;        /* farther rows are not found */
    float slack;               /* as of index_options */
    struct row_filter *filter; /* which rows are wanted; NULL: all that are live */
    /* For each part, not NULL: somebody else searches it, and its rows are not counted. */
    const struct segment_index *const *indexed; /* NULL: there is none */
    uint64_t row_first, row_end;                /* 0 to exact_row_count */
};

struct exact_scan {
    struct exact_desc desc;
    struct index_query *targets; /* one for each query */
    uint8_t *oracles;            /* memory of one for each query */
    void *search;                /* memory of the index's search object */
    size_t part;                 /* the next one to begin, or the one being searched */
    uint64_t part_first;         /* number of its first row */
    bool is_open;                /* it is being searched: */
    struct shadow_source *shadow;
    size_t ready_count;    /* queries that have an oracle for it */
    uint32_t row, row_end; /* its rows that are still to be searched */
    bool is_begun;         /* the index searches from row to run_end */
    uint32_t run_end;
};

/* Rows that are not deleted. */
struct index_gate exact_live_gate(struct tombstones *dead);

/* Rows of all parts but the indexed ones, deleted ones too. */
uint64_t exact_row_count(const struct view *v, const struct segment_index *const *indexed);

/* Memory for a scan of so many queries, a multiple of ALIGN_VECTOR. */
size_t exact_memory_bytes(const struct exact_method *m, uint32_t dim, size_t query_count);
void exact_begin(struct exact_scan *s, const struct exact_desc *desc, void *memory);
/* Go on for about distance_max distances, or until the filter pauses.  FAILED: a part's vectors
 * cannot be read. */
enum index_state exact_advance(struct exact_scan *s, uint64_t distance_max, struct error *err);

#endif
