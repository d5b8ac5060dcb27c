/* SPDX-License-Identifier: Apache-2.0 */
/* centroids.c — which centroid is nearest: panel by panel, and where there are groups, group by
 * group.
 *
 * WHAT        Points are taken by the hundred, twelve at a time as the kernel wants them, while a
 *             tile of panels stays in the second cache.  With groups, the points are first given
 *             the groups that are nearest to each; then every group has those points before it
 *             that were given it.
 * INVARIANTS  What a point is given depends on that point and the centroids alone, whatever the
 *             points beside it.
 * THREADS     Pure.
 * FAILURE     NO_MEMORY.
 */
#include "quant/centroids.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"

enum {
    TILE_BYTES = 512 << 10, /* of panels */
    PROBED_MIN = 4,         /* groups that are looked at for a point */
    PROBED_MAX = 64,
    PROBED_SHARE = 4, /* one in so many */
};

void centroid_pack(const struct simd_kernels *kernels, const float *vectors, uint32_t count,
                   uint32_t dim, float *panels, float *offsets)
{
    uint32_t places = centroid_panel_count(count) * NEAREST_LANES;

    for (uint32_t i = 0; i < places; i++) {
        float *to = panels + (size_t)(i / NEAREST_LANES) * NEAREST_LANES * dim + i % NEAREST_LANES;
        const float *from = vectors + (size_t)i * dim;
        offsets[i] = i < count ? kernels->dense_dot_f32(from, from, dim) / 2 : INFINITY;
        for (uint32_t j = 0; j < dim; j++) to[(size_t)j * NEAREST_LANES] = i < count ? from[j] : 0;
    }
}

/* ---- Some points at a time ---- */

/* A run of panels, and the centroid that the first of its places stands for. */
struct panel_run {
    const float *panels, *offsets;
    uint32_t panel_count, first;
};

struct nearest {
    float score;
    uint32_t label;
};

/* Room for what is at work, for one thread. */
struct assign_room {
    float *rows; /* NEAREST_POINTS vectors */
    struct nearest_lanes lanes[NEAREST_POINTS], spare;
};

static uint32_t tile_panels(uint32_t dim)
{
    size_t panel_bytes = NEAREST_LANES * sizeof(float) * dim;
    return panel_bytes < TILE_BYTES ? (uint32_t)(TILE_BYTES / panel_bytes) : 1;
}

static void keep_best(const struct nearest_lanes *lanes, uint32_t first, struct nearest *best)
{
    for (uint32_t i = 0; i < NEAREST_LANES; i++) {
        uint32_t label = first + lanes->labels[i] * NEAREST_LANES + i;
        float score = lanes->scores[i];
        if (score > best->score ||
            (score == best->score && score > -INFINITY && label < best->label))
            *best = (struct nearest){score, label};
    }
}

/* All of the run's centroids for `count` points, NEAREST_POINTS at most. */
static void look_at_few(const struct panel_run *run, uint32_t dim,
                        const struct simd_kernels *kernels, struct assign_room *room,
                        const float *const *points, uint32_t count, struct nearest *const *best)
{
    struct nearest_lanes *lanes[NEAREST_POINTS];

    for (uint32_t i = 0; i < NEAREST_POINTS; i++) {
        lanes[i] = i < count ? &room->lanes[i] : &room->spare;
        for (int j = 0; j < NEAREST_LANES; j++) lanes[i]->scores[j] = -INFINITY;
        memset(lanes[i]->labels, 0, sizeof lanes[i]->labels);
        if (i < count) memcpy(room->rows + (size_t)i * dim, points[i], dim * sizeof(float));
    }
    kernels->nearest_f32(room->rows, dim, run->panels, run->offsets, 0, run->panel_count, dim,
                         lanes);
    for (uint32_t i = 0; i < count; i++) keep_best(lanes[i], run->first, best[i]);
}

static void look_at(const struct panel_run *run, uint32_t dim, const struct simd_kernels *kernels,
                    struct assign_room *room, const float *const *points, uint32_t count,
                    struct nearest *const *best)
{
    uint32_t most = tile_panels(dim);

    for (uint32_t panel = 0; panel < run->panel_count; panel += most) {
        uint32_t left = run->panel_count - panel;
        struct panel_run tile = {run->panels + (size_t)panel * NEAREST_LANES * dim,
                                 run->offsets + (size_t)panel * NEAREST_LANES,
                                 left < most ? left : most, run->first + panel * NEAREST_LANES};
        for (uint32_t i = 0; i < count; i += NEAREST_POINTS)
            look_at_few(&tile, dim, kernels, room, points + i,
                        count - i < NEAREST_POINTS ? count - i : NEAREST_POINTS, best + i);
    }
}

/* ---- Groups ---- */

static uint32_t groups_probed(uint32_t group_count)
{
    uint32_t count = group_count / PROBED_SHARE;
    count = count < PROBED_MIN ? PROBED_MIN : count > PROBED_MAX ? PROBED_MAX : count;
    return count < group_count ? count : group_count;
}

/* Everything that is needed for `count` points, in one block of memory. */
struct visits {
    struct assign_room *room;
    struct nearest *best, **places;
    const float **points;     /* those before one group */
    uint32_t probed;          /* groups of a point */
    uint32_t *groups, *order; /* `probed` of each point; the same, as points, group by group */
    uint32_t *ends;           /* of each group's part of the order */
    float *scores;            /* of the groups, one point's */
};

static void *make_visits(struct visits *v, struct alloc *a, const struct centroids *c,
                         uint32_t count)
{
    size_t groups = c->groups ? c->groups->count : 0, visits;

    v->probed = groups > 0 ? groups_probed(c->groups->count) : 0;
    visits = (size_t)count * v->probed;
    size_t rows = (size_t)NEAREST_POINTS * c->dim;
    size_t pointers = (size_t)count * (sizeof *v->places + sizeof *v->points);
    size_t bytes = sizeof *v->room + pointers + count * sizeof *v->best +
                   (rows + 2 * visits + 2 * groups) * sizeof(float);
    uint8_t *memory = mem_alloc_aligned(a, MEM_GENERAL, bytes, ALIGN_VECTOR);
    if (!memory) return NULL;
    v->room = (struct assign_room *)memory;
    v->places = (struct nearest **)(void *)(v->room + 1);
    v->points = (const float **)(void *)(v->places + count);
    v->best = (struct nearest *)(void *)(v->points + count);
    v->room->rows = (float *)(void *)(v->best + count);
    memset(v->room->rows, 0, rows * sizeof(float));
    v->groups = (uint32_t *)(void *)(v->room->rows + rows);
    v->order = v->groups + visits;
    v->ends = v->order + visits;
    v->scores = (float *)(void *)(v->ends + groups);
    return memory;
}

/* The groups with the best scores, kept sorted. */
static void choose_groups(const float *scores, uint32_t count, uint32_t wanted, uint32_t *out)
{
    float kept[PROBED_MAX];

    for (uint32_t i = 0; i < wanted; i++) {
        kept[i] = -INFINITY;
        out[i] = i;
    }
    for (uint32_t g = 0; g < count; g++) {
        uint32_t i = wanted - 1;
        if (!(scores[g] > kept[i])) continue;
        for (; i > 0 && scores[g] > kept[i - 1]; i--) {
            kept[i] = kept[i - 1];
            out[i] = out[i - 1];
        }
        kept[i] = scores[g];
        out[i] = g;
    }
}

/* order: by group, and within one by point. */
static void sort_visits(struct visits *v, uint32_t group_count, uint32_t count)
{
    size_t total = (size_t)count * v->probed;
    uint32_t end = 0;

    memset(v->ends, 0, group_count * sizeof *v->ends);
    for (size_t i = 0; i < total; i++) v->ends[v->groups[i]]++;
    for (uint32_t g = 0; g < group_count; g++) {
        uint32_t size = v->ends[g];
        v->ends[g] = end;
        end += size;
    }
    for (size_t i = 0; i < total; i++)
        v->order[v->ends[v->groups[i]]++] = (uint32_t)(i / v->probed);
}

static void assign_by_groups(const struct centroids *c, struct visits *v,
                             const struct simd_kernels *kernels, const float *const *points,
                             uint32_t count)
{
    const struct centroids *groups = c->groups;
    uint32_t begin = 0;

    for (uint32_t i = 0; i < count; i++) {
        kernels->dense_dot_many_f32(points[i], groups->vectors, c->dim * sizeof(float),
                                    groups->count, c->dim, v->scores);
        for (uint32_t g = 0; g < groups->count; g++) v->scores[g] -= groups->offsets[g];
        choose_groups(v->scores, groups->count, v->probed, v->groups + (size_t)i * v->probed);
    }
    sort_visits(v, groups->count, count);
    for (uint32_t g = 0; g < groups->count; g++) {
        uint32_t first = c->group_starts[g], some = v->ends[g] - begin, panel = c->group_panels[g];
        struct panel_run run = {c->panels + (size_t)panel * NEAREST_LANES * c->dim,
                                c->offsets + (size_t)panel * NEAREST_LANES,
                                centroid_panel_count(c->group_starts[g + 1] - first), first};
        for (uint32_t i = 0; i < some; i++) {
            v->points[i] = points[v->order[begin + i]];
            v->places[i] = &v->best[v->order[begin + i]];
        }
        look_at(&run, c->dim, kernels, v->room, v->points, some, v->places);
        begin = v->ends[g];
    }
}

int centroids_assign(const struct centroids *c, struct alloc *a, const struct simd_kernels *kernels,
                     const float *const *points, uint32_t count, uint32_t *labels,
                     struct error *err)
{
    struct visits v;
    struct panel_run all = {c->panels, c->offsets, centroid_panel_count(c->count), 0};
    void *memory = make_visits(&v, a, c, count);

    if (!memory) return error_set(err, LYNSE_NO_MEMORY, "no memory to assign %u vectors", count);
    for (uint32_t i = 0; i < count; i++) {
        v.best[i] = (struct nearest){-INFINITY, 0};
        v.places[i] = &v.best[i];
    }
    if (c->groups) assign_by_groups(c, &v, kernels, points, count);
    else look_at(&all, c->dim, kernels, v.room, points, count, v.places);
    for (uint32_t i = 0; i < count; i++) labels[i] = v.best[i].label;
    mem_free(a, memory);
    return 0;
}
