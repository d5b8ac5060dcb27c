/* SPDX-License-Identifier: Apache-2.0 */
/* diskann_place.c — which nodes share a page.
 *
 * WHAT        A page begins with the node that comes next in a walk in breadth and has no page yet.
 *             Then come what it links to, what these link to, and so on, until the page is full: a
 *             search that reads a page for one of its nodes has use for the others too.  Where
 *             nothing is left that they link to, the walk's next node joins them.
 * INVARIANTS  (1) Every node gets one place; `placed` of them have one, in numbers without gaps.
 * THREADS     One.
 */
#include "index/diskann_build.h"

enum { STEP_PAGES = 256 };

static void place(struct diskann_build *b, uint32_t node)
{
    b->numbers[node] = b->placed;
    b->nodes[b->placed++] = node;
}

/* The walk's next node without a place; there is one. */
static uint32_t next_seed(struct diskann_build *b)
{
    while (b->numbers[b->graph->tree.order[b->seed]] != HNSW_NONE) b->seed++;
    return b->graph->tree.order[b->seed];
}

static void fill_page(struct diskann_build *b, uint32_t end)
{
    uint32_t at = b->placed; /* all of the page before it were asked what they link to */

    while (b->placed < end) {
        if (at == b->placed) place(b, next_seed(b));
        const uint32_t *list = hnsw_list(b->graph, 0, b->nodes[at++]);
        for (uint32_t i = 1; i <= list[0] && b->placed < end; i++)
            if (b->numbers[list[i]] == HNSW_NONE) place(b, list[i]);
    }
}

bool diskann_place_step(struct diskann_build *b)
{
    uint32_t row_count = b->layout.row_count;

    for (uint32_t i = 0; i < STEP_PAGES && b->placed < row_count; i++) {
        uint32_t left = row_count - b->placed, most = b->layout.page_nodes;
        fill_page(b, b->placed + (left < most ? left : most));
    }
    return b->placed == row_count;
}
