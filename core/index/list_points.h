/* SPDX-License-Identifier: Apache-2.0 */
/* list_points.h — the vectors of some rows as k-means takes them: by pointers. */
#ifndef INDEX_LIST_POINTS_H
#define INDEX_LIST_POINTS_H

#include "quant/vector_source.h"

/* out[i] = the vector of rows[first + i], or, rows NULL, of row first + i.  Valid while the source
 * is held.  What the source says. */
int list_points(const struct vector_source *source, const uint32_t *rows, uint32_t first,
                uint32_t count, const float **out, struct error *err);

#endif
