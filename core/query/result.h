/* SPDX-License-Identifier: Apache-2.0 */
/* result.h — what a read gives back: columns of ids, scores, documents and vectors.
 *
 * Owns everything it points to (one arena), so that the view may be released at once.
 */
#ifndef QUERY_RESULT_H
#define QUERY_RESULT_H

#include "base/arena.h"
#include "codec/id.h"
#include "segment/view.h"

enum result_columns { RESULT_SCORES = 1, RESULT_DOCUMENTS = 2, RESULT_VECTORS = 4 };

struct result {
    struct arena arena;
    size_t count;
    size_t capacity;
    size_t query_count;
    size_t queries_ended; /* by result_end_query, so far */
    size_t *query_ends;   /* query_count entries; query i ends before query_ends[i] */
    struct record_id *ids;
    float *scores;           /* as the user sees them; NULL unless RESULT_SCORES */
    struct slice *documents; /* NULL unless RESULT_DOCUMENTS; size 0: the empty map */
    float *vectors;          /* count x dim; NULL unless RESULT_VECTORS */
    uint32_t dim;
    uint8_t metric;
    uint8_t index_kind; /* of the view */
    uint64_t as_of_lsn;
};

/* Room for exactly `capacity` rows.  NO_MEMORY; TOO_LARGE when capacity x dim cannot be held. */
int result_init(struct result *r, struct alloc *a, const struct view *v, size_t capacity,
                size_t query_count, unsigned columns, struct error *err);
void result_deinit(struct result *r); /* of a zeroed one: nothing */
/* Append one row of the view: its id, document and vector are copied.  score is ignored without
 * RESULT_SCORES.  On an error the row is not there. */
int result_add(struct result *r, const struct view *v, uint32_t part, uint32_t row, float score,
               struct error *err);
void result_end_query(
    struct result *r); /* the rows added since the last call were the next query's */

#endif
