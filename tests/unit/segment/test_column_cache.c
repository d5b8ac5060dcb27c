/* SPDX-License-Identifier: Apache-2.0 */
/* Fields out of documents, however they are read: in any order, while the tail grows, without room,
 * by several threads. */
#include <math.h>

#include "base/limits.h"
#include "base/thread.h"
#include "codec/msgpack.h"
#include "segment/column_cache.h"
#include "support/oom_sweep.h"
#include "support/tail.h"
#include "support/test.h"

enum { DIM = 2, ROWS = 5 * COLUMN_BLOCK_ROWS / 2, CACHE_BYTES = 1 << 20, WIDE_BYTES = 900 };

/* {"n": row, "t": a text of `wide` bytes in every third row, "s": {"d": row * 2}}; every seventh
 * row has none at all. */
static void put_rows(struct test_tail *f, uint32_t row_count, size_t wide)
{
    struct error err = {0};
    struct buf b;
    char text[WIDE_BYTES];

    memset(text, 'x', sizeof text);
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    for (uint32_t i = 0; i < row_count; i++) {
        uint32_t row = active_segment_staged(f->tail), at;
        struct record_id id = id_of_number(row);
        float vector[DIM] = {0};
        buf_reset(&b);
        msgpack_write_map(&b, row % 3 == 0 ? 3 : 2);
        msgpack_write_text(&b, slice_of_text("n"));
        msgpack_write_int(&b, row);
        msgpack_write_text(&b, slice_of_text("s"));
        msgpack_write_map(&b, 1);
        msgpack_write_text(&b, slice_of_text("d"));
        msgpack_write_float(&b, row * 2.0);
        if (row % 3 == 0) {
            msgpack_write_text(&b, slice_of_text("t"));
            msgpack_write_text(&b, slice_of(text, wide));
        }
        struct slice document = row % 7 == 0 ? slice_of(NULL, 0) : buf_slice(&b);
        assert_ok(active_segment_stage(f->tail, &id, row + 1, vector, document, &at, &err), &err);
    }
    active_segment_commit(f->tail, active_segment_staged(f->tail));
    buf_deinit(&b);
}

static const struct slice paths[3] = {
    {(const uint8_t *)"n", 1}, {(const uint8_t *)"t", 1}, {(const uint8_t *)"s.d", 3}};

static void assert_spans(const struct column_span *spans, uint32_t row, uint32_t row_count,
                         size_t wide)
{
    for (uint32_t i = 0; i < row_count; i++, row++) {
        bool is_empty = row % 7 == 0, has_text = !is_empty && row % 3 == 0;
        struct value n = column_value(&spans[0], i), t = column_value(&spans[1], i),
                     d = column_value(&spans[2], i);
        assert_int_equal(n.type, is_empty ? VALUE_NULL : VALUE_INT);
        if (!is_empty) assert_int_equal(n.as.integer, row);
        assert_int_equal(t.type, has_text ? VALUE_TEXT : VALUE_NULL);
        if (has_text) assert_int_equal(t.as.text.size, wide);
        assert_int_equal(d.type, is_empty ? VALUE_NULL : VALUE_FLOAT);
        if (!is_empty) assert_true(d.as.number == row * 2.0);
    }
}

static int read_rows(struct column_reader *r, uint32_t row, uint32_t end, size_t wide,
                     struct error *err)
{
    while (row < end) {
        struct column_span spans[3];
        uint32_t row_count = end - row;
        if (column_reader_read(r, row, &row_count, spans, err) != 0) return -1;
        assert_in_range(row_count, 1, COLUMN_BLOCK_ROWS);
        assert_spans(spans, row, row_count, wide);
        row += row_count;
    }
    return 0;
}

/* The same as numbers. */
static int read_numbers(struct column_reader *r, uint32_t row, uint32_t end, struct error *err)
{
    while (row < end) {
        const double *numbers[3];
        uint32_t row_count = end - row;
        if (column_reader_numbers(r, row, &row_count, numbers, err) != 0) return -1;
        assert_true(row + row_count == end || (row + row_count) % COLUMN_NUMBERS_ROWS == 0);
        for (uint32_t i = 0; i < row_count; i++, row++) {
            assert_true(isnan(numbers[1][i]));
            assert_true(row % 7 == 0 ? isnan(numbers[0][i]) && isnan(numbers[2][i])
                                     : numbers[0][i] == row && numbers[2][i] == row * 2.0);
        }
    }
    return 0;
}

struct cached {
    struct test_tail tail;
    struct column_cache *cache;
};

static void set_up(struct cached *f, size_t cache_bytes)
{
    struct error err = {0};
    test_tail_set_up(&f->tail, DIM, 2 * ROWS);
    assert_ok(column_cache_create(f->tail.alloc, cache_bytes, &f->cache, &err), &err);
}

static void tear_down(struct cached *f)
{
    segment_release(f->tail.base);
    assert_int_equal(column_cache_bytes(f->cache), 0);
    column_cache_destroy(f->cache);
    assert_int_equal(alloc_used_bytes(f->tail.alloc), 0);
    alloc_destroy(f->tail.alloc);
}

static struct column_reader *make_reader(struct cached *f)
{
    struct column_reader *r = NULL;
    struct error err = {0};
    assert_ok(column_reader_create(f->cache, f->tail.base, paths, 3, &r, &err), &err);
    return r;
}

static void rows_can_be_read_in_any_order_while_the_tail_grows(void **state)
{
    (void)state;
    struct cached f;
    struct error err = {0};

    set_up(&f, CACHE_BYTES);
    put_rows(&f.tail, ROWS, 10);
    struct column_reader *r = make_reader(&f);
    assert_ok(read_rows(r, COLUMN_BLOCK_ROWS + 70, ROWS - 100, 10, &err), &err);
    assert_ok(read_rows(r, 0, ROWS, 10, &err), &err);
    size_t bytes = column_cache_bytes(f.cache);
    assert_true(bytes > 0);
    put_rows(&f.tail, 40, 10);
    assert_ok(read_rows(r, ROWS - 10, ROWS + 40, 10, &err), &err);
    assert_ok(read_rows(r, 0, ROWS + 40, 10, &err), &err);
    assert_true(column_cache_bytes(f.cache) < bytes + 40 * 64);
    column_reader_destroy(r);
    /* Another reader finds what the first has left. */
    bytes = column_cache_bytes(f.cache);
    r = make_reader(&f);
    assert_ok(read_rows(r, 0, ROWS + 40, 10, &err), &err);
    assert_int_equal(column_cache_bytes(f.cache), bytes);
    column_reader_destroy(r);
    tear_down(&f);
}

static void numbers_are_kept_and_extended(void **state)
{
    enum { MANY = COLUMN_NUMBERS_ROWS + 300 };
    (void)state;
    struct cached f;
    struct error err = {0};
    const double *before[3], *after[3];
    uint32_t row_count = 10;

    set_up(&f, CACHE_BYTES);
    put_rows(&f.tail, MANY, 10);
    struct column_reader *r = make_reader(&f);
    assert_ok(read_numbers(r, COLUMN_BLOCK_ROWS + 70, MANY - 100, &err), &err);
    assert_ok(read_rows(r, 3, 90, 10, &err), &err);
    assert_ok(read_numbers(r, 0, MANY, &err), &err);
    assert_ok(column_reader_numbers(r, MANY - 10, &row_count, before, &err), &err);
    size_t bytes = column_cache_bytes(f.cache);
    put_rows(&f.tail, 40, 10);
    assert_ok(read_numbers(r, 0, MANY + 40, &err), &err);
    assert_ok(column_reader_numbers(r, MANY - 10, &row_count, after, &err), &err);
    assert_memory_equal(before, after, sizeof before); /* none was made anew */
    assert_true(column_cache_bytes(f.cache) < bytes + 40 * 64);
    column_reader_destroy(r);
    tear_down(&f);
}

static void without_room_the_answer_is_the_same(void **state)
{
    (void)state;
    struct cached f;
    struct error err = {0};
    const size_t bounds[] = {0, 20 << 10, 60 << 10, 90 << 10, 120 << 10};

    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        set_up(&f, bounds[i]);
        put_rows(&f.tail, ROWS, 10);
        struct column_reader *r = make_reader(&f);
        assert_ok(read_rows(r, 0, ROWS, 10, &err), &err);
        assert_ok(read_numbers(r, 0, ROWS, &err), &err);
        assert_ok(read_rows(r, 0, ROWS, 10, &err), &err);
        assert_ok(read_numbers(r, 7, ROWS - 9, &err), &err);
        column_reader_destroy(r);
        assert_true(column_cache_bytes(f.cache) <= bounds[i]);
        tear_down(&f);
    }
}

static void large_values_pass_and_are_not_kept(void **state)
{
    (void)state;
    struct cached f;
    struct error err = {0};

    set_up(&f, 64 << 20);
    /* A third of 1,024 rows: 0.3 MB a block; below the bound, above the tiny one. */
    put_rows(&f.tail, ROWS, WIDE_BYTES);
    struct column_reader *r = make_reader(&f);
    assert_ok(read_rows(r, 5, ROWS, WIDE_BYTES, &err), &err);
    assert_ok(read_rows(r, 0, ROWS, WIDE_BYTES, &err), &err);
    assert_ok(read_numbers(r, 0, ROWS, &err), &err);
    assert_true(column_cache_bytes(f.cache) <
                (size_t)4 * 3 * (COLUMN_BLOCK_BYTES_MAX + (64 << 10)));
    column_reader_destroy(r);
    tear_down(&f);
}

static void idle_columns_make_room_for_others(void **state)
{
    (void)state;
    struct cached f;
    struct error err = {0};
    struct column_span span;

    set_up(&f, 100 << 10); /* three columns of 2,560 rows are 90 kB */
    put_rows(&f.tail, ROWS, 0);
    struct column_reader *r = make_reader(&f);
    assert_ok(read_rows(r, 0, ROWS, 0, &err), &err);
    column_reader_destroy(r);
    struct slice other = slice_of_text("s");
    assert_ok(column_reader_create(f.cache, f.tail.base, &other, 1, &r, &err), &err);
    for (uint32_t row = 0; row < ROWS; row += COLUMN_BLOCK_ROWS) {
        uint32_t row_count = ROWS - row;
        assert_ok(column_reader_read(r, row, &row_count, &span, &err), &err);
        assert_int_equal(span.types[1], VALUE_MAP);
        assert_true(column_cache_bytes(f.cache) <= (100 << 10) + (30 << 10));
    }
    column_reader_destroy(r);
    assert_true(column_cache_bytes(f.cache) <= 100 << 10);
    tear_down(&f);
}

/* What a text with names that nobody has used costs those that come after it. */
static void many_names_cost_a_look_up_nothing(void **state)
{
    enum { NAMES = 2000 };
    (void)state;
    struct cached f;
    struct error err = {0};

    for (size_t bytes = 32 << 10; bytes <= 4 << 20; bytes *= 128) {
        set_up(&f, bytes);
        put_rows(&f.tail, 5, 0);
        for (uint32_t i = 0; i < 2 * NAMES; i++) {
            char name[16];
            uint32_t row_count = 5;
            struct column_span span;
            struct column_reader *r;
            snprintf(name, sizeof name, i % NAMES == 0 ? "n" : "name%u", i % NAMES);
            struct slice path = slice_of_text(name);
            assert_ok(column_reader_create(f.cache, f.tail.base, &path, 1, &r, &err), &err);
            if (i % NAMES == 0) {
                assert_ok(column_reader_read(r, 0, &row_count, &span, &err), &err);
                assert_int_equal(span.cells[4].integer, 4);
            }
            column_reader_destroy(r);
            assert_true(column_cache_bytes(f.cache) <= bytes);
        }
        /* With room for all each was found at once, the second time. */
        assert_in_range(column_cache_compared(f.cache), 0, NAMES);
        if (bytes > 1 << 20) assert_int_equal(column_cache_compared(f.cache), NAMES);
        tear_down(&f);
    }
}

struct crowd {
    struct cached *f;
    unsigned first;
};

static void read_all(void *ctx)
{
    const struct crowd *c = (const struct crowd *)ctx;
    struct error err = {0};

    for (int round = 0; round < 20; round++) {
        struct column_reader *r = make_reader(c->f);
        uint32_t first = c->first * 331 % ROWS;
        assert_ok(read_rows(r, first, ROWS, 10, &err), &err);
        assert_ok(read_rows(r, 0, first, 10, &err), &err);
        assert_ok(read_numbers(r, first, ROWS, &err), &err);
        column_reader_destroy(r);
    }
}

static void threads_share_what_one_of_them_fills(void **state)
{
    (void)state;
    struct cached f;
    struct error err = {0};
    struct crowd crowd[4];
    struct thread threads[4] = {0};

    for (size_t bytes = 60 << 10; bytes <= CACHE_BYTES; bytes *= 16) {
        set_up(&f, bytes);
        put_rows(&f.tail, ROWS, 10);
        for (unsigned i = 0; i < 4; i++) {
            crowd[i] = (struct crowd){&f, i};
            assert_ok(thread_start(&threads[i], "reader", read_all, &crowd[i], &err), &err);
        }
        for (unsigned i = 0; i < 4; i++) thread_join(&threads[i]);
        tear_down(&f);
    }
}

static int fill(void *ctx, struct error *err)
{
    struct cached *f = (struct cached *)ctx;
    struct column_cache *cache = NULL;
    struct column_reader *r = NULL;
    int rc = -1;

    if (column_cache_create(f->tail.alloc, CACHE_BYTES, &cache, err) != 0) return -1;
    struct segment *s = f->tail.base;
    if (column_reader_create(cache, s, paths, 3, &r, err) == 0)
        rc = read_rows(r, 0, COLUMN_BLOCK_ROWS + 5, 10, err) == 0
                 ? read_numbers(r, 0, COLUMN_BLOCK_ROWS + 5, err)
                 : -1;
    column_reader_destroy(r);
    if (s->columns) segment_columns_destroy(s->columns);
    s->columns = NULL;
    assert_int_equal(column_cache_bytes(cache), 0);
    column_cache_destroy(cache);
    return rc;
}

static void running_out_of_memory_loses_nothing(void **state)
{
    (void)state;
    struct cached f;

    set_up(&f, CACHE_BYTES);
    put_rows(&f.tail, COLUMN_BLOCK_ROWS + 5, 10);
    oom_sweep(f.tail.alloc, fill, &f);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_can_be_read_in_any_order_while_the_tail_grows),
        cmocka_unit_test(numbers_are_kept_and_extended),
        cmocka_unit_test(many_names_cost_a_look_up_nothing),
        cmocka_unit_test(without_room_the_answer_is_the_same),
        cmocka_unit_test(large_values_pass_and_are_not_kept),
        cmocka_unit_test(idle_columns_make_room_for_others),
        cmocka_unit_test(threads_share_what_one_of_them_fills),
        cmocka_unit_test(running_out_of_memory_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
