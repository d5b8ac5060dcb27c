/* SPDX-License-Identifier: Apache-2.0 */
/* test_runs.c — runs at once, runs that are late, and runs without memory. */
#include "base/thread.h"
#include "support/oom_sweep.h"
#include "unit/lua/fixture.h"

static void one_run_more_than_there_are_pairs_is_busy(void **state)
{
    struct fixture f;
    struct hook_run *first, *second;

    (void)state;
    fixture_open(&f, NULL, 1);
    struct hook *hook = fixture_hook(&f, HOOK_SCORE, false, "function() end");
    assert_ok(hook_begin(hook, 0, &first, &f.err), &f.err);
    uint64_t soon_us = clock_now_us(clock_system()) + 1000;
    assert_fails(hook_begin(hook, soon_us, &second, &f.err), &f.err, LYNSE_BUSY);
    hook_end(first);
    assert_ok(hook_begin(hook, 0, &second, &f.err), &f.err);
    hook_end(second);
    hook_destroy(hook);
    fixture_close(&f);
}

static void a_trusted_hook_that_is_late_is_disabled(void **state)
{
    const float distances[] = {1, 2};
    float out[2];
    struct manual_clock clock;
    struct hook_wants wants = {0};
    struct hook_batch batch = {2, distances, NULL, 0, out};
    struct hook_run *run;
    struct fixture f;

    (void)state;
    manual_clock_init(&clock, 1000);
    fixture_open(&f, &clock.base, 1);
    struct hook *hook = fixture_hook(&f, HOOK_SCORE, true, "function() end");
    struct hook *other = fixture_hook(&f, HOOK_SCORE, true, "function() end");
    for (int i = 0; i < HOOK_OVERRUNS_MAX; i++) {
        assert_ok(hook_begin(hook, 2000, &run, &f.err), &f.err);
        assert_int_equal(hook_score(run, &batch, &wants, &f.err), HOOK_DONE);
        manual_clock_advance(&clock, 1500);
        assert_int_equal(hook_score(run, &batch, &wants, &f.err), HOOK_FAILED);
        assert_int_equal(f.err.code, LYNSE_HOOK);
        assert_non_null(strstr(f.err.text, "500 us after the deadline"));
        hook_end(run);
        clock.now_us = 1000;
    }
    assert_fails(hook_begin(hook, 2000, &run, &f.err), &f.err, LYNSE_HOOK);
    assert_non_null(strstr(f.err.text, "disabled"));
    assert_ok(hook_begin(other, 2000, &run, &f.err), &f.err);
    hook_end(run);
    hook_destroy(hook);
    hook_destroy(other);
    fixture_close(&f);
}

static void a_run_ends_with_its_budget(void **state)
{
    const float distances[] = {1};
    float out[1];
    struct hook_wants wants = {0};
    struct hook_batch batch = {1, distances, NULL, 0, out};
    struct hook_run *run;
    struct fixture f;

    (void)state;
    fixture_open(&f, NULL, 1);
    struct hook *hook =
        fixture_hook(&f, HOOK_SCORE, false, "function(n, d, f, out) while true do end end");
    assert_ok(hook_begin(hook, clock_now_us(clock_system()) + 5000, &run, &f.err), &f.err);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hook_score(run, &batch, &wants, &f.err), HOOK_FAILED);
        assert_non_null(strstr(f.err.text, "score:1: stopped at the deadline"));
    }
    hook_end(run);
    hook_destroy(hook);
    fixture_close(&f);
}

/* ---- Threads ---- */

struct searcher {
    struct hook *hooks[4];
    int round_count;
    int failures;
    struct thread thread;
};

static void search(void *ctx)
{
    struct searcher *me = ctx;
    const float distances[] = {1, 2, 3, 4};
    const double column[] = {10, 20, 30, 40};
    const double *columns[HOOK_FIELDS_MAX] = {column};
    static _Thread_local struct hook_wants wants;

    for (int i = 0; i < me->round_count; i++) {
        int which = i % 4;
        struct hook_run *run;
        float out[4];
        enum hook_result result = HOOK_WANTS_MORE;
        if (hook_begin(me->hooks[which], 0, &run, NULL) != 0) {
            me->failures++;
            continue;
        }
        memset(&wants, 0, sizeof wants);
        while (result == HOOK_WANTS_MORE) {
            struct hook_batch batch = {4, distances, columns, wants.field_count, out};
            result = hook_score(run, &batch, &wants, NULL);
        }
        hook_end(run);
        bool is_bad = which == 3; /* it errs */
        if ((result == HOOK_FAILED) != is_bad) me->failures++;
        if (!is_bad && (out[0] != 11 || out[3] != 44)) me->failures++;
    }
}

static void several_threads_share_a_host(void **state)
{
    enum { THREADS = 3 };
    const char *adds = "function(n, d, field, out)\n"
                       "for i = 0, n - 1 do out[i] = d[i] + field.ten[i] end end";
    const char *adds_slowly = "function(n, d, field, out) local t = {}\n"
                              "for i = 0, n - 1 do t[#t + 1] = d[i] + field.ten[i] end\n"
                              "for i = 0, n - 1 do out[i] = t[i + 1] end end";
    struct searcher searchers[THREADS];
    struct fixture f;

    (void)state;
    fixture_open(&f, NULL, 2);
    struct hook *hooks[4] = {fixture_hook(&f, HOOK_SCORE, true, adds),
                             fixture_hook(&f, HOOK_SCORE, false, adds),
                             fixture_hook(&f, HOOK_SCORE, false, adds_slowly),
                             fixture_hook(&f, HOOK_SCORE, false, "function() error('no') end")};
    for (int i = 0; i < THREADS; i++) {
        searchers[i] = (struct searcher){.round_count = test_rounds(2000)};
        memcpy(searchers[i].hooks, hooks, sizeof hooks);
        assert_ok(thread_start(&searchers[i].thread, "search", search, &searchers[i], &f.err),
                  &f.err);
    }
    for (int i = 0; i < THREADS; i++) {
        thread_join(&searchers[i].thread);
        assert_int_equal(searchers[i].failures, 0);
    }
    for (int i = 0; i < 4; i++) hook_destroy(hooks[i]);
    fixture_close(&f);
}

/* ---- Memory ---- */

static int prepare_and_score(void *ctx, struct error *err)
{
    struct lua_host_desc desc = {.alloc = ctx, .pair_max = 1};
    struct hook_desc source = {
        .point = HOOK_SCORE,
        .source = slice_of_text("local t = {} return function(n, d, field, out)\n"
                                "out[0] = #(('x'):rep(3) .. 'y') + field.x[0]; t.x = { n } end")};
    const float distances[] = {1};
    const double column[] = {2};
    const double *columns[HOOK_FIELDS_MAX] = {column};
    float out[1] = {0};
    static struct hook_wants wants;
    struct hook_host *host;
    struct hook *hook = NULL;
    struct hook_run *run = NULL;
    enum hook_result result = HOOK_WANTS_MORE;

    memset(&wants, 0, sizeof wants);
    if (lua_host_create(&desc, &host, err) != 0) return -1;
    if (hook_prepare(host, &source, &hook, err) != 0 || hook_begin(hook, 0, &run, err) != 0)
        result = HOOK_FAILED;
    while (result == HOOK_WANTS_MORE) {
        struct hook_batch batch = {1, distances, columns, wants.field_count, out};
        result = hook_score(run, &batch, &wants, err);
    }
    if (result == HOOK_DONE) assert_true(out[0] == 6);
    hook_end(run);
    hook_destroy(hook);
    lua_host_destroy(host);
    return result == HOOK_DONE ? 0 : -1;
}

static void without_memory_it_says_so(void **state)
{
    struct alloc *a = alloc_create(NULL, 0);
    (void)state;
    oom_sweep(a, prepare_and_score, a);
    alloc_destroy(a);
}

static void without_a_host_there_are_no_scripts(void **state)
{
    struct hook_desc desc = {.point = HOOK_SCORE, .source = slice_of_text("function() end")};
    struct hook *hook;
    struct error err;
    (void)state;
    assert_fails(hook_prepare(NULL, &desc, &hook, &err), &err, LYNSE_UNSUPPORTED);
    hook_destroy(NULL);
    hook_end(NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_run_more_than_there_are_pairs_is_busy),
    cmocka_unit_test(a_trusted_hook_that_is_late_is_disabled),
    cmocka_unit_test(a_run_ends_with_its_budget),
    cmocka_unit_test(several_threads_share_a_host),
    cmocka_unit_test(without_memory_it_says_so),
    cmocka_unit_test(without_a_host_there_are_no_scripts),
};
TEST_MAIN(tests)
