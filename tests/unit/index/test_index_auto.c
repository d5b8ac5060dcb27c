/* SPDX-License-Identifier: Apache-2.0 */
/* What is chosen where nobody chose.  It is of the registries, whatever they have. */
#include <math.h>

#include "base/limits.h"
#include "base/rng.h"
#include "index/index_auto.h"
#include "index/index_mode.h"
#include "support/built_index.h"
#include "support/test.h"

static struct index_plan choose_of(unsigned storage, unsigned metric, uint64_t rows, uint32_t dim,
                                   uint64_t memory)
{
    struct index_auto_desc desc = {(enum metric)metric, rows, dim, memory,
                                   (enum storage_type)storage};
    struct index_plan plan = {0}, again = {0};
    index_auto_choose(&desc, &plan);
    index_auto_choose(&desc, &again);
    assert_memory_equal(&plan, &again, sizeof plan);
    struct index_mode mode = {
        .kind = plan.kind, .metric = desc.metric, .quantizer = plan.quantizer};
    assert_true(index_mode_makes_sense(&mode) && plan.is_auto);
    struct error err = {0};
    assert_ok(index_params_check(index_find(plan.kind), &plan.params, &err), &err);
    return plan;
}

static struct index_plan choose(unsigned metric, uint64_t rows, uint32_t dim, uint64_t memory)
{
    return choose_of(STORAGE_F32, metric, rows, dim, memory);
}

/* Memory of a row, without copies of it. */
static double bytes_of(const struct index_plan *plan, unsigned metric, uint32_t dim)
{
    const struct index_vtab *kind = index_find(plan->kind);
    return kind->row_bytes(&plan->params, (enum metric)metric, plan->quantizer, dim);
}

static void what_is_small_is_scanned(void **state)
{
    (void)state;
    for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
        assert_int_equal(choose(metric, 0, 0, 0).kind, INDEX_FLAT);
        assert_int_equal(choose(metric, 1000000000, 0, 0).kind, INDEX_FLAT);
        assert_int_equal(choose(metric, AUTO_SCANNED_BYTES / 512, 128, 0).kind, INDEX_FLAT);
    }
}

static void what_is_large_has_a_graph(void **state)
{
    (void)state;
    for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
        struct index_mode graph = {.kind = index_find_name("hnsw", 4),
                                   .metric = (enum metric)metric};
        struct index_plan chosen = choose(metric, 1000000, 128, 0);
        assert_int_equal(chosen.kind, index_mode_makes_sense(&graph) ? graph.kind : INDEX_FLAT);
        assert_int_equal(chosen.quantizer.kind, QUANTIZER_RAW);
    }
}

/* The less memory there is, the less a vector takes; what has no room at all is scanned. */
static void a_memory_cap_shrinks_what_is_kept_in_memory(void **state)
{
    (void)state;
    enum { ROWS = 1000000 };
    struct index_plan roomy = choose(METRIC_L2, ROWS, 768, 16ull << 30);
    struct index_plan tight = choose(METRIC_L2, ROWS, 768, 1200ull << 20);
    struct index_mode codes = {.kind = index_find_name("hnsw", 4), .metric = METRIC_L2};
    assert_int_equal(roomy.quantizer.kind, QUANTIZER_RAW);
    if (quantizer_find_word(slice_of_text("RABITQ4"), &codes.quantizer) &&
        index_mode_makes_sense(&codes))
        assert_memory_equal(&tight.quantizer, &codes.quantizer, sizeof codes.quantizer);
    else assert_true(tight.kind == INDEX_FLAT || tight.quantizer.kind != QUANTIZER_RAW);
    double before = INFINITY;
    for (uint64_t mib = 8192; mib > 0; mib /= 2) {
        for (uint32_t dim = 64; dim <= 2048; dim *= 2) {
            struct index_plan plan = choose(METRIC_L2, ROWS, dim, mib << 20);
            if (plan.kind == INDEX_FLAT) continue;
            assert_true(ROWS * bytes_of(&plan, METRIC_L2, dim) <= (double)(mib << 20));
        }
        struct index_plan plan = choose(METRIC_L2, ROWS, 768, mib << 20);
        if (plan.kind == INDEX_FLAT) continue;
        assert_true(before > 0 && bytes_of(&plan, METRIC_L2, 768) <= before);
        before = bytes_of(&plan, METRIC_L2, 768);
    }
    assert_int_equal(choose(METRIC_L2, ROWS, 768, 1 << 20).kind, INDEX_FLAT);
    assert_int_equal(choose(METRIC_L2, ROWS, 10000, 8ull << 30).kind, INDEX_FLAT);
}

/* It is told how much there is, and built anew when that is not enough for what has come. */
static void a_graph_on_the_disk_keeps_to_the_memory(void **state)
{
    (void)state;
    const uint64_t memory = 400 << 20;
    struct index_auto_desc desc = {METRIC_L2, 1000000, 768, memory, STORAGE_F32};
    struct index_plan plan = choose(METRIC_L2, desc.row_count, 768, memory), other;
    if (index_find_name("diskann", 7) == INDEX_NONE) return;
    assert_int_equal(plan.kind, index_find_name("diskann", 7));
    assert_true(1e6 * bytes_of(&plan, METRIC_L2, 768) <= (double)memory / 2);
    assert_false(index_auto_changes(&desc, &plan, &other));
    /* Dimensions of which more than the least is left. */
    desc = (struct index_auto_desc){METRIC_L2, 1000000, 128, 300 << 20, STORAGE_F32};
    plan = choose(METRIC_L2, desc.row_count, 128, desc.memory_bytes);
    assert_int_equal(plan.kind, index_find_name("diskann", 7));
    double bytes = bytes_of(&plan, METRIC_L2, 128);
    desc.row_count = 1500000;
    assert_false(index_auto_changes(&desc, &plan, &other));
    desc.row_count = 3000000;
    assert_true(index_auto_changes(&desc, &plan, &other));
    assert_int_equal(other.kind, plan.kind);
    assert_true(bytes_of(&other, METRIC_L2, 128) < bytes);
    assert_false(index_auto_changes(&desc, &other, &plan));
    /* Fewer rows, or more memory: not before all of them are sure to fit. */
    desc.memory_bytes = 0;
    assert_true(index_auto_changes(&desc, &other, &plan));
    assert_int_equal(plan.kind, index_find_name("hnsw", 4));
}

/* They are copied as floats for a graph, but bits for one that counts them; and what reads its
 * vectors from its file has floats there. */
static void copies_of_narrow_vectors_count(void **state)
{
    (void)state;
    const uint64_t narrow = 2ull << 30, wide = 12ull << 30;
    const enum index_kind graph = index_find_name("hnsw", 4);
    struct index_mode bits = {.kind = graph, .metric = METRIC_HAMMING};
    if (graph == INDEX_NONE) return;
    assert_int_equal(choose(METRIC_L2, 1000000, 768, narrow).kind, graph);
    for (unsigned storage = STORAGE_F16; storage <= STORAGE_U8; storage++) {
        assert_int_equal(choose_of(storage, METRIC_L2, 1000000, 768, narrow).kind, INDEX_FLAT);
        assert_int_equal(choose_of(storage, METRIC_L2, 1000000, 768, wide).kind, graph);
    }
    if (index_mode_makes_sense(&bits))
        assert_int_equal(choose_of(STORAGE_BIT, METRIC_HAMMING, 1000000, 768, narrow).kind, graph);
}

/* Growing it changes at the limit; shrinking it stays down to half of it. */
static void what_was_chosen_stays_around_a_limit(void **state)
{
    (void)state;
    const uint64_t limit = AUTO_SCANNED_BYTES / 512;
    struct index_auto_desc desc = {METRIC_L2, limit, 128, 0, STORAGE_F32};
    struct index_plan flat = choose(METRIC_L2, limit, 128, 0), graph, other;
    assert_false(index_auto_changes(&desc, &flat, &other));
    desc.row_count = limit + 1;
    assert_true(index_auto_changes(&desc, &flat, &graph));
    assert_int_not_equal(graph.kind, INDEX_FLAT);
    assert_false(index_auto_changes(&desc, &graph, &other));
    desc.row_count = limit / 2 + 1;
    assert_false(index_auto_changes(&desc, &graph, &other));
    desc.row_count = limit / 2;
    assert_true(index_auto_changes(&desc, &graph, &other));
    assert_int_equal(other.kind, INDEX_FLAT);
    /* Less memory than before, or more: codes, or none. */
    desc = (struct index_auto_desc){METRIC_L2, 1000000, 768, 1200ull << 20, STORAGE_F32};
    graph = choose(METRIC_L2, 1000000, 768, 0);
    assert_true(index_auto_changes(&desc, &graph, &other));
    assert_int_not_equal(other.quantizer.kind, QUANTIZER_RAW);
    desc.memory_bytes = 0;
    assert_true(index_auto_changes(&desc, &other, &graph));
    assert_int_equal(graph.quantizer.kind, QUANTIZER_RAW);
}

/* Links, rows, codes or vectors, hot pages: what is counted with is there, and little else. */
static void a_graph_takes_the_memory_that_is_counted_with(void **state)
{
    enum { ROWS = 600 };
    static const struct {
        const char *mode;
        uint32_t dim;
        double memory; /* of DISKANN; 0: no bound */
    } cases[] = {{"HNSW-L2", 96, 0},           {"HNSW-L2", 24, 0},         {"HNSW-IP-SQ8", 24, 0},
                 {"HNSW-COS-RABITQ4", 96, 0},  {"HNSW-L2-RABITQ", 200, 0}, {"HNSW-HAMMING", 256, 0},
                 {"HNSW-L2-SQ4", 96, 0},       {"HNSW-L2-SIGN", 200, 0},   {"DISKANN-L2", 768, 0},
                 {"DISKANN-L2-RABITQ", 768, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct index_mode mode;
        struct index_params params;
        struct test_vectors vectors;
        struct built_index built;
        struct error err = {0};
        struct rng r;
        rng_init(&r, 31);
        assert_ok(index_mode_parse(cases[i].mode, &mode, &err), &err);
        const struct index_vtab *kind = index_find(mode.kind);
        index_params_init(kind, &params);
        if (cases[i].memory > 0)
            assert_ok(
                index_params_set(kind, &params, slice_of_text("memory"), cases[i].memory, &err),
                &err);
        test_vectors_make(&vectors, &r, ROWS, cases[i].dim, 0);
        const struct index_build_desc desc = {
            .alloc = alloc_libc(),
            .kernels = kernels_active(),
            .vectors = &vectors.source,
            .params = &params,
            .quantizer = mode.quantizer,
            .metric = mode.metric,
            .row_count = ROWS,
            .seed = 3,
        };
        assert_ok(built_index_make(&built, kind, &desc, PIECES_FORWARDS, &err), &err);
        /* So few rows have room for all pages where that is bounded. */
        double bytes = cases[i].memory > 0 ? 0 : (double)built.index->memory_bytes;
        for (size_t s = 0; s < built.image.section_count; s++)
            if (!(kind->file_sections >> (built.sections[s].kind - INDEX_SECTION_FIRST) & 1))
                bytes += (double)built.sections[s].bytes;
        double counted = ROWS * kind->row_bytes(&params, mode.metric, mode.quantizer, cases[i].dim);
        if (fabs(bytes / counted - 1) > 0.15)
            fail_msg("%s: %.0f bytes, counted with %.0f", cases[i].mode, bytes, counted);
        built_index_drop(&built);
        test_vectors_drop(&vectors);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_graph_takes_the_memory_that_is_counted_with),
    cmocka_unit_test(what_is_small_is_scanned),
    cmocka_unit_test(what_is_large_has_a_graph),
    cmocka_unit_test(a_memory_cap_shrinks_what_is_kept_in_memory),
    cmocka_unit_test(a_graph_on_the_disk_keeps_to_the_memory),
    cmocka_unit_test(copies_of_narrow_vectors_count),
    cmocka_unit_test(what_was_chosen_stays_around_a_limit),
};
TEST_MAIN(tests)
