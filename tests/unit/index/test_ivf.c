/* SPDX-License-Identifier: Apache-2.0 */
/* Lists around centroids: recall, filters, ranges, batches, what a file may say. */
#include <math.h>

#include "base/limits.h"
#include "base/rng.h"
#include "index/ivf.h"
#include "support/index_bed.h"
#include "support/oom_sweep.h"
#include "support/test.h"

/* Fewer in builds with tiny limits: there a sanitizer looks at each step. */
enum { ROWS = SEAL_ROWS > 1000 ? 12000 : 5000, DIM = 24, QUERIES = 60, K = 10, CENTERS = 60 };

struct bed {
    struct quantizer_spec quantizer;
    float *vectors, *queries;
    struct bed_rows rows;
    struct index_params params;
    struct bed_image image;
    struct index *index;
    enum metric metric;
};

static void make_vectors(struct rng *rng, const float *centers, uint32_t count, float *out)
{
    for (uint32_t i = 0; i < count; i++) {
        const float *center = centers + rng_below(rng, CENTERS) * DIM;
        for (int j = 0; j < DIM; j++)
            out[i * DIM + (uint32_t)j] = center[j] + 0.6f * rng_normal(rng);
    }
}

static struct index_build_desc build_desc(const struct bed *b, struct alloc *a)
{
    return (struct index_build_desc){.alloc = a,
                                     .kernels = kernels_active(),
                                     .vectors = &b->rows.source,
                                     .params = &b->params,
                                     .quantizer = b->quantizer,
                                     .metric = b->metric,
                                     .row_count = b->rows.row_count,
                                     .seed = 7};
}

static int open_image(const struct bed *b, struct alloc *a, const struct index_image *image,
                      struct index **out, struct error *err)
{
    const struct index_open_desc desc = {.alloc = a,
                                         .kernels = kernels_active(),
                                         .image = image,
                                         .params = &b->params,
                                         .metric = b->metric,
                                         .dim = b->rows.source.dim,
                                         .row_count = b->rows.row_count};
    return index_ivf.open(&desc, out, err);
}

static void set_up_rows(struct bed *b, uint32_t row_count, uint32_t run_rows, enum metric metric)
{
    struct rng rng;
    float centers[CENTERS * DIM];

    rng_init(&rng, 11);
    for (int i = 0; i < CENTERS * DIM; i++) centers[i] = rng_normal(&rng);
    *b = (struct bed){.metric = metric};
    b->vectors = malloc((size_t)row_count * DIM * sizeof(float));
    b->queries = malloc(QUERIES * DIM * sizeof(float));
    make_vectors(&rng, centers, row_count, b->vectors);
    make_vectors(&rng, centers, QUERIES, b->queries);
    bed_rows_init(&b->rows, b->vectors, row_count, DIM, run_rows);
    index_params_init(&index_ivf, &b->params);
    bed_image_init(&b->image);
}

/* Metrics of bits are asked about bits. */
static void make_bits(struct bed *b)
{
    for (size_t i = 0; i < (size_t)b->rows.row_count * DIM; i++) b->vectors[i] = b->vectors[i] > 0;
    for (size_t i = 0; i < QUERIES * DIM; i++) b->queries[i] = b->queries[i] > 0;
    bed_rows_deinit(&b->rows);
    bed_rows_init(&b->rows, b->vectors, b->rows.row_count, DIM, UINT32_MAX);
}

static void set_up(struct bed *b, uint32_t row_count, enum metric metric)
{
    struct error err = {0};

    set_up_rows(b, row_count, UINT32_MAX, metric);
    if (metric == METRIC_HAMMING || metric == METRIC_JACCARD) make_bits(b);
    const struct index_build_desc desc = build_desc(b, alloc_libc());
    assert_ok(bed_build(&index_ivf, &desc, 1, &b->image, &err), &err);
    assert_ok(open_image(b, alloc_libc(), &b->image.image, &b->index, &err), &err);
}

static void tear_down(struct bed *b)
{
    if (b->index) index_ivf.close(b->index);
    bed_image_deinit(&b->image);
    bed_rows_deinit(&b->rows);
    free(b->vectors);
    free(b->queries);
}

static struct bed_search search_of(const struct bed *b)
{
    return (struct bed_search){.index = b->index,
                               .rows = &b->rows,
                               .metric = b->metric,
                               .queries = b->queries,
                               .query_count = QUERIES,
                               .k = K,
                               .distance_max = INFINITY,
                               .step = 3000};
}

/* By distance: of rows that are as far as the last one, any is as good. */
static double recall_of(const float *found, const float *truth, size_t query_count, size_t k)
{
    size_t hits = 0, all = 0;
    for (size_t q = 0; q < query_count; q++, found += k, truth += k)
        for (size_t i = 0; i < k && truth[i] < INFINITY; i++, all++)
            hits += found[i] <= truth[k - 1] && found[i] < INFINITY;
    return all > 0 ? (double)hits / (double)all : 1;
}

/* Of all queries at once, and that each of them alone finds the same. */
static double search_recall(struct bed_search *s, bool alone)
{
    size_t count = s->query_count * s->k;
    uint32_t *found = malloc(count * sizeof *found), *truth = malloc(count * sizeof *truth);
    float *near = malloc(count * sizeof *near), *nearest = malloc(count * sizeof *nearest);
    struct bed_search one = *s;
    struct error err = {0};

    bed_search_all(s, truth, nearest);
    assert_ok(bed_search(s, found, near, &err), &err);
    double recall = recall_of(near, nearest, s->query_count, s->k);
    for (size_t i = 0; i < count; i++)
        assert_true((found[i] == UINT32_MAX) == (truth[i] == UINT32_MAX) ||
                    s->distance_max < INFINITY);
    one.query_count = 1;
    for (size_t q = 0; q < s->query_count && alone; q++) {
        uint32_t again[K];
        one.queries = s->queries + q * DIM;
        assert_ok(bed_search(&one, again, NULL, &err), &err);
        assert_memory_equal(again, found + q * s->k, s->k * sizeof *again);
    }
    free(found);
    free(truth);
    free(near);
    free(nearest);
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
        struct bed_search s = search_of(&b);
        assert_true(search_recall(&s, true) > 0.95);
        s.options.effort = UINT32_C(1) << 20;
        assert_true(search_recall(&s, true) == 1);
        tear_down(&b);
    }
}

static void set_up_codes(struct bed *b, enum metric metric, enum quantizer_kind kind)
{
    struct error err = {0};

    set_up_rows(b, ROWS / 2, UINT32_MAX, metric);
    b->quantizer.kind = kind;
    const struct index_build_desc desc = build_desc(b, alloc_libc());
    assert_ok(bed_build(&index_ivf, &desc, 1, &b->image, &err), &err);
    assert_ok(open_image(b, alloc_libc(), &b->image.image, &b->index, &err), &err);
    assert_ok(index_ivf.check(b->index, &b->rows.source, &err), &err);
}

struct shut_rows {
    uint64_t words[ROWS / 64 + 1];
};

static uint64_t shut_word(void *ctx, uint32_t row)
{
    return ((const struct shut_rows *)ctx)->words[row / 64];
}

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
        struct bed_search s = search_of(&b);
        s.gate = (struct index_gate){shut_word, &shut, true};
        assert_true(search_recall(&s, true) > 0.95);
        s.gate.comes_first = false;
        s.options.effort = 2;
        search_recall(&s, true);
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
        struct bed_search s = search_of(&b);
        assert_true(search_recall(&s, true) > 0.94);
        s.options.oversample = 20;
        assert_true(search_recall(&s, true) > 0.9);
        s.options.oversample = 0;
        shut_all_but(&shut, 0.03);
        s.gate = (struct index_gate){shut_word, &shut, true};
        assert_true(search_recall(&s, true) > 0.94);
        s.gate.comes_first = false;
        assert_true(search_recall(&s, true) > 0.9);
        tear_down(&b);
    }
}

/* Only the rows that are farthest from the query are open. */
static void follows_a_filter_that_leads_away(void **state)
{
    static struct shut_rows shut;
    static uint32_t order[ROWS];
    struct bed b;

    (void)state;
    set_up(&b, ROWS, METRIC_L2);
    for (size_t q = 0; q < 10; q++) {
        struct bed_search s = search_of(&b);
        s.queries += q * DIM;
        s.query_count = 1;
        s.k = ROWS;
        bed_search_all(&s, order, NULL);
        memset(&shut, 0xff, sizeof shut);
        for (uint32_t i = ROWS - ROWS / 50; i < ROWS; i++)
            shut.words[order[i] / 64] &= ~(1ull << (order[i] % 64));
        s.k = K;
        s.gate = (struct index_gate){shut_word, &shut, true};
        assert_true(search_recall(&s, true) > 0.9);
    }
    tear_down(&b);
}

static void finds_what_is_within_a_distance(void **state)
{
    struct bed b;
    uint32_t truth[K];
    float distances[K];

    (void)state;
    set_up(&b, ROWS, METRIC_L2);
    struct bed_search s = search_of(&b);
    s.query_count = 1;
    bed_search_all(&s, truth, distances);
    s.distance_max = distances[K - 1];
    s.query_count = QUERIES;
    s.k = K;
    assert_true(search_recall(&s, true) > 0.95);
    s.distance_max = 0;
    s.k = 4;
    search_recall(&s, false);
    tear_down(&b);
}

/* As other segments' rows are already in the list, and nearer. */
static void does_not_depend_on_steps(void **state)
{
    static const uint64_t steps[] = {1, 100, UINT64_MAX};
    uint32_t found[3][QUERIES * K];
    struct error err = {0};
    struct bed b;

    (void)state;
    set_up(&b, ROWS, METRIC_COSINE);
    for (size_t i = 0; i < 3; i++) {
        struct bed_search s = search_of(&b);
        s.step = steps[i];
        assert_ok(bed_search(&s, found[i], NULL, &err), &err);
    }
    assert_memory_equal(found[0], found[1], sizeof found[0]);
    assert_memory_equal(found[0], found[2], sizeof found[0]);
    tear_down(&b);
}

static void is_the_same_whatever_the_threads_and_runs(void **state)
{
    struct bed b, runs;
    struct bed_image again;
    struct error err = {0};

    (void)state;
    set_up(&b, ROWS, METRIC_L2);
    struct index_build_desc desc = build_desc(&b, alloc_libc());
    bed_image_init(&again);
    assert_ok(bed_build(&index_ivf, &desc, 3, &again, &err), &err);
    assert_true(bed_image_equal(&b.image, &again));
    bed_image_deinit(&again);
    set_up_rows(&runs, ROWS, 100, METRIC_L2);
    desc = build_desc(&runs, alloc_libc());
    assert_ok(bed_build(&index_ivf, &desc, 1, &runs.image, &err), &err);
    assert_true(bed_image_equal(&b.image, &runs.image));
    tear_down(&runs);
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
            set_up_rows(&b, counts[i], UINT32_MAX, METRIC_COSINE);
            for (size_t j = 0; j < (size_t)counts[i] * DIM && alike; j++)
                b.vectors[j] = j % DIM == 0;
            bed_rows_deinit(&b.rows);
            bed_rows_init(&b.rows, b.vectors, counts[i], DIM, UINT32_MAX);
            b.params.values[IVF_N_CLUSTERS] = 20;
            const struct index_build_desc desc = build_desc(&b, alloc_libc());
            assert_ok(bed_build(&index_ivf, &desc, 1, &b.image, &err), &err);
            assert_ok(open_image(&b, alloc_libc(), &b.image.image, &b.index, &err), &err);
            assert_ok(index_ivf.check(b.index, &b.rows.source, &err), &err);
            struct bed_search s = search_of(&b);
            assert_true(search_recall(&s, true) == 1);
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
        set_up_rows(&b, ROWS, UINT32_MAX, metrics[i]);
        b.params.values[IVF_N_CLUSTERS] = 1500;
        const struct index_build_desc desc = build_desc(&b, alloc_libc());
        assert_ok(bed_build(&index_ivf, &desc, 2, &b.image, &err), &err);
        assert_ok(open_image(&b, alloc_libc(), &b.image.image, &b.index, &err), &err);
        if (i == 0) assert_ok(index_ivf.check(b.index, &b.rows.source, &err), &err);
        struct bed_search s = search_of(&b);
        assert_true(search_recall(&s, true) > 0.95);
        s.options.effort = 1500;
        assert_true(search_recall(&s, true) == 1);
        tear_down(&b);
    }
}

static void says_what_does_not_hold(void **state)
{
    struct error err = {0};
    struct bed b;

    (void)state;
    set_up(&b, 2000, METRIC_L2);
    assert_ok(index_ivf.check(b.index, &b.rows.source, &err), &err);
    b.vectors[1234 * DIM] += 100;
    assert_fails(index_ivf.check(b.index, &b.rows.source, &err), &err, LYNSE_CORRUPT);
    tear_down(&b);
}

/* Any one number of any section changed: it is refused, or it can be searched. */
static void cannot_be_led_astray_by_an_image(void **state)
{
    struct rng rng;
    struct bed b;
    uint32_t found[K];

    (void)state;
    set_up(&b, 700, METRIC_L2);
    rng_init(&rng, test_seed(5));
    for (int round = 0; round < test_rounds(3000); round++) {
        struct index_section *s = &b.image.sections[rng_below(&rng, b.image.image.section_count)];
        uint64_t bytes = s->bytes;
        uint32_t *words = (uint32_t *)(uintptr_t)s->data,
                 *word = &words[rng_below(&rng, bytes / 4)];
        uint32_t before = *word;
        struct index *index = NULL;
        struct error err = {0};
        if (rng_chance(&rng, 0.1)) s->bytes -= rng_below(&rng, 2) ? 4 : bytes;
        else
            *word =
                rng_chance(&rng, 0.5) ? (uint32_t)rng_u64(&rng) : (uint32_t)rng_below(&rng, 900);
        if (open_image(&b, alloc_libc(), &b.image.image, &index, &err) == 0) {
            struct bed_search search = search_of(&b);
            search.index = index;
            search.query_count = 1;
            assert_ok(bed_search(&search, found, NULL, &err), &err);
            index_ivf.close(index);
        } else {
            assert_int_equal(err.code, LYNSE_CORRUPT);
        }
        *word = before;
        s->bytes = bytes;
    }
    tear_down(&b);
}

static int build_and_open(void *ctx, struct error *err)
{
    struct bed *b = ctx;
    struct alloc *a = (struct alloc *)(void *)b->index;
    const struct index_build_desc desc = build_desc(b, a);
    struct bed_image image;
    struct index *index = NULL;
    int rc;

    bed_image_init(&image);
    rc = bed_build(&index_ivf, &desc, 1, &image, err);
    if (rc == 0) rc = open_image(b, a, &image.image, &index, err);
    if (rc == 0) index_ivf.close(index);
    bed_image_deinit(&image);
    return rc;
}

static void gives_memory_back_when_there_is_none(void **state)
{
    struct alloc *a = alloc_create(NULL, 0);
    struct bed b;

    (void)state;
    set_up_rows(&b, 3000, 100, METRIC_COSINE);
    b.params.values[IVF_N_CLUSTERS] = 1100;
    b.index = (struct index *)(void *)a; /* the sweep's context has one pointer */
    oom_sweep(a, build_and_open, &b);
    b.index = NULL;
    tear_down(&b);
    alloc_destroy(a);
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
