/* SPDX-License-Identifier: Apache-2.0 */
/* flat_ranked.h — a flat search by codes of which the caller says how many rows it measures. */
#ifndef INDEX_FLAT_RANKED_H
#define INDEX_FLAT_RANKED_H

#include "index/index.h"

/* Is a search such a one?  Otherwise flat.c does it. */
static inline bool flat_is_ranked(const struct index *index, const struct index_options *options)
{
    return INDEX_HAS_BUILT && index && options->oversample > 0;
}

/* As index.h has them, for searches that are. */
size_t flat_ranked_bytes(const struct index *index, const struct index_options *options, size_t k,
                         size_t query_count);
void flat_ranked_begin(void *search, const struct index_search_desc *desc);
enum index_state flat_ranked_advance(void *search, uint64_t distance_max, struct error *err);

#endif
