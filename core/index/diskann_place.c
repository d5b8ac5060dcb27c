/* SPDX-License-Identifier: Apache-2.0 */
/* diskann_place.c — which nodes share a page.
 *
 * WHAT        A page begins with the node that comes next in a walk in breadth and has no page yet.
 *             It grows by the node that is nearest to the middle of those it has, of the nodes that
 *             these link to, until it is full: a search that reads a page for one of its nodes has
 *             use for the others too.  Where nothing is left that they link to, the walk's next
 *             node joins them.
 *             To take what a node links to as it comes, near or far, made searches of 200,000
 *             vectors of 128 dimensions read a third more pages.
 * INVARIANTS  (1) Every node gets one place; `placed` of them have one, in numbers without gaps.
 *             (2) Between two pages no node is marked as waiting.
 * THREADS     One.
 */
#include <math.h>
#include <string.h>

#include "index/diskann_build.h"

enum {
    STEP_PAGES = 32,
    /* The middle is found anew as long as a node moves it far, and then at every so many. */
    MIDDLE_NODES = 8,
};
#define WAITING (HNSW_NONE - 1) /* in the place of a number: it is one of `waiting` */

/* The nodes of a page that is not full yet, by their middle. */
struct growth {
    struct diskann_build *b;
    uint32_t count; /* nodes it has */
    uint32_t waiting_count;
    struct found_node waiting[DISKANN_WAITING_MAX]; /* that they link to, how far from the middle */
};

/* The walk's next node without a place; there is one. */
static uint32_t next_seed(struct diskann_build *b)
{
    while (b->numbers[b->graph->tree.order[b->seed]] != HNSW_NONE) b->seed++;
    return b->graph->tree.order[b->seed];
}

/* Rows whose products are large lie near to one another like any others. */
static float distance_to_middle(const struct diskann_build *b, uint32_t node)
{
    const struct hnsw_space *s = &b->graph->space;
    const float *vector = hnsw_space_vector(s, node);
    bool is_product = s->value == METRIC_VALUE_PRODUCT;
    float value = (is_product ? b->desc.kernels->dense_l2_f32 : s->pair)(b->middle, vector, s->dim);

    if (s->value == METRIC_VALUE_ANGLE) value = -value * s->inverse[node];
    return value == value ? value : INFINITY;
}

static void move_middle(struct growth *g)
{
    struct diskann_build *b = g->b;

    for (uint32_t i = 0; i < b->graph->space.dim; i++) b->middle[i] = b->sum[i] / (float)g->count;
    for (uint32_t i = 0; i < g->waiting_count; i++)
        g->waiting[i].distance = distance_to_middle(b, g->waiting[i].node);
}

static void place(struct growth *g, uint32_t node)
{
    struct diskann_build *b = g->b;
    const struct hnsw_space *s = &b->graph->space;
    const float *vector = hnsw_space_vector(s, node);
    float scale = s->value == METRIC_VALUE_ANGLE ? s->inverse[node] : 1;

    b->numbers[node] = b->placed;
    b->nodes[b->placed++] = node;
    for (uint32_t i = 0; i < s->dim; i++) b->sum[i] += vector[i] * scale;
    g->count++;
    if ((g->count & (g->count - 1)) == 0 || g->count % MIDDLE_NODES == 0) move_middle(g);
}

static uint32_t farthest(const struct growth *g)
{
    uint32_t at = 0;

    for (uint32_t i = 1; i < g->waiting_count; i++)
        if (g->waiting[i].distance > g->waiting[at].distance) at = i;
    return at;
}

/* Of equal ones the first. */
static uint32_t nearest(const struct growth *g)
{
    uint32_t at = 0;

    for (uint32_t i = 1; i < g->waiting_count; i++)
        if (g->waiting[i].distance < g->waiting[at].distance) at = i;
    return at;
}

/* What a node links to waits; of too many the nearest. */
static void wait_for_links(struct growth *g, uint32_t node)
{
    struct diskann_build *b = g->b;
    const uint32_t *list = hnsw_list(b->graph, 0, node);

    for (uint32_t i = 1; i <= list[0]; i++) {
        if (b->numbers[list[i]] != HNSW_NONE) continue;
        struct found_node next = {distance_to_middle(b, list[i]), list[i]};
        uint32_t at = g->waiting_count;
        if (at == DISKANN_WAITING_MAX) {
            at = farthest(g);
            if (!(next.distance < g->waiting[at].distance)) continue;
            b->numbers[g->waiting[at].node] = HNSW_NONE;
        } else {
            g->waiting_count++;
        }
        b->numbers[next.node] = WAITING;
        g->waiting[at] = next;
    }
}

static void fill_page(struct growth *g, uint32_t end)
{
    struct diskann_build *b = g->b;

    g->count = g->waiting_count = 0;
    memset(b->sum, 0, b->graph->space.dim * sizeof *b->sum);
    while (b->placed < end) {
        uint32_t node;
        if (g->waiting_count == 0) {
            node = next_seed(b);
        } else {
            uint32_t at = nearest(g);
            node = g->waiting[at].node;
            g->waiting[at] = g->waiting[--g->waiting_count];
        }
        place(g, node);
        wait_for_links(g, node);
    }
    for (uint32_t i = 0; i < g->waiting_count; i++) b->numbers[g->waiting[i].node] = HNSW_NONE;
}

void diskann_place_step(struct diskann_build *b)
{
    struct growth g = {.b = b};
    uint32_t row_count = b->layout.row_count;

    for (uint32_t i = 0; i < STEP_PAGES && b->placed < row_count; i++) {
        uint32_t left = row_count - b->placed, most = b->layout.page_nodes;
        fill_page(&g, b->placed + (left < most ? left : most));
    }
}
