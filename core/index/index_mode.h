/* SPDX-License-Identifier: Apache-2.0 */
/* index_mode.h — index modes, "FLAT-L2": an index kind and a metric in one word, as users write it.
 *
 * Made of the two registries: what is in neither is in no mode.  No state; any thread.
 */
#ifndef INDEX_INDEX_MODE_H
#define INDEX_INDEX_MODE_H

#include "index/index.h"
#include "simd/metrics.h"

struct index_mode {
    enum index_kind kind;
    enum metric metric;
    struct quantizer_spec quantizer;
};

/* What the segments of a collection are to be searched by: a mode without its metric, which is the
 * collection's, and what was said when it was built.  In manifests. */
struct index_plan {
    enum index_kind kind;
    struct quantizer_spec quantizer;
    struct index_params params; /* by the kind's table */
};

/* Upper or lower case; a kind alone means METRIC_DEFAULT.  UNSUPPORTED: of a kind that there is or
 * will be, but not in this version; INVALID: of none.  Both say which modes there are. */
int index_mode_parse(const char *text, struct index_mode *out, struct error *err);

/* The canonical word, NUL-terminated and cut at `size` bytes, from numbers of a file; "" for
 * INDEX_NONE, and for numbers that are none. */
void index_mode_format(unsigned kind, unsigned metric, char *out, size_t size);

#endif
