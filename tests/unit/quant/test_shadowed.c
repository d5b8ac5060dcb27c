/* SPDX-License-Identifier: Apache-2.0 */
/* What a shadow tells of a row is never above its distance, whatever the data, and not far below
 * where the data is ordinary: at every level, for every metric. */
#include <float.h>
#include <math.h>

#include "base/rng.h"
#include "quant/quantizer.h"
#include "support/test.h"

enum { DIM_MAX = 1100, ROWS = 120, STRIDE_MAX = (DIM_MAX + 63) / 64 * 64, ROOM = 8192 };

/* Rows, and their shadow in runs of 50 of which the first row_count are made. */
struct test_rows {
    struct vector_source vectors; /* first */
    struct shadow_source shadow;
    struct simd_kernels kernels;
    float values[ROWS * DIM_MAX];
    float norms[ROWS];
    uint8_t codes[ROWS * STRIDE_MAX];
    float scales[ROWS], errors[ROWS], kept_norms[ROWS];
    uint32_t made_count;
};

static int vectors_of(const struct vector_source *s, uint32_t row, uint32_t row_max,
                      struct vector_run *out, struct error *err)
{
    const struct test_rows *t = (const struct test_rows *)s;
    (void)err;
    *out = (struct vector_run){t->values + (size_t)row * s->dim, t->norms + row, row_max};
    return 0;
}

static void shadow_of(struct shadow_source *s, uint32_t row, uint32_t row_max, uint32_t *make_max,
                      struct shadow_run *out)
{
    (void)make_max;
    struct test_rows *t = (struct test_rows *)((char *)s - offsetof(struct test_rows, shadow));
    uint32_t most = 50 - row % 50, left = row < t->made_count ? t->made_count - row : 0;
    uint32_t count = left < row_max ? left : row_max;
    *out = (struct shadow_run){t->codes + row * code_stride(t->vectors.dim),
                               {t->scales + row, t->errors + row, t->kept_norms + row},
                               count < most ? count : most};
}

enum kind {
    NORMAL,
    UNIFORM,     /* of one sign */
    NEAR,        /* all near to one another, far from zero */
    CONSTANT,    /* all components of all rows alike */
    SPARSE,      /* one component rules */
    ZEROS,       /* half of the rows */
    HUGE_VALUES, /* beyond what can be told of, here and there */
    TINY,
    DENORMAL,
    OVERFLOWING, /* products are infinite, or NaN */
    MIXED,       /* each component of a size of its own */
    SIZES,       /* each row of a size of its own */
    KIND_COUNT
};

static float draw(struct rng *r, enum kind kind, uint32_t row, uint32_t i)
{
    float normal = rng_normal(r);
    switch (kind) {
    case NORMAL:
        return normal;
    case UNIFORM:
        return (float)rng_unit(r);
    case NEAR:
        return 10 + (float)(i % 7) + normal * 0x1p-12f;
    case CONSTANT:
        return 0.3f;
    case SPARSE:
        return i == row % 5 ? 100 : normal * 0.01f;
    case ZEROS:
        return row % 2 ? 0 : normal;
    case HUGE_VALUES:
        return normal * (row % 3 ? 1e11f : 1e14f);
    case TINY:
        return normal * (row % 3 ? 1e-11f : 1e-14f);
    case DENORMAL:
        return normal * 1e-40f;
    case OVERFLOWING:
        return normal > 0 ? 3e38f : -3e38f;
    case MIXED:
        return ldexpf(normal, (int)rng_below(r, 40) - 20);
    case SIZES:
        return ldexpf(normal, (int)(row * 7 % 80) - 40);
    default:
        fail();
        return 0;
    }
}

static void set_up(struct test_rows *t, struct rng *r, enum simd_level level, enum kind kind,
                   uint32_t dim)
{
    memset(t, 0, sizeof *t);
    assert_true(kernels_of_level(level, &t->kernels));
    t->vectors = (struct vector_source){.run = vectors_of, .dim = dim};
    t->shadow.run = shadow_of;
    t->made_count = ROWS;
    for (uint32_t row = 0; row < ROWS; row++) {
        float *to = t->values + (size_t)row * dim;
        for (uint32_t i = 0; i < dim; i++) to[i] = draw(r, kind, row, i);
        t->norms[row] = dense_norm_f32(&t->kernels, to, dim);
    }
    struct shadow_rows rows = {t->codes, t->scales, t->errors, t->kept_norms};
    shadow_pack(&t->kernels, t->values, t->norms, ROWS, dim, &rows);
}

static struct oracle *make_oracle(void *memory, struct test_rows *t, unsigned metric,
                                  const float *query)
{
    struct oracle_desc desc = {
        .kernels = &t->kernels,
        .query = {query, dense_norm_f32(&t->kernels, query, t->vectors.dim)},
        .vectors = &t->vectors,
        .shadow = &t->shadow,
        .metric = (enum metric)metric,
    };
    assert_true(quantizer_shadowed.oracle_bytes(t->vectors.dim) <= ROOM);
    return quantizer_shadowed.oracle_init(memory, &desc);
}

/* Nothing nominated is above its distance. */
static void check_query(struct test_rows *t, const float *query)
{
    static _Alignas(64) uint8_t memory[ROOM];
    float bounds[ROWS], distances[ROWS];
    struct error err = {0};
    for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
        if (metric_find(metric)->value == METRIC_VALUE_MEASURE) continue;
        struct oracle *o = make_oracle(memory, t, metric, query);
        oracle_nominate(o, 0, ROWS, bounds);
        assert_ok(oracle_scan(o, 0, ROWS, distances, &err), &err);
        for (uint32_t row = 0; row < ROWS; row++)
            if (!(bounds[row] <= distances[row]))
                fail_msg("%s, metric %u, dim %u, row %u: %a is above %a",
                         cpu_level_name(t->kernels.level), metric, t->vectors.dim, row,
                         (double)bounds[row], (double)distances[row]);
    }
}

/* The direction in which the row's codes are wrong, as long as asked for: the worst query. */
static void worst_query(const struct test_rows *t, uint32_t row, float length, float *out)
{
    uint32_t dim = t->vectors.dim;
    const float *x = t->values + (size_t)row * dim;
    const uint8_t *codes = t->codes + row * code_stride(dim);
    double norm = 0;
    for (uint32_t i = 0; i < dim; i++) {
        out[i] = x[i] - t->scales[row] * (float)(codes[i] - CODE_ZERO);
        norm += (double)out[i] * (double)out[i];
    }
    for (uint32_t i = 0; i < dim; i++)
        out[i] = norm > 0 ? (float)((double)out[i] * (double)length / sqrt(norm)) : length;
}

static void check_kind(struct rng *r, enum simd_level level, enum kind kind, uint32_t dim)
{
    static struct test_rows t;
    static float query[DIM_MAX], worst[DIM_MAX];
    set_up(&t, r, level, kind, dim);
    for (int round = 0; round < 6; round++) {
        uint32_t row = (uint32_t)rng_below(r, ROWS);
        for (uint32_t i = 0; i < dim; i++) query[i] = draw(r, kind, round % 3 ? row : 1, i);
        check_query(&t, query);
        check_query(&t, t.values + (size_t)row * dim); /* one of the rows */
        for (int sign = -1; sign <= 1; sign += 2) {
            worst_query(&t, row, sign < 0 ? -t.norms[row] : 3, worst);
            check_query(&t, worst);
            for (uint32_t i = 0; i < dim; i++) /* and with some of the row in it */
                worst[i] = 0.01f * worst[i] + t.values[(size_t)row * dim + i];
            check_query(&t, worst);
        }
    }
}

static void no_bound_is_above_its_distance(void **state)
{
    (void)state;
    static const uint32_t dims[] = {1, 3, 16, 64, 65, 100, 384, DIM_MAX};
    struct rng r;
    rng_init(&r, test_seed(31));
    for (enum simd_level level = 0; level < SIMD_LEVEL_COUNT; level++) {
        struct simd_kernels kernels;
        if (!kernels_of_level(level, &kernels)) continue;
        for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++)
            for (int kind = 0; kind < KIND_COUNT; kind++)
                check_kind(&r, level, (enum kind)kind, dims[i]);
    }
}

/* Of normal rows the codes are off by less than a hundredth of their length, and so are products;
 * near to a row the squared distance is known better than that. */
static void bounds_are_near_to_their_distances(void **state)
{
    (void)state;
    static struct test_rows t;
    static _Alignas(64) uint8_t memory[ROOM];
    static float query[DIM_MAX];
    float bounds[ROWS], distances[ROWS];
    struct error err = {0};
    struct rng r;
    rng_init(&r, test_seed(32));
    for (enum simd_level level = 0; level < SIMD_LEVEL_COUNT; level++) {
        struct simd_kernels kernels;
        if (!kernels_of_level(level, &kernels)) continue;
        set_up(&t, &r, level, NORMAL, 384);
        for (uint32_t i = 0; i < 384; i++) query[i] = t.values[7 * 384 + i] + 0.1f * rng_normal(&r);
        for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
            enum metric_value value = metric_find(metric)->value;
            if (value == METRIC_VALUE_MEASURE) continue;
            struct oracle *o = make_oracle(memory, &t, metric, query);
            assert_int_equal(oracle_ready(o, 0, ROWS), 50);
            oracle_nominate(o, 0, ROWS, bounds);
            assert_ok(oracle_scan(o, 0, ROWS, distances, &err), &err);
            float unit = value == METRIC_VALUE_ANGLE      ? 1
                         : value == METRIC_VALUE_DISTANCE ? 2 * 384.0f
                                                          : 384.0f;
            for (uint32_t row = 0; row < ROWS; row++)
                assert_true(distances[row] - bounds[row] < 0.013f * unit);
            assert_true(distances[7] - bounds[7] < 0.005f * unit);
        }
    }
}

/* Codes tell of products, and so of no distance that is not made of them. */
static void measures_are_scanned(void **state)
{
    (void)state;
    static struct test_rows t;
    static _Alignas(64) uint8_t memory[ROOM];
    float distances[ROWS], query[64];
    struct error err = {0};
    struct rng r;
    rng_init(&r, test_seed(35));
    set_up(&t, &r, kernels_active()->level, NORMAL, 64);
    for (int i = 0; i < 64; i++) query[i] = 1;
    for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
        if (metric_find(metric)->value != METRIC_VALUE_MEASURE) continue;
        struct oracle *o = make_oracle(memory, &t, metric, query);
        assert_int_equal(oracle_ready(o, 0, ROWS), 0);
        assert_ok(oracle_scan(o, 0, ROWS, distances, &err), &err);
        for (uint32_t row = 0; row < ROWS; row++)
            assert_true(distances[row] == metric_kernels((enum metric)metric, &t.kernels)
                                              .pair(query, t.values + (size_t)row * 64, 64));
    }
}

/* Rows that are not made, and queries out of range, are not told of. */
static void what_is_not_known_is_not_told(void **state)
{
    (void)state;
    static struct test_rows t;
    static _Alignas(64) uint8_t memory[ROOM];
    float bounds[ROWS], query[64] = {0};
    struct rng r;
    rng_init(&r, test_seed(33));
    set_up(&t, &r, kernels_active()->level, NORMAL, 64);
    t.made_count = 70;
    for (int i = 0; i < 64; i++) query[i] = 1;
    struct oracle *o = make_oracle(memory, &t, METRIC_L2, query);
    assert_int_equal(oracle_ready(o, 0, ROWS), 50);
    assert_int_equal(oracle_ready(o, 0, 20), 20);
    assert_int_equal(oracle_ready(o, 50, ROWS - 50), 20);
    assert_int_equal(oracle_ready(o, 70, ROWS - 70), 0);
    const float lengths[] = {0, 1e-20f, 1e20f};
    for (size_t i = 0; i < 3; i++) {
        for (int k = 0; k < 64; k++) query[k] = lengths[i];
        o = make_oracle(memory, &t, METRIC_COSINE, query);
        assert_int_equal(oracle_ready(o, 0, ROWS), 0);
        oracle_nominate(o, 0, 60, bounds);
        for (uint32_t row = 0; row < 60; row++) assert_true(bounds[row] == -INFINITY);
    }
}

/* Rows packed for many queries are told of as they are for each alone; a query that is out of range
 * knows nothing among others. */
static void packed_rows_have_the_same_bounds(void **state)
{
    enum { ORACLES = ORACLE_BLOCK_MAX, PACKED_BYTES = 64 << 10 };
    (void)state;
    static struct test_rows t;
    static _Alignas(64) uint8_t memory[ORACLES][ROOM], packed[PACKED_BYTES];
    static float queries[ORACLES][200];
    struct oracle *oracles[ORACLES];
    float bounds[ORACLES][ROWS], alone[ROWS], *place[ORACLES];
    const uint32_t dims[] = {1, 64, 130, 200};
    struct rng r;
    rng_init(&r, test_seed(35));
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        set_up(&t, &r, kernels_active()->level, NORMAL, dims[i]);
        t.made_count = 110;
        for (size_t q = 0; q < ORACLES; q++) {
            for (uint32_t j = 0; j < dims[i]; j++) queries[q][j] = q == 3 ? 0 : 1 + rng_normal(&r);
            oracles[q] = make_oracle(memory[q], &t, 1 + (unsigned)q % 3, queries[q]);
            place[q] = bounds[q];
        }
        uint32_t first = 7 * (uint32_t)i;
        uint32_t count = oracle_pack(oracles[0], first, 110 - first, packed, PACKED_BYTES);
        if (!t.kernels.panels_pay) assert_int_equal(count, 0);
        if (count == 0) continue;
        assert_int_equal(count, 50 - first);
        oracle_nominate_packed(oracles, ORACLES, packed, first, count, place);
        for (size_t q = 0; q < ORACLES; q++) {
            oracle_nominate(oracles[q], first, count, alone);
            assert_memory_equal(bounds[q], alone, count * sizeof(float));
        }
        assert_int_equal(oracle_pack(oracles[0], 0, 50, packed, 32 * 63), 0); /* no room */
    }
}

static void without_a_shadow_it_is_an_oracle_like_any(void **state)
{
    (void)state;
    static struct test_rows t;
    static _Alignas(64) uint8_t memory[ROOM];
    float query[64];
    struct rng r;
    rng_init(&r, test_seed(34));
    set_up(&t, &r, kernels_active()->level, NORMAL, 64);
    for (int i = 0; i < 64; i++) query[i] = rng_normal(&r);
    struct oracle_desc desc = {.kernels = &t.kernels,
                               .query = {query, dense_norm_f32(&t.kernels, query, 64)},
                               .vectors = &t.vectors,
                               .metric = METRIC_L2};
    struct oracle *o = quantizer_shadowed.oracle_init(memory, &desc);
    float distance;
    struct error err = {0};
    uint32_t row = 9;
    assert_int_equal(oracle_ready(o, 0, ROWS), 0);
    assert_ok(oracle_gather(o, &row, 1, &distance, &err), &err);
    assert_true(distance == t.kernels.dense_l2_f32(query, t.values + 9 * 64, 64));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(no_bound_is_above_its_distance),
    cmocka_unit_test(bounds_are_near_to_their_distances),
    cmocka_unit_test(measures_are_scanned),
    cmocka_unit_test(what_is_not_known_is_not_told),
    cmocka_unit_test(packed_rows_have_the_same_bounds),
    cmocka_unit_test(without_a_shadow_it_is_an_oracle_like_any),
};

TEST_MAIN(tests)
