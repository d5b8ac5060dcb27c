/* SPDX-License-Identifier: Apache-2.0 */
/* ivf_build.c — centroids, then every row to its list, then what is kept of each list.
 *
 * WHAT        IVF_TRAIN     k-means' own phases
 *             IVF_ASSIGN    a piece is some rows: their lists
 *             IVF_QUANTIZE  the quantizer's training, but for its beginning; raw: left out
 *             IVF_PACK      a piece is some lists: their radii, and their blocks of codes
 *             Raw vectors are not copied: they go from the source to the file when it is saved.
 * INVARIANTS  (1) What a piece computes depends on earlier stages and on its own rows alone.
 * THREADS     As index_build.h says.
 * FAILURE     NO_MEMORY, the source's, the quantizer's.
 */
#include "index/ivf_build.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "index/list_points.h"
#include "index/quantizer_image.h"

enum {
    ASSIGN_ROWS = 256,  /* of a piece */
    PACK_ROWS = 512,    /* of a piece's lists, about */
    AUTO_FACTOR = 4,    /* lists, of the square root of the rows */
    AUTO_LIST_ROWS = 32 /* of a list, at least, where nothing is said */
};

static struct ivf_build *build_of(const struct index_build *b)
{
    return (struct ivf_build *)(void *)(uintptr_t)b;
}

static uint32_t choose_list_count(const struct index_build_desc *d)
{
    double asked = d->params->values[IVF_N_CLUSTERS];
    uint32_t rows = d->row_count, most = rows / AUTO_LIST_ROWS;

    if (asked > 0) return asked < rows ? (uint32_t)asked : rows;
    double count = AUTO_FACTOR * sqrt(rows);
    if (most > IVF_CLUSTERS_MAX) most = IVF_CLUSTERS_MAX;
    if (count > most) return most > 0 ? most : 1;
    return (uint32_t)count;
}

static bool has_bits(const struct ivf_build *b)
{
    return list_route(b->desc.metric) != b->desc.metric;
}

static int run_bits(const struct vector_source *source, uint32_t row, uint32_t row_max,
                    struct vector_run *out, struct error *err)
{
    const struct ivf_bits *bits = (const struct ivf_bits *)source;

    if (bits->rows->run(bits->rows, row, row_max, out, err) != 0) return -1;
    ivf_take_bits(out->vectors, source->dim, bits->row);
    out->vectors = bits->row;
    out->row_count = 1;
    return 0;
}

/* k-means asks for one row after another, and copies it. */
static int make_bits(struct ivf_build *b, struct error *err)
{
    b->bits =
        (struct ivf_bits){.source = {.run = run_bits, .dim = b->dim}, .rows = b->desc.vectors};
    b->bits.row = mem_alloc(b->desc.alloc, MEM_SEGMENT, b->dim * sizeof(float));
    return b->bits.row ? 0 : error_no_memory(err, b->dim * sizeof(float));
}

static int make_build(struct ivf_build *b, struct error *err)
{
    struct alloc *a = b->desc.alloc;
    size_t rows = b->desc.row_count, lists = b->list_count;

    b->labels = mem_alloc(a, MEM_SEGMENT, rows * sizeof *b->labels);
    b->lists.order = mem_alloc(a, MEM_SEGMENT, rows * sizeof *b->lists.order);
    b->lists.starts = mem_alloc(a, MEM_SEGMENT, (lists + 1) * sizeof *b->lists.starts);
    b->block_starts = mem_alloc(a, MEM_SEGMENT, (lists + 1) * sizeof *b->block_starts);
    b->radii = mem_alloc(a, MEM_SEGMENT, lists * sizeof *b->radii);
    if (!b->labels || !b->lists.order || !b->lists.starts || !b->block_starts || !b->radii)
        return error_set(err, LYNSE_NO_MEMORY, "no memory for %zu lists of %zu rows", lists, rows);
    if (has_bits(b) && make_bits(b, err) != 0) return -1;
    const struct kmeans_desc kmeans = {
        .alloc = a,
        .kernels = b->desc.kernels,
        .vectors = has_bits(b) ? &b->bits.source : b->desc.vectors,
        .row_count = b->desc.row_count,
        .count = b->list_count,
        .is_spherical = b->value == METRIC_VALUE_ANGLE,
        .seed = b->desc.seed,
    };
    return kmeans_create(&kmeans, &b->kmeans, err);
}

static void build_destroy(struct index_build *base)
{
    struct ivf_build *b = build_of(base);
    if (!b) return;
    struct alloc *a = b->desc.alloc;
    kmeans_destroy(b->kmeans);
    mem_free(a, b->bits.row);
    mem_free(a, b->labels);
    mem_free(a, b->lists.order);
    mem_free(a, b->lists.starts);
    mem_free(a, b->block_starts);
    mem_free(a, b->radii);
    mem_free(a, b->blocks);
    if (b->vtab) b->vtab->destroy(b->quantizer);
    mem_free(a, b);
}

static int build_create(const struct index_build_desc *desc, struct index_build **out,
                        struct error *err)
{
    struct ivf_build *b = mem_zalloc(desc->alloc, MEM_SEGMENT, sizeof *b);

    if (!b) return error_set(err, LYNSE_NO_MEMORY, "no memory to build lists");
    b->desc = *desc;
    b->value = metric_find(list_route(desc->metric))->value;
    b->dim = desc->vectors->dim;
    b->list_count = choose_list_count(desc);
    b->nprobe = (uint32_t)desc->params->values[IVF_NPROBE];
    if (desc->quantizer.kind != QUANTIZER_RAW) b->vtab = quantizer_find(desc->quantizer.kind);
    if (make_build(b, err) != 0) {
        build_destroy((struct index_build *)(void *)b);
        return -1;
    }
    *out = (struct index_build *)(void *)b;
    return 0;
}

/* ---- Pieces ---- */

int ivf_row(const struct ivf_build *b, uint32_t row, const float **vector, float *norm,
            struct error *err)
{
    const struct vector_source *source = b->desc.vectors;
    struct vector_run run = {0};

    if (source->all) {
        *vector = source->all + (size_t)row * b->dim;
        *norm = source->all_norms[row];
        return 0;
    }
    if (source->run(source, row, 1, &run, err) != 0) return -1;
    *vector = run.vectors;
    *norm = run.norms[0];
    return 0;
}

/* Lists of a piece that packs them. */
static uint32_t lists_of_piece(const struct ivf_build *b)
{
    uint32_t mean = b->desc.row_count / b->list_count + 1;
    return mean < PACK_ROWS ? PACK_ROWS / mean : 1;
}

static uint32_t build_piece_count(const struct index_build *base)
{
    const struct ivf_build *b = build_of(base);
    uint32_t some;

    switch (b->stage) {
    case IVF_TRAIN:
        return kmeans_piece_count(b->kmeans);
    case IVF_ASSIGN:
        return (b->desc.row_count - 1) / ASSIGN_ROWS + 1;
    case IVF_QUANTIZE:
        return quantizer_train_pieces(b->quantizer);
    case IVF_PACK:
        some = lists_of_piece(b);
        return (b->list_count - 1) / some + 1;
    case IVF_BUILT:
        break;
    }
    return 0;
}

static int assign_rows(struct ivf_build *b, uint32_t first, struct error *err)
{
    uint32_t left = b->desc.row_count - first, count = left < ASSIGN_ROWS ? left : ASSIGN_ROWS;
    size_t bytes = has_bits(b) ? (size_t)count * b->dim * sizeof(float) : 0;
    const float *points[ASSIGN_ROWS];

    if (list_points(b->desc.vectors, NULL, first, count, points, err) != 0) return -1;
    float *bits = bytes > 0 ? mem_alloc(b->desc.alloc, MEM_SEGMENT, bytes) : NULL;
    if (bytes > 0 && !bits) return error_no_memory(err, bytes);
    for (uint32_t i = 0; i < count && bits; i++) {
        ivf_take_bits(points[i], b->dim, bits + (size_t)i * b->dim);
        points[i] = bits + (size_t)i * b->dim;
    }
    int rc = centroids_assign(kmeans_centroids(b->kmeans), b->desc.alloc, b->desc.kernels, points,
                              count, b->labels + first, err);
    mem_free(b->desc.alloc, bits);
    return rc;
}

/* Most quantizers are trained then. */
static int begin_quantizer(struct ivf_build *b, struct error *err)
{
    if (quantizer_train_for(&b->desc, &b->quantizer, err) != 0) return -1;
    b->stage = quantizer_train_pieces(b->quantizer) > 0 ? IVF_QUANTIZE : IVF_PACK;
    b->block_bytes = b->vtab->block_bytes(b->quantizer);
    size_t bytes = b->block_starts[b->list_count] * b->block_bytes;
    b->blocks = mem_alloc_aligned(b->desc.alloc, MEM_SEGMENT, bytes + 1, ALIGN_VECTOR);
    return b->blocks ? 0 : error_no_memory(err, bytes);
}

/* A list's radius, and its blocks. */
static int pack_list(struct ivf_build *b, uint32_t list, struct error *err)
{
    const float *center = kmeans_centroids(b->kmeans)->vectors + (size_t)list * b->dim;
    const struct simd_kernels *kernels = b->desc.kernels;
    float center_norm = dense_norm_f32(kernels, center, b->dim), radius = 0;
    uint32_t end = b->lists.starts[list + 1], used = 0;
    const float *vectors[BLOCK_CODES];
    uint8_t *block = b->blocks ? b->blocks + b->block_starts[list] * b->block_bytes : NULL;

    for (uint32_t place = b->lists.starts[list]; place < end; place++) {
        float norm, distance;
        if (ivf_row(b, b->lists.order[place], &vectors[used], &norm, err) != 0) return -1;
        distance =
            b->value == METRIC_VALUE_ANGLE
                ? metric_cosine_distance(kernels->dense_dot_f32(vectors[used], center, b->dim),
                                         norm, center_norm)
                : kernels->dense_l2_f32(vectors[used], center, b->dim);
        /* A vector without a direction is as far from every query as it says, wherever it lies. */
        if (b->value == METRIC_VALUE_ANGLE && !(norm > 0)) distance = INFINITY;
        distance = list_radius(b->value, distance);
        radius = distance <= radius ? radius : distance;
        if (++used < BLOCK_CODES && place + 1 < end) continue;
        if (block) {
            b->vtab->pack_block(b->quantizer, center, vectors, used, block);
            block += b->block_bytes;
        }
        used = 0;
    }
    b->radii[list] = has_bits(b) ? INFINITY : radius;
    return 0;
}

static int build_run(struct index_build *base, uint32_t piece, struct error *err)
{
    struct ivf_build *b = build_of(base);
    uint32_t some, first;

    switch (b->stage) {
    case IVF_TRAIN:
        return kmeans_run(b->kmeans, piece, err);
    case IVF_ASSIGN:
        return assign_rows(b, piece * ASSIGN_ROWS, err);
    case IVF_QUANTIZE:
        return b->vtab->train_piece(b->quantizer, piece, err);
    case IVF_PACK:
        some = lists_of_piece(b);
        first = piece * some;
        for (uint32_t list = first; list < first + some && list < b->list_count; list++)
            if (pack_list(b, list, err) != 0) return -1;
        return 0;
    case IVF_BUILT:
        break;
    }
    return 0;
}

static void sort_rows(struct ivf_build *b)
{
    uint32_t block = 0;

    lloyd_sort(b->labels, b->desc.row_count, b->list_count, &b->lists);
    mem_free(b->desc.alloc, b->labels);
    b->labels = NULL;
    for (uint32_t list = 0; list < b->list_count; list++) {
        b->block_starts[list] = block;
        block += ivf_block_count(b->lists.starts[list + 1] - b->lists.starts[list]);
    }
    b->block_starts[b->list_count] = block;
}

static int build_turn(struct index_build *base, struct error *err)
{
    struct ivf_build *b = build_of(base);

    switch (b->stage) {
    case IVF_TRAIN:
        if (kmeans_turn(b->kmeans, err) != 0) return -1;
        if (kmeans_piece_count(b->kmeans) == 0) b->stage = IVF_ASSIGN;
        return 0;
    case IVF_ASSIGN:
        sort_rows(b);
        b->stage = IVF_PACK;
        return b->vtab ? begin_quantizer(b, err) : 0;
    case IVF_QUANTIZE:
        b->vtab->train_end(b->quantizer);
        b->stage = IVF_PACK;
        return 0;
    case IVF_PACK:
    case IVF_BUILT:
        b->stage = IVF_BUILT;
        return 0;
    }
    return 0;
}

static float build_progress(const struct index_build *base)
{
    static const float begin[] = {0, 0.6f, 0.8f, 0.85f, 1};
    const struct ivf_build *b = build_of(base);
    return b->stage == IVF_TRAIN ? begin[IVF_ASSIGN] * kmeans_progress(b->kmeans) : begin[b->stage];
}

static int build_save(struct index_build *b, struct index_writer *w, struct error *err)
{
    return ivf_save(build_of(b), w, err);
}

const struct index_build_ops ivf_build_ops = {
    .create = build_create,
    .piece_count = build_piece_count,
    .run = build_run,
    .turn = build_turn,
    .progress = build_progress,
    .save = build_save,
    .destroy = build_destroy,
};
