/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

/* ---- get ---- */

static void get_answers_in_the_order_asked(void **state)
{
    struct fixture *f = *state;
    struct lynse_id ids[] = {number_id(3), text_id("none"), number_id(1), number_id(3),
                             number_id(99)};
    struct lynse_hits *hits;
    fixture_make_docs(f);
    add_numbers(f, 0, 5);
    assert_done(lynse_get(f->docs, ids, 5, LYNSE_WITH_FIELDS | LYNSE_WITH_VECTORS, &hits, &f->err),
                f);
    assert_int_equal(hits->count, 3);
    assert_int_equal(hits->query_count, 1);
    assert_int_equal(hits->query_ends[0], 3);
    const uint64_t expected[] = {3, 1, 3};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(hits->numbers[i], expected[i]);
        assert_int_equal(hits->ids[i].number, expected[i]);
        assert_null(hits->ids[i].text);
        assert_true(hits->vectors[i * 3] == (float)expected[i]);
        assert_int_equal(((const uint8_t *)hits->fields[i].data)[3], expected[i]);
    }
    assert_null(hits->scores);
    assert_int_equal(hits->dim, 3);
    assert_int_equal(hits->as_of_lsn, 1);
    lynse_hits_free(hits);
    assert_done(lynse_get(f->docs, ids, 5, 0, &hits, &f->err), f);
    assert_null(hits->fields);
    assert_null(hits->vectors);
    lynse_hits_free(hits);
    assert_done(lynse_get(f->docs, NULL, 0, 0, &hits, &f->err), f);
    assert_int_equal(hits->count, 0);
    lynse_hits_free(hits);
}

static void a_text_id_leaves_no_numbers(void **state)
{
    struct fixture *f = *state;
    struct lynse_id ids[] = {number_id(3), text_id("three")};
    struct lynse_hits *hits;
    fixture_make_docs(f);
    add_numbers(f, 0, 5);
    assert_done(put_one(f, ids[1], 3, 3, false), f);
    assert_done(lynse_get(f->docs, ids, 2, 0, &hits, &f->err), f);
    assert_int_equal(hits->count, 2);
    assert_null(hits->numbers);
    assert_int_equal(hits->ids[1].text_bytes, 5);
    assert_memory_equal(hits->ids[1].text, "three", 5);
    lynse_hits_free(hits);
}

/* ---- walks ---- */

/* Ids of a whole walk, in pieces of row_max. */
static size_t walk(struct fixture *f, uint32_t flags, uint64_t skip, size_t row_max, uint64_t *out)
{
    struct lynse_scan *scan;
    size_t count = 0;
    assert_done(lynse_scan_begin(f->docs, flags, &scan, &f->err), f);
    lynse_scan_skip(scan, skip);
    for (;;) {
        struct lynse_hits *hits;
        assert_done(lynse_scan_next(scan, row_max, &hits, &f->err), f);
        assert_true(hits->count <= row_max);
        size_t got = hits->count;
        for (size_t i = 0; i < got; i++) out[count++] = hits->numbers[i];
        lynse_hits_free(hits);
        if (got == 0) break;
    }
    lynse_scan_free(scan);
    return count;
}

static void a_walk_is_in_the_order_of_writing(void **state)
{
    struct fixture *f = *state;
    uint64_t ids[64];
    const uint64_t live[] = {50, 51, 53, 7, 8, 9, 52};
    struct lynse_id gone[] = {number_id(50)};
    fixture_make_docs(f);
    add_numbers(f, 50, 4);
    assert_done(lynse_flush(f->docs, &f->err), f);
    add_numbers(f, 7, 3);
    assert_done(put_one(f, number_id(52), 1, 1, true), f);
    for (size_t row_max = 1; row_max < 9; row_max++) {
        assert_int_equal(walk(f, 0, 0, row_max, ids), 7);
        assert_memory_equal(ids, live, sizeof live);
        for (uint64_t skip = 0; skip <= 8; skip++) {
            size_t left = skip < 7 ? (size_t)(7 - skip) : 0;
            assert_int_equal(walk(f, 0, skip, row_max, ids), left);
            assert_memory_equal(ids, live + 7 - left, left * sizeof *ids);
        }
    }
    assert_int_equal(walk(f, 0, UINT64_MAX, 3, ids), 0);
    assert_int_equal(delete_ids(f, gone, 1), 1);
    assert_int_equal(walk(f, 0, 0, 4, ids), 6);
    assert_memory_equal(ids, live + 1, 6 * sizeof *ids);
    /* What could be restored: not the old version of 52. */
    assert_int_equal(walk(f, LYNSE_SCAN_DELETED, 0, 4, ids), 1);
    assert_int_equal(ids[0], 50);
    assert_int_equal(walk(f, LYNSE_SCAN_DELETED, 1, 4, ids), 0);
}

static void a_walk_sees_one_version(void **state)
{
    struct fixture *f = *state;
    struct lynse_scan *scan;
    struct lynse_hits *hits;
    struct lynse_id gone[] = {number_id(3), number_id(4)};
    fixture_make_docs(f);
    add_numbers(f, 0, 5);
    assert_done(lynse_scan_begin(f->docs, LYNSE_WITH_FIELDS, &scan, &f->err), f);
    assert_done(lynse_scan_next(scan, 2, &hits, &f->err), f);
    lynse_hits_free(hits);
    add_numbers(f, 5, 5);
    assert_int_equal(delete_ids(f, gone, 2), 2);
    assert_done(put_one(f, number_id(2), 1, 77, true), f);
    assert_done(lynse_checkpoint(f->docs, &f->err), f);
    assert_done(lynse_scan_next(scan, 100, &hits, &f->err), f);
    assert_int_equal(hits->count, 3);
    assert_int_equal(hits->as_of_lsn, 1);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(hits->numbers[i], i + 2);
        assert_int_equal(((const uint8_t *)hits->fields[i].data)[3], i + 2);
    }
    lynse_hits_free(hits);
    lynse_scan_free(scan);
}

static void an_empty_collection_can_be_read(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection_desc desc = {.name = "docs"};
    struct lynse_names *names;
    struct lynse_hits *hits;
    uint64_t ids[1];
    float query[] = {1, 2};
    struct lynse_id id = number_id(0);
    assert_done(lynse_collection_create(f->db, &desc, &f->docs, &f->err), f);
    assert_int_equal(count_rows(f), 0);
    assert_int_equal(walk(f, 0, 0, 5, ids), 0);
    assert_int_equal(walk(f, LYNSE_SCAN_DELETED, 0, 5, ids), 0);
    assert_false(is_there(f, id));
    assert_int_equal(delete_ids(f, &id, 1), 0);
    assert_int_equal(restore_ids(f, &id, 1), 0);
    assert_done(lynse_list_fields(f->docs, &names, &f->err), f);
    assert_int_equal(names->count, 0);
    lynse_names_free(names);
    struct lynse_search_desc search = {.vector = query, .dim = 2, .error = &f->err};
    assert_done(lynse_search(f->docs, &search, &hits), f);
    assert_int_equal(hits->count, 0);
    assert_int_equal(hits->query_count, 1);
    lynse_hits_free(hits);
    assert_done(lynse_flush(f->docs, &f->err), f);
    assert_done(lynse_checkpoint(f->docs, &f->err), f);
    if (!f->variant->in_memory) fixture_reopen(f);
    assert_int_equal(count_rows(f), 0);
}

/* ---- fields ---- */

static void put_map(struct fixture *f, uint64_t number, const char *map, size_t size)
{
    float vector[] = {1, 1, 1};
    struct lynse_bytes fields = {map, size};
    struct lynse_rows rows = {
        .dim = 3, .count = 1, .numbers = &number, .vectors = vector, .fields = &fields};
    assert_done(lynse_upsert(f->docs, &rows, NULL, NULL, &f->err), f);
}

static void field_names_are_those_of_live_records(void **state)
{
    struct fixture *f = *state;
    struct lynse_names *names;
    struct lynse_id gone = number_id(2);
    fixture_make_docs(f);
    put_map(f, 1,
            "\x82\xa1z\x01\xa1"
            "a\x81\xa5inner\x02",
            14);
    put_map(f, 2, "\x81\xa4gone\x01", 7);
    assert_done(lynse_flush(f->docs, &f->err), f);
    put_map(f, 3, "\x82\xa1m\xc0\xa1z\x02", 7);
    assert_int_equal(delete_ids(f, &gone, 1), 1);
    assert_done(lynse_list_fields(f->docs, &names, &f->err), f);
    assert_int_equal(names->count, 3);
    assert_string_equal(names->names[0], "a");
    assert_string_equal(names->names[1], "m");
    assert_string_equal(names->names[2], "z");
    lynse_names_free(names);
}

/* ---- searches ---- */

static void hits_are_the_nearest_with_ties_by_id(void **state)
{
    struct fixture *f = *state;
    struct lynse_hits *hits;
    float query[] = {1, 1, 0};
    struct lynse_search_desc desc = {
        .vector = query, .dim = 3, .k = 4, .error = &f->err, .flags = LYNSE_WITH_FIELDS};
    fixture_make_docs(f);
    assert_done(put_one(f, text_id("b"), 1, 1, false), f);
    assert_done(put_one(f, text_id("a"), 1, 2, false), f);
    assert_done(put_one(f, number_id(UINT64_MAX - 1), 1, 3, false), f);
    assert_done(put_one(f, number_id(9), 1, 4, false), f);
    assert_done(put_one(f, number_id(8), 3, 5, false), f);
    for (int round = 0; round < 2; round++) {
        assert_done(lynse_search(f->docs, &desc, &hits), f);
        assert_int_equal(hits->count, 4);
        assert_int_equal(hits->ids[0].number, 9);
        assert_true(hits->ids[1].number == UINT64_MAX - 1);
        assert_memory_equal(hits->ids[2].text, "a", 1);
        assert_memory_equal(hits->ids[3].text, "b", 1);
        for (size_t i = 0; i < 4; i++) assert_true(hits->scores[i] == 0);
        assert_int_equal(((const uint8_t *)hits->fields[2].data)[3], 2);
        assert_null(hits->numbers);
        assert_int_equal(hits->metric, LYNSE_L2);
        assert_int_equal(hits->as_of_lsn, 5);
        lynse_hits_free(hits);
        assert_done(lynse_flush(f->docs, &f->err), f);
    }
}

static void steps_and_batches_answer_as_one_call_does(void **state)
{
    struct fixture *f = *state;
    struct lynse_hits *whole, *stepped;
    struct lynse_search *search;
    float queries[] = {3, 1, 0, 90, 1, 0, 1000, 0, 0};
    struct lynse_search_desc desc = {
        .vector = queries, .dim = 3, .query_count = 3, .k = 7, .error = &f->err};
    fixture_make_docs(f);
    for (uint64_t i = 0; i < 5; i++) {
        add_numbers(f, i * 100, 100);
        breathe(f);
        if (i == 2) assert_done(lynse_flush(f->docs, &f->err), f);
    }
    assert_done(lynse_search(f->docs, &desc, &whole), f);
    assert_int_equal(whole->count, 21);
    assert_int_equal(whole->query_count, 3);
    assert_done(lynse_search_begin(f->docs, &desc, &search), f);
    assert_done(lynse_checkpoint(f->docs, &f->err), f); /* the search keeps its version */
    int code;
    while ((code = lynse_search_step(search, 1, &stepped)) == LYNSE_MORE) continue;
    assert_done(code, f);
    assert_int_equal(stepped->count, 21);
    for (size_t i = 0; i < 3; i++) assert_int_equal(stepped->query_ends[i], (i + 1) * 7);
    assert_memory_equal(whole->numbers, stepped->numbers, 21 * sizeof *whole->numbers);
    assert_memory_equal(whole->scores, stepped->scores, 21 * sizeof *whole->scores);
    assert_int_equal(whole->numbers[0], 3);
    assert_int_equal(whole->numbers[7], 90);
    assert_int_equal(whole->numbers[14], 499);
    lynse_hits_free(whole);
    lynse_hits_free(stepped);
}

static void a_range_search_keeps_to_its_threshold(void **state)
{
    struct fixture *f = *state;
    struct lynse_hits *hits;
    float query[] = {10, 1, 0};
    struct lynse_search_desc desc = {
        .vector = query, .dim = 3, .flags = LYNSE_RANGE, .threshold = 4, .error = &f->err};
    fixture_make_docs(f);
    add_numbers(f, 0, 100);
    assert_done(lynse_search(f->docs, &desc, &hits), f);
    const uint64_t expected[] = {10, 9, 11, 8, 12};
    assert_int_equal(hits->count, 5);
    assert_memory_equal(hits->numbers, expected, sizeof expected);
    lynse_hits_free(hits);
    desc.max_results = 2;
    assert_done(lynse_search(f->docs, &desc, &hits), f);
    assert_int_equal(hits->count, 2);
    lynse_hits_free(hits);
    desc.threshold = -1;
    assert_done(lynse_search(f->docs, &desc, &hits), f);
    assert_int_equal(hits->count, 0);
    lynse_hits_free(hits);
}

static void a_search_that_is_given_up_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct lynse_search *search;
    struct lynse_hits *hits;
    float query[] = {10, 1, 0};
    struct lynse_search_desc desc = {.vector = query, .dim = 3, .error = &f->err};
    fixture_make_docs(f);
    add_numbers(f, 0, 1000);
    assert_done(lynse_search_begin(f->docs, &desc, &search), f);
    lynse_search_cancel(search);
    assert_done(lynse_search_begin(f->docs, &desc, &search), f);
    if (lynse_search_step(search, 1, &hits) == LYNSE_MORE) lynse_search_cancel(search);
    else lynse_hits_free(hits);
}

static void a_search_whose_time_is_over_says_so(void **state)
{
    struct fixture *f = *state;
    struct lynse_search *search;
    struct lynse_hits *hits = NULL;
    float query[] = {10, 1, 0};
    struct lynse_search_desc desc = {.vector = query, .dim = 3, .timeout_us = 1, .error = &f->err};
    fixture_make_docs(f);
    add_numbers(f, 0, 1000);
    assert_done(lynse_search_begin(f->docs, &desc, &search), f);
    uint64_t count; /* something that takes a microsecond */
    for (int i = 0; i < 1000; i++) assert_done(lynse_count(f->docs, &count, &f->err), f);
    int code;
    while ((code = lynse_search_step(search, 1, &hits)) == LYNSE_MORE) continue;
    assert_int_equal(code, LYNSE_DEADLINE);
    assert_int_equal(f->err.code, LYNSE_DEADLINE);
    assert_null(hits);
}

static void a_search_ends_when_its_host_cancels_it(void **state)
{
    struct fixture *f = *state;
    struct lynse_search *search;
    struct lynse_hits *hits = NULL;
    float query[] = {10, 1, 0};
    uint32_t cancel = 0;
    struct lynse_search_desc desc = {
        .vector = query, .dim = 3, .error = &f->err, .cancel = &cancel};
    fixture_make_docs(f);
    add_numbers(f, 0, 1000);
    assert_done(lynse_search(f->docs, &desc, &hits), f);
    lynse_hits_free(hits);
    hits = NULL;
    assert_done(lynse_search_begin(f->docs, &desc, &search), f);
    __atomic_store_n(&cancel, 1, __ATOMIC_RELAXED);
    assert_int_equal(lynse_search_step(search, 1, &hits), LYNSE_CANCELLED);
    assert_refused(lynse_search(f->docs, &desc, &hits), f, LYNSE_CANCELLED, "cancelled");
    desc.where = "n >= 0";
    assert_refused(lynse_search(f->docs, &desc, &hits), f, LYNSE_CANCELLED, "cancelled");
    assert_null(hits);
}

static void a_walk_ends_when_its_host_says_so(void **state)
{
    struct fixture *f = *state;
    struct lynse_hits *hits = NULL;
    fixture_make_docs(f);
    add_numbers(f, 0, 1000);
    for (int is_filtered = 0; is_filtered < 2; is_filtered++) {
        uint32_t cancel = 0;
        struct lynse_scan *scan;
        if (is_filtered) assert_done(lynse_query_begin(f->docs, "n >= 0", 0, &scan, &f->err), f);
        else assert_done(lynse_scan_begin(f->docs, 0, &scan, &f->err), f);
        lynse_scan_limit(scan, 0, &cancel);
        assert_int_equal(lynse_scan_skip(scan, 400), 400);
        assert_done(lynse_scan_next(scan, 100, &hits, &f->err), f);
        assert_int_equal(hits->ids[0].number, 400);
        lynse_hits_free(hits);
        __atomic_store_n(&cancel, 1, __ATOMIC_RELAXED);
        hits = NULL;
        assert_refused(lynse_scan_next(scan, 100, &hits, &f->err), f, LYNSE_CANCELLED, "cancelled");
        assert_null(hits);
        lynse_scan_free(scan);
    }
    struct lynse_scan *late;
    assert_done(lynse_query_begin(f->docs, "n >= 0", 0, &late, &f->err), f);
    lynse_scan_limit(late, 600000001, NULL);
    assert_int_equal(lynse_scan_skip(late, 1), 0);
    assert_refused(lynse_scan_next(late, 1, &hits, &f->err), f, LYNSE_LIMIT, "timeout_us");
    lynse_scan_limit(late, 1, NULL);
    assert_refused(lynse_scan_next(late, 1000, &hits, &f->err), f, LYNSE_DEADLINE, "deadline");
    lynse_scan_free(late);
}

static void what_is_passed_over_is_counted(void **state)
{
    struct fixture *f = *state;
    struct lynse_scan *scan;
    struct lynse_id gone = number_id(3);
    fixture_make_docs(f);
    add_numbers(f, 0, 300);
    assert_int_equal(delete_ids(f, &gone, 1), 1);
    assert_done(lynse_query_begin(f->docs, "n >= 0", 0, &scan, &f->err), f);
    assert_int_equal(lynse_scan_skip(scan, 10), 10);
    assert_int_equal(lynse_scan_skip(scan, UINT64_MAX), 289);
    assert_int_equal(lynse_scan_skip(scan, 1), 0);
    lynse_scan_free(scan);
    assert_done(lynse_scan_begin(f->docs, LYNSE_SCAN_DELETED, &scan, &f->err), f);
    assert_int_equal(lynse_scan_skip(scan, 10), 1);
    lynse_scan_free(scan);
}

static void hits_outlive_their_root(void **state)
{
    struct fixture *f = *state;
    struct lynse_hits *hits, *found;
    struct lynse_names *names;
    float query[] = {10, 1, 0};
    struct lynse_search_desc desc = {.vector = query,
                                     .dim = 3,
                                     .flags = LYNSE_WITH_FIELDS | LYNSE_WITH_VECTORS,
                                     .error = &f->err};
    struct lynse_id id = text_id("kept");
    fixture_make_docs(f);
    add_numbers(f, 0, 20);
    assert_done(put_one(f, id, 10, 42, false), f);
    assert_done(lynse_flush(f->docs, &f->err), f);
    assert_done(lynse_search(f->docs, &desc, &hits), f);
    assert_done(lynse_get(f->docs, &id, 1, LYNSE_WITH_FIELDS, &found, &f->err), f);
    assert_done(lynse_database_list(f->db, &names, &f->err), f);
    fixture_close(f);
    assert_int_equal(hits->count, 10);
    assert_int_equal(hits->ids[0].number, 10);
    assert_true(hits->vectors[0] == 10);
    assert_int_equal(((const uint8_t *)hits->fields[0].data)[3], 10);
    assert_memory_equal(found->ids[0].text, "kept", 4);
    assert_int_equal(((const uint8_t *)found->fields[0].data)[3], 42);
    assert_string_equal(names->names[0], "default");
    lynse_hits_free(hits);
    lynse_hits_free(found);
    lynse_names_free(names);
}

#define CASES(_)                                                                                   \
    _(get_answers_in_the_order_asked)                                                              \
    _(a_text_id_leaves_no_numbers)                                                                 \
    _(a_walk_is_in_the_order_of_writing)                                                           \
    _(a_walk_sees_one_version)                                                                     \
    _(an_empty_collection_can_be_read)                                                             \
    _(field_names_are_those_of_live_records)                                                       \
    _(hits_are_the_nearest_with_ties_by_id)                                                        \
    _(steps_and_batches_answer_as_one_call_does)                                                   \
    _(a_range_search_keeps_to_its_threshold)                                                       \
    _(a_search_that_is_given_up_leaves_nothing)                                                    \
    _(a_search_whose_time_is_over_says_so)                                                         \
    _(a_search_ends_when_its_host_cancels_it)                                                      \
    _(a_walk_ends_when_its_host_says_so)                                                           \
    _(what_is_passed_over_is_counted) _(hits_outlive_their_root)

static const struct CMUnitTest tests[] = {API_EVERYWHERE(CASES)};
TEST_MAIN(tests)
