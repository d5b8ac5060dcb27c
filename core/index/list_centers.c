/* SPDX-License-Identifier: Apache-2.0 */
/* list_centers.c — centers out of an image, and distances between them and a query.
 *
 * WHAT        Distances by the metric of the route; the same nearly, by codes of 8 bits: of a
 *             center c ~ scale * code the product with a query is known but for <q, e>, with e
 *             orthogonal to the code, which is small beside what distances of neighbouring lists
 *             differ by.
 *             Centers that are no rows of code_pack's leave all of them without codes.
 * BOUNDS      With r the radius, a row x of the list of center c has |x - c| <= r, so
 *                 l2       |q - x| >= |q - c| - r
 *                 ip       <q, x>  <= <q, c> + |q| * r
 *                 cosine   as l2 of directions, of which a distance d is |u - v|^2 / 2
 *                 others   nothing is known
 *             Everything is then moved a thousandth to the safe side, which is far more than
 *             roundings of floats are.
 * INVARIANTS  (1) No distance is NaN: +inf stands for it.
 *             (2) Bounds are made of exact distances, never of those by codes.
 * THREADS     Any, once it is open.
 * FAILURE     CORRUPT where groups do not follow one another to the last list; NO_MEMORY.
 */
#include "index/list_centers.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "quant/digits.h"
#include "quant/shadow.h"

enum { TILE = 256 };

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

/* ---- Codes ---- */

/* Serial kernels multiply floats faster, and of short vectors codes are no shorter. */
static bool codes_pay(const struct list_centers *c)
{
    bool can_tell = true;

    for (uint32_t list = 0; list < c->count && can_tell; list++)
        can_tell = c->norms[list] == 0 ||
                   (c->norms[list] >= SHADOW_NORM_MIN && c->norms[list] <= SHADOW_NORM_MAX);
    return can_tell && c->kernels->level != SIMD_SERIAL &&
           code_stride(c->dim) < c->dim * sizeof(float);
}

static void encode_center(struct list_centers *c, uint32_t list)
{
    const float norm = c->norms[list];
    uint8_t *codes = c->codes + list * code_stride(c->dim);
    struct code_fit fit = {0};

    memset(codes, CODE_ZERO, code_stride(c->dim));
    if (norm > 0) c->kernels->code_pack(list_center(c, list), c->dim, codes, &fit);
    c->adds[list] = 0;
    c->muls[list] = -fit.scale;
    if (c->value == METRIC_VALUE_DISTANCE) {
        c->adds[list] = norm * norm;
        c->muls[list] = -2 * fit.scale;
    } else if (c->value == METRIC_VALUE_ANGLE && norm > 0) {
        c->muls[list] = -fit.scale / norm;
    }
}

static int make_codes(struct list_centers *c, struct alloc *a, struct error *err)
{
    size_t codes = align_up(c->count * code_stride(c->dim), ALIGN_VECTOR);
    size_t bytes = codes + 2 * (size_t)c->count * sizeof(float);

    if (!codes_pay(c)) return 0;
    c->codes = (uint8_t *)mem_alloc_aligned(a, MEM_SEGMENT, bytes, ALIGN_VECTOR);
    if (!c->codes) return error_no_memory(err, bytes);
    c->adds = (float *)(void *)(c->codes + codes);
    c->muls = c->adds + c->count;
    for (uint32_t list = 0; list < c->count; list++) encode_center(c, list);
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
    if (make_codes(c, a, err) != 0) return -1;
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
    mem_free(a, c->codes);
}

size_t list_centers_bytes(const struct list_centers *c)
{
    size_t codes = c->codes ? c->count * (code_stride(c->dim) + 2 * sizeof(float)) : 0;
    return (c->count + (size_t)c->group_count * (c->dim + 1)) * sizeof(float) + codes;
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

size_t center_query_bytes(const struct list_centers *c)
{
    return c->codes ? 2 * code_stride(c->dim) : 0;
}

void center_query_init(struct center_query *q, const struct list_centers *c,
                       const struct oracle_query *query, void *digits)
{
    int32_t sum;

    *q = (struct center_query){.query = query};
    q->has_codes = c->codes && query->norm >= SHADOW_NORM_MIN && query->norm <= SHADOW_NORM_MAX;
    if (!q->has_codes) return;
    q->step = digits_make(&q->digits, (int8_t *)digits, query->vector, c->dim,
                          code_digits_max(c->dim), &sum);
}

static void turn_products(const int32_t *restrict sums, float step, const float *restrict adds,
                          const float *restrict muls, uint32_t count, float *restrict out)
{
    for (uint32_t i = 0; i < count; i++) out[i] = adds[i] + muls[i] * ((float)sums[i] * step);
}

void list_center_nearly(const struct list_centers *c, const struct center_query *q, uint32_t first,
                        uint32_t count, float *out)
{
    int32_t sums[TILE];

    if (!q->has_codes) {
        list_center_distances(c, q->query, first, count, out);
        return;
    }
    for (uint32_t some; count > 0; first += some, count -= some, out += some) {
        some = count < TILE ? count : TILE;
        c->kernels->code_dot(&q->digits, c->codes + first * code_stride(c->dim), some, sums);
        turn_products(sums, q->step, c->adds + first, c->muls + first, some, out);
    }
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
