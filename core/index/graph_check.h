/* SPDX-License-Identifier: Apache-2.0 */
/* graph_check.h — what must hold of the links of any graph, for `lynse verify --level=deep`.
 *
 * A list of links has a fixed number of places, HNSW_NONE behind the last link.  Any thread.
 */
#ifndef INDEX_GRAPH_CHECK_H
#define INDEX_GRAPH_CHECK_H

#include "base/alloc.h"
#include "base/error.h"

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

#endif
