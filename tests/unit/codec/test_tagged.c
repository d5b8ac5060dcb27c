/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/tagged.h"
#include "support/test.h"

static void append_field(struct buf *b, uint16_t tag, uint16_t flags, uint32_t number,
                         const void *data, size_t size)
{
    size_t begin = tagged_begin(b, tag, flags, number);
    buf_append(b, data, size);
    tagged_end(b, begin);
}

static void fields_come_back_as_they_were_written(void **state)
{
    (void)state;
    struct buf b;
    struct error err = {0};
    struct tagged_field f;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    for (size_t size = 0; size < 20; size++) {
        size_t before = b.size;
        append_field(&b, (uint16_t)(size + 1), size % 2 ? TAGGED_REQUIRED : 0, (uint32_t)size * 7,
                     "abcdefghijklmnopqrst", size);
        assert_int_equal(b.size - before, tagged_bytes(size));
        assert_int_equal(b.size % 8, 0);
    }
    struct reader r = reader_of(buf_slice(&b));
    for (size_t size = 0; size < 20; size++) {
        assert_int_equal(tagged_next(&r, "test", &f, &err), 1);
        assert_int_equal(f.tag, size + 1);
        assert_int_equal(f.flags, size % 2 ? TAGGED_REQUIRED : 0);
        assert_int_equal(f.number, size * 7);
        assert_int_equal(f.data.size, size);
        assert_memory_equal(f.data.data, "abcdefghijklmnopqrst", size);
    }
    assert_int_equal(tagged_next(&r, "test", &f, &err), 0);
    assert_int_equal(tagged_next(&r, "test", &f, &err), 0);
    buf_deinit(&b);
}

/* Walk to the end or to the first error. */
static int walk(struct slice bytes, struct error *err)
{
    struct reader r = reader_of(bytes);
    struct tagged_field f;
    int more;
    size_t sum = 0;
    while ((more = tagged_next(&r, "test", &f, err)) == 1)
        for (size_t i = 0; i < f.data.size; i++) sum += f.data.data[i]; /* for the sanitizers */
    return sum == SIZE_MAX ? 0 : more;
}

static void a_run_that_is_cut_short_is_corrupt(void **state)
{
    (void)state;
    struct buf b;
    struct error err = {0};
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    append_field(&b, 1, TAGGED_REQUIRED, 0, "hello", 5);
    size_t whole = b.size;
    append_field(&b, 2, 0, 0, "a longer field", 14);
    for (size_t size = 0; size <= b.size; size++) {
        uint8_t *exact = malloc(size + 1);
        memcpy(exact, b.data, size);
        int rc = walk(slice_of(exact, size), &err);
        if (size == 0 || size == whole || size == b.size) assert_int_equal(rc, 0);
        else assert_fails(rc, &err, LYNSE_CORRUPT);
        free(exact);
    }
    buf_deinit(&b);
}

static void a_length_is_not_believed(void **state)
{
    (void)state;
    struct buf b;
    struct error err = {0};
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    append_field(&b, 1, 0, 0, "hello", 5);
    const uint64_t lengths[] = {9, 16, 1u << 20, 1ull << 62, UINT64_MAX - 7, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        store_u64(b.data + 8, lengths[i]);
        assert_fails(walk(buf_slice(&b), &err), &err, LYNSE_CORRUPT);
        assert_non_null(strstr(err.text, "test"));
    }
    buf_deinit(&b);
}

static void padding_and_flags_are_checked(void **state)
{
    (void)state;
    struct buf b;
    struct error err = {0};
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    append_field(&b, 1, 0, 0, "hello", 5);
    b.data[TAGGED_HEADER_BYTES + 6] = 1;
    assert_fails(walk(buf_slice(&b), &err), &err, LYNSE_CORRUPT);
    assert_non_null(strstr(err.text, "padding"));
    b.data[TAGGED_HEADER_BYTES + 6] = 0;
    store_u16(b.data + 2, 2);
    assert_fails(walk(buf_slice(&b), &err), &err, LYNSE_FORMAT_TOO_NEW);
    buf_deinit(&b);
}

static void an_unknown_field_is_skipped_unless_it_is_required(void **state)
{
    (void)state;
    struct error err = {0};
    struct tagged_field f = {.tag = 40};
    assert_int_equal(tagged_unknown(&f, "test", &err), 0);
    f.flags = TAGGED_REQUIRED;
    assert_fails(tagged_unknown(&f, "test", &err), &err, LYNSE_FORMAT_TOO_NEW);
    assert_non_null(strstr(err.text, "40"));
}

static void a_buf_that_failed_stays_failed(void **state)
{
    (void)state;
    struct buf b;
    struct alloc *a = alloc_create(NULL, 0);
    buf_init(&b, a, MEM_GENERAL);
    alloc_fail_after(a, 1, true);
    append_field(&b, 1, 0, 0, "hello", 5);
    alloc_fail_after(a, 0, false);
    assert_false(buf_ok(&b));
    append_field(&b, 2, 0, 0, "hello", 5);
    assert_false(buf_ok(&b));
    buf_deinit(&b);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(fields_come_back_as_they_were_written),
    cmocka_unit_test(a_run_that_is_cut_short_is_corrupt),
    cmocka_unit_test(a_length_is_not_believed),
    cmocka_unit_test(padding_and_flags_are_checked),
    cmocka_unit_test(an_unknown_field_is_skipped_unless_it_is_required),
    cmocka_unit_test(a_buf_that_failed_stays_failed),
};
TEST_MAIN(tests)
