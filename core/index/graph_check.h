/* SPDX-License-Identifier: Apache-2.0 */
/* graph_check.h — what must hold of any graph: of what stands in its file, when it is opened, and
 * of all it links and finds, for `lynse verify --level=deep`.
 *
 * A list of links has a fixed number of places, HNSW_NONE behind the last link.  Any thread.
 */
#ifndef INDEX_GRAPH_CHECK_H
#define INDEX_GRAPH_CHECK_H

#include "base/alloc.h"
#include "base/error.h"
#include "index/index.h"

struct graph_lists {
    const uint32_t *links; /* `places` a node; of nodes below node_count */
    uint32_t places, node_count;
};

/* How many links there are. */
uint32_t graph_link_count(const uint32_t *list, uint32_t places);
/* The first place of the list of a node that has what no list has, a gap, the node itself or a link
 * twice; `places`: none has. */
uint32_t graph_wrong_place(const uint32_t *list, uint32_t places, uint32_t node);
/* Every node is reached from `first`: CORRUPT says how many are not.  NO_MEMORY. */
int graph_check_reach(const struct graph_lists *g, uint32_t first, struct alloc *a,
                      struct error *err);

/* CORRUPT, with the name of the kind, unless level 0 has all rows as its nodes, and each level
 * above it some of those below. */
int graph_check_levels(const uint32_t *level_nodes, uint32_t level_count, uint32_t row_count,
                       const char *kind, struct error *err);
/* Likewise, unless every row is one node: a result that comes twice would be no result.  NO_MEMORY.
 */
int graph_check_rows(const uint32_t *rows, uint32_t count, const char *kind, struct alloc *a,
                     struct error *err);

/* Some rows are searched for by their own vectors, which are to find something no farther. */
struct graph_probes {
    const struct index *index;
    const struct simd_kernels *kernels;
    enum metric metric;
    struct alloc *alloc;
    uint32_t count, found_min;
    struct index_options options;
    /* All of the search, in memory of search_bytes; NULL: as any. */
    enum index_state (*search)(const struct index_search_desc *desc, void *memory,
                               struct error *err);
};
/* CORRUPT: too few are found.  Of a product nothing is asked: a row's own vector need not be near
 * to it.  NO_MEMORY; what the source says. */
int graph_check_recall(const struct graph_probes *p, const struct vector_source *vectors,
                       struct error *err);

#endif
