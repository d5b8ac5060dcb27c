/* SPDX-License-Identifier: Apache-2.0 */
/* Writes that are sent again with the id of their request. */
#include "base/limits.h"
#include "fixture.h"

static struct lynse_write_options with_id(uint8_t id)
{
    return (struct lynse_write_options){.struct_bytes = sizeof(struct lynse_write_options),
                                        .request_id = {id, [15] = 1}};
}

static struct lynse_write_result add_two(struct fixture *f, uint8_t id)
{
    float vectors[] = {1, 0, 0, 0, 1, 0};
    struct lynse_rows rows = {.dim = 3, .count = 2, .vectors = vectors};
    struct lynse_write_options options = with_id(id);
    struct lynse_write_result result;

    assert_done(lynse_add(f->docs, &rows, &options, &result, &f->err), f);
    return result;
}

static void a_write_is_applied_once(void **state)
{
    struct fixture *f = *state;
    float other[] = {9, 9, 9, 9, 9, 9};
    struct lynse_rows rows = {.dim = 3, .count = 2, .vectors = other};
    struct lynse_write_options options = with_id(1);

    fixture_make_docs(f);
    struct lynse_write_result first = add_two(f, 1), other_id = add_two(f, 2);
    assert_int_equal(first.is_repeat, 0);
    assert_int_equal(other_id.is_repeat, 0);
    struct lynse_write_result again = add_two(f, 1);
    assert_int_equal(again.is_repeat, 1);
    assert_int_equal(again.lsn, first.lsn);
    assert_int_equal(again.row_count, 2);
    assert_int_equal(again.first_number, first.first_number);
    assert_int_equal(again.sync_reached, first.sync_reached);
    assert_refused(lynse_add(f->docs, &rows, &options, NULL, &f->err), f, LYNSE_INVALID,
                   "request_id");
    assert_int_equal(count_rows(f), 4);
    if (f->variant->in_memory) return;
    fixture_reopen(f);
    assert_int_equal(add_two(f, 1).is_repeat, 1);
    assert_done(lynse_checkpoint(f->docs, &f->err), f);
    fixture_reopen(f);
    assert_int_equal(add_two(f, 2).lsn, other_id.lsn);
    assert_int_equal(count_rows(f), 4);
}

/* Who was built with the first version of the struct has no id, whatever lies behind it. */
static void a_shorter_struct_has_no_id(void **state)
{
    struct fixture *f = *state;
    float vector[] = {1, 0, 0};
    struct lynse_rows rows = {.dim = 3, .count = 1, .vectors = vector};
    struct lynse_write_options options = with_id(1);
    struct lynse_write_result result;

    fixture_make_docs(f);
    const uint32_t sizes[] = {0, offsetof(struct lynse_write_options, request_id)};
    for (uint64_t i = 0; i < 2; i++) {
        options.struct_bytes = sizes[i];
        assert_done(lynse_add(f->docs, &rows, &options, &result, &f->err), f);
        assert_int_equal(result.is_repeat, 0);
    }
    assert_int_equal(count_rows(f), 2);
}

static void a_deletion_by_filter_is_applied_once(void **state)
{
    struct fixture *f = *state;
    struct lynse_write_options options = with_id(7);
    struct lynse_write_result result;

    fixture_make_docs(f);
    assert_done(put_one(f, number_id(1), 1, 5, false), f);
    assert_done(put_one(f, number_id(2), 1, 6, false), f);
    assert_done(lynse_delete_where(f->docs, "n = 5", &options, &result, &f->err), f);
    assert_int_equal(result.row_count, 1);
    uint64_t lsn = result.lsn;
    assert_done(lynse_delete_where(f->docs, "n = 5", &options, &result, &f->err), f);
    assert_int_equal(result.is_repeat, 1); /* nothing matches now */
    assert_int_equal(result.lsn, lsn);
    assert_int_equal(result.row_count, 1);
    assert_done(put_one(f, number_id(3), 1, 5, false), f);
    assert_done(lynse_delete_where(f->docs, "n = 5", &options, &result, &f->err), f);
    assert_int_equal(result.is_repeat, 1);
    assert_true(is_there(f, number_id(3)));
    assert_refused(lynse_delete_where(f->docs, "n = 6", &options, NULL, &f->err), f, LYNSE_INVALID,
                   "request_id");
    options = with_id(8);
    assert_done(lynse_delete_where(f->docs, "n = 99", &options, &result, &f->err), f);
    assert_int_equal(result.row_count, 0); /* nothing was applied: judged anew */
    assert_done(put_one(f, number_id(4), 1, 99, false), f);
    assert_done(lynse_delete_where(f->docs, "n = 99", &options, &result, &f->err), f);
    assert_int_equal(result.row_count, 1);
    assert_int_equal(result.is_repeat, 0);
}

/* One id is one group: what needs two is refused as a whole. */
static void a_deletion_of_too_much_is_refused(void **state)
{
    struct fixture *f = *state;
    struct lynse_write_options options = with_id(1);
    struct lynse_write_result result;
    struct lynse_collection *wide;
    struct lynse_collection_desc desc = {.dim = 1, .name = "wide"};

    if (IS_TINY || f->variant->mode == LYNSE_INLINE)
        skip_because("100,001 rows are for the limits as shipped, and for threads");
    float *vectors = calloc(LIMIT_BATCH_ROWS, sizeof *vectors);
    struct lynse_rows rows = {.dim = 1, .count = LIMIT_BATCH_ROWS, .vectors = vectors};
    assert_non_null(vectors);
    assert_done(lynse_collection_create(f->db, &desc, &wide, &f->err), f);
    assert_done(lynse_add(wide, &rows, NULL, NULL, &f->err), f);
    rows.count = 1;
    assert_done(lynse_add(wide, &rows, NULL, NULL, &f->err), f);
    assert_refused(lynse_delete_where(wide, "n IS NULL", &options, NULL, &f->err), f, LYNSE_LIMIT,
                   "100000");
    struct lynse_id one = number_id(5);
    assert_done(lynse_delete(wide, &one, 1, NULL, NULL, &f->err), f);
    assert_done(lynse_delete_where(wide, "n IS NULL", &options, &result, &f->err), f);
    assert_int_equal(result.row_count, LIMIT_BATCH_ROWS);
    assert_done(lynse_delete_where(wide, "n IS NULL", &options, &result, &f->err), f);
    assert_int_equal(result.is_repeat, 1);
    lynse_collection_close(wide);
    free(vectors);
}

#define CASES(_)                                                                                   \
    _(a_write_is_applied_once)                                                                     \
    _(a_shorter_struct_has_no_id)                                                                  \
    _(a_deletion_by_filter_is_applied_once)                                                        \
    _(a_deletion_of_too_much_is_refused)

static const struct CMUnitTest tests[] = {API_EVERYWHERE(CASES)};
TEST_MAIN(tests)
