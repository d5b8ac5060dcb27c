/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h — the list of metrics: names, which end of the scale is nearer, what is kept beside
 * rows.
 *
 * To add one: a line here, and a serial kernel.  The numbers are those of docs/FORMAT.md: they
 * are never changed and never used again.
 */
#ifndef SIMD_METRICS_H
#define SIMD_METRICS_H

#include <stdbool.h>
#include <stddef.h>

enum metric_order { NEARER_IS_SMALLER, NEARER_IS_LARGER };

/*    kind   number  name      order              norms  other names accepted, by one space */
#define METRICS(_)                                                                                 \
    _(IP, 1, "ip", NEARER_IS_LARGER, false, "inner_product inner dot")                             \
    _(L2, 2, "l2", NEARER_IS_SMALLER, false, "l2sq l2_squared euclidean")                          \
    _(COSINE, 3, "cosine", NEARER_IS_SMALLER, true, "cos cosine_distance")

/* The score of each: L2 the squared distance; IP the dot product; COSINE 1 - cos of the angle. */
enum metric {
#define METRIC_NUMBER(KIND, number, name, order, needs_norm, aliases) METRIC_##KIND = number,
    METRICS(METRIC_NUMBER)
#undef METRIC_NUMBER
};

struct metric_info {
    enum metric metric;
    const char *name; /* canonical, lower case; what is written and printed */
    enum metric_order order;
    bool needs_norm;     /* the norm of every row is kept beside it */
    const char *aliases; /* other names, lower case, separated by one space */
};

/* All metrics in the order of the table; *out_count of them.  Static storage. */
const struct metric_info *metric_list(size_t *out_count);

/* The description of a metric, static storage; NULL for a number that is none, as a damaged file
 * may hold. */
const struct metric_info *metric_find(unsigned number);

/* The metric of a canonical name or an alias, ASCII case ignored, `length` bytes without NUL; NULL
 * when there is none. */
const struct metric_info *metric_find_name(const char *name, size_t length);

/* The one formula of a cosine score: (float)(1 - dot / (norm_a * norm_b)) computed in double and
 * kept within [0, 2], so that neither rounding nor a product of norms outside float's range shows;
 * 1 when a norm is 0.  The score is NaN when an argument is NaN, or the dot and a norm are
 * infinite. */
static inline float metric_cosine_distance(float dot, float norm_a, float norm_b)
{
    /* Without a branch: scans do this for every row. */
    double scale = (double)norm_a * (double)norm_b;
    float distance = (float)(1.0 - (double)dot / scale);
    distance = distance < 0 ? 0 : distance;
    distance = distance > 2 ? 2 : distance;
    return scale == 0 ? 1.0f : distance;
}

#endif
