/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges through an index: what is within them, little else left out, and nothing beyond; and what
 * eps leaves out. */
#include <math.h>

#include "indexed.h"

static const char *const filters[] = {NULL, "n < 50", "n = 7", "n = 1000"};
enum { FILTERS = sizeof filters / sizeof *filters };

/* The score of the hit of this rank among all that pass the filter. */
static float score_of_rank(struct fixture *f, const float *query, const char *where, uint32_t rank)
{
    struct lynse_search_desc all = {
        .vector = query, .k = rank + 1, .where = where, .flags = LYNSE_EXACT};
    struct lynse_hits *hits = search_points(f, &all);
    float score = hits->count == 0 ? 1 : hits->scores[hits->count - 1];
    lynse_hits_free(hits);
    return score;
}

static void check_range(struct fixture *f, struct lynse_search_desc *range, size_t *wanted,
                        size_t *got)
{
    struct lynse_hits *found = search_points(f, range);
    range->flags |= LYNSE_EXACT;
    struct lynse_hits *truth = search_points(f, range);
    range->flags &= ~(uint32_t)LYNSE_EXACT;
    for (size_t i = 0; i < found->count; i++) {
        assert_true(found->scores[i] <= range->threshold);
        assert_true(i == 0 || found->scores[i - 1] <= found->scores[i]);
    }
    assert_true(found->count <= truth->count);
    assert_true(range->max_results == 0 || truth->count <= range->max_results);
    *wanted += truth->count;
    *got += common_count(truth, found, truth->count);
    lynse_hits_free(found);
    lynse_hits_free(truth);
}

static void a_range_is_found_through_every_index(void **state)
{
    struct fixture *f = *state;
    const uint32_t ranks[] = {0, 9, 40, POINT_COUNT / 4, POINT_COUNT};

    for (size_t m = 0; m < POINT_MODES; m++) {
        size_t wanted = 0, got = 0;
        bool is_there = make_points(f, point_modes[m]);
        for (size_t q = 0; q < POINT_QUERIES && is_there; q++)
            for (size_t i = 0; i < FILTERS * sizeof ranks / sizeof *ranks; i++) {
                const float *query = point_queries + q * POINT_DIM;
                struct lynse_search_desc range = {
                    .vector = query,
                    .where = filters[i % FILTERS],
                    .flags = LYNSE_RANGE,
                    .effort = 64,
                    .threshold = score_of_rank(f, query, filters[i % FILTERS], ranks[i / FILTERS]),
                };
                check_range(f, &range, &wanted, &got);
                range.max_results = 5;
                check_range(f, &range, &wanted, &got);
            }
        if ((double)got < 0.97 * (double)wanted)
            fail_msg("%s: %zu of %zu", point_modes[m], got, wanted);
        drop_points(f);
    }
}

/* A range of a batch, in steps, is that of each query by itself. */
static void a_range_is_the_same_in_steps_and_in_a_batch(void **state)
{
    struct fixture *f = *state;

    for (size_t m = 0; m < POINT_MODES; m++) {
        bool is_there = make_points(f, point_modes[m]);
        struct lynse_search_desc range = {.vector = point_queries,
                                          .query_count = POINT_QUERIES,
                                          .dim = POINT_DIM,
                                          .where = "n < 50",
                                          .flags = LYNSE_RANGE,
                                          .threshold = 4,
                                          .error = &f->err};
        struct lynse_hits *hits = NULL;
        struct lynse_search *s;
        int code = LYNSE_MORE;
        size_t first = 0;
        assert_done(lynse_search_begin(f->docs, &range, &s), f);
        while (code == LYNSE_MORE) code = lynse_search_step(s, 1, &hits);
        assert_done(code, f);
        range.query_count = 1;
        for (size_t q = 0; q < POINT_QUERIES && is_there; q++) {
            range.vector = point_queries + q * POINT_DIM;
            struct lynse_hits *one = search_points(f, &range);
            assert_int_equal(hits->query_ends[q] - first, one->count);
            for (size_t i = 0; i < one->count; i++)
                assert_true(hits->numbers[first + i] == one->numbers[i]);
            first = hits->query_ends[q];
            lynse_hits_free(one);
        }
        lynse_hits_free(hits);
        drop_points(f);
    }
}

/* With eps no hit of a scan is farther than the true one of its place by more, and none is nearer
 * than it can be; every score is exact. */
static void what_eps_leaves_out_is_hardly_nearer(void **state)
{
    struct fixture *f = *state;

    for (size_t m = 0; m < POINT_MODES; m++) {
        bool is_there = make_points(f, point_modes[m]);
        bool is_scan = strncmp(point_modes[m], "FLAT", 4) == 0;
        for (size_t i = 0; i < 2 * POINT_QUERIES && is_there; i++) {
            struct lynse_search_desc desc = {.vector = point_queries + i / 2 * POINT_DIM,
                                             .k = 9,
                                             .where = i % 2 ? "n < 50" : NULL,
                                             .flags = LYNSE_EXACT,
                                             .eps = 100};
            struct lynse_hits *truth = search_points(f, &desc);
            desc.flags = 0;
            desc.eps = 0.4f;
            struct lynse_hits *found = search_points(f, &desc);
            assert_int_equal(found->count, truth->count);
            common_count(truth, found, truth->count);
            for (size_t j = 0; j < found->count; j++) {
                assert_true(found->scores[j] >= truth->scores[j]);
                if (is_scan) assert_true(found->scores[j] <= truth->scores[j] + 0.4f);
            }
            lynse_hits_free(truth);
            lynse_hits_free(found);
        }
        drop_points(f);
    }
    assert_true(make_points(f, "FLAT-L2"));
    struct lynse_search_desc bad = {.vector = point_queries, .dim = POINT_DIM, .error = &f->err};
    struct lynse_hits *hits;
    const float values[] = {-1, INFINITY, NAN};
    for (size_t i = 0; i < 3; i++) {
        bad.eps = values[i];
        assert_refused(lynse_search(f->docs, &bad, &hits), f, LYNSE_INVALID, "eps", "finite");
    }
    drop_points(f);
}

#define CASES(_)                                                                                   \
    _(what_eps_leaves_out_is_hardly_nearer)                                                        \
    _(a_range_is_found_through_every_index)                                                        \
    _(a_range_is_the_same_in_steps_and_in_a_batch)

static const struct CMUnitTest tests[] = {CASES(API_THREADS_FOLDER) CASES(API_INLINE_MEMORY)};
TEST_MAIN(tests)
