/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs: the same bytes however they are built, whole at every size, refused when damaged. */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "index/hnsw.h"
#include "index/visited.h"
#include "quant/coded.h"
#include "quant/narrow_rows.h"
#include "support/built_index.h"
#include "support/oom_sweep.h"
#include "support/test.h"

/* Fewer in builds with tiny limits: there a sanitizer looks at each step. */
enum { MANY = SEAL_ROWS > 1000 ? 4000 : 1500 };

struct setting {
    uint32_t rows, dim, groups;
    double m, ef_construction;
    unsigned metric;
    struct quantizer_spec quantizer;
    double fast;
};

static struct index_build_desc desc_of(const struct setting *s, struct alloc *a,
                                       const struct test_vectors *v, struct index_params *params)
{
    index_params_init(&index_hnsw, params);
    params->values[HNSW_FAST] = s->fast;
    if (s->m > 0) params->values[HNSW_M] = s->m;
    if (s->ef_construction > 0) params->values[HNSW_EF_CONSTRUCTION] = s->ef_construction;
    return (struct index_build_desc){.alloc = a,
                                     .kernels = kernels_active(),
                                     .vectors = &v->source,
                                     .params = params,
                                     .quantizer = s->quantizer,
                                     .metric = (enum metric)s->metric,
                                     .row_count = v->row_count,
                                     .seed = 9};
}

static void build(const struct setting *s, const struct test_vectors *v, enum piece_order order,
                  struct built_index *out)
{
    struct index_params params;
    struct error err = {0};
    struct index_build_desc desc = desc_of(s, alloc_libc(), v, &params);
    assert_ok(built_index_make(out, &index_hnsw, &desc, order, &err), &err);
}

/* Over rows that the seed draws. */
static void make_graph(const struct setting *s, uint64_t seed, struct test_vectors *v,
                       struct built_index *out)
{
    struct rng r;
    rng_init(&r, seed);
    test_vectors_make(v, &r, s->rows, s->dim, s->groups);
    build(s, v, PIECES_FORWARDS, out);
}

static void most_of_the_nearest_are_found(void **state)
{
    (void)state;
    const struct setting settings[] = {
        {MANY, 96, 40, 0, 0, METRIC_L2, {0}, 0},
        {MANY, 96, 40, 0, 0, METRIC_IP, {0}, 0},
        {MANY, 65, 40, 0, 0, METRIC_COSINE, {0}, 0},
        {MANY, 3, 40, 4, 40, METRIC_L2, {0}, 0},
        {MANY, 96, 40, 64, 40, METRIC_L2, {0}, 0},
        {MANY, 200, 40, 0, 0, METRIC_HAMMING, {0}, 0},
        {MANY, 200, 40, 0, 0, METRIC_JACCARD, {0}, 0},
        {MANY, 96, 40, 0, 0, METRIC_L2, {QUANTIZER_SQ8, 0}, 0},
        {MANY, 96, 40, 0, 0, METRIC_IP, {QUANTIZER_RABITQ, 4}, 0},
        {MANY, 100, 40, 0, 0, METRIC_COSINE, {QUANTIZER_RABITQ, 1}, 1},
        {MANY, 100, 40, 20, 0, METRIC_L2, {QUANTIZER_POLARVEC, 4}, 1},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct test_vectors v;
        struct built_index b;
        struct error err = {0};
        make_graph(&settings[i], test_seed(i + 1), &v, &b);
        double recall = built_index_recall(&b, 80);
        if (recall < 0.93) fail_msg("setting %zu: recall %.3f", i, recall);
        assert_ok(index_hnsw.check(b.index, &v.source, &err), &err);
        built_index_drop(&b);
        test_vectors_drop(&v);
    }
}

static double gated_recall(const struct built_index *b, const struct test_vectors *v, double share,
                           uint32_t effort)
{
    enum { QUERIES = 20, K = 10 };
    static uint64_t shut[MANY / 64 + 1];
    struct topk *found = built_lists_make(QUERIES, K), *truth = built_lists_make(QUERIES, K);
    struct built_search search = {.queries = v->vectors,
                                  .query_count = QUERIES,
                                  .k = K,
                                  .options.effort = effort,
                                  .distance_max = INFINITY};
    struct error err = {0};
    struct rng r;

    rng_init(&r, test_seed(77));
    memset(shut, 0, sizeof shut);
    search.gate =
        (struct index_gate){.shut_word = built_shut_word, .ctx = shut, .comes_first = true};
    for (uint32_t row = 0; row < v->row_count; row++) {
        bool is_open = rng_chance(&r, share);
        search.gate.open_count += is_open;
        if (!is_open) shut[row / 64] |= 1ull << (row % 64);
    }
    assert_int_equal(built_index_search(b, &search, found, &err), INDEX_DONE);
    for (size_t q = 0; q < QUERIES; q++) assert_int_equal(found[q].count, K);
    search.is_exact = true;
    assert_int_equal(built_index_search(b, &search, truth, &err), INDEX_DONE);
    double recall = built_lists_recall(found, truth, QUERIES);
    mem_free(alloc_libc(), found);
    mem_free(alloc_libc(), truth);
    return recall;
}

/* Long vectors are dear to look at one by one, so that half of the rows, and a seventh of them, are
 * walked to; of few, and of a few hundred short ones, none is missed. */
static void gates_are_walked_where_that_is_cheaper(void **state)
{
    (void)state;
    const struct setting settings[] = {
        {MANY, 768, 40, 16, 40, METRIC_L2, {0}, 0},
        {MANY, 16, 40, 16, 40, METRIC_L2, {0}, 0},
    };
    for (size_t i = 0; i < 2; i++) {
        struct test_vectors v;
        struct built_index b;
        make_graph(&settings[i], test_seed(i + 5), &v, &b);
        assert_true(gated_recall(&b, &v, 0.5, 20) > 0.8);
        assert_true(gated_recall(&b, &v, 0.15, 10) > 0.6);
        if (SEAL_ROWS > 1000 && i == 1) assert_true(gated_recall(&b, &v, 0.3, 10) == 1);
        built_index_drop(&b);
        test_vectors_drop(&v);
    }
}

/* Pieces in any order, vectors at one place or in runs. */
static void a_build_has_one_result(void **state)
{
    (void)state;
    const struct setting settings[] = {
        {3000, 70, 10, 8, 40, METRIC_COSINE, {0}, 0},
        {3000, 8, 10, 8, 40, METRIC_IP, {0}, 0},
        {3000, 70, 10, 8, 40, METRIC_JACCARD, {0}, 0},
        {1000, 70, 10, 8, 40, METRIC_L2, {QUANTIZER_RABITQ, 1}, 1},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct test_vectors v;
        struct index_params params;
        struct rng r;
        rng_init(&r, 4);
        test_vectors_make(&v, &r, settings[i].rows, settings[i].dim, settings[i].groups);
        struct index_build_desc desc = desc_of(&settings[i], alloc_libc(), &v, &params);
        assert_one_result(&index_hnsw, &desc, &v);
        test_vectors_drop(&v);
    }
}

/* Above what codes take a graph is walked by vectors. */
static void vectors_that_codes_cannot_tell_of_have_a_graph(void **state)
{
    (void)state;
    const struct setting s = {60, CODED_DIM_MAX + 64, 0, 4, 10, METRIC_L2, {0}, 0};
    struct test_vectors v;
    struct index_params params;
    struct built_index b;
    struct error err = {0};
    make_graph(&s, 5, &v, &b);
    assert_ok(index_hnsw.check(b.index, &v.source, &err), &err);
    assert_true(built_index_recall(&b, 60) > 0.95);
    index_params_init(&index_hnsw, &params);
    assert_true(index_hnsw.row_bytes(&params, METRIC_L2, s.quantizer, s.dim) >
                s.dim * sizeof(float));
    built_index_drop(&b);
    test_vectors_drop(&v);
}

/* Of one test at a time. */
static uint64_t *rows_of_bits;

static int run_of_bits(const struct vector_source *s, uint32_t row, uint32_t row_max,
                       struct row_run *out, struct error *err)
{
    const struct test_vectors *v = (const struct test_vectors *)(const void *)s;
    (void)err;
    *out = (struct row_run){rows_of_bits + row * bits_word_count(s->dim), v->norms + row,
                            row_max < 7 ? row_max : 7};
    return 0;
}

/* Nobody asks such a source for floats. */
static void take_bits(struct test_vectors *v)
{
    size_t floats = (size_t)v->row_count * v->source.dim;
    for (size_t i = 0; i < floats; i++) v->vectors[i] = v->vectors[i] > 0.5f;
    test_vectors_measure(v);
    rows_of_bits = (uint64_t *)malloc(v->row_count * bit_row_bytes(v->source.dim));
    assert_non_null(rows_of_bits);
    storage_pack(kernels_active(), STORAGE_BIT, v->vectors, v->row_count, v->source.dim,
                 rows_of_bits);
    v->source = (struct vector_source){
        .dim = v->source.dim, .storage = STORAGE_BIT, .run_narrow = run_of_bits};
}

static void a_graph_of_bits_is_that_of_the_floats_that_they_mean(void **state)
{
    (void)state;
    const struct setting settings[] = {{2100, 200, 10, 8, 40, METRIC_HAMMING, {0}, 0},
                                       {2100, 64, 10, 8, 40, METRIC_JACCARD, {0}, 0},
                                       {2100, 63, 10, 8, 40, METRIC_DICE, {0}, 0}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct test_vectors v;
        struct built_index floats, bits;
        struct error err = {0};
        make_graph(&settings[i], 4, &v, &floats);
        assert_ok(index_hnsw.check(floats.index, &v.source, &err), &err);
        take_bits(&v);
        build(&settings[i], &v, PIECES_AT_RANDOM, &bits);
        assert_same_index(&floats, &bits);
        if (built_index_recall(&bits, 80) < 0.93) fail_msg("setting %zu", i);
        assert_ok(index_hnsw.check(bits.index, &v.source, &err), &err);
        rows_of_bits[0] ^= 4;
        assert_fails(index_hnsw.check(bits.index, &v.source, &err), &err, LYNSE_CORRUPT);
        free(rows_of_bits);
        built_index_drop(&bits);
        built_index_drop(&floats);
        test_vectors_drop(&v);
    }
}

/* From a row alone, over sizes at which a level comes or goes, to rows that are all alike. */
static void graphs_of_any_size_are_whole(void **state)
{
    (void)state;
    const uint32_t sizes[] = {1, 2, 3, 4, 5, 16, 17, 33, 64, 300, 1500};
    for (size_t i = 0; i < 3 * sizeof sizes / sizeof *sizes; i++) {
        struct setting s = {sizes[i / 3], i % 2 ? 64 : 4, 0, i % 3 ? 2 : 16, 10, METRIC_L2, {0}, 0};
        struct test_vectors v;
        struct built_index b;
        struct error err = {0};
        struct rng r;
        rng_init(&r, i);
        test_vectors_make(&v, &r, s.rows, s.dim, 0);
        if (i % 3 == 2)
            for (size_t j = 0; j < (size_t)s.rows * s.dim; j++) v.vectors[j] = 0.25f;
        test_vectors_measure(&v);
        build(&s, &v, PIECES_FORWARDS, &b);
        assert_ok(index_hnsw.check(b.index, &v.source, &err), &err);
        built_index_drop(&b);
        test_vectors_drop(&v);
    }
}

/* Values at the ends of what a float can be make no graph that is not whole. */
static void extreme_vectors_are_rows_too(void **state)
{
    (void)state;
    const float sizes[] = {0, 1e-30f, 1e-20f, 1, 1e18f, 3e38f};
    for (unsigned metric = METRIC_IP; metric <= METRIC_COSINE; metric++) {
        struct setting s = {600, 64, 0, 8, 20, metric, {0}, 0};
        struct test_vectors v;
        struct built_index b;
        struct error err = {0};
        struct rng r;
        rng_init(&r, metric);
        test_vectors_make(&v, &r, s.rows, s.dim, 0);
        for (size_t j = 0; j < (size_t)s.rows * s.dim; j++) {
            float value = v.vectors[j] * sizes[j / s.dim % 6];
            v.vectors[j] = isfinite(value) ? value : 3e38f;
        }
        test_vectors_measure(&v);
        build(&s, &v, PIECES_FORWARDS, &b);
        struct topk *list = built_lists_make(1, 600);
        struct built_search search = {
            .queries = v.vectors + 64, .query_count = 1, .k = 600, .distance_max = INFINITY};
        assert_int_equal(built_index_search(&b, &search, list, &err), INDEX_DONE);
        assert_int_equal(list[0].count, 600);
        mem_free(alloc_libc(), list);
        built_index_drop(&b);
        test_vectors_drop(&v);
    }
}

/* Of vectors that there are more copies of than a search of the build holds: they are found, and so
 * is what lies behind them. */
static void copies_do_not_hide_the_others(void **state)
{
    enum { GROUPS = 12, COPIES = 200, OTHERS = 300, ROWS = GROUPS * COPIES + OTHERS };
    (void)state;
    for (unsigned metric = METRIC_IP; metric <= METRIC_COSINE; metric++) {
        struct setting s = {ROWS, 16, 0, 8, 40, metric, {0}, 0};
        struct test_vectors v;
        struct built_index b;
        struct error err = {0};
        struct rng r;
        rng_init(&r, test_seed(metric));
        test_vectors_make(&v, &r, s.rows, s.dim, 0);
        for (size_t i = GROUPS; i < (size_t)GROUPS * COPIES; i++)
            memcpy(v.vectors + i * s.dim, v.vectors + i % GROUPS * s.dim, s.dim * sizeof(float));
        test_vectors_measure(&v);
        build(&s, &v, PIECES_FORWARDS, &b);
        double recall = built_index_recall(&b, 50);
        if (recall < 0.97) fail_msg("metric %u: recall %.3f", metric, recall);
        assert_ok(index_hnsw.check(b.index, &v.source, &err), &err);
        built_index_drop(&b);
        test_vectors_drop(&v);
    }
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    const struct setting setting = {90, 64, 0, 4, 8, METRIC_COSINE, {QUANTIZER_SQ8, 0}, 1};
    struct alloc *a = alloc_create(NULL, 0);
    struct test_vectors v;
    struct index_params params;
    struct rng r;
    rng_init(&r, 8);
    test_vectors_make(&v, &r, setting.rows, setting.dim, 0);
    struct built_sweep s = {&index_hnsw, desc_of(&setting, a, &v, &params)};
    oom_sweep(a, build_and_check, &s);
    test_vectors_scatter(&v);
    s.desc.quantizer.kind = QUANTIZER_RAW;
    oom_sweep(a, build_and_check, &s);
    s.desc.metric = METRIC_HAMMING;
    oom_sweep(a, build_and_check, &s);
    test_vectors_drop(&v);
    alloc_destroy(a);
}

/* ---- Damage ---- */

static void damaged_numbers_are_refused(void **state)
{
    (void)state;
    struct setting s = {500, 8, 0, 4, 10, METRIC_L2, {0}, 0};
    struct test_vectors v;
    struct built_index b;
    struct error err = {0};
    make_graph(&s, 8, &v, &b);
    index_hnsw.close(b.index);
    for (size_t i = 0; i < b.image.section_count; i++) {
        uint32_t *words = (uint32_t *)b.memory[i];
        if (b.sections[i].kind == HNSW_SECTION_VECTORS) continue;
        for (size_t j = 0; j < b.sections[i].bytes / 4; j += 37 * test_stride()) {
            uint32_t old = words[j];
            bool is_reserved = b.sections[i].kind == HNSW_SECTION_HEAD &&
                               (j == 5 || j > 6u + 4u /* levels, layout */);
            words[j] = b.sections[i].kind == HNSW_SECTION_ROWS ? words[(j + 1) % 500] : 0xfffffffe;
            b.index = NULL;
            if (is_reserved) {
                words[j] = old;
                continue;
            }
            assert_fails(built_index_open(&b, alloc_libc(), &err), &err, LYNSE_CORRUPT);
            words[j] = old;
        }
        b.sections[i].bytes -= 4;
        assert_fails(built_index_open(&b, alloc_libc(), &err), &err, LYNSE_CORRUPT);
        b.sections[i].bytes += 4;
    }
    assert_ok(built_index_open(&b, alloc_libc(), &err), &err);
    built_index_drop(&b);
    test_vectors_drop(&v);
}

/* What open lets pass, for no search goes astray by it. */
static void a_check_finds_what_is_lost(void **state)
{
    (void)state;
    struct setting s = {500, 8, 0, 4, 10, METRIC_L2, {0}, 0};
    struct test_vectors v;
    struct built_index b;
    struct error err = {0};
    make_graph(&s, 8, &v, &b);
    assert_ok(index_hnsw.check(b.index, &v.source, &err), &err);
    const struct index_section *section = built_index_section(&b, HNSW_SECTION_LINKS);
    uint32_t *links = (uint32_t *)(uintptr_t)section->data;
    size_t places = section->bytes / 4 / s.rows, words = section->bytes / 4;

    links[7 * places] = 7;
    assert_fails(index_hnsw.check(b.index, &v.source, &err), &err, LYNSE_CORRUPT);
    links[7 * places] = links[7 * places + 1];
    assert_fails(index_hnsw.check(b.index, &v.source, &err), &err, LYNSE_CORRUPT);
    for (size_t i = 0; i < words; i++) /* nothing leads to node 9 */
        if (links[i] == 9) links[i] = HNSW_NONE;
    assert_fails(index_hnsw.check(b.index, &v.source, &err), &err, LYNSE_CORRUPT);
    built_index_drop(&b);

    build(&s, &v, PIECES_FORWARDS, &b);
    ((float *)(uintptr_t)built_index_section(&b, HNSW_SECTION_VECTORS)->data)[16 * 11 + 3] += 1;
    assert_fails(index_hnsw.check(b.index, &v.source, &err), &err, LYNSE_CORRUPT);
    built_index_drop(&b);
    test_vectors_drop(&v);
}

/* Every node is reached by a ring, and hardly one is found. */
static void a_check_finds_that_links_were_cut(void **state)
{
    (void)state;
    enum { RING = 2000 }; /* fewer are scanned */
    const struct setting settings[] = {
        {RING, 64, 40, 0, 0, METRIC_L2, {0}, 0}, /* walks by codes of 8 bits */
        {RING, 64, 40, 0, 0, METRIC_COSINE, {QUANTIZER_RABITQ, 1}, 1},
        {RING, 8, 40, 0, 0, METRIC_L2, {0}, 0},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct test_vectors v;
        struct built_index b;
        struct error err = {0};
        make_graph(&settings[i], test_seed(i + 1), &v, &b);
        assert_ok(index_hnsw.check(b.index, &v.source, &err), &err);
        const struct index_section *section = built_index_section(&b, HNSW_SECTION_LINKS);
        uint32_t *links = (uint32_t *)(uintptr_t)section->data;
        size_t places = section->bytes / 4 / RING;
        memset(links, 0xff, section->bytes);
        for (uint32_t node = 0; node < RING; node++)
            links[node * places] = (node + RING / 2 + 1) % RING;
        assert_fails(index_hnsw.check(b.index, &v.source, &err), &err, LYNSE_CORRUPT);
        assert_non_null(strstr(err.text, "found by their own vectors"));
        built_index_drop(&b);
        test_vectors_drop(&v);
    }
}

/* ---- Parts ---- */

static void a_walk_meets_each_node_once(void **state)
{
    (void)state;
    enum { NODES = 200000 };
    uint8_t *met = (uint8_t *)malloc(NODES);
    const uint32_t expected[] = {10, 1000, 100000};
    for (size_t i = 0; i < 3; i++) {
        struct visited v;
        struct rng r;
        void *memory = malloc(visited_bytes(NODES, expected[i]));
        assert_true(memory && met);
        rng_init(&r, i);
        visited_init(&v, memory, NODES, expected[i]);
        for (int walk = 0; walk < 4; walk++) {
            visited_clear(&v);
            memset(met, 0, NODES);
            for (int step = 0; step < (walk % 2 ? 100 : 50000); step++) {
                uint32_t node = (uint32_t)rng_below(&r, walk < 2 ? NODES : 300);
                assert_int_equal(visited_has(&v, node), met[node]);
                assert_int_equal(visited_add(&v, node), !met[node]);
                met[node] = 1;
            }
        }
        free(memory);
    }
    free(met);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(most_of_the_nearest_are_found),
        cmocka_unit_test(gates_are_walked_where_that_is_cheaper),
        cmocka_unit_test(a_build_has_one_result),
        cmocka_unit_test(vectors_that_codes_cannot_tell_of_have_a_graph),
        cmocka_unit_test(a_graph_of_bits_is_that_of_the_floats_that_they_mean),
        cmocka_unit_test(graphs_of_any_size_are_whole),
        cmocka_unit_test(extreme_vectors_are_rows_too),
        cmocka_unit_test(copies_do_not_hide_the_others),
        cmocka_unit_test(running_out_of_memory_leaves_nothing),
        cmocka_unit_test(damaged_numbers_are_refused),
        cmocka_unit_test(a_check_finds_what_is_lost),
        cmocka_unit_test(a_check_finds_that_links_were_cut),
        cmocka_unit_test(a_walk_meets_each_node_once),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
