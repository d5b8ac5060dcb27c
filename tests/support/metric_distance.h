/* SPDX-License-Identifier: Apache-2.0 */
/* metric_distance.h — the distance of two vectors under any metric of the registry, one pair at a
 * time: what every oracle, scan and search must agree with.  Which kernel a metric has, and what
 * the kernels compute, is tested in unit/simd. */
#ifndef SUPPORT_METRIC_DISTANCE_H
#define SUPPORT_METRIC_DISTANCE_H

#include <math.h>

#include "simd/metrics.h"

/* Smaller is nearer; +inf where float overflows to NaN. */
static inline float metric_distance(unsigned metric, const float *a, const float *b, size_t dim)
{
    const struct simd_kernels *k = kernels_active();
    const struct metric_info *info = metric_find(metric);
    float distance = metric_kernels(info->metric, k).pair(a, b, dim);

    if (info->needs_norm)
        distance =
            metric_cosine_distance(distance, dense_norm_f32(k, a, dim), dense_norm_f32(k, b, dim));
    if (info->order == NEARER_IS_LARGER) distance = -distance;
    return isnan(distance) ? INFINITY : distance;
}

static inline bool metric_takes_any(unsigned metric)
{
    return metric_find(metric)->input == METRIC_INPUT_ANY;
}

/* Turn a vector into one that the metric is for; false where no vector of the dimension is. */
static inline bool metric_fit(unsigned metric, float *vector, size_t dim)
{
    enum metric_input input = metric_find(metric)->input;
    float sum = 0;

    if (input == METRIC_INPUT_LONLAT && dim != 2) return false;
    for (size_t i = 0; input != METRIC_INPUT_ANY && i < dim; i++) {
        vector[i] = fminf(fabsf(vector[i]), 90);
        sum += vector[i];
    }
    if (input == METRIC_INPUT_MASS && sum == 0) vector[dim / 2] = 1;
    return true;
}

/* The score that is returned for a distance. */
static inline float metric_score(unsigned metric, float distance)
{
    return metric_find(metric)->order == NEARER_IS_LARGER ? -distance : distance;
}

#endif
