/* SPDX-License-Identifier: Apache-2.0 */
/* Cells of a column are told apart alike at every level of this machine, exactly, and nothing
 * behind them is read. */
#include "support/test.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/rng.h"
#include "simd/kernels.h"

enum { WORDS_MAX = 16, CELLS_MAX = WORDS_MAX * CELL_WORD };

static struct rng chance;

static void for_each_level(uint64_t seed, void (*body)(const struct simd_kernels *k))
{
    seed = test_seed(seed);
    for (enum simd_level level = 0; level < SIMD_LEVEL_COUNT; level++) {
        struct simd_kernels kernels;
        if (!kernels_of_level(level, &kernels)) continue;
        rng_init(&chance, seed);
        body(&kernels);
    }
}

/* Memory that ends where nothing may be read. */
static uint8_t *room_before_nothing(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (bytes + page - 1) / page * page;
    uint8_t *at =
        mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(at != MAP_FAILED && mprotect(at + whole, page, PROT_NONE) == 0);
    return at + whole - bytes;
}

static bool bit_of(const uint64_t *words, size_t i)
{
    return words[i / 64] >> (i % 64) & 1;
}

static int64_t draw_integer(void)
{
    static const int64_t ends[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    uint64_t what = rng_below(&chance, 14);
    return what < 7 ? ends[what] : (int64_t)rng_below(&chance, 5) - 2;
}

static double draw_float(void)
{
    static const double ends[] = {NAN, -NAN, INFINITY, -INFINITY, -0.0, 0.0, 0x1p-1074, 1};
    uint64_t what = rng_below(&chance, 16);
    return what < 8 ? ends[what] : (double)rng_below(&chance, 5) - 2;
}

static void check_integers(const struct simd_kernels *k)
{
    int64_t *end = (int64_t *)(void *)room_before_nothing(CELLS_MAX * sizeof(int64_t)) + CELLS_MAX;

    for (size_t words = 0; words <= WORDS_MAX; words++) {
        int64_t *cells = end - words * CELL_WORD, wanted = draw_integer();
        uint64_t less[WORDS_MAX + 1], equal[WORDS_MAX + 1];
        less[words] = equal[words] = 7;
        for (size_t i = 0; i < words * CELL_WORD; i++) cells[i] = draw_integer();
        k->cell_order_i64(cells, words, wanted, less, equal);
        for (size_t i = 0; i < words * CELL_WORD; i++) {
            assert_int_equal(bit_of(less, i), cells[i] < wanted);
            assert_int_equal(bit_of(equal, i), cells[i] == wanted);
        }
        assert_true(less[words] == 7 && equal[words] == 7);
    }
}

static void check_floats(const struct simd_kernels *k)
{
    double *end = (double *)(void *)room_before_nothing(CELLS_MAX * sizeof(double)) + CELLS_MAX;

    for (size_t words = 0; words <= WORDS_MAX; words++) {
        double *cells = end - words * CELL_WORD, wanted = draw_float();
        uint64_t less[WORDS_MAX], equal[WORDS_MAX], greater[WORDS_MAX];
        for (size_t i = 0; i < words * CELL_WORD; i++) cells[i] = draw_float();
        k->cell_order_f64(cells, words, wanted, less, equal, greater);
        for (size_t i = 0; i < words * CELL_WORD; i++) {
            assert_int_equal(bit_of(less, i), cells[i] < wanted);
            assert_int_equal(bit_of(equal, i), cells[i] == wanted);
            assert_int_equal(bit_of(greater, i), cells[i] > wanted);
        }
    }
}

static void check_types(const struct simd_kernels *k)
{
    uint8_t *end = room_before_nothing(CELLS_MAX) + CELLS_MAX;

    for (size_t words = 0; words <= WORDS_MAX; words++) {
        uint8_t *types = end - words * CELL_WORD;
        uint32_t wanted = (uint32_t)rng_below(&chance, 1 << 16);
        uint64_t out[WORDS_MAX];
        for (size_t i = 0; i < words * CELL_WORD; i++) types[i] = (uint8_t)rng_below(&chance, 16);
        k->cell_select(types, words, wanted, out);
        for (size_t i = 0; i < words * CELL_WORD; i++)
            assert_int_equal(bit_of(out, i), wanted >> types[i] & 1);
    }
}

static void test_integers_are_ordered_at_every_level(void **state)
{
    (void)state;
    for_each_level(1, check_integers);
}

static void test_floats_are_ordered_and_nan_is_not(void **state)
{
    (void)state;
    for_each_level(2, check_floats);
}

static void test_types_are_selected_at_every_level(void **state)
{
    (void)state;
    for_each_level(3, check_types);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_integers_are_ordered_at_every_level),
    cmocka_unit_test(test_floats_are_ordered_and_nan_is_not),
    cmocka_unit_test(test_types_are_selected_at_every_level),
};

TEST_MAIN(tests)
