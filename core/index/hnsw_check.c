/* SPDX-License-Identifier: Apache-2.0 */
/* hnsw_check.c — whether a graph is one that a search can trust: `lynse verify --level=deep`.
 *
 * WHAT        Every node is reached from node 0 on level 0; lists have no gap, no link to the node
 *             itself and none twice; the vectors are those of the rows; and of some rows a search
 *             by their own vector finds them.  Where a search would walk on codes, this one walks
 *             by the rows themselves: how much codes of few bits miss says nothing of the links.
 * INVARIANTS  (1) Numbers are within the image, as open has seen to (hnsw_file.c).
 * THREADS     Any.
 * FAILURE     CORRUPT, with the node; NO_MEMORY; what the source of the vectors says.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "index/graph_check.h"
#include "index/hnsw_search.h"
#include "quant/narrow_rows.h"

enum { PROBES = 128, PROBES_FOUND = 112, PROBE_EF = 64 };

static int check_list(const struct hnsw *h, uint32_t level, uint32_t node, struct error *err)
{
    const uint32_t *links = hnsw_links(h, level, node);
    uint32_t places = level == 0 ? h->link_places : h->upper_places;
    uint32_t count = graph_link_count(links, places);
    uint32_t wrong = graph_wrong_place(links, places, node);

    if (count > (level == 0 ? 2 * h->m : h->m))
        return error_set(err, LYNSE_CORRUPT, "node %u of level %u has %u links", node, level,
                         count);
    if (wrong < places)
        return error_set(err, LYNSE_CORRUPT, "link %u of node %u of level %u is %u", wrong, node,
                         level, links[wrong]);
    return 0;
}

static int check_lists(const struct hnsw *h, struct error *err)
{
    for (uint32_t level = 0; level <= h->head->level_count; level++)
        for (uint32_t node = 0; node < h->head->level_nodes[level]; node++)
            if (check_list(h, level, node, err) != 0) return -1;
    return 0;
}

static int check_bits(const struct hnsw *h, const struct vector_source *vectors, struct error *err)
{
    float *packed = (float *)mem_alloc(h->alloc, MEM_SEGMENT, h->pair_floats * sizeof(float));
    int rc = packed ? 0 : error_no_memory(err, h->pair_floats * sizeof(float));

    for (uint32_t node = 0; node < h->head->row_count && rc == 0; node++) {
        struct row_run run;
        rc = vector_source_rows(vectors, h->rows[node], 1, &run, err);
        if (rc != 0) break;
        graph_bits_pack_row(&run, vectors->storage, h->dim, 0, packed);
        if (memcmp(packed, hnsw_vector(h, node), h->pair_floats * sizeof(float)) != 0)
            rc = error_set(err, LYNSE_CORRUPT, "the bits of node %u are not those of row %u", node,
                           h->rows[node]);
    }
    mem_free(h->alloc, packed);
    return rc;
}

/* The index's vectors against the segment's. */
static int check_vectors(const struct hnsw *h, const struct vector_source *vectors,
                         struct error *err)
{
    if (h->layout != HNSW_BY_VECTORS) return 0;
    if (metric_counts_bits(h->metric)) return check_bits(h, vectors, err);
    bool is_angle = metric_find(h->metric)->value == METRIC_VALUE_ANGLE;

    for (uint32_t node = 0; node < h->head->row_count; node++) {
        struct vector_run run;
        if (vectors->run(vectors, h->rows[node], 1, &run, err) != 0) return -1;
        float factor = !is_angle ? 1 : *run.norms > 0 ? 1 / *run.norms : 0;
        const float *own = hnsw_vector(h, node);
        for (uint32_t i = 0; i < h->dim; i++)
            if (own[i] != run.vectors[i] * factor)
                return error_set(err, LYNSE_CORRUPT,
                                 "component %u of node %u is not that of row %u", i, node,
                                 h->rows[node]);
    }
    return 0;
}

/* Stands where the codes of nodes stand: their distances are those of their rows. */
struct rows_oracle {
    struct oracle base; /* first */
    struct oracle *exact;
    const uint32_t *rows;
};

static int gather_rows(struct oracle *o, const uint32_t *nodes, size_t count, float *out,
                       struct error *err)
{
    const struct rows_oracle *r = (const struct rows_oracle *)o;
    uint32_t rows[HNSW_FRESH_MAX];

    for (size_t i = 0; i < count; i++) rows[i] = r->rows[nodes[i]];
    return oracle_gather(r->exact, rows, count, out, err);
}

static const struct oracle_ops rows_ops = {.gather = gather_rows};

static enum index_state search_by_rows(const struct index_search_desc *desc, void *memory,
                                       struct error *err)
{
    const struct hnsw *h = (const struct hnsw *)desc->index;
    const struct index_query *query = desc->queries;
    struct hnsw by_rows = *h;
    struct rows_oracle rows = {
        {&rows_ops, h->dim * (uint32_t)sizeof(float)}, query->exact, h->rows};
    struct index_search_desc own = *desc;

    if (h->layout != HNSW_BY_VECTORS) { /* blocks' links are those of codes */
        by_rows.layout = HNSW_BY_CODES;
        ((struct hnsw_oracle *)query->oracle)->codes = &rows.base;
    }
    own.index = &by_rows.base;
    hnsw_begin(memory, &own);
    return hnsw_advance(memory, UINT64_MAX, err);
}

int hnsw_check(const struct index *index, const struct vector_source *vectors, struct error *err)
{
    const struct hnsw *h = (const struct hnsw *)index;
    const struct graph_lists lowest = {h->links, h->link_places, h->head->row_count};

    const struct graph_probes probes = {
        .index = index,
        .kernels = h->kernels,
        .metric = h->metric,
        .alloc = h->alloc,
        .count = PROBES,
        .found_min = PROBES_FOUND,
        .options = {.effort = PROBE_EF},
        .search = search_by_rows,
    };

    if (check_lists(h, err) != 0 || graph_check_reach(&lowest, 0, h->alloc, err) != 0 ||
        check_vectors(h, vectors, err) != 0)
        return -1;
    return graph_check_recall(&probes, vectors, err);
}
