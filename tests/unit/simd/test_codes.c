/* SPDX-License-Identifier: Apache-2.0 */
/* Products of codes are exact integers at every level and any dimension; packed rows are as near as
 * their codes can be, and say how near. */
#include <math.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/rng.h"
#include "simd/kernels.h"
#include "support/test.h"

enum { ROWS = 11 };

static const size_t dims[] = {1, 2, 15, 16, 17, 63, 64, 65, 100, 128, 384, 768, 1000, 4096, 32768};
enum { DIM_COUNT = sizeof dims / sizeof dims[0] };

static void for_each_level(void (*body)(const struct simd_kernels *k))
{
    for (enum simd_level level = 0; level < SIMD_LEVEL_COUNT; level++) {
        struct simd_kernels kernels;
        if (kernels_of_level(level, &kernels)) body(&kernels);
    }
}

static int32_t draw(struct rng *r, int32_t most, int extreme)
{
    if (extreme) return extreme < 0 ? -most : most;
    return (int32_t)rng_below(r, 2 * (uint64_t)most + 1) - most;
}

/* A query of such numbers, in digits. */
static struct code_query make_query(size_t dim, const int32_t *numbers, int8_t *digits)
{
    struct code_query query = {.digits = digits, .stride = code_stride(dim)};
    memset(digits, 0, 2 * query.stride);
    for (size_t i = 0; i < dim; i++) {
        int32_t high = (int32_t)floor((numbers[i] + 64) / 128.0);
        int8_t *at = digits + i / CODE_CHUNK * 2 * CODE_CHUNK + i % CODE_CHUNK;
        at[0] = (int8_t)high;
        at[CODE_CHUNK] = (int8_t)(numbers[i] - 128 * high);
        assert_in_range(high + 64, 0, 127);
        query.zero_sum += (uint32_t)(CODE_ZERO * numbers[i]);
    }
    return query;
}

/* extreme: all at their ends, for the sums with the least room; 0: anything. */
static void check_products(const struct simd_kernels *k, struct rng *r, size_t dim, int extreme)
{
    size_t stride = code_stride(dim);
    int8_t *digits = aligned_alloc(CODE_CHUNK, 2 * stride);
    uint8_t *rows = malloc(ROWS * stride + 1);
    int32_t *numbers = malloc(dim * sizeof *numbers), out[ROWS + 1];
    int64_t expected[ROWS] = {0};
    assert_true(digits && rows && numbers);
    for (size_t i = 0; i < dim; i++) numbers[i] = draw(r, code_digits_max(dim), extreme);
    struct code_query query = make_query(dim, numbers, digits);
    for (size_t row_count = 0; row_count <= ROWS; row_count++) {
        uint8_t *at = rows + row_count % 2; /* rows need no alignment */
        for (size_t i = 0; i < row_count * stride; i++) at[i] = (uint8_t)rng_below(r, 256);
        for (size_t row = 0; row < row_count; row++) {
            expected[row] = 0;
            for (size_t i = 0; i < dim; i++) {
                int32_t code = draw(r, CODE_MAX, row % 2 ? extreme : -extreme);
                at[row * stride + i] = (uint8_t)(code + CODE_ZERO);
                expected[row] += (int64_t)code * numbers[i];
            }
        }
        out[row_count] = 77;
        k->code_dot(&query, at, row_count, out);
        for (size_t row = 0; row < row_count; row++) assert_int_equal(out[row], expected[row]);
        assert_int_equal(out[row_count], 77);
    }
    free(digits);
    free(rows);
    free(numbers);
}

static void check_all_products(const struct simd_kernels *k)
{
    struct rng r;
    rng_init(&r, 5);
    for (size_t i = 0; i < DIM_COUNT; i++)
        for (int extreme = -1; extreme <= 1; extreme++) check_products(k, &r, dims[i], extreme);
}

static void products_are_exact_integers(void **state)
{
    (void)state;
    for_each_level(check_all_products);
}

/* What dot says, of panels of any number of rows and any number of queries. */
static void check_panels(const struct simd_kernels *k, struct rng *r, size_t dim)
{
    enum { QUERIES = 11, PANEL_ROWS_MAX = 70, OUT = 3 * CODE_PANEL_ROWS };
    size_t stride = code_stride(dim);
    uint8_t *rows = malloc(PANEL_ROWS_MAX * stride);
    uint8_t *panels = aligned_alloc(CODE_CHUNK, 3 * code_panel_bytes(stride));
    int8_t *digits = aligned_alloc(CODE_CHUNK, QUERIES * 2 * stride);
    int32_t *numbers = malloc(dim * sizeof *numbers);
    static int32_t out[QUERIES][OUT], expected[PANEL_ROWS_MAX];
    struct code_query queries[QUERIES];
    const struct code_query *list[QUERIES];
    int32_t *place[QUERIES];
    assert_true(rows && panels && digits && numbers);
    for (size_t i = 0; i < PANEL_ROWS_MAX * stride; i++)
        rows[i] = (uint8_t)(1 + rng_below(r, 2 * CODE_MAX + 1));
    for (size_t q = 0; q < QUERIES; q++) {
        for (size_t i = 0; i < dim; i++) numbers[i] = draw(r, code_digits_max(dim), 0);
        queries[q] = make_query(dim, numbers, digits + q * 2 * stride);
        list[q] = &queries[q];
        place[q] = out[q];
    }
    for (size_t row_count = 1; row_count <= PANEL_ROWS_MAX; row_count += 1 + row_count / 5) {
        size_t panel_count = (row_count + CODE_PANEL_ROWS - 1) / CODE_PANEL_ROWS;
        size_t query_count = 1 + row_count % QUERIES;
        memset(panels, 0xee, 3 * code_panel_bytes(stride));
        k->code_panel(rows, stride, row_count, panels);
        k->code_dot_panels(list, query_count, panels, panel_count, place);
        for (size_t q = 0; q < query_count; q++) {
            k->code_dot(&queries[q], rows, row_count, expected);
            assert_memory_equal(out[q], expected, row_count * sizeof *expected);
        }
    }
    free(rows);
    free(panels);
    free(digits);
    free(numbers);
}

static void check_all_panels(const struct simd_kernels *k)
{
    struct rng r;
    rng_init(&r, 7);
    for (size_t i = 0; i < DIM_COUNT; i++)
        if (dims[i] <= 1000) check_panels(k, &r, dims[i]);
}

static void panels_give_the_products_of_their_rows(void **state)
{
    (void)state;
    for_each_level(check_all_panels);
}

static void check_packing(const struct simd_kernels *k, struct rng *r, size_t dim, float unit)
{
    float *row = malloc(dim * sizeof *row);
    uint8_t *codes = malloc(dim + 1);
    struct code_fit fit;
    double rest = 0, norm = 0, along = 0;
    assert_true(row && codes);
    for (size_t i = 0; i < dim; i++) row[i] = rng_normal(r) * unit;
    codes[dim] = 77;
    k->code_pack(row, dim, codes, &fit);
    for (size_t i = 0; i < dim; i++) {
        double near = (double)fit.scale * (codes[i] - CODE_ZERO), e = (double)row[i] - near;
        assert_in_range(codes[i], 1, 255);
        rest += e * e;
        norm += (double)row[i] * (double)row[i];
        along += e * near;
    }
    double slack = 4 * dense_f32_error_factor(dim);
    assert_true(fabs(sqrt(rest) - (double)fit.error) <= slack * (sqrt(rest) + sqrt(norm)));
    assert_true(fabs(along) <= slack * norm);
    /* Half a step a component, a step being a 127th of the largest: of normal numbers that is no
     * more than six times their mean. */
    assert_true(sqrt(rest) <= sqrt(norm) * 6 / CODE_MAX / 2 || dim < 16);
    assert_int_equal(codes[dim], 77);
    free(row);
    free(codes);
}

static void check_all_packing(const struct simd_kernels *k)
{
    struct rng r;
    rng_init(&r, 6);
    for (size_t i = 0; i < DIM_COUNT; i++) {
        check_packing(k, &r, dims[i], 1);
        check_packing(k, &r, dims[i], 1e-12f);
        check_packing(k, &r, dims[i], 1e12f);
    }
}

static void packed_rows_are_near_and_say_how_near(void **state)
{
    (void)state;
    for_each_level(check_all_packing);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(products_are_exact_integers),
    cmocka_unit_test(panels_give_the_products_of_their_rows),
    cmocka_unit_test(packed_rows_are_near_and_say_how_near),
};

TEST_MAIN(tests)
