/* SPDX-License-Identifier: Apache-2.0 */
/* indexed_scan.h — some queries against those parts of a view that are looked up in an index, as a
 * state machine; search_exact.h has the others.
 *
 * Lies in memory of its user and owns nothing.
 * THREADS  One thread at a time; several scans may share queries, view and parts.
 */
#ifndef QUERY_INDEXED_SCAN_H
#define QUERY_INDEXED_SCAN_H

#include "query/search_exact.h"

/* Which parts of a view a search looks up, decided once: an index may be loaded meanwhile. */
struct indexed_parts {
    /* For each part of the view: its index, loaded, or NULL. */
    const struct segment_index **list;
    size_t count; /* of those that are not NULL */
};
/* list: room for all parts.  Those that have an index for the view's metric. */
void indexed_parts_find(struct indexed_parts *p, const struct view *v);

/* About what looking one query up in all of them takes, in microseconds. */
double indexed_cost_us(const struct indexed_parts *p, const struct view *v,
                       const struct index_options *options, size_t k);

struct indexed_desc {
    struct exact_desc scan; /* view, queries and so on; its rows are of no meaning */
    const struct indexed_parts *parts;
    struct index_options options;
    bool is_filtered;        /* scan.filter is there; of a desc for its memory: will be */
    size_t k;                /* of the lists */
    size_t turn, turn_count; /* of the parts that are looked up, this scan's: every so many */
};

enum indexed_stage { INDEXED_NEXT, INDEXED_MATCH, INDEXED_WALK, INDEXED_AGAIN };

struct indexed_scan {
    struct indexed_desc desc;
    enum indexed_stage stage;
    size_t part, place; /* the next or the one at hand; how many with an index are before it */
    const struct segment_index *index;
    /* What is being searched by, and for which of the queries. */
    const struct index_vtab *kind;
    bool is_scanned;  /* by looking at every row that may be found */
    bool met_damage;  /* of an index: it is noted there */
    size_t group_end; /* WALK: queries before it have been or are being searched for */
    size_t query;
    uint32_t open_count; /* rows that may be found */
    uint32_t row;        /* MATCH: those before it are matched */
    struct index_gate gate;
    uint64_t *matched; /* with a filter: room for a bit for each row of the part */
    struct index_query *targets;
    uint8_t *oracles; /* two for each query of a group */
    size_t oracle_bytes;
    void *search;
};

/* Memory for a scan of desc, a multiple of ALIGN_VECTOR. */
size_t indexed_memory_bytes(const struct indexed_desc *desc);
void indexed_begin(struct indexed_scan *s, const struct indexed_desc *desc, void *memory);
/* Go on for about distance_max distances, or until the filter pauses.  FAILED: what the vectors or
 * the index say. */
enum index_state indexed_advance(struct indexed_scan *s, uint64_t distance_max, struct error *err);

#endif
