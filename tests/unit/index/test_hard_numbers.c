/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that are hard for codes: a row far larger than all others, rows too large or too small
 * for squares, rows that lie close together far from the origin.  Every index must find most of the
 * nearest among them, by distances in doubles; rows that floats cannot tell apart stand for one
 * another. */
#include <float.h>
#include <math.h>

#include "index/index_mode.h"
#include "support/built_index.h"
#include "support/test.h"

/* More rows than a walk of this effort would rather scan. */
enum { ROWS = 640, DIM = 64, QUERIES = 16, K = 10, EFFORT = 24 };

/* ---- Kinds of data ---- */

/* One component of one row in so many is as large as that: far beyond the ranges of codes. */
enum { PEAK_ROWS = 80, PEAK = 100 };

enum data_kind {
    EVEN,
    A_HUGE_ROW,
    ROWS_BEYOND_SQUARES,
    FAR_FROM_ORIGIN,
    ALL_SCALES,
    ALL_ALIKE,
    PEAKS
};

static float length_of(struct rng *r, enum data_kind kind, uint32_t row)
{
    switch (kind) {
    case EVEN:
    case ALL_ALIKE:
    case PEAKS:
        return 1;
    case A_HUGE_ROW:
        return row == 5 ? 1e18f : 1;
    case ROWS_BEYOND_SQUARES:
        return row % 97 == 3 ? 1e30f : 1;
    case FAR_FROM_ORIGIN:
        return 0.001f;
    case ALL_SCALES:
        return (float)pow(10, 6 * rng_unit(r) - 3);
    }
    return 1;
}

static void make_row(struct rng *r, enum data_kind kind, uint32_t row, float *out)
{
    float length = length_of(r, kind, row);

    for (uint32_t i = 0; i < DIM; i++) {
        out[i] = rng_normal(r) * length;
        if (kind == FAR_FROM_ORIGIN) out[i] += 1000;
        if (kind == ALL_ALIKE) out[i] = 0.7f;
    }
    if (kind == PEAKS && row % PEAK_ROWS == 5) out[3] += PEAK;
}

/* ---- Truth ---- */

struct truth {
    double distances[ROWS], worst; /* of the K nearest, with what floats cannot tell apart */
};

/* How far it is, and into *rounding what floats may be off by. */
static double measure(enum metric metric, const float *a, const float *b, double *rounding)
{
    double dot = 0, square = 0, sizes = 0, aa = 0, bb = 0;

    for (uint32_t i = 0; i < DIM; i++) {
        double x = (double)a[i], y = (double)b[i];
        dot += x * y;
        sizes += fabs(x * y);
        square += (x - y) * (x - y);
        aa += x * x;
        bb += y * y;
    }
    *rounding = 0x1p-20 * sizes + DIM * 0x1p-149;
    if (metric == METRIC_IP) return -dot;
    *rounding = 0x1p-20 * square + DIM * (double)FLT_MIN;
    if (metric == METRIC_L2) return square;
    *rounding = 0x1p-20;
    return aa > 0 && bb > 0 ? 1 - dot / sqrt(aa * bb) : 1;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void find_truth(const struct test_vectors *v, enum metric metric, const float *query,
                       struct truth *t)
{
    static double sorted[ROWS];

    for (uint32_t row = 0; row < ROWS; row++) {
        double rounding;
        t->distances[row] = measure(metric, query, v->vectors + (size_t)row * DIM, &rounding);
        sorted[row] = t->distances[row] + rounding;
    }
    qsort(sorted, ROWS, sizeof *sorted, by_value);
    t->worst = sorted[K - 1];
    /* Rows whose own rounding reaches below it may stand for it. */
    for (uint32_t row = 0; row < ROWS; row++) {
        double rounding;
        measure(metric, query, v->vectors + (size_t)row * DIM, &rounding);
        t->distances[row] -= rounding;
    }
}

/* ---- An index over hard numbers ---- */

/* The first query is like row 5; beside peaks all are. */
static void make_vectors(struct test_vectors *v, enum data_kind kind, float *queries)
{
    struct rng r;

    rng_init(&r, 23);
    test_vectors_make(v, &r, ROWS, DIM, 0);
    for (uint32_t row = 0; row < ROWS; row++)
        make_row(&r, kind, row, v->vectors + (size_t)row * DIM);
    test_vectors_measure(v);
    for (uint32_t q = 0; q < QUERIES; q++)
        make_row(&r, kind, q == 0 || kind == PEAKS ? 5 : 2 * q + 6, queries + (size_t)q * DIM);
}

/* The share of the nearest that is found. */
static double recall_of(const char *word, enum data_kind kind)
{
    static float queries[QUERIES * DIM];
    static struct truth truth;
    struct test_vectors v;
    struct built_index built;
    struct index_mode mode;
    struct index_params params;
    struct error err = {0};
    size_t hits = 0;

    assert_ok(index_mode_parse(word, &mode, &err), &err);
    make_vectors(&v, kind, queries);
    index_params_init(index_find(mode.kind), &params);
    struct index_build_desc desc = {.alloc = alloc_libc(),
                                    .kernels = kernels_active(),
                                    .vectors = &v.source,
                                    .params = &params,
                                    .quantizer = mode.quantizer,
                                    .metric = mode.metric,
                                    .row_count = ROWS,
                                    .seed = 3};
    assert_ok(built_index_make(&built, index_find(mode.kind), &desc, PIECES_FORWARDS, &err), &err);
    struct topk *found = built_lists_make(QUERIES, K);
    struct built_search search = {.queries = queries,
                                  .query_count = QUERIES,
                                  .k = K,
                                  .options = {.effort = EFFORT},
                                  .distance_max = INFINITY};
    assert_int_equal(built_index_search(&built, &search, found, &err), INDEX_DONE);
    for (size_t q = 0; q < QUERIES; q++) {
        find_truth(&v, mode.metric, queries + q * DIM, &truth);
        assert_int_equal(found[q].count, K);
        for (size_t i = 0; i < K; i++) hits += truth.distances[found[q].heap[i].row] <= truth.worst;
    }
    mem_free(alloc_libc(), found);
    built_index_drop(&built);
    test_vectors_drop(&v);
    return (double)hits / (QUERIES * K);
}

/* ---- The table ---- */

/* Recall that is asked for, a little less than even numbers get. */
static const struct hard_case {
    const char *name, *mode;
    enum data_kind kind;
    double floor;
} cases[] = {
    {"flat codes beside a huge row", "FLAT-L2-RABITQ4", A_HUGE_ROW, 1},
    {"flat codes beside rows beyond squares", "FLAT-L2-SQ8", ROWS_BEYOND_SQUARES, 1},
    {"flat codes far from the origin", "FLAT-L2-PQFS", FAR_FROM_ORIGIN, 1},
    {"flat codes of all scales", "FLAT-IP-SQ4", ALL_SCALES, 1},
    {"flat codes beside peaks", "FLAT-L2-SQ8", PEAKS, 1},
    {"flat short codes beside peaks", "FLAT-L2-SQ4", PEAKS, 1},
    {"flat codes beside peaks by directions", "FLAT-COS-SQ8", PEAKS, 1},
    {"flat short codes beside peaks by products", "FLAT-IP-SQ4", PEAKS, 1},
    {"hnsw over codes beside peaks", "HNSW-L2-SQ8", PEAKS, 0.85},
    {"ivf over codes beside peaks", "IVF-L2-SQ8", PEAKS, 0.95},
    {"hnsw beside a huge row", "HNSW-L2", A_HUGE_ROW, 0.85},
    {"hnsw by products beside a huge row", "HNSW-IP", A_HUGE_ROW, 0.76},
    {"hnsw by directions beside a huge row", "HNSW-COS-SQ4", A_HUGE_ROW, 0.77},
    {"hnsw beside rows beyond squares", "HNSW-L2", ROWS_BEYOND_SQUARES, 0.83},
    {"hnsw by products with rows beyond squares", "HNSW-IP", ROWS_BEYOND_SQUARES, 0.78},
    {"hnsw over turned codes beside rows beyond squares", "HNSW-L2-RABITQ4", ROWS_BEYOND_SQUARES,
     0.82},
    {"hnsw over turned codes far from the origin", "HNSW-L2-RABITQ4", FAR_FROM_ORIGIN, 0.82},
    {"hnsw over codes of parts far from the origin", "HNSW-L2-PQFS", FAR_FROM_ORIGIN, 0.78},
    {"hnsw of one point", "HNSW-L2", ALL_ALIKE, 1},
    {"diskann far from the origin", "DISKANN-L2", FAR_FROM_ORIGIN, 0.9},
    {"diskann over codes with ends, of all scales", "DISKANN-L2-SQ8", ALL_SCALES, 0.8},
    {"ivf over codes, by directions beyond squares", "IVF-COS-RABITQ4", ROWS_BEYOND_SQUARES, 0.9},
    {"spann beside a huge row", "SPANN-L2", A_HUGE_ROW, 0.9},
};
enum { CASES = sizeof cases / sizeof *cases };

static void most_of_the_nearest_are_found(void **state)
{
    const struct hard_case *c = (const struct hard_case *)*state;
    double recall = recall_of(c->mode, c->kind);

    if (recall < c->floor) fail_msg("%s: recall %.3f, %.3f wanted", c->mode, recall, c->floor);
}

int main(void)
{
    struct CMUnitTest tests[CASES];

    for (size_t i = 0; i < CASES; i++)
        tests[i] = (struct CMUnitTest){.name = cases[i].name,
                                       .test_func = most_of_the_nearest_are_found,
                                       .initial_state = (void *)(uintptr_t)&cases[i]};
    return _cmocka_run_group_tests(__FILE__, tests, CASES, NULL, NULL);
}
