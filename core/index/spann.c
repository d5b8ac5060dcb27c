/* SPDX-License-Identifier: Apache-2.0 */
/* spann.c — the kind "spann", and what its searches walk by. */
#include "index/spann.h"

static const struct index_param params[SPANN_PARAM_COUNT] = {
    [SPANN_N_CLUSTERS] = {"n_clusters", "n_centroids nlist n_lists", 0, SPANN_CLUSTERS_MAX, 0,
                          true},
    [SPANN_NPROBE] = {"nprobe", "n_probe", 1, SPANN_CLUSTERS_MAX, 32, true},
    [SPANN_REPLICA_COUNT] = {"replica_count", "replicas", 0, SPANN_REPLICAS_MAX, 4, true},
    [SPANN_PRUNE] = {"prune", "", 0, 1000, 1.5, false},
};

static bool takes(const struct metric_info *metric, enum quantizer_kind quantizer)
{
    return quantizer == QUANTIZER_RAW &&
           (metric->metric == METRIC_IP || metric->metric == METRIC_L2 ||
            metric->metric == METRIC_COSINE);
}

size_t spann_oracle_bytes(const struct index *index, uint32_t dim)
{
    (void)index;
    return align_up(sizeof(struct spann_oracle), ALIGN_VECTOR) + quantizer_raw.oracle_bytes(dim);
}

static int run_of_list(const struct vector_source *s, uint32_t row, uint32_t row_max,
                       struct vector_run *out, struct error *err)
{
    (void)err;
    *out = (struct vector_run){s->all + (size_t)row * s->dim, s->all_norms + row, row_max};
    return 0;
}

struct oracle *spann_oracle_init(const struct index *index, void *memory,
                                 const struct oracle_desc *desc)
{
    const struct spann *s = (const struct spann *)index;
    struct spann_oracle *o = (struct spann_oracle *)memory;
    struct oracle_desc own = *desc;

    *o = (struct spann_oracle){.source = {.run = run_of_list, .dim = s->centers.dim},
                               .query = desc->query};
    /* Only some metrics have told the norm, and bounds need it. */
    o->query.norm = dense_norm_f32(s->centers.kernels, o->query.vector, s->centers.dim);
    own.vectors = &o->source;
    own.shadow = NULL;
    o->places =
        quantizer_raw.oracle_init((uint8_t *)memory + align_up(sizeof *o, ALIGN_VECTOR), &own);
    o->base.row_bytes = o->places->row_bytes;
    return &o->base;
}

const struct index_vtab index_spann = {
    .name = "spann",
    .params = params,
    .param_count = SPANN_PARAM_COUNT,
    .effort_param = SPANN_NPROBE,
    .takes = takes,
    .build = &spann_build_ops,
    .file_sections = 1ull << (SPANN_SECTION_LISTS - INDEX_SECTION_FIRST),
    .open = spann_open,
    .close = spann_close,
    .oracle_bytes = spann_oracle_bytes,
    .oracle_init = spann_oracle_init,
    .search_bytes = spann_search_bytes,
    .begin = spann_begin,
    .advance = spann_advance,
    .check = spann_check,
};
