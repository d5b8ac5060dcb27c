/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include "base/limits.h"
#include "codec/rpc.h"

static const struct rpc_limits small = {.bytes_max = 64, .node_count_max = 24, .depth_max = 3};

static const char *const found_names[] = {"more", "frame", "broken"};

/* Feed one byte more at a time (or all at once), each time a copy of exactly what has come. */
static void find(struct slice stream, const struct rpc_limits *limits, bool is_bytewise, char *out,
                 size_t out_bytes)
{
    struct rpc_finder f;
    struct error err = {.text = ""};
    enum rpc_found found = RPC_MORE;
    size_t frame_bytes = 0;
    rpc_finder_reset(&f);
    for (size_t come = is_bytewise ? 0 : stream.size; found == RPC_MORE && come <= stream.size;
         come++) {
        uint8_t *copy = test_malloc(come ? come : 1);
        if (come) memcpy(copy, stream.data, come);
        found = rpc_finder_feed(&f, limits, slice_of(copy, come), &frame_bytes, &err);
        if (found == RPC_FRAME && is_bytewise) assert_int_equal(frame_bytes, come);
        test_free(copy);
    }
    snprintf(out, out_bytes, "%s %zu %s", found_names[found], frame_bytes, err.text);
}

static void finds(const char *bytes, size_t size, const char *expected)
{
    char whole[400];
    char bytewise[400];
    struct slice stream = slice_of(bytes, size);
    find(stream, &small, false, whole, sizeof whole);
    find(stream, &small, true, bytewise, sizeof bytewise);
    assert_string_equal(whole, bytewise);
    if (strncmp(whole, expected, strlen(expected)) != 0) assert_string_equal(whole, expected);
}
#define FINDS(bytes, expected) finds(bytes, sizeof(bytes) - 1, expected)

static void a_frame_ends_where_its_last_value_does(void **state)
{
    (void)state;
    FINDS("", "more");
    FINDS("\x94\x00\x01\xa4ping\x90", "frame 9 ");
    FINDS("\x94\x00\x01\xa4ping\x90\x94\x00", "frame 9 ");
    FINDS("\x93\x02\xa1m\x80", "frame 5 ");
    FINDS("\xdc\x00\x03\x02\xa1m\x80", "frame 7 ");
    FINDS("\xdd\x00\x00\x00\x03\x02\xa1m\x80", "frame 9 ");
    FINDS("\x94\x00\x01\xa1m\x81\xa1k\x92\x01\xc0", "frame 11 ");
    FINDS("\x94\x00\x01\xa1m\x81\xa1k\x92\x01", "more");
    /* Each kind of head once, with an argument and a payload where it has them. */
    FINDS("\x94\x00\x01\xa1m\x9f\xc0\xc2\xc3\x7f\xe0\xcc\x01\xcd\x01\x02\xce\x01\x02\x03\x04"
          "\xd0\x01\xd1\x01\x02\xd2\x01\x02\x03\x04\xca\x01\x02\x03\x04\xc4\x01x\xc5\x00\x01x"
          "\xd9\x01x",
          "frame 46 ");
    FINDS("\x94\x00\x01\xa1m\x9a\xcf\1\2\3\4\5\6\7\10\xd3\1\2\3\4\5\6\7\10\xcb\1\2\3\4\5\6\7\10"
          "\xc6\0\0\0\1x\xda\0\1x\xdb\0\0\0\1x\xd4\5x\xde\0\0\xdf\0\0\0\0\xc7\0\1",
          "frame 63 ");
    FINDS("\x94\x00\x01\xa1m\x97\xc8\0\1\5x\xc9\0\0\0\1\5x\xd5\5xx\xd6\5xxxx\xd7\5xxxxxxxx"
          "\xc7\1\5x\xc0",
          "frame 43 ");
}

static void what_cannot_be_a_frame_is_refused_at_once(void **state)
{
    (void)state;
    FINDS("GET / HTTP/1.1\r\n", "broken 0 frame: byte 0x47 does not begin an array of 3 or 4");
    FINDS("\x90", "broken 0 frame: an array of 0 values, must have 3 or 4");
    FINDS("\x95", "broken 0 frame: an array of 5 values, must");
    FINDS("\x84", "broken 0 frame: byte 0x84 does not");
    FINDS("\xdc\x00\x05", "broken 0 frame: an array of 5 values, must");
    FINDS("\xdd\xff\xff\xff\xff", "broken 0 frame: an array of 4294967295 values");
    FINDS("\xc1", "broken 0 frame: byte 0xc1 at 0 begins no msgpack value");
    FINDS("\x94\x00\xc1", "broken 0 frame: byte 0xc1 at 2");
}

static void a_length_that_is_too_large_is_refused_when_it_is_declared(void **state)
{
    (void)state;
    FINDS("\x93\x02\xa1m\xc6\xff\xff\xff\xff", "broken 0 frame: over the limit of 64 bytes");
    FINDS("\x93\x02\xa1m\xdb\xff\xff\xff\xff", "broken 0 frame: over the limit of 64 bytes");
    FINDS("\x93\x02\xa1m\xc9\xff\xff\xff\xff", "broken 0 frame: over the limit of 64 bytes");
    FINDS("\x93\x02\xa1m\xdd\xff\xff\xff\xff", "broken 0 frame: over the limit of 64 bytes");
    FINDS("\x93\x02\xa1m\xdf\xff\xff\xff\xff", "broken 0 frame: over the limit of 64 bytes");
    /* 64 bytes fit, with what is promised behind them; a byte more does not. */
    FINDS("\x93\x02\xa1m\xc4\x3a", "more");
    FINDS("\x93\x02\xa1m\xc4\x3b", "broken 0 frame: over");
    FINDS("\x94\x00\x01\xd9\x3a", "more");
    FINDS("\x94\x00\x01\xd9\x3b", "broken 0 frame: over");
    FINDS("\x93\x02\xa1m\xdc\x00\x14", "more");
    FINDS("\x93\x02\xa1m\xdc\x00\x15", "broken 0 frame: over the limit of 24 values");
    FINDS("\x93\x02\xa1m\xde\x00\x0a", "more");
    FINDS("\x93\x02\xa1m\xde\x00\x0b", "broken 0 frame: over the limit of 24 values");
    FINDS("\x93\x02\xa1m\x91\x91\x90", "frame 7 ");
    FINDS("\x93\x02\xa1m\x91\x91\x91\x90", "broken 0 params: nesting of 4 is over the limit of 3");
}

static void the_deepest_frame_is_found(void **state)
{
    (void)state;
    struct rpc_limits deepest = rpc_limits_default;
    deepest.depth_max = MSGPACK_DEPTH_MAX;
    char stream[4 + MSGPACK_DEPTH_MAX + 1] = "\x93\x02\xa1m";
    char out[400];
    memset(stream + 4, 0x91, MSGPACK_DEPTH_MAX);
    stream[4 + MSGPACK_DEPTH_MAX - 1] = (char)0x90;
    struct rpc_message m;
    struct error err;
    find(slice_of(stream, sizeof stream - 1), &deepest, true, out, sizeof out);
    assert_string_equal(out, "frame 68 ");
    assert_ok(rpc_read(slice_of(stream, 68), &deepest, &m, &err), &err);
    memset(stream + 4, 0x91, MSGPACK_DEPTH_MAX + 1);
    find(slice_of(stream, sizeof stream), &deepest, true, out, sizeof out);
    assert_non_null(strstr(out, "broken 0 params: nesting of 65"));
}

static void a_head_is_looked_at_once(void **state)
{
    (void)state;
    /* The bytes before `at` may be gone or changed: a walk from the start would see 0xc1. */
    uint8_t stream[] = {0x93, 2, 0xa1, 'm', 0x93, 1, 2, 3};
    struct rpc_finder f;
    struct error err;
    size_t size;
    rpc_finder_reset(&f);
    assert_int_equal(rpc_finder_feed(&f, &small, slice_of(stream, 5), &size, &err), RPC_MORE);
    memset(stream, 0xc1, 5);
    assert_int_equal(rpc_finder_feed(&f, &small, slice_of(stream, 8), &size, &err), RPC_FRAME);
    assert_int_equal(size, 8);
}

static void messages_of_each_kind_are_read(void **state)
{
    (void)state;
    struct rpc_message m;
    struct error err;
#define READ(bytes) rpc_read(slice_of(bytes, sizeof(bytes) - 1), &small, &m, &err)
    assert_ok(READ("\x94\x00\xce\xff\xff\xff\xff\xa4ping\x81\xa1k\x05"), &err);
    assert_int_equal(m.kind, RPC_REQUEST);
    assert_int_equal(m.msgid, UINT32_MAX);
    assert_true(slice_equal(m.method, slice_of_text("ping")));
    assert_true(m.params.type == VALUE_MAP && m.params.count == 1);
    assert_true(slice_equal(m.params.as.content, slice_of_text("\xa1k\x05")));
    assert_ok(READ("\x93\x02\xa4ping\x91\x01"), &err);
    assert_int_equal(m.kind, RPC_NOTIFICATION);
    assert_true(m.params.type == VALUE_ARRAY && m.params.count == 1);
    assert_ok(READ("\x94\x01\x07\xc0\xa1r"), &err);
    assert_int_equal(m.kind, RPC_RESPONSE);
    assert_true(m.msgid == 7 && m.error.type == VALUE_NULL && m.result.type == VALUE_TEXT);
}

static void a_frame_of_another_shape_is_answered_to_its_msgid(void **state)
{
    (void)state;
#define BAD(bytes, code, msgid, text)                                                              \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, code, msgid, text                                                \
    }
    static const struct {
        const char *bytes;
        size_t size;
        int code;
        int msgid; /* -1: none to answer to */
        const char *text;
    } cases[] = {
        BAD("\x94\x03\x01\xa1m\x90", LYNSE_INVALID, -1, "0, 1 or 2"),
        BAD("\x94\xff\x01\xa1m\x90", LYNSE_INVALID, -1, "0, 1 or 2"),
        BAD("\x94\xa1x\x01\xa1m\x90", LYNSE_INVALID, -1, "0, 1 or 2"),
        BAD("\x93\x00\x05\xa1m", LYNSE_INVALID, 5, "an array of 3 values, not of 4"),
        BAD("\x94\x02\x05\xa1m\x90", LYNSE_INVALID, -1, "an array of 4 values, not of 3"),
        BAD("\x94\x00\xff\xa1m\x90", LYNSE_INVALID, -1, "msgid"),
        BAD("\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xa1m\x90", LYNSE_INVALID, -1, "msgid"),
        BAD("\x94\x00\xc0\xa1m\x90", LYNSE_INVALID, -1, "msgid"),
        BAD("\x94\x00\x05\x05\x90", LYNSE_INVALID, 5, "method: must be text"),
        BAD("\x94\x00\x05\xc4\x01m\x90", LYNSE_INVALID, 5, "method: must be text"),
        BAD("\x94\x00\x05\xa0\x90", LYNSE_INVALID, 5, "method: is empty"),
        BAD("\x94\x00\x05\xa1\xff\x90", LYNSE_PARSE, 5, "method: '\\xff' is not UTF-8"),
        BAD("\x94\x00\x05\xa1m\xc0", LYNSE_INVALID, 5, "params: must be a map or an array, not"),
        BAD("\x94\x00\x05\xa1m\x81\x01\x02", LYNSE_INVALID, 5, "params: a key must be text"),
        BAD("\x94\x00\x05\xa1m\x82\xa1k\x01\xa1k\x02", LYNSE_INVALID, 5, "'k' is there twice"),
        BAD("\x94\x00\x05\xa1m\x91\xa1\xff", LYNSE_PARSE, 5, "not UTF-8"),
        BAD("\x94\x00\x05\xa1m\x91\xd4\x05x", LYNSE_INVALID, 5, "unknown msgpack extension"),
        BAD("\x94\x00\x05\xa1m\x90\x00", LYNSE_PARSE, 5, "1 bytes behind"),
        BAD("\x94\x01\x05\xc0\x81\x01\x02", LYNSE_INVALID, -1, "result: a key"),
        BAD("\x94\x00\x05\xa1m", LYNSE_PARSE, 5, "ends within"),
        BAD("\x05", LYNSE_INVALID, -1, "must be an array"),
        BAD("", LYNSE_INVALID, -1, "must be an array"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice frame = slice_of(cases[i].bytes, cases[i].size);
        struct rpc_message m;
        struct error err;
        uint32_t msgid;
        assert_fails(rpc_read(frame, &small, &m, &err), &err, cases[i].code);
        if (!strstr(err.text, cases[i].text)) assert_string_equal(err.text, cases[i].text);
        assert_int_equal(rpc_peek_msgid(frame, &msgid), cases[i].msgid >= 0);
        if (cases[i].msgid >= 0) assert_int_equal(msgid, cases[i].msgid);
    }
    char longest[8 + LIMIT_METHOD_BYTES + 2] = "\x94\x00\x05\xd9\x81";
    memset(longest + 5, 'm', LIMIT_METHOD_BYTES + 1);
    longest[5 + LIMIT_METHOD_BYTES + 1] = (char)0x90;
    struct rpc_message m;
    struct error err;
    struct slice frame = slice_of(longest, 5 + LIMIT_METHOD_BYTES + 2);
    assert_fails(rpc_read(frame, &rpc_limits_default, &m, &err), &err, LYNSE_LIMIT);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    struct buf b;
    struct error err;
    struct rpc_message m;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    rpc_write_request_head(&b, 9, slice_of_text("search"));
    msgpack_write_map(&b, 0);
    assert_ok(rpc_read(buf_slice(&b), &small, &m, &err), &err);
    assert_true(m.kind == RPC_REQUEST && m.msgid == 9 && m.params.type == VALUE_MAP);
    buf_reset(&b);
    rpc_write_notification_head(&b, slice_of_text("tick"));
    msgpack_write_array(&b, 0);
    assert_ok(rpc_read(buf_slice(&b), &small, &m, &err), &err);
    assert_true(m.kind == RPC_NOTIFICATION && slice_equal(m.method, slice_of_text("tick")));
    buf_reset(&b);
    rpc_write_result_head(&b, 9);
    msgpack_write_int(&b, -5);
    assert_ok(rpc_read(buf_slice(&b), &small, &m, &err), &err);
    assert_true(m.kind == RPC_RESPONSE && m.msgid == 9 && m.error.type == VALUE_NULL);
    assert_int_equal(m.result.as.integer, -5);
    buf_deinit(&b);
}

static void an_error_has_its_number_text_and_name(void **state)
{
    (void)state;
    static const char plain[] = "\x94\x01\x09\x93\x04\xa8not here\x81\xa4name\xa9NOT_FOUND\xc0";
    static const char busy[] = "\x94\x01\x09\x93\x0b\xa4"
                               "full\x82\xa4name\xa4"
                               "BUSY\xaeretry_after_ms\xcd\x01\x2c\xc0";
    struct error error = {.code = LYNSE_NOT_FOUND, .text = "not here"};
    struct buf b;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    rpc_write_error(&b, 9, &error);
    assert_int_equal(b.size, sizeof plain - 1);
    assert_memory_equal(b.data, plain, b.size);
    buf_reset(&b);
    error = (struct error){.code = LYNSE_BUSY, .text = "full", .retry_after_ms = 300};
    rpc_write_error(&b, 9, &error);
    assert_int_equal(b.size, sizeof busy - 1);
    assert_memory_equal(b.data, busy, b.size);
    buf_deinit(&b);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_frame_ends_where_its_last_value_does),
    cmocka_unit_test(what_cannot_be_a_frame_is_refused_at_once),
    cmocka_unit_test(a_length_that_is_too_large_is_refused_when_it_is_declared),
    cmocka_unit_test(the_deepest_frame_is_found),
    cmocka_unit_test(a_head_is_looked_at_once),
    cmocka_unit_test(messages_of_each_kind_are_read),
    cmocka_unit_test(a_frame_of_another_shape_is_answered_to_its_msgid),
    cmocka_unit_test(what_is_written_is_read_again),
    cmocka_unit_test(an_error_has_its_number_text_and_name),
};
TEST_MAIN(tests)
