/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over two rows of bytes, and counts over rows of bits, are exact at every level of this
 * machine, in every form, and read nothing behind a row. */
#include "support/test.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/rng.h"
#include "simd/kernels.h"

enum { ROWS_MAX = 20, SMALL_DIMS = 140 };

static const size_t large_dims[] = {255, 256, 257, 384, 768, 1000, 1536, 4096, 32767, 32768};
enum { DIM_COUNT = SMALL_DIMS + sizeof large_dims / sizeof large_dims[0] };

static size_t dim_at(size_t i)
{
    return i < SMALL_DIMS ? i : large_dims[i - SMALL_DIMS];
}

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

/* ---- Two rows of bytes ---- */

static uint8_t query_room[LIMIT_DIM + 64], row_room[ROWS_MAX * (LIMIT_DIM + 64) + 64];

/* Anything, or one end, for the sums that have the least room. */
static void fill_bytes(uint8_t *bytes, size_t count)
{
    static const uint8_t ends[] = {0, 127, 128, 255};
    uint64_t what = rng_below(&chance, 8);
    for (size_t i = 0; i < count; i++)
        bytes[i] = what < 4 ? ends[what] : (uint8_t)rng_below(&chance, 256);
}

static int64_t number(bool is_signed, uint8_t byte)
{
    return is_signed && byte >= 128 ? byte - 256 : byte;
}

static int64_t expected_sum(bool is_l2, bool is_signed, const uint8_t *a, const uint8_t *b,
                            size_t dim)
{
    int64_t sum = 0;
    for (size_t i = 0; i < dim; i++) {
        int64_t x = number(is_signed, a[i]), y = number(is_signed, b[i]);
        sum += is_l2 ? (x - y) * (x - y) : x * y;
    }
    return sum;
}

static void check_bytes_of(const struct bytes_forms *forms, bool is_l2, bool is_signed, size_t dim)
{
    int32_t values[ROWS_MAX + 1];
    size_t row_count = rng_below(&chance, dim > 1000 ? 7 : ROWS_MAX + 1);
    size_t stride = dim + rng_below(&chance, 2) * rng_below(&chance, 64);
    uint8_t *query = query_room + rng_below(&chance, 64);
    uint8_t *rows = row_room + rng_below(&chance, 64);

    fill_bytes(query, dim);
    for (size_t i = 0; i < row_count; i++) fill_bytes(rows + i * stride, dim);
    values[row_count] = 77;
    forms->many(query, rows, stride, row_count, dim, values);
    assert_int_equal(values[row_count], 77);
    for (size_t i = 0; i < row_count; i++) {
        int64_t sum = expected_sum(is_l2, is_signed, query, rows + i * stride, dim);
        assert_int_equal(values[i], sum);
        assert_int_equal(forms->pair(query, rows + i * stride, dim), sum);
        assert_int_equal(forms->pair(rows + i * stride, query, dim), sum);
    }
}

static void check_bytes(const struct simd_kernels *k)
{
    for (size_t i = 0; i < DIM_COUNT; i++) {
        check_bytes_of(&k->bytes_dot_i8, false, true, dim_at(i));
        check_bytes_of(&k->bytes_l2_i8, true, true, dim_at(i));
        check_bytes_of(&k->bytes_dot_u8, false, false, dim_at(i));
        check_bytes_of(&k->bytes_l2_u8, true, false, dim_at(i));
    }
}

static void test_sums_of_bytes_are_exact(void **state)
{
    (void)state;
    for_each_level(1, check_bytes);
}

/* The largest sums that there are. */
static void check_largest(const struct simd_kernels *k)
{
    memset(query_room, 255, LIMIT_DIM);
    memset(row_room, 0, LIMIT_DIM);
    assert_int_equal(k->bytes_l2_u8.pair(query_room, row_room, LIMIT_DIM), 2130739200);
    assert_int_equal(k->bytes_dot_u8.pair(query_room, query_room, LIMIT_DIM), 2130739200);
    memset(query_room, 127, LIMIT_DIM);
    memset(row_room, 128, LIMIT_DIM);
    assert_int_equal(k->bytes_l2_i8.pair(query_room, row_room, LIMIT_DIM), 2130739200);
    assert_int_equal(k->bytes_dot_i8.pair(row_room, row_room, LIMIT_DIM), 536870912);
}

static void test_the_largest_sums_fit(void **state)
{
    (void)state;
    for_each_level(2, check_largest);
}

/* ---- Bits ---- */

enum { WORDS_MAX = LIMIT_DIM / 64 };

static uint64_t bit_query[WORDS_MAX], bit_rows[ROWS_MAX * (WORDS_MAX + 8)];

static void fill_words(uint64_t *words, size_t count)
{
    uint64_t what = rng_below(&chance, 6);
    for (size_t i = 0; i < count; i++)
        words[i] = what == 0 ? (uint64_t)0 : what == 1 ? ~(uint64_t)0 : rng_u64(&chance);
}

static uint32_t expected_count(bool is_common, const uint64_t *a, const uint64_t *b,
                               size_t word_count)
{
    uint32_t count = 0;
    for (size_t bit = 0; bit < 64 * word_count; bit++) {
        bool x = a[bit / 64] >> bit % 64 & 1, y = b[bit / 64] >> bit % 64 & 1;
        count += is_common ? x && y : x != y;
    }
    return count;
}

static void check_bits_of(const struct bits_forms *forms, bool is_common, size_t word_count)
{
    uint32_t values[ROWS_MAX + 1];
    size_t row_count = rng_below(&chance, ROWS_MAX + 1);
    size_t stride = word_count + rng_below(&chance, 2) * rng_below(&chance, 8);

    fill_words(bit_query, word_count);
    for (size_t i = 0; i < row_count; i++) fill_words(bit_rows + i * stride, word_count);
    values[row_count] = 77;
    forms->many(bit_query, bit_rows, stride, row_count, word_count, values);
    assert_int_equal(values[row_count], 77);
    for (size_t i = 0; i < row_count; i++) {
        uint32_t count = expected_count(is_common, bit_query, bit_rows + i * stride, word_count);
        assert_int_equal(values[i], count);
        assert_int_equal(forms->pair(bit_query, bit_rows + i * stride, word_count), count);
    }
}

static void check_bits(const struct simd_kernels *k)
{
    for (size_t word_count = 0; word_count <= WORDS_MAX; word_count += word_count < 40   ? 1
                                                                       : word_count < 64 ? 12
                                                                                         : 56) {
        check_bits_of(&k->bits_hamming, false, word_count);
        check_bits_of(&k->bits_common, true, word_count);
    }
}

static void test_counts_of_bits_are_exact(void **state)
{
    (void)state;
    for_each_level(3, check_bits);
}

/* ---- Both ---- */

static uint8_t *guarded_end; /* the byte here may not be read */

static void check_guarded(const struct simd_kernels *k)
{
    const struct bytes_forms *all[] = {&k->bytes_dot_i8, &k->bytes_l2_i8, &k->bytes_dot_u8,
                                       &k->bytes_l2_u8};
    const struct bits_forms *counts[] = {&k->bits_hamming, &k->bits_common};
    int32_t sums[6];
    uint32_t values[11];

    for (size_t dim = 1; dim < SMALL_DIMS; dim++) {
        const uint8_t *last = guarded_end - dim;
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(all[i]->pair(last, last, dim), 0);
            all[i]->many(last, guarded_end - 6 * dim, dim, 6, dim, sums);
            all[i]->many(last, guarded_end - 3 * dim, dim, 3, dim, sums);
        }
    }
    for (size_t words = 1; words < 16; words++) {
        const uint64_t *end = (const uint64_t *)(const void *)guarded_end;
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(counts[i]->pair(end - words, end - words, words), 0);
            counts[i]->many(end - words, end - 11 * words, words, 11, words, values);
        }
    }
}

static void test_nothing_behind_a_row_is_read(void **state)
{
    (void)state;
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *pages =
        mmap(NULL, 2 * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(mprotect(pages + page_bytes, page_bytes, PROT_NONE), 0);
    guarded_end = pages + page_bytes;
    for_each_level(4, check_guarded);
    assert_int_equal(munmap(pages, 2 * page_bytes), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_sums_of_bytes_are_exact),
    cmocka_unit_test(test_the_largest_sums_fit),
    cmocka_unit_test(test_counts_of_bits_are_exact),
    cmocka_unit_test(test_nothing_behind_a_row_is_read),
};

TEST_MAIN(tests)
