/* SPDX-License-Identifier: Apache-2.0 */
/* Lists around centroids: recall, filters, ranges, batches, what a file may say. */
#include <math.h>

#include "base/limits.h"
#include "base/rng.h"
#include "index/ivf.h"
#include "support/built_index.h"
#include "support/oom_sweep.h"
#include "support/test.h"

/* Fewer in builds with tiny limits: there a sanitizer looks at each step. */
enum { ROWS = SEAL_ROWS > 1000 ? 12000 : 5000, DIM = 24, QUERIES = 60, K = 10, CENTERS = 60 };

struct bed {
    struct quantizer_spec quantizer;
    struct test_vectors vectors;
    float *queries;
    struct index_params params;
    struct built_index built;
    enum metric metric;
};

static struct index_build_desc build_desc(const struct bed *b, struct alloc *a)
{
    return (struct index_build_desc){.alloc = a,
                                     .kernels = kernels_active(),
                                     .vectors = &b->vectors.source,
                                     .params = &b->params,
                                     .quantizer = b->quantizer,
                                     .metric = b->metric,
                                     .row_count = b->vectors.row_count,
                                     .seed = 7};
}

static void build(struct bed *b, enum piece_order order, struct built_index *out)
{
    struct error err = {0};
    const struct index_build_desc desc = build_desc(b, alloc_libc());

    assert_ok(built_index_make(out, &index_ivf, &desc, order, &err), &err);
}

static void set_up_rows(struct bed *b, uint32_t row_count, enum metric metric)
{
    struct rng rng;

    *b = (struct bed){.metric = metric};
    rng_init(&rng, 11);
    test_vectors_make(&b->vectors, &rng, row_count, DIM, CENTERS);
    b->queries = test_queries_make(&b->vectors, QUERIES);
    index_params_init(&index_ivf, &b->params);
}

/* Metrics of bits are asked about bits. */
static void make_bits(struct bed *b)
{
    float *vectors = b->vectors.vectors;

    for (size_t i = 0; i < (size_t)b->vectors.row_count * DIM; i++) vectors[i] = vectors[i] > 0;
    for (size_t i = 0; i < QUERIES * DIM; i++) b->queries[i] = b->queries[i] > 0;
    test_vectors_measure(&b->vectors);
}

static void set_up(struct bed *b, uint32_t row_count, enum metric metric)
{
    set_up_rows(b, row_count, metric);
    if (metric == METRIC_HAMMING || metric == METRIC_JACCARD) make_bits(b);
    build(b, PIECES_FORWARDS, &b->built);
}

static void tear_down(struct bed *b)
{
    built_index_drop(&b->built);
    test_vectors_drop(&b->vectors);
    free(b->queries);
}

static struct built_search search_of(const struct bed *b)
{
    return (struct built_search){.queries = b->queries,
                                 .query_count = QUERIES,
                                 .k = K,
                                 .distance_max = INFINITY,
                                 .budget = 3000};
}

static void search(const struct bed *b, const struct built_search *s, struct topk *lists)
{
    struct error err = {0};
    assert_int_equal(built_index_search(&b->built, s, lists, &err), INDEX_DONE);
}

static void assert_same_list(const struct topk *a, const struct topk *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->heap, b->heap, a->count * sizeof *a->heap);
}

/* Of all queries at once, and that each of them alone finds the same. */
static double search_recall(const struct bed *b, const struct built_search *s, bool alone)
{
    struct topk *found = built_lists_make(s->query_count, s->k);
    struct topk *truth = built_lists_make(s->query_count, s->k), *again = built_lists_make(1, s->k);
    struct built_search one = *s;

    one.is_exact = true;
    search(b, &one, truth);
    search(b, s, found);
    for (size_t q = 0; q < s->query_count; q++)
        assert_true(found[q].count == truth[q].count || s->distance_max < INFINITY);
    one.is_exact = false;
    one.query_count = 1;
    for (size_t q = 0; q < s->query_count && alone; q++) {
        one.queries = s->queries + q * DIM;
        search(b, &one, again);
        assert_same_list(again, &found[q]);
    }
    double recall = built_lists_recall(found, truth, s->query_count);
    mem_free(alloc_libc(), found);
    mem_free(alloc_libc(), truth);
    mem_free(alloc_libc(), again);
    return recall;
}

static void finds_nearest_rows_by_every_metric(void **state)
{
    static const enum metric metrics[] = {METRIC_IP, METRIC_L2, METRIC_COSINE, METRIC_HAMMING,
                                          METRIC_JACCARD};

    (void)state;
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        struct bed b;
        set_up(&b, ROWS, metrics[i]);
        struct built_search s = search_of(&b);
        assert_true(search_recall(&b, &s, true) > 0.95);
        s.options.effort = UINT32_C(1) << 20;
        assert_true(search_recall(&b, &s, true) == 1);
        tear_down(&b);
    }
}

static void set_up_codes(struct bed *b, enum metric metric, enum quantizer_kind kind)
{
    struct error err = {0};

    set_up_rows(b, ROWS / 2, metric);
    b->quantizer.kind = kind;
    build(b, PIECES_FORWARDS, &b->built);
    assert_ok(index_ivf.check(b->built.index, &b->vectors.source, &err), &err);
}

struct shut_rows {
    uint64_t words[ROWS / 64 + 1];
};

static void shut_all_but(struct shut_rows *shut, double share)
{
    struct rng rng;

    rng_init(&rng, 3);
    memset(shut, 0, sizeof *shut);
    for (uint32_t row = 0; row < ROWS; row++)
        if (!rng_chance(&rng, share)) shut->words[row / 64] |= 1ull << (row % 64);
}

static void never_comes_back_with_fewer_than_there_are(void **state)
{
    static const double shares[] = {1, 0.5, 0.1, 0.01, 0.001, 0};
    static struct shut_rows shut;
    struct bed b;

    (void)state;
    set_up(&b, ROWS, METRIC_L2);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        shut_all_but(&shut, shares[i]);
        struct built_search s = search_of(&b);
        s.gate = (struct index_gate){
            .shut_word = built_shut_word, .ctx = shut.words, .comes_first = true};
        assert_true(search_recall(&b, &s, true) > 0.95);
        s.gate.comes_first = false;
        s.options.effort = 2;
        search_recall(&b, &s, true);
    }
    tear_down(&b);
}

/* By their bounds, or as many as were asked for are measured in the end. */
static void codes_lose_nothing_that_is_measured(void **state)
{
    static const enum metric metrics[] = {METRIC_IP, METRIC_L2, METRIC_COSINE};
    static const enum quantizer_kind quantizers[] = {QUANTIZER_RABITQ, QUANTIZER_SQ8};
    static struct shut_rows shut;

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct bed b;
        set_up_codes(&b, metrics[i % 3], quantizers[i / 3]);
        struct built_search s = search_of(&b);
        assert_true(search_recall(&b, &s, true) > 0.94);
        s.options.oversample = 20;
        assert_true(search_recall(&b, &s, true) > 0.9);
        s.options.oversample = 0;
        shut_all_but(&shut, 0.03);
        s.gate = (struct index_gate){
            .shut_word = built_shut_word, .ctx = shut.words, .comes_first = true};
        assert_true(search_recall(&b, &s, true) > 0.94);
        s.gate.comes_first = false;
        assert_true(search_recall(&b, &s, true) > 0.9);
        tear_down(&b);
    }
}

/* Only the rows that are farthest from the query are open. */
static void follows_a_filter_that_leads_away(void **state)
{
    static struct shut_rows shut;
    struct topk *all = built_lists_make(1, ROWS);
    struct bed b;

    (void)state;
    set_up(&b, ROWS, METRIC_L2);
    for (size_t q = 0; q < 10; q++) {
        struct built_search s = search_of(&b);
        s.queries += q * DIM;
        s.query_count = 1;
        s.is_exact = true;
        search(&b, &s, all);
        memset(&shut, 0xff, sizeof shut);
        for (uint32_t i = ROWS - ROWS / 50; i < ROWS; i++)
            shut.words[all->heap[i].row / 64] &= ~(1ull << (all->heap[i].row % 64));
        s.is_exact = false;
        s.gate = (struct index_gate){
            .shut_word = built_shut_word, .ctx = shut.words, .comes_first = true};
        assert_true(search_recall(&b, &s, true) > 0.9);
    }
    mem_free(alloc_libc(), all);
    tear_down(&b);
}

static void finds_what_is_within_a_distance(void **state)
{
    struct topk *truth = built_lists_make(1, K);
    struct bed b;

    (void)state;
    set_up(&b, ROWS, METRIC_L2);
    struct built_search s = search_of(&b);
    s.query_count = 1;
    s.is_exact = true;
    search(&b, &s, truth);
    s.is_exact = false;
    s.distance_max = truth->heap[K - 1].distance;
    s.query_count = QUERIES;
    assert_true(search_recall(&b, &s, true) > 0.95);
    s.distance_max = 0;
    s.k = 4;
    search_recall(&b, &s, false);
    mem_free(alloc_libc(), truth);
    tear_down(&b);
}

/* As other segments' rows are already in the list, and nearer. */
static void does_not_depend_on_steps(void **state)
{
    static const uint64_t steps[] = {1, 100, UINT64_MAX};
    struct topk *found[3];
    struct bed b;

    (void)state;
    set_up(&b, ROWS, METRIC_COSINE);
    for (size_t i = 0; i < 3; i++) {
        struct built_search s = search_of(&b);
        s.budget = steps[i];
        found[i] = built_lists_make(QUERIES, K);
        search(&b, &s, found[i]);
    }
    for (size_t q = 0; q < 2 * QUERIES; q++)
        assert_same_list(&found[0][q / 2], &found[1 + q % 2][q / 2]);
    for (size_t i = 0; i < 3; i++) mem_free(alloc_libc(), found[i]);
    tear_down(&b);
}

static void is_the_same_whatever_the_threads_and_runs(void **state)
{
    struct built_index again;
    struct bed b;

    (void)state;
    set_up(&b, ROWS, METRIC_L2);
    build(&b, PIECES_ON_THREADS, &again);
    assert_same_index(&b.built, &again);
    built_index_drop(&again);
    test_vectors_scatter(&b.vectors);
    build(&b, PIECES_FORWARDS, &again);
    assert_same_index(&b.built, &again);
    built_index_drop(&again);
    tear_down(&b);
}

static void takes_few_rows_and_rows_that_are_alike(void **state)
{
    static const uint32_t counts[] = {1, 2, 31, 33, 200};

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (int alike = 0; alike < 2; alike++) {
            struct error err = {0};
            struct bed b;
            set_up_rows(&b, counts[i], METRIC_COSINE);
            for (size_t j = 0; j < (size_t)counts[i] * DIM && alike; j++)
                b.vectors.vectors[j] = j % DIM == 0;
            test_vectors_measure(&b.vectors);
            b.params.values[IVF_N_CLUSTERS] = 20;
            build(&b, PIECES_FORWARDS, &b.built);
            assert_ok(index_ivf.check(b.built.index, &b.vectors.source, &err), &err);
            struct built_search s = search_of(&b);
            assert_true(search_recall(&b, &s, true) == 1);
            tear_down(&b);
        }
}

/* Lists are looked for in the groups that are nearest, and found there. */
static void groups_centroids_when_there_are_many(void **state)
{
    static const enum metric metrics[] = {METRIC_L2, METRIC_IP, METRIC_COSINE};
    struct error err = {0};
    struct bed b;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        set_up_rows(&b, ROWS, metrics[i]);
        b.params.values[IVF_N_CLUSTERS] = 1500;
        build(&b, PIECES_ON_THREADS, &b.built);
        if (i == 0) assert_ok(index_ivf.check(b.built.index, &b.vectors.source, &err), &err);
        struct built_search s = search_of(&b);
        assert_true(search_recall(&b, &s, true) > 0.95);
        s.options.effort = 1500;
        assert_true(search_recall(&b, &s, true) == 1);
        tear_down(&b);
    }
}

static void says_what_does_not_hold(void **state)
{
    struct error err = {0};
    struct bed b;

    (void)state;
    set_up(&b, 2000, METRIC_L2);
    assert_ok(index_ivf.check(b.built.index, &b.vectors.source, &err), &err);
    b.vectors.vectors[1234 * DIM] += 100;
    assert_fails(index_ivf.check(b.built.index, &b.vectors.source, &err), &err, LYNSE_CORRUPT);
    tear_down(&b);
}

/* Any one number of any section changed: it is refused, or it can be searched. */
static void cannot_be_led_astray_by_an_image(void **state)
{
    struct topk *found = built_lists_make(1, K);
    struct rng rng;
    struct bed b;

    (void)state;
    set_up(&b, 700, METRIC_L2);
    index_ivf.close(b.built.index);
    rng_init(&rng, test_seed(5));
    for (int round = 0; round < test_rounds(3000); round++) {
        struct index_section *s = &b.built.sections[rng_below(&rng, b.built.image.section_count)];
        uint64_t bytes = s->bytes;
        uint32_t *words = (uint32_t *)(uintptr_t)s->data,
                 *word = &words[rng_below(&rng, bytes / 4)];
        uint32_t before = *word;
        struct error err = {0};
        b.built.index = NULL;
        if (rng_chance(&rng, 0.1)) s->bytes -= rng_below(&rng, 2) ? 4 : bytes;
        else
            *word =
                rng_chance(&rng, 0.5) ? (uint32_t)rng_u64(&rng) : (uint32_t)rng_below(&rng, 900);
        if (built_index_open(&b.built, alloc_libc(), &err) == 0) {
            struct built_search one = search_of(&b);
            one.query_count = 1;
            search(&b, &one, found);
            index_ivf.close(b.built.index);
        } else {
            assert_int_equal(err.code, LYNSE_CORRUPT);
        }
        *word = before;
        s->bytes = bytes;
    }
    b.built.index = NULL;
    mem_free(alloc_libc(), found);
    tear_down(&b);
}

struct sweep {
    struct bed bed;
    struct alloc *alloc;
};

static int build_and_open(void *ctx, struct error *err)
{
    struct sweep *s = (struct sweep *)ctx;
    const struct index_build_desc desc = build_desc(&s->bed, s->alloc);
    int rc = built_index_make(&s->bed.built, &index_ivf, &desc, PIECES_FORWARDS, err);
    if (rc == 0) built_index_drop(&s->bed.built);
    return rc;
}

static void gives_memory_back_when_there_is_none(void **state)
{
    struct sweep s = {.alloc = alloc_create(NULL, 0)};

    (void)state;
    set_up_rows(&s.bed, 3000, METRIC_COSINE);
    test_vectors_scatter(&s.bed.vectors);
    s.bed.params.values[IVF_N_CLUSTERS] = 1100;
    oom_sweep(s.alloc, build_and_open, &s);
    tear_down(&s.bed);
    alloc_destroy(s.alloc);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(finds_nearest_rows_by_every_metric),
    cmocka_unit_test(never_comes_back_with_fewer_than_there_are),
    cmocka_unit_test(codes_lose_nothing_that_is_measured),
    cmocka_unit_test(follows_a_filter_that_leads_away),
    cmocka_unit_test(finds_what_is_within_a_distance),
    cmocka_unit_test(does_not_depend_on_steps),
    cmocka_unit_test(is_the_same_whatever_the_threads_and_runs),
    cmocka_unit_test(takes_few_rows_and_rows_that_are_alike),
    cmocka_unit_test(groups_centroids_when_there_are_many),
    cmocka_unit_test(says_what_does_not_hold),
    cmocka_unit_test(cannot_be_led_astray_by_an_image),
    cmocka_unit_test(gives_memory_back_when_there_is_none),
};
TEST_MAIN(tests)
