/* SPDX-License-Identifier: Apache-2.0 */
/* hnsw_file.c — a graph as sections of an image, and back.
 *
 * WHAT        See hnsw.h.  Links are renumbered on the way out.
 * INVARIANTS  (1) After open every number of the image that a search follows is within it: links
 *                 are nodes of their level, rows are of the segment, sizes are what the head says.
 *                 A graph that leads nowhere, in circles, or to a row twice is still possible: then
 *                 rows are not found, and nothing else is wrong.
 * THREADS     Any; one for each.
 * FAILURE     CORRUPT, NO_MEMORY; what the writer says.
 */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "base/planted.h"
#include "index/graph_check.h"
#include "index/hnsw_build.h"
#include "index/quantizer_image.h"

enum { PIECE_BYTES = 256 << 10 };

/* ---- Out ---- */

struct saving {
    struct hnsw_build *b;
    struct index_writer *w;
    uint8_t *piece;
};

static int write_head(const struct saving *s, struct error *err)
{
    const struct hnsw_build *b = s->b;
    struct hnsw_head head = {
        .version = HNSW_VERSION,
        .row_count = b->row_count,
        .dim = b->dim,
        .metric = b->desc.metric,
        .m = b->m,
        .ef_search = b->ef_search,
        .level_count = b->levels.count,
        .layout = b->pack.layout,
    };

    memcpy(head.level_nodes, b->levels.nodes, sizeof head.level_nodes);
    if (s->w->begin(s->w, HNSW_SECTION_HEAD, 4, sizeof head, err) != 0) return -1;
    if (s->w->write(s->w, &head, sizeof head, err) != 0) return -1;
    return s->w->end(s->w, err);
}

static int write_level(const struct saving *s, uint32_t level, struct error *err)
{
    const struct hnsw_build *b = s->b;
    uint32_t places = hnsw_places(hnsw_degree_max(b, level));
    uint32_t most = PIECE_BYTES / (places * (uint32_t)sizeof(uint32_t)), used = 0;
    uint32_t *out = (uint32_t *)(void *)s->piece;

    for (uint32_t node = 0; node < b->levels.nodes[level]; node++) {
        const uint32_t *list = hnsw_list(b, level, s->b->nodes[node]);
        uint32_t *to = out + (size_t)used * places;
        for (uint32_t i = 0; i < places; i++)
            to[i] = i < list[0] ? s->b->numbers[list[i + 1]] : HNSW_NONE;
        if (++used < most && node + 1 < b->levels.nodes[level]) continue;
        if (s->w->write(s->w, out, (size_t)used * places * sizeof *out, err) != 0) return -1;
        used = 0;
    }
    return 0;
}

static int write_links(const struct saving *s, struct error *err)
{
    const struct hnsw_build *b = s->b;

    if (s->w->begin(s->w, HNSW_SECTION_LINKS, 4, b->m, err) != 0) return -1;
    if (write_level(s, 0, err) != 0 || s->w->end(s->w, err) != 0) return -1;
    if (s->w->begin(s->w, HNSW_SECTION_UPPER, 4, b->m, err) != 0) return -1;
    for (uint32_t level = 1; level <= b->levels.count; level++)
        if (write_level(s, level, err) != 0) return -1;
    return s->w->end(s->w, err);
}

static int write_rows(const struct saving *s, struct error *err)
{
    const struct hnsw_build *b = s->b;
    uint32_t *out = (uint32_t *)(void *)s->piece, used = 0;

    if (s->w->begin(s->w, HNSW_SECTION_ROWS, 4, b->row_count, err) != 0) return -1;
    for (uint32_t node = 0; node < b->row_count; node++) {
        out[used++] = b->rows[s->b->nodes[node]];
        if (used < PIECE_BYTES / sizeof *out && node + 1 < b->row_count) continue;
        if (s->w->write(s->w, out, used * sizeof *out, err) != 0) return -1;
        used = 0;
    }
    return s->w->end(s->w, err);
}

static int write_vectors(const struct saving *s, struct error *err)
{
    const struct hnsw_build *b = s->b;
    uint32_t floats = hnsw_vector_floats(b->space.dim), used = 0;
    uint32_t most = PIECE_BYTES / (floats * (uint32_t)sizeof(float));

    memset(s->piece, 0, PIECE_BYTES);
    if (s->w->begin(s->w, HNSW_SECTION_VECTORS, 4, floats, err) != 0) return -1;
    for (uint32_t node = 0; node < b->row_count; node++) {
        const float *from = hnsw_space_vector(&b->space, s->b->nodes[node]);
        float *to = (float *)(void *)s->piece + (size_t)used * floats;
        float factor = b->inverse ? b->inverse[s->b->nodes[node]] : 1;
        if (!b->inverse) memcpy(to, from, b->space.dim * sizeof(float));
        else
            for (uint32_t i = 0; i < b->dim; i++) to[i] = from[i] * factor;
        if (++used < most && node + 1 < b->row_count) continue;
        if (s->w->write(s->w, s->piece, (size_t)used * floats * sizeof(float), err) != 0) return -1;
        used = 0;
    }
    return s->w->end(s->w, err);
}
_Static_assert(PIECE_BYTES >= LIMIT_DIM * sizeof(float), "a vector fits");

int hnsw_save(struct hnsw_build *b, struct index_writer *w, struct error *err)
{
    struct saving s = {.b = b, .w = w};
    int rc = -1;

    s.piece = (uint8_t *)mem_alloc_aligned(b->desc.alloc, MEM_SEGMENT, PIECE_BYTES, ALIGN_VECTOR);
    if (!s.piece) return error_no_memory(err, PIECE_BYTES);
    if (write_head(&s, err) == 0 && write_links(&s, err) == 0 && write_rows(&s, err) == 0)
        rc = b->pack.layout == HNSW_BY_VECTORS ? write_vectors(&s, err) : hnsw_pack_save(b, w, err);
    mem_free(b->desc.alloc, s.piece);
    return rc;
}

/* ---- In ---- */

static int check_head(const struct hnsw_head *head, const struct index_open_desc *d,
                      struct error *err)
{
    if (head->version != HNSW_VERSION || head->row_count != d->row_count || head->dim != d->dim ||
        head->metric != (uint32_t)d->metric || d->row_count > HNSW_ROWS_MAX || d->row_count == 0)
        return error_set(err, LYNSE_CORRUPT,
                         "the hnsw index is version %u of %u rows, dimension %u, metric %u",
                         head->version, head->row_count, head->dim, head->metric);
    if (head->m < HNSW_M_MIN || head->m > HNSW_M_MAX || head->ef_search < 1 ||
        head->ef_search > INDEX_EFFORT_MAX || head->level_count > HNSW_LEVELS_MAX ||
        head->layout > HNSW_BY_BLOCKS)
        return error_set(err, LYNSE_CORRUPT,
                         "the hnsw index says m %u, ef_search %u, %u levels, layout %u", head->m,
                         head->ef_search, head->level_count, head->layout);
    return graph_check_levels(head->level_nodes, head->level_count, d->row_count, "hnsw", err);
}

/* Places are nodes of the level, or none. */
static int check_links(const uint32_t *links, size_t count, uint32_t node_count, uint32_t level,
                       struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (links[i] >= node_count + PLANTED(HNSW_LINK_END) && links[i] != HNSW_NONE)
            return error_set(err, LYNSE_CORRUPT,
                             "level %u of the hnsw index links to node %u of %u", level, links[i],
                             node_count);
    return 0;
}

static int open_levels(struct hnsw *h, const struct index_image *image, struct error *err)
{
    const struct hnsw_head *head = h->head;
    size_t places = (size_t)head->row_count * h->link_places, upper = 0;
    const void *links, *data;

    for (uint32_t level = 1; level <= head->level_count; level++)
        upper += (size_t)head->level_nodes[level] * h->upper_places;
    if (index_image_require(image, HNSW_SECTION_LINKS, 4, places * 4, &links, err) != 0 ||
        index_image_require(image, HNSW_SECTION_UPPER, 4, upper * 4, &data, err) != 0)
        return -1;
    h->links = (const uint32_t *)links;
    if (check_links(h->links, places, head->row_count, 0, err) != 0) return -1;
    h->upper[1] = (const uint32_t *)data;
    for (uint32_t level = 1; level <= head->level_count; level++) {
        size_t count = (size_t)head->level_nodes[level] * h->upper_places;
        if (check_links(h->upper[level], count, head->level_nodes[level], level, err) != 0)
            return -1;
        if (level < head->level_count) h->upper[level + 1] = h->upper[level] + count;
    }
    return 0;
}

static int open_vectors(struct hnsw *h, const struct index_open_desc *d, struct error *err)
{
    size_t bytes = (size_t)d->row_count * h->vector_floats * sizeof(float);
    const void *vectors;

    if (index_image_require(d->image, HNSW_SECTION_VECTORS, 4, bytes, &vectors, err) != 0)
        return -1;
    h->vectors = (const float *)vectors;
    return 0;
}

static int open_codes(struct hnsw *h, const struct index_open_desc *d, struct error *err)
{
    size_t rows = d->row_count;
    const void *codes, *blocks;

    if (quantizer_open_section(d, h->layout == HNSW_BY_BLOCKS, &h->quantizer, err) != 0) return -1;
    h->base.memory_bytes += h->quantizer->vtab->memory_bytes(h->quantizer);
    size_t stride = h->quantizer->vtab->row_bytes(h->quantizer);
    if (index_image_require(d->image, INDEX_SECTION_CODES, 1, rows * stride, &codes, err) != 0)
        return -1;
    h->codes = (struct code_rows){(const uint8_t *)codes, stride, d->row_count};
    if (h->layout != HNSW_BY_BLOCKS) return 0;
    h->block_bytes = h->quantizer->vtab->block_bytes(h->quantizer);
    h->block_count = hnsw_block_count(h->m);
    if (index_image_require(d->image, INDEX_SECTION_BLOCKS, 1,
                            rows * h->block_count * h->block_bytes, &blocks, err) != 0)
        return -1;
    h->blocks = (const uint8_t *)blocks;
    return 0;
}

static int open_sections(struct hnsw *h, const struct index_open_desc *d, struct error *err)
{
    const void *head, *rows;

    if (index_image_require(d->image, HNSW_SECTION_HEAD, 4, sizeof *h->head, &head, err) != 0)
        return -1;
    h->head = (const struct hnsw_head *)head;
    if (check_head(h->head, d, err) != 0) return -1;
    h->m = h->head->m;
    h->ef_search = h->head->ef_search;
    h->link_places = hnsw_places(2 * h->m);
    h->upper_places = hnsw_places(h->m);
    h->pair_floats = hnsw_pair_floats(d->metric, d->dim);
    h->vector_floats = hnsw_vector_floats(h->pair_floats);
    if (open_levels(h, d->image, err) != 0) return -1;
    size_t count = d->row_count;
    if (index_image_require(d->image, HNSW_SECTION_ROWS, 4, count * 4, &rows, err) != 0) return -1;
    h->rows = (const uint32_t *)rows;
    h->layout = (enum hnsw_layout)h->head->layout;
    if ((h->layout == HNSW_BY_VECTORS ? open_vectors(h, d, err) : open_codes(h, d, err)) != 0)
        return -1;
    return graph_check_rows(h->rows, d->row_count, "hnsw", d->alloc, err);
}

int hnsw_open(const struct index_open_desc *desc, struct index **out, struct error *err)
{
    struct hnsw *h = (struct hnsw *)mem_zalloc(desc->alloc, MEM_SEGMENT, sizeof *h);

    if (!h) return error_no_memory(err, sizeof *h);
    h->base = (struct index){&index_hnsw, desc->row_count, sizeof *h};
    h->alloc = desc->alloc;
    h->kernels = desc->kernels;
    h->metric = desc->metric;
    h->dim = desc->dim;
    if (open_sections(h, desc, err) != 0) {
        hnsw_close(&h->base);
        return -1;
    }
    *out = &h->base;
    return 0;
}

void hnsw_close(struct index *index)
{
    struct hnsw *h = (struct hnsw *)index;

    if (!h) return;
    if (h->quantizer) h->quantizer->vtab->destroy(h->quantizer);
    mem_free(h->alloc, h);
}
