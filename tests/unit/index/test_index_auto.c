/* SPDX-License-Identifier: Apache-2.0 */
/* What is chosen where nobody chose.  It is of the registries, whatever they have. */
#include <math.h>

#include "base/limits.h"
#include "base/rng.h"
#include "index/index_auto.h"
#include "support/built_index.h"
#include "support/test.h"

static struct index_mode choose(unsigned metric, uint64_t rows, uint32_t dim, uint64_t memory)
{
    struct index_auto_desc desc = {(enum metric)metric, rows, dim, memory, STORAGE_F32};
    struct index_mode mode = {0}, again = {0};
    index_auto_choose(&desc, &mode);
    index_auto_choose(&desc, &again);
    assert_int_equal(mode.kind, again.kind);
    assert_int_equal(mode.metric, metric);
    assert_true(index_mode_makes_sense(&mode));
    return mode;
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
        struct index_mode chosen = choose(metric, 1000000, 128, 0);
        assert_int_equal(chosen.kind, index_mode_makes_sense(&graph) ? graph.kind : INDEX_FLAT);
        assert_int_equal(chosen.quantizer.kind, QUANTIZER_RAW);
    }
}

/* The less memory there is, the less a vector takes. */
static void a_memory_cap_shrinks_what_is_kept_in_memory(void **state)
{
    (void)state;
    struct index_mode roomy = choose(METRIC_L2, 1000000, 768, 16ull << 30);
    struct index_mode tight = choose(METRIC_L2, 1000000, 768, 1200ull << 20);
    struct index_mode full = choose(METRIC_L2, 1000000, 768, 1 << 20);
    struct index_mode codes = {.kind = index_find_name("hnsw", 4), .metric = METRIC_L2};
    assert_int_equal(roomy.quantizer.kind, QUANTIZER_RAW);
    if (quantizer_find_word(slice_of_text("RABITQ4"), &codes.quantizer) &&
        index_mode_makes_sense(&codes))
        assert_memory_equal(&tight.quantizer, &codes.quantizer, sizeof codes.quantizer);
    else assert_true(tight.kind == INDEX_FLAT || tight.quantizer.kind != QUANTIZER_RAW);
    assert_true(full.kind == INDEX_FLAT || full.kind == index_find_name("diskann", 7));
}

/* Room for the smallest of them alone: what reads its vectors from its file has floats there. */
static void narrow_vectors_have_no_graph_on_the_disk(void **state)
{
    (void)state;
    for (unsigned storage = STORAGE_F16; storage <= STORAGE_U8; storage++) {
        struct index_auto_desc desc = {METRIC_L2, 1000000, 768, 1 << 20,
                                       (enum storage_type)storage};
        struct index_mode mode;
        index_auto_choose(&desc, &mode);
        assert_true(index_mode_makes_sense(&mode));
        assert_int_not_equal(mode.kind, INDEX_FLAT);
        assert_int_equal(index_find(mode.kind)->file_sections, 0);
    }
}

/* Growing it changes at the limit; shrinking it stays down to half of it. */
static void what_was_chosen_stays_around_a_limit(void **state)
{
    (void)state;
    const uint64_t limit = AUTO_SCANNED_BYTES / 512;
    struct index_auto_desc desc = {METRIC_L2, limit, 128, 0, STORAGE_F32};
    struct index_mode flat = choose(METRIC_L2, limit, 128, 0), graph, other;
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
    graph.quantizer = (struct quantizer_spec){QUANTIZER_RAW, 0};
    assert_true(index_auto_changes(&desc, &graph, &other));
    assert_int_not_equal(other.quantizer.kind, QUANTIZER_RAW);
    desc.memory_bytes = 0;
    assert_true(index_auto_changes(&desc, &other, &graph));
    assert_int_equal(graph.quantizer.kind, QUANTIZER_RAW);
}

/* Links, rows, and codes or vectors: what is counted with is there, and little else. */
static void a_graph_takes_the_memory_that_is_counted_with(void **state)
{
    enum { ROWS = 600 };
    static const struct {
        const char *mode;
        uint32_t dim;
    } cases[] = {{"HNSW-L2", 96},          {"HNSW-L2", 24},         {"HNSW-IP-SQ8", 24},
                 {"HNSW-COS-RABITQ4", 96}, {"HNSW-L2-RABITQ", 200}, {"HNSW-HAMMING", 256}};
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
        double bytes = (double)built.index->memory_bytes;
        for (size_t s = 0; s < built.image.section_count; s++)
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
    cmocka_unit_test(narrow_vectors_have_no_graph_on_the_disk),
    cmocka_unit_test(what_was_chosen_stays_around_a_limit),
};
TEST_MAIN(tests)
