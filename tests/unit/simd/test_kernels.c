/* SPDX-License-Identifier: Apache-2.0 */
/* Every slot of every level that this machine has, against sums in long double and against each
 * other; the numbers in brackets are the invariants of kernels.h. */
#include "support/test.h"

#include <float.h>
#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "simd/kernels.h"

enum {
    DIM_MAX = 4096,
    ROWS_MAX = 40,
    STRIDE_MAX = DIM_MAX + 16,
};

static const size_t large_dims[] = {255, 256, 257, 383, 384, 768, 1536, DIM_MAX};
enum { SMALL_DIMS = 131, DIM_COUNT = SMALL_DIMS + sizeof large_dims / sizeof large_dims[0] };

static size_t dim_at(size_t i)
{
    return i < SMALL_DIMS ? i : large_dims[i - SMALL_DIMS];
}

/* Runs `body` for the table of each level. */
static void for_each_level(void (*body)(const struct simd_kernels *k))
{
    for (enum simd_level level = 0; level < SIMD_LEVEL_COUNT; level++) {
        struct simd_kernels kernels;
        if (!kernels_of_level(level, &kernels)) {
            print_message("level %s: not on this machine\n", cpu_level_name(level));
            continue;
        }
        assert_int_equal(kernels.level, level);
        body(&kernels);
    }
}

static uint64_t random_state;

static uint32_t random_bits(void) /* Steele, Lea, Flood: SplitMix64 */
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static float random_unit(void) /* [-1, 1) */
{
    return (float)((double)random_bits() / 0x1p31 - 1);
}

enum values { UNIT, ZEROS, NEAR, HUGE_VALUES, TINY, DENORMAL, MIXED, VALUES_COUNT };

static float random_value(enum values kind)
{
    switch (kind) {
    case UNIT:
        return random_unit();
    case ZEROS:
        return random_bits() & 1 ? -0.0f : 0.0f;
    case NEAR:
        return 1000 + random_unit() * 0x1p-10f; /* l2 cancels */
    case HUGE_VALUES:
        return random_unit() * 1e17f;
    case TINY:
        return random_unit() * 1e-21f; /* products are denormal or underflow */
    case DENORMAL:
        return random_unit() * 1e-40f;
    case MIXED:
        return ldexpf(random_unit(), (int)(random_bits() % 60) - 30);
    default:
        fail_msg("no such values");
        return 0;
    }
}

static void fill(float *v, size_t count, enum values kind)
{
    for (size_t i = 0; i < count; i++) v[i] = random_value(kind);
}

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* Room for vectors at each misalignment. */
static _Alignas(64) float left[DIM_MAX + 16], right[DIM_MAX + 16];
static _Alignas(64) float table[ROWS_MAX * STRIDE_MAX + 16];

static void check_pair(const struct simd_kernels *k, const float *a, const float *b, size_t dim)
{
    long double dot = 0, products = 0, l2 = 0;
    for (size_t i = 0; i < dim; i++) {
        long double d = (long double)a[i] - b[i];
        dot += (long double)a[i] * b[i];
        products += fabsl((long double)a[i] * b[i]);
        l2 += d * d;
    }
    long double factor = dense_f32_error_factor(dim);
    long double underflow = (long double)dim * 0x1p-149L;
    long double dot_error = fabsl(k->dense_dot_f32(a, b, dim) - dot);
    long double l2_error = fabsl(k->dense_l2_f32(a, b, dim) - l2);

    if (!(dot_error <= factor * products + underflow) || !(l2_error <= factor * l2 + underflow)) {
        print_error("%s dim %zu: dot off by %Lg of %Lg, l2 by %Lg of %Lg\n",
                    cpu_level_name(k->level), dim, dot_error, factor * products + underflow,
                    l2_error, factor * l2 + underflow);
        fail();
    }
}

static void check_pairs_of_level(const struct simd_kernels *k)
{
    for (size_t i = 0; i < DIM_COUNT; i++) {
        size_t dim = dim_at(i);
        for (enum values kind = 0; kind < VALUES_COUNT; kind++) {
            float *a = left + random_bits() % 16, *b = right + random_bits() % 16;
            fill(a, dim, kind);
            fill(b, dim, kind);
            check_pair(k, a, b, dim);
            fill(b, dim, UNIT);
            check_pair(k, a, b, dim);
        }
    }
}

static void test_pair_is_within_the_stated_bound(void **state) /* (3) */
{
    (void)state;
    random_state = test_seed(1);
    for_each_level(check_pairs_of_level);
}

/* The forms of one kernel. */
struct forms {
    dense_pair_f32_fn *pair;
    dense_many_f32_fn *many;
    dense_block_f32_fn *block;
};

#define KERNEL_ONE(metric, number, text, words, names, kernel, value, ...) DENSE_F32_OWN(value, +1)
enum { KERNEL_COUNT = 0 LYNSE_METRICS(KERNEL_ONE) };

/* Those of all kernels of a level. */
static void forms_of(const struct simd_kernels *k, struct forms out[KERNEL_COUNT])
{
    size_t i = 0;
#define TAKE_FORMS(metric, number, text, words, names, kernel, value, ...)                         \
    DENSE_F32_OWN(value,                                                                           \
                  out[i++] = (struct forms){k->dense_##kernel##_f32, k->dense_##kernel##_many_f32, \
                                            k->dense_##kernel##_block_f32};)
    LYNSE_METRICS(TAKE_FORMS)
}

static void check_forms(const struct forms *f, size_t dim, size_t stride, size_t row_count,
                        const float *query, const float *rows)
{
    float values[ROWS_MAX + 1];
    const float untouched = 12345;

    values[row_count] = untouched;
    f->many(query, rows, stride * 4, row_count, dim, values);
    for (size_t i = 0; i < row_count; i++)
        assert_int_equal(bits_of(values[i]), bits_of(f->pair(query, rows + i * stride, dim)));
    assert_true(values[row_count] == untouched);
}

/* One query, and rows as further ones, up to more than two groups of four. */
static void check_block(const struct forms *f, size_t dim, size_t stride, size_t row_count,
                        const float *query, const float *rows)
{
    enum { QUERIES_MAX = 9 };
    float values[QUERIES_MAX][ROWS_MAX + 1];
    const float *queries[QUERIES_MAX] = {0}, untouched = 12345;
    float *out[QUERIES_MAX] = {0};
    size_t query_count = random_bits() % (QUERIES_MAX + 1);

    for (size_t q = 0; q < query_count; q++) {
        queries[q] = q % 3 == 1 || row_count == 0 ? query : rows + q % row_count * stride;
        out[q] = values[q];
        values[q][row_count] = untouched;
    }
    f->block(queries, query_count, rows, stride * 4, row_count, dim, out);
    for (size_t q = 0; q < query_count; q++) {
        for (size_t i = 0; i < row_count; i++)
            assert_int_equal(bits_of(values[q][i]),
                             bits_of(f->pair(queries[q], rows + i * stride, dim)));
        assert_true(values[q][row_count] == untouched);
    }
}

static void check_batch(const struct simd_kernels *k, size_t dim, size_t stride, size_t row_count,
                        const float *query, const float *rows)
{
    struct forms forms[KERNEL_COUNT];

    forms_of(k, forms);
    for (size_t i = 0; i < KERNEL_COUNT; i++) {
        check_forms(&forms[i], dim, stride, row_count, query, rows);
        check_block(&forms[i], dim, stride, row_count, query, rows);
    }
}

static void check_batches_of_level(const struct simd_kernels *k)
{
    for (size_t i = 0; i < DIM_COUNT; i++) {
        size_t dim = dim_at(i);
        for (enum values kind = 0; kind < VALUES_COUNT; kind++) {
            size_t stride = dim + (random_bits() & 1 ? random_bits() % 16 : 0);
            size_t row_count = random_bits() % (dim > SMALL_DIMS ? 10 : ROWS_MAX + 1);
            float *query = left + random_bits() % 16, *rows = table + random_bits() % 16;
            fill(query, dim, kind == TINY ? UNIT : kind);
            fill(rows, row_count * stride, kind);
            check_batch(k, dim, stride, row_count, query, rows);
        }
    }
}

static void test_batches_have_the_bits_of_the_pair(void **state) /* (1) */
{
    (void)state;
    random_state = test_seed(2);
    for_each_level(check_batches_of_level);
}

/* A negative product that underflows leaves -0 in one accumulator; a form that adds one zero more
 * than another would lose its sign. */
static void check_sign_of_zero(const struct simd_kernels *k)
{
    for (size_t dim = 1; dim < SMALL_DIMS; dim++) {
        for (size_t i = 0; i < dim; i++) {
            left[i] = 1e-30f;
            for (size_t row = 0; row < 4; row++) table[row * dim + i] = -1e-30f;
        }
        check_batch(k, dim, dim, 4, left, table);
    }
}

static void test_batches_keep_the_sign_of_zero(void **state) /* (1) */
{
    (void)state;
    for_each_level(check_sign_of_zero);
}

static void check_alignments(const struct simd_kernels *k)
{
    static const size_t dims[] = {1, 7, 16, 37, 64, 100, 128, 200, 768};
    struct forms forms[KERNEL_COUNT];
    forms_of(k, forms);
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        size_t dim = dims[i];
        float a[768], b[768];
        fill(a, dim, UNIT);
        fill(b, dim, UNIT);
        for (size_t shift = 0; shift < 16; shift++) {
            memcpy(left + shift, a, dim * 4);
            memcpy(right + 15 - shift, b, dim * 4);
            for (size_t j = 0; j < KERNEL_COUNT; j++)
                assert_int_equal(bits_of(forms[j].pair(a, b, dim)),
                                 bits_of(forms[j].pair(left + shift, right + 15 - shift, dim)));
        }
    }
}

static void test_alignment_does_not_change_a_value(void **state) /* (1) */
{
    (void)state;
    random_state = test_seed(3);
    for_each_level(check_alignments);
}

static void check_laws(const struct simd_kernels *k)
{
    for (size_t i = 0; i < DIM_COUNT; i++) {
        size_t dim = dim_at(i);
        for (enum values kind = 0; kind < VALUES_COUNT; kind++) {
            fill(left, dim, kind);
            fill(right, dim, kind);
            assert_int_equal(bits_of(k->dense_dot_f32(left, right, dim)),
                             bits_of(k->dense_dot_f32(right, left, dim)));
            assert_int_equal(bits_of(k->dense_l2_f32(left, right, dim)),
                             bits_of(k->dense_l2_f32(right, left, dim)));
            assert_int_equal(bits_of(k->dense_l2_f32(left, left, dim)), 0);
            assert_false(signbit(k->dense_l2_f32(left, right, dim)));
            float norm = dense_norm_f32(k, left, dim);
            assert_int_equal(bits_of(norm), bits_of(sqrtf(k->dense_dot_f32(left, left, dim))));
        }
    }
}

static void test_values_are_symmetric_and_no_distance_is_negative(void **state) /* (2) */
{
    (void)state;
    random_state = test_seed(4);
    for_each_level(check_laws);
}

static void check_overflow(const struct simd_kernels *k)
{
    for (size_t dim = 1; dim < SMALL_DIMS; dim++) {
        for (size_t i = 0; i < dim; i++) {
            left[i] = random_bits() & 1 ? FLT_MAX : -FLT_MAX;
            right[i] = -left[i];
        }
        assert_true(isinf(k->dense_l2_f32(left, right, dim)));
        assert_true(k->dense_l2_f32(left, left, dim) == 0);

        float largest = sqrtf(FLT_MAX / 2 / (float)dim) * 0.99f;
        for (size_t i = 0; i < dim; i++) {
            left[i] = random_bits() & 1 ? largest : -largest;
            right[i] = random_bits() & 1 ? largest : -largest;
        }
        assert_true(k->dense_dot_f32(left, left, dim) < FLT_MAX / 2);
        assert_true(isfinite(k->dense_dot_f32(left, right, dim)));
    }
}

static void test_overflow_is_infinite_and_no_finite_distance_is_nan(void **state) /* (4) */
{
    (void)state;
    random_state = test_seed(5);
    for_each_level(check_overflow);
}

static void check_nan(const struct simd_kernels *k)
{
    for (size_t dim = 1; dim < SMALL_DIMS; dim++) {
        float dots[4], l2s[4];
        fill(left, dim, UNIT);
        fill(table, 4 * dim, UNIT);
        table[2 * dim + random_bits() % dim] = NAN;
        k->dense_dot_many_f32(left, table, dim * 4, 4, dim, dots);
        k->dense_l2_many_f32(left, table, dim * 4, 4, dim, l2s);
        for (size_t row = 0; row < 4; row++) {
            assert_int_equal(!!isnan(dots[row]), row == 2);
            assert_int_equal(!!isnan(l2s[row]), row == 2);
        }
        assert_true(isnan(k->dense_dot_f32(left, table + 2 * dim, dim)));
        assert_true(isnan(k->dense_l2_f32(table + 2 * dim, left, dim)));
    }
}

static void test_a_nan_shows_in_its_own_row_only(void **state) /* (4) */
{
    (void)state;
    random_state = test_seed(6);
    for_each_level(check_nan);
}

static float *guarded_end; /* the byte here may not be read */

static void check_guarded(const struct simd_kernels *k)
{
    struct forms forms[KERNEL_COUNT];
    forms_of(k, forms);
    for (size_t dim = 1; dim < SMALL_DIMS; dim++) {
        float out[6];
        const float *last = guarded_end - dim, *rows = guarded_end - 6 * dim;
        fill(left, dim, UNIT);
        for (size_t i = 0; i < KERNEL_COUNT; i++) {
            assert_true(isfinite(forms[i].pair(left, last, dim)));
            assert_true(isfinite(forms[i].pair(last, left, dim)));
            forms[i].many(left, rows, dim * 4, 6, dim, out);
            forms[i].many(last, rows, dim * 4, 6, dim, out);
            const float *queries[] = {last, left, last};
            float more[2][6], *outs[] = {out, more[0], more[1]};
            forms[i].block(queries, 3, rows, dim * 4, 6, dim, outs);
        }
    }
}

static void test_nothing_behind_the_last_float_is_read(void **state)
{
    (void)state;
    random_state = test_seed(7);
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    char *pages =
        mmap(NULL, 2 * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(mprotect(pages + page_bytes, page_bytes, PROT_NONE), 0);
    fill((float *)(void *)pages, page_bytes / 4, UNIT);
    guarded_end = (float *)(void *)(pages + page_bytes);
    for_each_level(check_guarded);
    assert_int_equal(munmap(pages, 2 * page_bytes), 0);
}

/* The reference has the same bits everywhere: no contraction, no reordering. */
static void test_serial_values_do_not_depend_on_compiler_or_machine(void **state)
{
    (void)state;
    struct simd_kernels k;
    assert_true(kernels_of_level(SIMD_SERIAL, &k));
    for (size_t i = 0; i < 37; i++) {
        left[i] = 1.0f / (float)(i + 3);
        right[i] = 1.0f / (float)(40 - i);
    }
    assert_int_equal(bits_of(k.dense_dot_f32(left, right, 37)), 0x3df79b10);
    assert_int_equal(bits_of(k.dense_l2_f32(left, right, 37)), 0x3ec61e3a);
}

static void test_active_table_is_one_of_the_levels(void **state)
{
    (void)state;
    const struct simd_kernels *active = kernels_active();
    struct simd_kernels same_level;
    assert_ptr_equal(active, kernels_active());
    assert_true(kernels_of_level(active->level, &same_level));
    struct forms forms[KERNEL_COUNT], same_forms[KERNEL_COUNT];
    forms_of(active, forms);
    forms_of(&same_level, same_forms);
    for (size_t i = 0; i < KERNEL_COUNT; i++) {
        assert_true(forms[i].pair && forms[i].many && forms[i].block);
        assert_memory_equal(&forms[i], &same_forms[i], sizeof forms[i]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_pair_is_within_the_stated_bound),
    cmocka_unit_test(test_batches_have_the_bits_of_the_pair),
    cmocka_unit_test(test_batches_keep_the_sign_of_zero),
    cmocka_unit_test(test_alignment_does_not_change_a_value),
    cmocka_unit_test(test_values_are_symmetric_and_no_distance_is_negative),
    cmocka_unit_test(test_overflow_is_infinite_and_no_finite_distance_is_nan),
    cmocka_unit_test(test_a_nan_shows_in_its_own_row_only),
    cmocka_unit_test(test_nothing_behind_the_last_float_is_read),
    cmocka_unit_test(test_serial_values_do_not_depend_on_compiler_or_machine),
    cmocka_unit_test(test_active_table_is_one_of_the_levels),
};

TEST_MAIN(tests)
