/* SPDX-License-Identifier: Apache-2.0 */
/* What every index that is built must do, through the vtab alone, against brute force: find most of
 * the nearest, never fewer than k if there are k, never a row that is shut, with the exact
 * distances, and the same however it is cut.
 *
 * The table is made of the registries: each kind with each metric and each quantizer that its
 * tables say goes together, at the standard, the lowest and the highest number of the quantizer.  A
 * kind joins by its line in index_kinds.h, a metric by its line in lynse_kinds.h, a quantizer by
 * its line in quantizer_kinds.h; what a row may miss stands in `floors`.  Types of storage,
 * histories of updates and hooks are of collections (unit/api/test_index_table.c). */
#include <math.h>

#include "base/limits.h"
#include "index/index_mode.h"
#include "support/built_index.h"
#include "support/metric_distance.h"
#include "support/test.h"

/* Fewer in builds with tiny limits: there a sanitizer looks at each step. */
enum {
    ROWS = SEAL_ROWS > 1000 ? 3000 : 300,
    DIM = 16,
    QUERIES = SEAL_ROWS > 1000 ? 20 : 10,
    K = 10,
    GROUPS = 30
};
enum { CASES_MAX = 64, NAME_BYTES = 64 };

/* A row of the table: a kind and a quantizer, over all metrics that they know. */
struct table_row {
    enum index_kind kind;
    struct quantizer_spec quantizer;
    char name[NAME_BYTES];
};

/* Recall that is asked for: of the first line that fits.  By products the rows that are short are
 * hardly anybody's neighbours.  A graph that is walked on codes of a bit finds few of a hundred:
 * k of them are measured, as nobody asked for more. */
static const struct floors {
    const char *row; /* of the table, a part of its name; "": any */
    unsigned metric; /* 0: any */
    double plain, gated, ranged;
} floors[] = {
    {"hnsw over RABITQ 0", 0, 0.65, 0.8, 0.9},
    {"hnsw over POLARVEC 1", 0, 0.65, 0.8, 0.9},
    {"hnsw over SQ4 0", 0, 0.88, 0.85, 0.9},
    {"hnsw over SIGN 0", 0, 0.3, 0.5, 0.5},
    {"over PQ 1", 0, 0, 0, 0},
    {"over PQFS 1", 0, 0, 0, 0},
    {"hnsw over PQ", 0, 0.15, 0.3, 0.3},
    {"", METRIC_IP, 0.9, 0.85, 0.9},
    {"", 0, 0.93, 0.9, 0.9},
};

static struct fixture {
    struct test_vectors vectors;
    struct built_index built;
    const char *name;
    unsigned metric;
    uint32_t dim; /* DIM, or what the metric wants */
    float queries[QUERIES * DIM];
    uint64_t shut[(ROWS + 63) / 64];
    float distances[QUERIES][ROWS]; /* by row */
    uint32_t order[QUERIES][ROWS];  /* rows, nearest first */
    struct topk *found;
} fixture;

static const struct floors *floors_of(const struct fixture *f)
{
    const struct floors *at = floors;
    while ((*at->row && !strstr(f->name, at->row)) || (at->metric && at->metric != f->metric)) at++;
    return at;
}

static bool is_shut(const struct fixture *f, uint32_t row)
{
    return f->shut[row / 64] >> (row % 64) & 1;
}

/* ---- Truth ---- */

static const float *compared; /* of the query whose rows are being put in order */

static int by_distance(const void *a, const void *b)
{
    float x = compared[*(const uint32_t *)a], y = compared[*(const uint32_t *)b];
    return x < y ? -1 : x > y;
}

static void measure_all(struct fixture *f)
{
    for (size_t q = 0; q < QUERIES; q++) {
        for (uint32_t row = 0; row < ROWS; row++) {
            f->order[q][row] = row;
            f->distances[q][row] =
                metric_distance(f->metric, f->queries + q * f->dim,
                                f->vectors.vectors + (size_t)row * f->dim, f->dim);
        }
        compared = f->distances[q];
        qsort(f->order[q], ROWS, sizeof(uint32_t), by_distance);
    }
}

/* How many rows are to be found, and how far the last of them is. */
static size_t truth_of(const struct fixture *f, const struct built_search *search, size_t q,
                       float *out_worst)
{
    size_t count = 0;

    *out_worst = -INFINITY;
    for (size_t i = 0; i < ROWS && count < search->k; i++) {
        uint32_t row = f->order[q][i];
        if (search->gate.shut_word && is_shut(f, row)) continue;
        if (f->distances[q][row] > search->distance_max) break;
        *out_worst = f->distances[q][row];
        count++;
    }
    return count;
}

/* ---- A row's index ---- */

/* Components are 0 or more where the metric wants that; queries are like rows.  False: the number
 * of the quantizer does not suit the dimension. */
static bool set_up(struct fixture *f, const struct table_row *row, unsigned metric)
{
    struct rng r;
    struct error err = {0};
    struct index_params params;
    const struct index_vtab *kind = index_find(row->kind);
    memset(f, 0, sizeof *f);
    f->name = row->name;
    f->metric = metric;
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
                                    .quantizer = row->quantizer,
                                    .metric = (enum metric)metric,
                                    .row_count = ROWS,
                                    .seed = 3};
    int rc = built_index_make(&f->built, kind, &desc, PIECES_FORWARDS, &err);
    if (rc != 0 && err.code == LYNSE_LIMIT && row->quantizer.number != 0) {
        test_vectors_drop(&f->vectors);
        return false;
    }
    assert_ok(rc, &err);
    f->found = built_lists_make(QUERIES, ROWS);
    measure_all(f);
    return true;
}

static void tear_down(struct fixture *f)
{
    built_index_drop(&f->built);
    test_vectors_drop(&f->vectors);
    mem_free(alloc_libc(), f->found);
}

/* What was found is open, exact, near enough and there once; how many are as near as can be. */
static size_t check_found(const struct fixture *f, const struct built_search *search, size_t q,
                          float worst)
{
    const struct topk *found = &f->found[q];
    uint64_t seen[(ROWS + 63) / 64] = {0};
    size_t hits = 0;

    for (size_t i = 0; i < found->count; i++) {
        const struct candidate *c = &found->heap[i];
        assert_true(c->row < ROWS);
        assert_memory_equal(&c->distance, &f->distances[q][c->row], sizeof c->distance);
        assert_false(search->gate.shut_word && is_shut(f, c->row));
        assert_false(seen[c->row / 64] >> (c->row % 64) & 1);
        assert_true(c->distance <= search->distance_max);
        seen[c->row / 64] |= 1ull << (c->row % 64);
        hits += c->distance <= worst;
    }
    return hits;
}

/* Search and compare; the mean recall. */
static double compare(struct fixture *f, struct built_search *search)
{
    struct error err = {0};
    size_t hits = 0, wanted = 0;

    search->queries = f->queries;
    search->query_count = QUERIES;
    for (size_t q = 0; q < QUERIES; q++) f->found[q].capacity = search->k;
    assert_int_equal(built_index_search(&f->built, search, f->found, &err), INDEX_DONE);
    for (size_t q = 0; q < QUERIES; q++) {
        float worst;
        size_t count = truth_of(f, search, q, &worst);
        if (search->distance_max == INFINITY) assert_int_equal(f->found[q].count, count);
        hits += check_found(f, search, q, worst);
        wanted += count;
    }
    return wanted > 0 ? (double)hits / (double)wanted : 1;
}

static void expect(const struct fixture *f, double recall, double floor, const char *what, double n)
{
    if (recall >= floor) return;
    fail_msg("%s by %s, %s %g: recall %.3f, %.3f wanted", f->name, metric_find(f->metric)->name,
             what, n, recall, floor);
}

/* ---- What is asked of each ---- */

static void most_of_the_nearest_are_found(struct fixture *f)
{
    struct error err = {0};
    const size_t ks[] = {1, K, 100, ROWS, ROWS + 5};
    for (size_t i = 0; i < 5; i++) {
        struct built_search search = {.k = ks[i] < ROWS ? ks[i] : ROWS, .distance_max = INFINITY};
        expect(f, compare(f, &search), floors_of(f)->plain, "k", (double)ks[i]);
    }
    if (f->built.kind->check)
        assert_ok(f->built.kind->check(f->built.index, &f->vectors.source, &err), &err);
}

enum pattern { SCATTERED, NEAR_QUERIES, FAR_FROM_QUERIES, PATTERNS };

/* A share of the rows is open: of all, or of those that are nearest to, or farthest from, the first
 * query. */
static void shut_all_but(struct fixture *f, double share, enum pattern pattern)
{
    struct rng r;
    uint32_t count = (uint32_t)ceil(share * ROWS);

    rng_init(&r, 17);
    memset(f->shut, 0xff, sizeof f->shut);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint32_t row = f->order[0][pattern == FAR_FROM_QUERIES ? ROWS - 1 - i : i];
        bool is_open = pattern == SCATTERED ? rng_unit(&r) < share : i < count;
        if (is_open) f->shut[row / 64] &= ~(1ull << (row % 64));
    }
}

static void gates_cost_no_answer(struct fixture *f)
{
    static const char *const names[PATTERNS] = {"scattered", "near", "far"};
    const double shares[] = {1, 0.9, 0.5, 0.3, 0.1, 0.01, 0.001, 0};
    for (int pattern = 0; pattern < PATTERNS; pattern++) {
        for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
            shut_all_but(f, shares[i], (enum pattern)pattern);
            for (int first = 0; first < 2; first++) {
                struct built_search search = {.k = K,
                                              .gate = {built_shut_word, f->shut, first != 0},
                                              .distance_max = INFINITY};
                expect(f, compare(f, &search), floors_of(f)->gated, names[pattern], shares[i]);
            }
        }
    }
}

static void ranges_are_filled(struct fixture *f)
{
    /* The distance of the nearest row, the 3rd, the 30th, the 300th. */
    const size_t ranks[] = {0, 2, 29, 299};
    for (size_t i = 0; i < 8; i++) {
        size_t rank = ranks[i / 2];
        struct built_search search = {.k = ROWS / 3,
                                      .distance_max = f->distances[0][f->order[0][rank]]};
        if (i % 2) {
            shut_all_but(f, 0.5, SCATTERED);
            search.gate = (struct index_gate){
                .shut_word = built_shut_word, .ctx = f->shut, .comes_first = true};
        }
        for (int is_range = 0; is_range < 2; is_range++) {
            search.options.is_range = is_range != 0;
            expect(f, compare(f, &search), floors_of(f)->ranged, "range of rank", (double)rank);
        }
    }
}

/* The same lists, however a search is cut and with whom it shares its advances. */
static void cuts_change_nothing(struct fixture *f)
{
    struct error err = {0};
    struct topk *other = built_lists_make(QUERIES, K);
    for (int i = 0; i < 6; i++) {
        struct built_search search = {.k = K, .distance_max = INFINITY};
        shut_all_but(f, i % 2 ? 0.6 : 0.3, SCATTERED);
        if (i >= 2)
            search.gate = (struct index_gate){
                .shut_word = built_shut_word, .ctx = f->shut, .comes_first = i >= 4};
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

static void what_it_holds_is_counted(struct fixture *f)
{
    struct alloc *a = alloc_create(NULL, 0);
    struct built_index again = f->built;
    struct error err = {0};
    assert_ok(built_index_open(&again, a, &err), &err);
    size_t held = alloc_used_bytes(a), counted = again.index->memory_bytes;
    if (counted + 512 < held - held / 10 || counted > held + held / 10 + (1 << 20))
        fail_msg("%zu bytes are held and %zu counted", held, counted);
    again.kind->close(again.index);
    alloc_destroy(a);
}

/* ---- The table ---- */

/* Later metrics than L1 differ in their kernels alone. */
static const struct {
    void (*check)(struct fixture *f);
    unsigned metric_max;
} checks[] = {
    {most_of_the_nearest_are_found, METRIC_MAX},
    {gates_cost_no_answer, METRIC_L1},
    {ranges_are_filled, METRIC_L1},
    {cuts_change_nothing, METRIC_L1},
    {what_it_holds_is_counted, METRIC_L1},
};

static void holds_by_all_metrics(void **state)
{
    const struct table_row *row = (const struct table_row *)*state;
    for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
        struct index_mode mode = {row->kind, (enum metric)metric, row->quantizer, false};
        if (!index_mode_makes_sense(&mode) || !set_up(&fixture, row, metric)) continue;
        for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
            if (metric <= checks[i].metric_max) checks[i].check(&fixture);
        tear_down(&fixture);
    }
}

static bool goes_together(enum index_kind kind, struct quantizer_spec quantizer)
{
    for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
        struct index_mode mode = {kind, (enum metric)metric, quantizer, false};
        if (index_mode_makes_sense(&mode)) return true;
    }
    return false;
}

/* One case for each kind, quantizer and number of it.  Flat over vectors needs no index
 * (test_flat.c). */
static size_t make_table(struct table_row *rows)
{
    size_t count = 0;

    for (unsigned kind = 1; kind <= INDEX_KIND_MAX; kind++) {
        if (!index_find(kind)) continue;
        for (unsigned quantizer = 0; quantizer < QUANTIZER_COUNT; quantizer++) {
            const struct quantizer_vtab *q = quantizer_find(quantizer);
            const uint32_t numbers[] = {0, q->number_low, q->number_high};
            for (size_t i = 0; i < 3; i++) {
                struct quantizer_spec spec = {(enum quantizer_kind)quantizer, numbers[i]};
                if (i > 0 && (spec.number == numbers[i - 1] || spec.number == q->number_standard))
                    continue;
                if (!index_is_built(index_find(kind), spec.kind) ||
                    !goes_together((enum index_kind)kind, spec))
                    continue;
                assert_true(count < CASES_MAX);
                struct table_row *row = &rows[count++];
                *row = (struct table_row){.kind = (enum index_kind)kind, .quantizer = spec};
                snprintf(row->name, sizeof row->name, "%s over %s %u", index_find(kind)->name,
                         q->mode_word ? q->mode_word : "vectors", spec.number);
            }
        }
    }
    return count;
}

int main(void)
{
    static struct table_row rows[CASES_MAX];
    struct CMUnitTest tests[CASES_MAX];
    size_t count = make_table(rows);

    for (size_t i = 0; i < count; i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = holds_by_all_metrics, .initial_state = &rows[i]};
    return _cmocka_run_group_tests(__FILE__, tests, count, NULL, NULL);
}
