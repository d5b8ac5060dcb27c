/* SPDX-License-Identifier: Apache-2.0 */
/* measurable_rows.h — can a metric measure the rows that there are?  Hellinger's takes no negative
 * masses, haversine's no vector that is no [lon, lat]: who changes to one of them has every live
 * row looked at first, which is a reading of all vectors.
 *
 * ERRORS   INVALID, DIMENSION: it cannot; a row is named by its id.  NO_MEMORY; what the source of
 *          the vectors says.
 * THREADS  Any; nothing is changed.
 */
#ifndef SEGMENT_MEASURABLE_ROWS_H
#define SEGMENT_MEASURABLE_ROWS_H

#include "segment/view.h"
#include "simd/metrics.h"

/* Rows of a segment that are not in question: those before `end` that `dead` has not deleted. */
struct rows_measured {
    uint32_t end;
    const struct tombstones *dead; /* NULL: none was */
};

/* What a view had of a segment; none where v is NULL or did not have it. */
struct rows_measured view_rows_measured(const struct view *v, const struct segment *segment);

/* Live rows before row_end; deleted ones are looked at when they are restored. */
int segment_check_measurable(struct segment *s, const struct tombstones *dead, uint32_t row_end,
                             struct rows_measured measured, const struct metric_info *metric,
                             struct alloc *a, struct error *err);

/* All live rows of a view, and its dimension. */
int view_check_measurable(const struct view *v, const struct metric_info *metric,
                          struct error *err);

#endif
