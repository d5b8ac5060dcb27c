/* SPDX-License-Identifier: Apache-2.0 */
/* Searches and walks with a `where`: the rows for which it is true, all of them and no others. */
#include "base/limits.h"
#include "base/rng.h"
#include "base/thread.h"
#include "codec/msgpack.h"
#include "filter/filter.h"
#include "query/fetch.h"
#include "simd/metrics.h"
#include "support/brute_force.h"
#include "support/metric_distance.h"
#include "support/oom_sweep.h"
#include "support/test.h"
#include "support/test_view.h"

enum { DIM = 8, QUERIES = 5, NUMBERS = 1000 };

struct fixture {
    struct alloc *alloc;
    struct rng rng;
    struct test_view rows;
    struct view *view;
    struct column_cache *fields;
    float queries[QUERIES * DIM];
};

/* {"n": number}; no document at all in every tenth. */
static struct slice make_document(uint64_t number, struct buf *b)
{
    buf_reset(b);
    if (number % 10 == 9) return slice_of(NULL, 0);
    msgpack_write_map(b, 1);
    msgpack_write_text(b, slice_of_text("n"));
    msgpack_write_int(b, (int64_t)number);
    return buf_slice(b);
}

/* Three parts of row_count rows with replaced and removed ones; a number is its row's in a pattern
 * that leaves whole blocks without a small one. */
static void set_up(struct fixture *f, uint8_t metric, size_t row_count)
{
    struct error err = {0};
    struct buf b;
    float vector[DIM];

    buf_init(&b, alloc_libc(), MEM_GENERAL);
    f->alloc = alloc_create(NULL, 0);
    assert_non_null(f->alloc);
    test_view_init(&f->rows, f->alloc, DIM, metric);
    for (size_t part = 0; part < 3; part++) {
        test_view_open_part(&f->rows, (uint32_t)row_count + 1);
        for (size_t i = 0; i < row_count; i++) {
            struct record_id id = id_of_number(rng_below(&f->rng, 2 * row_count));
            uint64_t number =
                part == 1 ? 500 + rng_below(&f->rng, 500) : rng_below(&f->rng, NUMBERS);
            for (int k = 0; k < DIM; k++) vector[k] = (float)rng_below(&f->rng, 5) - 2;
            test_view_put(&f->rows, id, vector, make_document(number, &b));
            if (rng_chance(&f->rng, 0.05)) test_view_remove(&f->rows, id);
        }
    }
    f->view = test_view_take(&f->rows);
    for (size_t i = 0; i < QUERIES * DIM; i++) f->queries[i] = rng_normal(&f->rng);
    assert_ok(column_cache_create(f->alloc, 1 << 20, &f->fields, &err), &err);
    buf_deinit(&b);
}

static void tear_down(struct fixture *f)
{
    view_release(f->view);
    test_view_deinit(&f->rows);
    column_cache_destroy(f->fields);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    alloc_destroy(f->alloc);
}

/* ---- What each text means ---- */

static bool number_of(const struct view *v, size_t part, uint32_t row, int64_t *out)
{
    struct doc_ref doc = {0};
    struct error err = {0};
    struct value n;

    assert_ok(segment_document(v->parts[part].segment, row, &doc, &err), &err);
    bool is_there = doc_get(doc.document, slice_of_text("n"), &n);
    if (is_there) *out = n.as.integer;
    doc_ref_release(&doc);
    return is_there;
}

#define WANTED(name, condition)                                                                    \
    static bool name(const struct view *v, size_t part, uint32_t row)                              \
    {                                                                                              \
        int64_t n = -1;                                                                            \
        bool has_n = number_of(v, part, row, &n);                                                  \
        return condition;                                                                          \
    }
WANTED(below_half, has_n &&n < 500)
WANTED(below_ten, has_n &&n < 10)
WANTED(is_seven, has_n &&n == 7)
WANTED(nothing, has_n &&n < 0)
WANTED(without_number, !has_n)
WANTED(everything, n > -2 || has_n)

static const struct {
    const char *where;
    row_wanted_fn *wanted;
} filters[] = {
    {"n < 500", below_half}, {"n < 10", below_ten},         {"n = 7", is_seven},
    {"n < 0", nothing},      {"n IS NULL", without_number}, {"1 = 1", everything},
};
enum { FILTERS = sizeof filters / sizeof *filters };

static struct search_request request_of(struct fixture *f, size_t filter, size_t query_count,
                                        size_t k)
{
    return (struct search_request){.vectors = f->queries,
                                   .query_count = query_count,
                                   .dim = DIM,
                                   .k = k,
                                   .where = slice_of_text(filters[filter].where),
                                   .fields = f->fields};
}

static struct fetch_filter filter_of(const struct fixture *f, const char *where)
{
    return (struct fetch_filter){.where = slice_of_text(where), .fields = f->fields};
}

static int count_rows(struct fixture *f, const char *where, uint64_t *out, struct error *err)
{
    struct fetch_filter filter = filter_of(f, where);
    return fetch_count(f->alloc, f->view, &filter, out, err);
}

/* ---- Searches ---- */

static void a_filtered_search_is_brute_force_over_what_matches(void **state)
{
    (void)state;
    struct fixture f;
    const size_t ks[] = {1, 10, LIMIT_K};

    rng_init(&f.rng, test_seed(1));
    for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
        if (!metric_takes_any(metric)) continue;
        set_up(&f, (uint8_t)metric, 1500);
        for (size_t i = 0; i < FILTERS * 3; i++) {
            for (size_t query_count = 1; query_count <= QUERIES; query_count += QUERIES - 1) {
                struct result got;
                struct search_request r = request_of(&f, i / 3, query_count, ks[i % 3]);
                search_once(f.alloc, f.view, &r, &got);
                assert_is_filtered_answer(f.view, &r, filters[i / 3].wanted, &got);
                result_deinit(&got);
            }
        }
        tear_down(&f);
    }
}

static void a_range_can_be_filtered(void **state)
{
    (void)state;
    struct fixture f;

    rng_init(&f.rng, test_seed(2));
    set_up(&f, METRIC_L2, 1500);
    for (size_t i = 0; i < FILTERS; i++) {
        struct result got;
        struct search_request r = request_of(&f, i, 2, 0);
        r.is_range = true;
        r.threshold = 20;
        r.max_results = LIMIT_K;
        search_once(f.alloc, f.view, &r, &got);
        assert_is_filtered_answer(f.view, &r, filters[i].wanted, &got);
        result_deinit(&got);
    }
    tear_down(&f);
}

/* The answer of slices, in any order and in steps, is that of one call. */
static void slices_and_steps_do_not_change_the_answer(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};

    rng_init(&f.rng, test_seed(3));
    set_up(&f, METRIC_IP, 3 * (SEARCH_SPLIT_ROWS < 3000 ? 1000 : SEARCH_SPLIT_ROWS));
    for (size_t i = 0; i < FILTERS; i++) {
        struct result whole, got;
        struct search *s;
        struct search_request r = request_of(&f, i, 3, 20);
        search_once(f.alloc, f.view, &r, &whole);
        assert_ok(search_create(f.alloc, view_acquire(f.view), &r, clock_system(), &s, &err), &err);
        size_t slice_count = search_split(s, 4, &err);
        assert_in_range(slice_count, 2, 4);
        for (size_t slice = slice_count; slice-- > 0;)
            while (search_advance(s, slice, 1) == SEARCH_MORE) continue;
        assert_ok(search_finish(s, &got, &err), &err);
        assert_same_result(&got, &whole);
        result_deinit(&got);
        result_deinit(&whole);
        search_destroy(s);
    }
    tear_down(&f);
}

static void a_text_that_is_no_filter_says_where(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    struct search *s;
    uint64_t count;

    rng_init(&f.rng, test_seed(4));
    set_up(&f, METRIC_L2, 20);
    struct search_request r = request_of(&f, 0, 1, 10);
    r.where = slice_of_text("n < 3 AND )");
    assert_fails(search_create(f.alloc, view_acquire(f.view), &r, clock_system(), &s, &err), &err,
                 LYNSE_PARSE);
    assert_non_null(strstr(err.text, "11"));
    assert_fails(count_rows(&f, "", &count, &err), &err, LYNSE_PARSE);
    tear_down(&f);
}

/* ---- What was matched before ---- */

static size_t count_wanted(const struct fixture *f, row_wanted_fn *wanted)
{
    size_t count = 0;

    for (size_t part = 0; part < f->view->part_count; part++)
        for (uint32_t row = 0; row < f->view->parts[part].row_count; row++)
            count += !tombstones_get(f->view->parts[part].dead, row) && wanted(f->view, part, row);
    return count;
}

static void assert_all_right(struct fixture *f)
{
    struct error err = {0};

    for (size_t i = 0; i < 2 * FILTERS; i++) {
        struct result got;
        uint64_t count;
        struct search_request r = request_of(f, i / 2, 1 + i % 2, 10);
        search_once(f->alloc, f->view, &r, &got);
        assert_is_filtered_answer(f->view, &r, filters[i / 2].wanted, &got);
        result_deinit(&got);
        assert_ok(count_rows(f, filters[i / 2].where, &count, &err), &err);
        assert_int_equal(count, count_wanted(f, filters[i / 2].wanted));
    }
}

/* Rows that are gone and rows that came since a text was matched; with room and with too little. */
static void a_filter_is_as_right_the_next_time(void **state)
{
    enum { PART_ROWS = 3 * COLUMN_BLOCK_ROWS / 2 };
    (void)state;
    struct fixture f;
    struct error err = {0};
    struct buf b;
    float vector[DIM] = {0};

    rng_init(&f.rng, test_seed(8));
    for (size_t bytes = 8 << 10; bytes <= 1 << 20; bytes *= 128) {
        set_up(&f, METRIC_L2, PART_ROWS);
        column_cache_destroy(f.fields);
        assert_ok(column_cache_create(f.alloc, bytes, &f.fields, &err), &err);
        assert_all_right(&f);
        buf_init(&b, alloc_libc(), MEM_GENERAL);
        test_view_open_part(&f.rows, 2 * COLUMN_BLOCK_ROWS);
        for (int round = 0; round < 3; round++) {
            view_release(f.view);
            for (uint64_t i = 0; i < COLUMN_BLOCK_ROWS; i++) {
                uint64_t id = rng_below(&f.rng, 2 * (uint64_t)PART_ROWS); /* replaces some */
                if (i < COLUMN_BLOCK_ROWS * 2 / 3)
                    test_view_put(&f.rows, id_of_number(id), vector,
                                  make_document(rng_below(&f.rng, NUMBERS), &b));
            }
            f.view = test_view_take(&f.rows);
            assert_all_right(&f);
        }
        assert_true(column_cache_bytes(f.fields) <= bytes);
        buf_deinit(&b);
        tear_down(&f);
    }
}

static void count_below_half(void *ctx)
{
    struct fixture *f = (struct fixture *)ctx;
    struct error err = {0};
    size_t wanted = count_wanted(f, below_half);

    for (int i = 0; i < 8; i++) {
        uint64_t count;
        char where[16]; /* all ask for two texts at once, then for two others */
        snprintf(where, sizeof where, "n < %d", i % 2 ? 500 : 1000 + i);
        assert_ok(count_rows(f, where, &count, &err), &err);
        if (i % 2) assert_int_equal(count, wanted);
    }
}

static void threads_share_what_one_of_them_matches(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    struct thread threads[4] = {0};

    rng_init(&f.rng, test_seed(9));
    for (int i = 0; i < 2; i++) {
        set_up(&f, METRIC_L2, 1500);
        if (i == 0) { /* no room for two texts */
            column_cache_destroy(f.fields);
            assert_ok(column_cache_create(f.alloc, 2 << 10, &f.fields, &err), &err);
        }
        for (int t = 0; t < 4; t++)
            assert_ok(thread_start(&threads[t], "reader", count_below_half, &f, &err), &err);
        for (int t = 0; t < 4; t++) thread_join(&threads[t]);
        tear_down(&f);
    }
}

/* ---- Walks ---- */

static void walk(struct fixture *f, size_t filter, size_t row_max)
{
    struct fetch_cursor c, ids;
    struct error err = {0};
    struct record_id *found = (struct record_id *)calloc(row_max, sizeof *found);
    uint64_t *lsns = (uint64_t *)calloc(row_max, sizeof *lsns);
    size_t total = 0, count;

    fetch_cursor_init(&c, view_acquire(f->view), false);
    fetch_cursor_init(&ids, view_acquire(f->view), false);
    struct fetch_filter where = filter_of(f, filters[filter].where);
    assert_ok(fetch_cursor_filter(&c, f->alloc, &where, &err), &err);
    assert_ok(fetch_cursor_filter(&ids, f->alloc, &where, &err), &err);
    do {
        struct result got;
        assert_ok(fetch_next(&c, f->alloc, row_max, RESULT_DOCUMENTS, &got, &err), &err);
        assert_ok(fetch_next_ids(&ids, row_max, found, lsns, &count, &err), &err);
        assert_int_equal(count, got.count);
        for (size_t i = 0; i < count; i++) {
            size_t part;
            uint32_t row;
            uint64_t lsn = 0;
            bool is_dead = true;
            assert_true(id_equal(&found[i], &got.ids[i]));
            assert_int_equal(view_find(f->view, &found[i], &part, &row, &is_dead, &err), 1);
            assert_false(is_dead);
            assert_true(filters[filter].wanted(f->view, part, row));
            assert_ok(segment_lsn(f->view->parts[part].segment, row, &lsn, &err), &err);
            assert_int_equal(lsns[i], lsn);
        }
        total += count;
        result_deinit(&got);
    } while (count > 0);
    assert_int_equal(total, count_wanted(f, filters[filter].wanted));
    fetch_cursor_deinit(&c);
    fetch_cursor_deinit(&ids);
    free(found);
    free(lsns);
}

static void walks_and_counts_see_what_matches(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};

    rng_init(&f.rng, test_seed(5));
    set_up(&f, METRIC_L2, 1500);
    for (size_t i = 0; i < FILTERS; i++) {
        uint64_t count = 77;
        assert_ok(count_rows(&f, filters[i].where, &count, &err), &err);
        assert_int_equal(count, count_wanted(&f, filters[i].wanted));
        walk(&f, i, 1);
        walk(&f, i, 100);
        walk(&f, i, LIMIT_BATCH_ROWS);
    }
    tear_down(&f);
}

/* Rows that were passed over are those that would have been given. */
static void a_filtered_walk_can_skip(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    struct fetch_cursor c;
    struct result all, got;

    rng_init(&f.rng, test_seed(6));
    set_up(&f, METRIC_L2, 700);
    struct fetch_filter half = filter_of(&f, "n < 500");
    for (size_t skip = 0; skip < 300; skip += 37) {
        fetch_cursor_init(&c, view_acquire(f.view), false);
        assert_ok(fetch_cursor_filter(&c, f.alloc, &half, &err), &err);
        assert_ok(fetch_next(&c, f.alloc, LIMIT_BATCH_ROWS, 0, &all, &err), &err);
        fetch_cursor_deinit(&c);
        fetch_cursor_init(&c, view_acquire(f.view), false);
        assert_ok(fetch_cursor_filter(&c, f.alloc, &half, &err), &err);
        fetch_skip(&c, skip);
        assert_ok(fetch_next(&c, f.alloc, LIMIT_BATCH_ROWS, 0, &got, &err), &err);
        fetch_cursor_deinit(&c);
        assert_int_equal(got.count + skip, all.count);
        assert_true(id_equal(&got.ids[0], &all.ids[skip]));
        result_deinit(&all);
        result_deinit(&got);
    }
    tear_down(&f);
}

static void a_deadline_and_a_cancel_end_a_walk(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    struct manual_clock clock;
    _Atomic(bool) cancel = false;
    uint64_t count;

    rng_init(&f.rng, test_seed(8));
    set_up(&f, METRIC_L2, 100);
    manual_clock_init(&clock, 1000);
    struct fetch_filter filter = filter_of(&f, "n >= 0");
    filter.limits =
        (struct row_limits){.clock = &clock.base, .deadline_us = 1001, .cancel = &cancel};
    assert_ok(fetch_count(f.alloc, f.view, &filter, &count, &err), &err);
    manual_clock_advance(&clock, 1);
    assert_fails(fetch_count(f.alloc, f.view, &filter, &count, &err), &err, LYNSE_DEADLINE);
    filter.limits.deadline_us = 0;
    assert_ok(fetch_count(f.alloc, f.view, &filter, &count, &err), &err);
    cancel = true;
    assert_fails(fetch_count(f.alloc, f.view, &filter, &count, &err), &err, LYNSE_CANCELLED);
    tear_down(&f);
}

/* ---- Out of memory ---- */

static int search_and_walk(void *ctx, struct error *err)
{
    struct fixture *f = (struct fixture *)ctx;
    struct search_request r = request_of(f, 0, 2, 10);
    struct search *s = NULL;
    struct result got = {0};
    uint64_t count;
    int rc = -1;

    if (column_cache_create(f->alloc, 1 << 20, &r.fields, err) != 0) return -1;
    struct fetch_filter filter = {.where = r.where, .fields = r.fields};
    if (fetch_count(f->alloc, f->view, &filter, &count, err) != 0) goto out;
    if (search_create(f->alloc, view_acquire(f->view), &r, clock_system(), &s, err) != 0) goto out;
    if (search_advance(s, 0, 0) != SEARCH_DONE) {
        *err = *search_error(s);
        goto out;
    }
    rc = search_finish(s, &got, err);
    result_deinit(&got);
out:
    search_destroy(s);
    for (size_t i = 0; i < f->view->part_count; i++) {
        struct segment *segment = f->view->parts[i].segment;
        if (segment->columns) segment_columns_destroy(segment->columns);
        segment->columns = NULL;
    }
    column_cache_destroy(r.fields);
    return rc;
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    struct fixture f;

    rng_init(&f.rng, test_seed(7));
    set_up(&f, METRIC_L2, 300);
    oom_sweep(f.alloc, search_and_walk, &f);
    tear_down(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_filtered_search_is_brute_force_over_what_matches),
    cmocka_unit_test(a_range_can_be_filtered),
    cmocka_unit_test(slices_and_steps_do_not_change_the_answer),
    cmocka_unit_test(a_text_that_is_no_filter_says_where),
    cmocka_unit_test(a_filter_is_as_right_the_next_time),
    cmocka_unit_test(threads_share_what_one_of_them_matches),
    cmocka_unit_test(walks_and_counts_see_what_matches),
    cmocka_unit_test(a_filtered_walk_can_skip),
    cmocka_unit_test(a_deadline_and_a_cancel_end_a_walk),
    cmocka_unit_test(running_out_of_memory_is_an_error),
};
TEST_MAIN(tests)
