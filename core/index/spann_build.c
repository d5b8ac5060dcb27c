/* SPDX-License-Identifier: Apache-2.0 */
/* spann_build.c — centers, more of them where lists would be long, then which lists a row is in.
 *
 * WHAT        SPANN_TRAIN   k-means' own phases
 *             SPANN_ASSIGN  a piece is some rows: their clusters
 *             SPANN_SPLIT   a piece is a cluster that is too large: centers of its own
 *             SPANN_CLOSE   a piece is some rows: the lists that they are to be in
 *             What comes of that is put in order and within bounds by spann_place.c.  Vectors are
 *             not copied: they go from the source to the file when it is saved.
 * REPLICAS    The centers next to the nearest one of a row are looked at, nearest first, up to
 *             BORDER times as far as that.  One is taken if no center that the row has already is
 *             as near to it as the row is (the rule of relative neighbourhoods): so replicas lie
 *             on all sides of a row.
 * INVARIANTS  (1) What a piece computes depends on earlier stages and on its own rows alone.
 * THREADS     As index_build.h says.
 * FAILURE     NO_MEMORY, the source's.
 */
#include "index/spann_build.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"
#include "index/list_points.h"
#include "index/near_lists.h"

enum {
    PIECE_ROWS = 128,
    /* Rows of a list, about, where nothing is said: as many as so many bytes are, within these. */
    MEAN_BYTES = 12 << 10,
    MEAN_ROWS_MIN = 24,
    MEAN_ROWS_MAX = 128,
    OWN_FACTOR = 2,    /* of that, rows of a list before it is divided, */
    LIST_FACTOR = 3,   /* and with replicas */
    PARTS_MAX = 64,    /* of a cluster; what is still too long then is cut */
    PART_SAMPLE = 256, /* rows that each of them is found from, at most */
    SPLIT_ROUNDS = 6,
    LOOKS = 4, /* centers that are looked at for each replica */
};
#define BORDER 1.6f /* distances, of that from the nearest center */

static struct spann_build *build_of(const struct index_build *b)
{
    return (struct spann_build *)(void *)(uintptr_t)b;
}

static uint32_t within(double value, uint32_t low, uint32_t high)
{
    return value < low ? low : value > high ? high : (uint32_t)value;
}

/* How many lists, and how long. */
static void choose_sizes(struct spann_build *b)
{
    const double *values = b->desc.params->values;
    uint32_t rows = b->desc.row_count, row_bytes = (b->dim + 2) * (uint32_t)sizeof(float);
    uint32_t most = within(spann_list_rows_max(b->dim), SPANN_LIST_ROWS_MIN, rows + 8);
    double mean = within(MEAN_BYTES / row_bytes, MEAN_ROWS_MIN, MEAN_ROWS_MAX);
    double asked = values[SPANN_N_CLUSTERS], homes = values[SPANN_REPLICA_COUNT] + 1;

    if (asked > 0) mean = ceil(rows / asked);
    b->mean_rows = within(mean, 1, most / LIST_FACTOR);
    double least = rows / (double)b->mean_rows; /* lists: fewer would all be divided */
    b->own_rows = b->mean_rows * OWN_FACTOR;
    b->list_rows = b->mean_rows * LIST_FACTOR;
    if (b->list_rows < SPANN_LIST_ROWS_MIN) b->list_rows = SPANN_LIST_ROWS_MIN;
    b->cluster_count = within(asked > least ? asked : least, 1, rows);
    /* Places are counted in 32 bits. */
    b->home_count = within(homes, 1, UINT32_MAX / rows);
}

static int make_build(struct spann_build *b, struct error *err)
{
    struct alloc *a = b->desc.alloc;
    size_t rows = b->desc.row_count, clusters = b->cluster_count;

    b->labels = mem_alloc(a, MEM_SEGMENT, rows * sizeof *b->labels);
    b->clusters.order = mem_alloc(a, MEM_SEGMENT, rows * sizeof *b->clusters.order);
    b->clusters.starts = mem_alloc(a, MEM_SEGMENT, (clusters + 1) * sizeof *b->clusters.starts);
    if (!b->labels || !b->clusters.order || !b->clusters.starts)
        return error_no_memory(err, rows * sizeof *b->labels);
    const struct kmeans_desc kmeans = {
        .alloc = a,
        .kernels = b->desc.kernels,
        .vectors = b->desc.vectors,
        .row_count = b->desc.row_count,
        .count = b->cluster_count,
        .is_spherical = b->value == METRIC_VALUE_ANGLE,
        .seed = b->desc.seed,
    };
    return kmeans_create(&kmeans, &b->kmeans, err);
}

static void drop_clusters(struct spann_build *b)
{
    struct alloc *a = b->desc.alloc;

    for (uint32_t i = 0; i < b->large_count && b->parts; i++) mem_free(a, b->parts[i]);
    mem_free(a, b->parts);
    mem_free(a, b->part_counts);
    mem_free(a, b->large);
    mem_free(a, b->labels);
    mem_free(a, b->clusters.order);
    mem_free(a, b->clusters.starts);
    kmeans_destroy(b->kmeans);
    b->parts = NULL;
    b->part_counts = b->large = b->labels = b->clusters.order = b->clusters.starts = NULL;
    b->kmeans = NULL;
}

static void build_destroy(struct index_build *base)
{
    struct spann_build *b = build_of(base);

    if (!b) return;
    struct alloc *a = b->desc.alloc;
    drop_clusters(b);
    list_centers_close(&b->centers, a);
    mem_free(a, b->center_vectors);
    mem_free(a, b->group_starts);
    mem_free(a, b->homes);
    spann_lists_drop(&b->lists, a);
    mem_free(a, b);
}

static int build_create(const struct index_build_desc *desc, struct index_build **out,
                        struct error *err)
{
    struct spann_build *b = mem_zalloc(desc->alloc, MEM_SEGMENT, sizeof *b);

    if (!b) return error_no_memory(err, sizeof *b);
    b->desc = *desc;
    b->value = metric_find(desc->metric)->value;
    b->dim = desc->vectors->dim;
    choose_sizes(b);
    if (make_build(b, err) != 0) {
        build_destroy((struct index_build *)(void *)b);
        return -1;
    }
    *out = (struct index_build *)(void *)b;
    return 0;
}

/* ---- Pieces ---- */

static uint32_t build_piece_count(const struct index_build *base)
{
    const struct spann_build *b = build_of(base);

    switch (b->stage) {
    case SPANN_TRAIN:
        return kmeans_piece_count(b->kmeans);
    case SPANN_ASSIGN:
    case SPANN_CLOSE:
        return (b->desc.row_count - 1) / PIECE_ROWS + 1;
    case SPANN_SPLIT:
        return b->large_count;
    case SPANN_BUILT:
        return 0;
    }
    UNREACHABLE();
}

static uint32_t rows_of_piece(const struct spann_build *b, uint32_t first)
{
    uint32_t left = b->desc.row_count - first;
    return left < PIECE_ROWS ? left : PIECE_ROWS;
}

static int assign_rows(struct spann_build *b, uint32_t first, struct error *err)
{
    uint32_t count = rows_of_piece(b, first);
    const float *points[PIECE_ROWS];

    if (list_points(b->desc.vectors, NULL, first, count, points, err) != 0) return -1;
    return centroids_assign(kmeans_centroids(b->kmeans), b->desc.alloc, b->desc.kernels, points,
                            count, b->labels + first, err);
}

static uint32_t cluster_rows(const struct spann_build *b, uint32_t cluster)
{
    return b->clusters.starts[cluster + 1] - b->clusters.starts[cluster];
}

/* Some rows of a cluster, spread over it; in their order. */
static int sample_points(const struct spann_build *b, uint32_t cluster, struct rng *rng,
                         struct lloyd_points *p, const float **points, struct error *err)
{
    struct alloc *a = b->desc.alloc;
    const uint32_t *order = b->clusters.order + b->clusters.starts[cluster];
    uint32_t *rows = mem_alloc(a, MEM_SEGMENT, p->count * sizeof *rows);

    if (!rows) return error_no_memory(err, p->count * sizeof *rows);
    lloyd_sample(rng, cluster_rows(b, cluster), p->count, rows);
    for (uint32_t i = 0; i < p->count; i++) rows[i] = order[rows[i]];
    p->vectors = points;
    int rc = list_points(b->desc.vectors, rows, 0, p->count, points, err);
    mem_free(a, rows);
    return rc;
}

/* Centers of its own for a cluster that is too large.  Where all its rows are alike they are too,
 * and its list is cut in the end. */
static int split_cluster(struct spann_build *b, uint32_t at, struct error *err)
{
    struct alloc *a = b->desc.alloc;
    uint32_t cluster = b->large[at], rows = cluster_rows(b, cluster);
    uint32_t count = within(ceil((double)rows / b->mean_rows), 2, PARTS_MAX);
    uint32_t some = rows < count * PART_SAMPLE ? rows : count * PART_SAMPLE;
    const float **points = mem_alloc(a, MEM_SEGMENT, some * sizeof *points);
    float *weights = mem_alloc(a, MEM_SEGMENT, some * sizeof *weights);
    struct lloyd_points p = {.count = some, .dim = b->dim};
    struct rng rng;
    int rc = -1;

    rng_init(&rng, b->desc.seed + cluster);
    b->parts[at] =
        mem_alloc_aligned(a, MEM_SEGMENT, (size_t)count * b->dim * sizeof(float), ALIGN_VECTOR);
    b->part_counts[at] = count;
    if (!points || !weights || !b->parts[at]) error_no_memory(err, some * sizeof *points);
    else rc = sample_points(b, cluster, &rng, &p, points, err);
    if (rc == 0) {
        struct lloyd_set set = {b->parts[at], count, b->value == METRIC_VALUE_ANGLE};
        for (uint32_t i = 0; i < some && set.is_spherical; i++) {
            float norm = dense_norm_f32(b->desc.kernels, points[i], b->dim);
            weights[i] = norm > 0 && norm < INFINITY ? 1 / norm : 1;
        }
        if (set.is_spherical) p.weights = weights;
        rc = lloyd_run(&p, a, b->desc.kernels, &rng, SPLIT_ROUNDS, &set, err);
    }
    mem_free(a, points);
    mem_free(a, weights);
    return rc;
}

/* No center that the row has is as near to this one as the row is. */
static bool is_aside(const struct spann_build *b, const struct spann_home *homes, uint32_t count,
                     const struct near_list *next)
{
    const struct oracle_query center = {list_center(&b->centers, next->list),
                                        b->centers.norms[next->list]};

    for (uint32_t i = 0; i < count; i++) {
        float between;
        list_center_distances(&b->centers, &center, homes[i].list, 1, &between);
        if (between <= next->distance) return false;
    }
    return true;
}

static void find_homes(const struct spann_build *b, const float *vector, float norm,
                       struct near_lists *near, void *memory, struct spann_home *homes)
{
    const struct oracle_query query = {vector, norm};
    uint32_t count = 0, looks = LOOKS * (b->home_count - 1);

    for (uint32_t i = 0; i < b->home_count; i++) homes[i] = (struct spann_home){SPANN_NONE, 0};
    near_lists_begin(near, &b->centers, &query, SPANN_GROUPS_MIN, memory);
    for (uint32_t i = 0; i <= looks && i < b->centers.count && count < b->home_count; i++) {
        struct near_list next = near_lists_take(near);
        if (i > 0 && !(next.distance <= homes[0].distance * BORDER * BORDER)) break;
        if (i > 0 && !is_aside(b, homes, count, &next)) continue;
        homes[count++] = (struct spann_home){next.list, next.distance};
    }
}

static int close_rows(struct spann_build *b, uint32_t first, struct error *err)
{
    const struct vector_source *source = b->desc.vectors;
    uint32_t end = first + rows_of_piece(b, first);
    size_t bytes = near_lists_bytes(&b->centers);
    struct near_lists near;
    void *memory = mem_alloc_aligned(b->desc.alloc, MEM_SEGMENT, bytes, ALIGN_VECTOR);
    int rc = 0;

    if (!memory) return error_no_memory(err, bytes);
    for (uint32_t row = first; row < end && rc == 0;) {
        struct vector_run run = {0};
        rc = source->run(source, row, end - row, &run, err);
        for (uint32_t i = 0; i < run.row_count && rc == 0; i++, row++)
            find_homes(b, run.vectors + (size_t)i * b->dim, run.norms[i], &near, memory,
                       b->homes + (size_t)row * b->home_count);
    }
    mem_free(b->desc.alloc, memory);
    return rc;
}

static int build_run(struct index_build *base, uint32_t piece, struct error *err)
{
    struct spann_build *b = build_of(base);

    switch (b->stage) {
    case SPANN_TRAIN:
        return kmeans_run(b->kmeans, piece, err);
    case SPANN_ASSIGN:
        return assign_rows(b, piece * PIECE_ROWS, err);
    case SPANN_SPLIT:
        return split_cluster(b, piece, err);
    case SPANN_CLOSE:
        return close_rows(b, piece * PIECE_ROWS, err);
    case SPANN_BUILT:
        break;
    }
    UNREACHABLE();
}

/* ---- Between stages ---- */

static int find_large(struct spann_build *b, struct error *err)
{
    struct alloc *a = b->desc.alloc;
    uint32_t count = 0;

    lloyd_sort(b->labels, b->desc.row_count, b->cluster_count, &b->clusters);
    for (uint32_t i = 0; i < b->cluster_count; i++) count += cluster_rows(b, i) > b->own_rows;
    b->large = mem_alloc(a, MEM_SEGMENT, (count + 1) * sizeof *b->large);
    b->part_counts = mem_alloc(a, MEM_SEGMENT, (count + 1) * sizeof *b->part_counts);
    b->parts = mem_zalloc(a, MEM_SEGMENT, (count + 1) * sizeof *b->parts);
    if (!b->large || !b->part_counts || !b->parts)
        return error_no_memory(err, count * sizeof *b->parts);
    for (uint32_t i = 0; i < b->cluster_count; i++)
        if (cluster_rows(b, i) > b->own_rows) b->large[b->large_count++] = i;
    return 0;
}

/* Centers in the order of their groups, the parts of a cluster where it was. */
static int gather_centers(struct spann_build *b, struct error *err)
{
    const struct centroids *c = kmeans_centroids(b->kmeans);
    uint32_t count = b->cluster_count, group_count = c->groups ? c->groups->count : 0, used = 0;
    struct alloc *a = b->desc.alloc;
    size_t row_bytes = b->dim * sizeof(float);

    for (uint32_t i = 0; i < b->large_count; i++) count += b->part_counts[i] - 1;
    b->center_vectors = mem_alloc_aligned(a, MEM_SEGMENT, count * row_bytes, ALIGN_VECTOR);
    b->group_starts = mem_alloc(a, MEM_SEGMENT, (group_count + 1) * sizeof *b->group_starts);
    b->homes =
        mem_alloc(a, MEM_SEGMENT, (size_t)b->desc.row_count * b->home_count * sizeof *b->homes);
    if (!b->center_vectors || !b->group_starts || !b->homes)
        return error_no_memory(err, count * row_bytes);
    for (uint32_t cluster = 0, group = 0, at = 0; cluster < b->cluster_count; cluster++) {
        bool is_large = at < b->large_count && b->large[at] == cluster;
        const float *from = is_large ? b->parts[at] : c->vectors + (size_t)cluster * b->dim;
        uint32_t some = is_large ? b->part_counts[at] : 1;
        while (group < group_count && c->group_starts[group] <= cluster)
            b->group_starts[group++] = used;
        memcpy(b->center_vectors + (size_t)used * b->dim, from, some * row_bytes);
        used += some;
        at += is_large;
        while (cluster + 1 == b->cluster_count && group <= group_count)
            b->group_starts[group++] = used;
    }
    b->centers = (struct list_centers){
        .kernels = b->desc.kernels,
        /* Under a product, too, rows are where they are near. */
        .metric = b->value == METRIC_VALUE_ANGLE ? b->desc.metric : METRIC_L2,
        .dim = b->dim,
        .count = count,
        .vectors = b->center_vectors,
        .group_count = group_count,
        .group_starts = b->group_starts,
    };
    if (list_centers_init(&b->centers, a, err) != 0) return -1;
    drop_clusters(b);
    return 0;
}

static int build_turn(struct index_build *base, struct error *err)
{
    struct spann_build *b = build_of(base);

    switch (b->stage) {
    case SPANN_TRAIN:
        if (kmeans_turn(b->kmeans, err) != 0) return -1;
        if (kmeans_piece_count(b->kmeans) == 0) b->stage = SPANN_ASSIGN;
        return 0;
    case SPANN_ASSIGN:
        if (find_large(b, err) != 0) return -1;
        b->stage = SPANN_SPLIT;
        if (b->large_count > 0) return 0;
        break;
    case SPANN_SPLIT:
        break;
    case SPANN_CLOSE:
        b->stage = SPANN_BUILT;
        return spann_place(b, err);
    case SPANN_BUILT:
        return 0;
    }
    b->stage = SPANN_CLOSE;
    return gather_centers(b, err);
}

static float build_progress(const struct index_build *base)
{
    static const float begin[] = {0, 0.4f, 0.5f, 0.6f, 1};
    const struct spann_build *b = build_of(base);
    return b->stage == SPANN_TRAIN ? begin[SPANN_ASSIGN] * kmeans_progress(b->kmeans)
                                   : begin[b->stage];
}

static int build_save(struct index_build *b, struct index_writer *w, struct error *err)
{
    return spann_save(build_of(b), w, err);
}

const struct index_build_ops spann_build_ops = {
    .create = build_create,
    .piece_count = build_piece_count,
    .run = build_run,
    .turn = build_turn,
    .progress = build_progress,
    .save = build_save,
    .destroy = build_destroy,
};
