/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include "codec/msgpack.h"
#include "codec/value.h"

static struct slice text(const char *t)
{
    return slice_of_text(t);
}

/* {"name": "x", "a": {"b": 7, "c": {"d": [1, 2]}}, "a.b": 8, "p": {"q.r": 9}} */
static void write_sample(struct buf *b)
{
    msgpack_write_map(b, 4);
    msgpack_write_text(b, text("name"));
    msgpack_write_text(b, text("x"));
    msgpack_write_text(b, text("a"));
    msgpack_write_map(b, 2);
    msgpack_write_text(b, text("b"));
    msgpack_write_int(b, 7);
    msgpack_write_text(b, text("c"));
    msgpack_write_map(b, 1);
    msgpack_write_text(b, text("d"));
    msgpack_write_array(b, 2);
    msgpack_write_int(b, 1);
    msgpack_write_int(b, 2);
    msgpack_write_text(b, text("a.b"));
    msgpack_write_int(b, 8);
    msgpack_write_text(b, text("p"));
    msgpack_write_map(b, 1);
    msgpack_write_text(b, text("q.r"));
    msgpack_write_int(b, 9);
}

static void paths_lead_through_maps_and_whole_keys_win(void **state)
{
    (void)state;
    struct buf b;
    struct value v;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    write_sample(&b);
    struct slice doc = buf_slice(&b);
    assert_true(doc_get(doc, text("name"), &v) && v.type == VALUE_TEXT);
    assert_true(slice_equal(v.as.text, text("x")));
    assert_true(doc_get(doc, text("a.b"), &v) && v.as.integer == 8);
    assert_true(doc_get(doc, text("a.c.d"), &v) && v.type == VALUE_ARRAY && v.count == 2);
    assert_true(doc_get(doc, text("p.q.r"), &v) && v.as.integer == 9);
    assert_false(doc_get(doc, text("b"), &v));
    assert_false(doc_get(doc, text("a.x"), &v));
    assert_false(doc_get(doc, text("name.x"), &v));
    assert_false(doc_get(doc, text(""), &v));
    assert_false(doc_get(doc, text("."), &v));
    assert_false(doc_get(doc, text("a."), &v));
    assert_false(doc_get(slice_of(NULL, 0), text("a"), &v));
    assert_false(doc_get(slice_of("\x91\xa1"
                                  "a",
                                  3),
                         text("a"), &v));
    buf_deinit(&b);
}

/* {"a": [10, {"b": [11, 12]}, [13]], "a[0]": 14, "m": {"x[1]": 15, "y": [16]}, "c[0]": [17]} */
static void write_items(struct buf *b)
{
    msgpack_write_map(b, 4);
    msgpack_write_text(b, text("a"));
    msgpack_write_array(b, 3);
    msgpack_write_int(b, 10);
    msgpack_write_map(b, 1);
    msgpack_write_text(b, text("b"));
    msgpack_write_array(b, 2);
    msgpack_write_int(b, 11);
    msgpack_write_int(b, 12);
    msgpack_write_array(b, 1);
    msgpack_write_int(b, 13);
    msgpack_write_text(b, text("a[0]"));
    msgpack_write_int(b, 14);
    msgpack_write_text(b, text("m"));
    msgpack_write_map(b, 2);
    msgpack_write_text(b, text("x[1]"));
    msgpack_write_int(b, 15);
    msgpack_write_text(b, text("y"));
    msgpack_write_array(b, 1);
    msgpack_write_int(b, 16);
    msgpack_write_text(b, text("c[0]"));
    msgpack_write_array(b, 1);
    msgpack_write_int(b, 17);
}

static void paths_lead_into_arrays_and_whole_keys_win(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int64_t number;
    } found[] = {{"a[0]", 14},   {"a[1].b[0]", 11}, {"a[1].b[1]", 12},         {"a[2][0]", 13},
                 {"m.x[1]", 15}, {"m.y[0]", 16},    {"a[01].b[000000001]", 12}};
    static const char *const absent[] = {"a[3]",
                                         "a[]",
                                         "a[",
                                         "a[0",
                                         "a[-1]",
                                         "a[+1]",
                                         "a[ 1]",
                                         "a[1",
                                         "a[1]b",
                                         "a[1].",
                                         "a[1]..b",
                                         "a[1].b[2]",
                                         "a[2][0][0]",
                                         "a[2].b",
                                         "m[0]",
                                         "m.y[1]",
                                         "m.x[1][0]",
                                         "[0]",
                                         ".a",
                                         "a[1]]",
                                         "a[4294967297].b[0]",
                                         "a[18446744073709551617].b",
                                         "a[0000000001].b[0]",
                                         "c[0][0]",
                                         ""};
    struct buf b;
    struct value v;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    write_items(&b);
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        if (!doc_get(buf_slice(&b), text(found[i].path), &v)) fail_msg("%s", found[i].path);
        assert_int_equal(v.as.integer, found[i].number);
    }
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        if (doc_get(buf_slice(&b), text(absent[i]), &v)) fail_msg("%s", absent[i]);
    assert_true(doc_get(buf_slice(&b), text("a[1].b"), &v) && v.type == VALUE_ARRAY);
    assert_true(doc_get(buf_slice(&b), text("a[1]"), &v) && v.type == VALUE_MAP);
    /* Where the bytes end early there is nothing, and nothing is read behind them. */
    for (size_t size = 0; size < b.size; size++) {
        uint8_t *cut = malloc(size ? size : 1);
        assert_non_null(cut);
        memcpy(cut, b.data, size);
        doc_get(slice_of(cut, size), text("a[2][0]"), &v);
        doc_get(slice_of(cut, size), text("m.y[0]"), &v);
        free(cut);
    }
    buf_deinit(&b);
}

static void a_walk_gives_the_items_in_order(void **state)
{
    (void)state;
    struct buf b;
    struct value v, key;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    write_sample(&b);
    assert_true(value_read(buf_slice(&b), &v));
    struct value_walk w = value_walk_of(&v);
    const char *const names[] = {"name", "a", "a.b", "p"};
    struct value item;
    for (size_t i = 0; i < 4; i++) {
        assert_true(value_walk_next(&w, &key, &item));
        assert_true(slice_equal(key.as.text, text(names[i])));
    }
    assert_false(value_walk_next(&w, &key, &item));
    assert_true(value_get(&v, text("a"), &item));
    assert_true(value_get(&item, text("b"), &item) && item.as.integer == 7);
    assert_false(value_get(&item, text("b"), &item));

    assert_true(doc_get(buf_slice(&b), text("a.c.d"), &v));
    w = value_walk_of(&v);
    assert_true(value_walk_next(&w, NULL, &item) && item.as.integer == 1);
    assert_true(value_walk_next(&w, NULL, &item) && item.as.integer == 2);
    assert_false(value_walk_next(&w, NULL, &item));
    w = value_walk_of(&item);
    assert_false(value_walk_next(&w, NULL, &item));
    buf_deinit(&b);
}

static void a_value_can_be_copied_into_another_message(void **state)
{
    (void)state;
    struct buf b, copy;
    struct value v;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    buf_init(&copy, alloc_libc(), MEM_GENERAL);
    write_sample(&b);
    assert_true(doc_get(buf_slice(&b), text("a.c"), &v));
    msgpack_write_value(&copy, &v);
    assert_int_equal(copy.size, 6);
    assert_memory_equal(copy.data,
                        "\x81\xa1"
                        "d\x92\x01\x02",
                        6);
    buf_deinit(&b);
    buf_deinit(&copy);
}

static void every_type_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(value_type_name(VALUE_NULL), "null");
    assert_string_equal(value_type_name(VALUE_UINT), "whole number");
    assert_string_equal(value_type_name(VALUE_DATETIME), "datetime");
    assert_string_equal(value_type_name((enum value_type)99), "unknown");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(paths_lead_through_maps_and_whole_keys_win),
    cmocka_unit_test(paths_lead_into_arrays_and_whole_keys_win),
    cmocka_unit_test(a_walk_gives_the_items_in_order),
    cmocka_unit_test(a_value_can_be_copied_into_another_message),
    cmocka_unit_test(every_type_has_its_name),
};

TEST_MAIN(tests)
