/* SPDX-License-Identifier: Apache-2.0 */
/* Reads that score nothing, against a list of what was written. */
#include "base/limits.h"
#include "base/rng.h"
#include "query/fetch.h"
#include "simd/metrics.h"
#include "support/oom_sweep.h"
#include "support/test.h"
#include "support/test_view.h"

enum { DIM = 2, IDS = 900, WRITES = 1500 };

/* What is known of an id. */
struct known {
    bool is_written, is_live;
    uint64_t write; /* the last one; also in vector and document */
};

struct fixture {
    struct alloc *alloc;
    struct rng rng;
    struct test_view rows;
    struct view *view;
    struct known known[IDS];
};

static struct record_id make_id(uint64_t number, char text[24])
{
    if (number % 3 != 0) return id_of_number(number);
    snprintf(text, 24, "id %llu", (unsigned long long)number);
    return id_of_text(slice_of_text(text));
}

/* {"w": write} */
static struct slice make_document(uint64_t write, uint8_t bytes[8])
{
    const uint8_t start[] = {0x81, 0xa1, 'w', 0xcd};
    memcpy(bytes, start, sizeof start);
    bytes[4] = (uint8_t)(write >> 8);
    bytes[5] = (uint8_t)write;
    return slice_of(bytes, 6);
}

static void write_id(struct fixture *f, uint64_t number, uint64_t write)
{
    char text[24];
    uint8_t bytes[8];
    float vector[DIM] = {(float)write, -(float)write};
    test_view_put(&f->rows, make_id(number, text), vector, make_document(write, bytes));
    f->known[number] = (struct known){true, true, write};
}

/* Four parts, one of them empty; about a third of the ids written twice, a fifth deleted. */
static void set_up(struct fixture *f, uint64_t seed)
{
    char text[24];
    memset(f, 0, sizeof *f);
    rng_init(&f->rng, seed);
    f->alloc = alloc_create(NULL, 0);
    test_view_init(&f->rows, f->alloc, DIM, METRIC_L2);
    for (uint64_t write = 0; write < WRITES; write++) {
        if (write % (WRITES / 3) == 0) test_view_open_part(&f->rows, WRITES);
        if (write == WRITES / 3) test_view_open_part(&f->rows, WRITES);
        uint64_t number = rng_below(&f->rng, IDS);
        write_id(f, number, write);
        if (!rng_chance(&f->rng, 0.2)) continue;
        test_view_remove(&f->rows, make_id(number, text));
        f->known[number].is_live = false;
    }
    f->view = test_view_take(&f->rows);
}

static void tear_down(struct fixture *f)
{
    view_release(f->view);
    test_view_deinit(&f->rows);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    alloc_destroy(f->alloc);
}

static void assert_row(const struct result *r, size_t i, uint64_t number, uint64_t write)
{
    char text[24];
    uint8_t bytes[8];
    struct record_id id = make_id(number, text);
    assert_true(id_equal(&r->ids[i], &id));
    assert_true(slice_equal(r->documents[i], make_document(write, bytes)));
    assert_true(r->vectors[i * DIM] == (float)write && r->vectors[i * DIM + 1] == -(float)write);
}

/* ---- By id ---- */

static void ids_give_their_newest_rows_in_request_order(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    struct record_id ids[IDS + 1];
    char texts[IDS + 1][24];
    struct result got;
    size_t at = 0;
    set_up(&f, test_seed(1));
    for (uint64_t i = 0; i < IDS; i++) ids[i] = make_id(IDS - 1 - i, texts[i]);
    ids[IDS] = ids[0]; /* asked for twice, given twice */
    unsigned columns = RESULT_DOCUMENTS | RESULT_VECTORS | RESULT_SCORES;
    assert_ok(fetch_ids(f.alloc, f.view, ids, IDS + 1, columns, &got, &err), &err);
    for (uint64_t i = 0; i <= IDS; i++) {
        uint64_t number = i < IDS ? IDS - 1 - i : IDS - 1;
        if (f.known[number].is_live) assert_row(&got, at++, number, f.known[number].write);
    }
    assert_int_equal(got.count, at);
    assert_int_equal(got.query_ends[0], at);
    assert_null(got.scores);
    assert_true(got.as_of_lsn == f.view->lsn);
    result_deinit(&got);
    tear_down(&f);
}

static void an_id_exists_while_it_lives(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    char text[24];
    set_up(&f, test_seed(2));
    for (uint64_t number = 0; number < IDS; number++) {
        struct record_id id = make_id(number, text);
        assert_int_equal(fetch_exists(f.view, &id, &err), f.known[number].is_live);
    }
    tear_down(&f);
}

/* ---- Walks ---- */

/* In the order of their writes: the numbers of the ids whose newest version lives, or is deleted.
 */
static size_t list_expected(const struct fixture *f, bool deleted, uint64_t numbers[IDS])
{
    size_t count = 0;
    for (uint64_t write = 0; write < WRITES; write++)
        for (uint64_t number = 0; number < IDS; number++)
            if (f->known[number].is_written && f->known[number].write == write &&
                f->known[number].is_live != deleted)
                numbers[count++] = number;
    return count;
}

static void check_walk(struct fixture *f, bool deleted, size_t row_max)
{
    struct error err = {0};
    struct fetch_cursor c;
    struct result got;
    uint64_t numbers[IDS];
    size_t count = list_expected(f, deleted, numbers), at = 0;
    fetch_cursor_init(&c, view_acquire(f->view), deleted);
    for (;;) {
        unsigned columns = RESULT_DOCUMENTS | RESULT_VECTORS;
        assert_ok(fetch_next(&c, f->alloc, row_max, columns, &got, &err), &err);
        assert_true(got.count <= row_max);
        for (size_t i = 0; i < got.count; i++, at++)
            assert_row(&got, i, numbers[at], f->known[numbers[at]].write);
        bool is_end = got.count == 0;
        /* Only the last one before the end is short. */
        assert_true(is_end || got.count == row_max || at == count);
        result_deinit(&got);
        if (is_end) break;
    }
    assert_int_equal(at, count);
    fetch_cursor_deinit(&c);
}

static void a_walk_gives_every_row_once_in_the_order_of_writing(void **state)
{
    (void)state;
    struct fixture f;
    const size_t maxima[] = {1, 7, 64, 65, 400, SIZE_MAX};
    set_up(&f, test_seed(3));
    for (size_t i = 0; i < sizeof maxima / sizeof maxima[0]; i++) {
        check_walk(&f, false, maxima[i]);
        check_walk(&f, true, maxima[i]);
    }
    tear_down(&f);
}

static void skipped_rows_are_those_that_would_have_come(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    set_up(&f, test_seed(4));
    for (int deleted = 0; deleted < 2; deleted++) {
        uint64_t numbers[IDS];
        size_t count = list_expected(&f, deleted != 0, numbers);
        const uint64_t skips[] = {0, 1, 63, 64, 65, 90, 1000000};
        for (size_t i = 0; i < sizeof skips / sizeof skips[0]; i++) {
            struct fetch_cursor c;
            struct result got;
            size_t at = 0;
            unsigned columns = RESULT_DOCUMENTS | RESULT_VECTORS;
            fetch_cursor_init(&c, view_acquire(f.view), deleted != 0);
            for (;;) { /* skip, take one, skip, ... */
                fetch_skip(&c, skips[i]);
                assert_ok(fetch_next(&c, f.alloc, 1, columns, &got, &err), &err);
                at = skips[i] < count - at ? at + (size_t)skips[i] : count;
                assert_int_equal(got.count, at < count);
                if (got.count > 0) assert_row(&got, 0, numbers[at], f.known[numbers[at]].write);
                result_deinit(&got);
                if (at++ >= count) break;
            }
            fetch_cursor_deinit(&c);
        }
    }
    tear_down(&f);
}

static void a_view_without_rows_ends_at_once(void **state)
{
    (void)state;
    struct error err = {0};
    struct alloc *a = alloc_create(NULL, 0);
    struct view *v;
    struct fetch_cursor c;
    struct result got;
    assert_ok(view_create(a, 0, &v, &err), &err);
    fetch_cursor_init(&c, v, false);
    fetch_skip(&c, 10);
    assert_ok(fetch_next(&c, a, 10, RESULT_VECTORS, &got, &err), &err);
    assert_int_equal(got.count, 0);
    result_deinit(&got);
    fetch_cursor_deinit(&c);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

/* ---- Names of fields ---- */

static void field_names_are_those_of_live_records_sorted(void **state)
{
    (void)state;
    /* {"b": 1, "a": {"inner": 2}}, {"": nil, "b": 3}, {"gone": 1} */
    const uint8_t first[] = {0x82, 0xa1, 'b', 1, 0xa1, 'a', 0x81, 0xa5, 'i', 'n', 'n', 'e', 'r', 2};
    const uint8_t second[] = {0x82, 0xa0, 0xc0, 0xa1, 'b', 3};
    const uint8_t gone[] = {0x81, 0xa4, 'g', 'o', 'n', 'e', 1};
    const char *expected[] = {"", "a", "b"};
    const float vector[DIM] = {0};
    struct error err = {0};
    struct test_view rows;
    struct arena arena;
    const struct slice *names;
    size_t count;
    struct alloc *a = alloc_create(NULL, 0);
    test_view_init(&rows, a, DIM, METRIC_L2);
    for (uint64_t i = 0; i < 2; i++) {
        test_view_open_part(&rows, 8);
        test_view_put(&rows, id_of_number(10 + i), vector, slice_of(gone, sizeof gone));
        test_view_put(&rows, id_of_number(20 + i), vector, slice_of(NULL, 0));
        test_view_put(&rows, id_of_number(30 + i), vector,
                      i ? slice_of(second, sizeof second) : slice_of(first, sizeof first));
        test_view_remove(&rows, id_of_number(10 + i));
    }
    struct view *v = test_view_take(&rows);
    arena_init(&arena, a, MEM_SEARCH);
    assert_ok(fetch_field_names(a, v, &arena, &names, &count, &err), &err);
    view_release(v);
    test_view_deinit(&rows);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++)
        assert_true(slice_equal(names[i], slice_of_text(expected[i])));
    arena_deinit(&arena);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

/* ---- Out of memory ---- */

static int fetch_scenario(void *ctx, struct error *err)
{
    struct fixture *f = (struct fixture *)ctx;
    char text[24];
    struct record_id ids[] = {make_id(0, text), id_of_number(1)};
    struct result got;
    struct arena arena;
    const struct slice *names;
    size_t count;
    unsigned columns = RESULT_DOCUMENTS | RESULT_VECTORS;
    if (fetch_ids(f->alloc, f->view, ids, 2, columns, &got, err) != 0) return -1;
    result_deinit(&got);
    arena_init(&arena, f->alloc, MEM_SEARCH);
    int rc = fetch_field_names(f->alloc, f->view, &arena, &names, &count, err);
    arena_deinit(&arena);
    if (rc != 0) return -1;

    struct fetch_cursor c;
    fetch_cursor_init(&c, view_acquire(f->view), false);
    fetch_skip(&c, 100);
    size_t part = c.part;
    uint32_t row = c.row;
    rc = fetch_next(&c, f->alloc, 400, columns, &got, err);
    if (rc == 0) result_deinit(&got);
    else assert_true(c.part == part && c.row == row); /* it can be tried again */
    fetch_cursor_deinit(&c);
    return rc;
}

static void running_out_of_memory_leaves_the_cursor_where_it_was(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, 5);
    oom_sweep(f.alloc, fetch_scenario, &f);
    tear_down(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(ids_give_their_newest_rows_in_request_order),
    cmocka_unit_test(an_id_exists_while_it_lives),
    cmocka_unit_test(a_walk_gives_every_row_once_in_the_order_of_writing),
    cmocka_unit_test(skipped_rows_are_those_that_would_have_come),
    cmocka_unit_test(a_view_without_rows_ends_at_once),
    cmocka_unit_test(field_names_are_those_of_live_records_sorted),
    cmocka_unit_test(running_out_of_memory_leaves_the_cursor_where_it_was),
};
TEST_MAIN(tests)
