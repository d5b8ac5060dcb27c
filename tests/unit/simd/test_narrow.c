/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of f16, bf16, i8 and u8 at every level of this machine: what is packed is the nearest, what
 * is widened is the same number, and sums are those of the f32 kernels, bit for bit; the numbers in
 * brackets are the invariants of narrow_kernels.h. */
#include "support/test.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/rng.h"
#include "simd/kernels.h"

enum { DIM_MAX = 1536, ROWS_MAX = 13, SMALL_DIMS = 131, NUMBERS = 65536 };

static const size_t large_dims[] = {255, 256, 257, 383, 384, 768, 1000, DIM_MAX};
enum { DIM_COUNT = SMALL_DIMS + sizeof large_dims / sizeof large_dims[0] };

static size_t dim_at(size_t i)
{
    return i < SMALL_DIMS ? i : large_dims[i - SMALL_DIMS];
}

struct type_info {
    const char *name;
    size_t bytes;
    double (*value)(unsigned bits);
};

static double value_f16(unsigned bits)
{
    int exponent = (int)(bits >> 10 & 0x1f), fraction = (int)(bits & 0x3ff);
    double size = exponent == 0      ? ldexp(fraction, -24)
                  : exponent == 0x1f ? (fraction ? (double)NAN : (double)INFINITY)
                                     : ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -size : size;
}

static double value_bf16(unsigned bits)
{
    int exponent = (int)(bits >> 7 & 0xff), fraction = (int)(bits & 0x7f);
    double size = exponent == 0      ? ldexp(fraction, -133)
                  : exponent == 0xff ? (fraction ? (double)NAN : (double)INFINITY)
                                     : ldexp(128 + fraction, exponent - 134);
    return bits & 0x8000 ? -size : size;
}

static double value_i8(unsigned bits)
{
    return (bits & 0x7f) - (bits & 0x80 ? 128.0 : 0);
}

static double value_u8(unsigned bits)
{
    return bits & 0xff;
}

static const struct type_info types[] = {
#define TYPE_INFO(type, bytes, TYPE) {#type, bytes, value_##type},
    NARROW_TYPES(TYPE_INFO)
#undef TYPE_INFO
};
enum { TYPE_COUNT = sizeof types / sizeof types[0] };

static const struct narrow_kernels *kernels_of_type(const struct simd_kernels *k, size_t type)
{
#define TYPE_KERNELS(type, bytes, TYPE) &k->narrow_##type,
    const struct narrow_kernels *all[] = {NARROW_TYPES(TYPE_KERNELS)};
#undef TYPE_KERNELS
    return all[type];
}

static struct rng chance;

static void for_each_level(uint64_t seed, void (*body)(const struct simd_kernels *k, size_t type))
{
    seed = test_seed(seed);
    for (enum simd_level level = 0; level < SIMD_LEVEL_COUNT; level++) {
        struct simd_kernels kernels;
        if (!kernels_of_level(level, &kernels)) continue;
        for (size_t type = 0; type < TYPE_COUNT; type++) {
            rng_init(&chance, seed);
            body(&kernels, type);
        }
    }
}

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static bool is_same(float a, float b)
{
    return bits_of(a) == bits_of(b) || (isnan(a) && isnan(b));
}

static unsigned number_at(const char *row, size_t type, size_t i)
{
    uint16_t half = 0;
    memcpy(&half, row + i * types[type].bytes, types[type].bytes);
    return half;
}

/* Every number of the type, in order; room for one more. */
static size_t all_numbers(size_t type, char *row)
{
    size_t count = types[type].bytes == 2 ? NUMBERS : 256;
    for (size_t i = 0; i < count; i++) {
        uint16_t half = (uint16_t)i;
        memcpy(row + i * types[type].bytes, &half, types[type].bytes);
    }
    return count;
}

static float wide[NUMBERS + 1];
static char packed[2 * NUMBERS + 2], again[2 * NUMBERS + 2];

static void check_widening(const struct simd_kernels *k, size_t type)
{
    const struct narrow_kernels *narrow = kernels_of_type(k, type);
    size_t count = all_numbers(type, packed), bytes = types[type].bytes;

    wide[count] = 77;
    narrow->widen(packed, count, wide);
    assert_true(wide[count] == 77);
    for (size_t i = 0; i < count; i++)
        assert_true(is_same(wide[i], (float)types[type].value((unsigned)i)));
    memset(again, 77, sizeof again);
    narrow->pack(wide, count, again);
    for (size_t i = 0; i < count; i++)
        if (!isnan(wide[i]))
            assert_int_equal(number_at(again, type, i), number_at(packed, type, i));
        else assert_true(isnan(types[type].value(number_at(again, type, i))));
    assert_int_equal(again[count * bytes], 77);
    for (size_t dim = 0; dim < 40; dim++) { /* tails, and rows that begin anywhere */
        size_t from = rng_below(&chance, count - dim);
        float numbers[41];
        numbers[dim] = 77;
        narrow->widen(packed + from * bytes, dim, numbers);
        for (size_t i = 0; i < dim; i++) assert_true(is_same(numbers[i], wide[from + i]));
        assert_true(numbers[dim] == 77);
        memset(again, 77, sizeof again);
        narrow->pack(wide + from, dim, again + 1);
        for (size_t i = 0; i < dim; i++)
            if (!isnan(wide[from + i]))
                assert_int_equal(number_at(again + 1, type, i), number_at(packed, type, from + i));
        assert_int_equal(again[0], 77);
        assert_int_equal(again[1 + dim * bytes], 77);
    }
}

static void test_every_number_is_widened_exactly_and_packed_back(void **state) /* (2) */
{
    (void)state;
    for_each_level(1, check_widening);
}

/* Between each two neighbours: just below the middle, the middle, just above it. */
static void check_rounding(const struct simd_kernels *k, size_t type)
{
    const struct narrow_kernels *narrow = kernels_of_type(k, type);
    size_t count = types[type].bytes == 2 ? 0x7fff : 255;
    const struct type_info *info = &types[type];

    for (unsigned low = 0; low < count; low++) {
        unsigned high = low + 1;
        if (type > 1 && info->value(high) < info->value(low)) continue; /* 127 and -128 */
        double a = info->value(low), b = info->value(high);
        if (isnan(a) || isnan(b) || isinf(a)) continue;
        if (isinf(b)) b = 2 * a - info->value(low - 1); /* what would be next */
        float middle = (float)((a + b) / 2), floats[3];
        floats[0] = nextafterf(middle, -INFINITY);
        floats[1] = middle;
        floats[2] = nextafterf(middle, INFINITY);
        char row[6];
        narrow->pack(floats, 3, row);
        assert_int_equal(number_at(row, type, 0), low);
        assert_int_equal(number_at(row, type, 1), low % 2 ? high : low);
        assert_int_equal(number_at(row, type, 2), high);
        if (types[type].bytes == 1) continue;
        for (size_t i = 0; i < 3; i++) floats[i] = -floats[i];
        narrow->pack(floats, 3, row);
        assert_int_equal(number_at(row, type, 0), low | 0x8000);
        assert_int_equal(number_at(row, type, 1), (low % 2 ? high : low) | 0x8000);
        assert_int_equal(number_at(row, type, 2), high | 0x8000);
    }
}

static void test_packing_takes_the_nearest_and_the_even_of_two(void **state) /* (2) */
{
    (void)state;
    for_each_level(2, check_rounding);
}

static void check_ends(const struct simd_kernels *k, size_t type)
{
    const struct narrow_kernels *narrow = kernels_of_type(k, type);
    const float floats[] = {INFINITY, -INFINITY, 3.4e38f, -3.4e38f, 1e10f, -1e10f, 1e-45f, -0.0f};
    static const unsigned expected[][8] = {
        {0x7c00, 0xfc00, 0x7c00, 0xfc00, 0x7c00, 0xfc00, 0, 0x8000},
        {0x7f80, 0xff80, 0x7f80, 0xff80, 0x5015, 0xd015, 0, 0x8000},
        {127, 128, 127, 128, 127, 128, 0, 0},
        {255, 0, 255, 0, 255, 0, 0, 0},
    };
    char row[16];

    narrow->pack(floats, 8, row);
    for (size_t i = 0; i < 8; i++) assert_int_equal(number_at(row, type, i), expected[type][i]);
    const float nan = NAN;
    narrow->pack(&nan, 1, row);
    if (types[type].bytes == 2) assert_true(isnan(types[type].value(number_at(row, type, 0))));
}

static void test_what_is_too_large_becomes_an_end(void **state) /* (2) */
{
    (void)state;
    for_each_level(3, check_ends);
}

/* ---- Sums ---- */

enum values { UNIT, RANGE, ANYTHING, VALUES_COUNT };

static void fill_query(float *query, size_t dim, enum values values)
{
    for (size_t i = 0; i < dim; i++)
        query[i] = rng_normal(&chance) * (values == RANGE ? 1000.0f : 1.0f);
}

/* ANYTHING: all bits, numbers that are none and infinite ones too. */
static void fill_row(const struct simd_kernels *k, size_t type, char *row, size_t dim,
                     enum values values)
{
    static const float scales[] = {1, 1, 40, 120};
    float floats[DIM_MAX + 16];

    for (size_t i = 0; i < dim; i++)
        floats[i] = rng_normal(&chance) * (values == RANGE ? scales[type] : 1);
    kernels_of_type(k, type)->pack(floats, dim, row);
    if (values != ANYTHING) return;
    for (size_t i = 0; i < dim * types[type].bytes; i++) row[i] = (char)rng_below(&chance, 256);
}

static float query_room[5 * (DIM_MAX + 16)], wide_room[ROWS_MAX * (DIM_MAX + 16)];
static char row_room[ROWS_MAX * 2 * (DIM_MAX + 16) + 64];

struct sums_case {
    size_t dim, stride, row_count;
    const float *query;
    const char *rows;
};

/* All forms of one operation against the f32 kernel of rows made wide. */
static void check_forms(const struct sums_case *c, const struct narrow_forms *forms,
                        dense_pair_f32_fn *expected)
{
    float values[ROWS_MAX + 1], block[5][ROWS_MAX + 1], *out[5];
    const float *queries[5];

    values[c->row_count] = 77;
    forms->many(c->query, c->rows, c->stride, c->row_count, c->dim, values);
    assert_true(values[c->row_count] == 77);
    for (size_t q = 0; q < 5; q++) {
        queries[q] = q % 2 ? query_room : c->query;
        out[q] = block[q];
        block[q][c->row_count] = 77;
    }
    forms->block(queries, 5, c->rows, c->stride, c->row_count, c->dim, out);
    for (size_t row = 0; row < c->row_count; row++) {
        float pair = expected(c->query, wide_room + row * c->dim, c->dim);
        float other = expected(query_room, wide_room + row * c->dim, c->dim);
        assert_true(is_same(forms->pair(c->query, c->rows + row * c->stride, c->dim), pair));
        assert_true(is_same(values[row], pair));
        for (size_t q = 0; q < 5; q++) assert_true(is_same(block[q][row], q % 2 ? other : pair));
    }
    for (size_t q = 0; q < 5; q++) assert_true(block[q][c->row_count] == 77);
}

static void check_sums(const struct simd_kernels *k, size_t type)
{
    const struct narrow_kernels *narrow = kernels_of_type(k, type);

    for (size_t i = 0; i < DIM_COUNT; i++) {
        for (enum values values = 0; values < VALUES_COUNT; values++) {
            size_t dim = dim_at(i), bytes = types[type].bytes;
            size_t stride = dim * bytes + rng_below(&chance, 2) * rng_below(&chance, 16);
            size_t row_count = rng_below(&chance, ROWS_MAX + 1);
            float *query = query_room + rng_below(&chance, 16);
            char *rows = row_room + rng_below(&chance, 64);
            struct sums_case c = {dim, stride, row_count, query, rows};
            fill_query(query_room, DIM_MAX + 16, values);
            for (size_t row = 0; row < row_count; row++) {
                fill_row(k, type, rows + row * stride, dim, values);
                narrow->widen(rows + row * stride, dim, wide_room + row * dim);
            }
            check_forms(&c, &narrow->dot, k->dense_dot_f32);
            check_forms(&c, &narrow->l2, k->dense_l2_f32);
        }
    }
}

static void test_sums_have_the_bits_of_those_over_floats(void **state) /* (1) */
{
    (void)state;
    for_each_level(4, check_sums);
}

/* Once more without the kernels of f32 between. */
static void check_bounds(const struct simd_kernels *k, size_t type)
{
    const struct narrow_kernels *narrow = kernels_of_type(k, type);

    for (size_t i = 0; i < DIM_COUNT; i++) {
        size_t dim = dim_at(i);
        double dot = 0, products = 0, l2 = 0;
        fill_query(query_room, dim, RANGE);
        fill_row(k, type, row_room, dim, RANGE);
        for (size_t j = 0; j < dim; j++) {
            double a = (double)query_room[j];
            double b = types[type].value(number_at(row_room, type, j));
            dot += a * b;
            products += fabs(a * b);
            l2 += (a - b) * (a - b);
        }
        double factor = 1.0001 * dense_f32_error_factor(dim);
        double dot_error = fabs((double)narrow->dot.pair(query_room, row_room, dim) - dot);
        double l2_error = fabs((double)narrow->l2.pair(query_room, row_room, dim) - l2);
        assert_true(dot_error <= factor * products);
        assert_true(l2_error <= factor * l2);
    }
}

static void test_sums_are_within_the_stated_bound(void **state)
{
    (void)state;
    for_each_level(5, check_bounds);
}

static char *guarded_end; /* the byte here may not be read */

static void check_guarded(const struct simd_kernels *k, size_t type)
{
    const struct narrow_kernels *narrow = kernels_of_type(k, type);
    size_t bytes = types[type].bytes;
    const float *queries[4] = {query_room, query_room, query_room, query_room};
    float values[4][6], *out[4] = {values[0], values[1], values[2], values[3]};

    for (size_t dim = 1; dim < SMALL_DIMS; dim++) {
        const char *rows = guarded_end - 6 * dim * bytes, *last = guarded_end - dim * bytes;
        for (size_t i = 0; i < 2; i++) {
            const struct narrow_forms *forms = i ? &narrow->dot : &narrow->l2;
            assert_true(forms->pair(query_room, last, dim) == 0);
            forms->many(query_room, rows, dim * bytes, 6, dim, values[0]);
            forms->many(query_room, rows + 3 * dim * bytes, dim * bytes, 3, dim, values[0]);
            forms->block(queries, 4, rows, dim * bytes, 6, dim, out);
        }
        narrow->widen(last, dim, wide_room);
    }
}

static void test_nothing_behind_the_last_number_is_read(void **state)
{
    (void)state;
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    char *pages =
        mmap(NULL, 2 * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(mprotect(pages + page_bytes, page_bytes, PROT_NONE), 0);
    guarded_end = pages + page_bytes;
    memset(query_room, 0, sizeof query_room);
    for_each_level(6, check_guarded);
    assert_int_equal(munmap(pages, 2 * page_bytes), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_every_number_is_widened_exactly_and_packed_back),
    cmocka_unit_test(test_packing_takes_the_nearest_and_the_even_of_two),
    cmocka_unit_test(test_what_is_too_large_becomes_an_end),
    cmocka_unit_test(test_sums_have_the_bits_of_those_over_floats),
    cmocka_unit_test(test_sums_are_within_the_stated_bound),
    cmocka_unit_test(test_nothing_behind_the_last_number_is_read),
};

TEST_MAIN(tests)
