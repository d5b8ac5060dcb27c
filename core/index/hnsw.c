/* SPDX-License-Identifier: Apache-2.0 */
#include "index/hnsw.h"

#include <stdio.h>

#include "index/quantizer_image.h"

static const struct index_param params[HNSW_PARAM_COUNT] = {
    [HNSW_M] = {"m", "", HNSW_M_MIN, HNSW_M_MAX, 16, true},
    [HNSW_EF_CONSTRUCTION] = {"ef_construction", "efconstruction ef_c", 1, 4096, 128, true},
    [HNSW_EF_SEARCH] = {"ef_search", "efsearch ef", 1, 4096, 50, true},
    [HNSW_MAX_LEVEL] = {"max_level", "", 1, HNSW_LEVELS_MAX, HNSW_LEVELS_MAX, true},
    [HNSW_FAST] = {"fast", "", 0, 1, 0, true},
};

static bool takes(const struct metric_info *metric, enum quantizer_kind quantizer)
{
    return metric->is_for_graphs &&
           (quantizer == QUANTIZER_RAW || quantizer_suits_index(metric, quantizer, false));
}

/* Fewer candidates than neighbours that are wanted of them. */
static bool contradicts(const struct index_params *p, char *why, size_t why_bytes)
{
    if (p->values[HNSW_EF_CONSTRUCTION] >= p->values[HNSW_M]) return false;
    snprintf(why, why_bytes, "ef_construction is %g, it must be at least m, %g",
             p->values[HNSW_EF_CONSTRUCTION], p->values[HNSW_M]);
    return true;
}

double hnsw_upper_bytes(uint32_t m)
{
    return hnsw_places(m) * sizeof(uint32_t) / (m - 1.0);
}

/* Links of its levels, and codes or a vector. */
static double row_bytes(const struct index_params *p, enum metric metric,
                        struct quantizer_spec quantizer, uint32_t dim)
{
    uint32_t m = (uint32_t)p->values[HNSW_M];
    double links = (hnsw_places(2 * m) + 1) * sizeof(uint32_t) + hnsw_upper_bytes(m);

    if (quantizer.kind == QUANTIZER_RAW && hnsw_suits_codes(metric, dim))
        quantizer.kind = QUANTIZER_SQ8;
    if (quantizer.kind == QUANTIZER_RAW)
        return links + hnsw_vector_floats(hnsw_pair_floats(metric, dim)) * sizeof(float);
    return links + (double)quantizer_find(quantizer.kind)->code_bytes(quantizer.number, dim);
}

const struct index_vtab index_hnsw = {
    .name = "hnsw",
    .params = params,
    .param_count = HNSW_PARAM_COUNT,
    .effort_param = HNSW_EF_SEARCH,
    .takes = takes,
    .takes_bits = true,
    .build = &hnsw_build_ops,
    .open = hnsw_open,
    .close = hnsw_close,
    .oracle_bytes = hnsw_oracle_bytes,
    .oracle_init = hnsw_oracle_init,
    .query_group = 16,
    .search_bytes = hnsw_search_bytes,
    .begin = hnsw_begin,
    .advance = hnsw_advance,
    .check = hnsw_check,
    .contradicts = contradicts,
    .row_bytes = row_bytes,
};
