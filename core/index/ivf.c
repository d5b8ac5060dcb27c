/* SPDX-License-Identifier: Apache-2.0 */
/* ivf.c — the kind "ivf", and distances between queries and lists.
 *
 * BOUNDS      With r the radius, a row x of the list of center c has |x - c| <= r, so
 *                 l2       |q - x| >= |q - c| - r
 *                 ip       <q, x>  <= <q, c> + |q| * r
 *                 cosine   as l2 of directions, of which a distance d is |u - v|^2 / 2
 *                 others   nothing is known
 *             Everything is then moved a thousandth to the safe side, which is far more than
 *             roundings of floats are.
 */
#include "index/ivf.h"

#include <math.h>

#include "base/bytes.h"
#include "base/limits.h"

#define SLACK 1e-3f

static const struct index_param params[IVF_PARAM_COUNT] = {
    [IVF_N_CLUSTERS] = {"n_clusters", "n_centroids nlist", 0, IVF_CLUSTERS_MAX, 0, true},
    [IVF_NPROBE] = {"nprobe", "n_probe", 1, IVF_CLUSTERS_MAX, 32, true},
};

static bool takes(const struct metric_info *metric, enum quantizer_kind quantizer)
{
    const struct quantizer_vtab *vtab = quantizer_find(quantizer);

    if (metric->metric == METRIC_HAMMING || metric->metric == METRIC_JACCARD)
        return quantizer == QUANTIZER_RAW;
    if (metric->metric != METRIC_IP && metric->metric != METRIC_L2 &&
        metric->metric != METRIC_COSINE)
        return false;
    if (quantizer == QUANTIZER_RAW) return true;
    return vtab && vtab->pack_block && (!vtab->takes || vtab->takes(metric));
}

float ivf_radius(enum metric_value value, float distance)
{
    return sqrtf(value == METRIC_VALUE_ANGLE ? 2 * distance : distance);
}

void ivf_centroid_distances(const struct ivf_oracle *o, uint32_t first, uint32_t count, float *out)
{
    const struct ivf *v = o->ivf;

    metric_kernels(v->route, v->kernels)
        .many(o->query.vector, ivf_centroid(v, first), v->dim * sizeof(float), count, v->dim, out);
    if (v->value == METRIC_VALUE_PRODUCT)
        for (uint32_t i = 0; i < count; i++) out[i] = -out[i];
    if (v->value == METRIC_VALUE_ANGLE)
        for (uint32_t i = 0; i < count; i++)
            out[i] = metric_cosine_distance(out[i], o->query.norm, v->centroid_norms[first + i]);
    for (uint32_t i = 0; i < count; i++) out[i] = out[i] == out[i] ? out[i] : INFINITY;
}

float ivf_list_bound(const struct ivf_oracle *o, uint32_t list, float centroid_distance)
{
    const struct ivf *v = o->ivf;
    float radius = v->radii[list] * (1 + SLACK), left;

    if (v->route != v->metric) return -INFINITY;
    switch (v->value) {
    case METRIC_VALUE_PRODUCT:
        return centroid_distance -
               o->query.norm * (radius + SLACK * v->centroid_norms[list]) * (1 + SLACK);
    case METRIC_VALUE_DISTANCE:
        left = sqrtf(centroid_distance) * (1 - SLACK) - radius;
        return left > 0 ? left * left * (1 - SLACK) : 0;
    case METRIC_VALUE_MEASURE:
        break;
    case METRIC_VALUE_ANGLE:
        left = sqrtf(2 * centroid_distance) * (1 - SLACK) - radius - SLACK;
        return left > 0 ? left * left / 2 * (1 - SLACK) : 0;
    }
    return -INFINITY;
}

size_t ivf_oracle_bytes(const struct index *index, uint32_t dim)
{
    const struct ivf *v = (const struct ivf *)index;
    size_t bits = v->route != v->metric ? align_up(dim * sizeof(float), ALIGN_VECTOR) : 0;
    return align_up(sizeof(struct ivf_oracle), ALIGN_VECTOR) + bits + v->vtab->oracle_bytes(dim);
}

struct oracle *ivf_oracle_init(const struct index *index, void *memory,
                               const struct oracle_desc *desc)
{
    const struct ivf *v = (const struct ivf *)index;
    struct ivf_oracle *o = (struct ivf_oracle *)memory;
    uint8_t *inner = (uint8_t *)memory + align_up(sizeof *o, ALIGN_VECTOR);
    struct oracle_desc own = *desc;

    if (!v->quantizer) own.vectors = &v->places;
    own.quantizer = v->quantizer;
    own.codes = (struct code_rows){0};
    own.shadow = NULL;
    *o = (struct ivf_oracle){.ivf = v, .query = desc->query};
    if (v->route != v->metric) {
        ivf_take_bits(desc->query.vector, v->dim, (float *)(void *)inner);
        o->query.vector = (const float *)(void *)inner;
        inner += align_up(v->dim * sizeof(float), ALIGN_VECTOR);
    }
    /* Only some metrics have told the norm, and bounds need it. */
    o->query.norm = dense_norm_f32(v->kernels, o->query.vector, v->dim);
    o->inner = v->vtab->oracle_init(inner, &own);
    o->base.row_bytes = o->inner->row_bytes;
    return &o->base;
}

const struct index_vtab index_ivf = {
    .name = "ivf",
    .params = params,
    .param_count = IVF_PARAM_COUNT,
    .effort_param = IVF_NPROBE,
    .takes = takes,
    .build = &ivf_build_ops,
    .open = ivf_open,
    .close = ivf_close,
    .oracle_bytes = ivf_oracle_bytes,
    .oracle_init = ivf_oracle_init,
    .search_bytes = ivf_search_bytes,
    .begin = ivf_begin,
    .advance = ivf_advance,
    .check = ivf_check,
};
