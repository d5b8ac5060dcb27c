/* SPDX-License-Identifier: Apache-2.0 */
/* raw.h — the oracle over vectors as they are, for oracles that know more and fall back on it. */
#ifndef QUANT_RAW_H
#define QUANT_RAW_H

#include "quant/quantizer.h"

struct raw_oracle {
    struct oracle base; /* first */
    const struct vector_source *vectors;
    struct metric_kernels kernels;
    bool is_narrow;            /* rows are no floats: */
    struct narrow_forms forms; /* NULL: they are neither numbers nor bits to be counted, or of no
                                  use to the metric, and are widened first, to: */
    float *wide;               /* the oracle's memory */
    const struct bits_forms *differing; /* NULL: they are not bits that the metric counts; else */
    const uint64_t *bits;               /* the query's, in the same memory, */
    uint32_t bit_count;                 /* and how many are set */
    enum metric metric;
    const float *query;
    float query_norm;
    enum metric_value value;
};

/* Bytes of memory of its own, aligned to 8, that it has use for. */
static inline size_t raw_scratch_bytes(uint32_t dim)
{
    return ((size_t)dim + 2) * sizeof(float); /* a row as floats, or a query as words of bits */
}
void raw_oracle_begin(struct raw_oracle *o, const struct oracle_desc *desc, void *scratch);

/* The ops. */
int raw_scan(struct oracle *base, uint32_t row, uint32_t row_count, float *out, struct error *err);
int raw_scan_block(struct oracle *const *oracles, size_t count, uint32_t row, uint32_t row_count,
                   float *const *out, struct error *err);
int raw_gather(struct oracle *base, const uint32_t *row_index, size_t index_count, float *out,
               struct error *err);

#endif
