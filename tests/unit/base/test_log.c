/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/thread.h"
#include "base/utf8.h"
#include "support/test.h"

struct lines {
    int count;
    enum log_level level;
    char last[2000];
};

static void remember(void *ctx, enum log_level level, const char *message)
{
    struct lines *l = ctx;
    l->count++;
    l->level = level;
    snprintf(l->last, sizeof l->last, "%s", message);
}

static void silent_without_a_sink(void **state)
{
    (void)state;
    struct lines l = {0};
    log_event(LOG_ERROR, "nobody listens");
    log_set_sink(remember, &l, LOG_DEBUG);
    log_set_sink(NULL, NULL, LOG_DEBUG);
    log_event(LOG_ERROR, "nobody listens any more");
    assert_int_equal(l.count, 0);
}

static void sink_gets_the_message_from_its_level_up(void **state)
{
    (void)state;
    struct lines l = {0};
    log_set_sink(remember, &l, LOG_WARN);
    log_event(LOG_DEBUG, "d");
    log_event(LOG_INFO, "i");
    assert_int_equal(l.count, 0);
    log_event(LOG_WARN, "segment_sealed rows=%d name=\"%s\"", 7, "a b");
    assert_int_equal(l.count, 1);
    assert_int_equal(l.level, LOG_WARN);
    assert_string_equal(l.last, "segment_sealed rows=7 name=\"a b\"");
    log_event(LOG_ERROR, "%s", "");
    assert_int_equal(l.count, 2);
    assert_string_equal(l.last, "");
    log_set_sink(NULL, NULL, LOG_DEBUG);
}

static void message_is_one_line_of_text(void **state)
{
    (void)state;
    struct lines l = {0};
    log_set_sink(remember, &l, LOG_DEBUG);
    log_event(LOG_INFO, "login name=\"%s\"", "x\nERROR forged\r\t\x1B[31m\x7F\xFF");
    assert_string_equal(l.last, "login name=\"x ERROR forged   [31m ?\"");
    static char text[5000];
    for (int shift = 0; shift < 4; shift++) {
        memset(text, 0, sizeof text);
        memset(text, 'a', (size_t)shift);
        for (size_t at = (size_t)shift; at + 3 < sizeof text; at += 3)
            memcpy(text + at, "\xE2\x82\xAC", 3);
        log_event(LOG_INFO, "%s", text);
        size_t size = strlen(l.last);
        assert_true(size > 1000 && size < 1024);
        assert_true(utf8_is_valid(l.last, size));
        assert_memory_equal(l.last, text, size);
    }
    log_set_sink(NULL, NULL, LOG_DEBUG);
}

static void log_once_more(void *ctx, enum log_level level, const char *message)
{
    struct lines *l = ctx;
    remember(ctx, level, message);
    if (l->count == 1) log_event(LOG_ERROR, "from the sink: %s", message);
}

static void sink_may_log(void **state)
{
    (void)state;
    struct lines l = {0};
    log_set_sink(log_once_more, &l, LOG_DEBUG);
    log_event(LOG_INFO, "hello");
    assert_int_equal(l.count, 2);
    assert_string_equal(l.last, "from the sink: hello");
    log_set_sink(NULL, NULL, LOG_DEBUG);
}

static void log_many(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < 3000; i++) log_event(LOG_INFO, "tick n=%d", i);
}

static void count_if_open(void *ctx, enum log_level level, const char *message)
{
    (void)level;
    (void)message;
    bool *is_open = ctx;
    assert_true(*is_open);
}

static void replaced_sink_is_not_called_again(void **state)
{
    (void)state;
    struct thread threads[3] = {{0}};
    struct error err;
    bool is_open = true;
    for (int i = 0; i < 3; i++)
        assert_ok(thread_start(&threads[i], "log", log_many, NULL, &err), &err);
    for (int i = 0; i < 300; i++) {
        is_open = true;
        log_set_sink(count_if_open, &is_open, LOG_DEBUG);
        log_set_sink(NULL, NULL, LOG_DEBUG);
        is_open = false;
    }
    for (int i = 0; i < 3; i++) thread_join(&threads[i]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(silent_without_a_sink),
    cmocka_unit_test(sink_gets_the_message_from_its_level_up),
    cmocka_unit_test(message_is_one_line_of_text),
    cmocka_unit_test(sink_may_log),
    cmocka_unit_test(replaced_sink_is_not_called_again),
};

TEST_MAIN(tests)
