/* SPDX-License-Identifier: Apache-2.0 */
/* where_rows.h — documents as columns, and a filter matched over all of them. */
#ifndef SUPPORT_WHERE_ROWS_H
#define SUPPORT_WHERE_ROWS_H

#include "filter/filter.h"

/* All allocations are of `a`; documents are borrowed while columns are made. */
struct where_rows {
    struct alloc *alloc;
    const struct slice *documents;
    uint32_t count;
};

/* out[i]: 1 where the filter is true for row i, else 0.  -1: NO_MEMORY. */
int where_rows_match(const struct where_rows *rows, const struct filter *f, uint8_t *out,
                     struct error *err);

/* The column of a path, a row per document; the caller's, for column_destroy.  -1: NO_MEMORY. */
int where_rows_column(const struct where_rows *rows, struct slice path, struct column **out,
                      struct error *err);

#endif
