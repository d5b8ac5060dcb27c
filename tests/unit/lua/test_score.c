/* SPDX-License-Identifier: Apache-2.0 */
/* test_score.c — hooks that score: what they see, what they answer, what they cannot keep. */
#include "unit/lua/fixture.h"

static struct fixture f;

static int open_fixture(void **state)
{
    (void)state;
    fixture_open(&f, NULL, 2);
    return 0;
}
static int close_fixture(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

static void expect(bool is_trusted, const char *source, float a, float b, float c)
{
    float out[3] = {0, 0, 0};
    if (fixture_try(&f, is_trusted, source, out) != HOOK_DONE) fail_msg("%s", f.err.text);
    if (out[0] != a || out[1] != b || out[2] != c)
        fail_msg("%g %g %g for %s", (double)out[0], (double)out[1], (double)out[2], source);
}

static void expect_error(bool is_trusted, const char *source, int code, const char *text)
{
    float out[3];
    assert_int_equal(fixture_try(&f, is_trusted, source, out), HOOK_FAILED);
    if (f.err.code != code || !strstr(f.err.text, text))
        fail_msg("%s '%s' for %s", error_name(f.err.code), f.err.text, source);
}

static void scores_with_distance_and_fields(void **state)
{
    const char *source = "return function(n, distance, field, out)\n"
                         "  for i = 0, n - 1 do\n"
                         "    out[i] = 2 * distance[i] + field.x5[i] - field['x1'][i]\n"
                         "  end\n"
                         "end";
    (void)state;
    expect(true, source, 6, 8, 10);
    expect(false, source, 6, 8, 10);
}

static void takes_a_function_for_a_chunk(void **state)
{
    (void)state;
    for (int trusted = 0; trusted < 2; trusted++) {
        expect(trusted, "function(n, d, f, out) out[1] = 7 end", 1, 7, 3);
        expect(trusted, "  -- words\nfunction(n, d, f, out) out[1] = 7 end", 1, 7, 3);
        expect(trusted, "local k = 2 return function(n, d, f, out) out[k] = k end", 1, 2, 2);
    }
}

static void rows_left_alone_keep_their_distance(void **state)
{
    (void)state;
    expect(true, "function() end", 1, 2, 3);
    expect(false, "function() end", 1, 2, 3);
}

static void nan_drops_a_row(void **state)
{
    const char *source = "function(n, d, field, out) out[0] = field.none[0]; out[1] = 0/0 end";
    (void)state;
    for (int trusted = 0; trusted < 2; trusted++) {
        float out[3];
        assert_int_equal(fixture_try(&f, trusted, source, out), HOOK_DONE);
        assert_true(isnan(out[0]) && isnan(out[1]));
        assert_true(out[2] == 3);
    }
}

static void fields_are_named_by_use_alone(void **state)
{
    const float distances[] = {1, 2};
    float out[2];
    struct hook_wants wants = {0};
    const char *source = "function(n, d, field, out)\n"
                         "  local f = field\n"
                         "  if n > 100 then out[0] = f.never[0] end\n"
                         "  out[0] = f['x' .. 3][0] + f.x2[0] + f.x3[1]\n"
                         "end";
    (void)state;
    for (int trusted = 0; trusted < 2; trusted++) {
        struct hook *hook = fixture_hook(&f, HOOK_SCORE, trusted, source);
        memset(&wants, 0, sizeof wants);
        assert_int_equal(fixture_score(&f, hook, 2, distances, out, &wants), HOOK_DONE);
        assert_true(out[0] == 3 + 2 + 4);
        assert_int_equal(wants.field_count, 2);
        assert_memory_equal(wants.fields[0].name, "x3", 2);
        assert_memory_equal(wants.fields[1].name, "x2", 2);
        hook_destroy(hook);
    }
    expect_error(false,
                 "function(n, d, field) for i = 1, 99 do field['f' .. i] = field[i .. ''] "
                 "end end",
                 LYNSE_HOOK, "reads more than 32 fields");
    expect_error(false, "function(n, d, field) return field[('x'):rep(256)] end", LYNSE_HOOK,
                 "1 to 255 bytes");
    expect_error(false, "function(n, d, field) return field['a\\0b'] end", LYNSE_HOOK, "NUL");
    /* What is asked for inside pcall is given all the same. */
    expect(false, "function(n, d, field, out) pcall(function() out[0] = field.x4[0] end) end", 4, 2,
           3);
    expect(true, "function(n, d, field, out) pcall(function() out[0] = field.x4[0] end) end", 4, 2,
           3);
}

static void errors_say_hook_and_line(void **state)
{
    (void)state;
    for (int trusted = 0; trusted < 2; trusted++) {
        expect_error(trusted, "return function(n)\n local x = nothing.y end", LYNSE_HOOK,
                     "score:2: attempt to index global 'nothing'");
        expect_error(trusted, "function(\n n) x y end", LYNSE_PARSE, "score:2:");
        expect_error(trusted, "return 1 +", LYNSE_PARSE, "score:1: unexpected symbol");
        expect_error(trusted, "", LYNSE_HOOK, "returns a nil instead of a function");
        expect_error(trusted, "return {}", LYNSE_HOOK, "returns a table");
        expect_error(trusted, "error('at once')", LYNSE_HOOK, "score:1: at once");
        expect_error(trusted, "function() error({}) end", LYNSE_HOOK, "score: raised a table");
        expect_error(trusted, "function() error('a\\n\\200b', 0) end", LYNSE_HOOK, "score: a ?b");
        expect_error(trusted, "\27LJ\2\n", LYNSE_PARSE, "score");
    }
    expect_error(false, "function(n, d, f, out) out[2] = 'far' end", LYNSE_HOOK,
                 "out[2] is a string");
}

/* A function alone is tried as a chunk too, of which nothing is to be heard. */
static void syntax_errors_are_about_what_was_written(void **state)
{
    static const struct {
        const char *source, *error;
    } cases[] = {
        {"function(n, d)\n  for i = 0, n do x y end\nend", "score:2: '=' expected near 'y'"},
        {"function(n) local x = 1 +\n\nend", "score:3: unexpected symbol near 'end'"},
        {"-- words\nfunction(n)\n  if n then\nend", "score:4: 'end' expected (to close"},
        {"function(n) end end", "score:1: '<eof>' expected near 'end'"},
        {"function(n) local 1 end\nlocal function(x)", "score:1: '<name>' expected near '1'"},
        /* These are chunks. */
        {"local function f() end\nfunction(n) x y end", "score:2: '<name>' expected near '('"},
        {"local x = \nreturn function(n) end y", "score:2: unexpected symbol near 'return'"},
        {"return function(n)\n x y end", "score:2: '=' expected near 'y'"},
        {"x y", "score:1: '=' expected near 'y'"},
        {"function f(n) x y end", "score:1: '=' expected near 'y'"},
    };
    (void)state;
    for (int trusted = 0; trusted < 2; trusted++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            expect_error(trusted, cases[i].source, LYNSE_PARSE, cases[i].error);
}

static void a_long_source_is_refused(void **state)
{
    size_t size = HOOK_SOURCE_BYTES_MAX + 1;
    char *source = malloc(size + 1);
    struct hook *hook;

    (void)state;
    assert_non_null(source);
    memset(source, ' ', size);
    memcpy(source, "return print", 12);
    source[size] = '\0';
    assert_fails(fixture_prepare(&f, HOOK_SCORE, false, source, &hook), &f.err, LYNSE_LIMIT);
    source[size - 1] = '\0';
    assert_fails(fixture_prepare(&f, HOOK_SCORE, false, source, &hook), &f.err, LYNSE_HOOK);
    free(source);
}

static void nothing_is_left_of_a_run(void **state)
{
    const char *global = "count = (count or 0) + 1\n"
                         "return function(n, d, f, out)\n"
                         "  out[0] = count; rawset(_G, 'seen', (seen or 0) + 1); out[1] = seen\n"
                         "  math.pi = (math.pi < 4 and 5 or 9); out[2] = math.pi\n"
                         "end";
    const char *local = "local count = 0\n"
                        "return function(n, d, f, out) count = count + 1; out[0] = count end";
    (void)state;
    for (int round = 0; round < 3; round++)
        for (int trusted = 0; trusted < 2; trusted++) {
            expect(trusted, global, 1, 1, 5);
            expect(trusted, local, 1, 2, 3);
        }
    expect(false, "string.upper = nil return function(n, d, f, out) out[0] = #('a'):upper() end", 1,
           2, 3);
    expect(false, "function(n, d, f, out) out[0] = string.upper and 8 or 9 end", 8, 2, 3);
}

static void a_script_reaches_each_global_that_it_names(void **state)
{
    static const char *const names[] = {
        "assert",       "error",
        "getmetatable", "ipairs",
        "next",         "pairs",
        "pcall",        "rawequal",
        "rawget",       "rawset",
        "select",       "tonumber",
        "type",         "unpack",
        "_VERSION",     "_G",
        "bit",          "setmetatable",
        "tostring",     "string",
        "table",        "math",
        "_G._G",        "math.tanh",
        "_G.bit.tohex", "--[[x]]string--[[y]].upper",
    };
    char source[128];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int trusted = 0; trusted < 2; trusted++) {
            snprintf(source, sizeof source, "function(n, d, f, out) out[0] = (%s) and 7 or 8 end",
                     names[i]);
            expect(trusted, source, 7, 2, 3);
        }
    /* Names that are made while it runs, and those of nothing. */
    expect(false,
           "local g = _G return function(n, d, f, out) out[0] = #g['str' .. 'ing'].rep('x', 4) end",
           4, 2, 3);
    expect(true, "function(n, d, f, out) _G.k = 5 out[0] = k out[1] = strin and 1 or 6 end", 5, 6,
           3);
    expect(false, "x9 = 4 return function(n, d, f, out) out[0] = x9 end", 4, 2, 3);
    expect(true, "function(n, d, f, out) out[0] = #('ab'):upper() out[1] = io and 1 or 6 end", 2, 6,
           3);
}

static void another_script_is_untouched_by_one(void **state)
{
    const float distances[] = {1, 2, 3};
    float out[3];
    struct hook_wants wants = {0};
    struct hook *good =
        fixture_hook(&f, HOOK_SCORE, false, "function(n, d, f, out) out[0] = 5 end");
    (void)state;
    for (int i = 0; i < 3; i++) {
        expect_error(false, "function() while true do end end", LYNSE_HOOK, "stopped");
        assert_int_equal(fixture_score(&f, good, 3, distances, out, &wants), HOOK_DONE);
        assert_true(out[0] == 5);
    }
    hook_destroy(good);
}

/* Batches of one run are in other places each, and so many that the script is compiled. */
static void each_batch_is_where_it_is(void **state)
{
    enum { BATCHES = 300, N = 100 };
    const char *source = "local before\n"
                         "return function(n, d, field, out)\n"
                         "  local function at(i) return d[i] + field.a[i] * 2 - field.b[i] end\n"
                         "  for i = 0, n - 1 do out[i] = at(i) end\n"
                         "  before = before or field.a\n"
                         "end";
    static float distances[BATCHES][N], out[BATCHES][N];
    static double a[BATCHES][N], b[BATCHES][N];
    static struct hook_wants wants;

    (void)state;
    for (int k = 0; k < BATCHES; k++)
        for (int i = 0; i < N; i++) {
            distances[k][i] = (float)(k * i % 97);
            a[k][i] = (k + i) % 13;
            b[k][i] = (k * 7 + i) % 11;
        }
    for (int trusted = 0; trusted < 2; trusted++) {
        struct hook *hook = fixture_hook(&f, HOOK_SCORE, trusted, source);
        struct hook_run *run;
        memset(&wants, 0, sizeof wants);
        memset(out, 0, sizeof out);
        assert_ok(hook_begin(hook, 0, &run, &f.err), &f.err);
        for (int k = 0; k < BATCHES; k++) {
            const double *columns[] = {a[k], b[k]};
            enum hook_result result = HOOK_WANTS_MORE;
            while (result == HOOK_WANTS_MORE) {
                struct hook_batch batch = {N, distances[k], columns, wants.field_count, out[k]};
                result = hook_score(run, &batch, &wants, &f.err);
            }
            assert_int_equal(result, HOOK_DONE);
        }
        hook_end(run);
        hook_destroy(hook);
        for (int k = 0; k < BATCHES; k++)
            for (int i = 0; i < N; i++)
                assert_true(out[k][i] == distances[k][i] + (float)(a[k][i] * 2 - b[k][i]));
    }
}

/* More sources than a state keeps compiled. */
static void sources_are_forgotten_and_compiled_again(void **state)
{
    struct hook *hooks[80];
    const float distances[] = {1};
    struct hook_wants wants = {0};

    (void)state;
    for (int i = 0; i < 80; i++) {
        char source[64];
        snprintf(source, sizeof source, "function(n, d, f, out) out[0] = %d end", i);
        hooks[i] = fixture_hook(&f, HOOK_SCORE, i % 2, source);
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 80; i++) {
            float out;
            assert_int_equal(fixture_score(&f, hooks[i], 1, distances, &out, &wants), HOOK_DONE);
            assert_true(out == (float)i);
        }
    for (int i = 0; i < 80; i++) hook_destroy(hooks[i]);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)
static const struct CMUnitTest tests[] = {
    CASE(scores_with_distance_and_fields),
    CASE(takes_a_function_for_a_chunk),
    CASE(rows_left_alone_keep_their_distance),
    CASE(nan_drops_a_row),
    CASE(fields_are_named_by_use_alone),
    CASE(errors_say_hook_and_line),
    CASE(syntax_errors_are_about_what_was_written),
    CASE(a_long_source_is_refused),
    CASE(nothing_is_left_of_a_run),
    CASE(a_script_reaches_each_global_that_it_names),
    CASE(another_script_is_untouched_by_one),
    CASE(each_batch_is_where_it_is),
    CASE(sources_are_forgotten_and_compiled_again),
};
TEST_MAIN(tests)
