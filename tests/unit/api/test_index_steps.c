/* SPDX-License-Identifier: Apache-2.0 */
/* Searches in steps: whatever they ask for, however short the steps, and whatever is written,
 * sealed, merged, built or dropped between two of them, they answer what one call did; and one that
 * is given up leaves nothing behind, which the fixture counts. */
#include <math.h>

#include "indexed.h"

enum { OPEN = 3, TRIALS = IS_TINY ? 6 : 12, BATCH = 17, BUDGET_US = 40 };

/* One search, drawn, and what one call said. */
struct trial {
    struct lynse_search_desc desc;
    struct lynse_search *search; /* NULL: it is over */
    struct lynse_hits *expected;
    bool is_given_up;
};

static int prefer_large(void *ctx, size_t count, const float *distances,
                        const double *const *fields, float *out)
{
    (void)ctx;
    for (size_t i = 0; i < count; i++)
        out[i] = fields[0][i] < 5 ? NAN : distances[i] - 0.05f * (float)fields[0][i];
    return 0;
}

static struct lynse_search_desc draw_search(struct rng *r, struct fixture *f)
{
    static const char *const filters[] = {NULL, "n < 50", "n < 3", "n = 7 OR n > 95", "n < 0"};
    static const uint32_t counts[] = {1, 5, 17, 60, POINT_COUNT};
    static const uint32_t efforts[] = {0, 4, 200};
    static const char *const names[] = {"n"};
    static const struct lynse_score_callback callback = {prefer_large, NULL, names, 1, 0};
    size_t query = rng_below(r, POINT_QUERIES - BATCH);
    struct lynse_search_desc d = {
        .vector = point_queries + query * POINT_DIM,
        .dim = POINT_DIM,
        .query_count = rng_below(r, 2) ? 1 : 1 + rng_below(r, BATCH),
        .k = counts[rng_below(r, 5)],
        .where = filters[rng_below(r, 5)],
        .effort = efforts[rng_below(r, 3)],
        .oversample = rng_below(r, 2) ? 0 : 2,
        .eps = rng_below(r, 4) ? 0 : 0.5f,
        .error = &f->err,
    };
    if (rng_below(r, 5) == 0) d.flags |= LYNSE_EXACT;
    if (rng_below(r, 4) == 0) {
        d.flags |= LYNSE_RANGE;
        d.threshold = (float)(1 + rng_below(r, 12));
        d.max_results = 1 + (uint32_t)rng_below(r, 200);
    }
    if (rng_below(r, 3) == 0) {
        d.score_callback = &callback;
        d.score_mode = (uint32_t)rng_below(r, 3);
    }
    return d;
}

static bool are_same(const struct lynse_hits *a, const struct lynse_hits *b)
{
    return a->count == b->count && a->query_count == b->query_count &&
           memcmp(a->query_ends, b->query_ends, a->query_count * sizeof *a->query_ends) == 0 &&
           memcmp(a->numbers, b->numbers, a->count * sizeof *a->numbers) == 0 &&
           memcmp(a->scores, b->scores, a->count * sizeof *a->scores) == 0;
}

/* Of the state that both calls around its beginning saw: a merge may publish at any time. */
static void begin_trial(struct fixture *f, struct rng *r, struct trial *t)
{
    struct lynse_hits *again;
    bool is_settled = false;

    *t = (struct trial){.desc = draw_search(r, f), .is_given_up = rng_below(r, 4) == 0};
    t->expected = search_points(f, &t->desc);
    while (!is_settled) {
        assert_done(lynse_search_begin(f->docs, &t->desc, &t->search), f);
        again = search_points(f, &t->desc);
        is_settled = are_same(again, t->expected);
        lynse_hits_free(t->expected);
        t->expected = again;
        if (!is_settled) lynse_search_cancel(t->search);
    }
}

static void end_trial(struct trial *t)
{
    lynse_hits_free(t->expected);
    *t = (struct trial){0};
}

static void step_trial(struct fixture *f, struct rng *r, struct trial *t, const char *mode)
{
    struct lynse_hits *hits;

    if (t->is_given_up && rng_below(r, 6) == 0) {
        lynse_search_cancel(t->search);
        end_trial(t);
        return;
    }
    int code = lynse_search_step(t->search, 1 + rng_below(r, BUDGET_US), &hits);
    if (code == LYNSE_MORE) return;
    assert_done(code, f);
    if (!are_same(hits, t->expected))
        fail_msg("%s: k %u, %zu queries, where %s, flags %u, mode %u: %zu hits, %zu by one call",
                 mode, t->desc.k, t->desc.query_count, t->desc.where ? t->desc.where : "all",
                 t->desc.flags, t->desc.score_mode, hits->count, t->expected->count);
    lynse_hits_free(hits);
    end_trial(t);
}

static void put_some(struct fixture *f, struct rng *r, uint64_t first, bool is_new)
{
    float vectors[8 * POINT_DIM];
    uint64_t numbers[8];
    struct lynse_rows rows = {.dim = POINT_DIM, .count = 8, .numbers = numbers, .vectors = vectors};

    for (size_t i = 0; i < 8 * POINT_DIM; i++) vectors[i] = point_queries[i] + rng_normal(r);
    for (size_t i = 0; i < 8; i++) numbers[i] = first + i;
    assert_done(is_new ? lynse_add(f->docs, &rows, NULL, NULL, &f->err)
                       : lynse_upsert(f->docs, &rows, NULL, NULL, &f->err),
                f);
    breathe(f);
}

/* What others do between two steps; most often nothing. */
static void disturb(struct fixture *f, struct rng *r, const char *mode, uint64_t *next)
{
    struct lynse_id id = number_id(rng_below(r, POINT_COUNT));

    switch (rng_below(r, 80)) {
    case 0:
        put_some(f, r, *next, true);
        *next += 8;
        break;
    case 1:
        put_some(f, r, id.number, false);
        break;
    case 2:
        delete_ids(f, &id, 1);
        break;
    case 3: /* small segments, which are merged */
        assert_done(lynse_flush(f->docs, &f->err), f);
        break;
    case 4:
        if (rng_below(r, 4) == 0) assert_done(lynse_remove_index(f->docs, &f->err), f);
        break;
    case 5:
        if (rng_below(r, 4) == 0) assert_done(lynse_build_index(f->docs, mode, &f->err), f);
        break;
    default:
        if (f->variant->mode == LYNSE_INLINE) (void)lynse_poll(f->db, 50);
    }
}

static void run_trials(struct fixture *f, struct rng *r, const char *mode)
{
    struct trial trials[OPEN] = {0};
    uint64_t next = 2 * POINT_COUNT;

    for (size_t begun = 0, left = 1; left > 0;) {
        left = 0;
        for (size_t i = 0; i < OPEN; i++) {
            if (!trials[i].search && begun < TRIALS) {
                begin_trial(f, r, &trials[i]);
                begun++;
            }
            disturb(f, r, mode, &next);
            if (trials[i].search) step_trial(f, r, &trials[i], mode);
            left += trials[i].search != NULL || begun < TRIALS;
        }
    }
}

static void steps_answer_what_one_call_does(void **state)
{
    struct fixture *f = *state;
    struct rng r;

    rng_init(&r, test_seed(17));
    /* Half of the modes in each kind of root. */
    for (size_t m = f->variant->mode == LYNSE_INLINE; m < POINT_MODES; m += 2) {
        if (make_points(f, point_modes[m])) run_trials(f, &r, point_modes[m]);
        drop_points(f);
    }
}

/* Its segments and its index are gone for everybody else. */
static void a_search_outlives_what_it_searches(void **state)
{
    struct fixture *f = *state;
    struct lynse_search_desc desc = {.vector = point_queries, .dim = POINT_DIM, .error = &f->err};

    for (size_t m = 0; m < POINT_MODES; m += 4) {
        struct lynse_hits *hits = NULL;
        struct lynse_search *s;
        if (!make_points(f, point_modes[m])) {
            drop_points(f);
            continue;
        }
        struct lynse_hits *expected = search_points(f, &desc);
        assert_done(lynse_search_begin(f->docs, &desc, &s), f);
        int code = lynse_search_step(s, 1, &hits);
        drop_points(f);
        while (code == LYNSE_MORE) code = lynse_search_step(s, 1, &hits);
        assert_done(code, f);
        assert_true(are_same(hits, expected));
        lynse_hits_free(hits);
        lynse_hits_free(expected);
    }
}

#define CASES(_) _(steps_answer_what_one_call_does) _(a_search_outlives_what_it_searches)

static const struct CMUnitTest tests[] = {CASES(API_THREADS_MEMORY) CASES(API_INLINE_MEMORY)};
TEST_MAIN(tests)
