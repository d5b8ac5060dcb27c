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
#include <string.h>

#include "base/limits.h"
#include "index/diskann.h"
#include "index/graph_check.h"

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

int diskann_check(const struct index *index, const struct vector_source *vectors, struct error *err)
{
    const struct diskann *d = (const struct diskann *)index;

    const struct graph_probes probes = {
        .index = index,
        .kernels = d->kernels,
        .metric = d->metric,
        .alloc = d->alloc,
        .count = PROBES,
        .found_min = PROBES_FOUND,
        .options = {.effort = PROBE_EF},
    };

    if (check_graph(d, vectors, err) != 0) return -1;
    return graph_check_recall(&probes, vectors, err);
}
