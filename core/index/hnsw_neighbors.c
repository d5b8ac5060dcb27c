/* SPDX-License-Identifier: Apache-2.0 */
#include "index/hnsw_neighbors.h"

#include <stdlib.h>
#include <string.h>

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

/* Is one of the chosen nearer to it than the node whose neighbours they are, or the same vector?
 * Without the latter a list would have room for nothing but the copies of one vector: they are as
 * far from one another as from the node. */
static bool is_hidden(const struct hnsw_space *s, const struct found_node *chosen, uint32_t count,
                      const struct found_node *candidate)
{
    const float *vector = hnsw_space_vector(s, candidate->node);

    for (uint32_t i = 0; i < count; i++) {
        const float *other = hnsw_space_vector(s, chosen[i].node);
        if (s->hiding * hnsw_space_distance(s, candidate->node, vector, chosen[i].node, other) <
            candidate->distance)
            return true;
        if (chosen[i].distance == candidate->distance &&
            memcmp(vector, other, s->dim * sizeof(float)) == 0)
            return true;
    }
    return false;
}

uint32_t hnsw_choose(const struct hnsw_space *s, struct found_node *nodes, uint32_t count,
                     uint32_t limit)
{
    struct found_node hidden[HNSW_FILL_MAX];
    uint32_t chosen = 0, hidden_count = 0, fill = limit / 2;

    for (uint32_t i = 0; i < count && chosen < limit; i++) {
        struct found_node candidate = nodes[i];
        if (!is_hidden(s, nodes, chosen, &candidate)) nodes[chosen++] = candidate;
        else if (hidden_count < fill) hidden[hidden_count++] = candidate;
    }
    for (uint32_t i = 0; i < hidden_count && chosen < fill; i++) nodes[chosen++] = hidden[i];
    hnsw_sort(nodes, chosen);
    return chosen;
}
