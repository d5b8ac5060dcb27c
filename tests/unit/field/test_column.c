/* SPDX-License-Identifier: Apache-2.0 */
/* A column gives back what was appended, row by row, for every type. */
#include "base/rng.h"
#include "codec/msgpack.h"
#include "field/column.h"
#include "support/oom_sweep.h"
#include "support/test.h"

enum { ROWS = 3 * COLUMN_BLOCK_ROWS + 17, TEXT_MAX = 400 };

/* The value of row i, encoded into b; NULL where the row has none. */
static const struct value *make_value(uint32_t i, struct buf *b, struct value *out)
{
    char text[TEXT_MAX];
    size_t size = (size_t)(i * 7) % TEXT_MAX;

    memset(text, 'a' + (int)(i % 26), sizeof text);
    buf_reset(b);
    switch (i % 11) {
    case 0:
        return NULL;
    case 1:
        msgpack_write_null(b);
        break;
    case 2:
        msgpack_write_bool(b, i % 2 == 0);
        break;
    case 3:
        msgpack_write_int(b, -(int64_t)i * 1000003);
        break;
    case 4:
        msgpack_write_uint(b, UINT64_MAX - i);
        break;
    case 5:
        msgpack_write_float(b, i / 3.0);
        break;
    case 6:
        msgpack_write_text(b, slice_of(text, size));
        break;
    case 7:
        msgpack_write_bytes(b, slice_of(text, size));
        break;
    case 8:
        msgpack_write_array(b, 2);
        msgpack_write_int(b, i);
        msgpack_write_text(b, slice_of(text, size));
        break;
    case 9:
        msgpack_write_map(b, 1);
        msgpack_write_text(b, slice_of_text("k"));
        msgpack_write_int(b, i);
        break;
    default:
        msgpack_write_datetime(b, (int64_t)i * 86400000000);
        break;
    }
    assert_true(value_read(buf_slice(b), out));
    return out;
}

static void assert_value(const struct column *c, uint32_t row, struct buf *b)
{
    struct value expected = {.type = VALUE_NULL};
    struct column_span span = column_block(c, row - row % COLUMN_BLOCK_ROWS);
    struct value got = column_value(&span, row % COLUMN_BLOCK_ROWS);

    make_value(row, b, &expected);
    assert_int_equal(got.type, expected.type);
    switch (got.type) {
    case VALUE_NULL:
        break;
    case VALUE_BOOL:
        assert_int_equal(got.as.boolean, expected.as.boolean);
        break;
    case VALUE_TEXT:
    case VALUE_BYTES:
        assert_true(slice_equal(got.as.text, expected.as.text));
        break;
    case VALUE_ARRAY:
    case VALUE_MAP:
        assert_int_equal(got.count, expected.count);
        assert_true(slice_equal(got.raw, expected.raw));
        break;
    default:
        assert_int_equal(got.as.uinteger, expected.as.uinteger);
        break;
    }
}

static void every_type_comes_back(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    struct column *c = NULL;
    struct error err = {0};
    struct value v;
    struct buf b;

    buf_init(&b, alloc_libc(), MEM_GENERAL);
    assert_ok(column_create(a, ROWS, &c, &err), &err);
    for (uint32_t i = 0; i < ROWS; i++) {
        const struct value *value = make_value(i, &b, &v);
        assert_int_equal(column_row_count(c), i);
        assert_ok(column_append(c, value, &err), &err);
        /* What was there stays where it is and what it is. */
        assert_value(c, i / 2, &b);
    }
    for (uint32_t i = 0; i < ROWS; i++) assert_value(c, i, &b);
    assert_true(column_memory_bytes(c) <= alloc_used_bytes(a));
    assert_true(column_memory_bytes(c) > alloc_used_bytes(a) * 9 / 10);
    column_destroy(c);
    assert_int_equal(alloc_used_bytes(a), 0);
    buf_deinit(&b);
    alloc_destroy(a);
}

/* A field of a few texts takes the memory of a few texts. */
static void texts_that_come_again_are_stored_once(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "c", "python",
                                        "a text of forty characters, as it is one"};
    struct column *c = NULL, *others = NULL;
    struct error err = {0};

    assert_ok(column_create(alloc_libc(), COLUMN_BLOCK_ROWS, &c, &err), &err);
    assert_ok(column_create(alloc_libc(), COLUMN_BLOCK_ROWS, &others, &err), &err);
    for (uint32_t i = 0; i < COLUMN_BLOCK_ROWS; i++) {
        char name[48];
        struct value v = {.type = VALUE_TEXT, .as.text = slice_of_text(texts[i % 4])};
        assert_ok(column_append(c, &v, &err), &err);
        snprintf(name, sizeof name, "a text of forty characters, number %5u", i);
        v.as.text = slice_of_text(name);
        assert_ok(column_append(others, &v, &err), &err);
    }
    struct column_span span = column_block(c, 0), other = column_block(others, 0);
    for (uint32_t i = 0; i < COLUMN_BLOCK_ROWS; i++) {
        assert_true(slice_equal(column_value(&span, i).as.text, slice_of_text(texts[i % 4])));
        assert_true(span.cells[i].bytes == span.cells[i % 4].bytes);
        assert_int_equal(column_value(&other, i).as.text.size, 40);
    }
    assert_true(column_memory_bytes(others) > column_memory_bytes(c) + COLUMN_BLOCK_ROWS * 40);
    column_destroy(c);
    column_destroy(others);
}

static void a_column_of_no_rows_can_be_made(void **state)
{
    (void)state;
    struct column *c = NULL;
    struct error err = {0};

    assert_ok(column_create(alloc_libc(), 0, &c, &err), &err);
    assert_int_equal(column_row_count(c), 0);
    column_destroy(c);
    column_destroy(NULL);
}

static int fill(void *ctx, struct error *err)
{
    struct alloc *a = (struct alloc *)ctx;
    struct column *c = NULL;
    struct value v;
    struct buf b;
    int rc = -1;

    buf_init(&b, alloc_libc(), MEM_GENERAL);
    if (column_create(a, ROWS, &c, err) != 0) goto out;
    for (uint32_t i = 0; i < ROWS; i++) {
        const struct value *value = make_value(i, &b, &v);
        if (column_append(c, value, err) == 0) continue;
        assert_int_equal(column_row_count(c), i);
        if (i > 0) assert_value(c, i - 1, &b);
        goto out;
    }
    rc = 0;
out:
    column_destroy(c);
    buf_deinit(&b);
    return rc;
}

static void running_out_of_memory_appends_nothing(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    assert_non_null(a);
    oom_sweep(a, fill, a);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_type_comes_back),
    cmocka_unit_test(texts_that_come_again_are_stored_once),
    cmocka_unit_test(a_column_of_no_rows_can_be_made),
    cmocka_unit_test(running_out_of_memory_appends_nothing),
};
TEST_MAIN(tests)
