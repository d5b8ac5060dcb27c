/* SPDX-License-Identifier: Apache-2.0 */
/* Products of codes of any number of bits and sums of tables are exact integers at every level; the
 * rotation keeps lengths and angles, mixes everything, and is the same bits everywhere. */
#include <math.h>

#include "base/limits.h"
#include "base/rng.h"
#include "simd/kernels.h"
#include "support/test.h"

enum { ROWS = 5 };

static const size_t dims[] = {64, 128, 192, 384, 448, 768, 1024, 1088, 1536, 4096, 32768};
enum { DIM_COUNT = sizeof dims / sizeof dims[0] };

static void for_each_level(void (*body)(const struct simd_kernels *k))
{
    for (enum simd_level level = 0; level < SIMD_LEVEL_COUNT; level++) {
        struct simd_kernels kernels;
        if (kernels_of_level(level, &kernels)) body(&kernels);
    }
}

static void put_bit(uint8_t *at, size_t bit, unsigned value)
{
    at[bit / 8] = (uint8_t)((at[bit / 8] & ~(1u << (bit % 8))) | value << (bit % 8));
}

/* The layout of the sheet, bit by bit. */
static void put_code(uint8_t *row, unsigned bits, size_t component, unsigned code)
{
    uint8_t *chunk = row + component / 64 * 8 * bits;
    size_t j = component % 64, low = 0;
    if (bits == 8) {
        chunk[j] = (uint8_t)code;
        return;
    }
    if (bits & 4) {
        for (size_t k = 0; k < 4; k++) put_bit(chunk, j % 32 * 8 + j / 32 * 4 + k, code >> k & 1u);
        chunk += 32;
        low = 4;
    }
    if (bits & 2) {
        for (size_t k = 0; k < 2; k++)
            put_bit(chunk, j % 16 * 8 + j / 16 * 2 + k, code >> (low + k) & 1u);
        chunk += 16;
        low += 2;
    }
    if (bits & 1) put_bit(chunk, j, code >> low & 1u);
}

/* is_short: the query has low digits alone. */
static void check_products(const struct simd_kernels *k, struct rng *r, size_t dim, unsigned bits,
                           bool is_short, bool is_extreme)
{
    int8_t *digits = aligned_alloc(64, 2 * dim);
    size_t stride = dim / 8 * bits + 4;
    uint8_t *rows = malloc(ROWS * stride);
    int32_t *numbers = malloc(dim * sizeof *numbers), out[ROWS + 1];
    int64_t expected[ROWS] = {0};
    int32_t most = is_short ? CODE_MAX : quant_digits_max(dim);
    assert_true(digits && rows && numbers);
    for (size_t i = 0; i < dim; i++) {
        numbers[i] = is_extreme ? most : (int32_t)rng_below(r, 2 * (uint64_t)most + 1) - most;
        int32_t high = is_short ? 0 : (int32_t)floor((numbers[i] + 64) / 128.0);
        digits[i / 64 * 128 + i % 64] = (int8_t)high;
        digits[i / 64 * 128 + 64 + i % 64] = (int8_t)(numbers[i] - 128 * high);
    }
    for (size_t row = 0; row < ROWS; row++)
        for (size_t i = 0; i < dim; i++) {
            unsigned top = (1u << bits) - 1;
            unsigned code = is_extreme ? top : (unsigned)rng_below(r, top + 1);
            put_code(rows + row * stride, bits, i, code);
            expected[row] += (int64_t)code * numbers[i];
        }
    struct code_query query = {.digits = digits, .stride = dim, .is_short = is_short};
    for (size_t count = 0; count <= ROWS; count++) {
        out[count] = 77;
        k->quant_dot(&query, bits, rows, stride, count, out);
        for (size_t row = 0; row < count; row++) assert_int_equal(out[row], expected[row]);
        assert_int_equal(out[count], 77);
        const uint8_t *places[ROWS];
        for (size_t row = 0; row < count; row++) places[row] = rows + (count - 1 - row) * stride;
        k->quant_gather(&query, bits, places, count, out);
        for (size_t row = 0; row < count; row++)
            assert_int_equal(out[row], expected[count - 1 - row]);
        assert_int_equal(out[count], 77);
    }
    free(digits);
    free(rows);
    free(numbers);
}

static void check_all_products(const struct simd_kernels *k)
{
    struct rng r;
    rng_init(&r, 7);
    for (size_t i = 0; i < DIM_COUNT; i++)
        for (unsigned bits = 1; bits <= QUANT_BITS_MAX; bits++) {
            check_products(k, &r, dims[i], bits, false, false);
            check_products(k, &r, dims[i], bits, false, true);
            if (bits > 4) continue;
            check_products(k, &r, dims[i], bits, true, false);
            check_products(k, &r, dims[i], bits, true, true);
        }
}

static void products_are_exact_integers(void **state)
{
    (void)state;
    for_each_level(check_all_products);
}

static void check_sums(const struct simd_kernels *k, struct rng *r, size_t dim, bool is_extreme)
{
    size_t groups = dim / QUANT_GROUP;
    uint8_t *tables = aligned_alloc(64, groups * 16), *codes = malloc(groups * 16 + 1);
    int32_t out[QUANT_BLOCK + 1], expected[QUANT_BLOCK] = {0};
    assert_true(tables && codes);
    uint8_t *at = codes + 1;
    for (size_t i = 0; i < groups * 16; i++) {
        tables[i] = is_extreme ? 255 : (uint8_t)rng_below(r, 256);
        at[i] = (uint8_t)rng_below(r, 256);
    }
    for (size_t g = 0; g < groups; g++)
        for (size_t row = 0; row < QUANT_BLOCK; row++)
            expected[row] += tables[g * 16 + (at[g * 16 + row % 16] >> (row / 16 * 4) & 15)];
    out[QUANT_BLOCK] = 77;
    k->quant_scan(tables, at, groups, out);
    for (size_t row = 0; row < QUANT_BLOCK; row++) assert_int_equal(out[row], expected[row]);
    assert_int_equal(out[QUANT_BLOCK], 77);
    free(tables);
    free(codes);
}

static void check_all_sums(const struct simd_kernels *k)
{
    struct rng r;
    rng_init(&r, 8);
    for (size_t i = 0; i < DIM_COUNT; i++) {
        check_sums(k, &r, dims[i], false);
        check_sums(k, &r, dims[i], true);
    }
}

static void sums_of_tables_are_exact_integers(void **state)
{
    (void)state;
    for_each_level(check_all_sums);
}

/* Exactly as the sheet says: the numbers are such that nothing is rounded. */
static void check_near(const struct simd_kernels *k)
{
    struct rng r;
    rng_init(&r, 11);
    for (int round = 0; round < 200; round++) {
        struct quant_reading reading = {.base = 3, .step = 0.5f, .shift = -7, .width = 2};
        int32_t sums[QUANT_BLOCK];
        float adds[QUANT_BLOCK], muls[QUANT_BLOCK];
        uint32_t expected = 0;
        reading.limit = (float)rng_below(&r, 64) - 32;
        for (size_t i = 0; i < QUANT_BLOCK; i++) {
            sums[i] = (int32_t)rng_below(&r, 1000);
            adds[i] = i == 5 ? INFINITY : i == 6 ? -INFINITY : (float)rng_below(&r, 9);
            muls[i] = i == 7 ? NAN : (float)rng_below(&r, 9) / 4 - 1;
            double distance = 3 + (double)adds[i] + (double)muls[i] * (0.5 * sums[i] - 7);
            double limit = (double)reading.limit + 2 * fabs((double)muls[i]);
            expected |= (uint32_t)(distance <= limit) << i;
        }
        assert_int_equal(k->quant_near(&reading, sums, adds, muls), expected);
    }
}

static void rows_are_near_by_their_own_limits(void **state)
{
    (void)state;
    for_each_level(check_near);
}

static double dot(const float *a, const float *b, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static void check_rotation(const struct simd_kernels *k, struct rng *r, size_t dim)
{
    enum { ROUNDS = 4 };
    struct simd_kernels serial;
    float *a = malloc(dim * sizeof *a), *b = malloc(dim * sizeof *b),
          *same = malloc(dim * sizeof *a);
    uint64_t *signs = malloc(ROUNDS * dim / 8);
    assert_true(a && b && same && signs && kernels_of_level(SIMD_SERIAL, &serial));
    rng_bytes(r, signs, ROUNDS * dim / 8);
    for (size_t i = 0; i < dim; i++) {
        a[i] = i == 3 ? 1 : 0; /* all of it in one place */
        b[i] = rng_normal(r);
    }
    double a_b = dot(a, b, dim), b_b = dot(b, b, dim);
    memcpy(same, b, dim * sizeof *b);
    k->quant_rotate(a, dim, signs, ROUNDS);
    k->quant_rotate(b, dim, signs, ROUNDS);
    serial.quant_rotate(same, dim, signs, ROUNDS);
    assert_memory_equal(b, same, dim * sizeof *b);
    assert_true(fabs(dot(a, a, dim) - 1) < 1e-5);
    assert_true(fabs(dot(b, b, dim) - b_b) < 1e-5 * b_b);
    assert_true(fabs(dot(a, b, dim) - a_b) < 1e-5 * sqrt(b_b));
    double most = 0;
    for (size_t i = 0; i < dim; i++) most = fmax(most, fabs((double)a[i]));
    assert_true(most < 7 / sqrt((double)dim)); /* nothing of it stays in one place */
    free(a);
    free(b);
    free(same);
    free(signs);
}

static void check_all_rotations(const struct simd_kernels *k)
{
    struct rng r;
    rng_init(&r, 9);
    for (size_t i = 0; i < DIM_COUNT; i++) check_rotation(k, &r, dims[i]);
}

static void rotation_keeps_lengths_and_angles(void **state)
{
    (void)state;
    for_each_level(check_all_rotations);
}

static void check_signs(const struct simd_kernels *k, struct rng *r, size_t dim)
{
    float *x = malloc(dim * sizeof *x), *c = malloc(dim * sizeof *c);
    uint64_t *bits = malloc(dim / 8);
    struct quant_signs out;
    double square = 0, length = 0, part = 0, sign = 0, parts = 0, centers = 0;
    assert_true(x && c && bits);
    for (size_t i = 0; i < dim; i++) {
        c[i] = rng_normal(r);
        x[i] = i % 7 ? c[i] + rng_normal(r) : c[i];
    }
    k->quant_sign(x, c, dim, bits, &out);
    for (size_t i = 0; i < dim; i++) {
        float rest = x[i] - c[i];
        assert_int_equal(bits[i / 64] >> (i % 64) & 1, rest >= 0);
        square += (double)rest * (double)rest;
        length += fabs((double)rest);
        part += (double)c[i] * (double)rest;
        parts += fabs((double)c[i] * (double)rest);
        sign += rest >= 0 ? (double)c[i] : -(double)c[i];
        centers += fabs((double)c[i]);
    }
    double factor = dense_f32_error_factor(dim);
    assert_true(fabs((double)out.square - square) <= factor * square);
    assert_true(fabs((double)out.length - length) <= factor * length);
    assert_true(fabs((double)out.center_part - part) <= factor * parts);
    assert_true(fabs((double)out.center_sign - sign) <= factor * centers);
    free(x);
    free(c);
    free(bits);
}

static void check_all_signs(const struct simd_kernels *k)
{
    struct rng r;
    rng_init(&r, 10);
    for (size_t i = 0; i < DIM_COUNT; i++) check_signs(k, &r, dims[i]);
}

static void signs_are_those_of_the_residual(void **state)
{
    (void)state;
    for_each_level(check_all_signs);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(products_are_exact_integers),
    cmocka_unit_test(sums_of_tables_are_exact_integers),
    cmocka_unit_test(rows_are_near_by_their_own_limits),
    cmocka_unit_test(rotation_keeps_lengths_and_angles),
    cmocka_unit_test(signs_are_those_of_the_residual),
};

TEST_MAIN(tests)
