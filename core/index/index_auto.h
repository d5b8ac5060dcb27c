/* SPDX-License-Identifier: Apache-2.0 */
/* index_auto.h — which index suits so many vectors, where nobody wants to choose.
 *
 * The answer depends on the arguments and the registries alone.  No state; any thread.
 */
#ifndef INDEX_INDEX_AUTO_H
#define INDEX_INDEX_AUTO_H

#include "codec/vector_types.h"
#include "index/index_plan.h"
#include "simd/metrics.h"

struct index_auto_desc {
    enum metric metric;
    uint64_t row_count;
    uint32_t dim;          /* 0: not known yet */
    uint64_t memory_bytes; /* that all of the root may take; 0: no limit */
    enum storage_type storage;
};

/* A kind and a quantizer that make sense, and their parameters.  What is scanned in a millisecond
 * is scanned; above that a graph, on codes where the vectors would not fit in half of the memory,
 * on the disk where codes do not: as much of it in memory as there is room.  Scanned again is what
 * would not fit into the memory either way. */
void index_auto_choose(const struct index_auto_desc *desc, struct index_plan *out);

/* Is what was chosen before not to stay?  Then *out is what suits now.  It stays where it suits any
 * number between row_count and twice that: who deletes and writes around a limit has nothing built
 * anew for it. */
bool index_auto_changes(const struct index_auto_desc *desc, const struct index_plan *chosen,
                        struct index_plan *out);

#endif
