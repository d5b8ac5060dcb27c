/* SPDX-License-Identifier: Apache-2.0 */
/* Callbacks that rank: what they see, what they decide, and what is refused. */
#include <math.h>
#include <pthread.h>

#include "fixture.h"

enum { ROWS = 60 };

static void add_rows(struct fixture *f)
{
    fixture_make_docs(f);
    for (uint64_t first = 0; first < ROWS; first += 15) {
        add_numbers(f, first, 15);
        breathe(f);
    }
}

static struct lynse_search_desc nearest(struct fixture *f, const float *vector, uint32_t k)
{
    return (struct lynse_search_desc){.vector = vector, .dim = 3, .k = k, .error = &f->err};
}

/* ---- score ---- */

struct seen {
    _Atomic(size_t) rows;
    _Atomic(size_t) calls;
};

/* The farther the better, odd ones and those without a number not at all. */
static int prefer_far(void *ctx, size_t count, const float *distances, const double *const *fields,
                      float *out)
{
    struct seen *seen = ctx;

    atomic_fetch_add(&seen->calls, 1);
    atomic_fetch_add(&seen->rows, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(isnan(fields[1][i]));
        out[i] = fmod(fields[0][i], 2) == 0 ? -distances[i] : NAN;
    }
    return 0;
}

static void a_score_decides_over_every_row_that_matches(void **state)
{
    struct fixture *f = *state;
    float vector[] = {0, 1, 0};
    const char *names[] = {"n", "missing"};
    struct seen seen = {0};
    struct lynse_score_callback score = {prefer_far, &seen, names, 2, 0};
    struct lynse_hits *hits;

    add_rows(f);
    assert_done(lynse_delete(f->docs, &(struct lynse_id){.number = 58}, 1, NULL, NULL, &f->err), f);
    struct lynse_search_desc d = nearest(f, vector, 3);
    d.score_callback = &score;
    assert_done(lynse_search(f->docs, &d, &hits), f);
    const uint64_t expected[] = {56, 54, 52};
    assert_int_equal(hits->count, 3);
    assert_memory_equal(hits->numbers, expected, sizeof expected);
    assert_true(hits->scores[0] == -56.0f * 56.0f);
    lynse_hits_free(hits);
    assert_int_equal(seen.rows, ROWS - 1);

    seen.rows = 0;
    d.where = "n >= 20 AND n < 30";
    assert_done(lynse_search(f->docs, &d, &hits), f);
    assert_int_equal(hits->numbers[0], 28);
    assert_int_equal(hits->count, 3);
    lynse_hits_free(hits);
    assert_int_equal(seen.rows, 10);

    d.where = "n < 0";
    assert_done(lynse_search(f->docs, &d, &hits), f);
    assert_int_equal(hits->count, 0);
    lynse_hits_free(hits);
}

static void steps_score_as_one_call_does(void **state)
{
    struct fixture *f = *state;
    float vectors[] = {0, 1, 0, 59, 1, 0};
    const char *names[] = {"n", "missing"};
    struct seen seen = {0};
    struct lynse_score_callback score = {prefer_far, &seen, names, 2, 0};
    struct lynse_search *search;
    struct lynse_hits *hits = NULL;
    int code;

    add_rows(f);
    struct lynse_search_desc d = nearest(f, vectors, 2);
    d.query_count = 2;
    d.score_callback = &score;
    assert_done(lynse_search_begin(f->docs, &d, &search), f);
    while ((code = lynse_search_step(search, 1, &hits)) == LYNSE_MORE) continue;
    assert_int_equal(code, LYNSE_OK);
    const uint64_t expected[] = {58, 56, 0, 2};
    assert_int_equal(hits->count, 4);
    assert_memory_equal(hits->numbers, expected, sizeof expected);
    lynse_hits_free(hits);
}

/* A search that would be split stays on its caller's thread when the callback asks for that. */
static int count_here(void *ctx, size_t count, const float *distances, const double *const *fields,
                      float *out)
{
    (void)fields;
    assert_true(pthread_equal(*(pthread_t *)ctx, pthread_self()));
    memcpy(out, distances, count * sizeof *out);
    return 0;
}

static void one_thread_is_the_callers(void **state)
{
    struct fixture *f = *state;
    float vector[] = {7, 1, 0};
    pthread_t self = pthread_self();
    struct lynse_score_callback score = {count_here, &self, NULL, 0, LYNSE_ONE_THREAD};
    struct lynse_hits *hits;
    const size_t row_count = IS_TINY ? 45 : 300000;

    fixture_make_docs(f);
    for (uint64_t first = 0; first < row_count; first += row_count / 3) {
        add_numbers(f, first, row_count / 3);
        breathe(f);
    }
    struct lynse_search_desc d = nearest(f, vector, 1);
    d.score_callback = &score;
    assert_done(lynse_search(f->docs, &d, &hits), f);
    assert_int_equal(hits->numbers[0], 7);
    lynse_hits_free(hits);
}

/* ---- rerank ---- */

/* The second half, backwards; sees what it asked for. */
static int second_half_backwards(void *ctx, const struct lynse_hits *hits, size_t *count,
                                 uint32_t *places, float *scores)
{
    const struct lynse_rerank_callback *self = ctx;
    size_t kept = hits->count / 2;

    assert_int_equal(*count, hits->count);
    assert_int_equal(hits->fields != NULL, (self->flags & LYNSE_WITH_FIELDS) != 0);
    assert_int_equal(hits->vectors != NULL, (self->flags & LYNSE_WITH_VECTORS) != 0);
    for (size_t i = 0; i < kept; i++) {
        places[i] = (uint32_t)(hits->count - 1 - i);
        scores[i] = (float)i;
        uint64_t id = hits->ids[places[i]].number;
        if (hits->fields) assert_int_equal(((const uint8_t *)hits->fields[places[i]].data)[3], id);
        if (hits->vectors) assert_true(hits->vectors[places[i] * 3] == (float)id);
    }
    *count = kept;
    return 0;
}

static void a_rerank_puts_hits_in_its_own_order(void **state)
{
    struct fixture *f = *state;
    float vector[] = {0, 1, 0};
    struct lynse_hits *hits;

    add_rows(f);
    for (uint32_t flags = 0; flags <= (LYNSE_WITH_FIELDS | LYNSE_WITH_VECTORS); flags++) {
        struct lynse_rerank_callback rerank = {second_half_backwards, NULL, flags};
        rerank.ctx = &rerank;
        struct lynse_search_desc d = nearest(f, vector, 10);
        d.rerank_callback = &rerank;
        assert_done(lynse_search(f->docs, &d, &hits), f);
        const uint64_t expected[] = {9, 8, 7, 6, 5};
        assert_int_equal(hits->count, 5);
        assert_memory_equal(hits->numbers, expected, sizeof expected);
        for (size_t i = 0; i < 5; i++) assert_true(hits->scores[i] == (float)i);
        lynse_hits_free(hits);
    }
}

/* ---- refusals ---- */

static int refuse_score(void *ctx, size_t count, const float *distances,
                        const double *const *fields, float *out)
{
    (void)ctx, (void)count, (void)distances, (void)fields, (void)out;
    return 17;
}

static int name_twice(void *ctx, const struct lynse_hits *hits, size_t *count, uint32_t *places,
                      float *scores)
{
    (void)hits;
    *count = 2;
    places[0] = places[1] = *(uint32_t *)ctx;
    scores[0] = scores[1] = 0;
    return 0;
}

static void what_a_callback_does_wrong_fails_the_search(void **state)
{
    struct fixture *f = *state;
    float vector[] = {0, 1, 0};
    uint32_t place = 1;
    struct lynse_score_callback score = {refuse_score, NULL, NULL, 0, 0};
    struct lynse_rerank_callback rerank = {name_twice, &place, 0};
    struct lynse_hits *hits;

    add_rows(f);
    struct lynse_search_desc d = nearest(f, vector, 5);
    d.score_callback = &score;
    assert_refused(lynse_search(f->docs, &d, &hits), f, LYNSE_HOOK, "score", "17");
    d.score_callback = NULL;
    d.rerank_callback = &rerank;
    assert_refused(lynse_search(f->docs, &d, &hits), f, LYNSE_HOOK, "rerank", "twice");
    place = 99;
    assert_refused(lynse_search(f->docs, &d, &hits), f, LYNSE_HOOK, "rerank", "99");
    d.rerank = "mmr";
    assert_refused(lynse_search(f->docs, &d, &hits), f, LYNSE_INVALID, "rerank_callback");
    d.rerank = NULL;
    rerank.flags = 64;
    assert_refused(lynse_search(f->docs, &d, &hits), f, LYNSE_INVALID, "flags");
    d.rerank_callback = NULL;
    score.score = NULL;
    d.score_callback = &score;
    assert_refused(lynse_search(f->docs, &d, &hits), f, LYNSE_INVALID, "score_callback");
    score = (struct lynse_score_callback){refuse_score, NULL, NULL, 33, 0};
    assert_refused(lynse_search(f->docs, &d, &hits), f, LYNSE_LIMIT, "33", "32");
    d.score_callback = NULL;
    d.score = "return function() end";
    assert_refused(lynse_search(f->docs, &d, &hits), f, LYNSE_UNSUPPORTED, "liblynse-lua");
    d.score = NULL;
    assert_done(lynse_search(f->docs, &d, &hits), f);
    lynse_hits_free(hits);
}

#define EVERYWHERE(_)                                                                              \
    _(a_score_decides_over_every_row_that_matches)                                                 \
    _(steps_score_as_one_call_does)                                                                \
    _(one_thread_is_the_callers)                                                                   \
    _(a_rerank_puts_hits_in_its_own_order)                                                         \
    _(what_a_callback_does_wrong_fails_the_search)

static const struct CMUnitTest tests[] = {API_EVERYWHERE(EVERYWHERE)};
TEST_MAIN(tests)
