/* SPDX-License-Identifier: Apache-2.0 */
/* Which lists a query reads: all of them once, the nearest first, or nearly so where codes or
 * groups choose them. */
#include "index/near_lists.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "support/test.h"

enum { LISTS_FEW = 700, LISTS_MANY = 9000, GROUP = 100, DIM = 40, QUERIES = 8, NEAREST = 20 };
enum { GROUPS_MIN = 12 };

struct bed {
    struct list_centers centers;
    uint32_t starts[LISTS_MANY / GROUP + 1];
    float *vectors;
    uint8_t *memory;
};

/* Centers around those of their groups, all with a part in common. */
static void set_up(struct bed *b, enum metric metric, uint32_t count, uint32_t dim, float scale)
{
    static float middle[DIM];
    struct error err = {0};
    struct rng r;

    rng_init(&r, test_seed(91));
    *b = (struct bed){.vectors = malloc((size_t)count * dim * sizeof(float))};
    assert_non_null(b->vectors);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < dim; j++) {
            if (i % GROUP == 0) middle[j] = 3 + 2 * (float)rng_unit(&r);
            b->vectors[(size_t)i * dim + j] = scale * (middle[j] + (float)rng_unit(&r));
        }
    b->centers = (struct list_centers){.kernels = kernels_active(),
                                       .metric = metric,
                                       .dim = dim,
                                       .count = count,
                                       .vectors = b->vectors};
    if (count == LISTS_MANY) {
        for (uint32_t g = 0; g <= LISTS_MANY / GROUP; g++) b->starts[g] = g * GROUP;
        b->centers.group_starts = b->starts;
        b->centers.group_count = LISTS_MANY / GROUP;
    }
    assert_ok(list_centers_init(&b->centers, alloc_libc(), &err), &err);
    b->memory = aligned_alloc(ALIGN_VECTOR, near_lists_bytes(&b->centers));
    assert_non_null(b->memory);
}

static void tear_down(struct bed *b)
{
    list_centers_close(&b->centers, alloc_libc());
    free(b->vectors);
    free(b->memory);
}

static int by_distance(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* Take all lists; how many of the nearest came among the first NEAREST. */
static uint32_t walk(struct bed *b, const float *vector)
{
    static float exact[LISTS_MANY], sorted[LISTS_MANY];
    static uint8_t came[LISTS_MANY];
    const struct list_centers *c = &b->centers;
    struct oracle_query query = {vector, dense_norm_f32(c->kernels, vector, c->dim)};
    struct near_lists near;
    uint32_t nearest = 0;

    list_center_distances(c, &query, 0, c->count, exact);
    memcpy(sorted, exact, c->count * sizeof *sorted);
    qsort(sorted, c->count, sizeof *sorted, by_distance);
    memset(came, 0, c->count);
    near_lists_begin(&near, c, &query, GROUPS_MIN, b->memory);
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t ahead = near_lists_ahead(&near);
        struct near_list list = near_lists_take(&near);
        assert_true(list.list < c->count && came[list.list]++ == 0);
        assert_true(list.distance == exact[list.list]);
        assert_true(ahead == NEAR_LISTS_NONE || ahead == list.list);
        nearest += i < NEAREST && list.distance <= sorted[NEAREST - 1];
    }
    return nearest;
}

static uint32_t walk_all(enum metric metric, uint32_t count, uint32_t dim, float scale)
{
    struct bed b;
    struct rng r;
    float query[DIM];
    uint32_t nearest = 0;

    set_up(&b, metric, count, dim, scale);
    rng_init(&r, test_seed(92));
    for (int q = 0; q < QUERIES; q++) {
        const float *near = b.vectors + rng_below(&r, count) * dim;
        for (uint32_t j = 0; j < dim; j++) query[j] = near[j] + scale * (float)rng_unit(&r);
        nearest += walk(&b, query);
    }
    memset(query, 0, sizeof query); /* of which codes say nothing */
    walk(&b, query);
    tear_down(&b);
    return nearest;
}

static void all_lists_come_the_nearest_first(void **state)
{
    static const enum metric metrics[] = {METRIC_L2, METRIC_IP, METRIC_COSINE};
    (void)state;
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        assert_true(walk_all(metrics[i], LISTS_FEW, DIM, 1) > QUERIES * NEAREST * 9 / 10);
        assert_true(walk_all(metrics[i], LISTS_MANY, DIM, 1) > QUERIES * NEAREST * 3 / 4);
        assert_true(walk_all(metrics[i], 3, DIM, 1) == QUERIES * 3);
    }
}

/* Too short for codes, and too long: distances alone decide. */
static void without_codes_their_order_is_exact(void **state)
{
    (void)state;
    assert_int_equal(walk_all(METRIC_L2, LISTS_FEW, 7, 1), QUERIES * NEAREST);
    assert_int_equal(walk_all(METRIC_COSINE, LISTS_FEW, DIM, 1e14f), QUERIES * NEAREST);
}

static void centers_that_are_alike_come_by_number(void **state)
{
    struct bed b;
    float query[DIM] = {1};
    struct near_lists near;

    (void)state;
    set_up(&b, METRIC_L2, LISTS_FEW, DIM, 0);
    struct oracle_query one = {query, 1};
    near_lists_begin(&near, &b.centers, &one, GROUPS_MIN, b.memory);
    for (uint32_t i = 0; i < LISTS_FEW; i++) assert_int_equal(near_lists_take(&near).list, i);
    tear_down(&b);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(all_lists_come_the_nearest_first),
    cmocka_unit_test(without_codes_their_order_is_exact),
    cmocka_unit_test(centers_that_are_alike_come_by_number),
};
TEST_MAIN(tests)
