/* SPDX-License-Identifier: Apache-2.0 */
/* diskann_file.c — a disk index as sections of an image, and back.
 *
 * WHAT        See diskann.h.  Links of pages are renumbered on the way out.
 * INVARIANTS  (1) After open every number in memory that a search follows is within the image; of
 *                 the pages on the disk diskann_page_check sees to it when one is read.  A graph
 *                 that leads nowhere or in circles is still possible: then rows are not found, and
 *                 nothing else is wrong.
 * THREADS     Any; one for each.
 * FAILURE     CORRUPT, NO_MEMORY; what the writer or the image says.
 */
#include <string.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/planted.h"
#include "index/diskann_build.h"
#include "index/graph_check.h"
#include "index/quantizer_image.h"
#include "quant/narrow_rows.h"

/* ---- Out ---- */

static int write_head(const struct diskann_build *b, struct index_writer *w, struct error *err)
{
    const struct diskann_layout *l = &b->layout;
    struct diskann_head head = {
        .version = DISKANN_VERSION,
        .row_count = l->row_count,
        .dim = l->dim,
        .metric = b->desc.metric,
        .degree = l->degree,
        .l = (uint32_t)b->desc.params->values[DISKANN_L],
        .page_bytes = l->page_bytes,
        .page_nodes = l->page_nodes,
        .memory = (uint32_t)b->desc.params->values[DISKANN_MEMORY],
        .level_count = b->graph->levels.count,
        .storage = l->storage,
    };

    memcpy(head.level_nodes, b->graph->levels.nodes, sizeof head.level_nodes);
    return index_write_section(w, DISKANN_SECTION_HEAD, 4, 0, &head, sizeof head, err);
}

/* The graph's own numbers are those of these levels. */
static int write_upper(const struct diskann_build *b, struct index_writer *w, struct error *err)
{
    const struct hnsw_build *g = b->graph;
    uint32_t places = hnsw_places(g->m), out[HNSW_LINKS_MAX / 2 + 16];

    if (w->begin(w, DISKANN_SECTION_UPPER, 4, g->m, err) != 0) return -1;
    for (uint32_t level = 1; level <= g->levels.count; level++) {
        for (uint32_t node = 0; node < g->levels.nodes[level]; node++) {
            const uint32_t *list = hnsw_list(g, level, node);
            for (uint32_t i = 0; i < places; i++) out[i] = i < list[0] ? list[i + 1] : HNSW_NONE;
            if (w->write(w, out, places * sizeof *out, err) != 0) return -1;
        }
    }
    return w->end(w, err);
}

/* Node 0 of the graph at least: there a search begins. */
static uint32_t entry_count(const uint32_t *level_nodes, uint32_t level_count)
{
    return level_count > 0 ? level_nodes[1] : 1;
}

static int write_rows(const struct diskann_build *b, struct index_writer *w, uint8_t *piece,
                      struct error *err)
{
    uint32_t *out = (uint32_t *)(void *)piece, most = b->layout.page_bytes / sizeof *out, used = 0;
    uint32_t row_count = b->layout.row_count;

    if (w->begin(w, DISKANN_SECTION_ROWS, 4, row_count, err) != 0) return -1;
    for (uint32_t node = 0; node < row_count; node++) {
        out[used++] = b->graph->rows[b->nodes[node]];
        if (used < most && node + 1 < row_count) continue;
        if (w->write(w, out, used * sizeof *out, err) != 0) return -1;
        used = 0;
    }
    return w->end(w, err);
}

static void fill_page(const struct diskann_build *b, uint32_t number, uint8_t *page)
{
    const struct diskann_layout *l = &b->layout;
    const struct vector_source *vectors = b->desc.vectors;
    struct diskann_page *head = (struct diskann_page *)(void *)page;

    memset(page, 0, l->page_bytes);
    head->number = number;
    head->node_count = diskann_page_count(l, number);
    for (uint32_t place = 0; place < head->node_count; place++) {
        uint32_t node = b->nodes[number * l->page_nodes + place], row = b->graph->rows[node];
        const uint32_t *list = hnsw_list(b->graph, 0, node);
        uint8_t *to = page + sizeof *head + (size_t)place * l->node_bytes;
        float *norm = (float *)(void *)(to + l->vector_bytes);
        uint32_t *links = (uint32_t *)(void *)(norm + 1);
        storage_pack(b->desc.kernels, l->storage, hnsw_space_vector(&b->graph->space, node), 1,
                     l->dim, to);
        *norm = b->graph->copy ? b->graph->norms[row] : vectors->all_norms[row];
        for (uint32_t i = 0; i < l->degree; i++)
            links[i] = i < list[0] ? b->numbers[list[i + 1]] : HNSW_NONE;
    }
    head->hash = hash_xxh3_64(page + sizeof head->hash, l->page_bytes - sizeof head->hash);
}

static int write_pages(const struct diskann_build *b, struct index_writer *w, uint8_t *page,
                       struct error *err)
{
    const struct diskann_layout *l = &b->layout;

    if (w->begin(w, DISKANN_SECTION_PAGES, 1, l->page_bytes, err) != 0) return -1;
    for (uint32_t number = 0; number < l->page_count; number++) {
        fill_page(b, number, page);
        if (w->write(w, page, l->page_bytes, err) != 0) return -1;
    }
    return w->end(w, err);
}

int diskann_save(struct diskann_build *b, struct index_writer *w, struct error *err)
{
    const struct hnsw_levels *levels = &b->graph->levels;
    size_t entries = entry_count(levels->nodes, levels->count) * sizeof(uint32_t);
    size_t code_bytes = b->layout.row_count * b->stride;
    int rc = -1;
    uint8_t *page = (uint8_t *)mem_alloc_aligned(b->desc.alloc, MEM_SEGMENT, b->layout.page_bytes,
                                                 ALIGN_VECTOR);

    if (!page) return error_no_memory(err, b->layout.page_bytes);
    /* The first numbers of the graph are those of level 1. */
    if (write_head(b, w, err) == 0 && write_upper(b, w, err) == 0 &&
        index_write_section(w, DISKANN_SECTION_ENTRIES, 4, 0, b->numbers, entries, err) == 0 &&
        write_rows(b, w, page, err) == 0 &&
        quantizer_write_section(w, b->desc.alloc, b->spec.kind, b->quantizer, err) == 0 &&
        index_write_section(w, INDEX_SECTION_CODES, 1, b->stride, b->codes, code_bytes, err) == 0)
        rc = write_pages(b, w, page, err);
    mem_free(b->desc.alloc, page);
    return rc;
}

/* ---- In ---- */

static int check_head(const struct diskann_head *head, const struct index_open_desc *d,
                      struct error *err)
{
    struct diskann_layout l;

    if (head->version != DISKANN_VERSION || head->row_count != d->row_count ||
        head->dim != d->dim || head->metric != (uint32_t)d->metric ||
        d->row_count > HNSW_ROWS_MAX || d->row_count == 0)
        return error_set(err, LYNSE_CORRUPT,
                         "the diskann index is version %u of %u rows, dimension %u, metric %u",
                         head->version, head->row_count, head->dim, head->metric);
    if (head->degree < DISKANN_R_MIN || head->degree > DISKANN_R_MAX || head->degree % 2 != 0 ||
        head->l < 1 || head->l > DISKANN_L_MAX || head->level_count > HNSW_LEVELS_MAX)
        return error_set(err, LYNSE_CORRUPT, "the diskann index says degree %u, l %u, %u levels",
                         head->degree, head->l, head->level_count);
    if (head->storage != STORAGE_F32 && !diskann_narrow_many(d->kernels, d->metric, head->storage))
        return error_set(err, LYNSE_CORRUPT, "the diskann index has vectors of type %u",
                         head->storage);
    diskann_layout_init(&l, d->row_count, d->dim, head->degree, head->storage);
    if (head->page_bytes != l.page_bytes || head->page_nodes != l.page_nodes)
        return error_set(err, LYNSE_CORRUPT,
                         "the diskann index has pages of %u bytes and %u nodes, not of %u and %u",
                         head->page_bytes, head->page_nodes, l.page_bytes, l.page_nodes);
    return graph_check_levels(head->level_nodes, head->level_count, d->row_count, "diskann", err);
}

static int open_upper(struct diskann *d, struct error *err)
{
    const struct diskann_head *head = d->head;
    const void *entries, *data;
    size_t places = 0, entry_bytes;

    for (uint32_t level = 1; level <= head->level_count; level++)
        places += (size_t)head->level_nodes[level] * d->upper_places;
    entry_bytes = entry_count(head->level_nodes, head->level_count) * sizeof(uint32_t);
    if (index_image_require(d->image, DISKANN_SECTION_UPPER, 4, places * 4, &data, err) != 0 ||
        index_image_require(d->image, DISKANN_SECTION_ENTRIES, 4, entry_bytes, &entries, err) != 0)
        return -1;
    d->entries = (const uint32_t *)entries;
    for (size_t i = 0; i < entry_bytes / sizeof *d->entries; i++)
        if (d->entries[i] >= head->row_count)
            return error_set(err, LYNSE_CORRUPT, "entry %zu of the diskann index is node %u", i,
                             d->entries[i]);
    const uint32_t *links = (const uint32_t *)data;
    for (uint32_t level = 1; level <= head->level_count; level++) {
        size_t count = (size_t)head->level_nodes[level] * d->upper_places;
        d->upper[level] = links;
        for (size_t i = 0; i < count; i++)
            if (links[i] >= head->level_nodes[level] && links[i] != HNSW_NONE)
                return error_set(err, LYNSE_CORRUPT,
                                 "level %u of the diskann index links to node %u of %u", level,
                                 links[i], head->level_nodes[level]);
        links += count;
    }
    return 0;
}

static int open_rows(struct diskann *d, struct error *err)
{
    uint32_t count = d->layout.row_count;
    const void *rows;

    if (index_image_require(d->image, DISKANN_SECTION_ROWS, 4, (size_t)count * 4, &rows, err) != 0)
        return -1;
    d->rows = (const uint32_t *)rows;
    return graph_check_rows(d->rows, count, "diskann", d->alloc, err);
}

static int open_codes(struct diskann *d, const struct index_open_desc *desc, struct error *err)
{
    const void *codes;

    if (quantizer_open_section(desc, false, &d->quantizer, err) != 0) {
        d->quantizer = NULL;
        return -1;
    }
    d->base.memory_bytes += d->quantizer->vtab->memory_bytes(d->quantizer);
    size_t stride = d->quantizer->vtab->row_bytes(d->quantizer), rows = d->layout.row_count;
    if (index_image_require(d->image, INDEX_SECTION_CODES, 1, rows * stride, &codes, err) != 0)
        return -1;
    d->codes = (struct code_rows){(const uint8_t *)codes, stride, d->layout.row_count};
    return 0;
}

static int open_pages(struct diskann *d, struct error *err)
{
    const struct index_section *s = index_image_find(d->image, DISKANN_SECTION_PAGES);
    const struct diskann_layout *l = &d->layout;
    bool lacks_one = PLANTED(DISKANN_NARROW_PAGES) && l->storage != STORAGE_F32;
    uint64_t bytes = (uint64_t)(l->page_count - lacks_one) * l->page_bytes;

    if (!s || s->bytes != bytes || (!s->data && !d->image->read_at))
        return error_set(err, LYNSE_CORRUPT, "the diskann index has no %u pages", l->page_count);
    d->pages = s;
    return diskann_cache_open(d, err);
}

static int open_sections(struct diskann *d, const struct index_open_desc *desc, struct error *err)
{
    const void *head;

    if (index_image_require(d->image, DISKANN_SECTION_HEAD, 4, sizeof *d->head, &head, err) != 0)
        return -1;
    d->head = (const struct diskann_head *)head;
    if (check_head(d->head, desc, err) != 0) return -1;
    diskann_layout_init(&d->layout, desc->row_count, desc->dim, d->head->degree, d->head->storage);
    d->upper_places = hnsw_places(d->head->degree / 2);
    if (open_upper(d, err) != 0 || open_rows(d, err) != 0 || open_codes(d, desc, err) != 0)
        return -1;
    return open_pages(d, err);
}

int diskann_open(const struct index_open_desc *desc, struct index **out, struct error *err)
{
    struct diskann *d = (struct diskann *)mem_zalloc(desc->alloc, MEM_SEGMENT, sizeof *d);

    if (!d) return error_no_memory(err, sizeof *d);
    d->base = (struct index){&index_diskann, desc->row_count, sizeof *d};
    d->alloc = desc->alloc;
    d->kernels = desc->kernels;
    d->image = desc->image;
    d->metric = desc->metric;
    if (open_sections(d, desc, err) != 0) {
        diskann_close(&d->base);
        return -1;
    }
    *out = &d->base;
    return 0;
}

void diskann_close(struct index *index)
{
    struct diskann *d = (struct diskann *)index;

    if (!d) return;
    diskann_cache_close(d);
    if (d->quantizer) d->quantizer->vtab->destroy(d->quantizer);
    mem_free(d->alloc, d);
}
