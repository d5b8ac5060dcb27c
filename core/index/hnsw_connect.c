/* SPDX-License-Identifier: Apache-2.0 */
/* hnsw_connect.c — every node can be reached from node 0 on level 0, and then: the order in which
 * they were is the order of the finished graph.
 *
 * WHAT        A walk in breadth makes a tree.  A node that it did not reach is linked to by one
 *             that it did, its nearest neighbour if that can be: in a free place of the list, or
 *             in that of a link that is not of the tree.  Then the walk goes on from there.
 * INVARIANTS  (1) Links of the tree are never taken away: what is reached stays so.
 *             (2) Of c nodes that are reached the tree has c - 1 links, and there is room for 4 c
 *                 at least: one of them has a place to give.
 * THREADS     One.
 */
#include <string.h>

#include "base/check.h"
#include "index/hnsw_build.h"

enum { STEP_NODES = 16384 };

int hnsw_tree_create(struct hnsw_build *b, struct error *err)
{
    struct hnsw_tree *t = &b->tree;
    size_t bytes = (size_t)b->row_count * sizeof(uint32_t);

    t->parents = (uint32_t *)mem_alloc(b->desc.alloc, MEM_SEGMENT, bytes);
    t->order = (uint32_t *)mem_alloc(b->desc.alloc, MEM_SEGMENT, bytes);
    t->heirs = (uint32_t *)mem_alloc(b->desc.alloc, MEM_SEGMENT, bytes);
    if (!t->parents || !t->order || !t->heirs) return error_no_memory(err, bytes);
    memset(t->parents, 0xff, bytes);
    memset(t->heirs, 0xff, bytes);
    t->parents[0] = 0;
    t->order[0] = 0;
    t->reached = 1;
    return 0;
}

static void reach(struct hnsw_tree *t, uint32_t node, uint32_t parent)
{
    t->parents[node] = parent;
    t->order[t->reached++] = node;
}

/* A place of the node's list whose link may be another one; 0: there is none. */
static uint32_t spare_place(const struct hnsw_build *b, uint32_t node)
{
    const uint32_t *list = hnsw_list(b, 0, node);

    if (list[0] < hnsw_degree_max(b, 0)) return list[0] + 1;
    for (uint32_t i = list[0]; i > 0; i--)
        if (b->tree.parents[list[i]] != node || list[i] == 0) return i; /* (1) */
    return 0;
}

static bool adopt(struct hnsw_build *b, uint32_t node, uint32_t parent)
{
    uint32_t *list = hnsw_list(b, 0, parent), place = spare_place(b, parent);

    if (place == 0) return false;
    list[place] = node;
    if (place > list[0]) list[0] = place;
    reach(&b->tree, node, parent);
    return true;
}

/* Behind the one that was adopted last for `near`, if one was: a node that many lost ones are near
 * to would have links to nothing else in the end. */
static bool adopt_near(struct hnsw_build *b, uint32_t node, uint32_t near)
{
    uint32_t heir = b->tree.heirs[near];

    if (!adopt(b, node, heir != HNSW_NONE ? heir : near)) return false;
    b->tree.heirs[near] = node;
    return true;
}

static void adopt_lost(struct hnsw_build *b)
{
    struct hnsw_tree *t = &b->tree;

    while (t->parents[t->lost] != HNSW_NONE) t->lost++;
    const uint32_t *list = hnsw_list(b, 0, t->lost);
    for (uint32_t i = 1; i <= list[0]; i++)
        if (t->parents[list[i]] != HNSW_NONE && adopt_near(b, t->lost, list[i])) return;
    while (!adopt(b, t->lost, t->order[t->donor])) {
        t->donor++;
        CHECK(t->donor < t->reached); /* (2) */
    }
}

bool hnsw_tree_step(struct hnsw_build *b)
{
    struct hnsw_tree *t = &b->tree;

    for (uint32_t step = 0; step < STEP_NODES; step++) {
        if (t->looked_at == t->reached) {
            if (t->reached == b->row_count) return true;
            adopt_lost(b);
        }
        uint32_t node = t->order[t->looked_at++];
        const uint32_t *list = hnsw_list(b, 0, node);
        for (uint32_t i = 1; i <= list[0]; i++)
            if (t->parents[list[i]] == HNSW_NONE) reach(t, list[i], node);
    }
    return false;
}

void hnsw_tree_number(const struct hnsw_build *b, uint32_t *numbers)
{
    uint32_t next[HNSW_LEVELS_MAX + 1]; /* of the nodes whose highest level it is */

    for (uint32_t level = 0; level <= b->levels.count; level++)
        next[level] = level < b->levels.count ? b->levels.nodes[level + 1] : 0;
    for (uint32_t i = 0; i < b->row_count; i++) {
        uint32_t node = b->tree.order[i];
        numbers[node] = next[hnsw_level_of(b, node)]++;
    }
}
