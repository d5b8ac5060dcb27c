/* SPDX-License-Identifier: Apache-2.0 */
/* index_params.h — what a user may say when an index is built: one table for each kind, one reader
 * for all.
 */
#ifndef INDEX_INDEX_PARAMS_H
#define INDEX_INDEX_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

struct index_vtab;

enum { INDEX_PARAMS_MAX = 8 };

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
 * the nearest of them where one is near); LIMIT: out of range, which is named. */
int index_params_set(const struct index_vtab *kind, struct index_params *params, struct slice name,
                     double value, struct error *err);

#endif
