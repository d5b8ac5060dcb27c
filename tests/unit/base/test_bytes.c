/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include "support/test.h"

static void numbers_are_little_endian_and_unaligned(void **state)
{
    (void)state;
    uint8_t bytes[16];
    for (size_t at = 0; at < 8; at++) {
        memset(bytes, 0, sizeof bytes);
        store_u64(bytes + at, 0x0807060504030201ull);
        for (size_t i = 0; i < 8; i++) assert_int_equal(bytes[at + i], i + 1);
        assert_true(load_u64(bytes + at) == 0x0807060504030201ull);
        assert_int_equal(load_u32(bytes + at), 0x04030201u);
        assert_int_equal(load_u16(bytes + at), 0x0201);
        store_i64(bytes + at, -2);
        assert_true(load_i64(bytes + at) == -2);
        store_f32(bytes + at, 1.5f);
        assert_int_equal(load_u32(bytes + at), 0x3FC00000u);
        store_f64(bytes + at, -0.5);
        assert_true(load_f64(bytes + at) == -0.5);
    }
}

static void reader_takes_what_is_there(void **state)
{
    (void)state;
    uint8_t bytes[23];
    for (uint8_t i = 0; i < sizeof bytes; i++) bytes[i] = i;
    struct reader r = reader_of(slice_of(bytes, sizeof bytes));
    uint8_t a;
    uint16_t b;
    uint32_t c;
    uint64_t d;
    int64_t e;
    assert_true(read_u8(&r, &a) && read_u16(&r, &b) && read_u32(&r, &c) && read_u64(&r, &d) &&
                read_i64(&r, &e));
    assert_int_equal(a, 0);
    assert_int_equal(b, 0x0201);
    assert_int_equal(c, 0x06050403u);
    assert_true(d == 0x0E0D0C0B0A090807ull);
    assert_true(e == 0x161514131211100Fll);
    assert_int_equal(reader_left(&r), 0);
    assert_false(r.failed);
    assert_int_equal(reader_take(&r, 0).size, 0);
    assert_false(r.failed);
}

static void reader_fails_at_every_cut_and_stays_failed(void **state)
{
    (void)state;
    uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t size = 0; size < 8; size++) {
        struct reader r = reader_of(slice_of(bytes, size));
        uint64_t v = 99;
        uint8_t small = 99;
        assert_false(read_u64(&r, &v));
        assert_true(v == 0);
        assert_true(r.failed);
        assert_int_equal(reader_left(&r), size);
        assert_false(read_u8(&r, &small));
        assert_int_equal(small, 0);
        assert_null(reader_take(&r, 0).data);
    }
    struct reader r = reader_of(slice_of(bytes, 8));
    assert_null(reader_take(&r, SIZE_MAX).data);
    assert_true(r.failed);
    struct reader empty = reader_of((struct slice){NULL, 0});
    assert_int_equal(reader_left(&empty), 0);
}

static void sizes_do_not_wrap(void **state)
{
    (void)state;
    size_t out;
    assert_true(size_mul(SIZE_MAX / 2, 2, &out));
    assert_false(size_mul(SIZE_MAX / 2 + 1, 2, &out));
    assert_true(size_add(SIZE_MAX - 1, 1, &out));
    assert_false(size_add(SIZE_MAX, 1, &out));
    assert_int_equal(align_up(0, 8), 0);
    assert_int_equal(align_up(1, 8), 8);
    assert_int_equal(align_up(8, 8), 8);
    assert_true(bytes_are_zero("\0\0\0", 3));
    assert_true(bytes_are_zero(NULL, 0));
    assert_false(bytes_are_zero("\0\0\1", 3));
}

static void slices_are_ordered_by_bytes_then_size(void **state)
{
    (void)state;
    const char *sorted[] = {"", "a", "aa", "ab", "b", "\x7F", "\x80", "\xFF", "\xFF\xFF"};
    for (int i = 0; i < 9; i++) {
        for (int j = 0; j < 9; j++) {
            struct slice a = slice_of_text(sorted[i]);
            struct slice b = slice_of_text(sorted[j]);
            int order = slice_compare(a, b);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
            assert_int_equal(slice_equal(a, b) != 0, i == j);
        }
    }
    assert_true(slice_equal(slice_of_text(NULL), slice_of(NULL, 0)));
    assert_int_equal(slice_compare(slice_of(NULL, 0), slice_of_text("")), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(numbers_are_little_endian_and_unaligned),
    cmocka_unit_test(reader_takes_what_is_there),
    cmocka_unit_test(reader_fails_at_every_cut_and_stays_failed),
    cmocka_unit_test(sizes_do_not_wrap),
    cmocka_unit_test(slices_are_ordered_by_bytes_then_size),
};

TEST_MAIN(tests)
