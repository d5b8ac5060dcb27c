/* SPDX-License-Identifier: Apache-2.0 */
#include "index/graph_check.h"

#include "base/bitmap.h"
#include "index/hnsw.h"

uint32_t graph_link_count(const uint32_t *list, uint32_t places)
{
    uint32_t count = 0;

    while (count < places && list[count] != HNSW_NONE) count++;
    return count;
}

uint32_t graph_wrong_place(const uint32_t *list, uint32_t places, uint32_t node)
{
    uint32_t count = graph_link_count(list, places);

    for (uint32_t i = 0; i < places; i++) {
        bool is_wrong = i >= count ? list[i] != HNSW_NONE : list[i] == node;
        for (uint32_t j = 0; j < i && i < count; j++) is_wrong |= list[j] == list[i];
        if (is_wrong) return i;
    }
    return places;
}

/* queue: room for all nodes; met: all 0. */
static uint32_t count_reached(const struct graph_lists *g, uint32_t first, uint32_t *queue,
                              struct bitmap *met)
{
    uint32_t reached = 1, looked_at = 0;

    queue[0] = first;
    bitmap_set(met, first);
    while (looked_at < reached) {
        const uint32_t *list = g->links + (size_t)queue[looked_at++] * g->places;
        for (uint32_t i = 0; i < g->places && list[i] != HNSW_NONE; i++) {
            if (bitmap_get(met, list[i])) continue;
            bitmap_set(met, list[i]);
            queue[reached++] = list[i];
        }
    }
    return reached;
}

int graph_check_reach(const struct graph_lists *g, uint32_t first, struct alloc *a,
                      struct error *err)
{
    size_t bytes = g->node_count * sizeof(uint32_t);
    struct bitmap met = {0};
    uint32_t reached = 0;
    int rc = 0;

    uint32_t *queue = (uint32_t *)mem_alloc(a, MEM_SEGMENT, bytes);
    if (!queue || bitmap_init(&met, a, MEM_SEGMENT, g->node_count) != 0)
        rc = error_no_memory(err, bytes);
    else reached = count_reached(g, first, queue, &met);
    if (rc == 0 && reached < g->node_count)
        rc = error_set(err, LYNSE_CORRUPT, "%u of %u nodes cannot be reached",
                       g->node_count - reached, g->node_count);
    mem_free(a, queue);
    bitmap_deinit(&met);
    return rc;
}
