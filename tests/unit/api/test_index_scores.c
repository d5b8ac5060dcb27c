/* SPDX-License-Identifier: Apache-2.0 */
/* A score over what an index collects: which rows it is given, how many come back, and that steps
 * and batches change nothing. */
#include <math.h>

#include "indexed.h"

enum { K = 8 };

/* distance * weight + n, where n is the field; rows for which n % 100 >= `below` are dropped. */
struct rule {
    float weight;
    double below;
    _Atomic(size_t) given; /* rows, so far */
};

static int score(void *ctx, size_t count, const float *distances, const double *const *fields,
                 float *out)
{
    struct rule *rule = ctx;

    atomic_fetch_add(&rule->given, count);
    for (size_t i = 0; i < count; i++)
        out[i] = fields[0][i] < rule->below ? distances[i] * rule->weight + (float)fields[0][i] / 10
                                            : NAN;
    return 0;
}

static const char *const names[] = {"n"};

static struct lynse_score_callback callback_of(struct rule *rule)
{
    return (struct lynse_score_callback){score, rule, names, 1, 0};
}

static struct lynse_hits *search_scored(struct fixture *f, struct rule *rule, const float *query,
                                        const struct lynse_search_desc *how)
{
    struct lynse_score_callback callback = callback_of(rule);
    struct lynse_search_desc desc = *how;

    desc.vector = query;
    desc.k = K;
    desc.score_callback = &callback;
    rule->given = 0;
    return search_points(f, &desc);
}

static void assert_same_hits(const struct lynse_hits *a, const struct lynse_hits *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_true(a->numbers[i] == b->numbers[i]);
        assert_true(a->scores[i] == b->scores[i]);
    }
}

static void what_was_collected_is_ranked_by_the_hook(void **state)
{
    struct fixture *f = *state;

    for (size_t m = 0; m < POINT_MODES; m++) {
        size_t wanted = 0, got = 0;
        bool is_there = make_points(f, point_modes[m]);
        for (size_t q = 0; q < POINT_QUERIES && is_there; q++) {
            const float *query = point_queries + q * POINT_DIM;
            struct rule rule = {.weight = 4, .below = 90};
            struct lynse_search_desc how = {.where = q % 2 ? "n < 60" : NULL};
            struct lynse_hits *truth = search_scored(f, &rule, query, &how);
            how.score_mode = LYNSE_SCORE_COLLECT;
            struct lynse_hits *near = search_scored(f, &rule, query, &how);
            assert_int_equal(near->count, truth->count);
            assert_true(IS_TINY || rule.given <= 104);
            wanted += truth->count;
            got += common_count(truth, near, K);
            /* What is collected is all that there is. */
            how.oversample = 1000;
            struct lynse_hits *all = search_scored(f, &rule, query, &how);
            assert_same_hits(all, truth);
            lynse_hits_free(truth);
            lynse_hits_free(near);
            lynse_hits_free(all);
        }
        if ((double)got < 0.8 * (double)wanted)
            fail_msg("%s: %zu of %zu", point_modes[m], got, wanted);
        drop_points(f);
    }
}

/* The hook prefers rows that are far from the query: as many as are nearest do not have them. */
static void a_beam_goes_on_while_it_gets_better(void **state)
{
    struct fixture *f = *state;

    for (size_t m = 0; m < POINT_MODES; m++) {
        size_t wanted = 0, got[2] = {0};
        bool is_there = make_points(f, point_modes[m]);
        for (size_t q = 0; q < POINT_QUERIES && is_there; q++) {
            const float *query = point_queries + q * POINT_DIM;
            struct rule rule = {.weight = 0.25f, .below = 100};
            struct lynse_search_desc how = {0};
            struct lynse_hits *truth = search_scored(f, &rule, query, &how);
            for (int i = 0; i < 2; i++) {
                how.score_mode = i == 0 ? LYNSE_SCORE_COLLECT : LYNSE_SCORE_BEAM;
                struct lynse_hits *found = search_scored(f, &rule, query, &how);
                assert_int_equal(found->count, K);
                got[i] += common_count(truth, found, K);
                lynse_hits_free(found);
            }
            wanted += truth->count;
            lynse_hits_free(truth);
        }
        if (is_there && (got[1] < got[0] || (double)got[1] < 0.9 * (double)wanted))
            fail_msg("%s: %zu, %zu of %zu", point_modes[m], got[0], got[1], wanted);
        drop_points(f);
    }
}

/* However many the hook drops, as many come back as it leaves. */
static void what_is_dropped_costs_no_answer(void **state)
{
    struct fixture *f = *state;
    const double limits[] = {1, 0, 20};

    for (size_t m = 0; m < POINT_MODES; m++) {
        bool is_there = make_points(f, point_modes[m]);
        for (size_t i = 0; i < 12 && is_there; i++) {
            struct rule rule = {.weight = 1, .below = limits[i % 3]};
            struct lynse_search_desc how = {.where = i % 2 ? "n < 50" : NULL};
            const float *query = point_queries + i * POINT_DIM;
            struct lynse_hits *truth = search_scored(f, &rule, query, &how);
            how.score_mode = i % 4 < 2 ? LYNSE_SCORE_COLLECT : LYNSE_SCORE_BEAM;
            struct lynse_hits *found = search_scored(f, &rule, query, &how);
            assert_int_equal(found->count, truth->count);
            if (limits[i % 3] < 2) assert_same_hits(found, truth);
            lynse_hits_free(truth);
            lynse_hits_free(found);
        }
        drop_points(f);
    }
}

/* In steps, and each query of a batch, as by itself. */
static void steps_and_batches_change_no_score(void **state)
{
    struct fixture *f = *state;

    for (size_t m = 0; m < POINT_MODES; m++) {
        bool is_there = make_points(f, point_modes[m]);
        for (uint32_t mode = 0; mode < 3 && is_there; mode++) {
            struct rule rule = {.weight = 1, .below = 50};
            struct lynse_score_callback callback = callback_of(&rule);
            struct lynse_search_desc desc = {.vector = point_queries,
                                             .query_count = 1,
                                             .dim = POINT_DIM,
                                             .k = K,
                                             .score_callback = &callback,
                                             .score_mode = mode,
                                             .error = &f->err};
            struct lynse_hits *whole = search_points(f, &desc), *hits = NULL;
            struct lynse_search *s;
            int code = LYNSE_MORE;
            assert_done(lynse_search_begin(f->docs, &desc, &s), f);
            while (code == LYNSE_MORE) code = lynse_search_step(s, 1, &hits);
            assert_done(code, f);
            assert_same_hits(hits, whole);
            lynse_hits_free(hits);
            desc.query_count = POINT_QUERIES;
            hits = search_points(f, &desc);
            assert_int_equal(hits->query_count, POINT_QUERIES);
            if (mode != LYNSE_SCORE_BEAM) { /* which goes on for the one that wants it longest */
                hits->count = hits->query_ends[0];
                assert_same_hits(hits, whole);
            }
            lynse_hits_free(hits);
            lynse_hits_free(whole);
        }
        drop_points(f);
    }
}

static int fail_late(void *ctx, size_t count, const float *distances, const double *const *fields,
                     float *out)
{
    (void)ctx, (void)count, (void)distances, (void)fields, (void)out;
    return 1;
}

static void a_hook_that_fails_fails_the_search(void **state)
{
    struct fixture *f = *state;
    struct lynse_score_callback callback = {fail_late, NULL, names, 1, 0};
    struct lynse_search_desc desc = {
        .vector = point_queries, .dim = POINT_DIM, .score_callback = &callback, .error = &f->err};
    struct lynse_hits *hits;

    assert_true(make_points(f, "HNSW-L2"));
    for (desc.score_mode = 0; desc.score_mode < 3; desc.score_mode++)
        assert_refused(lynse_search(f->docs, &desc, &hits), f, LYNSE_HOOK, "score");
    assert_refused(lynse_search(f->docs, &desc, &hits), f, LYNSE_INVALID, "score_mode", "3",
                   "0 to 2");
    /* A range of what the hook gives. */
    struct rule rule = {.weight = 1, .below = 100};
    callback = callback_of(&rule);
    desc.flags = LYNSE_RANGE;
    desc.threshold = 6;
    for (desc.score_mode = 0; desc.score_mode < 3; desc.score_mode++) {
        assert_done(lynse_search(f->docs, &desc, &hits), f);
        assert_true(hits->count > 0);
        for (size_t i = 0; i < hits->count; i++) assert_true(hits->scores[i] <= 6);
        lynse_hits_free(hits);
    }
    drop_points(f);
}

#define CASES(_)                                                                                   \
    _(what_was_collected_is_ranked_by_the_hook)                                                    \
    _(a_beam_goes_on_while_it_gets_better)                                                         \
    _(what_is_dropped_costs_no_answer)                                                             \
    _(steps_and_batches_change_no_score)                                                           \
    _(a_hook_that_fails_fails_the_search)

static const struct CMUnitTest tests[] = {CASES(API_THREADS_FOLDER) CASES(API_INLINE_MEMORY)};
TEST_MAIN(tests)
