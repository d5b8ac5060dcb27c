/* SPDX-License-Identifier: Apache-2.0 */
/* ivf.c — the kind "ivf", and what its searches walk by. */
#include "index/ivf.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "index/quantizer_image.h"

static const struct index_param params[IVF_PARAM_COUNT] = {
    [IVF_N_CLUSTERS] = {"n_clusters", "n_centroids nlist", 0, IVF_CLUSTERS_MAX, 0, true},
    [IVF_NPROBE] = {"nprobe", "n_probe", 1, IVF_CLUSTERS_MAX, 32, true},
};

static bool takes(const struct metric_info *metric, enum quantizer_kind quantizer)
{
    if (metric->metric == METRIC_HAMMING || metric->metric == METRIC_JACCARD)
        return quantizer == QUANTIZER_RAW;
    if (metric->metric != METRIC_IP && metric->metric != METRIC_L2 &&
        metric->metric != METRIC_COSINE)
        return false;
    return quantizer == QUANTIZER_RAW || quantizer_suits_index(metric, quantizer, true);
}

size_t ivf_oracle_bytes(const struct index *index, uint32_t dim)
{
    const struct ivf *v = (const struct ivf *)index;
    size_t bits =
        v->centers.route != v->centers.metric ? align_up(dim * sizeof(float), ALIGN_VECTOR) : 0;
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
    if (v->centers.route != v->centers.metric) {
        ivf_take_bits(desc->query.vector, v->centers.dim, (float *)(void *)inner);
        o->query.vector = (const float *)(void *)inner;
        inner += align_up(v->centers.dim * sizeof(float), ALIGN_VECTOR);
    }
    /* Only some metrics have told the norm, and bounds need it. */
    o->query.norm = dense_norm_f32(v->centers.kernels, o->query.vector, v->centers.dim);
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
