/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "fixture.h"

/* ---- add ---- */

static void an_answer_says_what_was_done(void **state)
{
    struct fixture *f = *state;
    float vectors[] = {1, 0, 0, 0, 1, 0};
    struct lynse_write_result result;
    struct lynse_rows rows = {.dim = 3, .count = 2, .vectors = vectors};
    struct lynse_id ids[] = {number_id(1), number_id(99), number_id(0)};
    fixture_make_docs(f);
    assert_done(lynse_add(f->docs, &rows, NULL, &result, &f->err), f);
    assert_int_equal(result.lsn, 1);
    assert_int_equal(result.row_count, 2);
    assert_int_equal(result.first_number, 0);
    assert_done(lynse_add(f->docs, &rows, NULL, &result, &f->err), f);
    assert_int_equal(result.lsn, 2);
    assert_int_equal(result.first_number, 2);
    assert_done(lynse_delete(f->docs, ids, 3, NULL, &result, &f->err), f);
    assert_int_equal(result.lsn, 3);
    assert_int_equal(result.row_count, 2);
    assert_done(lynse_delete(f->docs, ids, 3, NULL, &result, &f->err), f);
    assert_int_equal(result.lsn, 0); /* nothing had to be written */
    assert_int_equal(result.row_count, 0);
    assert_done(lynse_add(f->docs, &rows, NULL, NULL, NULL), f);
    assert_int_equal(info_of(f).applied_lsn, 4);
}

static uint64_t first_given(struct fixture *f)
{
    float vector[] = {1, 0, 0};
    struct lynse_write_result result;
    struct lynse_rows rows = {.dim = 3, .count = 1, .vectors = vector};
    assert_done(lynse_add(f->docs, &rows, NULL, &result, &f->err), f);
    return result.first_number;
}

static void ids_are_given_above_the_largest_ever_used(void **state)
{
    struct fixture *f = *state;
    struct lynse_id last = number_id(500);
    fixture_make_docs(f);
    assert_int_equal(first_given(f), 0);
    assert_done(put_one(f, text_id("900"), 1, 0, false), f); /* text does not count */
    assert_int_equal(first_given(f), 1);
    assert_done(put_one(f, last, 1, 0, true), f);
    assert_int_equal(delete_ids(f, &last, 1), 1);
    assert_int_equal(first_given(f), 501); /* a deleted one does */
    assert_int_equal(info_of(f).max_int_id, 501);
    if (f->variant->in_memory) return;
    fixture_reopen(f); /* from the log */
    assert_int_equal(first_given(f), 502);
    last = number_id(502);
    assert_int_equal(delete_ids(f, &last, 1), 1);
    assert_done(lynse_checkpoint(f->docs, &f->err), f);
    fixture_reopen(f); /* from the manifest */
    assert_int_equal(first_given(f), 503);
}

static void a_refused_add_gives_no_id_away(void **state)
{
    struct fixture *f = *state;
    fixture_make_docs(f);
    add_numbers(f, 0, 3);
    assert_refused(put_numbers(f, 2, 50, false), f, LYNSE_ALREADY_EXISTS, "2");
    assert_int_equal(first_given(f), 3);
}

static void the_largest_id_leaves_no_room_for_given_ones(void **state)
{
    struct fixture *f = *state;
    float vectors[] = {1, 0, 0, 0, 1, 0};
    struct lynse_rows rows = {.dim = 3, .count = 2, .vectors = vectors};
    const uint64_t largest = UINT64_MAX - 1;
    fixture_make_docs(f);
    assert_done(put_one(f, number_id(largest - 1), 7, 7, false), f);
    assert_refused(lynse_add(f->docs, &rows, NULL, NULL, &f->err), f, LYNSE_LIMIT, "ids",
                   "18446744073709551613", "18446744073709551614");
    assert_int_equal(first_given(f), largest);
    assert_int_equal(count_rows(f), 2);
    assert_true(is_there(f, number_id(largest)));
    rows.count = 1;
    assert_refused(lynse_add(f->docs, &rows, NULL, NULL, &f->err), f, LYNSE_LIMIT, "ids");
    assert_done(put_one(f, number_id(5), 5, 5, false), f); /* explicit ones go on */
    assert_int_equal(info_of(f).max_int_id, largest);
    if (f->variant->in_memory) return;
    fixture_reopen(f);
    assert_int_equal(field_of(f, number_id(largest - 1)), 7);
    assert_refused(lynse_add(f->docs, &rows, NULL, NULL, &f->err), f, LYNSE_LIMIT, "ids");
}

static void a_number_and_its_digits_are_two_ids(void **state)
{
    struct fixture *f = *state;
    struct lynse_id five = text_id("5");
    fixture_make_docs(f);
    assert_done(put_one(f, number_id(5), 1, 1, false), f);
    assert_done(put_one(f, five, 2, 2, false), f);
    assert_done(put_one(f, text_id("naïve"), 3, 3, false), f);
    assert_int_equal(field_of(f, number_id(5)), 1);
    assert_int_equal(field_of(f, text_id("5")), 2);
    assert_int_equal(delete_ids(f, &five, 1), 1);
    assert_true(is_there(f, number_id(5)));
    assert_false(is_there(f, text_id("5")));
    assert_true(is_there(f, text_id("naïve")));
}

static void the_longest_id_is_kept(void **state)
{
    struct fixture *f = *state;
    char text[LIMIT_ID_BYTES + 1] = {0};
    fixture_make_docs(f);
    memset(text, 'x', LIMIT_ID_BYTES);
    assert_done(put_one(f, text_id(text), 4, 4, false), f);
    assert_done(lynse_flush(f->docs, &f->err), f);
    assert_int_equal(field_of(f, text_id(text)), 4);
}

static void a_dimension_comes_from_the_first_vectors(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection_desc desc = {.name = "docs"};
    float vector[] = {1, 2, 3, 4};
    struct lynse_rows rows = {.dim = 4, .count = 1, .vectors = vector};
    assert_done(lynse_collection_create(f->db, &desc, &f->docs, &f->err), f);
    assert_int_equal(info_of(f).dim, 0);
    vector[0] = (float)(1e30 * 1e30);
    assert_refused(lynse_add(f->docs, &rows, NULL, NULL, &f->err), f, LYNSE_INVALID, "component");
    assert_int_equal(info_of(f).dim, 0);
    vector[0] = 1;
    rows.dim = 3;
    assert_done(lynse_add(f->docs, &rows, NULL, NULL, &f->err), f);
    assert_int_equal(info_of(f).dim, 3);
    rows.dim = 4;
    assert_refused(lynse_add(f->docs, &rows, NULL, NULL, &f->err), f, LYNSE_DIMENSION, "4", "3");
    if (f->variant->in_memory) return;
    fixture_reopen(f);
    assert_int_equal(info_of(f).dim, 3);
}

/* ---- upsert ---- */

static void an_upsert_replaces_and_may_keep_the_fields(void **state)
{
    struct fixture *f = *state;
    fixture_make_docs(f);
    add_numbers(f, 0, 5);
    for (int round = 0; round < 2; round++) { /* from the tail, then from a segment */
        assert_done(put_one(f, number_id(3), 30, 33, true), f);
        assert_int_equal(field_of(f, number_id(3)), 33);
        assert_done(put_one(f, number_id(3), 31, 0, true), f);
        assert_int_equal(field_of(f, number_id(3)), 33);
        assert_true(vector_of(f, number_id(3)) == 31);
        assert_int_equal(count_rows(f), 5);
        assert_done(lynse_flush(f->docs, &f->err), f);
    }
    assert_done(put_one(f, number_id(77), 7, 0, true), f); /* new, without fields */
    assert_int_equal(field_of(f, number_id(77)), 0);
}

static void an_upsert_may_keep_some_fields_and_replace_others(void **state)
{
    struct fixture *f = *state;
    float vectors[] = {8, 1, 0, 9, 1, 0};
    uint64_t numbers[] = {1, 2};
    struct small_fields map = fields_of(55);
    struct lynse_bytes fields[] = {{NULL, 0}, {map.bytes, sizeof map.bytes}};
    struct lynse_rows rows = {
        .dim = 3, .count = 2, .numbers = numbers, .vectors = vectors, .fields = fields};
    fixture_make_docs(f);
    add_numbers(f, 0, 5);
    assert_done(lynse_upsert(f->docs, &rows, NULL, NULL, &f->err), f);
    assert_int_equal(field_of(f, number_id(1)), 1);
    assert_int_equal(field_of(f, number_id(2)), 55);
}

static void an_upsert_of_a_deleted_record_starts_anew(void **state)
{
    struct fixture *f = *state;
    struct lynse_id id = number_id(1);
    fixture_make_docs(f);
    add_numbers(f, 0, 5);
    assert_int_equal(delete_ids(f, &id, 1), 1);
    assert_done(put_one(f, id, 9, 0, true), f);
    assert_int_equal(field_of(f, id), 0); /* it was not there, so nothing was kept */
    assert_int_equal(count_rows(f), 5);
    assert_int_equal(restore_ids(f, &id, 1), 0); /* the old version is gone for good */
    assert_true(vector_of(f, id) == 9);
}

/* ---- delete and restore ---- */

static void a_delete_counts_what_was_there_once(void **state)
{
    struct fixture *f = *state;
    struct lynse_id ids[] = {number_id(1), number_id(1), number_id(88), text_id("1"), number_id(2)};
    fixture_make_docs(f);
    add_numbers(f, 0, 5);
    assert_int_equal(delete_ids(f, ids, 5), 2);
    assert_int_equal(count_rows(f), 3);
    assert_int_equal(info_of(f).deleted_count, 2);
    assert_int_equal(delete_ids(f, ids, 5), 0);
    assert_int_equal(restore_ids(f, ids, 5), 2);
    assert_int_equal(restore_ids(f, ids, 5), 0); /* live, unknown */
    assert_int_equal(count_rows(f), 5);
    assert_int_equal(info_of(f).deleted_count, 0);
    assert_int_equal(field_of(f, number_id(2)), 2);
}

static void a_restore_brings_back_the_newest_version(void **state)
{
    struct fixture *f = *state;
    struct lynse_id id = number_id(2);
    fixture_make_docs(f);
    add_numbers(f, 0, 5);
    assert_done(put_one(f, id, 22, 22, true), f);
    assert_int_equal(delete_ids(f, &id, 1), 1);
    assert_int_equal(restore_ids(f, &id, 1), 1);
    assert_int_equal(field_of(f, id), 22);
    assert_true(vector_of(f, id) == 22);
    assert_int_equal(delete_ids(f, &id, 1), 1);
    assert_done(lynse_flush(f->docs, &f->err), f); /* sealing keeps it */
    assert_int_equal(restore_ids(f, &id, 1), 1);
    assert_int_equal(field_of(f, id), 22);
    assert_int_equal(delete_ids(f, &id, 1), 1);
    if (f->variant->in_memory) return;
    fixture_reopen(f); /* the deletion from the log, the row from the segment */
    assert_false(is_there(f, id));
    assert_int_equal(restore_ids(f, &id, 1), 1);
    assert_int_equal(delete_ids(f, &id, 1), 1);
    assert_done(lynse_checkpoint(f->docs, &f->err), f);
    fixture_reopen(f); /* both from files */
    assert_false(is_there(f, id));
    assert_int_equal(restore_ids(f, &id, 1), 1);
    assert_int_equal(field_of(f, id), 22);
    fixture_reopen(f); /* the restore from the log */
    assert_int_equal(field_of(f, id), 22);
    assert_int_equal(count_rows(f), 5);
}

static void an_add_of_a_deleted_id_is_a_new_record(void **state)
{
    struct fixture *f = *state;
    struct lynse_id id = number_id(2);
    fixture_make_docs(f);
    add_numbers(f, 0, 5);
    assert_done(lynse_flush(f->docs, &f->err), f);
    assert_int_equal(delete_ids(f, &id, 1), 1);
    assert_done(put_one(f, id, 50, 50, false), f);
    assert_int_equal(field_of(f, id), 50);
    assert_int_equal(delete_ids(f, &id, 1), 1);
    assert_int_equal(restore_ids(f, &id, 1), 1);
    assert_int_equal(field_of(f, id), 50);
    assert_int_equal(count_rows(f), 5);
}

/* ---- many rows ---- */

static void the_largest_batch_is_one_group(void **state)
{
    struct fixture *f = *state;
    fixture_make_docs(f);
    add_numbers(f, 0, LIMIT_BATCH_ROWS);
    assert_int_equal(info_of(f).applied_lsn, 1);
    assert_int_equal(count_rows(f), LIMIT_BATCH_ROWS);
    assert_refused(put_numbers(f, LIMIT_BATCH_ROWS - 1, 2, false), f, LYNSE_ALREADY_EXISTS,
                   "99999");
    assert_true(vector_of(f, number_id(LIMIT_BATCH_ROWS - 1)) == LIMIT_BATCH_ROWS - 1);
    if (f->variant->in_memory) return;
    fixture_reopen(f);
    assert_int_equal(count_rows(f), LIMIT_BATCH_ROWS);
    assert_true(vector_of(f, number_id(LIMIT_BATCH_ROWS - 1)) == LIMIT_BATCH_ROWS - 1);
}

static void flushed_rows_are_what_they_were(void **state)
{
    struct fixture *f = *state;
    struct lynse_id gone = number_id(55);
    fixture_make_docs(f);
    for (uint64_t i = 0; i < 10; i++) {
        add_numbers(f, i * 20, 20);
        breathe(f);
        if (i % 3 == 2) assert_done(lynse_flush(f->docs, &f->err), f);
    }
    assert_int_equal(delete_ids(f, &gone, 1), 1);
    assert_done(lynse_checkpoint(f->docs, &f->err), f);
    struct lynse_collection_info info = info_of(f);
    assert_int_equal(info.live_count, 199);
    assert_int_equal(info.tail_count, 0);
    assert_int_equal(info.flushed_lsn, info.applied_lsn);
    assert_int_equal(info.log_bytes, 0);
    assert_true(info.segment_count >= 1);
    for (uint64_t i = 0; i < 200; i++) {
        if (i == 55) continue;
        assert_int_equal(field_of(f, number_id(i)), i % 100);
        assert_true(vector_of(f, number_id(i)) == (float)i);
    }
    assert_false(is_there(f, gone));
}

#define CASES(_)                                                                                   \
    _(an_answer_says_what_was_done)                                                                \
    _(ids_are_given_above_the_largest_ever_used)                                                   \
    _(a_refused_add_gives_no_id_away)                                                              \
    _(the_largest_id_leaves_no_room_for_given_ones)                                                \
    _(a_number_and_its_digits_are_two_ids)                                                         \
    _(the_longest_id_is_kept)                                                                      \
    _(a_dimension_comes_from_the_first_vectors)                                                    \
    _(an_upsert_replaces_and_may_keep_the_fields)                                                  \
    _(an_upsert_may_keep_some_fields_and_replace_others)                                           \
    _(an_upsert_of_a_deleted_record_starts_anew)                                                   \
    _(a_delete_counts_what_was_there_once)                                                         \
    _(a_restore_brings_back_the_newest_version)                                                    \
    _(an_add_of_a_deleted_id_is_a_new_record)                                                      \
    _(the_largest_batch_is_one_group)                                                              \
    _(flushed_rows_are_what_they_were)

static const struct CMUnitTest tests[] = {API_EVERYWHERE(CASES)};
TEST_MAIN(tests)
