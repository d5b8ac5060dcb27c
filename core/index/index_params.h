/* SPDX-License-Identifier: Apache-2.0 */
/* index_params.h — what a user may say when an index is built: one table for each kind, one reader
 * for all; and when it is searched.
 */
#ifndef INDEX_INDEX_PARAMS_H
#define INDEX_INDEX_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/slice.h"

struct index_vtab;

enum { INDEX_PARAMS_MAX = 8 };

/* How hard to look; 0 or false: as the index was built to. */
struct index_options {
    uint32_t effort;  /* hnsw: ef; ivf, spann: nprobe; diskann: beam; 1 to INDEX_EFFORT_MAX */
    float oversample; /* of k, candidates that are measured exactly where codes rank; 1 to 1,000 */
    float slack;   /* rows may be passed over that are nearer than the k-th by no more; 0: none */
    bool is_range; /* k is the most that may be found, and says nothing of how hard to look */
};
enum { INDEX_EFFORT_MAX = LIMIT_EFFORT };

struct index_param {
    const char *name;    /* lower case */
    const char *aliases; /* separated by one space; "": none */
    double low, high;    /* both are allowed */
    double standard;     /* where nothing is said */
    bool is_whole;       /* whole numbers only */
};

/* By place in the kind's table.  Places that a kind does not have are 0. */
struct index_params {
    double values[INDEX_PARAMS_MAX];
};

/* All standards. */
void index_params_init(const struct index_vtab *kind, struct index_params *out);
/* Set one by name, ASCII case ignored.  INVALID: unknown (the text lists those that there are, and
 * the nearest of them where one is near), or not whole; LIMIT: out of range, which is named. */
int index_params_set(const struct index_vtab *kind, struct index_params *params, struct slice name,
                     double value, struct error *err);

/* One of what a user says, by name. */
struct index_param_value {
    struct slice name;
    double value;
};
/* All that a user says of an index, in place of the standards; out is written on success alone.
 * As index_params_set; and INVALID: one is given twice and not the same, or they contradict each
 * other.  A kind without parameters passes over those of other kinds. */
int index_params_read(const struct index_vtab *kind, const struct index_param_value *values,
                      size_t count, struct index_params *out, struct error *err);
/* Values of a file: are they in range, whole where they must be, and without contradiction? */
int index_params_check(const struct index_vtab *kind, const struct index_params *params,
                       struct error *err);

#endif
