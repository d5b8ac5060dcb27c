/* SPDX-License-Identifier: Apache-2.0 */
/* Every metric through the door: what it finds and says, and which vectors it refuses where. */
#include "fixture.h"

#include <math.h>

static struct lynse_collection *make(struct fixture *f, const char *name, uint32_t dim,
                                     uint32_t metric)
{
    struct lynse_collection *c;
    struct lynse_collection_desc desc = {.name = name, .dim = dim, .metric = metric};
    assert_done(lynse_collection_create(f->db, &desc, &c, &f->err), f);
    return c;
}

static struct lynse_rows rows_of(const float *vectors, size_t count, uint32_t dim)
{
    return (struct lynse_rows){.dim = dim, .count = count, .vectors = vectors};
}

/* The score of row 0 comes first, then that of row 1. */
static void assert_scores(struct fixture *f, struct lynse_collection *c, const float *query,
                          double first, double second)
{
    struct lynse_hits *hits;
    struct lynse_search_desc desc = {.vector = query, .dim = 2, .k = 2, .error = &f->err};
    assert_done(lynse_search(c, &desc, &hits), f);
    assert_int_equal(hits->count, 2);
    assert_int_equal(hits->numbers[0], 0);
    assert_int_equal(hits->numbers[1], 1);
    assert_true(fabs((double)hits->scores[0] - first) <= 1e-5 * first + 1e-7);
    assert_true(fabs((double)hits->scores[1] - second) <= 1e-5 * second + 1e-7);
    lynse_hits_free(hits);
}

static void every_mode_answers_by_its_metric(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *mode, *name;
        double first, second;
    } modes[] = {
        {"FLAT-CITYBLOCK", "FLAT-L1", 1, 4},
        {"flat-linf", "FLAT-CHEBYSHEV", 1, 3},
        {"FLAT-CANBERRA", "FLAT-CANBERRA", 1.0 / 7, 1.6},
        {"FLAT-BRAYCURTIS", "FLAT-BRAY-CURTIS", 1.0 / 9, 4.0 / 6},
        {"FLAT-HAMMING-BINARY", "FLAT-HAMMING", 0, 1},
        {"FLAT-TANIMOTO", "FLAT-JACCARD", 0, 0.5},
        {"FLAT-SORENSEN-DICE", "FLAT-DICE", 0, 1.0 / 3},
        {"FLAT-GEO", "FLAT-HAVERSINE", 111195.08, 351592.23},
        {"FLAT-PEARSON", "FLAT-CORRELATION", 0, 0},
        {"FLAT-HELLINGER", "FLAT-HELLINGER", 0.04238553, 0.32491970},
        {"FLAT-EMD", "FLAT-WASSERSTEIN", 0.05, 0.2},
        {"FLAT-JS", "FLAT-JENSEN-SHANNON", 0.04236811, 0.27364532},
    };
    struct lynse_collection *c = make(f, "two", 2, 0);
    const float query[] = {1, 4}, vectors[] = {1, 3, 0, 1};
    struct lynse_rows rows = rows_of(vectors, 2, 2);
    assert_done(lynse_add(c, &rows, NULL, NULL, &f->err), f);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct lynse_collection_info info = {0};
        assert_done(lynse_build_index(c, modes[i].mode, &f->err), f);
        assert_done(lynse_collection_info(c, &info, &f->err), f);
        assert_string_equal(info.index_mode, modes[i].name);
        assert_scores(f, c, query, modes[i].first, modes[i].second);
    }
    lynse_collection_close(c);
}

static int add(struct fixture *f, struct lynse_collection *c, const float *vectors, size_t count,
               uint32_t dim)
{
    struct lynse_rows rows = rows_of(vectors, count, dim);
    return lynse_add(c, &rows, NULL, NULL, &f->err);
}

static void assert_count(struct fixture *f, struct lynse_collection *c, uint64_t expected)
{
    uint64_t count;
    assert_done(lynse_count(c, &count, &f->err), f);
    assert_int_equal(count, expected);
}

static void vectors_that_are_none_of_the_metric_are_refused(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection *places = make(f, "places", 0, LYNSE_HAVERSINE);
    struct lynse_collection *masses = make(f, "masses", 3, LYNSE_HELLINGER);
    struct lynse_collection *none;
    const float shanghai_beijing_nowhere[] = {121.47f, 31.23f, 116.41f, 39.9f, 8, 91};
    const float mass[] = {0, 2, 1}, negative[] = {1, 2, 3, 1, -2, 3}, empty[] = {0, 0, 0};
    struct lynse_hits *hits;
    struct lynse_search_desc search = {.dim = 3, .k = 1, .error = &f->err};
    struct lynse_collection_desc three = {.name = "three", .dim = 3, .metric = LYNSE_HAVERSINE};

    assert_refused(lynse_collection_create(f->db, &three, &none, &f->err), f, LYNSE_DIMENSION,
                   "requires dimension 2", "3");
    assert_refused(add(f, places, shanghai_beijing_nowhere, 1, 3), f, LYNSE_DIMENSION,
                   "requires dimension 2", "3");
    assert_refused(add(f, places, shanghai_beijing_nowhere, 3, 2), f, LYNSE_INVALID, "row 2",
                   "component 1", "91", "latitude", "-90 to 90");
    assert_count(f, places, 0);
    assert_done(add(f, places, shanghai_beijing_nowhere, 2, 2), f);

    assert_refused(add(f, masses, negative, 2, 3), f, LYNSE_INVALID, "row 1", "component 1", "-2",
                   "hellinger");
    assert_refused(add(f, masses, empty, 1, 3), f, LYNSE_INVALID, "row 0", "sum of 0");
    assert_done(add(f, masses, mass, 1, 3), f);
    assert_count(f, masses, 1);
    search.vector = empty;
    assert_refused(lynse_search(masses, &search, &hits), f, LYNSE_INVALID, "query 0", "sum of 0");
    search.vector = negative + 3;
    assert_refused(lynse_search(masses, &search, &hits), f, LYNSE_INVALID, "query 0", "-2");
    lynse_collection_close(places);
    lynse_collection_close(masses);
}

static void a_metric_is_not_set_over_vectors_that_are_none_of_it(void **state)
{
    struct fixture *f = *state;
    const float vectors[] = {1, 2, 3, 4, -5, 6, 7, 8, 9};
    const struct lynse_id odd = number_id(1);
    struct lynse_write_result result;

    fixture_make_docs(f);
    assert_done(add(f, f->docs, vectors, 3, 3), f);
    for (int round = 0; round < 2; round++) { /* in memory, and in a segment */
        assert_refused(lynse_build_index(f->docs, "FLAT-HELLINGER", &f->err), f, LYNSE_INVALID,
                       "id 1", "component 1", "-5");
        assert_refused(lynse_build_index(f->docs, "FLAT-GEO", &f->err), f, LYNSE_DIMENSION,
                       "requires dimension 2");
        assert_done(lynse_flush(f->docs, &f->err), f);
    }
    struct lynse_collection_info info = {0};
    assert_done(lynse_collection_info(f->docs, &info, &f->err), f);
    assert_int_equal(info.metric, LYNSE_L2);
    assert_int_equal(delete_ids(f, &odd, 1), 1);
    assert_done(lynse_build_index(f->docs, "FLAT-HELLINGER", &f->err), f);
    assert_refused(lynse_restore(f->docs, &odd, 1, NULL, &result, &f->err), f, LYNSE_INVALID,
                   "id 1", "-5");
    assert_done(lynse_build_index(f->docs, "FLAT-L1", &f->err), f);
    assert_done(lynse_restore(f->docs, &odd, 1, NULL, &result, &f->err), f);
    assert_count(f, f->docs, 3);
}

static float distance(const char *metric, const float *a, const float *b, uint32_t dim)
{
    struct lynse_error err = {0};
    float out = -1;
    if (lynse_compute_distance(metric, a, b, dim, &out, &err) != LYNSE_OK) fail_msg("%s", err.text);
    return out;
}

static void two_vectors_have_a_distance(void **state)
{
    struct fixture *f = *state;
    const float zero[] = {0, 0}, right[] = {3, 4}, place[] = {121.4737f, 31.2304f},
                other[] = {116.4074f, 39.9042f}, first[] = {1, 0, 0}, last[] = {0, 0, 1},
                bits[] = {1, 1, 0}, more[] = {1, 0, 1}, endless[] = {1, INFINITY};
    float out;

    assert_true(distance("l2", zero, right, 2) == 25);
    assert_true(distance("Euclidean", zero, right, 2) == 25);
    assert_true(distance("inner", right, right, 2) == 25);
    assert_true(distance("cos", right, right, 2) == 0);
    assert_true(fabsf(distance("geo", place, other, 2) - 1067000) < 10000);
    assert_true(distance("wasserstein", first, last, 3) == 2);
    assert_true(fabs((double)distance("js", first, last, 3) - 0.8325546) < 1e-6);
    assert_true(distance("dice", bits, more, 3) == 0.5f);
    assert_true(distance("tanimoto", bits, more, 3) == 2.0f / 3);
    assert_refused(lynse_compute_distance("mahalanobis", zero, right, 2, &out, &f->err), f,
                   LYNSE_INVALID, "'mahalanobis'", "ip, l2, cosine", "and jensen_shannon");
    assert_refused(lynse_compute_distance("geo", first, last, 3, &out, &f->err), f, LYNSE_DIMENSION,
                   "requires dimension 2");
    assert_refused(lynse_compute_distance("js", right, zero, 2, &out, &f->err), f, LYNSE_INVALID,
                   "b: ", "sum of 0");
    assert_refused(lynse_compute_distance("l1", endless, zero, 2, &out, &f->err), f, LYNSE_INVALID,
                   "a: component 1", "inf");
    assert_refused(lynse_compute_distance("l1", zero, zero, 0, &out, &f->err), f, LYNSE_DIMENSION,
                   "dim: 0", "1 to 32768");
    assert_refused(lynse_compute_distance(NULL, zero, zero, 2, &out, &f->err), f, LYNSE_INVALID,
                   "metric: missing");
    assert_refused(lynse_compute_distance("l1", NULL, zero, 2, &out, &f->err), f, LYNSE_INVALID,
                   "a: missing");
    assert_refused(lynse_compute_distance("l1", zero, NULL, 2, &out, &f->err), f, LYNSE_INVALID,
                   "b: missing");
    assert_refused(lynse_compute_distance("l1", zero, zero, 2, NULL, &f->err), f, LYNSE_INVALID,
                   "out: missing");
}

#define CASES(_)                                                                                   \
    _(every_mode_answers_by_its_metric)                                                            \
    _(vectors_that_are_none_of_the_metric_are_refused)                                             \
    _(a_metric_is_not_set_over_vectors_that_are_none_of_it)                                        \
    _(two_vectors_have_a_distance)

static const struct CMUnitTest tests[] = {API_EVERYWHERE(CASES)};
TEST_MAIN(tests)
