/* SPDX-License-Identifier: Apache-2.0 */
/* spann_check.c — whether short lists are ones that a search can trust: `lynse verify
 * --level=deep`, which also looks some rows up (index_probe.h).
 *
 * WHAT        Every list is what was written, with the vectors and norms of its rows, none twice
 *             and none beyond its radius; every row is in one.
 * INVARIANTS  (1) Numbers in memory are within the image, as open has seen to (spann_file.c);
 *                 those of a list are looked at once it was checked.
 * THREADS     Any.
 * FAILURE     CORRUPT, with the list and row; NO_MEMORY; what the source of the vectors says.
 */
#include <string.h>

#include "index/spann.h"

struct checking {
    const struct spann *s;
    const struct vector_source *vectors;
    uint32_t *last; /* of each row, the list that had it last, and 1; 0: none */
    uint32_t met_count;
};

static int check_row(struct checking *c, uint32_t list, const uint8_t *bytes, uint32_t i,
                     struct error *err)
{
    const struct list_centers *centers = &c->s->centers;
    uint32_t count = spann_row_count(c->s, list), row = spann_rows(bytes)[i], dim = centers->dim;
    const float *vector = spann_vectors(bytes, count) + (size_t)i * dim;
    float norm = spann_norms(bytes, count)[i];
    struct vector_run run;
    float distance;

    if (c->last[row] == list + 1)
        return error_set(err, LYNSE_CORRUPT, "list %u of the spann index has row %u twice", list,
                         row);
    c->met_count += c->last[row] == 0;
    c->last[row] = list + 1;
    if (c->vectors->run(c->vectors, row, 1, &run, err) != 0) return -1;
    if (memcmp(run.vectors, vector, dim * sizeof *vector) != 0 ||
        memcmp(run.norms, &norm, sizeof norm) != 0)
        return error_set(err, LYNSE_CORRUPT,
                         "the vector of row %u in list %u of the spann index is another", row,
                         list);
    distance = centers->value == METRIC_VALUE_ANGLE
                   ? metric_cosine_distance(
                         centers->kernels->dense_dot_f32(vector, list_center(centers, list), dim),
                         norm, centers->norms[list])
                   : centers->kernels->dense_l2_f32(vector, list_center(centers, list), dim);
    if (!list_is_beyond(centers, list, distance)) return 0;
    return error_set(err, LYNSE_CORRUPT, "row %u lies outside of list %u of the spann index", row,
                     list);
}

static int check_lists(struct checking *c, uint8_t *bytes, struct error *err)
{
    const struct spann *s = c->s;

    for (uint32_t list = 0; list < s->centers.count; list++) {
        size_t size = (size_t)(s->offsets[list + 1] - s->offsets[list]);
        if (disk_reads_now(s->reads, s->offsets[list], size, bytes, err) != 0 ||
            spann_list_check(s, list, bytes, err) != 0)
            return -1;
        for (uint32_t i = 0; i < spann_row_count(s, list); i++)
            if (check_row(c, list, bytes, i, err) != 0) return -1;
    }
    if (c->met_count == s->base.row_count) return 0;
    return error_set(err, LYNSE_CORRUPT, "%u of %u rows are in no list of the spann index",
                     s->base.row_count - c->met_count, s->base.row_count);
}

int spann_check(const struct index *index, const struct vector_source *vectors, struct error *err)
{
    const struct spann *s = (const struct spann *)index;
    struct checking c = {.s = s, .vectors = vectors};
    size_t list_bytes = spann_list_bytes(s->list_rows, s->centers.dim), rows = s->base.row_count;
    int rc = -1;

    uint8_t *bytes = (uint8_t *)mem_alloc_aligned(s->alloc, MEM_SEGMENT, list_bytes, ALIGN_VECTOR);
    c.last = (uint32_t *)mem_zalloc(s->alloc, MEM_SEGMENT, rows * sizeof *c.last);
    if (!bytes || !c.last) error_no_memory(err, list_bytes + rows * sizeof *c.last);
    else rc = check_lists(&c, bytes, err);
    mem_free(s->alloc, bytes);
    mem_free(s->alloc, c.last);
    return rc;
}
