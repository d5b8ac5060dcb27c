/* SPDX-License-Identifier: Apache-2.0 */
/* diskann_build.c — a graph, then its nodes into pages, then their vectors into codes.
 *
 * WHAT        DISKANN_GRAPH   the build of the kind hnsw, with half the degree as its m, a hiding
 *                             of alpha, and a node 0 near the middle
 *             DISKANN_TYPES   a piece is some nodes
 *             DISKANN_PLACE   some pages of nodes a piece, one piece at a time
 *             DISKANN_ENCODE  a piece is some nodes
 *             The quantizer is trained first.  Where none was asked for it is RaBitQ's, with as
 *             many bits as the memory allows, DISKANN_BITS_MOST at most.
 * INVARIANTS  (1) What a piece computes depends on earlier stages and on its own nodes alone.
 * THREADS     index_build.h.
 * FAILURE     LIMIT: the codes do not fit into the memory; NO_MEMORY; the quantizer's, the
 *             graph's.
 */
#include "index/diskann_build.h"

#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "index/quantizer_image.h"

enum {
    ENCODE_NODES = 512, /* of a piece */
    TYPES_NODES = 4096,
};

static struct diskann_build *build_of(const struct index_build *b)
{
    return (struct diskann_build *)(void *)(uintptr_t)b;
}

static struct index_build *graph_of(const struct diskann_build *b)
{
    return (struct index_build *)(void *)b->graph;
}

static void destroy(struct index_build *base)
{
    struct diskann_build *b = build_of(base);

    if (!b) return;
    struct alloc *a = b->desc.alloc;
    hnsw_build_ops.destroy(graph_of(b));
    if (b->quantizer) b->vtab->destroy(b->quantizer);
    mem_free(a, b->types);
    mem_free(a, b->sum);
    mem_free(a, b->numbers);
    mem_free(a, b->nodes);
    mem_free(a, b->codes);
    mem_free(a, b);
}

/* ---- What is made first ---- */

/* In memory for each row, but for the hot pages. */
static size_t row_bytes(const struct diskann_build *b, size_t code_bytes)
{
    const struct hnsw_levels *l = &b->graph->levels;
    size_t upper = 0;

    for (uint32_t level = 1; level <= l->count; level++)
        upper += l->nodes[level] * hnsw_places(b->graph->m) * sizeof(uint32_t);
    if (l->count > 0) upper += l->nodes[1] * sizeof(uint32_t);
    return code_bytes + sizeof(uint32_t) + upper / b->desc.row_count + 1;
}

static int train(struct diskann_build *b, struct error *err)
{
    struct index_build_desc d = b->desc;

    d.quantizer = b->spec;
    if (quantizer_train_for(&d, &b->quantizer, err) != 0) {
        b->quantizer = NULL;
        return -1;
    }
    b->stride = b->vtab->row_bytes(b->quantizer);
    return 0;
}

/* Codes that fit into the memory. */
static int choose_codes(struct diskann_build *b, struct error *err)
{
    bool is_free = b->desc.quantizer.kind == QUANTIZER_RAW;
    uint32_t memory = (uint32_t)b->desc.params->values[DISKANN_MEMORY];

    b->spec = b->desc.quantizer;
    if (is_free) b->spec = (struct quantizer_spec){QUANTIZER_RABITQ, DISKANN_BITS_MOST};
    b->vtab = quantizer_find(b->spec.kind);
    for (;;) {
        if (train(b, err) != 0) return -1;
        size_t bytes = row_bytes(b, b->stride);
        if (memory == 0 ||
            bytes * b->desc.row_count <= diskann_memory_max(memory, b->desc.row_count))
            return 0;
        if (!is_free || b->spec.number == 1)
            return error_set(err, LYNSE_LIMIT,
                             "memory: %u bytes a row, with these codes at least %zu are needed",
                             memory, bytes);
        b->vtab->destroy(b->quantizer);
        b->quantizer = NULL;
        b->spec.number--;
    }
}

static int create_graph(struct diskann_build *b, struct error *err)
{
    const struct index_params *p = b->desc.params;
    enum metric_value value = metric_find(b->desc.metric)->value;
    float alpha = (float)p->values[DISKANN_ALPHA];
    struct hnsw_shape shape = {.hiding = alpha * alpha, .from_middle = true};
    struct index_build_desc d = b->desc;
    struct index_build *graph;

    /* These distances are no squares of one, and a product is no distance. */
    if (value == METRIC_VALUE_MEASURE) shape.hiding = alpha;
    if (value == METRIC_VALUE_PRODUCT) shape.hiding = 1;
    index_params_init(&index_hnsw, &b->graph_params);
    b->graph_params.values[HNSW_M] = (double)(((uint32_t)p->values[DISKANN_R] + 1) / 2);
    b->graph_params.values[HNSW_EF_CONSTRUCTION] = p->values[DISKANN_L];
    d.params = &b->graph_params;
    d.quantizer = (struct quantizer_spec){QUANTIZER_RAW, 0};
    if (hnsw_build_create(&d, &shape, &graph, err) != 0) return -1;
    b->graph = (struct hnsw_build *)(void *)graph;
    return 0;
}

static uint32_t type_pieces(const struct diskann_build *b)
{
    return (b->desc.row_count - 1) / TYPES_NODES + 1;
}

static int create_parts(struct diskann_build *b, struct error *err)
{
    struct alloc *a = b->desc.alloc;
    size_t rows = b->desc.row_count, list_bytes = rows * sizeof(uint32_t);

    if (create_graph(b, err) != 0 || choose_codes(b, err) != 0) return -1;
    b->numbers = (uint32_t *)mem_alloc(a, MEM_SEGMENT, list_bytes);
    b->nodes = (uint32_t *)mem_alloc(a, MEM_SEGMENT, list_bytes);
    b->types = (uint8_t *)mem_alloc(a, MEM_SEGMENT, type_pieces(b));
    b->sum = (float *)mem_alloc(a, MEM_SEGMENT, 2 * sizeof(float) * b->graph->space.dim);
    if (!b->numbers || !b->nodes || !b->types || !b->sum) return error_no_memory(err, list_bytes);
    b->middle = b->sum + b->graph->space.dim;
    memset(b->numbers, 0xff, list_bytes);
    b->codes = (uint8_t *)mem_alloc_aligned(a, MEM_SEGMENT, rows * b->stride, ALIGN_VECTOR);
    return b->codes ? 0 : error_no_memory(err, rows * b->stride);
}

static int create(const struct index_build_desc *desc, struct index_build **out, struct error *err)
{
    struct diskann_build *b =
        (struct diskann_build *)mem_zalloc(desc->alloc, MEM_SEGMENT, sizeof *b);

    if (!b) return error_no_memory(err, sizeof *b);
    b->desc = *desc;
    if (create_parts(b, err) != 0) {
        destroy((struct index_build *)(void *)b);
        return -1;
    }
    b->phase = quantizer_train_pieces(b->quantizer) > 0 ? DISKANN_TRAIN : DISKANN_GRAPH;
    *out = (struct index_build *)(void *)b;
    return 0;
}

/* ---- Phases ---- */

static uint32_t piece_count(const struct index_build *base)
{
    const struct diskann_build *b = build_of(base);

    switch (b->phase) {
    case DISKANN_TRAIN:
        return quantizer_train_pieces(b->quantizer);
    case DISKANN_GRAPH:
        return hnsw_build_ops.piece_count(graph_of(b));
    case DISKANN_TYPES:
        return type_pieces(b);
    case DISKANN_PLACE:
        return 1;
    case DISKANN_ENCODE:
        return (b->desc.row_count - 1) / ENCODE_NODES + 1;
    case DISKANN_DONE:
        return 0;
    }
    UNREACHABLE();
}

static void encode_piece(struct diskann_build *b, uint32_t piece)
{
    uint32_t first = piece * ENCODE_NODES, end = first + ENCODE_NODES;

    for (uint32_t node = first; node < end && node < b->desc.row_count; node++) {
        const float *vector = hnsw_space_vector(&b->graph->space, b->nodes[node]);
        float norm = dense_norm_f32(b->desc.kernels, vector, b->layout.dim);
        b->vtab->encode(b->quantizer, vector, &norm, 1, b->codes + node * b->stride, b->stride);
    }
}

static void types_piece(struct diskann_build *b, uint32_t piece)
{
    uint32_t first = piece * TYPES_NODES, left = b->desc.row_count - first;

    b->types[piece] = diskann_types_of(b, first, first + (left < TYPES_NODES ? left : TYPES_NODES));
}

static void begin_place(struct diskann_build *b)
{
    uint8_t types = UINT8_MAX;

    for (uint32_t piece = 0; piece < type_pieces(b); piece++) types &= b->types[piece];
    diskann_layout_init(&b->layout, b->desc.row_count, b->desc.vectors->dim, 2 * b->graph->m,
                        diskann_type(types));
    b->phase = DISKANN_PLACE;
}

static int run(struct index_build *base, uint32_t piece, struct error *err)
{
    struct diskann_build *b = build_of(base);

    switch (b->phase) {
    case DISKANN_TRAIN:
        return b->vtab->train_piece(b->quantizer, piece, err);
    case DISKANN_GRAPH:
        return hnsw_build_ops.run(graph_of(b), piece, err);
    case DISKANN_TYPES:
        types_piece(b, piece);
        return 0;
    case DISKANN_PLACE:
        diskann_place_step(b);
        return 0;
    case DISKANN_ENCODE:
        encode_piece(b, piece);
        return 0;
    case DISKANN_DONE:
        break;
    }
    UNREACHABLE();
}

static int turn(struct index_build *base, struct error *err)
{
    struct diskann_build *b = build_of(base);

    switch (b->phase) {
    case DISKANN_TRAIN:
        b->vtab->train_end(b->quantizer);
        b->phase = DISKANN_GRAPH;
        return 0;
    case DISKANN_GRAPH:
        if (hnsw_build_ops.turn(graph_of(b), err) != 0) return -1;
        if (hnsw_build_ops.piece_count(graph_of(b)) == 0) b->phase = DISKANN_TYPES;
        return 0;
    case DISKANN_TYPES:
        begin_place(b);
        return 0;
    case DISKANN_PLACE:
        if (b->placed == b->desc.row_count) b->phase = DISKANN_ENCODE;
        return 0;
    case DISKANN_ENCODE:
        b->phase = DISKANN_DONE;
        return 0;
    case DISKANN_DONE:
        break;
    }
    UNREACHABLE();
}

static float progress(const struct index_build *base)
{
    const struct diskann_build *b = build_of(base);

    switch (b->phase) {
    case DISKANN_TRAIN:
        return 0;
    case DISKANN_GRAPH:
        return 0.95f * hnsw_build_ops.progress(graph_of(b));
    case DISKANN_TYPES:
        return 0.95f;
    case DISKANN_PLACE:
        return 0.95f + 0.03f * (float)b->placed / (float)b->desc.row_count;
    case DISKANN_ENCODE:
        return 0.98f;
    case DISKANN_DONE:
        return 1;
    }
    UNREACHABLE();
}

static int save(struct index_build *base, struct index_writer *w, struct error *err)
{
    return diskann_save(build_of(base), w, err);
}

const struct index_build_ops diskann_build_ops = {
    .create = create,
    .piece_count = piece_count,
    .run = run,
    .turn = turn,
    .progress = progress,
    .save = save,
    .destroy = destroy,
};
