/* SPDX-License-Identifier: Apache-2.0 */
/* test_compaction_policy.c — steady work keeps segments few, and each row is rewritten rarely. */
#include <math.h>

#include "base/rng.h"
#include "segment/compaction_policy.h"
#include "support/test.h"

enum { SMALL = 1000, SEGMENTS = 4096, NO_LIMIT = UINT32_MAX };

struct world {
    struct segment_size segments[SEGMENTS];
    size_t count;
    uint64_t written; /* rows, by seals and merges */
};

static void append(struct world *w, uint32_t rows)
{
    assert_true(w->count < SEGMENTS);
    w->segments[w->count++] = (struct segment_size){rows, 0};
    w->written += rows;
}

static void merge(struct world *w, struct merge_choice c)
{
    uint32_t rows = 0;

    assert_true(c.count >= 1 && c.count <= MERGE_PARTS_MAX && c.first + c.count <= w->count);
    for (size_t i = c.first; i < c.first + c.count; i++)
        rows += w->segments[i].row_count - w->segments[i].waste_count;
    w->segments[c.first] = (struct segment_size){rows, 0};
    memmove(&w->segments[c.first + 1], &w->segments[c.first + c.count],
            (w->count - c.first - c.count) * sizeof *w->segments);
    w->count -= c.count - 1;
    w->written += rows;
}

/* All that is chosen; how many choices there were. */
static size_t settle(struct world *w, uint32_t row_max)
{
    struct merge_choice c;
    size_t choices = 0;

    while (compaction_choose(w->segments, w->count, SMALL, row_max, &c)) {
        merge(w, c);
        assert_true(++choices < 10000);
    }
    return choices;
}

static void steady_seals_keep_segments_few_and_rewrites_rare(void **state)
{
    struct world w = {.count = 0};
    size_t most = 0;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        append(&w, SMALL);
        settle(&w, NO_LIMIT);
        if (w.count > most) most = w.count;
    }
    /* 3,000 = fewer than 4^6 seals: at most 3 segments of each of 7 tiers. */
    assert_true(most <= 3 * 7);
    assert_true(w.written <= (uint64_t)3000 * SMALL * 8);
}

static void segments_of_any_sizes_end_few(void **state)
{
    struct rng r;

    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct world w = {.count = 0};
        rng_init(&r, seed);
        for (int i = 0; i < 300; i++)
            append(&w, 1 + (uint32_t)rng_below(&r, 1 << rng_below(&r, 20)));
        settle(&w, NO_LIMIT);
        assert_true(w.count <= 3 * 7);
    }
}

static void waste_is_rewritten_and_only_once_it_is_much(void **state)
{
    struct world w = {.segments = {{100000, 24000}, {1000, 0}, {500, 0}}, .count = 3};
    struct merge_choice c;

    (void)state;
    assert_false(compaction_choose(w.segments, w.count, SMALL, NO_LIMIT, &c));
    w.segments[0].waste_count = 25000;
    assert_true(compaction_choose(w.segments, w.count, SMALL, NO_LIMIT, &c));
    assert_int_equal(c.first, 0);
    assert_int_equal(c.count, 1);
    merge(&w, c);
    assert_false(compaction_choose(w.segments, w.count, SMALL, NO_LIMIT, &c));
    /* Of a segment that is all waste nothing is left: a run of nothing is no run. */
    w.segments[1] = (struct segment_size){1, 1};
    assert_int_equal(settle(&w, NO_LIMIT), 1);
    assert_int_equal(w.segments[1].row_count, 0);
}

static void no_result_is_larger_than_it_may_be(void **state)
{
    struct world w = {.count = 0};

    (void)state;
    for (int i = 0; i < 400; i++) {
        append(&w, SMALL);
        settle(&w, 20 * SMALL);
        for (size_t k = 0; k < w.count; k++) assert_true(w.segments[k].row_count <= 20 * SMALL);
    }
    assert_true(w.count <= 400 / 10 + 10);
}

/* Whatever their sizes; what is too large is stepped over. */
static void all_become_as_few_as_there_is_room_for(void **state)
{
    struct world w = {.segments = {{30, 0}, {900, 5}, {7, 0}, {100000, 0}, {1, 0}, {2, 0}},
                      .count = 6};
    struct merge_choice c;

    (void)state;
    assert_true(compaction_choose_all(w.segments, w.count, 1000, &c));
    assert_int_equal(c.first, 0);
    assert_int_equal(c.count, 3);
    merge(&w, c);
    assert_true(compaction_choose_all(w.segments, w.count, 1000, &c));
    assert_int_equal(c.first, 2);
    merge(&w, c);
    assert_false(compaction_choose_all(w.segments, w.count, 1000, &c));
    assert_int_equal(w.count, 3);
    assert_true(compaction_choose_all(w.segments, w.count, NO_LIMIT, &c));
    merge(&w, c);
    assert_false(compaction_choose_all(w.segments, w.count, NO_LIMIT, &c));
}

/* ---- in quiet ---- */

/* All that is chosen, now and then, looking at each choice. */
static void settle_in_quiet(struct world *w, uint32_t row_max)
{
    struct merge_choice c;

    settle(w, row_max);
    while (compaction_choose_quiet(w->segments, w->count, row_max, &c)) {
        uint64_t sum = 0, largest = 0;
        for (size_t i = c.first; i < c.first + c.count; i++) {
            uint32_t rows = w->segments[i].row_count - w->segments[i].waste_count;
            sum += rows;
            if (rows > largest) largest = rows;
        }
        assert_true(c.count >= 2 && 4 * sum >= 5 * largest && sum <= row_max);
        merge(w, c);
    }
}

static void quiet_leaves_one_large_segment_and_falling_ones(void **state)
{
    struct rng r;

    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct world w = {.count = 0};
        uint64_t sum = 0, largest = 0;
        size_t count = 2 + (size_t)rng_below((rng_init(&r, seed), &r), 60);
        for (size_t i = 0; i < count; i++) {
            append(&w, 1 + (uint32_t)rng_below(&r, 1 << rng_below(&r, 20)));
            w.segments[i].waste_count = (uint32_t)rng_below(&r, w.segments[i].row_count + 1) / 5;
        }
        settle_in_quiet(&w, NO_LIMIT);
        for (size_t i = 0; i < w.count; i++) {
            uint64_t rows = w.segments[i].row_count - w.segments[i].waste_count;
            sum += rows;
            if (rows > largest) largest = rows;
        }
        assert_true(w.count == 1 || 4 * (sum - largest) < largest);
        assert_true(w.count <= 2 * 10);
    }
}

/* After each seal, or now and then; rows come evenly. */
static void quiet_rewrites_a_row_rarely(void **state)
{
    const double most = log(3000 * 8) / log(1.25);
    struct rng r;

    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct world w = {.count = 0};
        uint64_t come = 0;
        rng_init(&r, seed);
        for (int i = 0; i < 3000; i++) {
            uint32_t rows = SMALL * (1 + (seed % 4 > 1 ? (uint32_t)rng_below(&r, 8) : 0));
            append(&w, rows);
            come += rows;
            if (seed % 2 == 0 || rng_chance(&r, 0.1)) settle_in_quiet(&w, NO_LIMIT);
            else settle(&w, NO_LIMIT);
        }
        assert_true((double)w.written <= (double)come * (1 + most / 2));
    }
}

static void a_trickle_leaves_the_large_segment_alone(void **state)
{
    enum { LARGE = 1000000, FEW = 100 };
    struct world w = {.segments = {{LARGE, 0}}, .count = 1};
    uint32_t come = 0;

    (void)state;
    for (; w.segments[0].row_count == LARGE; come += FEW) {
        append(&w, FEW);
        settle_in_quiet(&w, NO_LIMIT);
        assert_true(w.count <= 12);
    }
    assert_int_equal(come, LARGE / 4);
    assert_int_equal(w.count, 1);
}

static void nothing_is_nothing(void **state)
{
    struct merge_choice c;
    struct segment_size three[3] = {{5, 0}, {5, 0}, {5, 0}};

    (void)state;
    assert_false(compaction_choose(NULL, 0, SMALL, NO_LIMIT, &c));
    assert_false(compaction_choose_all(NULL, 0, NO_LIMIT, &c));
    assert_false(compaction_choose_quiet(NULL, 0, NO_LIMIT, &c));
    assert_false(compaction_choose_quiet(three, 1, NO_LIMIT, &c));
    assert_false(compaction_choose(three, 3, SMALL, NO_LIMIT, &c));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(steady_seals_keep_segments_few_and_rewrites_rare),
    cmocka_unit_test(segments_of_any_sizes_end_few),
    cmocka_unit_test(waste_is_rewritten_and_only_once_it_is_much),
    cmocka_unit_test(no_result_is_larger_than_it_may_be),
    cmocka_unit_test(all_become_as_few_as_there_is_room_for),
    cmocka_unit_test(quiet_leaves_one_large_segment_and_falling_ones),
    cmocka_unit_test(quiet_rewrites_a_row_rarely),
    cmocka_unit_test(a_trickle_leaves_the_large_segment_alone),
    cmocka_unit_test(nothing_is_nothing),
};
TEST_MAIN(tests)
