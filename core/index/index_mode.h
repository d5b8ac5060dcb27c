/* SPDX-License-Identifier: Apache-2.0 */
/* index_mode.h — index modes, "FLAT-L2", "HNSW-COS-SQ8": an index kind, a metric and a quantizer in
 * one word, as users write it.
 *
 * Made of the three registries: what is in none of them is in no mode, and what gets its line there
 * is in modes.  No state; any thread.
 */
#ifndef INDEX_INDEX_MODE_H
#define INDEX_INDEX_MODE_H

#include "index/index.h"
#include "index/index_plan.h"
#include "simd/metrics.h"

struct index_mode {
    enum index_kind kind; /* INDEX_NONE: is_auto */
    enum metric metric;   /* is_auto: 0 where none was given: it stays */
    struct quantizer_spec quantizer;
    bool is_auto; /* "AUTO": kind and quantizer are to be chosen (index_auto.h) */
};

enum { INDEX_MODE_BYTES = 32 }; /* of the longest canonical word, with its NUL */

/* Upper or lower case; "default" is FLAT of METRIC_DEFAULT.  UNSUPPORTED: it is planned, but not in
 * this version; LIMIT: a quantizer's number; INVALID: it is none.  Each says what there is, and
 * what was meant where that is near. */
int index_mode_parse(const char *text, struct index_mode *out, struct error *err);

/* Are there such a kind, metric and quantizer, and do they go together?  Of numbers of a file too.
 * False for one that is_auto. */
bool index_mode_makes_sense(const struct index_mode *mode);

/* The canonical word, NUL-terminated and cut at `size` bytes; "" for INDEX_NONE, and for numbers
 * that are none, as a file may hold. */
void index_mode_format(const struct index_mode *mode, char *out, size_t size);

#endif
