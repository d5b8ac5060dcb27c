/* SPDX-License-Identifier: Apache-2.0 */
/* index_probe.c — rows from everywhere in the segment, one after the other, by their own vectors.
 *
 * LAYOUT      One block: the two oracles, the two lists, a row's vector as floats, whatever it is
 *             kept as, and the memory of a search of either kind.
 * THREADS     Any.
 * FAILURE     The block is freed.
 */
#include "index/index_probe.h"

#include <math.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "quant/narrow_rows.h"

struct probe {
    const struct index_probe_desc *desc;
    uint8_t *walk, *exact; /* oracles */
    struct candidate *found, *nearest;
    float *vector;
    uint8_t *search;
};

/* Search all rows by kind; the list is sorted then. */
static int look_up(struct probe *p, const struct index_vtab *kind, const struct index *index,
                   struct index_query *query, struct error *err)
{
    struct index_search_desc desc = {
        .index = index,
        .queries = query,
        .query_count = 1,
        .row_end = p->desc->index->row_count,
    };

    kind->begin(p->search, &desc);
    if (kind->advance(p->search, UINT64_MAX, err) != INDEX_DONE) return -1;
    topk_sort(query->best);
    return 0;
}

/* How many of the nearest of a row are found, and how many there are. */
static int probe_row(struct probe *p, uint32_t row, size_t *found_count, size_t *count,
                     struct error *err)
{
    const struct index_probe_desc *d = p->desc;
    struct topk found, nearest;
    float norm;

    if (vector_source_read(d->vectors, row, 1, p->vector, &norm, err) != 0) return -1;
    struct oracle_desc oracle = {.kernels = d->kernels,
                                 .query = {p->vector, norm},
                                 .vectors = d->vectors,
                                 .metric = d->metric};
    struct index_query query = {.oracle = d->index->kind->oracle_init(d->index, p->walk, &oracle),
                                .exact = quantizer_raw.oracle_init(p->exact, &oracle),
                                .best = &found,
                                .distance_max = INFINITY};
    topk_init_at(&found, p->found, d->k, topk_lower_row, NULL);
    topk_init_at(&nearest, p->nearest, d->k, topk_lower_row, NULL);
    if (look_up(p, d->index->kind, d->index, &query, err) != 0) return -1;
    query.oracle = query.exact;
    query.best = &nearest;
    if (look_up(p, &index_flat, NULL, &query, err) != 0) return -1;
    *count += nearest.count;
    for (size_t i = 0; i < found.count && nearest.count > 0; i++)
        *found_count += found.heap[i].distance <= nearest.heap[nearest.count - 1].distance;
    return 0;
}

int index_probe(const struct index_probe_desc *desc, double *out_recall, struct error *err)
{
    const struct index *index = desc->index;
    const struct index_options options = {0};
    size_t walk = align_up(index->kind->oracle_bytes(index, desc->vectors->dim), ALIGN_VECTOR);
    size_t exact = align_up(quantizer_raw.oracle_bytes(desc->vectors->dim), ALIGN_VECTOR);
    size_t list = align_up(desc->k * sizeof(struct candidate), ALIGN_VECTOR);
    size_t vector = align_up(desc->vectors->dim * sizeof(float), ALIGN_VECTOR);
    size_t search = index->kind->search_bytes(index, &options, desc->k, 1);
    size_t scan = index_flat.search_bytes(NULL, &options, desc->k, 1);
    size_t bytes = walk + exact + 2 * list + vector + (search > scan ? search : scan);
    uint32_t count = desc->probe_count < index->row_count ? desc->probe_count : index->row_count;
    size_t found_count = 0, wanted_count = 0;
    int rc = 0;

    uint8_t *memory = (uint8_t *)mem_alloc_aligned(desc->alloc, MEM_SEARCH, bytes, ALIGN_VECTOR);
    if (!memory) return error_no_memory(err, bytes);
    struct probe p = {
        .desc = desc,
        .walk = memory,
        .exact = memory + walk,
        .found = (struct candidate *)(void *)(memory + walk + exact),
        .nearest = (struct candidate *)(void *)(memory + walk + exact + list),
        .vector = (float *)(void *)(memory + walk + exact + 2 * list),
        .search = memory + walk + exact + 2 * list + vector,
    };
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        uint32_t row = (uint32_t)((uint64_t)i * index->row_count / count);
        if (desc->look) rc = desc->look(desc->ctx, err);
        if (rc == 0) rc = probe_row(&p, row, &found_count, &wanted_count, err);
    }
    mem_free(desc->alloc, memory);
    if (rc == 0) *out_recall = wanted_count > 0 ? (double)found_count / (double)wanted_count : 1;
    return rc;
}
