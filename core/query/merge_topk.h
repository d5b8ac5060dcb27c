/* SPDX-License-Identifier: Apache-2.0 */
/* merge_topk.h — the order of equal distances, and several lists made one. */
#ifndef QUERY_MERGE_TOPK_H
#define QUERY_MERGE_TOPK_H

#include "base/topk.h"
#include "segment/view.h"

/* The ctx of merge_tie.  An id that cannot be read is no reason to stop in the middle of a heap:
 * rows then have some order, and the first error is kept here for who owns the list. */
struct merge_tie {
    const struct view *view;
    struct error error; /* code 0: all ids could be read */
};

/* topk_tie_fn: by id. */
int merge_tie(void *ctx, const struct candidate *a, const struct candidate *b);

/* What all lists have together, nearest first, into the first one; count 1 at least.  The lists may
 * not be used again but for reading the first. */
void merge_topk(struct topk *const *lists, size_t count);

#endif
