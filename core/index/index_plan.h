/* SPDX-License-Identifier: Apache-2.0 */
/* index_plan.h — what a collection is to be searched by, for those who only hand it on. */
#ifndef INDEX_INDEX_PLAN_H
#define INDEX_INDEX_PLAN_H

#include "index/index_kinds.h"
#include "index/index_params.h"
#include "quant/quantizer_kinds.h"

/* What the segments of a collection are to be searched by: a mode without its metric, which is the
 * collection's, and what was said when it was built.  In manifests. */
struct index_plan {
    enum index_kind kind;
    struct quantizer_spec quantizer;
    struct index_params params; /* by the kind's table */
    bool is_auto; /* chosen by index_auto.h, which is asked again as the rows become more */
};

#endif
