/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>

#include "codec/json.h"
#include "support/oom_sweep.h"
#include "unit/codec/random_value.h"

static const struct msgpack_limits limits = {
    .what = "body",
    .bytes_max = 1 << 20,
    .node_count_max = 100000,
    .depth_max = MSGPACK_DEPTH_MAX,
    .key_count_max = MSGPACK_UNIQUE_KEYS_MAX,
    .has_text_keys = true,
    .has_unique_keys = true,
};

static struct buf in_bytes, out_bytes;

static int make_bufs(void **state)
{
    (void)state;
    buf_init(&in_bytes, alloc_libc(), MEM_GENERAL);
    buf_init(&out_bytes, alloc_libc(), MEM_GENERAL);
    return 0;
}

static int free_bufs(void **state)
{
    (void)state;
    buf_deinit(&in_bytes);
    buf_deinit(&out_bytes);
    return 0;
}

/* Read from a heap copy of exactly this size, so that ASan sees a read past it. */
static int read_json(const char *text, size_t size, struct buf *out, struct error *err)
{
    uint8_t *copy = test_malloc(size ? size : 1);
    memcpy(copy, text, size);
    int rc = json_to_msgpack(slice_of(copy, size), &limits, out, err);
    test_free(copy);
    if (rc == 0) {
        struct error why;
        size_t used;
        assert_ok(msgpack_check(buf_slice(out), &limits, &used, &why), &why);
        assert_int_equal(used, out->size);
    }
    return rc;
}

/* JSON → msgpack → JSON. */
static void becomes(const char *text, size_t size, const char *expected)
{
    struct error err;
    buf_reset(&in_bytes);
    buf_reset(&out_bytes);
    assert_ok(read_json(text, size, &in_bytes, &err), &err);
    assert_ok(json_from_msgpack(buf_slice(&in_bytes), &out_bytes, &err), &err);
    buf_append_u8(&out_bytes, 0);
    assert_string_equal((const char *)out_bytes.data, expected);
}
#define BECOMES(text, expected) becomes(text, strlen(text), expected)

static void values_keep_their_types(void **state)
{
    (void)state;
    BECOMES("null", "null");
    BECOMES(" [ true , false ] ", "[true,false]");
    BECOMES("\t{\r\n}", "{}");
    BECOMES("[]", "[]");
    BECOMES("[[],{},[[]]]", "[[],{},[[]]]");
    BECOMES("{\"a\":{\"b\":[1,2,{\"c\":null}]},\"\":0}",
            "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"\":0}");
    BECOMES("9223372036854775807", "9223372036854775807");
    BECOMES("-9223372036854775808", "-9223372036854775808");
    BECOMES("18446744073709551615", "18446744073709551615");
    BECOMES("-9223372036854775809", "-9.223372036854776e18");
    BECOMES("18446744073709551616", "1.8446744073709552e19");
    BECOMES("[0,-0,1.0,1e2,-0.0,1E+2,0.5e-3]", "[0,0,1.0,100.0,-0.0,100.0,0.0005]");
    BECOMES("\"2024-01-01T00:00:00Z\"", "\"2024-01-01T00:00:00Z\"");
    assert_int_equal(in_bytes.data[0], 0xb4); /* it stays text */
}

static void text_escapes_mean_characters(void **state)
{
    (void)state;
    BECOMES("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"");
    BECOMES("\"\\u00e9\\u20AC\\ud83d\\ude00\"", "\"é€😀\"");
    BECOMES("\"é€😀\x7f\"", "\"é€😀\x7f\"");
    BECOMES("\"\\u0000\\u001f\\u000b\"", "\"\\u0000\\u001f\\u000b\"");
    assert_int_equal(in_bytes.size, 4);
    BECOMES("{\"k\\u0065y\":1}", "{\"key\":1}");
    BECOMES("\"a long text without an escape in its first sixteen bytes \\n\"",
            "\"a long text without an escape in its first sixteen bytes \\n\"");
    BECOMES("\"\\uffff\\ufeff\"", "\"\uffff\ufeff\"");
}

static const char *const no_json[] = {
    "",
    "  ",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1",
    "[",
    "{",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,}",
    "{a:1}",
    "{'a':1}",
    "{1:1}",
    "{\"a\" 1}",
    "{\"a\":1]",
    "[1}",
    "]",
    "1 2",
    "[] []",
    "nul",
    "nulll",
    "True",
    "NaN",
    "Infinity",
    "-",
    "-a",
    "+1",
    ".5",
    "01",
    "1.",
    "1e",
    "1e+",
    "0x10",
    "1e999",
    "-1e999",
    "\"",
    "\"abc",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\ud800\"",
    "\"\\ud800x\"",
    "\"\\ud800\\n\"",
    "\"\\ud800\\ud800\"",
    "\"\\udc00\"",
    "\"a\nb\"",
    "\"\t\"",
    "\"\xff\"",
    "\"\xc3\"",
    "\"\xed\xa0\x80\"",
    "\"\xc0\x80\"",
    "\xef\xbb\xbf[]",
    "/* c */ 1",
    "[1] // c",
    "\f1",
};

static void what_is_no_json_is_refused_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof no_json / sizeof no_json[0]; i++) {
        struct error err;
        buf_reset(&in_bytes);
        buf_append(&in_bytes, "before", 6);
        if (read_json(no_json[i], strlen(no_json[i]), &in_bytes, &err) == 0)
            fail_msg("took %s", no_json[i]);
        assert_int_equal(err.code, LYNSE_PARSE);
        assert_non_null(strstr(err.text, "body: "));
        assert_non_null(strstr(err.text, ", at "));
        assert_int_equal(in_bytes.size, 6);
    }
    struct error err;
    assert_fails(read_json("\0", 1, &in_bytes, &err), &err, LYNSE_PARSE);
    assert_fails(read_json("\"\0\"", 3, &in_bytes, &err), &err, LYNSE_PARSE);
    assert_fails(read_json("{\"a\":1,\n\"b\":tru}", 16, &in_bytes, &err), &err, LYNSE_PARSE);
    assert_string_equal(err.text, "body: expected a value, at byte 12");
}

static void keys_must_be_unique_where_that_is_asked(void **state)
{
    (void)state;
    struct error err;
    struct msgpack_limits free_keys = limits;
    free_keys.has_unique_keys = false;
    static const char twice[] = "{\"a\":1,\"x\":{\"b\":1,\"\\u0062\":2}}";
    buf_reset(&in_bytes);
    assert_fails(read_json(twice, strlen(twice), &in_bytes, &err), &err, LYNSE_INVALID);
    assert_string_equal(err.text, "body: the key 'b' is there twice");
    assert_ok(json_to_msgpack(slice_of_text(twice), &free_keys, &in_bytes, &err), &err);
}

static void limits_stop_the_reading(void **state)
{
    (void)state;
    struct error err;
    struct msgpack_limits l = limits;
    buf_reset(&in_bytes);
    l.depth_max = 2;
    assert_ok(json_to_msgpack(slice_of_text("[[1]]"), &l, &in_bytes, &err), &err);
    assert_fails(json_to_msgpack(slice_of_text("[[[]]]"), &l, &in_bytes, &err), &err, LYNSE_LIMIT);
    assert_string_equal(err.text, "body: nesting of 3 is over the limit of 2");
    l = limits;
    l.node_count_max = 3;
    assert_ok(json_to_msgpack(slice_of_text("{\"a\":1}"), &l, &in_bytes, &err), &err);
    assert_fails(json_to_msgpack(slice_of_text("[1,2,3]"), &l, &in_bytes, &err), &err, LYNSE_LIMIT);
    l = limits;
    l.key_count_max = 1;
    assert_fails(json_to_msgpack(slice_of_text("{\"a\":1,\"b\":2}"), &l, &in_bytes, &err), &err,
                 LYNSE_LIMIT);
    l = limits;
    l.bytes_max = 9;
    assert_ok(json_to_msgpack(slice_of_text("0.1"), &l, &in_bytes, &err), &err);
    assert_ok(json_to_msgpack(slice_of_text("\"12345678\""), &l, &in_bytes, &err), &err);
    assert_fails(json_to_msgpack(slice_of_text("\"123456789\""), &l, &in_bytes, &err), &err,
                 LYNSE_LIMIT);
    assert_fails(json_to_msgpack(slice_of_text("[0.1]"), &l, &in_bytes, &err), &err, LYNSE_LIMIT);

    struct buf floats;
    buf_init(&floats, alloc_libc(), MEM_GENERAL);
    buf_append_u8(&floats, '[');
    for (int i = 0; i < 200; i++) buf_append_text(&floats, "%s0.%d", i ? "," : "", 1000 + i);
    buf_append_u8(&floats, ']');
    buf_reset(&in_bytes);
    l = limits;
    l.node_count_max = 1 + 200;
    l.bytes_max = 3 + 9 * 200;
    assert_ok(json_to_msgpack(buf_slice(&floats), &l, &in_bytes, &err), &err);
    assert_int_equal(in_bytes.size, l.bytes_max);
    for (l.node_count_max = 1; l.node_count_max <= 200; l.node_count_max++)
        assert_fails(json_to_msgpack(buf_slice(&floats), &l, &in_bytes, &err), &err, LYNSE_LIMIT);
    for (l.bytes_max = 0; l.bytes_max < 3 + 9 * 200; l.bytes_max++)
        assert_fails(json_to_msgpack(buf_slice(&floats), &l, &in_bytes, &err), &err, LYNSE_LIMIT);
    assert_int_equal(in_bytes.size, 3 + 9 * 200);
    buf_deinit(&floats);

    size_t size = 200000;
    char *deep = test_malloc(size);
    memset(deep, '[', size);
    assert_fails(read_json(deep, size, &in_bytes, &err), &err, LYNSE_LIMIT);
    for (size_t i = 0; i < size; i += 5) memcpy(deep + i, "{\"\":", 5);
    assert_fails(read_json(deep, size, &in_bytes, &err), &err, LYNSE_PARSE);
    test_free(deep);
}

static void containers_of_every_size_get_the_shortest_head(void **state)
{
    (void)state;
    struct error err;
    static const uint32_t counts[] = {0, 1, 15, 16, 17, 65535, 65536};
    struct buf text;
    buf_init(&text, alloc_libc(), MEM_GENERAL);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        buf_reset(&text);
        buf_reset(&in_bytes);
        buf_reset(&out_bytes);
        buf_append(&text, "[[", 2);
        for (uint32_t n = 0; n < counts[i]; n++)
            buf_append_text(&text, "%s%u", n ? "," : "", n % 100);
        buf_append(&text, "],7]", 4);
        assert_ok(read_json((char *)text.data, text.size, &in_bytes, &err), &err);
        msgpack_write_array(&out_bytes, 2);
        msgpack_write_array(&out_bytes, counts[i]);
        for (uint32_t n = 0; n < counts[i]; n++) msgpack_write_uint(&out_bytes, n % 100);
        msgpack_write_uint(&out_bytes, 7);
        assert_true(slice_equal(buf_slice(&in_bytes), buf_slice(&out_bytes)));
    }
    buf_deinit(&text);
}

static void random_trees_survive_both_ways(void **state)
{
    (void)state;
    struct rng r;
    struct error err;
    struct buf message, again;
    rng_init(&r, test_seed(1));
    buf_init(&message, alloc_libc(), MEM_GENERAL);
    buf_init(&again, alloc_libc(), MEM_GENERAL);
    const int rounds = test_rounds(2000);
    for (int round = 0; round < rounds; round++) {
        buf_reset(&message);
        buf_reset(&again);
        buf_reset(&out_bytes);
        random_document(&r, &message,
                        (struct random_shape){.depth_max = 6, .fanout_max = 18, .is_json = true});
        assert_ok(json_from_msgpack(buf_slice(&message), &out_bytes, &err), &err);
        assert_ok(read_json((char *)out_bytes.data, out_bytes.size, &again, &err), &err);
        assert_int_equal(again.size, message.size);
        assert_memory_equal(again.data, message.data, message.size);
    }
    buf_deinit(&message);
    buf_deinit(&again);
}

static void every_cut_and_every_flipped_bit_is_safe(void **state)
{
    (void)state;
    static const char sample[] =
        "{\"name\":\"caf\xc3\xa9 \\ud83d\\ude00\",\"tags\":[\"a\",\"b\\n\"],\"n\":-12.5e-3,"
        "\"big\":18446744073709551615,\"deep\":{\"x\":[null,true,false,{}]}}";
    struct error err;
    size_t size = strlen(sample);
    char text[sizeof sample];
    for (size_t cut = 0; cut < size; cut++) {
        buf_reset(&in_bytes);
        assert_fails(read_json(sample, cut, &in_bytes, &err), &err, LYNSE_PARSE);
    }
    memcpy(text, sample, sizeof sample);
    for (size_t bit = 0; bit < size * 8; bit++) {
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        buf_reset(&in_bytes);
        buf_reset(&out_bytes);
        if (read_json(text, size, &in_bytes, &err) == 0)
            assert_ok(json_from_msgpack(buf_slice(&in_bytes), &out_bytes, &err), &err);
        text[bit / 8] = sample[bit / 8];
    }
}

static void what_json_lacks_is_written_as_documented(void **state)
{
    (void)state;
    struct error err;
    buf_reset(&in_bytes);
    buf_reset(&out_bytes);
    msgpack_write_array(&in_bytes, 10);
    msgpack_write_float(&in_bytes, NAN);
    msgpack_write_float(&in_bytes, -INFINITY);
    msgpack_write_bytes(&in_bytes, slice_of("", 0));
    msgpack_write_bytes(&in_bytes, slice_of("f", 1));
    msgpack_write_bytes(&in_bytes, slice_of("fo", 2));
    msgpack_write_bytes(&in_bytes, slice_of("foo", 3));
    msgpack_write_bytes(&in_bytes, slice_of("\xff\xfe\xfd\xfc", 4));
    msgpack_write_datetime(&in_bytes, 1709251199000001);
    buf_append(&in_bytes, "\xca\x3d\xcc\xcc\xcd", 5); /* 0.1 in 32 bits */
    msgpack_write_float(&in_bytes, (double)0.1f);
    assert_ok(json_from_msgpack(buf_slice(&in_bytes), &out_bytes, &err), &err);
    buf_append_u8(&out_bytes, 0);
    assert_string_equal((char *)out_bytes.data,
                        "[null,null,\"\",\"Zg==\",\"Zm8=\",\"Zm9v\",\"//79/A==\","
                        "\"2024-02-29T23:59:59.000001Z\",0.1,0.10000000149011612]");
}

static void messages_that_cannot_be_json_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        int code;
    } cases[] = {
        {"", 0, LYNSE_PARSE},
        {"\xc1", 1, LYNSE_PARSE},
        {"\x92\x01", 2, LYNSE_PARSE},
        {"\x01\x02", 2, LYNSE_PARSE},
        {"\xa1\xff", 2, LYNSE_PARSE},
        {"\x81\x01\x02", 3, LYNSE_INVALID},
        {"\x81\xa1k\xdd\xff\xff\xff\xff", 8, LYNSE_PARSE},
    };
    struct error err;
    buf_reset(&out_bytes);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_fails(json_from_msgpack(slice_of(cases[i].bytes, cases[i].size), &out_bytes, &err),
                     &err, cases[i].code);
        assert_int_equal(out_bytes.size, 0);
    }
    uint8_t deep[MSGPACK_DEPTH_MAX + 1];
    memset(deep, 0x91, sizeof deep);
    assert_fails(json_from_msgpack(slice_of(deep, sizeof deep), &out_bytes, &err), &err,
                 LYNSE_LIMIT);
}

static int transcode(void *ctx, struct error *err)
{
    struct buf message, text;
    int rc = -1;
    static const char sample[] = "{\"a\":[1,2,3,\"some text that is long enough to grow a buf\"],"
                                 "\"b\":{\"c\":1.5,\"d\":\"\\u00e9\"},"
                                 "\"e\":[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1.0,1.1,1.2,1.3]}";
    buf_init(&message, ctx, MEM_GENERAL);
    buf_init(&text, ctx, MEM_GENERAL);
    if (json_to_msgpack(slice_of_text(sample), &limits, &message, err) != 0) goto out;
    if (json_from_msgpack(buf_slice(&message), &text, err) != 0) goto out;
    rc = 0;
out:
    buf_deinit(&message);
    buf_deinit(&text);
    return rc;
}

static void out_of_memory_is_an_ordinary_error(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(&(struct alloc_hooks){0}, 0);
    oom_sweep(a, transcode, a);
    alloc_destroy(a);
}

#define WITH_BUFS(test) cmocka_unit_test_setup_teardown(test, make_bufs, free_bufs)
static const struct CMUnitTest tests[] = {
    WITH_BUFS(values_keep_their_types),
    WITH_BUFS(text_escapes_mean_characters),
    WITH_BUFS(what_is_no_json_is_refused_with_its_place),
    WITH_BUFS(keys_must_be_unique_where_that_is_asked),
    WITH_BUFS(limits_stop_the_reading),
    WITH_BUFS(containers_of_every_size_get_the_shortest_head),
    WITH_BUFS(random_trees_survive_both_ways),
    WITH_BUFS(every_cut_and_every_flipped_bit_is_safe),
    WITH_BUFS(what_json_lacks_is_written_as_documented),
    WITH_BUFS(messages_that_cannot_be_json_are_refused),
    WITH_BUFS(out_of_memory_is_an_ordinary_error),
};

TEST_MAIN(tests)
