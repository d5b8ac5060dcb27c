/* SPDX-License-Identifier: Apache-2.0 */
/* What every index kind that is built must do, through the vtab alone, against brute force: find
 * most of the nearest, never fewer than k if there are k, never a row that is shut, with the exact
 * distances.  A kind joins by its line in index_kinds.h. */
#include <math.h>

#include "base/limits.h"
#include "support/built_index.h"
#include "support/metric_distance.h"
#include "support/test.h"

/* Fewer in builds with tiny limits: there a sanitizer looks at each step. */
enum { ROWS = SEAL_ROWS > 1000 ? 3000 : 1000, DIM = 16, QUERIES = 20, K = 10, GROUPS = 30 };

static const struct index_vtab *const kinds[] = {
#define KIND(name, number, kind) &index_##kind,
    INDEX_KINDS(KIND)
#undef KIND
};
enum { KIND_COUNT = sizeof kinds / sizeof *kinds };

/* Recall that is asked for, by kind; what is not named: the last line.  Lists are looked at until k
 * rows were found, which is too few of them where a gate shuts most, or a metric has many ties; by
 * products the rows that are short are hardly anybody's neighbours. */
static const struct floors {
    const char *kind;
    unsigned metric; /* 0: any */
    double plain, gated, ranged;
} floors[] = {
    {"ivf", 0, 0.5, 0.2, 0.4}, {"hnsw", METRIC_IP, 0.8, 0.75, 0.85}, {"", 0, 0.93, 0.9, 0.9}};

struct fixture {
    struct test_vectors vectors;
    struct built_index built;
    uint32_t dim; /* DIM, or what the metric wants */
    float queries[QUERIES * DIM];
    uint64_t shut[(ROWS + 63) / 64];
    struct topk *found, *truth;
};

/* Flat is built of codes alone (test_flat_codes.c), and needs no index otherwise (test_flat.c). */
static bool can_be(const struct index_vtab *kind, unsigned metric)
{
    return index_is_built(kind, QUANTIZER_RAW) &&
           (!kind->takes || kind->takes(metric_find(metric), QUANTIZER_RAW));
}

static const struct floors *floors_of(const struct index_vtab *kind, unsigned metric)
{
    const struct floors *f = floors;
    while (*f->kind && (strcmp(f->kind, kind->name) != 0 || (f->metric && f->metric != metric)))
        f++;
    return f;
}

/* Components are 0 or more where the metric wants that; queries are like rows. */
static void set_up(struct fixture *f, const struct index_vtab *kind, unsigned metric)
{
    struct rng r;
    struct error err = {0};
    struct index_params params;
    memset(f, 0, sizeof *f);
    f->dim = metric_find(metric)->input == METRIC_INPUT_LONLAT ? 2 : DIM;
    rng_init(&r, test_seed(11));
    test_vectors_make(&f->vectors, &r, ROWS, f->dim, GROUPS);
    for (size_t i = 0; i < (size_t)ROWS * f->dim; i++)
        f->vectors.vectors[i] = fabsf(f->vectors.vectors[i]);
    test_vectors_measure(&f->vectors);
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t i = 0; i < f->dim; i++)
            f->queries[q * f->dim + i] =
                fabsf(f->vectors.vectors[q * 97 % ROWS * f->dim + i] + 0.3f * rng_normal(&r));
    index_params_init(kind, &params);
    struct index_build_desc desc = {.alloc = alloc_libc(),
                                    .kernels = kernels_active(),
                                    .vectors = &f->vectors.source,
                                    .params = &params,
                                    .metric = (enum metric)metric,
                                    .row_count = ROWS,
                                    .seed = 3};
    assert_ok(built_index_make(&f->built, kind, &desc, PIECES_FORWARDS, &err), &err);
    f->found = built_lists_make(QUERIES, ROWS);
    f->truth = built_lists_make(QUERIES, ROWS);
}

static void tear_down(struct fixture *f)
{
    built_index_drop(&f->built);
    test_vectors_drop(&f->vectors);
    mem_free(alloc_libc(), f->found);
    mem_free(alloc_libc(), f->truth);
}

static bool is_shut(const struct fixture *f, uint32_t row)
{
    return f->shut[row / 64] >> (row % 64) & 1;
}

/* Search and compare; the mean recall. */
static double compare(struct fixture *f, struct built_search *search)
{
    struct error err = {0};
    for (size_t i = 0; i < QUERIES; i++) {
        f->found[i].capacity = search->k;
        f->truth[i].capacity = search->k;
    }
    search->queries = f->queries;
    search->query_count = QUERIES;
    assert_int_equal(built_index_search(&f->built, search, f->found, &err), INDEX_DONE);
    search->is_exact = true;
    assert_int_equal(built_index_search(&f->built, search, f->truth, &err), INDEX_DONE);
    search->is_exact = false;
    for (size_t q = 0; q < QUERIES; q++) {
        if (search->distance_max == INFINITY)
            assert_int_equal(f->found[q].count, f->truth[q].count);
        for (size_t i = 0; i < f->found[q].count; i++) {
            const struct candidate *c = &f->found[q].heap[i];
            float distance = metric_distance(f->built.metric, f->queries + q * f->dim,
                                             f->vectors.vectors + (size_t)c->row * f->dim, f->dim);
            assert_true(c->row < ROWS);
            if (search->gate.shut_word) assert_false(is_shut(f, c->row));
            assert_memory_equal(&c->distance, &distance, sizeof distance);
            assert_true(c->distance <= search->distance_max);
            for (size_t j = 0; j < i; j++) assert_true(f->found[q].heap[j].row != c->row);
        }
    }
    return built_lists_recall(f->found, f->truth, QUERIES);
}

/* ---- Gates ---- */

enum pattern { SCATTERED, NEAR_QUERIES, FAR_FROM_QUERIES, PATTERNS };

static int by_distance(const void *a, const void *b)
{
    const struct candidate *x = (const struct candidate *)a, *y = (const struct candidate *)b;
    return x->distance < y->distance ? -1 : x->distance > y->distance;
}

/* A share of the rows is open: of all, or of those that are nearest to, or farthest from, the first
 * query. */
static void shut_all_but(struct fixture *f, double share, enum pattern pattern)
{
    static struct candidate order[ROWS];
    struct rng r;
    rng_init(&r, 17);
    memset(f->shut, 0xff, sizeof f->shut);
    for (uint32_t row = 0; row < ROWS; row++) {
        float distance = metric_distance(f->built.metric, f->queries,
                                         f->vectors.vectors + (size_t)row * f->dim, f->dim);
        if (pattern == SCATTERED) distance = (float)rng_unit(&r);
        if (pattern == FAR_FROM_QUERIES) distance = -distance;
        order[row] = (struct candidate){distance, 0, row};
    }
    qsort(order, ROWS, sizeof *order, by_distance);
    for (uint32_t i = 0; i < share * ROWS; i++)
        f->shut[order[i].row / 64] &= ~(1ull << (order[i].row % 64));
}

/* metric_max: later ones differ in their kernels alone. */
static void for_each(unsigned metric_max,
                     void (*test)(struct fixture *f, const struct index_vtab *kind,
                                  unsigned metric))
{
    static struct fixture f;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        for (unsigned metric = 1; metric <= metric_max; metric++) {
            if (!can_be(kinds[i], metric)) continue;
            set_up(&f, kinds[i], metric);
            test(&f, kinds[i], metric);
            tear_down(&f);
        }
    }
}

static void check_plain(struct fixture *f, const struct index_vtab *kind, unsigned metric)
{
    struct error err = {0};
    const size_t ks[] = {1, K, 100, ROWS, ROWS + 5};
    for (size_t i = 0; i < 5; i++) {
        struct built_search search = {.k = ks[i] < ROWS ? ks[i] : ROWS, .distance_max = INFINITY};
        double recall = compare(f, &search);
        if (recall < floors_of(kind, metric)->plain)
            fail_msg("%s, metric %u, k %zu: recall %.3f", kind->name, metric, ks[i], recall);
    }
    if (kind->check) assert_ok(kind->check(f->built.index, &f->vectors.source, &err), &err);
}

static void most_of_the_nearest_are_found(void **state)
{
    (void)state;
    for_each(METRIC_MAX, check_plain);
}

static void check_gates(struct fixture *f, const struct index_vtab *kind, unsigned metric)
{
    const double shares[] = {1, 0.9, 0.5, 0.3, 0.1, 0.01, 0.001, 0};
    for (int pattern = 0; pattern < PATTERNS; pattern++) {
        for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
            shut_all_but(f, shares[i], (enum pattern)pattern);
            for (int first = 0; first < 2; first++) {
                struct built_search search = {.k = K,
                                              .gate = {built_shut_word, f->shut, first != 0},
                                              .distance_max = INFINITY};
                double recall = compare(f, &search);
                if (recall < floors_of(kind, metric)->gated)
                    fail_msg("%s, metric %u, pattern %d, %g open, first %d: recall %.3f",
                             kind->name, metric, pattern, shares[i], first, recall);
            }
        }
    }
}

static void gates_cost_no_answer(void **state)
{
    (void)state;
    for_each(METRIC_L1, check_gates);
}

static void check_ranges(struct fixture *f, const struct index_vtab *kind, unsigned metric)
{
    for (size_t i = 0; i < 8; i++) {
        /* The distance of the 3rd, the 30th, the 300th row, and the nearest one's. */
        const size_t ranks[] = {0, 2, 29, 299};
        struct built_search search = {.k = ROWS, .distance_max = INFINITY};
        compare(f, &search);
        search.distance_max = f->truth[0].heap[ranks[i / 2]].distance;
        if (i % 2) {
            shut_all_but(f, 0.5, SCATTERED);
            search.gate = (struct index_gate){built_shut_word, f->shut, true};
        }
        search.k = 1000;
        double recall = compare(f, &search);
        if (recall < floors_of(kind, metric)->ranged)
            fail_msg("%s, metric %u, range of rank %zu: recall %.3f", kind->name, metric,
                     ranks[i / 2], recall);
    }
}

static void ranges_are_filled(void **state)
{
    (void)state;
    for_each(METRIC_L1, check_ranges);
}

/* The same lists, however a search is cut and with whom it shares its advances. */
static void check_cuts(struct fixture *f, const struct index_vtab *kind, unsigned metric)
{
    struct error err = {0};
    struct topk *other = built_lists_make(QUERIES, K);
    (void)kind, (void)metric;
    for (int i = 0; i < 6; i++) {
        struct built_search search = {.k = K, .distance_max = INFINITY};
        shut_all_but(f, i % 2 ? 0.6 : 0.3, SCATTERED);
        if (i >= 2) search.gate = (struct index_gate){built_shut_word, f->shut, i >= 4};
        compare(f, &search);
        search.budget = 1;
        assert_int_equal(built_index_search(&f->built, &search, other, &err), INDEX_DONE);
        for (size_t q = 0; q < QUERIES; q++) {
            assert_int_equal(other[q].count, f->found[q].count);
            assert_memory_equal(other[q].heap, f->found[q].heap,
                                other[q].count * sizeof(struct candidate));
        }
        for (size_t q = 0; q < QUERIES; q++) {
            search.queries = f->queries + q * f->dim;
            search.query_count = 1;
            search.budget = 50;
            assert_int_equal(built_index_search(&f->built, &search, other, &err), INDEX_DONE);
            assert_memory_equal(other[0].heap, f->found[q].heap,
                                other[0].count * sizeof(struct candidate));
        }
    }
    mem_free(alloc_libc(), other);
}

static void cuts_change_nothing(void **state)
{
    (void)state;
    for_each(METRIC_L1, check_cuts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(most_of_the_nearest_are_found),
        cmocka_unit_test(gates_cost_no_answer),
        cmocka_unit_test(ranges_are_filled),
        cmocka_unit_test(cuts_change_nothing),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
