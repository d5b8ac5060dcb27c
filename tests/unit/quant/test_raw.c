/* SPDX-License-Identifier: Apache-2.0 */
/* Distances of unquantized vectors are the values of the one-pair kernel, however asked for. */
#include <math.h>

#include "base/rng.h"
#include "quant/narrow_rows.h"
#include "quant/quantizer.h"
#include "support/metric_distance.h"
#include "support/test.h"

enum { DIM_MAX = 150, ROWS = 300, RUN_ROWS = 37, ROOM = 1024 };

/* Rows in runs of RUN_ROWS, each at a place of its own. */
struct test_source {
    struct vector_source base; /* first */
    float vectors[ROWS * (DIM_MAX + 3)];
    float norms[ROWS];
    uint32_t broken_row; /* reading it fails */
};

static size_t place_of(const struct test_source *t, uint32_t row)
{
    return (size_t)row * t->base.dim + row / RUN_ROWS;
}

static int run_of(const struct vector_source *s, uint32_t row, uint32_t row_max,
                  struct vector_run *out, struct error *err)
{
    const struct test_source *t = (const struct test_source *)s;
    uint32_t left = RUN_ROWS - row % RUN_ROWS;
    *out = (struct vector_run){t->vectors + place_of(t, row), t->norms + row,
                               left < row_max ? left : row_max};
    if (t->broken_row >= row && t->broken_row < row + out->row_count)
        return error_set(err, LYNSE_CORRUPT, "row %u is damaged", t->broken_row);
    return 0;
}

static void set_up(struct test_source *t, struct rng *r, uint32_t dim)
{
    *t = (struct test_source){.base = {run_of, dim}, .broken_row = UINT32_MAX};
    for (uint32_t row = 0; row < ROWS; row++) {
        float *vector = t->vectors + place_of(t, row);
        for (uint32_t i = 0; i < dim; i++) vector[i] = row % 50 == 7 ? 0 : rng_normal(r);
        t->norms[row] = dense_norm_f32(kernels_active(), vector, dim);
    }
}

static float distance_of(const struct test_source *t, enum metric metric, const float *query,
                         uint32_t row)
{
    return metric_distance(metric, query, t->vectors + place_of(t, row), t->base.dim);
}

static struct oracle *make_oracle(void *memory, const struct test_source *t, enum metric metric,
                                  const float *query)
{
    struct oracle_desc desc = {
        .kernels = kernels_active(),
        .query = {query, dense_norm_f32(kernels_active(), query, t->base.dim)},
        .vectors = &t->base,
        .metric = metric,
    };
    assert_true(quantizer_raw.oracle_bytes(t->base.dim) <= ROOM);
    return quantizer_raw.oracle_init(memory, &desc);
}

static void check_metric(struct rng *r, const struct test_source *t, enum metric metric)
{
    struct error err = {0};
    _Alignas(64) uint8_t memory[ROOM];
    float query[DIM_MAX], out[ROWS];
    uint32_t rows[ROWS];
    for (uint32_t i = 0; i < t->base.dim; i++) query[i] = rng_normal(r);
    struct oracle *o = make_oracle(memory, t, metric, query);
    assert_int_equal(o->row_bytes, t->base.dim * sizeof(float));

    for (int round = 0; round < 20; round++) {
        uint32_t first = (uint32_t)rng_below(r, ROWS);
        uint32_t count = (uint32_t)rng_below(r, ROWS - first + 1);
        assert_ok(oracle_scan(o, first, count, out, &err), &err);
        for (uint32_t i = 0; i < count; i++) {
            float expected = distance_of(t, metric, query, first + i);
            assert_memory_equal(&out[i], &expected, sizeof expected);
        }
        for (uint32_t i = 0; i < count; i++) rows[i] = (uint32_t)rng_below(r, ROWS);
        assert_ok(oracle_gather(o, rows, count, out, &err), &err);
        for (uint32_t i = 0; i < count; i++) {
            float expected = distance_of(t, metric, query, rows[i]);
            assert_memory_equal(&out[i], &expected, sizeof expected);
        }
    }
}

static void distances_are_those_of_the_pair_kernel(void **state)
{
    (void)state;
    static struct test_source t;
    struct rng r;
    const uint32_t dims[] = {1, 3, 16, 33, 128, 150};
    rng_init(&r, test_seed(1));
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        set_up(&t, &r, dims[i]);
        for (unsigned metric = 1; metric <= METRIC_MAX; metric++)
            check_metric(&r, &t, (enum metric)metric);
    }
}

/* Rows of bits, in runs too. */
struct bit_source {
    struct vector_source base; /* first */
    float vectors[ROWS * DIM_MAX];
    float norms[ROWS];
    uint64_t rows[ROWS * ((DIM_MAX + 63) / 64)];
};

static int bit_run_of(const struct vector_source *s, uint32_t row, uint32_t row_max,
                      struct row_run *out, struct error *err)
{
    const struct bit_source *t = (const struct bit_source *)s;
    uint32_t left = RUN_ROWS - row % RUN_ROWS;
    (void)err;
    *out = (struct row_run){(const char *)t->rows + row * storage_row_bytes(STORAGE_BIT, s->dim),
                            t->norms + row, left < row_max ? left : row_max};
    return 0;
}

static void set_up_bits(struct bit_source *t, struct rng *r, uint32_t dim)
{
    *t =
        (struct bit_source){.base = {.dim = dim, .storage = STORAGE_BIT, .run_narrow = bit_run_of}};
    for (uint32_t row = 0; row < ROWS; row++) {
        float *vector = t->vectors + row * dim;
        uint64_t share = row % 50; /* of a hundred; none and few, too */
        for (uint32_t i = 0; i < dim; i++) vector[i] = rng_below(r, 100) < 2 * share;
        t->norms[row] = dense_norm_f32(kernels_active(), vector, dim);
    }
    storage_pack(kernels_active(), STORAGE_BIT, t->vectors, ROWS, dim, t->rows);
}

static void check_bits(struct rng *r, const struct bit_source *t, enum metric metric)
{
    struct error err = {0};
    _Alignas(64) uint8_t memory[ROOM];
    float query[DIM_MAX], scanned[ROWS], gathered[ROWS];
    uint32_t rows[ROWS], dim = t->base.dim;
    for (uint32_t i = 0; i < dim; i++) query[i] = (float)rng_below(r, 100) / 100;
    struct oracle_desc desc = {
        .kernels = kernels_active(),
        .query = {query, dense_norm_f32(kernels_active(), query, dim)},
        .vectors = &t->base,
        .metric = metric,
    };
    struct oracle *o = quantizer_raw.oracle_init(memory, &desc);
    assert_int_equal(o->row_bytes, (dim + 63) / 64 * 8);
    for (uint32_t i = 0; i < ROWS; i++) rows[i] = i;
    assert_ok(oracle_scan(o, 0, ROWS, scanned, &err), &err);
    assert_ok(oracle_gather(o, rows, ROWS, gathered, &err), &err);
    assert_memory_equal(gathered, scanned, sizeof scanned);
    for (uint32_t i = 0; i < ROWS; i++) {
        float expected = metric_distance(metric, query, t->vectors + i * dim, dim);
        assert_memory_equal(&scanned[i], &expected, sizeof expected);
    }
}

/* By a fraction of the bytes, whatever the metric. */
static void rows_of_bits_are_as_far_as_the_floats_that_they_mean(void **state)
{
    (void)state;
    static struct bit_source t;
    struct rng r;
    const uint32_t dims[] = {1, 2, 63, 64, 65, 128, 150};
    rng_init(&r, test_seed(4));
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        set_up_bits(&t, &r, dims[i]);
        for (unsigned metric = 1; metric <= METRIC_MAX; metric++)
            check_bits(&r, &t, (enum metric)metric);
    }
}

static void an_overflow_is_far_away_and_not_nan(void **state)
{
    (void)state;
    static struct test_source t;
    struct error err = {0};
    _Alignas(64) uint8_t memory[ROOM];
    struct rng r;
    float query[32], out[ROWS];
    const enum metric metrics[] = {METRIC_L2, METRIC_IP, METRIC_COSINE};
    rng_init(&r, 2);
    set_up(&t, &r, 32);
    for (size_t i = 0; i < 32; i++) {
        query[i] = 3e38f;
        t.vectors[i] = i % 2 ? 3e38f : -3e38f; /* both infinities in the sums of any level */
    }
    t.norms[0] = INFINITY;
    for (size_t m = 0; m < 3; m++) {
        uint32_t row = 0;
        struct oracle *o = make_oracle(memory, &t, metrics[m], query);
        assert_ok(oracle_scan(o, 0, ROWS, out, &err), &err);
        for (size_t i = 0; i < ROWS; i++) assert_true(out[i] == out[i]);
        assert_true(out[0] == INFINITY);
        assert_ok(oracle_gather(o, &row, 1, out, &err), &err);
        assert_true(out[0] == INFINITY);
    }
}

static void damage_is_reported(void **state)
{
    (void)state;
    static struct test_source t;
    struct error err = {0};
    _Alignas(64) uint8_t memory[ROOM];
    struct rng r;
    float query[3] = {1, 2, 3}, out[ROWS];
    const uint32_t rows[] = {1, 2, 100};
    rng_init(&r, 3);
    set_up(&t, &r, 3);
    t.broken_row = 100;
    struct oracle *o = make_oracle(memory, &t, METRIC_L2, query);
    assert_fails(oracle_scan(o, 0, ROWS, out, &err), &err, LYNSE_CORRUPT);
    assert_fails(oracle_gather(o, rows, 3, out, &err), &err, LYNSE_CORRUPT);
    assert_ok(oracle_gather(o, rows, 2, out, &err), &err);
}

static void quantizers_are_found_by_number(void **state)
{
    (void)state;
    for (unsigned i = 0; i < QUANTIZER_COUNT; i++) assert_non_null(quantizer_find(i));
    assert_ptr_equal(quantizer_find(QUANTIZER_RAW), &quantizer_raw);
    assert_null(quantizer_find(QUANTIZER_COUNT));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(distances_are_those_of_the_pair_kernel),
    cmocka_unit_test(rows_of_bits_are_as_far_as_the_floats_that_they_mean),
    cmocka_unit_test(an_overflow_is_far_away_and_not_nan),
    cmocka_unit_test(damage_is_reported),
    cmocka_unit_test(quantizers_are_found_by_number),
};
TEST_MAIN(tests)
