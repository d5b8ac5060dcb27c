/* SPDX-License-Identifier: Apache-2.0 */
/* visited.h — which nodes of a graph a walk has met: a small hash table, and a bitmap once that is
 * full.
 *
 * Beginning a walk clears the table alone, some kilobytes that stay in the first caches; a walk
 * that goes on for long has earned the clearing of a bit for each node.  Lies in memory of its
 * user, which need not be zeroed.  One thread at a time.
 */
#ifndef INDEX_VISITED_H
#define INDEX_VISITED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct visited {
    uint32_t *slots; /* node, or VISITED_NONE */
    uint64_t *bits;
    uint32_t slot_count; /* a power of two; 0: the bitmap serves from the first node on */
    uint32_t shift;      /* of a hash, to a slot */
    uint32_t node_count;
    uint32_t slots_used;
    bool is_bitmap;
};

/* For walks over node_count nodes that are expected to meet about so many. */
size_t visited_bytes(uint32_t node_count, uint32_t expected);
/* memory: of visited_bytes, aligned to 8.  Before the first walk, clear. */
void visited_init(struct visited *v, void *memory, uint32_t node_count, uint32_t expected);
void visited_clear(struct visited *v);
/* The table is full: its nodes become bits. */
void visited_to_bits(struct visited *v);

#define VISITED_NONE UINT32_MAX

/* The slot of a node: its own, or the free one where it belongs. */
static inline uint32_t visited_slot(const struct visited *v, uint32_t node)
{
    uint32_t slot = (node * 0x9E3779B1u) >> v->shift;
    while (v->slots[slot] != node && v->slots[slot] != VISITED_NONE)
        slot = (slot + 1) & (v->slot_count - 1);
    return slot;
}

/* true: it had not been met. */
static inline bool visited_add(struct visited *v, uint32_t node)
{
    if (!v->is_bitmap && v->slots_used * 2 >= v->slot_count) visited_to_bits(v);
    if (v->is_bitmap) {
        uint64_t *word = &v->bits[node / 64], bit = 1ull << (node % 64), before = *word;
        *word = before | bit;
        return !(before & bit);
    }
    uint32_t slot = visited_slot(v, node);
    if (v->slots[slot] == node) return false;
    v->slots[slot] = node;
    v->slots_used++;
    return true;
}

/* Those of nodes that had not been met, in their order, to `fresh`, which has room for all; how
 * many.  nodes: at most count, or up to VISITED_NONE.  No branch asks whether one had been met:
 * half of the answers would be foretold wrongly. */
static inline uint32_t visited_add_all(struct visited *v, const uint32_t *nodes, uint32_t count,
                                       uint32_t *fresh)
{
    uint32_t fresh_count = 0;

    if (!v->is_bitmap && (v->slots_used + count) * 2 > v->slot_count) visited_to_bits(v);
    if (v->is_bitmap) {
        for (uint32_t i = 0; i < count && nodes[i] != VISITED_NONE; i++) {
            uint64_t *word = &v->bits[nodes[i] / 64], before = *word;
            *word = before | 1ull << (nodes[i] % 64);
            fresh[fresh_count] = nodes[i];
            fresh_count += !(before >> (nodes[i] % 64) & 1);
        }
        return fresh_count;
    }
    for (uint32_t i = 0; i < count && nodes[i] != VISITED_NONE; i++) {
        uint32_t *slot = &v->slots[visited_slot(v, nodes[i])];
        fresh[fresh_count] = nodes[i];
        fresh_count += *slot != nodes[i];
        *slot = nodes[i];
    }
    v->slots_used += fresh_count;
    return fresh_count;
}

static inline bool visited_has(const struct visited *v, uint32_t node)
{
    if (v->is_bitmap) return v->bits[node / 64] >> (node % 64) & 1;
    return v->slots[visited_slot(v, node)] == node;
}

#endif
