/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/bytes.h"
#include "support/oom_sweep.h"
#include "support/test.h"

static void appends_come_out_little_endian_and_in_order(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    buf_append_u8(&b, 1);
    buf_append_u16(&b, 0x0302);
    buf_append_u32(&b, 0x07060504);
    buf_append_u64(&b, 0x0F0E0D0C0B0A0908ull);
    buf_append(&b, "\x10\x11", 2);
    buf_append_zeros(&b, 3);
    buf_append(&b, NULL, 0);
    assert_true(buf_ok(&b));
    assert_int_equal(b.size, 20);
    for (uint8_t i = 0; i < 17; i++) assert_int_equal(b.data[i], i + 1);
    for (uint8_t i = 17; i < 20; i++) assert_int_equal(b.data[i], 0);
    buf_deinit(&b);
}

static void text_is_formatted_at_every_edge_of_the_capacity(void **state)
{
    (void)state;
    for (size_t before = 0; before < 140; before++) {
        struct buf b;
        buf_init(&b, alloc_libc(), MEM_GENERAL);
        buf_append_zeros(&b, before);
        buf_append_text(&b, "%s-%d", "abc", 42);
        buf_append_text(&b, "%s", "");
        assert_true(buf_ok(&b));
        assert_int_equal(b.size, before + 6);
        assert_memory_equal(b.data + before, "abc-42", 6);
        buf_deinit(&b);
    }
}

static void long_text_fits(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    buf_append_text(&b, "%*d", 5000, 7);
    assert_int_equal(b.size, 5000);
    assert_int_equal(b.data[4999], '7');
    buf_deinit(&b);
}

static void aligning_pads_with_zeros(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 64; align *= 2) {
        for (size_t size = 0; size < 130; size++) {
            struct buf b;
            buf_init(&b, alloc_libc(), MEM_GENERAL);
            memset(buf_extend(&b, size), 0xFF, size);
            buf_align(&b, align);
            assert_int_equal(b.size, (size + align - 1) / align * align);
            assert_true(bytes_are_zero(b.data + size, b.size - size));
            buf_deinit(&b);
        }
    }
}

static void extending_by_nothing_gives_a_place(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    assert_non_null(buf_extend(&b, 0));
    assert_int_equal(b.size, 0);
    buf_deinit(&b);
    struct buf zeroed = {0};
    buf_deinit(&zeroed);
}

static void taking_empties_the_buffer(void **state)
{
    (void)state;
    struct alloc *a = alloc_libc();
    struct buf b;
    buf_init(&b, a, MEM_GENERAL);
    buf_append(&b, "hello", 5);
    size_t size = 0;
    uint8_t *bytes = buf_take(&b, &size);
    assert_int_equal(size, 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(b.size, 0);
    buf_append(&b, "again", 5);
    mem_free(a, bytes);
    bytes = buf_take(&b, NULL);
    assert_memory_equal(bytes, "again", 5);
    mem_free(a, bytes);
    buf_deinit(&b);
}

static void failure_sticks_until_reset(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    struct buf b;
    buf_init(&b, a, MEM_GENERAL);
    buf_append(&b, "kept", 4);
    alloc_fail_after(a, 1, false);
    buf_append_zeros(&b, 1000);
    assert_false(buf_ok(&b));
    buf_append(&b, "lost", 4);
    buf_append_u32(&b, 1);
    buf_append_text(&b, "%d", 1);
    buf_align(&b, 64);
    assert_null(buf_extend(&b, 1));
    assert_false(buf_reserve(&b, 0));
    assert_int_equal(b.size, 4);
    size_t size = 1;
    assert_null(buf_take(&b, &size));
    assert_int_equal(size, 0);
    assert_false(buf_ok(&b));
    buf_reset(&b);
    assert_true(buf_ok(&b));
    buf_append(&b, "anew", 4);
    assert_int_equal(buf_slice(&b).size, 4);
    assert_memory_equal(buf_slice(&b).data, "anew", 4);
    buf_deinit(&b);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static void absurd_sizes_fail(void **state)
{
    (void)state;
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2, SIZE_MAX / 2 + 1};
    for (size_t i = 0; i < 4; i++) {
        struct buf b;
        buf_init(&b, alloc_libc(), MEM_GENERAL);
        buf_append_u8(&b, 1);
        assert_null(buf_extend(&b, sizes[i]));
        assert_false(buf_ok(&b));
        buf_deinit(&b);
    }
}

static void growth_is_geometric(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    struct buf b;
    buf_init(&b, a, MEM_GENERAL);
    for (uint32_t i = 0; i < 1000000; i++) buf_append_u8(&b, (uint8_t)i);
    assert_true(alloc_count(a) < 20);
    for (uint32_t i = 0; i < 1000000; i++) assert_int_equal(b.data[i], i & 0xFF);
    buf_deinit(&b);
    alloc_destroy(a);
}

static int write_a_record(void *ctx, struct error *err)
{
    struct buf b;
    buf_init(&b, ctx, MEM_GENERAL);
    for (uint64_t i = 0; i < 300; i++) {
        buf_append_u64(&b, i);
        buf_append_text(&b, "%llu", (unsigned long long)i);
        buf_align(&b, 8);
    }
    int rc = buf_ok(&b) ? 0 : error_no_memory(err, b.size);
    buf_deinit(&b);
    return rc;
}

static void survives_every_refusal(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    oom_sweep(a, write_a_record, a);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(appends_come_out_little_endian_and_in_order),
    cmocka_unit_test(text_is_formatted_at_every_edge_of_the_capacity),
    cmocka_unit_test(long_text_fits),
    cmocka_unit_test(aligning_pads_with_zeros),
    cmocka_unit_test(extending_by_nothing_gives_a_place),
    cmocka_unit_test(taking_empties_the_buffer),
    cmocka_unit_test(failure_sticks_until_reset),
    cmocka_unit_test(absurd_sizes_fail),
    cmocka_unit_test(growth_is_geometric),
    cmocka_unit_test(survives_every_refusal),
};

TEST_MAIN(tests)
