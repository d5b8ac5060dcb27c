/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters: how good they are, that nothing is left empty, and that they are always the same. */
#include <math.h>

#include "base/rng.h"
#include "quant/kmeans.h"
#include "support/oom_sweep.h"
#include "support/test.h"

enum { ROWS = 6000, DIM = 19, CENTERS = 40 };

static float vectors[ROWS * DIM], norms[ROWS];
static uint32_t labels[ROWS];

static int one_row(const struct vector_source *s, uint32_t row, uint32_t row_max,
                   struct vector_run *out, struct error *err)
{
    (void)s, (void)row_max, (void)err;
    *out = (struct vector_run){vectors + (size_t)row * DIM, norms + row, 1};
    return 0;
}

static const struct vector_source at_once = {
    .run = one_row, .dim = DIM, .all = vectors, .all_norms = norms};
static const struct vector_source one_by_one = {.run = one_row, .dim = DIM};

static void make_rows(float spread)
{
    float centers[CENTERS * DIM];
    struct rng rng;

    rng_init(&rng, 4);
    for (int i = 0; i < CENTERS * DIM; i++) centers[i] = 3 * rng_normal(&rng);
    for (uint32_t i = 0; i < ROWS; i++) {
        const float *center = centers + rng_below(&rng, CENTERS) * DIM;
        for (uint32_t j = 0; j < DIM; j++)
            vectors[i * DIM + j] = center[j] + spread * rng_normal(&rng);
        norms[i] = dense_norm_f32(kernels_active(), vectors + (size_t)i * DIM, DIM);
    }
}

static struct kmeans_desc desc_of(struct alloc *a, uint32_t count)
{
    return (struct kmeans_desc){.alloc = a,
                                .kernels = kernels_active(),
                                .vectors = &at_once,
                                .row_count = ROWS,
                                .count = count,
                                .seed = 9};
}

/* All phases; the pieces of each in ascending or descending order. */
static int run_all(const struct kmeans_desc *desc, bool backwards, struct kmeans **out,
                   struct error *err)
{
    float progress = 0;
    uint32_t count;
    struct kmeans *k;

    if (kmeans_create(desc, &k, err) != 0) return -1;
    while ((count = kmeans_piece_count(k)) > 0) {
        for (uint32_t i = 0; i < count; i++)
            if (kmeans_run(k, backwards ? count - 1 - i : i, err) != 0) goto out;
        if (kmeans_turn(k, err) != 0) goto out;
        assert_true(kmeans_progress(k) >= progress);
        progress = kmeans_progress(k);
    }
    assert_true(progress == 1);
    *out = k;
    return 0;
out:
    kmeans_destroy(k);
    return -1;
}

static void assign(const struct kmeans *k)
{
    const float *points[ROWS];
    struct error err = {0};

    for (uint32_t i = 0; i < ROWS; i++) points[i] = vectors + (size_t)i * DIM;
    assert_ok(centroids_assign(kmeans_centroids(k), alloc_libc(), kernels_active(), points, ROWS,
                               labels, &err),
              &err);
}

/* The mean squared distance of rows from what they were given. */
static double error_of(const struct kmeans *k)
{
    const struct centroids *c = kmeans_centroids(k);
    double sum = 0;

    assign(k);
    for (uint32_t i = 0; i < ROWS; i++)
        sum += kernels_active()->dense_l2_f32(vectors + (size_t)i * DIM,
                                              c->vectors + (size_t)labels[i] * DIM, DIM);
    return sum / ROWS;
}

static void finds_the_clusters_that_there_are(void **state)
{
    struct error err = {0};
    struct kmeans *k;

    (void)state;
    make_rows(0.1f);
    const struct kmeans_desc desc = desc_of(alloc_libc(), 4 * CENTERS);
    assert_ok(run_all(&desc, false, &k, &err), &err);
    assert_true(error_of(k) < 3 * 0.01 * DIM);
    kmeans_destroy(k);
}

/* With groups or without: about as good, and nearly every row is with the nearest. */
static void groups_lose_little(void **state)
{
    struct error err = {0};
    struct kmeans *k;

    (void)state;
    make_rows(1);
    const struct kmeans_desc flat = desc_of(alloc_libc(), KMEANS_FLAT_MAX);
    assert_ok(run_all(&flat, false, &k, &err), &err);
    double flat_error = error_of(k);
    assert_null(kmeans_centroids(k)->groups);
    kmeans_destroy(k);
    const struct kmeans_desc grouped = desc_of(alloc_libc(), KMEANS_FLAT_MAX + 200);
    assert_ok(run_all(&grouped, false, &k, &err), &err);
    assert_non_null(kmeans_centroids(k)->groups);
    assert_true(error_of(k) < flat_error * 1.05);
    uint32_t misplaced = 0;
    const struct centroids *c = kmeans_centroids(k);
    for (uint32_t i = 0; i < ROWS; i++) {
        float distances[KMEANS_FLAT_MAX + 200];
        kernels_active()->dense_l2_many_f32(vectors + (size_t)i * DIM, c->vectors,
                                            DIM * sizeof(float), c->count, DIM, distances);
        for (uint32_t j = 0; j < c->count; j++)
            if (distances[j] < distances[labels[i]] * 0.999f) {
                misplaced++;
                break;
            }
    }
    assert_true(misplaced < ROWS / 20);
    kmeans_destroy(k);
}

static void leaves_no_cluster_empty(void **state)
{
    static const uint32_t counts[] = {1, 2, 100, KMEANS_FLAT_MAX + 50};
    static uint32_t sizes[KMEANS_FLAT_MAX + 50];

    (void)state;
    make_rows(0.5f);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct error err = {0};
        struct kmeans *k;
        uint32_t empty = 0;
        const struct kmeans_desc desc = desc_of(alloc_libc(), counts[i]);
        assert_ok(run_all(&desc, false, &k, &err), &err);
        assign(k);
        memset(sizes, 0, sizeof sizes);
        for (uint32_t row = 0; row < ROWS; row++) sizes[labels[row]]++;
        for (uint32_t c = 0; c < counts[i]; c++) empty += sizes[c] == 0;
        assert_true(empty <= counts[i] / 50);
        kmeans_destroy(k);
    }
}

static void is_the_same_in_any_order_and_from_any_source(void **state)
{
    static const uint32_t counts[] = {60, KMEANS_FLAT_MAX + 10};

    (void)state;
    make_rows(1);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (int spherical = 0; spherical < 2; spherical++) {
            struct kmeans_desc desc = desc_of(alloc_libc(), counts[i]);
            struct error err = {0};
            struct kmeans *a = NULL, *b = NULL;
            desc.is_spherical = spherical;
            assert_ok(run_all(&desc, false, &a, &err), &err);
            desc.vectors = &one_by_one;
            assert_ok(run_all(&desc, true, &b, &err), &err);
            assert_memory_equal(kmeans_centroids(a)->vectors, kmeans_centroids(b)->vectors,
                                counts[i] * DIM * sizeof(float));
            for (uint32_t c = 0; c < counts[i] && spherical; c++)
                assert_true(
                    fabsf(dense_norm_f32(kernels_active(),
                                         kmeans_centroids(a)->vectors + (size_t)c * DIM, DIM) -
                          1) < 1e-5f);
            kmeans_destroy(a);
            kmeans_destroy(b);
        }
}

static void takes_as_many_clusters_as_rows_and_rows_without_direction(void **state)
{
    (void)state;
    for (int alike = 0; alike < 2; alike++) {
        struct kmeans_desc desc = desc_of(alloc_libc(), 1500);
        struct error err = {0};
        struct kmeans *k;
        make_rows(1);
        if (alike) memset(vectors, 0, sizeof vectors);
        if (alike) memset(norms, 0, sizeof norms);
        desc.row_count = 1500;
        desc.is_spherical = alike;
        assert_ok(run_all(&desc, false, &k, &err), &err);
        assign(k);
        kmeans_destroy(k);
    }
}

static int train(void *ctx, struct error *err)
{
    const struct kmeans_desc *desc = ctx;
    struct kmeans *k;

    if (run_all(desc, false, &k, err) != 0) return -1;
    kmeans_destroy(k);
    return 0;
}

static void gives_memory_back_when_there_is_none(void **state)
{
    struct alloc *a = alloc_create(NULL, 0);
    struct kmeans_desc desc = desc_of(a, KMEANS_FLAT_MAX + 1);

    (void)state;
    make_rows(1);
    desc.vectors = &one_by_one;
    desc.row_count = KMEANS_FLAT_MAX + 100;
    desc.is_spherical = true;
    oom_sweep(a, train, &desc);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(finds_the_clusters_that_there_are),
    cmocka_unit_test(groups_lose_little),
    cmocka_unit_test(leaves_no_cluster_empty),
    cmocka_unit_test(is_the_same_in_any_order_and_from_any_source),
    cmocka_unit_test(takes_as_many_clusters_as_rows_and_rows_without_direction),
    cmocka_unit_test(gives_memory_back_when_there_is_none),
};
TEST_MAIN(tests)
