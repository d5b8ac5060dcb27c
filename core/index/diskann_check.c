/* SPDX-License-Identifier: Apache-2.0 */
/* diskann_check.c — whether a disk index is one that a search can trust: `lynse verify
 * --level=deep`.
 *
 * WHAT        Every page is what was written, with the vectors and norms of its rows; lists have no
 *             gap, no link to the node itself and none twice; every node is reached from where
 *             searches begin; and of some rows a search by their own vector finds them.
 * INVARIANTS  (1) Numbers in memory are within the image, as open has seen to (diskann_file.c);
 *                 those of a page are looked at once it was checked.
 * THREADS     Any.
 * FAILURE     CORRUPT, with the node or page; NO_MEMORY; what the source of the vectors says.
 */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "index/diskann.h"
#include "index/graph_check.h"
#include "quant/quantizer.h"

enum { PROBES = 32, PROBES_FOUND = 20, PROBE_EF = 128 };

static int check_node(const struct diskann *d, const uint8_t *page, uint32_t node,
                      const struct vector_source *vectors, struct error *err)
{
    const struct diskann_layout *l = &d->layout;
    uint32_t place = node % l->page_nodes, row = d->rows[node];
    const uint32_t *links = diskann_links(l, page, place);
    uint32_t wrong = graph_wrong_place(links, l->degree, node);
    struct vector_run run;

    if (wrong < l->degree)
        return error_set(err, LYNSE_CORRUPT, "link %u of node %u is %u", wrong, node, links[wrong]);
    if (vectors->run(vectors, row, 1, &run, err) != 0) return -1;
    float norm = diskann_norm(l, page, place);
    if (diskann_is_same(d->kernels, l->storage, diskann_vector(l, page, place), run.vectors,
                        l->dim) &&
        memcmp(&norm, run.norms, sizeof norm) == 0)
        return 0;
    return error_set(err, LYNSE_CORRUPT, "the vector of node %u is not that of row %u", node, row);
}

/* out: degree links a node. */
static int check_pages(const struct diskann *d, const struct vector_source *vectors, uint32_t *out,
                       struct error *err)
{
    const struct diskann_layout *l = &d->layout;
    int rc = 0;

    uint8_t *page =
        (uint8_t *)mem_alloc_aligned(d->alloc, MEM_SEGMENT, l->page_bytes, ALIGN_VECTOR);
    if (!page) return error_no_memory(err, l->page_bytes);
    for (uint32_t number = 0; number < l->page_count && rc == 0; number++) {
        uint32_t count = diskann_page_count(l, number);
        rc = diskann_page_read(d, number, page, err);
        if (rc == 0) rc = diskann_page_check(d, number, page, err);
        for (uint32_t place = 0; place < count && rc == 0; place++) {
            uint32_t node = number * l->page_nodes + place;
            rc = check_node(d, page, node, vectors, err);
            memcpy(out + (size_t)node * l->degree, diskann_links(l, page, place),
                   l->degree * sizeof *out);
        }
    }
    mem_free(d->alloc, page);
    return rc;
}

static int check_graph(const struct diskann *d, const struct vector_source *vectors,
                       struct error *err)
{
    size_t bytes = (size_t)d->layout.row_count * d->layout.degree * sizeof(uint32_t);
    uint32_t *links = (uint32_t *)mem_alloc(d->alloc, MEM_SEGMENT, bytes);

    if (!links) return error_no_memory(err, bytes);
    const struct graph_lists lists = {links, d->layout.degree, d->layout.row_count};
    int rc = check_pages(d, vectors, links, err);
    if (rc == 0) rc = graph_check_reach(&lists, d->entries[0], d->alloc, err);
    mem_free(d->alloc, links);
    return rc;
}

/* ---- Recall ---- */

/* What a search by the vector of a row is to do: find something no farther than the row. */
static int probe(const struct diskann *d, const struct vector_source *vectors, uint32_t row,
                 uint8_t *memory, bool *is_found, struct error *err)
{
    struct candidate found;
    struct topk best;
    struct vector_run run;
    float own;
    size_t own_bytes = diskann_oracle_bytes(&d->base, d->layout.dim);

    if (vectors->run(vectors, row, 1, &run, err) != 0) return -1;
    struct oracle_desc oracle = {.kernels = d->kernels,
                                 .query = {run.vectors, *run.norms},
                                 .vectors = vectors,
                                 .metric = d->metric};
    struct index_query query = {
        .oracle = diskann_oracle_init(&d->base, memory, &oracle),
        .exact = quantizer_raw.oracle_init(memory + own_bytes, &oracle),
        .best = &best,
        .distance_max = INFINITY,
    };
    struct index_search_desc desc = {.index = &d->base,
                                     .queries = &query,
                                     .query_count = 1,
                                     .options = {.effort = PROBE_EF},
                                     .row_end = d->layout.row_count};
    void *search = memory + own_bytes + quantizer_raw.oracle_bytes(d->layout.dim);
    topk_init_at(&best, &found, 1, topk_lower_row, NULL);
    diskann_begin(search, &desc);
    if (diskann_advance(search, UINT64_MAX, err) != INDEX_DONE ||
        oracle_gather(query.exact, &row, 1, &own, err) != 0)
        return -1;
    *is_found = best.count == 1 && !(found.distance > own);
    return 0;
}

static int check_recall(const struct diskann *d, const struct vector_source *vectors,
                        struct error *err)
{
    const struct index_options options = {.effort = PROBE_EF};
    size_t bytes = diskann_oracle_bytes(&d->base, d->layout.dim) +
                   quantizer_raw.oracle_bytes(d->layout.dim) +
                   diskann_search_bytes(&d->base, &options, 1, 1);
    uint32_t count = d->layout.row_count, found_count = 0;
    int rc = 0;

    uint8_t *memory = (uint8_t *)mem_alloc_aligned(d->alloc, MEM_SEGMENT, bytes, ALIGN_VECTOR);
    if (!memory) return error_no_memory(err, bytes);
    for (uint32_t i = 0; i < PROBES && rc == 0; i++) {
        bool is_found = false;
        rc = probe(d, vectors, (uint32_t)((uint64_t)i * count / PROBES), memory, &is_found, err);
        found_count += is_found;
    }
    mem_free(d->alloc, memory);
    if (rc == 0 && found_count < PROBES_FOUND)
        return error_set(err, LYNSE_CORRUPT, "of %u rows, only %u are found by their own vectors",
                         (unsigned)PROBES, found_count);
    return rc;
}

int diskann_check(const struct index *index, const struct vector_source *vectors, struct error *err)
{
    const struct diskann *d = (const struct diskann *)index;

    if (check_graph(d, vectors, err) != 0) return -1;
    /* Under a product a row's own vector need not be near to it. */
    if (metric_find(d->metric)->value == METRIC_VALUE_PRODUCT) return 0;
    return check_recall(d, vectors, err);
}
