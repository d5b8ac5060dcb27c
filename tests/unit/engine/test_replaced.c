/* SPDX-License-Identifier: Apache-2.0 */
/* test_replaced.c — rows are replaced over and over while their segments are sealed, indexed and
 * merged: what a search finds then is what it finds in a collection that is built of the last rows
 * alone.  LYNSE_REPLACED_ROWS: so many, for the long form. */
#include <stdlib.h>

#include "base/limits.h"
#include "index/index_mode.h"
#include "support/docs_fixture.h"

enum { DIM = 16, K = 10, QUERIES = 200, ROUNDS = 4, FLUSHES = 3 * ROUNDS, CALL_ROWS = 50 };

static const struct engine_desc root = {.actor_threads = 1, .job_threads = 2, .seed = 1};

static size_t row_count(void)
{
    const char *text = getenv("LYNSE_REPLACED_ROWS");
    size_t rows = text ? strtoul(text, NULL, 10) : SEAL_ROWS > 1000 ? 6000 : 600;
    return rows / (FLUSHES * CALL_ROWS) * (FLUSHES * CALL_ROWS);
}

/* The vector of a row's version: some groups, around centres that all versions share. */
static void make_vector(uint64_t number, uint64_t version, float out[DIM])
{
    struct rng centre, self;
    rng_init(&centre, number % 40 + 1);
    rng_init(&self, number * ROUNDS + version + 1000);
    for (int i = 0; i < DIM; i++) out[i] = rng_normal(&centre) + 0.7f * rng_normal(&self);
}

static void make_docs(struct fixture *f, const char *mode)
{
    struct lynse_collection_desc desc = {.name = "notes/docs", .dim = DIM, .metric = LYNSE_L2};
    assert_done(lynse_collection_create(f->db, &desc, &f->docs, &f->err), f);
    assert_done(lynse_build_index(f->docs, mode, &f->err), f);
}

static void drop_docs(struct fixture *f)
{
    assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
    lynse_collection_close(f->docs);
}

/* Rows of a stride: each flush has some of everywhere. */
static void write_rows(struct fixture *f, size_t rows, uint64_t version, size_t first, size_t step)
{
    for (size_t at = first; at < rows; at += CALL_ROWS * step) {
        float vectors[CALL_ROWS * DIM];
        uint64_t numbers[CALL_ROWS];
        for (size_t i = 0; i < CALL_ROWS; i++) {
            numbers[i] = at + i * step;
            make_vector(numbers[i], version, vectors + i * DIM);
        }
        struct lynse_rows call = {
            .dim = DIM, .count = CALL_ROWS, .numbers = numbers, .vectors = vectors};
        struct lynse_write_options options = {.sync = LYNSE_SYNC_OS};
        assert_done(lynse_upsert(f->docs, &call, &options, NULL, &f->err), f);
    }
}

/* Nothing is under way any more. */
static struct lynse_collection_info settle(struct fixture *f)
{
    for (int quiet = 0;;) {
        struct lynse_collection_info info = {0};
        assert_done(lynse_collection_info(f->docs, &info, &f->err), f);
        assert_int_equal(info.index_failure.code, LYNSE_OK);
        bool is_done = info.index_progress >= 1 && !fixture_is_busy(f, false);
        quiet = is_done ? quiet + 1 : 0;
        if (quiet == 20) return info;
        fixture_wait(f);
    }
}

static struct lynse_hits *search(struct fixture *f, const float *query, uint32_t flags)
{
    struct lynse_search_desc desc = {
        .vector = query, .dim = DIM, .k = K, .flags = flags, .error = &f->err};
    struct lynse_hits *hits;
    assert_done(lynse_search(f->docs, &desc, &hits), f);
    return hits;
}

static double recall(struct fixture *f)
{
    size_t found = 0;
    for (uint64_t q = 0; q < QUERIES; q++) {
        float query[DIM];
        make_vector(q * 7, ROUNDS + 1, query);
        struct lynse_hits *near = search(f, query, 0), *exact = search(f, query, LYNSE_EXACT);
        assert_int_equal(near->count, exact->count);
        for (size_t i = 0; i < near->count; i++)
            for (size_t j = 0; j < exact->count; j++)
                found += near->ids[i].number == exact->ids[j].number;
        lynse_hits_free(near);
        lynse_hits_free(exact);
    }
    return (double)found / (QUERIES * K);
}

/* Every row of every index is reachable, and so on. */
static void assert_sound(struct fixture *f)
{
    struct lynse_verify_desc desc = {.level = LYNSE_VERIFY_DEEP};
    struct lynse_names *found;
    assert_done(lynse_verify(f->docs, &desc, &found, &f->err), f);
    if (found->count > 0) fail_msg("%s", found->names[0]);
    lynse_names_free(found);
}

/* The recall of rows that were written in one go, once. */
static double fresh_recall(struct fixture *f, const char *mode, size_t rows)
{
    make_docs(f, mode);
    write_rows(f, rows, ROUNDS - 1, 0, 1);
    assert_done(lynse_flush(f->docs, &f->err), f);
    settle(f);
    double found = recall(f); /* loads it */
    settle(f);
    found = recall(f);
    drop_docs(f);
    return found;
}

static double replaced_recall(struct fixture *f, const char *mode, size_t rows)
{
    make_docs(f, mode);
    for (uint64_t version = 0; version < ROUNDS; version++) {
        size_t flushes = version == 0 ? 1 : FLUSHES / ROUNDS;
        for (size_t i = 0; i < flushes; i++) {
            write_rows(f, rows, version, i, flushes);
            assert_done(lynse_flush(f->docs, &f->err), f);
            (void)recall(f);
        }
    }
    struct lynse_collection_info info = settle(f);
    assert_int_equal(info.live_count, rows);
    assert_true(info.segment_count <= 8);
    (void)recall(f);
    settle(f);
    assert_sound(f);
    double found = recall(f);
    drop_docs(f);
    return found;
}

static void replaced_rows_are_found_as_well_as_fresh_ones(void **state)
{
    static struct fixture f;
    size_t rows = row_count();
    (void)state;
    fixture_init(&f);
    fixture_open(&f, &root);
    for (unsigned kind = 1; kind <= INDEX_KIND_MAX; kind++) {
        char mode[32];
        struct index_mode of = {.kind = (enum index_kind)kind, .metric = METRIC_L2};
        if (!index_find(kind)) continue;
        index_mode_format(&of, mode, sizeof mode);
        double fresh = fresh_recall(&f, mode, rows), replaced = replaced_recall(&f, mode, rows);
        print_message("%s: %zu rows, recall %.4f fresh, %.4f replaced\n", mode, rows, fresh,
                      replaced);
        assert_true(replaced >= fresh - 0.005);
    }
    fixture_deinit(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(replaced_rows_are_found_as_well_as_fresh_ones),
};
TEST_MAIN(tests)
