/* SPDX-License-Identifier: Apache-2.0 */
/* distance.c — the score of two vectors without a root: the kernel that a search's scores are of.
 */
#include <stdio.h>

#include "api/handles.h"
#include "base/finite.h"
#include "base/limits.h"
#include "codec/quote.h"
#include "simd/metrics.h"

enum { NAMES_BYTES = 192 };

static int refuse_metric(const char *name, struct error *err)
{
    char names[NAMES_BYTES], quoted[QUOTE_BYTES];
    size_t used = 0;

    for (unsigned i = 1; i <= METRIC_MAX; i++) {
        const char *after = i == METRIC_MAX ? "" : i == METRIC_MAX - 1 ? " and " : ", ";
        int bytes = snprintf(names + used, NAMES_BYTES - used, "%s%s", metric_find(i)->name, after);
        if (bytes < 0 || (size_t)bytes >= NAMES_BYTES - used) break; /* it is cut */
        used += (size_t)bytes;
    }
    return error_set(err, LYNSE_INVALID, "metric: %s is unknown; there are %s",
                     quote_text(slice_of_text(name), quoted, sizeof quoted), names);
}

static int check_vector(const struct metric_info *metric, const char *name, const float *vector,
                        uint32_t dim, struct error *err)
{
    size_t at = f32_find_not_finite(vector, dim);

    if (at < dim)
        return error_set(err, LYNSE_INVALID, "%s: component %zu is %f, it must be finite", name, at,
                         (double)vector[at]);
    if (metric_check_vectors(metric, vector, 1, dim, "vector", err) == 0) return 0;
    return error_wrap(err, "%s", name);
}

int lynse_compute_distance(const char *metric, const float *a, const float *b, uint32_t dim,
                           float *out, struct lynse_error *err)
{
    struct error failed = {0};
    const struct simd_kernels *kernels = kernels_active();

    if (!metric) return api_missing("metric", err);
    if (!a) return api_missing("a", err);
    if (!b) return api_missing("b", err);
    if (!out) return api_missing("out", err);
    const struct metric_info *info = metric_find_name(metric, strlen(metric));
    if (!info) {
        refuse_metric(metric, &failed);
        return api_fail(&failed, err);
    }
    if (dim < 1 || dim > LIMIT_DIM) {
        error_set(&failed, dim < 1 ? LYNSE_DIMENSION : LYNSE_LIMIT, "dim: %u, allowed are 1 to %d",
                  dim, LIMIT_DIM);
        return api_fail(&failed, err);
    }
    if (metric_check_dim(info, dim, &failed) != 0 ||
        check_vector(info, "a", a, dim, &failed) != 0 ||
        check_vector(info, "b", b, dim, &failed) != 0)
        return api_fail(&failed, err);
    float value = metric_kernels(info->metric, kernels).pair(a, b, dim);
    if (info->value == METRIC_VALUE_ANGLE)
        value = metric_cosine_distance(value, dense_norm_f32(kernels, a, dim),
                                       dense_norm_f32(kernels, b, dim));
    *out = value;
    return LYNSE_OK;
}
