/* SPDX-License-Identifier: Apache-2.0 */
#include "index/hnsw_neighbors.h"

#include <stdlib.h>

static bool is_before(const struct found_node *a, const struct found_node *b)
{
    return a->distance < b->distance || (a->distance == b->distance && a->node < b->node);
}

/* Shell's, for some hundred of which many are in order. */
void hnsw_sort(struct found_node *nodes, uint32_t count)
{
    static const uint32_t gaps[] = {132, 57, 23, 10, 4, 1};

    for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++) {
        uint32_t gap = gaps[g];
        for (uint32_t i = gap; i < count; i++) {
            struct found_node item = nodes[i];
            uint32_t at = i;
            for (; at >= gap && is_before(&item, &nodes[at - gap]); at -= gap)
                nodes[at] = nodes[at - gap];
            nodes[at] = item;
        }
    }
}

uint32_t hnsw_choose(const struct hnsw_space *s, struct found_node *nodes, uint32_t count,
                     uint32_t limit, float slack)
{
    uint32_t chosen = 0;

    for (uint32_t i = 0; i < count && chosen < limit; i++) {
        struct found_node candidate = nodes[i];
        const float *vector = hnsw_space_vector(s, candidate.node);
        bool is_hidden = false;
        for (uint32_t j = 0; j < chosen && !is_hidden; j++) {
            float between = hnsw_space_distance(s, candidate.node, vector, nodes[j].node,
                                                hnsw_space_vector(s, nodes[j].node));
            is_hidden = between * slack < candidate.distance;
        }
        if (!is_hidden) nodes[chosen++] = candidate;
    }
    return chosen;
}
