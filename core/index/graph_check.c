/* SPDX-License-Identifier: Apache-2.0 */
/* graph_check.c — lists, levels and rows one by one, reach by a walk over all, recall by searches.
 *
 * WHAT        See graph_check.h.  Levels and rows are looked at whenever a graph is opened; the
 *             rest reads all of it, and is asked for.
 * INVARIANTS  (1) What follows links is called once they are known to be of nodes, or none.
 * THREADS     Any.
 * FAILURE     CORRUPT, with the node or level; NO_MEMORY; what the source of the vectors says.
 */
#include "index/graph_check.h"

#include <math.h>

#include "base/bitmap.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "index/hnsw.h"
#include "quant/narrow_rows.h"
#include "quant/quantizer.h"
#include "simd/metrics.h"

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

/* ---- what is in a file ---- */

int graph_check_levels(const uint32_t *level_nodes, uint32_t level_count, uint32_t row_count,
                       const char *kind, struct error *err)
{
    for (uint32_t level = 0; level <= level_count; level++) {
        uint32_t most = level == 0 ? row_count : level_nodes[level - 1];
        if (level_nodes[level] == 0 || level_nodes[level] > most ||
            (level == 0 && level_nodes[0] != row_count))
            return error_set(err, LYNSE_CORRUPT, "level %u of the %s index has %u nodes", level,
                             kind, level_nodes[level]);
    }
    return 0;
}

int graph_check_rows(const uint32_t *rows, uint32_t count, const char *kind, struct alloc *a,
                     struct error *err)
{
    struct bitmap met;
    int rc = 0;

    if (bitmap_init(&met, a, MEM_SEGMENT, count) != 0) return error_no_memory(err, count / 8);
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        if (rows[i] >= count || bitmap_get(&met, rows[i]))
            rc = error_set(err, LYNSE_CORRUPT, "node %u of the %s index is row %u of %u", i, kind,
                           rows[i], count);
        else bitmap_set(&met, rows[i]);
    }
    bitmap_deinit(&met);
    return rc;
}

/* ---- what is found ---- */

static enum index_state search_all(const struct index_search_desc *desc, void *memory,
                                   struct error *err)
{
    desc->index->kind->begin(memory, desc);
    return desc->index->kind->advance(memory, UINT64_MAX, err);
}

static int probe(const struct graph_probes *p, const struct vector_source *vectors, uint32_t row,
                 uint8_t *memory, bool *is_found, struct error *err)
{
    const struct index_vtab *kind = p->index->kind;
    struct candidate found;
    struct topk best;
    float own, norm, *vector = (float *)(void *)memory;
    size_t own_bytes = kind->oracle_bytes(p->index, vectors->dim);

    memory += align_up(vectors->dim * sizeof(float), ALIGN_VECTOR);
    if (vector_source_read(vectors, row, 1, vector, &norm, err) != 0) return -1;
    const struct oracle_desc oracle = {
        .kernels = p->kernels, .query = {vector, norm}, .vectors = vectors, .metric = p->metric};
    struct index_query query = {
        .oracle = kind->oracle_init(p->index, memory, &oracle),
        .exact = quantizer_raw.oracle_init(memory + own_bytes, &oracle),
        .best = &best,
        .distance_max = INFINITY,
    };
    const struct index_search_desc desc = {.index = p->index,
                                           .queries = &query,
                                           .query_count = 1,
                                           .options = p->options,
                                           .row_end = p->index->row_count};
    memory += own_bytes + quantizer_raw.oracle_bytes(vectors->dim);
    topk_init_at(&best, &found, 1, topk_lower_row, NULL);
    if ((p->search ? p->search : search_all)(&desc, memory, err) != INDEX_DONE ||
        oracle_gather(query.exact, &row, 1, &own, err) != 0)
        return -1;
    *is_found = best.count == 1 && !(found.distance > own);
    return 0;
}

int graph_check_recall(const struct graph_probes *p, const struct vector_source *vectors,
                       struct error *err)
{
    const struct index_vtab *kind = p->index->kind;
    size_t bytes = align_up(vectors->dim * sizeof(float), ALIGN_VECTOR) +
                   kind->oracle_bytes(p->index, vectors->dim) +
                   quantizer_raw.oracle_bytes(vectors->dim) +
                   kind->search_bytes(p->index, &p->options, 1, 1);
    uint32_t found_count = 0;
    int rc = 0;

    if (metric_find(p->metric)->value == METRIC_VALUE_PRODUCT) return 0;
    uint8_t *memory = (uint8_t *)mem_alloc_aligned(p->alloc, MEM_SEGMENT, bytes, ALIGN_VECTOR);
    if (!memory) return error_no_memory(err, bytes);
    for (uint32_t i = 0; i < p->count && rc == 0; i++) {
        uint32_t row = (uint32_t)((uint64_t)i * p->index->row_count / p->count);
        bool is_found = false;
        rc = probe(p, vectors, row, memory, &is_found, err);
        found_count += is_found;
    }
    mem_free(p->alloc, memory);
    if (rc == 0 && found_count < p->found_min)
        return error_set(err, LYNSE_CORRUPT, "of %u rows, only %u are found by their own vectors",
                         p->count, found_count);
    return rc;
}
