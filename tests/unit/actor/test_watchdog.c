/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/watchdog.h"
#include "base/log.h"
#include "unit/actor/recorder.h"

struct lines {
    size_t stuck_count;
    size_t overloaded_count;
    char last[512];
};

static void keep_line(void *ctx, enum log_level level, const char *message)
{
    struct lines *l = ctx;

    assert_int_equal(level, LOG_WARN);
    if (strncmp(message, "actor_stuck", strlen("actor_stuck")) == 0) l->stuck_count++;
    if (strncmp(message, "actor_overloaded", strlen("actor_overloaded")) == 0)
        l->overloaded_count++;
    snprintf(l->last, sizeof l->last, "%s", message);
}

/* A handler that takes 70 seconds, seen by the watchdog each second. */
static void take_long(struct actor *a, struct message **batch, size_t count)
{
    struct manual_clock *clock = a->state;

    for (size_t i = 0; i < count; i++) message_destroy(batch[i]);
    for (int second = 0; second < 70; second++) {
        assert_true(watchdog_scan(a->scheduler, clock->now_us));
        manual_clock_advance(clock, 1000000);
    }
}

static void a_stuck_actor_is_named_once_per_doubling(void **state)
{
    static const struct actor_ops slow = {.on_batch = take_long};
    struct manual_clock clock;
    struct lines lines = {0};

    (void)state;
    manual_clock_init(&clock, 0);
    struct scheduler *s = make_inline(&clock.base);
    struct actor_desc desc = {.ops = &slow, .state = &clock, .name = "tortoise"};
    struct actor *a = actor_create(s, &desc, NULL);
    log_set_sink(keep_line, &lines, LOG_DEBUG);
    assert_false(watchdog_scan(s, clock.now_us));
    actor_send(a, &note_create(s, 1)->base);
    poll_all(s);
    assert_int_equal(lines.stuck_count, 4); /* after 5, 10, 20 and 40 seconds */
    assert_non_null(strstr(lines.last, "tortoise"));
    assert_false(watchdog_scan(s, clock.now_us));
    actor_send(a, &note_create(s, 1)->base);
    poll_all(s);
    assert_int_equal(lines.stuck_count, 8); /* the next batch is reported anew */
    log_set_sink(NULL, NULL, LOG_DEBUG);
    actor_destroy(a);
    scheduler_destroy(s);
}

static void send_many(struct recorder *r, size_t count)
{
    struct scheduler *s = r->actor->scheduler;
    for (size_t i = 0; i < count; i++) actor_send(r->actor, &note_create(s, i)->base);
}

static void a_growing_mailbox_is_reported_once_per_doubling(void **state)
{
    struct manual_clock clock;
    struct lines lines = {0};

    (void)state;
    manual_clock_init(&clock, 0);
    struct scheduler *s = make_inline(&clock.base);
    struct recorder *r = recorder_create(s);
    log_set_sink(keep_line, &lines, LOG_DEBUG);
    send_many(r, WATCH_LENGTH - 1);
    poll_all(s);
    assert_int_equal(lines.overloaded_count, 0);
    send_many(r, 3 * WATCH_LENGTH);
    poll_all(s);
    assert_int_equal(lines.overloaded_count, 1);
    send_many(r, 3 * WATCH_LENGTH);
    poll_all(s);
    assert_int_equal(lines.overloaded_count, 1); /* not longer than before */
    send_many(r, 4 * WATCH_LENGTH);
    poll_all(s);
    assert_int_equal(lines.overloaded_count, 2);
    manual_clock_advance(&clock, WATCH_QUIET_US + 1);
    send_many(r, 1); /* quiet for a while: the next trouble is news */
    poll_all(s);
    send_many(r, WATCH_LENGTH);
    poll_all(s);
    assert_int_equal(lines.overloaded_count, 3);
    log_set_sink(NULL, NULL, LOG_DEBUG);
    recorder_destroy(r);
    scheduler_destroy(s);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_stuck_actor_is_named_once_per_doubling),
    cmocka_unit_test(a_growing_mailbox_is_reported_once_per_doubling),
};

TEST_MAIN(tests)
