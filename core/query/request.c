/* SPDX-License-Identifier: Apache-2.0 */
#include "query/request.h"

#include <math.h>

#include "base/finite.h"
#include "base/limits.h"

static int check_count(const char *field, size_t value, size_t limit, struct error *err)
{
    if (value < 1) return error_set(err, LYNSE_INVALID, "%s is 0, it must be at least 1", field);
    if (value > limit)
        return error_set(err, LYNSE_LIMIT, "%s is %zu, the limit is %zu", field, value, limit);
    return 0;
}

static int check_vectors(const struct search_request *r, struct error *err)
{
    for (size_t i = 0; i < r->query_count; i++) {
        const float *vector = r->vectors + i * r->dim;
        size_t at = f32_find_not_finite(vector, r->dim);
        if (at == r->dim) continue;
        return error_set(err, LYNSE_INVALID,
                         "vectors: component %zu of query %zu is %f, it must be finite", at, i,
                         (double)vector[at]);
    }
    return 0;
}

static int check_options(const struct index_options *o, struct error *err)
{
    if (o->effort > LIMIT_EFFORT)
        return error_set(err, LYNSE_LIMIT, "effort is %u, allowed are 1 to %d", o->effort,
                         LIMIT_EFFORT);
    if (o->oversample != 0 && !(o->oversample >= 1 && o->oversample <= LIMIT_OVERSAMPLE))
        return error_set(err, LYNSE_LIMIT, "oversample is %g, allowed are 1 to %d",
                         (double)o->oversample, LIMIT_OVERSAMPLE);
    if (!(o->slack >= 0 && o->slack < INFINITY))
        return error_set(err, LYNSE_INVALID, "eps is %g, it must be finite and 0 or more",
                         (double)o->slack);
    return 0;
}

int request_check(const struct search_request *r, uint32_t dim, struct error *err)
{
    if (check_count("query_count", r->query_count, LIMIT_QUERIES, err) != 0 ||
        check_count("dim", r->dim, LIMIT_DIM, err) != 0)
        return -1;
    if (dim != 0 && r->dim != dim)
        return error_set(err, LYNSE_DIMENSION, "vector: dimension %u, the collection has %u",
                         r->dim, dim);
    if (!r->is_range) {
        if (check_count("k", r->k, LIMIT_K, err) != 0) return -1;
    } else {
        if (check_count("max_results", r->max_results, LIMIT_K, err) != 0) return -1;
        if (isnan(r->threshold))
            return error_set(err, LYNSE_INVALID, "threshold is NaN, it must be a number");
    }
    if (r->is_paged && (r->is_range || r->query_count != 1))
        return error_set(err, LYNSE_INVALID, "pages: of one query, and not of a range");
    if ((unsigned)r->score_mode > SCORE_BEAM)
        return error_set(err, LYNSE_INVALID, "score_mode is %u, allowed are 0 to %u",
                         (unsigned)r->score_mode, (unsigned)SCORE_BEAM);
    return check_options(&r->options, err) != 0 ? -1 : check_vectors(r, err);
}

size_t request_query_bytes(const struct search_request *r)
{
    return align_up(r->dim * sizeof(float), ALIGN_VECTOR);
}

void request_prepare(const struct search_request *r, const struct simd_kernels *kernels,
                     const struct metric_info *metric, void *vectors, struct oracle_query *out)
{
    for (size_t i = 0; i < r->query_count; i++) {
        float *vector = (float *)((char *)vectors + i * request_query_bytes(r));
        memcpy(vector, r->vectors + i * r->dim, r->dim * sizeof(float));
        out[i].vector = vector;
        out[i].norm = metric->needs_norm ? dense_norm_f32(kernels, vector, r->dim) : 0;
    }
}
