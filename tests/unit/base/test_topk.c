/* SPDX-License-Identifier: Apache-2.0 */
#include "base/topk.h"

#include <math.h>

#include "base/rng.h"
#include "support/oom_sweep.h"
#include "support/test.h"

enum { COUNT_MAX = 600 };

/* Ids run against (part, row), so that an order by position would show. */
static int compare_ids(const struct candidate *a, const struct candidate *b)
{
    uint64_t id_a = ~((uint64_t)a->part << 32 | a->row);
    uint64_t id_b = ~((uint64_t)b->part << 32 | b->row);
    return (id_a > id_b) - (id_a < id_b);
}

static int tie_by_id(void *ctx, const struct candidate *a, const struct candidate *b)
{
    size_t *calls = ctx;
    (*calls)++;
    assert_true(a->distance == b->distance);
    return compare_ids(a, b);
}

static int compare_candidates(const void *x, const void *y)
{
    const struct candidate *a = x;
    const struct candidate *b = y;
    if (a->distance != b->distance) return a->distance < b->distance ? -1 : 1;
    return compare_ids(a, b);
}

/* Distances of few different values, with both zeros, infinities and NaN. */
static float odd_distance(struct rng *r, uint64_t kinds)
{
    switch (rng_below(r, kinds)) {
    case 0:
        return 0.0f;
    case 1:
        return -0.0f;
    case 2:
        return INFINITY;
    case 3:
        return -INFINITY;
    case 4:
        return NAN;
    case 5:
        return 1.0f;
    case 6:
        return -1.0f;
    default:
        return rng_normal(r);
    }
}

static size_t make_input(struct candidate *out, size_t count, struct rng *r, uint64_t kinds)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (struct candidate){odd_distance(r, kinds), (uint32_t)rng_below(r, 3), (uint32_t)i};
    return count;
}

/* The answer by sorting everything that is a number. */
static size_t expected_best(const struct candidate *in, size_t count, size_t k,
                            struct candidate *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(in[i].distance)) out[kept++] = in[i];
    qsort(out, kept, sizeof *out, compare_candidates);
    return kept < k ? kept : k;
}

static void assert_answer(struct topk *t, const struct candidate *expected, size_t count)
{
    topk_sort(t);
    assert_int_equal(t->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(t->heap[i].row, expected[i].row);
        assert_int_equal(t->heap[i].part, expected[i].part);
        assert_true(t->heap[i].distance == expected[i].distance);
    }
}

static void agrees_with_sorting_everything(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, test_seed(5));
    static struct candidate in[COUNT_MAX];
    static struct candidate expected[COUNT_MAX];
    const size_t ks[] = {0, 1, 2, 3, 10, 64, COUNT_MAX - 1, COUNT_MAX, COUNT_MAX + 10};
    for (int round = 0; round < 40; round++) {
        uint64_t kinds = 1 + rng_below(&r, 30);
        size_t count = make_input(in, rng_below(&r, COUNT_MAX + 1), &r, kinds);
        for (size_t i = 0; i < sizeof ks / sizeof ks[0]; i++) {
            size_t calls = 0;
            struct topk t;
            assert_int_equal(topk_init(&t, alloc_libc(), ks[i], tie_by_id, &calls), 0);
            for (size_t j = 0; j < count; j++) topk_push(&t, in[j].distance, in[j].part, in[j].row);
            assert_answer(&t, expected, expected_best(in, count, ks[i], expected));
            topk_clear(&t);
            topk_push(&t, 5.0f, 1, 2);
            assert_int_equal(t.count, ks[i] > 0);
            topk_deinit(&t);
        }
    }
}

static void merging_parts_equals_the_whole(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, test_seed(6));
    static struct candidate in[COUNT_MAX];
    static struct candidate expected[COUNT_MAX];
    for (int round = 0; round < 60; round++) {
        size_t count = make_input(in, COUNT_MAX, &r, 10);
        size_t k = 1 + rng_below(&r, 100);
        size_t calls = 0;
        struct topk parts[4];
        for (int p = 0; p < 4; p++)
            assert_int_equal(topk_init(&parts[p], alloc_libc(), k, tie_by_id, &calls), 0);
        for (size_t j = 0; j < count; j++)
            topk_push(&parts[rng_below(&r, 4)], in[j].distance, in[j].part, in[j].row);
        /* A sorted part merges too. */
        topk_sort(&parts[2]);
        for (int p = 1; p < 4; p++) topk_merge(&parts[0], &parts[p]);
        assert_answer(&parts[0], expected, expected_best(in, count, k, expected));
        for (int p = 0; p < 4; p++) topk_deinit(&parts[p]);
    }
}

static void threshold_is_the_worst_kept(void **state)
{
    (void)state;
    size_t calls = 0;
    struct topk t;
    assert_int_equal(topk_init(&t, alloc_libc(), 3, tie_by_id, &calls), 0);
    assert_true(topk_threshold(&t) == INFINITY);
    topk_push(&t, 5, 0, 0);
    topk_push(&t, 1, 0, 1);
    assert_true(topk_threshold(&t) == INFINITY);
    topk_push(&t, 9, 0, 2);
    assert_true(topk_threshold(&t) == 9);
    topk_push(&t, 2, 0, 3);
    assert_true(topk_threshold(&t) == 5);
    assert_int_equal(calls, 0);
    topk_deinit(&t);
    assert_int_equal(topk_init(&t, alloc_libc(), 0, tie_by_id, &calls), 0);
    assert_true(topk_threshold(&t) == -INFINITY);
    topk_deinit(&t);
}

static int make_a_heap(void *ctx, struct error *err)
{
    struct topk t;
    size_t calls = 0;
    if (topk_init(&t, ctx, 100, tie_by_id, &calls) != 0) return error_no_memory(err, 1200);
    topk_push(&t, 1, 2, 3);
    topk_deinit(&t);
    return 0;
}

static void refusals_are_reported(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    oom_sweep(a, make_a_heap, a);
    struct topk t;
    assert_int_equal(topk_init(&t, a, SIZE_MAX, NULL, NULL), -1);
    assert_int_equal(topk_init(&t, a, SIZE_MAX / 12 + 1, NULL, NULL), -1);
    alloc_destroy(a);
    struct topk zeroed = {0};
    topk_deinit(&zeroed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(agrees_with_sorting_everything),
    cmocka_unit_test(merging_parts_equals_the_whole),
    cmocka_unit_test(threshold_is_the_worst_kept),
    cmocka_unit_test(refusals_are_reported),
};

TEST_MAIN(tests)
