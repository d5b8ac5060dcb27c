/* SPDX-License-Identifier: Apache-2.0 */
/* quantizer.h — what a quantizer is: a way to hold vectors, and the oracle that reads them. */
#ifndef QUANT_QUANTIZER_H
#define QUANT_QUANTIZER_H

#include "quant/oracle.h"
#include "quant/quantizer_kinds.h"
#include "quant/shadow.h"
#include "quant/vector_source.h"
#include "simd/kernels.h"
#include "simd/metrics.h"

/* A query as every oracle of a search wants it, made once for all segments and threads. */
struct oracle_query {
    const float *vector; /* finite; aligned to ALIGN_VECTOR is fastest */
    float norm;          /* dense_norm_f32 of it; read only where the metric needs norms */
};

struct oracle_desc {
    const struct simd_kernels *kernels;
    struct oracle_query query;           /* its vector is borrowed while the oracle is used */
    const struct vector_source *vectors; /* likewise */
    struct shadow_source *shadow;        /* of the same rows, likewise; NULL: there is none */
    enum metric metric;
};

struct quantizer_vtab {
    /* What an oracle needs for vectors of dim floats, a multiple of ALIGN_VECTOR. */
    size_t (*oracle_bytes)(uint32_t dim);
    /* An oracle in `memory`, which is aligned to ALIGN_VECTOR.  Cheap: a batch makes one for each
     * query and segment. */
    struct oracle *(*oracle_init)(void *memory, const struct oracle_desc *desc);
};

#define QUANTIZER_DECLARE(KIND, name) extern const struct quantizer_vtab quantizer_##name;
QUANTIZER_KINDS(QUANTIZER_DECLARE)
#undef QUANTIZER_DECLARE

/* By number; NULL for one that is none, as a damaged file may hold. */
const struct quantizer_vtab *quantizer_find(unsigned kind);

#endif
