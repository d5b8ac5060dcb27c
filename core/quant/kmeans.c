/* SPDX-License-Identifier: Apache-2.0 */
/* kmeans.c — clusters of a sample, in one level or in two.
 *
 * WHAT        A sample of the rows, spread evenly over all of them, is looked at.  Few centroids
 *             are found by Lloyd's rounds: every point to its nearest, every centroid to the mean
 *             of its points.  For many, the points are first divided among groups, the square root
 *             of as many, found in the same way from a part of the sample; each group gets
 *             centroids by its share of the points, and finds them among its own points alone: so
 *             clusters are of like size, and the work grows with the root of their number.  Some
 *             rounds over all groups then let points cross the borders.
 *
 *             STAGE_GROUPS   assign, move, …    a part of the points to groups
 *             STAGE_SPREAD   assign             all points to groups
 *             STAGE_SPLIT    a piece a group    centroids of its own
 *             STAGE_LISTS    assign, move, …    all points to centroids
 *             With one level there is the last alone.
 *
 * INVARIANTS  (1) A piece reads what earlier phases left and writes what is its own: labels of its
 *                 points, or vectors of its centroids.  Sums are taken in the order of the points.
 *             (2) Groups have centroids one after another, as many as in total were asked for.
 * THREADS     As kmeans.h says.
 * FAILURE     NO_MEMORY, and the source's.
 */
#include "quant/kmeans.h"

#include <math.h>
#include <string.h>

#include "quant/lloyd.h"

enum {
    SAMPLE_POINTS = 64,        /* of a centroid, at most */
    GROUP_SAMPLE_POINTS = 256, /* of a group */
    FLAT_ROUNDS = 10,
    GROUP_ROUNDS = 8,
    SPLIT_ROUNDS = 8,
    POLISH_ROUNDS = 4,
    ASSIGN_POINTS = 256,  /* of a piece */
    MOVE_BYTES = 1 << 20, /* of vectors of a piece, about */
};

enum stage { STAGE_GROUPS, STAGE_SPREAD, STAGE_SPLIT, STAGE_LISTS, STAGE_DONE };
enum step { STEP_ASSIGN, STEP_MOVE };

struct kmeans {
    struct kmeans_desc desc;
    uint32_t dim;
    struct rng rng;
    struct lloyd_points points;
    const float **vectors; /* points' own, and what else they are made of */
    float *copies, *weights;
    uint32_t *labels, *sizes;
    struct lloyd_order order;
    struct lloyd_set lists, groups;
    uint32_t *group_starts, *group_panels;
    float *memory; /* of both sets, and their panels */
    float *list_panels, *list_offsets, *group_panel_floats, *group_offsets;
    struct centroids list_centroids, group_centroids;
    enum stage stage;
    enum step step;
    uint32_t round;
};

/* ---- The sample ---- */

static int take_row(struct kmeans *k, uint32_t row, uint32_t i, struct error *err)
{
    const struct vector_source *source = k->desc.vectors;
    struct vector_run run;
    float norm;

    if (source->all) {
        k->vectors[i] = source->all + (size_t)row * k->dim;
        norm = source->all_norms[row];
    } else {
        if (source->run(source, row, 1, &run, err) != 0) return -1;
        float *copy = k->copies + (size_t)i * k->dim;
        memcpy(copy, run.vectors, k->dim * sizeof *copy);
        k->vectors[i] = copy;
        norm = run.norms[0];
    }
    if (k->weights)
        k->weights[i] = norm > 0 && norm < INFINITY ? 1 / norm : norm == INFINITY ? 0 : 1;
    return 0;
}

/* ---- Create, destroy ---- */

static uint32_t *make_numbers(struct kmeans *k, size_t count)
{
    return mem_alloc(k->desc.alloc, MEM_GENERAL, count * sizeof(uint32_t));
}

static float *make_floats(struct kmeans *k, size_t count)
{
    return mem_alloc_aligned(k->desc.alloc, MEM_GENERAL, count * sizeof(float), 64);
}

/* Vectors and panels of both levels, in one block. */
static bool make_centroids(struct kmeans *k)
{
    size_t lists = k->lists.count, groups = k->groups.count;
    size_t list_panels = centroid_panel_count(k->lists.count) + groups; /* each begins a panel */
    size_t group_panels = centroid_panel_count(k->groups.count);
    size_t places = (list_panels + group_panels) * NEAREST_LANES;

    k->memory = make_floats(k, places * (k->dim + 1) + (lists + groups) * k->dim);
    if (!k->memory) return false;
    k->list_panels = k->memory;
    k->group_panel_floats = k->list_panels + list_panels * NEAREST_LANES * k->dim;
    k->list_offsets = k->group_panel_floats + group_panels * NEAREST_LANES * k->dim;
    k->group_offsets = k->list_offsets + list_panels * NEAREST_LANES;
    k->lists.vectors = k->group_offsets + group_panels * NEAREST_LANES;
    k->groups.vectors = k->lists.vectors + lists * k->dim;
    k->lists.is_spherical = k->groups.is_spherical = k->desc.is_spherical;
    k->group_centroids = (struct centroids){k->groups.vectors,
                                            k->groups.count,
                                            k->dim,
                                            k->group_panel_floats,
                                            k->group_offsets,
                                            NULL,
                                            NULL,
                                            NULL};
    k->list_centroids = (struct centroids){
        k->lists.vectors, k->lists.count,  k->dim,
        k->list_panels,   k->list_offsets, groups > 0 ? &k->group_centroids : NULL,
        k->group_starts,  k->group_panels};
    return true;
}

static bool make_room(struct kmeans *k)
{
    size_t points = k->points.count, lists = k->lists.count, groups = k->groups.count;

    k->vectors = mem_alloc(k->desc.alloc, MEM_GENERAL, points * sizeof *k->vectors);
    k->labels = make_numbers(k, points);
    k->order.order = make_numbers(k, points);
    k->order.starts = make_numbers(k, lists + groups + 1);
    k->sizes = make_numbers(k, lists + groups);
    k->group_starts = make_numbers(k, 2 * groups + 1);
    if (!k->desc.vectors->all) k->copies = make_floats(k, points * k->dim);
    if (k->desc.is_spherical) k->weights = make_floats(k, points);
    if (!k->vectors || !k->labels || !k->order.order || !k->order.starts || !k->sizes ||
        !k->group_starts || (!k->desc.vectors->all && !k->copies) ||
        (k->desc.is_spherical && !k->weights))
        return false;
    k->group_panels = k->group_starts + groups + 1;
    return make_centroids(k);
}

static void pack_lists(struct kmeans *k)
{
    const struct simd_kernels *kernels = k->desc.kernels;
    uint32_t panel = 0;

    if (k->groups.count == 0) {
        centroid_pack(kernels, k->lists.vectors, k->lists.count, k->dim, k->list_panels,
                      k->list_offsets);
        return;
    }
    for (uint32_t g = 0; g < k->groups.count; g++) {
        uint32_t first = k->group_starts[g], count = k->group_starts[g + 1] - first;
        k->group_panels[g] = panel;
        centroid_pack(kernels, k->lists.vectors + (size_t)first * k->dim, count, k->dim,
                      k->list_panels + (size_t)panel * NEAREST_LANES * k->dim,
                      k->list_offsets + (size_t)panel * NEAREST_LANES);
        panel += centroid_panel_count(count);
    }
}

static void pack_groups(struct kmeans *k)
{
    centroid_pack(k->desc.kernels, k->groups.vectors, k->groups.count, k->dim,
                  k->group_panel_floats, k->group_offsets);
}

/* The points that groups are found from: every so many-th. */
static uint32_t group_point_count(const struct kmeans *k)
{
    uint32_t most = k->groups.count * GROUP_SAMPLE_POINTS;
    return k->points.count < most ? k->points.count : most;
}

/* The points that groups are found from to the front, and the others behind them: every so
 * many-th, so that they are spread as the sample is. */
static void lead_with_groups(struct kmeans *k, uint32_t *rows)
{
    uint32_t count = k->points.count, some = group_point_count(k), lead = 0, rest = some;

    for (uint32_t i = 0; i < count; i++) {
        bool leads = (uint64_t)i * some / count != (uint64_t)(i + 1) * some / count;
        k->order.order[leads ? lead++ : rest++] = rows[i];
    }
    memcpy(rows, k->order.order, count * sizeof *rows);
}

static int take_sample(struct kmeans *k, struct error *err)
{
    lloyd_sample(&k->rng, k->desc.row_count, k->points.count, k->labels);
    if (k->groups.count > 0) lead_with_groups(k, k->labels);
    for (uint32_t i = 0; i < k->points.count; i++)
        if (take_row(k, k->labels[i], i, err) != 0) return -1;
    k->points.vectors = k->vectors;
    k->points.weights = k->weights;
    return 0;
}

static void begin_stage(struct kmeans *k)
{
    if (k->groups.count == 0) {
        lloyd_seed(&k->points, k->desc.kernels, &k->rng, k->sizes, &k->lists);
        pack_lists(k);
        k->stage = STAGE_LISTS;
        return;
    }
    struct lloyd_points some = k->points;
    some.count = group_point_count(k);
    lloyd_seed(&some, k->desc.kernels, &k->rng, k->sizes, &k->groups);
    pack_groups(k);
    k->stage = STAGE_GROUPS;
}

int kmeans_create(const struct kmeans_desc *desc, struct kmeans **out, struct error *err)
{
    uint64_t most = (uint64_t)desc->count * SAMPLE_POINTS;
    struct kmeans *k = mem_zalloc(desc->alloc, MEM_GENERAL, sizeof *k);

    if (!k) return error_set(err, LYNSE_NO_MEMORY, "no memory for %u clusters", desc->count);
    k->desc = *desc;
    k->dim = desc->vectors->dim;
    k->lists.count = desc->count;
    if (desc->count > KMEANS_FLAT_MAX) k->groups.count = (uint32_t)lround(sqrt(desc->count));
    k->points.count = most < desc->row_count ? (uint32_t)most : desc->row_count;
    k->points.dim = k->dim;
    rng_init(&k->rng, desc->seed);
    if (!make_room(k)) {
        error_set(err, LYNSE_NO_MEMORY, "no memory for %u clusters of %u vectors of %u floats",
                  desc->count, k->points.count, k->dim);
        kmeans_destroy(k);
        return -1;
    }
    if (take_sample(k, err) != 0) {
        kmeans_destroy(k);
        return -1;
    }
    begin_stage(k);
    *out = k;
    return 0;
}

void kmeans_destroy(struct kmeans *k)
{
    if (!k) return;
    struct alloc *a = k->desc.alloc;
    mem_free(a, (void *)k->vectors);
    mem_free(a, k->copies);
    mem_free(a, k->weights);
    mem_free(a, k->labels);
    mem_free(a, k->sizes);
    mem_free(a, k->order.order);
    mem_free(a, k->order.starts);
    mem_free(a, k->group_starts);
    mem_free(a, k->memory);
    mem_free(a, k);
}

const struct centroids *kmeans_centroids(const struct kmeans *k)
{
    return &k->list_centroids;
}

/* ---- Pieces ---- */

/* What is assigned to and moved in this stage. */
static struct lloyd_set *set_at_work(struct kmeans *k)
{
    return k->stage == STAGE_LISTS ? &k->lists : &k->groups;
}

static uint32_t points_at_work(const struct kmeans *k)
{
    return k->stage == STAGE_GROUPS ? group_point_count(k) : k->points.count;
}

/* Centroids of a piece that moves them, whose points are about MOVE_BYTES. */
static uint32_t centroids_of_piece(const struct kmeans *k, uint32_t count)
{
    uint64_t bytes = (uint64_t)points_at_work(k) * k->dim * sizeof(float);
    uint64_t pieces = bytes / MOVE_BYTES + 1;
    return pieces >= count ? 1 : (uint32_t)((count + pieces - 1) / pieces);
}

static uint32_t divide_up(uint32_t n, uint32_t by)
{
    return n / by + (n % by != 0);
}

uint32_t kmeans_piece_count(const struct kmeans *k)
{
    uint32_t count = k->stage == STAGE_LISTS ? k->lists.count : k->groups.count;

    if (k->stage == STAGE_DONE) return 0;
    if (k->stage == STAGE_SPLIT) return k->groups.count;
    if (k->step == STEP_ASSIGN) return divide_up(points_at_work(k), ASSIGN_POINTS);
    return divide_up(count, centroids_of_piece(k, count));
}

/* One group's centroids, from the points that are given to it. */
static int split_group(struct kmeans *k, uint32_t g, struct error *err)
{
    struct alloc *a = k->desc.alloc;
    uint32_t begin = k->order.starts[g], count = k->order.starts[g + 1] - begin;
    uint32_t first = k->group_starts[g], wanted = k->group_starts[g + 1] - first;
    struct rng rng;

    if (wanted == 0) return 0;
    const float **vectors = mem_alloc(a, MEM_GENERAL, count * (sizeof *vectors + sizeof(float)));
    if (!vectors) return error_set(err, LYNSE_NO_MEMORY, "no memory to split %u vectors", count);
    float *weights = (float *)(void *)(vectors + count);
    for (uint32_t i = 0; i < count; i++) {
        vectors[i] = k->vectors[k->order.order[begin + i]];
        weights[i] = k->weights ? k->weights[k->order.order[begin + i]] : 1;
    }
    struct lloyd_points points = {vectors, weights, count, k->dim};
    struct lloyd_set set = {k->lists.vectors + (size_t)first * k->dim, wanted,
                            k->desc.is_spherical};
    rng_init(&rng, k->desc.seed + 1 + g);
    int rc = lloyd_run(&points, a, k->desc.kernels, &rng, SPLIT_ROUNDS, &set, err);
    mem_free(a, (void *)vectors);
    return rc;
}

int kmeans_run(struct kmeans *k, uint32_t piece, struct error *err)
{
    const struct lloyd_set *set = set_at_work(k);

    if (k->stage == STAGE_SPLIT) return split_group(k, piece, err);
    if (k->step == STEP_MOVE) {
        uint32_t some = centroids_of_piece(k, set->count), first = piece * some;
        uint32_t end = set->count - first < some ? set->count : first + some;
        struct lloyd_set moved = *set;
        lloyd_move(&k->points, &k->order, first, end, k->desc.kernels, &moved);
        return 0;
    }
    uint32_t first = piece * ASSIGN_POINTS, left = points_at_work(k) - first;
    uint32_t count = left < ASSIGN_POINTS ? left : ASSIGN_POINTS;
    const float *const *points = k->points.vectors + first;
    const struct centroids *c = k->stage == STAGE_LISTS ? &k->list_centroids : &k->group_centroids;
    return centroids_assign(c, k->desc.alloc, k->desc.kernels, points, count, k->labels + first,
                            err);
}

/* ---- Turns ---- */

/* How many centroids each group gets: by its points, one for each at most. */
static void share_out(struct kmeans *k)
{
    uint32_t *shares = k->sizes, given = 0, start = 0;

    for (uint32_t g = 0; g < k->groups.count; g++) {
        uint64_t size = k->order.starts[g + 1] - k->order.starts[g];
        shares[g] = (uint32_t)(size * k->lists.count / k->points.count);
        given += shares[g];
    }
    for (; given < k->lists.count; given++) {
        uint32_t best = 0;
        double most = -1;
        for (uint32_t g = 0; g < k->groups.count; g++) {
            uint32_t size = k->order.starts[g + 1] - k->order.starts[g];
            double load = (double)size / (shares[g] + 1);
            if (shares[g] < size && load > most) {
                most = load;
                best = g;
            }
        }
        shares[best]++;
    }
    for (uint32_t g = 0; g < k->groups.count; g++) {
        k->group_starts[g] = start;
        start += shares[g];
    }
    k->group_starts[k->groups.count] = start;
}

static void repair(struct kmeans *k, struct lloyd_set *set)
{
    uint32_t *sizes = k->sizes;

    for (uint32_t c = 0; c < set->count; c++)
        sizes[c] = k->order.starts[c + 1] - k->order.starts[c];
    if (k->stage == STAGE_GROUPS || k->groups.count == 0) {
        lloyd_repair(0, set->count, sizes, k->dim, k->desc.kernels, set);
        return;
    }
    for (uint32_t g = 0; g < k->groups.count; g++)
        lloyd_repair(k->group_starts[g], k->group_starts[g + 1], sizes + k->group_starts[g], k->dim,
                     k->desc.kernels, set);
}

/* Of the stages that have them. */
static uint32_t round_count(const struct kmeans *k)
{
    if (k->stage == STAGE_GROUPS) return GROUP_ROUNDS;
    return k->groups.count > 0 ? POLISH_ROUNDS : FLAT_ROUNDS;
}

int kmeans_turn(struct kmeans *k, struct error *err)
{
    struct lloyd_set *set = set_at_work(k);

    (void)err;
    if (k->stage == STAGE_SPLIT) {
        pack_lists(k);
        k->stage = STAGE_LISTS;
        return 0;
    }
    if (k->step == STEP_ASSIGN) {
        lloyd_sort(k->labels, points_at_work(k), set->count, &k->order);
        if (k->stage == STAGE_SPREAD) {
            share_out(k);
            k->stage = STAGE_SPLIT;
        } else {
            k->step = STEP_MOVE;
        }
        return 0;
    }
    repair(k, set);
    if (k->stage == STAGE_LISTS) pack_lists(k);
    else pack_groups(k);
    k->step = STEP_ASSIGN;
    if (++k->round < round_count(k)) return 0;
    k->round = 0;
    k->stage = k->stage == STAGE_GROUPS ? STAGE_SPREAD : STAGE_DONE;
    return 0;
}

float kmeans_progress(const struct kmeans *k)
{
    static const float begin[] = {0, 0.1f, 0.2f, 0.6f, 1};
    float stage = k->groups.count > 0 ? begin[k->stage] : k->stage == STAGE_DONE ? 1 : 0;
    float next = k->stage == STAGE_DONE ? 1 : begin[k->stage + 1];

    if (k->stage == STAGE_DONE || k->stage == STAGE_SPREAD || k->stage == STAGE_SPLIT) return stage;
    return stage + (next - stage) * (float)k->round / (float)round_count(k);
}
