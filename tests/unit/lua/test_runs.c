/* SPDX-License-Identifier: Apache-2.0 */
/* test_runs.c — runs at once, runs that are late, and runs without memory. */
#include "base/thread.h"
#include "lua/budget.h"
#include "lua/lateness.h"
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

/* A clock that goes on by `step_us` whenever it is read. */
struct ticking_clock {
    struct clock base; /* first */
    uint64_t now_us, step_us;
};

static uint64_t tick(const struct clock *c)
{
    struct ticking_clock *t = (struct ticking_clock *)c;
    t->now_us += t->step_us;
    return t->now_us;
}

static const char late_source[] = "function() end -- late";

/* One search with a hook of its own, each of whose calls takes step_us; its error is in f->err. */
static int search_trusted(struct fixture *f, struct ticking_clock *clock, const char *source,
                          uint64_t step_us)
{
    const float distances[] = {1, 2};
    float out[2];
    struct hook_wants wants = {0};
    struct hook_batch batch = {2, distances, NULL, 0, out};
    struct hook_run *run;
    struct hook *hook;

    clock->step_us = 0;
    clock->now_us = 1000;
    if (fixture_prepare(f, HOOK_SCORE, true, source, &hook) != 0) return -1;
    assert_ok(hook_begin(hook, 2000, &run, &f->err), &f->err);
    clock->step_us = step_us;
    /* Two calls of a run are one that was late. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hook_score(run, &batch, &wants, &f->err), HOOK_FAILED);
        assert_int_equal(f->err.code, LYNSE_HOOK);
        assert_non_null(strstr(f->err.text, "us after the deadline"));
    }
    hook_end(run);
    hook_destroy(hook);
    return 0;
}

static void a_trusted_source_that_is_late_is_disabled(void **state)
{
    struct ticking_clock clock = {.base = {.monotonic_us = tick}};
    struct hook *other, *hook = NULL;
    struct hook_run *run;
    struct fixture f;

    (void)state;
    fixture_open(&f, &clock.base, 1);
    other = fixture_hook(&f, HOOK_SCORE, true, "function() end -- in time");
    /* Who asks too late has himself to blame. */
    for (int i = 0; i < 10; i++) assert_int_equal(search_trusted(&f, &clock, late_source, 2000), 0);
    for (int i = 0; i < HOOK_OVERRUNS_MAX; i++)
        assert_int_equal(search_trusted(&f, &clock, late_source, BUDGET_US), 0);
    assert_int_equal(search_trusted(&f, &clock, late_source, 0), -1);
    assert_int_equal(f.err.code, LYNSE_HOOK);
    assert_non_null(strstr(f.err.text, "score: disabled until the root is opened again: 3 "));
    assert_ok(hook_begin(other, 2000, &run, &f.err), &f.err);
    hook_end(run);
    hook_destroy(other);
    /* Not trusted, it can be stopped, and is welcome. */
    hook = fixture_hook(&f, HOOK_SCORE, false, late_source);
    hook_destroy(hook);
    fixture_close(&f);
}

static void ours_are_not_disabled(void **state)
{
    struct ticking_clock clock = {.base = {.monotonic_us = tick}};
    struct hook_desc desc = {.point = HOOK_RERANK, .builtin = slice_of_text("mmr")};
    struct hook_hits hits = {.dim = 1};
    struct hook_order order = {0};
    struct hook_wants wants = {0};
    struct hook_run *run;
    struct hook *hook;
    struct fixture f;

    (void)state;
    fixture_open(&f, &clock.base, 1);
    for (int i = 0; i <= HOOK_OVERRUNS_MAX; i++) {
        clock.step_us = 0;
        clock.now_us = 1000;
        assert_ok(hook_prepare(f.host, &desc, &hook, &f.err), &f.err);
        assert_ok(hook_begin(hook, 2000, &run, &f.err), &f.err);
        clock.step_us = BUDGET_US;
        assert_int_equal(hook_rerank(run, &hits, &wants, &order, &f.err), HOOK_FAILED);
        assert_non_null(strstr(f.err.text, "us after the deadline"));
        hook_end(run);
        hook_destroy(hook);
    }
    fixture_close(&f);
}

static struct hash128 hash_of(uint64_t i)
{
    return (struct hash128){hash_u64(i), i};
}

static void late_sources_are_few(void **state)
{
    struct lateness l;
    struct hash128 first = hash_of(0);

    (void)state;
    lateness_init(&l);
    for (int i = 0; i < HOOK_OVERRUNS_MAX; i++) {
        assert_false(lateness_forbids(&l, &first));
        lateness_note(&l, &first);
    }
    for (uint64_t i = 1; i < 10 * LATENESS_SOURCES; i++) {
        struct hash128 hash = hash_of(i);
        lateness_note(&l, &hash);
        assert_true(lateness_forbids(&l, &first));
        assert_false(lateness_forbids(&l, &hash));
    }
    for (uint64_t i = 1; i <= LATENESS_SOURCES; i++) {
        struct hash128 hash = hash_of(i);
        for (int k = 0; k < HOOK_OVERRUNS_MAX; k++) lateness_note(&l, &hash);
        assert_true(lateness_forbids(&l, &hash));
    }
    assert_false(lateness_forbids(&l, &first)); /* the oldest made room */
    lateness_deinit(&l);
}

/* ---- Budgets ---- */

/* A run of one batch; how often it was called.  What it wants, it is given. */
static int run_batch(struct fixture *f, const char *source, size_t n, enum hook_result *out)
{
    static float distances[HOOK_BATCH_ROWS], scores[HOOK_BATCH_ROWS];
    static double column[HOOK_BATCH_ROWS];
    const double *columns[HOOK_FIELDS_MAX];
    static struct hook_wants wants;
    struct hook *hook = fixture_hook(f, HOOK_SCORE, false, source);
    struct hook_run *run;
    int calls = 0;

    memset(&wants, 0, sizeof wants);
    for (size_t i = 0; i < HOOK_FIELDS_MAX; i++) columns[i] = column;
    assert_ok(hook_begin(hook, 0, &run, &f->err), &f->err);
    do {
        struct hook_batch batch = {n, distances, columns, wants.field_count, scores};
        *out = hook_score(run, &batch, &wants, &f->err);
        calls++;
    } while (*out == HOOK_WANTS_MORE);
    hook_end(run);
    hook_destroy(hook);
    return calls;
}

/* A loop of about 200,000 steps before each field. */
static const char slow_source[] = "function(n, distance, field)\n"
                                  "  for k = 1, 30 do\n"
                                  "    for i = 1, 200000 do end\n"
                                  "    local x = field['f' .. k][0]\n"
                                  "  end\n"
                                  "end";

static void a_batch_has_its_steps_in_all_its_calls_together(void **state)
{
    struct manual_clock clock;
    enum hook_result result;
    struct fixture f;

    (void)state;
    manual_clock_init(&clock, 1000);
    fixture_open(&f, &clock.base, 1);
    /* Each call alone would be within them. */
    int calls = run_batch(&f, slow_source, 3, &result);
    assert_int_equal(result, HOOK_FAILED);
    assert_int_equal(f.err.code, LYNSE_HOOK);
    assert_non_null(strstr(f.err.text, "score:3: stopped after 10000300 steps, the limit of a"));
    assert_true(calls >= 5 && calls < 15);
    /* More candidates, more steps: 400,000 for a full batch. */
    run_batch(&f, "function() for i = 1, 10200000 do end end", 3, &result);
    assert_int_equal(result, HOOK_FAILED);
    run_batch(&f, "function() for i = 1, 10200000 do end end", HOOK_BATCH_ROWS, &result);
    assert_int_equal(result, HOOK_DONE);
    fixture_close(&f);
}

static void a_batch_has_its_time_in_all_its_calls_together(void **state)
{
    struct ticking_clock clock = {.base = {.monotonic_us = tick}, .step_us = 4};
    enum hook_result result;
    struct fixture f;

    (void)state;
    fixture_open(&f, &clock.base, 1);
    /* A look at the clock each 100 steps: a call is 8 ms longer than the one before. */
    int calls = run_batch(&f, slow_source, 3, &result);
    assert_int_equal(result, HOOK_FAILED);
    assert_non_null(strstr(f.err.text, "score:3: stopped after 50000 us, the limit of a batch"));
    assert_true(calls >= 2 && calls < 5);
    fixture_close(&f);
}

static uint64_t stand(const struct clock *c)
{
    (void)c;
    return 1000;
}

static void a_busy_machine_ends_no_script_early(void **state)
{
    /* Hours pass, in which the thread has had no processor. */
    struct ticking_clock clock = {.base = {.monotonic_us = tick, .processor_us = stand},
                                  .step_us = 60000000};
    enum hook_result result;
    struct fixture f;

    (void)state;
    fixture_open(&f, &clock.base, 1);
    run_batch(&f, "function() for i = 1, 20000 do end end", 1, &result);
    if (result != HOOK_DONE) fail_msg("%s", f.err.text);
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

struct memory {
    struct alloc *alloc;
    bool is_trusted;
};

static int prepare_and_score(void *ctx, struct error *err)
{
    struct memory *m = ctx;
    struct lua_host_desc desc = {.alloc = m->alloc, .pair_max = 1};
    struct hook_desc source = {
        .point = HOOK_SCORE,
        .is_trusted = m->is_trusted,
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
    struct memory plain = {a, false}, trusted = {a, true};
    (void)state;
    oom_sweep(a, prepare_and_score, &plain);
    oom_sweep(a, prepare_and_score, &trusted);
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
    cmocka_unit_test(a_trusted_source_that_is_late_is_disabled),
    cmocka_unit_test(ours_are_not_disabled),
    cmocka_unit_test(late_sources_are_few),
    cmocka_unit_test(a_batch_has_its_steps_in_all_its_calls_together),
    cmocka_unit_test(a_batch_has_its_time_in_all_its_calls_together),
    cmocka_unit_test(a_busy_machine_ends_no_script_early),
    cmocka_unit_test(a_run_ends_with_its_budget),
    cmocka_unit_test(several_threads_share_a_host),
    cmocka_unit_test(without_memory_it_says_so),
    cmocka_unit_test(without_a_host_there_are_no_scripts),
};
TEST_MAIN(tests)
