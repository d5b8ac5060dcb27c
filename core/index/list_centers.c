/* SPDX-License-Identifier: Apache-2.0 */
/* list_centers.c — centers out of an image, and distances between them and a query.
 *
 * WHAT        Norms and the middles of groups are computed when it is opened.  A query is compared
 *             with some centers at a time by the kernel of the route, which may be another metric.
 * BOUNDS      With r the radius, a row x of the list of center c has |x - c| <= r, so
 *                 l2       |q - x| >= |q - c| - r
 *                 ip       <q, x>  <= <q, c> + |q| * r
 *                 cosine   as l2 of directions, of which a distance d is |u - v|^2 / 2
 *                 others   nothing is known
 *             Everything is then moved a thousandth to the safe side, which is far more than
 *             roundings of floats are.
 * INVARIANTS  (1) No distance is NaN: +inf stands for it.
 * THREADS     Any, once it is open.
 * FAILURE     CORRUPT where groups do not follow one another to the last list; NO_MEMORY.
 */
#include "index/list_centers.h"

#include <math.h>

#define SLACK 1e-3f
#define ANGLE_SLACK 1e-5f /* of the square of a direction's distance, which is 1 less a product */

/* Groups' middles: the means of their centers. */
static int make_groups(struct list_centers *c, struct alloc *a, struct error *err)
{
    size_t floats = (size_t)c->group_count * c->dim;

    c->groups = (float *)mem_zalloc(a, MEM_SEGMENT, floats * sizeof(float));
    c->group_norms = (float *)mem_alloc(a, MEM_SEGMENT, c->group_count * sizeof(float));
    if (!c->groups || !c->group_norms) return error_no_memory(err, floats * sizeof(float));
    for (uint32_t g = 0; g < c->group_count; g++) {
        uint32_t first = c->group_starts[g], end = c->group_starts[g + 1];
        float *middle = c->groups + (size_t)g * c->dim;
        for (uint32_t list = first; list < end; list++)
            for (uint32_t i = 0; i < c->dim; i++) middle[i] += list_center(c, list)[i];
        for (uint32_t i = 0; i < c->dim && end > first; i++) middle[i] /= (float)(end - first);
        c->group_norms[g] = dense_norm_f32(c->kernels, middle, c->dim);
    }
    return 0;
}

static int open_groups(struct list_centers *c, const struct index_section *s, struct error *err)
{
    if (!s->data || s->element_bytes != 4 || s->bytes < 8 || s->bytes / 4 - 1 > c->count)
        return error_set(err, LYNSE_CORRUPT, "section %u of the index has no groups of %u lists",
                         s->kind, c->count);
    c->group_count = (uint32_t)(s->bytes / 4) - 1;
    c->group_starts = (const uint32_t *)s->data;
    bool is_whole = c->group_starts[0] == 0 && c->group_starts[c->group_count] == c->count;
    for (uint32_t g = 0; g < c->group_count && is_whole; g++)
        is_whole = c->group_starts[g] <= c->group_starts[g + 1];
    if (is_whole) return 0;
    return error_set(err, LYNSE_CORRUPT, "the groups of the index are not of its %u lists",
                     c->count);
}

int list_centers_init(struct list_centers *c, struct alloc *a, struct error *err)
{
    c->route = list_route(c->metric);
    c->value = metric_find(c->route)->value;
    c->norms = (float *)mem_alloc(a, MEM_SEGMENT, c->count * sizeof(float));
    if (!c->norms) return error_no_memory(err, c->count * sizeof(float));
    for (uint32_t list = 0; list < c->count; list++)
        c->norms[list] = dense_norm_f32(c->kernels, list_center(c, list), c->dim);
    return c->group_count > 0 ? make_groups(c, a, err) : 0;
}

int list_centers_open(struct list_centers *c, struct alloc *a, const struct index_image *image,
                      const struct list_sections *sections, struct error *err)
{
    const struct index_section *groups = index_image_find(image, sections->groups);
    size_t lists = c->count;
    const void *vectors, *radii;

    if (index_image_require(image, sections->centroids, 4, lists * c->dim * 4, &vectors, err) !=
            0 ||
        index_image_require(image, sections->radii, 4, lists * 4, &radii, err) != 0)
        return -1;
    c->vectors = (const float *)vectors;
    c->radii = (const float *)radii;
    if (groups && open_groups(c, groups, err) != 0) return -1;
    return list_centers_init(c, a, err);
}

void list_centers_close(struct list_centers *c, struct alloc *a)
{
    mem_free(a, c->norms);
    mem_free(a, c->groups);
    mem_free(a, c->group_norms);
}

size_t list_centers_bytes(const struct list_centers *c)
{
    return (c->count + (size_t)c->group_count * (c->dim + 1)) * sizeof(float);
}

/* ---- Distances ---- */

static void measure(const struct list_centers *c, const struct oracle_query *query,
                    const float *vectors, const float *norms, uint32_t count, float *out)
{
    metric_kernels(c->route, c->kernels)
        .many(query->vector, vectors, c->dim * sizeof(float), count, c->dim, out);
    if (c->value == METRIC_VALUE_PRODUCT)
        for (uint32_t i = 0; i < count; i++) out[i] = -out[i];
    if (c->value == METRIC_VALUE_ANGLE)
        for (uint32_t i = 0; i < count; i++)
            out[i] = metric_cosine_distance(out[i], query->norm, norms[i]);
    for (uint32_t i = 0; i < count; i++) out[i] = out[i] == out[i] ? out[i] : INFINITY;
}

void list_center_distances(const struct list_centers *c, const struct oracle_query *query,
                           uint32_t first, uint32_t count, float *out)
{
    measure(c, query, list_center(c, first), c->norms + first, count, out);
}

void list_group_distances(const struct list_centers *c, const struct oracle_query *query,
                          uint32_t first, uint32_t count, float *out)
{
    measure(c, query, c->groups + (size_t)first * c->dim, c->group_norms + first, count, out);
}

/* ---- Bounds ---- */

float list_radius(enum metric_value value, float distance)
{
    return sqrtf(value == METRIC_VALUE_ANGLE ? 2 * distance : distance);
}

/* Squares are compared: of a small angle the root has far larger roundings. */
bool list_is_beyond(const struct list_centers *c, uint32_t list, float distance)
{
    float square = c->value == METRIC_VALUE_ANGLE ? 2 * distance : distance;
    float most = c->radii[list] * c->radii[list];

    return square > most * (1 + SLACK) + (c->value == METRIC_VALUE_ANGLE ? ANGLE_SLACK : 0);
}

float list_bound(const struct list_centers *c, const struct oracle_query *query, uint32_t list,
                 float center_distance)
{
    float radius = c->radii[list] * (1 + SLACK), left;

    if (c->route != c->metric) return -INFINITY;
    switch (c->value) {
    case METRIC_VALUE_PRODUCT:
        return center_distance - query->norm * (radius + SLACK * c->norms[list]) * (1 + SLACK);
    case METRIC_VALUE_DISTANCE:
        left = sqrtf(center_distance) * (1 - SLACK) - radius;
        return left > 0 ? left * left * (1 - SLACK) : 0;
    case METRIC_VALUE_MEASURE:
        break;
    case METRIC_VALUE_ANGLE:
        left = sqrtf(2 * center_distance) * (1 - SLACK) - radius - SLACK;
        return left > 0 ? left * left / 2 * (1 - SLACK) : 0;
    }
    return -INFINITY;
}
