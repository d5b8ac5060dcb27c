/* SPDX-License-Identifier: Apache-2.0 */
/* topk.h — the k best candidates, ties by id.
 *
 * Smaller distance is nearer; equal distances are ordered by the tie function, which the owner
 * supplies because ids live in segments (it is called only on equal distances).  NaN distances are
 * dropped.  A bounded binary max-heap: push is one comparison when the candidate is too far.
 */
#ifndef BASE_TOPK_H
#define BASE_TOPK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

struct candidate {
    float distance;
    uint32_t part; /* number of the segment in the view */
    uint32_t row;  /* row in it */
};

/* <0: a's id comes first; >0: b's.  Never 0 for two different rows of one view. */
typedef int topk_tie_fn(void *ctx, const struct candidate *a, const struct candidate *b);
/* Of candidates of one part: the lower row first. */
int topk_lower_row(void *ctx, const struct candidate *a, const struct candidate *b);

struct topk {
    struct alloc *alloc;
    struct candidate *heap; /* heap[0] is the worst kept */
    size_t count;
    size_t capacity; /* k */
    topk_tie_fn *tie;
    void *tie_ctx;
};

int topk_init(struct topk *t, struct alloc *a, size_t k, topk_tie_fn *tie,
              void *tie_ctx); /* -1: out of memory */
/* In memory of the caller's, of max(k, 1) candidates; then there is nothing to deinit. */
void topk_init_at(struct topk *t, struct candidate *memory, size_t k, topk_tie_fn *tie,
                  void *tie_ctx);
void topk_deinit(struct topk *t);

/* Candidates farther than this cannot enter: +inf until the heap is full. */
static inline float topk_threshold(const struct topk *t)
{
    return t->count < t->capacity ? __builtin_inff() : t->heap[0].distance;
}

/* Likewise, and none farther than distance_max is wanted; not NaN. */
static inline float topk_limit(const struct topk *t, float distance_max)
{
    float threshold = topk_threshold(t);
    return threshold < distance_max ? threshold : distance_max;
}

enum { TOPK_LANES = 32 }; /* distances that are compared at a time */

/* Any of TOPK_LANES distances within the limit; NaN is not.  Branchless, so that it is done in
 * vectors. */
static inline bool topk_has_near(const float *distances, float limit)
{
    int near = 0;
    for (int i = 0; i < TOPK_LANES; i++) near |= distances[i] <= limit;
    return near != 0;
}

void topk_push(struct topk *t, float distance, uint32_t part, uint32_t row);
void topk_merge(struct topk *t, const struct topk *other); /* push all of other's */
/* Sort by (distance, tie), nearest first; no push afterwards until topk_clear. */
void topk_sort(struct topk *t);
void topk_clear(struct topk *t);

#endif
