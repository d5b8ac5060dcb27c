/* SPDX-License-Identifier: Apache-2.0 */
/* Which of many centroids is nearest, at every level, against double precision. */
#include <math.h>

#include "base/rng.h"
#include "simd/kernels.h"
#include "support/test.h"

enum { PANELS = 5, DIM_MAX = 200, PLACES = PANELS * NEAREST_LANES };

static float points[NEAREST_POINTS * DIM_MAX];
static _Alignas(64) float panels[PLACES * DIM_MAX], offsets[PLACES];
static struct nearest_lanes lanes[NEAREST_POINTS];

static double score_of(int point, int place, size_t dim, double *magnitude)
{
    const float *panel = panels + (size_t)(place / NEAREST_LANES) * NEAREST_LANES * dim;
    double sum = 0;

    *magnitude = fabs(offsets[place]);
    for (size_t j = 0; j < dim; j++) {
        double product = (double)points[(size_t)point * DIM_MAX + j] *
                         panel[j * NEAREST_LANES + (size_t)(place % NEAREST_LANES)];
        sum += product;
        *magnitude += fabs(product);
    }
    return sum - offsets[place];
}

static void make(struct rng *rng, size_t dim, uint32_t count)
{
    for (int i = 0; i < NEAREST_POINTS * DIM_MAX; i++) points[i] = rng_normal(rng);
    for (size_t i = 0; i < PLACES * dim; i++) panels[i] = rng_normal(rng);
    for (uint32_t i = 0; i < PLACES; i++) offsets[i] = i < count ? 3 * rng_normal(rng) : INFINITY;
}

static void look(const struct simd_kernels *k, size_t dim)
{
    struct nearest_lanes *best[NEAREST_POINTS];

    for (int i = 0; i < NEAREST_POINTS; i++) {
        best[i] = &lanes[i];
        for (int j = 0; j < NEAREST_LANES; j++) {
            lanes[i].scores[j] = -INFINITY;
            lanes[i].labels[j] = UINT32_MAX;
        }
    }
    /* In two calls: labels go on from the first. */
    k->nearest_f32(points, DIM_MAX, panels, offsets, 100, 2, dim, best);
    k->nearest_f32(points, DIM_MAX, panels + 2 * NEAREST_LANES * dim, offsets + 2 * NEAREST_LANES,
                   102, PANELS - 2, dim, best);
}

/* Each lane's best is, within the roundings of a sum, the best of its places. */
static void check(size_t dim, uint32_t count)
{
    for (int i = 0; i < NEAREST_POINTS; i++)
        for (int j = 0; j < NEAREST_LANES; j++) {
            uint32_t label = lanes[i].labels[j];
            if (label == UINT32_MAX) {
                assert_true(lanes[i].scores[j] == -INFINITY && (uint32_t)j >= count);
                continue;
            }
            assert_in_range(label, 100, 100 + PANELS - 1);
            double size, slack = ((double)dim + 4) * 0x1p-23;
            double own = score_of(i, (int)(label - 100) * NEAREST_LANES + j, dim, &size);
            assert_true(fabs(own - lanes[i].scores[j]) <= slack * size);
            for (int p = 0; p < PANELS; p++) {
                double other_size, other = score_of(i, p * NEAREST_LANES + j, dim, &other_size);
                assert_true(!(other > own + slack * (size + other_size)));
            }
        }
}

static void finds_the_best_of_each_lane(void **state)
{
    static const size_t dims[] = {1, 2, 3, 15, 16, 17, 64, 100, DIM_MAX};
    struct rng rng;

    (void)state;
    rng_init(&rng, test_seed(1));
    for (int level = 0; level < SIMD_LEVEL_COUNT; level++) {
        struct simd_kernels k;
        if (!kernels_of_level((enum simd_level)level, &k)) continue;
        for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
            for (uint32_t count = 1; count <= PLACES; count = count * 3 + 1) {
                make(&rng, dims[i], count);
                look(&k, dims[i]);
                check(dims[i], count);
            }
    }
}

static void leaves_the_first_of_equals_and_no_nan(void **state)
{
    struct rng rng;

    (void)state;
    rng_init(&rng, 2);
    for (int level = 0; level < SIMD_LEVEL_COUNT; level++) {
        struct simd_kernels k;
        if (!kernels_of_level((enum simd_level)level, &k)) continue;
        make(&rng, 20, PLACES);
        for (size_t i = 0; i < PLACES * 20; i++) panels[i] = panels[i % (NEAREST_LANES * 20)];
        for (int i = 0; i < PLACES; i++) offsets[i] = 1;
        points[0] = NAN;
        look(&k, 20);
        for (int j = 0; j < NEAREST_LANES; j++) {
            assert_int_equal(lanes[0].labels[j], UINT32_MAX);
            assert_int_equal(lanes[1].labels[j], 100);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(finds_the_best_of_each_lane),
    cmocka_unit_test(leaves_the_first_of_equals_and_no_nan),
};
TEST_MAIN(tests)
