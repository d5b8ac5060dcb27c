/* SPDX-License-Identifier: Apache-2.0 */
/* What a sound collection is told, what may be asked, and who can end it. */
#include "base/rng.h"
#include "fixture.h"

static void a_sound_collection_has_no_findings(void **state)
{
    struct fixture *f = *state;
    struct lynse_verify_desc desc = {.struct_bytes = sizeof desc};
    struct lynse_names *findings;
    struct lynse_id gone[] = {number_id(3), number_id(4)};

    fixture_make_docs(f);
    for (uint32_t level = 0; level <= LYNSE_VERIFY_DEEP; level++) {
        add_numbers(f, level * 100, 100);
        assert_done(lynse_delete(f->docs, gone, 2, NULL, NULL, &f->err), f);
        if (level % 2) assert_done(lynse_flush(f->docs, &f->err), f);
        desc.level = level;
        assert_done(lynse_verify(f->docs, &desc, &findings, &f->err), f);
        assert_int_equal(findings->count, 0);
        lynse_names_free(findings);
    }
    assert_done(lynse_verify(f->docs, NULL, &findings, &f->err), f);
    lynse_names_free(findings);
}

/* Of those that are loaded and of those that are not; quicker looks say nothing of them. */
static void a_deep_look_says_what_each_index_finds(void **state)
{
    struct fixture *f = *state;
    struct lynse_names *findings, *indexes = NULL;
    struct lynse_verify_desc desc = {.level = LYNSE_VERIFY_DEEP, .out_indexes = &indexes};

    fixture_make_docs(f);
    for (size_t i = 0; i < 1500; i += 15) {
        add_numbers(f, i, 15);
        breathe(f);
    }
    assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
    for (int round = 0; round < 2; round++) {
        assert_done(lynse_verify(f->docs, &desc, &findings, &f->err), f);
        assert_int_equal(findings->count, 0);
        assert_true(indexes->count > 0);
        for (size_t i = 0; i < indexes->count; i++) {
            assert_non_null(strstr(indexes->names[i], "HNSW-L2 of "));
            assert_non_null(strstr(indexes->names[i], "finds 100.0 % of the 10 nearest"));
        }
        lynse_names_free(findings);
        lynse_names_free(indexes);
        indexes = NULL;
        if (!f->variant->in_memory) fixture_reopen(f);
    }
    desc.level = LYNSE_VERIFY_FULL;
    assert_done(lynse_verify(f->docs, &desc, &findings, &f->err), f);
    assert_int_equal(indexes->count, 0);
    lynse_names_free(findings);
    lynse_names_free(indexes);
}

/* Which are kept as packed bits, and are not read as floats there. */
static void a_deep_look_asks_graphs_of_bits_too(void **state)
{
    enum { DIM = 32, COUNT = IS_TINY ? 150 : 1500 };
    struct fixture *f = *state;
    struct lynse_names *findings, *indexes = NULL;
    struct lynse_verify_desc desc = {.level = LYNSE_VERIFY_DEEP, .out_indexes = &indexes};
    struct lynse_collection_desc bits = {
        .name = "bits", .dim = DIM, .metric = LYNSE_HAMMING, .storage = LYNSE_STORAGE_BIT};
    struct rng r;

    rng_init(&r, 6);
    assert_done(lynse_collection_create(f->db, &bits, &f->docs, &f->err), f);
    for (size_t i = 0; i < COUNT; i += 10) {
        float vectors[10 * DIM];
        struct lynse_rows rows = {.dim = DIM, .count = 10, .vectors = vectors};
        for (size_t j = 0; j < 10 * DIM; j++) vectors[j] = (float)rng_below(&r, 2);
        assert_done(lynse_add(f->docs, &rows, NULL, NULL, &f->err), f);
        breathe(f);
    }
    assert_done(lynse_build_index(f->docs, "HNSW-HAMMING", &f->err), f);
    assert_done(lynse_verify(f->docs, &desc, &findings, &f->err), f);
    assert_int_equal(findings->count, 0);
    assert_true(indexes->count > 0);
    lynse_names_free(findings);
    lynse_names_free(indexes);
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct fixture *f = *state;
    struct lynse_verify_desc desc = {.level = LYNSE_VERIFY_DEEP + 1};
    struct lynse_names *findings = NULL;

    fixture_make_docs(f);
    assert_int_equal(lynse_verify(NULL, NULL, &findings, &f->err), LYNSE_INVALID);
    assert_int_equal(lynse_verify(f->docs, NULL, NULL, &f->err), LYNSE_INVALID);
    assert_int_equal(lynse_verify(f->docs, &desc, &findings, &f->err), LYNSE_INVALID);
    assert_non_null(strstr(f->err.text, "level"));
    assert_null(findings);
}

static void the_host_can_end_it(void **state)
{
    struct fixture *f = *state;
    const uint32_t stop = 1;
    struct lynse_verify_desc desc = {.struct_bytes = sizeof desc, .cancel = &stop};
    struct lynse_names *findings = NULL;

    fixture_make_docs(f);
    add_numbers(f, 0, 10);
    assert_int_equal(lynse_verify(f->docs, &desc, &findings, &f->err), LYNSE_CANCELLED);
    assert_null(findings);
}

#define CASES(_)                                                                                   \
    _(a_sound_collection_has_no_findings)                                                          \
    _(a_deep_look_says_what_each_index_finds)                                                      \
    _(a_deep_look_asks_graphs_of_bits_too)                                                         \
    _(what_makes_no_sense_is_refused)                                                              \
    _(the_host_can_end_it)

static const struct CMUnitTest tests[] = {API_EVERYWHERE(CASES)};
TEST_MAIN(tests)
