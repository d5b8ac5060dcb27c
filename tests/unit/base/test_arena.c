/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "support/oom_sweep.h"
#include "support/test.h"

static void blocks_are_aligned_and_apart(void **state)
{
    (void)state;
    struct alloc *alloc = alloc_create(NULL, 0);
    struct arena a;
    arena_init(&a, alloc, MEM_SEARCH);
    enum { COUNT = 2000 };
    static uint8_t *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = arena_alloc(&a, i % 200);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)(i & 0xFF), i % 200);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < i % 200; j++) assert_int_equal(blocks[i][j], i & 0xFF);
    assert_in_range(alloc_tag_bytes(alloc, MEM_SEARCH), a.total_bytes, a.total_bytes + 1000);
    arena_deinit(&a);
    assert_int_equal(alloc_used_bytes(alloc), 0);
    assert_int_equal(a.total_bytes, 0);
    alloc_destroy(alloc);
}

static void empty_blocks_are_unique(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, alloc_libc(), MEM_GENERAL);
    void *one = arena_alloc(&a, 0);
    void *two = arena_alloc(&a, 0);
    assert_non_null(one);
    assert_ptr_not_equal(one, two);
    arena_deinit(&a);
}

static void reset_keeps_only_the_largest_chunk(void **state)
{
    (void)state;
    struct alloc *alloc = alloc_create(NULL, 0);
    struct arena a;
    arena_init(&a, alloc, MEM_GENERAL);
    arena_reset(&a);
    arena_alloc(&a, 100);
    arena_alloc(&a, 300000);
    arena_alloc(&a, 100);
    arena_alloc(&a, 3000);
    arena_reset(&a);
    size_t held = a.total_bytes;
    assert_true(held >= 300000);
    uint64_t count = alloc_count(alloc);
    for (int i = 0; i < 300; i++) assert_non_null(arena_alloc(&a, 1000 - 16));
    assert_int_equal(alloc_count(alloc), count);
    arena_reset(&a);
    arena_alloc(&a, 1);
    assert_int_equal(a.total_bytes, held);
    arena_deinit(&a);
    assert_int_equal(alloc_used_bytes(alloc), 0);
    alloc_destroy(alloc);
}

static void growth_takes_few_chunks(void **state)
{
    (void)state;
    struct alloc *alloc = alloc_create(NULL, 0);
    struct arena a;
    arena_init(&a, alloc, MEM_GENERAL);
    for (int i = 0; i < 100000; i++) arena_alloc(&a, 48);
    assert_true(alloc_count(alloc) < 20);
    arena_deinit(&a);
    alloc_destroy(alloc);
}

static void zeroed_blocks_are_zero_after_reset(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, alloc_libc(), MEM_GENERAL);
    memset(arena_alloc(&a, 1000), 0xFF, 1000);
    arena_reset(&a);
    uint8_t *clean = arena_zalloc(&a, 1000);
    for (int i = 0; i < 1000; i++) assert_int_equal(clean[i], 0);
    assert_string_equal(arena_copy_text(&a, "hello world", 5), "hello");
    assert_string_equal(arena_copy_text(&a, NULL, 0), "");
    arena_deinit(&a);
}

static void absurd_sizes_are_refused(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, alloc_libc(), MEM_GENERAL);
    for (size_t i = 0; i < 40; i++) assert_null(arena_alloc(&a, SIZE_MAX - i));
    assert_null(arena_copy_text(&a, "x", SIZE_MAX));
    assert_non_null(arena_alloc(&a, 1));
    arena_deinit(&a);
    struct arena zeroed = {0};
    arena_deinit(&zeroed);
}

static int fill_an_arena(void *ctx, struct error *err)
{
    struct arena a;
    int rc = 0;
    arena_init(&a, ctx, MEM_GENERAL);
    for (size_t i = 0; i < 500 && rc == 0; i++) {
        uint8_t *block = arena_zalloc(&a, i);
        if (!block) rc = error_no_memory(err, i);
    }
    arena_deinit(&a);
    return rc;
}

static void survives_every_refusal(void **state)
{
    (void)state;
    struct alloc *alloc = alloc_create(NULL, 0);
    oom_sweep(alloc, fill_an_arena, alloc);
    alloc_destroy(alloc);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(blocks_are_aligned_and_apart),
    cmocka_unit_test(empty_blocks_are_unique),
    cmocka_unit_test(reset_keeps_only_the_largest_chunk),
    cmocka_unit_test(growth_takes_few_chunks),
    cmocka_unit_test(zeroed_blocks_are_zero_after_reset),
    cmocka_unit_test(absurd_sizes_are_refused),
    cmocka_unit_test(survives_every_refusal),
};

TEST_MAIN(tests)
