/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h — what the list of metrics says: names, kernels, which end of the scale is nearer, and
 * which vectors may be measured.
 *
 * To add one: a line in lynse_kinds.h and the serial function of its kernel (kernels.h).  Nothing
 * else in the tree names a metric to tell it from others.
 */
#ifndef SIMD_METRICS_H
#define SIMD_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "lynse_kinds.h"
#include "simd/kernels.h"

enum metric_order { NEARER_IS_SMALLER, NEARER_IS_LARGER };

/* What the kernel's value is: lynse_kinds.h.  A DISTANCE and a MEASURE are never NaN for finite
 * vectors. */
enum metric_value {
    METRIC_VALUE_DISTANCE,
    METRIC_VALUE_PRODUCT,
    METRIC_VALUE_ANGLE,
    METRIC_VALUE_MEASURE
};

/* Which vectors it is for: lynse_kinds.h.  Of others a kernel's value is finite and means nothing.
 */
enum metric_input { METRIC_INPUT_ANY, METRIC_INPUT_LONLAT, METRIC_INPUT_MASS };

/* METRIC_IP, …: what lynse.h calls LYNSE_IP, …, of the same list. */
enum metric {
#define METRIC_NUMBER(kind, number, ...) METRIC_##kind = number,
    LYNSE_METRICS(METRIC_NUMBER)
#undef METRIC_NUMBER
};
#define METRIC_ONE(kind, ...) +1
enum { METRIC_MAX = 0 LYNSE_METRICS(METRIC_ONE) }; /* the highest: there are no gaps */
#undef METRIC_ONE
enum { METRIC_DEFAULT = METRIC_IP };

/* The kernels of a metric, of one level. */
struct metric_kernels {
    dense_pair_f32_fn *pair;
    dense_many_f32_fn *many;
    dense_block_f32_fn *block;
};

struct metric_info {
    enum metric metric;
    const char *name;        /* lower case */
    const char *mode_words;  /* of index modes: upper case, separated by one space; the first is
                                canonical */
    const char *other_names; /* lower case, likewise */
    enum metric_value value;
    enum metric_input input;
    enum metric_order order;
    bool needs_norm;    /* the norm of every row is kept beside it */
    bool is_for_graphs; /* a graph can be walked by it */
};

/* The description of a metric, static storage; NULL for a number that is none, as a damaged file
 * may hold. */
const struct metric_info *metric_find(unsigned number);

/* The metric that a word of index modes stands for ("L2" of "FLAT-L2"), ASCII case ignored, of
 * `length` bytes without NUL; NULL when there is none. */
const struct metric_info *metric_find_mode(const char *word, size_t length);

/* The metric of a name or of another name, as above. */
const struct metric_info *metric_find_name(const char *name, size_t length);

/* Can vectors of this dimension be measured?  DIMENSION. */
int metric_check_dim(const struct metric_info *metric, uint32_t dim, struct error *err);
/* Can these vectors, one behind the other, of a dimension that was checked?  INVALID names the
 * component and the vector, as the `item` ("row") of this number. */
int metric_check_vectors(const struct metric_info *metric, const float *vectors, size_t count,
                         uint32_t dim, const char *item, struct error *err);

/* The kernels whose value metric_value speaks of. */
struct metric_kernels metric_kernels(enum metric metric, const struct simd_kernels *kernels);

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
