/* SPDX-License-Identifier: Apache-2.0 */
/* raw.h — the oracle over vectors as they are, for oracles that know more and fall back on it. */
#ifndef QUANT_RAW_H
#define QUANT_RAW_H

#include "quant/quantizer.h"

struct raw_oracle {
    struct oracle base; /* first */
    const struct vector_source *vectors;
    struct metric_kernels kernels;
    const struct narrow_kernels *narrow; /* NULL: rows are floats */
    struct narrow_forms forms;           /* NULL: rows are widened first, to: */
    float *wide;                         /* dim floats of the oracle's memory */
    const float *query;
    float query_norm;
    enum metric_value value;
};

/* Without `wide`, which the owner sets where the metric may be another one than of dot or l2. */
void raw_oracle_begin(struct raw_oracle *o, const struct oracle_desc *desc);

/* The ops. */
int raw_scan(struct oracle *base, uint32_t row, uint32_t row_count, float *out, struct error *err);
int raw_scan_block(struct oracle *const *oracles, size_t count, uint32_t row, uint32_t row_count,
                   float *const *out, struct error *err);
int raw_gather(struct oracle *base, const uint32_t *row_index, size_t index_count, float *out,
               struct error *err);

#endif
