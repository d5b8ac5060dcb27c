/* SPDX-License-Identifier: Apache-2.0 */
/* hnsw_codes.h — rows in 8-bit codes, by which a graph that is being built is searched: a quarter
 * of the memory to read, and integer products.
 *
 * A row is centred on the mean first, so that what its codes tell apart is what the rows differ in.
 * What is found is measured in full before it becomes a neighbour.
 */
#ifndef INDEX_HNSW_CODES_H
#define INDEX_HNSW_CODES_H

#include <stdbool.h>

#include "base/alloc.h"
#include "simd/kernels.h"

struct hnsw_code_rest {
    float scale;
    float square; /* of the length; 0 where products are wanted */
};

struct hnsw_codes {
    const struct simd_kernels *kernels;
    uint8_t *codes; /* of nodes, `stride` apart */
    struct hnsw_code_rest *rests;
    float *mean;
    size_t stride;
    uint32_t dim;
    bool is_product; /* distances are negative products, but for a constant */
};

struct hnsw_code_query {
    struct code_query digits;
    float step, square;
};

/* centered: the row less the mean; it may be scaled.  Any thread, different nodes at once. */
void hnsw_codes_encode(struct hnsw_codes *c, uint32_t node, float *centered);
/* vector: a row less the mean; where products are wanted, a row; it may be scaled.  digits: of
 * 2 * stride, aligned to CODE_CHUNK; borrowed by the query. */
void hnsw_codes_ask(const struct hnsw_codes *c, float *vector, int8_t *digits,
                    struct hnsw_code_query *out);

static inline void hnsw_codes_prefetch(const struct hnsw_codes *c, uint32_t node)
{
    const uint8_t *codes = c->codes + node * c->stride;
    __builtin_prefetch(&c->rests[node]);
    for (size_t i = 0; i < c->stride && i < 512; i += 64) __builtin_prefetch(codes + i);
}

/* Of nodes: about the squared distance, or what is in its place. */
void hnsw_codes_measure(const struct hnsw_codes *c, const struct hnsw_code_query *q,
                        const uint32_t *nodes, uint32_t count, float *out);

#endif
