/* SPDX-License-Identifier: Apache-2.0 */
/* request.h — is a search request one that can be answered?  And its queries, ready for oracles. */
#ifndef QUERY_REQUEST_H
#define QUERY_REQUEST_H

#include "quant/quantizer.h"
#include "query/search.h"

/* INVALID, DIMENSION, LIMIT: names the field, the value and the limit.  dim is the collection's; 0:
 * not known yet, and any will do. */
int request_check(const struct search_request *r, uint32_t dim, struct error *err);

/* Bytes of one query in request_prepare's memory, a multiple of ALIGN_VECTOR. */
size_t request_query_bytes(const struct search_request *r);
/* Copy the queries into `vectors` (query_count x request_query_bytes, aligned to ALIGN_VECTOR) and
 * describe them in `out`, with norms where the metric needs them. */
void request_prepare(const struct search_request *r, const struct simd_kernels *kernels,
                     const struct metric_info *metric, void *vectors, struct oracle_query *out);

#endif
