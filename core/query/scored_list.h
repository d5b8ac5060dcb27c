/* SPDX-License-Identifier: Apache-2.0 */
/* scored_list.h — rows that were collected by distance, ranked by a `score` hook: of each query the
 * k smallest of what it gives.
 *
 * THREADS  One.
 */
#ifndef QUERY_SCORED_LIST_H
#define QUERY_SCORED_LIST_H

#include "index/index.h"
#include "query/merge_topk.h"
#include "query/score_batch.h"

struct scored_list;

struct scored_list_desc {
    const struct view *view; /* borrowed, as all else */
    struct column_cache *fields;
    struct hook *hook;
    uint64_t deadline_us;
    size_t query_count;
    size_t k;
    float distance_max; /* what the hook gives more than is not found */
};
/* Room for capacity rows of all queries together.  NO_MEMORY. */
int scored_list_create(struct alloc *a, const struct scored_list_desc *desc, size_t capacity,
                       struct scored_list **out, struct error *err);
void scored_list_destroy(struct scored_list *s); /* NULL is allowed */
/* The rows of the next query, with their distances; copied. */
void scored_list_add(struct scored_list *s, const struct topk *rows);

/* All are added: rank about row_max of them.  FAILED: what the hook and the documents say.  A run
 * of the hook stays open until it rests: before its user returns to the caller of the library. */
enum index_state scored_list_advance(struct scored_list *s, uint64_t row_max, struct error *err);
void scored_list_rest(struct scored_list *s);
/* Done: of a query, nearest first. */
struct topk *scored_list_best(struct scored_list *s, size_t query);
size_t scored_list_row_count(const struct scored_list *s, size_t query); /* that were added */

#endif
