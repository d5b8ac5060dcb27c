/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bitmap.h"

#include "base/rng.h"
#include "support/oom_sweep.h"
#include "support/test.h"

enum { BITS_MAX = 1000 };
static const size_t sizes[] = {0, 1, 2, 63, 64, 65, 127, 128, 129, 191, 192, 193, BITS_MAX};
enum { SIZE_COUNT = sizeof sizes / sizeof sizes[0] };

/* A bitmap with the same bits as a plain array. */
static void make_pair(struct bitmap *b, bool *model, size_t size, struct rng *r, double density)
{
    assert_int_equal(bitmap_init(b, alloc_libc(), MEM_GENERAL, size), 0);
    for (size_t i = 0; i < size; i++) {
        model[i] = rng_chance(r, density);
        if (model[i]) bitmap_set(b, i);
    }
}

static void assert_same(const struct bitmap *b, const bool *model)
{
    for (size_t i = 0; i < b->bit_count; i++) assert_int_equal(bitmap_get(b, i), model[i]);
    size_t next = b->bit_count;
    assert_int_equal(bitmap_next(b, b->bit_count), b->bit_count);
    assert_int_equal(bitmap_next(b, b->bit_count + 100), b->bit_count);
    for (size_t i = b->bit_count; i-- > 0;) {
        if (model[i]) next = i;
        assert_int_equal(bitmap_next(b, i), next);
    }
    size_t tail = b->bit_count % 64;
    if (tail) assert_int_equal(b->words[b->bit_count / 64] >> tail, 0);
}

static void bits_agree_with_a_plain_array(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, test_seed(1));
    for (size_t s = 0; s < SIZE_COUNT; s++) {
        for (int density = 0; density <= 4; density++) {
            struct bitmap b;
            bool model[BITS_MAX];
            make_pair(&b, model, sizes[s], &r, density / 4.0);
            assert_same(&b, model);
            for (size_t i = 0; i < sizes[s]; i++) {
                size_t at = rng_below(&r, sizes[s]);
                model[at] = rng_chance(&r, 0.5);
                if (model[at]) bitmap_set(&b, at);
                else bitmap_clear(&b, at);
            }
            assert_same(&b, model);
            bitmap_deinit(&b);
        }
    }
}

static int make_a_bitmap(void *ctx, struct error *err)
{
    struct bitmap b;
    if (bitmap_init(&b, ctx, MEM_SEGMENT, 5000) != 0) return error_no_memory(err, 5000 / 8);
    bitmap_deinit(&b);
    return 0;
}

static void refusals_are_reported(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    oom_sweep(a, make_a_bitmap, a);
    alloc_destroy(a);
    a = alloc_create(NULL, 1 << 20);
    struct bitmap b;
    for (size_t i = 0; i < 70; i++)
        assert_int_equal(bitmap_init(&b, a, MEM_GENERAL, SIZE_MAX - i), -1);
    alloc_destroy(a);
    struct bitmap zeroed = {0};
    bitmap_deinit(&zeroed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(bits_agree_with_a_plain_array),
    cmocka_unit_test(refusals_are_reported),
};

TEST_MAIN(tests)
