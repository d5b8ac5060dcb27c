/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of a search: in the order of one search for all of them, each record once, to the end. */
#include "indexed.h"

static struct lynse_hits *step(struct fixture *f, struct lynse_search *s, uint64_t budget_us)
{
    struct lynse_hits *hits = NULL;
    int code = LYNSE_MORE;

    while (code == LYNSE_MORE) code = lynse_search_step(s, budget_us, &hits);
    assert_done(code, f);
    return hits;
}

/* All pages, of k, 2k, 3k … records; how many came. */
static size_t read_pages(struct fixture *f, const struct lynse_search_desc *desc, uint32_t k,
                         uint64_t *numbers, float *scores, size_t room)
{
    struct lynse_search_desc d = *desc;
    struct lynse_search *s;
    size_t count = 0;

    d.dim = POINT_DIM;
    d.k = k;
    d.flags |= LYNSE_PAGES;
    d.error = &f->err;
    assert_done(lynse_search_begin(f->docs, &d, &s), f);
    for (uint32_t page = k;; page += k) {
        struct lynse_hits *hits = step(f, s, page % 2 ? 1 : 1000000);
        assert_true(hits->count <= page);
        assert_true(count + hits->count <= room);
        for (size_t i = 0; i < hits->count; i++) {
            numbers[count] = hits->numbers[i];
            scores[count++] = hits->scores[i];
        }
        bool is_last = hits->count < page;
        lynse_hits_free(hits);
        if (is_last) break;
        assert_done(lynse_search_next(s, page + k), f);
    }
    /* At the end there is nothing more, as often as it is asked for. */
    assert_done(lynse_search_next(s, 3), f);
    struct lynse_hits *none = step(f, s, 1);
    assert_int_equal(none->count, 0);
    lynse_hits_free(none);
    lynse_search_cancel(s);
    return count;
}

static void pages_are_one_search_cut_in_pieces(void **state)
{
    struct fixture *f = *state;
    static uint64_t numbers[POINT_COUNT + 1];
    static float scores[POINT_COUNT + 1];

    for (size_t m = 0; m < POINT_MODES; m++) {
        bool is_there = make_points(f, point_modes[m]);
        for (size_t i = 0; i < 6 && is_there; i++) {
            struct lynse_search_desc desc = {.vector = point_queries + i * POINT_DIM,
                                             .where = i % 3 == 2 ? "n < 37" : NULL,
                                             .k = POINT_COUNT,
                                             .flags = LYNSE_EXACT};
            struct lynse_hits *all = search_points(f, &desc);
            if (i % 2) desc.flags = 0;
            size_t count = read_pages(f, &desc, IS_TINY ? 5 : 37, numbers, scores, POINT_COUNT);
            assert_int_equal(count, all->count);
            struct lynse_hits paged = {.count = count, .numbers = numbers, .scores = scores};
            assert_int_equal(common_count(all, &paged, count), count); /* each once */
            for (size_t j = 0; j < count && i % 2 == 0; j++)
                assert_true(numbers[j] == all->numbers[j]);
            lynse_hits_free(all);
        }
        drop_points(f);
    }
}

static int prefer_small(void *ctx, size_t count, const float *distances,
                        const double *const *fields, float *out)
{
    (void)ctx;
    for (size_t i = 0; i < count; i++) out[i] = distances[i] + (float)fields[0][i];
    return 0;
}

static void pages_are_scored_in_every_mode(void **state)
{
    struct fixture *f = *state;
    static uint64_t numbers[POINT_COUNT + 1];
    static float scores[POINT_COUNT + 1];
    static const char *const names[] = {"n"};
    struct lynse_score_callback callback = {prefer_small, NULL, names, 1, 0};

    assert_true(make_points(f, "HNSW-L2"));
    for (uint32_t mode = 0; mode < 3; mode++) {
        struct lynse_search_desc desc = {.vector = point_queries,
                                         .where = "n < 20",
                                         .k = POINT_COUNT,
                                         .score_callback = &callback};
        struct lynse_hits *all = search_points(f, &desc);
        desc.score_mode = mode;
        size_t count = read_pages(f, &desc, 9, numbers, scores, POINT_COUNT);
        struct lynse_hits paged = {.count = count, .numbers = numbers, .scores = scores};
        assert_int_equal(count, all->count);
        assert_int_equal(common_count(all, &paged, count), count);
        lynse_hits_free(all);
    }
    drop_points(f);
}

/* Pages are of the version that the first one read. */
static void what_is_written_meanwhile_is_in_no_page(void **state)
{
    struct fixture *f = *state;
    struct lynse_search_desc desc = {
        .vector = point_queries, .dim = POINT_DIM, .k = 3, .flags = LYNSE_PAGES, .error = &f->err};
    struct lynse_search *s;

    assert_true(make_points(f, "IVF-L2"));
    assert_done(lynse_search_begin(f->docs, &desc, &s), f);
    lynse_hits_free(step(f, s, 100));
    uint64_t number = POINT_COUNT + 1;
    struct lynse_rows row = {
        .dim = POINT_DIM, .count = 1, .numbers = &number, .vectors = point_queries};
    assert_done(lynse_add(f->docs, &row, NULL, NULL, &f->err), f);
    assert_done(lynse_search_next(s, POINT_COUNT), f);
    struct lynse_hits *hits = step(f, s, 100);
    for (size_t i = 0; i < hits->count; i++) assert_true(hits->numbers[i] != number);
    lynse_hits_free(hits);
    lynse_search_cancel(s);
    drop_points(f);
}

static void what_cannot_go_on_says_why(void **state)
{
    struct fixture *f = *state;
    struct lynse_search_desc desc = {
        .vector = point_queries, .dim = POINT_DIM, .k = 3, .flags = LYNSE_PAGES, .error = &f->err};
    struct lynse_search *s;
    struct lynse_hits *hits;

    assert_true(make_points(f, "HNSW-L2"));
    assert_refused(lynse_search(f->docs, &desc, &hits), f, LYNSE_INVALID, "LYNSE_PAGES");
    desc.flags |= LYNSE_RANGE;
    assert_refused(lynse_search_begin(f->docs, &desc, &s), f, LYNSE_INVALID, "pages", "range");
    desc.flags = LYNSE_PAGES;
    desc.query_count = 2;
    assert_refused(lynse_search_begin(f->docs, &desc, &s), f, LYNSE_INVALID, "pages", "one query");
    desc.query_count = 1;
    assert_done(lynse_search_begin(f->docs, &desc, &s), f);
    assert_refused(lynse_search_next(s, 3), f, LYNSE_INVALID, "not there yet");
    lynse_hits_free(step(f, s, 100));
    assert_refused(lynse_search_next(s, 100000), f, LYNSE_LIMIT, "100000", "after 3");
    assert_done(lynse_search_next(s, 0), f); /* 10 */
    hits = step(f, s, 100);
    assert_int_equal(hits->count, 10);
    lynse_hits_free(hits);
    lynse_search_cancel(s);
    desc.flags = 0;
    assert_done(lynse_search_begin(f->docs, &desc, &s), f);
    assert_refused(lynse_search_next(s, 3), f, LYNSE_INVALID, "not begun for more");
    lynse_search_cancel(s);
    drop_points(f);
}

#define CASES(_)                                                                                   \
    _(pages_are_one_search_cut_in_pieces)                                                          \
    _(pages_are_scored_in_every_mode)                                                              \
    _(what_is_written_meanwhile_is_in_no_page)                                                     \
    _(what_cannot_go_on_says_why)

static const struct CMUnitTest tests[] = {CASES(API_THREADS_FOLDER) CASES(API_INLINE_MEMORY)};
TEST_MAIN(tests)
