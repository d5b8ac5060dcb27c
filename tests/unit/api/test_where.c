/* SPDX-License-Identifier: Apache-2.0 */
/* `where` through lynse.h: search, count, query and delete see the same rows. */
#include "fixture.h"

enum { ROWS = 60 };

/* Rows 0..59 with n = id; the tail of an inline root of tiny limits is written out on the way. */
static void add_rows(struct fixture *f)
{
    fixture_make_docs(f);
    for (uint64_t first = 0; first < ROWS; first += 15) {
        add_numbers(f, first, 15);
        breathe(f);
    }
}

static uint64_t count_where(struct fixture *f, const char *where)
{
    uint64_t count = UINT64_MAX;
    assert_done(lynse_count_where(f->docs, where, &count, &f->err), f);
    return count;
}

static struct lynse_search_desc nearest(struct fixture *f, const float *vector, uint32_t k,
                                        const char *where)
{
    return (struct lynse_search_desc){
        .vector = vector, .dim = 3, .k = k, .where = where, .error = &f->err};
}

static void a_search_finds_the_nearest_that_match(void **state)
{
    struct fixture *f = *state;
    float vector[] = {20, 1, 0};
    struct lynse_hits *hits;

    add_rows(f);
    struct lynse_search_desc d = nearest(f, vector, 4, "n > 20 AND n < 50 OR n = 3");
    assert_done(lynse_search(f->docs, &d, &hits), f);
    const uint64_t expected[] = {21, 22, 23, 24};
    assert_int_equal(hits->count, 4);
    assert_memory_equal(hits->numbers, expected, sizeof expected);
    lynse_hits_free(hits);
    /* As many as match when there are fewer than k. */
    d = nearest(f, vector, 10, "n IN (1, 58, 99)");
    assert_done(lynse_search(f->docs, &d, &hits), f);
    assert_int_equal(hits->count, 2);
    assert_int_equal(hits->numbers[0], 1);
    lynse_hits_free(hits);
    d.flags = LYNSE_RANGE;
    d.threshold = 400;
    d.where = "n < 40";
    assert_done(lynse_search(f->docs, &d, &hits), f);
    assert_int_equal(hits->count, 40);
    lynse_hits_free(hits);
}

static void steps_find_what_one_call_finds(void **state)
{
    struct fixture *f = *state;
    float vector[] = {20, 1, 0};
    struct lynse_search *search;
    struct lynse_hits *hits = NULL;
    char where[] = "n >= 30";
    int code;

    add_rows(f);
    struct lynse_search_desc d = nearest(f, vector, 3, where);
    assert_done(lynse_search_begin(f->docs, &d, &search), f);
    memset(where, 'x', sizeof where - 1); /* it was copied */
    while ((code = lynse_search_step(search, 1, &hits)) == LYNSE_MORE) continue;
    assert_int_equal(code, LYNSE_OK);
    assert_int_equal(hits->count, 3);
    assert_int_equal(hits->numbers[0], 30);
    lynse_hits_free(hits);
}

static void a_query_walks_over_what_matches(void **state)
{
    struct fixture *f = *state;
    struct lynse_scan *scan;
    struct lynse_hits *hits;
    uint64_t next = 40;

    add_rows(f);
    assert_done(lynse_query_begin(f->docs, "n >= 40", LYNSE_WITH_FIELDS, &scan, &f->err), f);
    add_numbers(f, 100, 3); /* later writes are not seen: n = 0, 1, 2 would not match anyway */
    assert_done(put_one(f, number_id(200), 1, 99, false), f);
    for (;;) {
        assert_done(lynse_scan_next(scan, 7, &hits, &f->err), f);
        if (hits->count == 0) break;
        for (size_t i = 0; i < hits->count; i++, next++) {
            assert_int_equal(hits->numbers[i], next);
            assert_int_equal(((const uint8_t *)hits->fields[i].data)[3], next);
        }
        lynse_hits_free(hits);
    }
    lynse_hits_free(hits);
    lynse_scan_free(scan);
    assert_int_equal(next, ROWS);
    assert_int_equal(count_where(f, "n >= 40"), ROWS - 40 + 1);
    assert_int_equal(count_where(f, "missing IS NULL"), count_rows(f));
}

static void what_matches_can_be_deleted_and_restored(void **state)
{
    struct fixture *f = *state;
    struct lynse_write_result result;
    struct lynse_id back[] = {{.number = 7}};

    add_rows(f);
    assert_done(lynse_delete_where(f->docs, "n < 10 OR n = 59", NULL, &result, &f->err), f);
    assert_int_equal(result.row_count, 11);
    assert_true(result.lsn > 0);
    assert_int_equal(count_rows(f), ROWS - 11);
    assert_int_equal(count_where(f, "n < 10 OR n = 59"), 0);
    assert_false(is_there(f, number_id(7)));
    assert_true(is_there(f, number_id(10)));
    assert_int_equal(restore_ids(f, back, 1), 1);
    assert_int_equal(count_where(f, "n < 10"), 1);
    assert_done(lynse_delete_where(f->docs, "n > 1000", NULL, &result, &f->err), f);
    assert_int_equal(result.row_count, 0);
    assert_int_equal(result.lsn, 0);
}

static void deleted_rows_stay_deleted_after_reopening(void **state)
{
    struct fixture *f = *state;

    add_rows(f);
    assert_done(lynse_delete_where(f->docs, "n >= 30", NULL, NULL, &f->err), f);
    fixture_reopen(f);
    assert_int_equal(count_rows(f), 30);
    assert_int_equal(count_where(f, "n >= 0"), 30);
}

static void what_is_no_filter_is_refused_with_its_place(void **state)
{
    struct fixture *f = *state;
    float vector[] = {20, 1, 0};
    struct lynse_hits *hits = NULL;
    struct lynse_scan *scan = NULL;
    struct lynse_write_result result;
    struct lynse_write_options later = {.done = (lynse_write_done *)1};
    uint64_t count = 7;
    const char *where = "n > 20 AND )";

    add_rows(f);
    struct lynse_search_desc d = nearest(f, vector, 4, where);
    assert_refused(lynse_search(f->docs, &d, &hits), f, LYNSE_PARSE, "where", "12", "^");
    assert_refused(lynse_count_where(f->docs, where, &count, &f->err), f, LYNSE_PARSE, "12");
    assert_refused(lynse_query_begin(f->docs, where, 0, &scan, &f->err), f, LYNSE_PARSE, "12");
    assert_refused(lynse_query_begin(f->docs, "n", 64, &scan, &f->err), f, LYNSE_INVALID, "flags");
    assert_refused(lynse_delete_where(f->docs, where, NULL, &result, &f->err), f, LYNSE_PARSE,
                   "12");
    assert_refused(lynse_delete_where(f->docs, "n > 1", &later, &result, &f->err), f, LYNSE_INVALID,
                   "done");
    assert_refused(lynse_count_where(f->docs, "", &count, &f->err), f, LYNSE_PARSE, "where");
    assert_int_equal(count_rows(f), ROWS);
}

#define EVERYWHERE(_)                                                                              \
    _(a_search_finds_the_nearest_that_match)                                                       \
    _(steps_find_what_one_call_finds)                                                              \
    _(a_query_walks_over_what_matches)                                                             \
    _(what_matches_can_be_deleted_and_restored)                                                    \
    _(what_is_no_filter_is_refused_with_its_place)
#define IN_FOLDERS(_) _(deleted_rows_stay_deleted_after_reopening)

static const struct CMUnitTest tests[] = {API_EVERYWHERE(EVERYWHERE) API_IN_FOLDERS(IN_FOLDERS)};
TEST_MAIN(tests)
