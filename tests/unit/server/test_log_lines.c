/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include "codec/json.h"
#include "server/log_lines.h"

/* What stands behind "event":"…" in the line of a message, without the brace. */
static const char *fields_of(const char *message)
{
    static struct log_line line;

    log_line_fields(&line, LOG_WARN, message);
    line.bytes[line.size] = '\0';
    const char *event = strstr(line.bytes, "\"event\":");
    assert_non_null(event);
    return event + strlen("\"event\":");
}

static void assert_is_object(const struct log_line *line)
{
    static const struct msgpack_limits limits = {.what = "line",
                                                 .bytes_max = LOG_LINE_BYTES,
                                                 .node_count_max = 1000,
                                                 .depth_max = 2,
                                                 .key_count_max = 500,
                                                 .has_text_keys = true};
    struct error err = {0};
    struct buf json, packed;

    buf_init(&json, alloc_libc(), MEM_GENERAL);
    buf_init(&packed, alloc_libc(), MEM_GENERAL);
    buf_append(&json, line->bytes, line->size);
    buf_append_u8(&json, '}');
    if (json_to_msgpack(buf_slice(&json), &limits, &packed, &err) != 0)
        fail_msg("%s: %.*s", err.text, (int)json.size, (const char *)json.data);
    buf_deinit(&json);
    buf_deinit(&packed);
}

static void events_of_the_engine_become_fields(void **state)
{
    (void)state;
    static const struct {
        const char *message, *fields;
    } cases[] = {
        {"sealed", "\"sealed\""},
        {"sealed number=17 name=x", "\"sealed\",\"number\":17,\"name\":\"x\""},
        {"a level=avx2 ms=-1 n=007 big=1234567890123456789",
         "\"a\",\"level\":\"avx2\",\"ms\":\"-1\",\"n\":\"007\",\"big\":\"1234567890123456789\""},
        {"a name=\"db/x y\" lsn=0", "\"a\",\"name\":\"db/x y\",\"lsn\":0"},
        {"a reason=\"the file \"b\" is \\ gone\" n=1",
         "\"a\",\"reason\":\"the file \\\"b\\\" is \\\\ gone\",\"n\":1"},
        {"a reason=\"cut off", "\"a\",\"reason\":\"cut off\""},
        {"a reason=\"\"", "\"a\",\"reason\":\"\""},
        {"a reason=", "\"a\",\"reason\":\"\""},
        {"a some words n=1", "\"a\",\"text\":\"some words n=1\""},
        {"", "\"\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(fields_of(cases[i].message), cases[i].fields);
}

static void a_line_is_an_object_whatever_it_is_given(void **state)
{
    (void)state;
    struct log_line line;
    char every[256], large[3 * LOG_TEXT_BYTES_MAX];

    for (size_t i = 0; i < sizeof every; i++) every[i] = (char)i;
    memset(large, '\\', sizeof large);
    log_line_begin(&line, LOG_INFO, "a \"b\"\n");
    log_line_text(&line, "bytes", slice_of(every, sizeof every));
    log_line_text(&line, "none", slice_of(NULL, 0));
    log_line_number(&line, "number", UINT64_MAX);
    assert_is_object(&line);
    for (int i = 0; i < 100; i++) {
        log_line_text(&line, "large", slice_of(large, sizeof large));
        log_line_number(&line, "number", (uint64_t)i);
        assert_true(line.size < LOG_LINE_BYTES);
    }
}

static void a_text_that_is_too_long_ends_between_characters(void **state)
{
    (void)state;
    struct log_line line;
    char text[LOG_TEXT_BYTES_MAX + 2];

    for (size_t i = 0; i + 1 < sizeof text; i += 2) memcpy(text + i, "\xc3\xa9", 2);
    memmove(text + 1, text, sizeof text - 1);
    text[0] = 'a';
    log_line_begin(&line, LOG_INFO, "x");
    log_line_text(&line, "text", slice_of(text, sizeof text));
    assert_is_object(&line);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(events_of_the_engine_become_fields),
    cmocka_unit_test(a_line_is_an_object_whatever_it_is_given),
    cmocka_unit_test(a_text_that_is_too_long_ends_between_characters),
};
TEST_MAIN(tests)
