/* SPDX-License-Identifier: Apache-2.0 */
/* hnsw_oracle.c — distances between a query and the nodes of a graph: by the vectors that the index
 * has, or by its codes. */
#include <math.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "index/hnsw_search.h"
#include "quant/quantizer.h"

enum {
    AHEAD_BYTES = 512, /* prefetched of one: the processor sees the stream, and fetches the rest */
    AHEAD_FLOATS = AHEAD_BYTES / sizeof(float),
    LINE_FLOATS = HNSW_LINE_BYTES / sizeof(float),
};

size_t hnsw_oracle_bytes(const struct index *index, uint32_t dim)
{
    const struct hnsw *h = (const struct hnsw *)index;
    size_t codes = h->quantizer ? h->quantizer->vtab->oracle_bytes(dim) : 0;
    size_t bits = metric_counts_bits(h->metric) ? h->pair_floats * sizeof(float) : 0;
    return align_up(sizeof(struct hnsw_oracle), ALIGN_VECTOR) +
           align_up(codes + bits, ALIGN_VECTOR);
}

static void begin_vectors(struct hnsw_oracle *o, const struct oracle_desc *desc)
{
    o->pair = metric_kernels(o->h->metric, desc->kernels).pair;
    o->turn = (struct hnsw_turn){0, 1};
    switch (metric_find(o->h->metric)->value) {
    case METRIC_VALUE_DISTANCE:
    case METRIC_VALUE_MEASURE:
        break;
    case METRIC_VALUE_PRODUCT:
        o->turn.factor = -1;
        break;
    case METRIC_VALUE_ANGLE:
        o->is_exact = false;
        o->turn = (struct hnsw_turn){1, desc->query.norm > 0 ? -1 / desc->query.norm : 0};
        break;
    }
}

/* What a distance reads of each node. */
static void begin_places(struct hnsw_oracle *o, const void *places, size_t place_bytes)
{
    o->places = (const uint8_t *)places;
    o->place_bytes = place_bytes;
    o->ahead_bytes = place_bytes < AHEAD_BYTES ? place_bytes : AHEAD_BYTES;
}

static void begin_bits(struct hnsw_oracle *o, const struct oracle_desc *desc, float *query)
{
    graph_bits_pack(desc->query.vector, o->h->dim, query);
    o->query = query;
    o->pair = graph_bits_pair(o->h->metric);
    o->turn = (struct hnsw_turn){0, 1};
    o->base.row_bytes = o->h->pair_floats * (uint32_t)sizeof(float);
    begin_places(o, o->h->vectors, o->h->vector_floats * sizeof(float));
}

struct oracle *hnsw_oracle_init(const struct index *index, void *memory,
                                const struct oracle_desc *desc)
{
    static const struct oracle_ops none = {0};
    const struct hnsw *h = (const struct hnsw *)index;
    struct hnsw_oracle *o = (struct hnsw_oracle *)memory;
    uint8_t *room = (uint8_t *)memory + align_up(sizeof *o, ALIGN_VECTOR);
    struct oracle_desc codes = *desc;

    *o = (struct hnsw_oracle){
        .base = {&none, h->dim * (uint32_t)sizeof(float)},
        .h = h,
        .query = desc->query.vector,
        .rows = desc->vectors->all,
        .is_exact = h->layout == HNSW_BY_VECTORS,
    };
    if (h->layout == HNSW_BY_VECTORS && metric_counts_bits(h->metric)) {
        begin_bits(o, desc, (float *)(void *)room);
        return &o->base;
    }
    if (h->layout == HNSW_BY_VECTORS) {
        begin_vectors(o, desc);
        begin_places(o, h->vectors, h->vector_floats * sizeof(float));
        return &o->base;
    }
    codes.quantizer = h->quantizer;
    codes.codes = h->codes;
    codes.is_asked_for = true;
    o->codes = h->quantizer->vtab->oracle_init(room, &codes);
    o->base.row_bytes = o->codes->row_bytes;
    begin_places(o, h->codes.codes, h->codes.stride);
    return &o->base;
}

void hnsw_prefetch_links(const struct hnsw_oracle *o, uint32_t node)
{
    const struct hnsw *h = o->h;
    const uint32_t *links = h->links + (size_t)node * h->link_places;

    __builtin_prefetch(links);
    __builtin_prefetch(links + LINE_FLOATS);
    if (h->layout != HNSW_BY_BLOCKS) return;
    const uint8_t *block = h->blocks + node * h->block_count * h->block_bytes;
    for (size_t i = 0; i < h->block_bytes && i < AHEAD_BYTES; i += HNSW_LINE_BYTES)
        __builtin_prefetch(block + i);
    if (!o->rows) return;
    const float *row = o->rows + (size_t)h->rows[node] * h->dim;
    for (uint32_t i = 0; i < h->dim && i < AHEAD_FLOATS; i += LINE_FLOATS)
        __builtin_prefetch(row + i);
}

int hnsw_measure(const struct hnsw_oracle *o, const uint32_t *nodes, uint32_t count, float *out,
                 struct error *err)
{
    uint32_t plain[HNSW_FRESH_MAX];

    if (!o->codes) {
        for (uint32_t i = 0; i < count; i++) {
            const float *vector = hnsw_vector(o->h, nodes[i] & CANDIDATE_NODE);
            out[i] = hnsw_distance(o->turn, o->pair(o->query, vector, o->h->pair_floats));
        }
        return 0;
    }
    CHECK(count <= HNSW_FRESH_MAX);
    for (uint32_t i = 0; i < count; i++) plain[i] = nodes[i] & CANDIDATE_NODE;
    return oracle_gather(o->codes, plain, count, out, err);
}
