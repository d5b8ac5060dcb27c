/* SPDX-License-Identifier: Apache-2.0 */
/* hnsw_build.c — a graph, batch by batch.
 *
 * WHAT        The rows are taken in a random order, which also says which of them are on which
 *             levels.  A batch is searched for in the graph as it is, its nodes are linked to, and
 *             then they are part of it; a batch is as large as the graph at first, and later a
 *             small part of it, for its nodes do not see one another.  Then lists are cut to their
 *             length, and what nothing leads to is linked to (hnsw_connect.c).
 *             Where the metric can do with it, the search goes by 8-bit codes (hnsw_codes.h).
 * INVARIANTS  (1) A batch, its pieces and their order in it depend on numbers of nodes alone: the
 *                 same rows, parameters and seed give the same bytes on every number of threads.
 * THREADS     index_build.h.
 * FAILURE     index_build.h.
 */
#include "index/hnsw_build.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/rng.h"
#include "index/quantizer_image.h"
#include "quant/long_rows.h"
#include "quant/narrow_rows.h"

enum {
    ENCODE_NODES = 256, /* of a piece */
    TRIM_NODES = 512,
    COPY_ROWS = 256,
    MEAN_ROWS = 4096, /* that the mean is taken of */
    BATCH_MAX = 4096,
    BATCH_SHARE = 16, /* of the graph, once it is large */
};

static void *allocate(struct hnsw_build *b, size_t count, size_t element_bytes)
{
    return mem_alloc_aligned(b->desc.alloc, MEM_SEGMENT, count * element_bytes, 64);
}

/* Rows in a random order. */
static void shuffle(struct hnsw_build *b)
{
    struct rng rng;

    rng_init(&rng, b->desc.seed);
    for (uint32_t i = 0; i < b->row_count; i++) {
        uint32_t j = (uint32_t)rng_below(&rng, (uint64_t)i + 1);
        b->rows[i] = b->rows[j];
        b->rows[j] = i;
    }
}

static int create_levels(struct hnsw_build *b, uint32_t level_max, struct error *err)
{
    struct hnsw_levels *l = &b->levels;

    l->nodes[0] = b->row_count;
    while (l->count < level_max && l->nodes[l->count] > b->m) {
        l->nodes[l->count + 1] = (l->nodes[l->count] + b->m - 1) / b->m;
        l->count++;
    }
    for (uint32_t level = 0; level <= l->count; level++) {
        uint32_t most = hnsw_degree_max(b, level);
        l->places[level] = hnsw_places(1 + most + most / 2 - 1);
        l->links[level] =
            (uint32_t *)allocate(b, (size_t)l->nodes[level] * l->places[level], sizeof(uint32_t));
        if (!l->links[level])
            return error_no_memory(err, (size_t)l->nodes[level] * l->places[level] * 4);
        l->links[level][0] = 0; /* node 0 is in the graph */
    }
    return 0;
}

static int create_codes(struct hnsw_build *b, struct error *err)
{
    struct hnsw_codes *c = &b->codes;
    size_t rows = b->row_count;

    *c = (struct hnsw_codes){.kernels = b->desc.kernels,
                             .stride = code_stride(b->dim),
                             .is_product = b->space.value == METRIC_VALUE_PRODUCT};
    c->dim = b->dim;
    c->codes = (uint8_t *)allocate(b, rows, c->stride);
    c->rests = (struct hnsw_code_rest *)allocate(b, rows, sizeof *c->rests);
    if (!c->codes || !c->rests) return error_no_memory(err, rows * c->stride);
    return 0;
}

static int create_parts(struct hnsw_build *b, struct error *err)
{
    const struct index_build_desc *d = &b->desc;
    const struct metric_info *metric = metric_find(d->metric);
    size_t rows = b->row_count;

    b->rows = (uint32_t *)allocate(b, rows, sizeof(uint32_t));
    if (!b->rows) return error_no_memory(err, rows * sizeof(uint32_t));
    shuffle(b);
    bool is_of_bits = metric_counts_bits(d->metric);
    b->space = (struct hnsw_space){.vectors = d->vectors->all,
                                   .rows = b->rows,
                                   .pair = is_of_bits ? graph_bits_pair(d->metric)
                                                      : metric_kernels(d->metric, d->kernels).pair,
                                   .dim = hnsw_pair_floats(d->metric, b->dim),
                                   .value = metric->value,
                                   .hiding = b->shape.hiding};
    if (!d->vectors->all || is_of_bits) {
        b->copy = (float *)allocate(b, rows * b->space.dim, sizeof(float));
        b->norms = (float *)allocate(b, rows, sizeof(float));
        if (!b->copy || !b->norms) return error_no_memory(err, rows * b->space.dim * sizeof(float));
        b->space.vectors = b->copy;
    }
    if (b->space.value == METRIC_VALUE_ANGLE) b->inverse = (float *)allocate(b, rows, 4);
    if (b->space.value == METRIC_VALUE_ANGLE && !b->inverse)
        return error_no_memory(err, rows * sizeof(float));
    b->space.inverse = b->inverse;
    b->has_codes = b->dim >= HNSW_CODES_DIM_MIN && b->space.value != METRIC_VALUE_MEASURE;
    if (b->has_codes && create_codes(b, err) != 0) return -1;
    if (b->has_codes || b->shape.from_middle) {
        b->codes.mean = (float *)allocate(b, b->dim, sizeof(float));
        if (!b->codes.mean) return error_no_memory(err, b->dim * sizeof(float));
    }
    if (create_levels(b, (uint32_t)d->params->values[HNSW_MAX_LEVEL], err) != 0) return -1;
    return hnsw_pack_create(b, err);
}

static void destroy(struct index_build *base)
{
    struct hnsw_build *b = (struct hnsw_build *)(void *)base;

    if (!b) return;
    struct alloc *a = b->desc.alloc;
    for (uint32_t level = 0; level <= HNSW_LEVELS_MAX; level++) mem_free(a, b->levels.links[level]);
    void *const parts[] = {b->rows,        b->copy,        b->norms,      b->inverse,
                           b->codes.codes, b->codes.rests, b->codes.mean, b->tree.parents,
                           b->tree.order,  b->tree.heirs,  b->numbers,    b->nodes};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) mem_free(a, parts[i]);
    hnsw_pack_destroy(b);
    mem_free(a, b);
}

static void begin_encoding(struct hnsw_build *b);

static void begin_copying(struct hnsw_build *b)
{
    b->phase = HNSW_COPY;
    if (!b->copy) begin_encoding(b);
}

static uint32_t train_pieces(const struct hnsw_build *b)
{
    return b->pack.quantizer ? quantizer_train_pieces(b->pack.quantizer) : 0;
}

int hnsw_build_create(const struct index_build_desc *desc, const struct hnsw_shape *shape,
                      struct index_build **out, struct error *err)
{
    if (desc->row_count > HNSW_ROWS_MAX)
        return error_set(err, LYNSE_LIMIT, "an hnsw index has at most %u rows, not %u",
                         HNSW_ROWS_MAX, desc->row_count);
    struct hnsw_build *b = (struct hnsw_build *)mem_zalloc(desc->alloc, MEM_SEGMENT, sizeof *b);
    if (!b) return error_no_memory(err, sizeof *b);
    b->desc = *desc;
    b->shape = *shape;
    b->m = (uint32_t)desc->params->values[HNSW_M];
    b->ef = (uint32_t)desc->params->values[HNSW_EF_CONSTRUCTION];
    b->ef_search = (uint32_t)desc->params->values[HNSW_EF_SEARCH];
    if (b->ef < b->m) b->ef = b->m;
    b->row_count = desc->row_count;
    b->dim = desc->vectors->dim;
    if (create_parts(b, err) != 0) {
        destroy((struct index_build *)(void *)b);
        return -1;
    }
    b->phase = HNSW_TRAIN;
    if (train_pieces(b) == 0) begin_copying(b);
    *out = (struct index_build *)(void *)b;
    return 0;
}

static int create(const struct index_build_desc *desc, struct index_build **out, struct error *err)
{
    struct hnsw_shape shape = {.hiding = 1};

    if (hnsw_suits_codes(desc->metric, desc->vectors->dim)) shape.codes.kind = QUANTIZER_SQ8;
    return hnsw_build_create(desc, &shape, out, err);
}

/* ---- Vectors, norms, codes ---- */

static int copy_piece(struct hnsw_build *b, uint32_t piece, struct error *err)
{
    const struct vector_source *vectors = b->desc.vectors;
    uint32_t row = piece * COPY_ROWS, left = b->row_count - row;

    for (left = left < COPY_ROWS ? left : COPY_ROWS; left > 0;) {
        struct row_run run;
        float *copy = b->copy + (size_t)row * b->space.dim;
        if (vector_source_rows(vectors, row, left, &run, err) != 0) return -1;
        if (!metric_counts_bits(b->desc.metric))
            memcpy(copy, run.rows, (size_t)run.row_count * b->dim * sizeof(float));
        else
            for (uint32_t i = 0; i < run.row_count; i++)
                graph_bits_pack_row(&run, vectors->storage, b->dim, i, copy + i * b->space.dim);
        memcpy(b->norms + row, run.norms, run.row_count * sizeof(float));
        row += run.row_count;
        left -= run.row_count;
    }
    return 0;
}

static float norm_of(const struct hnsw_build *b, uint32_t row)
{
    return b->copy ? b->norms[row] : b->desc.vectors->all_norms[row];
}

/* A node's vector is told of times this. */
static float factor_of(const struct hnsw_build *b, uint32_t node)
{
    float norm = norm_of(b, b->rows[node]);
    return !b->inverse ? 1 : norm > 0 ? 1 / norm : 0;
}

/* Of the first nodes the one that is nearest to their mean becomes node 0. */
static void begin_in_middle(struct hnsw_build *b, uint32_t count)
{
    dense_pair_f32_fn *dot = b->desc.kernels->dense_dot_f32;
    float nearest = INFINITY;
    uint32_t middle = 0, row = b->rows[0];

    for (uint32_t node = 0; node < count; node++) {
        const float *vector = hnsw_space_vector(&b->space, node);
        float factor = factor_of(b, node);
        float distance = dot(vector, vector, b->dim) * factor * factor -
                         2 * factor * dot(vector, b->codes.mean, b->dim);
        if (!(distance < nearest)) continue;
        nearest = distance;
        middle = node;
    }
    b->rows[0] = b->rows[middle];
    b->rows[middle] = row;
}

/* The mean of the first nodes, which are a sample, as they are encoded; in doubles, for what rows
 * differ in may be a millionth of them. */
static void find_mean(struct hnsw_build *b, uint32_t count)
{
    enum { PIECE = 64 };
    float factors[MEAN_ROWS];
    uint32_t counted = 0;

    for (uint32_t node = 0; node < count; node++) factors[node] = norm_of(b, b->rows[node]);
    float limit = long_rows_limit(factors, count);
    for (uint32_t node = 0; node < count; node++) {
        float norm = norm_of(b, b->rows[node]);
        factors[node] = b->inverse ? factor_of(b, node) : long_row_factor(norm, limit);
        counted += norm < INFINITY;
    }
    for (uint32_t first = 0; first < b->dim; first += PIECE) {
        uint32_t some = b->dim - first < PIECE ? b->dim - first : PIECE;
        double sums[PIECE] = {0};
        for (uint32_t node = 0; node < count; node++) {
            const float *from = hnsw_space_vector(&b->space, node) + first;
            for (uint32_t i = 0; i < some; i++) sums[i] += (double)(from[i] * factors[node]);
        }
        for (uint32_t i = 0; i < some; i++)
            b->codes.mean[first + i] = counted > 0 ? (float)(sums[i] / counted) : 0;
    }
}

/* What rows are centred on, and which of them a walk begins at. */
static void begin_encoding(struct hnsw_build *b)
{
    uint32_t count = b->row_count < MEAN_ROWS ? b->row_count : MEAN_ROWS;

    b->phase = HNSW_ENCODE;
    if (!b->codes.mean) return;
    find_mean(b, count);
    if (b->shape.from_middle) begin_in_middle(b, count);
}

static int encode_piece(struct hnsw_build *b, uint32_t piece, struct error *err)
{
    uint32_t first = piece * ENCODE_NODES, end = first + ENCODE_NODES;
    float *centered =
        (float *)mem_alloc_aligned(b->desc.alloc, MEM_SEGMENT, b->dim * sizeof(float) + 64, 64);

    if (!centered) return error_no_memory(err, b->dim * sizeof(float));
    for (uint32_t node = first; node < end && node < b->row_count; node++) {
        const float *vector = hnsw_space_vector(&b->space, node);
        float norm = norm_of(b, b->rows[node]), factor = 1;
        if (b->inverse) b->inverse[node] = factor = norm > 0 ? 1 / norm : 0;
        if (!b->has_codes) continue;
        for (uint32_t i = 0; i < b->dim; i++) centered[i] = vector[i] * factor - b->codes.mean[i];
        hnsw_codes_encode(&b->codes, node, centered);
    }
    mem_free(b->desc.alloc, centered);
    return 0;
}

/* ---- Phases ---- */

static uint32_t share_of(uint32_t count, uint32_t piece)
{
    return (count + piece - 1) / piece;
}

static uint32_t piece_count(const struct index_build *base)
{
    const struct hnsw_build *b = (const struct hnsw_build *)(const void *)base;

    switch (b->phase) {
    case HNSW_TRAIN:
        return train_pieces(b);
    case HNSW_COPY:
        return share_of(b->row_count, COPY_ROWS);
    case HNSW_ENCODE:
        return share_of(b->row_count, ENCODE_NODES);
    case HNSW_SEARCH:
        return hnsw_search_pieces(b);
    case HNSW_LINK:
        return hnsw_link_pieces(b);
    case HNSW_TRIM:
        return share_of(b->row_count, TRIM_NODES);
    case HNSW_CONNECT:
        return 1;
    case HNSW_PACK:
        return hnsw_pack_pieces(b);
    case HNSW_DONE:
        return 0;
    }
    UNREACHABLE();
}

static void trim_piece(struct hnsw_build *b, uint32_t piece)
{
    uint32_t first = piece * TRIM_NODES, end = first + TRIM_NODES;

    for (uint32_t node = first; node < end && node < b->row_count; node++)
        for (uint32_t level = hnsw_level_of(b, node) + 1; level-- > 0;)
            hnsw_trim_list(b, level, node);
}

static int run(struct index_build *base, uint32_t piece, struct error *err)
{
    struct hnsw_build *b = (struct hnsw_build *)(void *)base;

    switch (b->phase) {
    case HNSW_TRAIN:
        return b->pack.vtab->train_piece(b->pack.quantizer, piece, err);
    case HNSW_COPY:
        return copy_piece(b, piece, err);
    case HNSW_ENCODE:
        return encode_piece(b, piece, err);
    case HNSW_SEARCH:
        return hnsw_search_piece(b, piece, err);
    case HNSW_LINK:
        hnsw_link_piece(b, piece);
        return 0;
    case HNSW_TRIM:
        trim_piece(b, piece);
        return 0;
    case HNSW_CONNECT:
        (void)hnsw_tree_step(b);
        return 0;
    case HNSW_PACK:
        hnsw_pack_piece(b, piece);
        return 0;
    case HNSW_DONE:
        break;
    }
    UNREACHABLE();
}

static void begin_batch(struct hnsw_build *b)
{
    uint32_t left = b->row_count - b->done, batch = b->done;

    if (batch > BATCH_MAX) batch = b->done / BATCH_SHARE;
    if (batch > BATCH_MAX) batch = BATCH_MAX;
    if (batch < BATCH_MAX / BATCH_SHARE && b->done >= BATCH_MAX) batch = BATCH_MAX / BATCH_SHARE;
    b->batch = batch < left ? batch : left;
    b->phase = b->batch > 0 ? HNSW_SEARCH : HNSW_TRIM;
}

static int turn(struct index_build *base, struct error *err)
{
    struct hnsw_build *b = (struct hnsw_build *)(void *)base;

    switch (b->phase) {
    case HNSW_TRAIN:
        b->pack.vtab->train_end(b->pack.quantizer);
        begin_copying(b);
        return 0;
    case HNSW_COPY:
        begin_encoding(b);
        return 0;
    case HNSW_ENCODE:
        b->done = 1;
        begin_batch(b);
        return 0;
    case HNSW_SEARCH:
        b->phase = HNSW_LINK;
        return 0;
    case HNSW_LINK:
        b->done += b->batch;
        begin_batch(b);
        return 0;
    case HNSW_TRIM:
        b->phase = HNSW_CONNECT;
        return hnsw_tree_create(b, err);
    case HNSW_CONNECT:
        if (b->tree.looked_at < b->row_count) return 0;
        b->phase = HNSW_PACK;
        return hnsw_pack_begin(b, err);
    case HNSW_PACK:
        b->phase = HNSW_DONE;
        return 0;
    case HNSW_DONE:
        break;
    }
    UNREACHABLE();
}

static float progress(const struct index_build *base)
{
    const struct hnsw_build *b = (const struct hnsw_build *)(const void *)base;
    float inserted = (float)b->done / (float)b->row_count;

    if (b->phase == HNSW_DONE) return 1;
    return b->phase < HNSW_TRIM ? 0.94f * inserted : 0.91f + 0.01f * (float)b->phase;
}

static int save(struct index_build *base, struct index_writer *w, struct error *err)
{
    return hnsw_save((struct hnsw_build *)(void *)base, w, err);
}

const struct index_build_ops hnsw_build_ops = {
    .create = create,
    .piece_count = piece_count,
    .run = run,
    .turn = turn,
    .progress = progress,
    .save = save,
    .destroy = destroy,
};
