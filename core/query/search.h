/* SPDX-License-Identifier: Apache-2.0 */
/* search.h — a search over one view, as an object: begin, advance, finish (architecture D6b).
 *
 * It owns its heap, its scratch and its view, so that the same object serves a blocking call, a
 * game's frame budget, a cursor and the search pool.  A large scan can be split: each slice is
 * advanced by one thread at a time, different slices by different threads at once; finish merges.
 * Scores are those of the one-pair kernel; ties are ordered by id; deleted rows never appear (P7).
 * Parts whose index is loaded when a search is made are looked up in it, unless the search is exact
 * or a score hook ranks every row; such a search may miss rows: of the k nearest never the number
 * that there are, of a range some of those that are within it.
 */
#ifndef QUERY_SEARCH_H
#define QUERY_SEARCH_H

#include "base/clock.h"
#include "index/index_params.h"
#include "query/hook.h"
#include "query/result.h"

/* Which rows a score hook is given. */
enum score_mode {
    SCORE_ALL,     /* every one that is wanted */
    SCORE_COLLECT, /* those that are nearest: of k options.oversample times as many, 4 times if
                      nothing is said, 100 and options.effort at least */
    SCORE_BEAM,    /* so, and then twice as many, until as many again change nothing */
};

struct search_request {
    const float *vectors; /* query_count x dim; copied */
    size_t query_count;
    uint32_t dim;
    bool is_range;
    size_t k;                    /* top-k */
    float threshold;             /* range: in the user's terms (ip: at least; others: at most) */
    size_t max_results;          /* range: the nearest so many */
    unsigned columns;            /* RESULT_DOCUMENTS, RESULT_VECTORS */
    struct slice where;          /* only rows for which this text is true; data NULL: all */
    struct column_cache *fields; /* where it finds what filter and hooks read; outlives it */
    struct shadow_room *shadows; /* what its segments' shadows may take; outlives the segments;
                                    NULL: none is read or made */
    struct hook *score;          /* ranks by what it returns; scores are its values, smaller is
                                    nearer; borrowed until the search is gone; NULL: none */
    enum score_mode score_mode;
    struct hook *rerank;         /* puts the hits of each query in a new order; likewise */
    bool rerank_may_fail;        /* with HOOK: then the answer is that without it */
    uint64_t deadline_us;        /* monotonic of `clock`; 0: none */
    const _Atomic(bool) *cancel; /* may be NULL */
    const uint32_t *host_cancel; /* likewise: the host's own, which it may set at any time */

    struct index_options options; /* how hard indexes look */
    bool is_exact;                /* every row is looked at, whatever the index */
    bool is_paged;                /* search_next may ask for more; of one query, no range */
};

struct search;
enum search_state { SEARCH_MORE, SEARCH_DONE, SEARCH_FAILED };

/* INVALID, DIMENSION, LIMIT: with field, value and limit; components must be finite.  PARSE: where,
 * with its position.  The view is taken on success and on failure.  A view without dimension gives
 * an empty result. */
int search_create(struct alloc *a, struct view *take_view, const struct search_request *request,
                  const struct clock *clock, struct search **out, struct error *err);
void search_destroy(struct search *s); /* NULL allowed; no slice is being advanced */

/* An estimate of the work in microseconds of one core, from rows, dim and queries (architecture
 * D5). */
uint64_t search_cost_us(const struct search *s);

/* Cut into up to slice_max slices of about equal work (before the first advance); the number made.
 * Without it there is one slice. Slices are whole queries or row ranges of at least
 * SEARCH_SPLIT_ROWS. */
size_t search_split(struct search *s, size_t slice_max, struct error *err); /* 0: out of memory */
/* Work on one slice for about budget_us (0: to its end).  FAILED: see search_error; the deadline
 * and the cancel flag are looked at at least once per millisecond of work (DEADLINE, CANCELLED). */
enum search_state search_advance(struct search *s, size_t slice, uint64_t budget_us);
/* Of the first slice that failed, NULL when none did.  While no slice is being advanced. */
const struct error *search_error(const struct search *s);

/* The view that it is over, if it met a damaged index there (segment_index_damage); else NULL.
 * While no slice is being advanced. */
const struct view *search_damaged_view(const struct search *s);

/* Begin anew without the score hook: what was found so far is forgotten.  While no slice is being
 * advanced.  NO_MEMORY: the search can only be destroyed. */
int search_drop_score(struct search *s, struct error *err);

/* How many slices are to be advanced now. */
size_t search_slice_count(const struct search *s);
/* All slices are done.  1: they, or others, are to be advanced again, as many as search_slice_count
 * says; 0: it can be finished, as at once where no hook scores what was collected. */
int search_continue(struct search *s, struct error *err);
/* Nothing is left to be advanced: merge, score, fetch.  out is initialised by this call. */
int search_finish(struct search *s, struct result *out, struct error *err);
/* After finish, of a search that is_paged: the next k results, none of which was given before; then
 * its slices are to be advanced again, and it to be continued and finished.  Fewer than k, or none:
 * there are no more.  INVALID, LIMIT: more than LIMIT_K in all. */
int search_next(struct search *s, size_t k, uint64_t deadline_us, struct error *err);
/* After finish: why the rerank hook had no part in it; NULL: it had, or there is none. */
const struct error *search_rerank_error(const struct search *s);

#endif
