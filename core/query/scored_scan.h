/* SPDX-License-Identifier: Apache-2.0 */
/* scored_scan.h — every wanted row of a view's range, ranked by a `score` hook instead of by its
 * distance: the exact top k of what the hook returns.
 *
 * The same shape as search_exact.h's scan, with memory of its own.
 */
#ifndef QUERY_SCORED_SCAN_H
#define QUERY_SCORED_SCAN_H

#include "query/score_batch.h"
#include "query/search_exact.h"

struct scored_scan; /* of one thread */
/* desc.filter is there: it says which rows are live, too.  All is borrowed.  NO_MEMORY. */
int scored_scan_create(struct alloc *a, const struct exact_desc *desc, struct column_cache *fields,
                       struct hook *hook, uint64_t deadline_us, struct scored_scan **out,
                       struct error *err);
void scored_scan_destroy(struct scored_scan *s); /* NULL is allowed */
/* Look at about row_max rows, or measure them for as many queries; one batch of one query at least,
 * unless desc.filter pauses.  FAILED: what the hook, the vectors or the documents say.  A run of
 * the hook stays open from one advance to the next, on one thread, until the scan rests: before its
 * user returns to the caller of the library. */
enum index_state scored_scan_advance(struct scored_scan *s, uint64_t row_max, struct error *err);
void scored_scan_rest(struct scored_scan *s);

#endif
