/* SPDX-License-Identifier: Apache-2.0 */
/* score_batch.h — some rows of one part in front of a `score` hook: their distances, the columns
 * that it reads, and what it makes of them.
 *
 * Its user says which rows and what their distances are, and takes the scores.  A batch without
 * gaps is a run: it has no list of rows, ends where the cache's arrays of numbers do, and its
 * columns are inside of those.  Columns of other batches are copied behind one another.  The hook
 * tells which fields it reads by asking for them: every later batch comes with all of them.
 * THREADS  One.  Between begin and rest of a run of the hook it is not handed to another.
 */
#ifndef QUERY_SCORE_BATCH_H
#define QUERY_SCORE_BATCH_H

#include "base/topk.h"
#include "query/hook.h"
#include "segment/column_cache.h"

struct score_batch {
    struct alloc *alloc;
    struct column_cache *fields;
    struct hook *hook;
    uint64_t deadline_us;
    struct hook_run *run;         /* NULL: none is open */
    struct segment *segment;      /* whose rows they are */
    struct column_reader *reader; /* of the wanted fields; NULL: none */
    size_t reader_fields;
    uint32_t count; /* HOOK_BATCH_ROWS at most */
    uint32_t first_row;
    bool is_run;         /* its rows are first_row and those behind it; else `rows`, ascending */
    size_t column_count; /* that are there; 0 when the rows are others */
    const double *columns[HOOK_FIELDS_MAX];
    double *copies; /* of the columns, where it is no run */
    size_t copied_fields;
    struct hook_wants wants;
    uint32_t rows[HOOK_BATCH_ROWS];
    float distances[HOOK_BATCH_ROWS];
    float scores[HOOK_BATCH_ROWS];
};

/* Empty; all is borrowed. */
void score_batch_init(struct score_batch *b, struct alloc *a, struct column_cache *fields,
                      struct hook *hook, uint64_t deadline_us);
void score_batch_deinit(struct score_batch *b);
/* The rows will be of this segment; NULL: of none any more. */
void score_batch_enter(struct score_batch *b, struct segment *segment);
/* Forget the rows. */
void score_batch_clear(struct score_batch *b);

static inline uint32_t score_batch_row(const struct score_batch *b, uint32_t i)
{
    return b->is_run ? b->first_row + i : b->rows[i];
}

/* count rows with their distances become scores.  A run of the hook stays open until the batch
 * rests: before its user returns to the caller of the library.  What the hook or the documents
 * say. */
int score_batch_run(struct score_batch *b, struct error *err);
void score_batch_rest(struct score_batch *b);
/* What of the scores is near enough; NaN is not. */
void score_batch_push(struct score_batch *b, struct topk *best, uint32_t part, float distance_max);

#endif
