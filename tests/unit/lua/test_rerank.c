/* SPDX-License-Identifier: Apache-2.0 */
/* test_rerank.c — hooks that put hits into another order, and the scripts that come along. */
#include "codec/msgpack.h"
#include "unit/lua/fixture.h"

enum { HITS = 4, DIM = 2 };

static struct fixture f;
static struct hook_hit list[HITS];
static struct buf documents[HITS];
static uint32_t places[HITS];
static float scores[HITS];
static struct hook_order order;
static unsigned parts_given;

static const float vectors[HITS][DIM] = {{1, 0}, {1, 0}, {0, 1}, {-1, 0}};

/* {n = i, boost = i, text = "t<i>", deep = {list = [i, {wide = 2^53 + 1 + i}]}, created_at} */
static void write_document(struct buf *b, int i)
{
    char text[16];
    snprintf(text, sizeof text, "t%d", i);
    buf_init(b, alloc_libc(), MEM_GENERAL);
    msgpack_write_map(b, 5);
    msgpack_write_text(b, slice_of_text("n"));
    msgpack_write_int(b, i);
    msgpack_write_text(b, slice_of_text("boost"));
    msgpack_write_int(b, i);
    msgpack_write_text(b, slice_of_text("text"));
    msgpack_write_text(b, slice_of_text(text));
    msgpack_write_text(b, slice_of_text("deep"));
    msgpack_write_map(b, 1);
    msgpack_write_text(b, slice_of_text("list"));
    msgpack_write_array(b, 2);
    msgpack_write_int(b, -i);
    msgpack_write_map(b, 1);
    msgpack_write_text(b, slice_of_text("wide"));
    msgpack_write_uint(b, ((uint64_t)1 << 53) + 1 + (uint64_t)i);
    msgpack_write_text(b, slice_of_text("created_at"));
    msgpack_write_datetime(b, (int64_t)i * 86400 * 1000000);
    assert_true(buf_ok(b));
}

static int open_fixture(void **state)
{
    (void)state;
    fixture_open(&f, NULL, 1);
    for (int i = 0; i < HITS; i++) {
        write_document(&documents[i], i);
        list[i] = (struct hook_hit){
            .id = id_of_number((uint64_t)i),
            .score = (float)i,
            .document = buf_slice(&documents[i]),
            .vector = vectors[i],
        };
    }
    return 0;
}
static int close_fixture(void **state)
{
    (void)state;
    for (int i = 0; i < HITS; i++) buf_deinit(&documents[i]);
    fixture_close(&f);
    return 0;
}

static enum hook_result run_hook(struct hook *hook)
{
    static struct hook_wants wants;
    struct hook_hits hits = {.hit_count = HITS, .hits = list, .dim = DIM};
    struct hook_run *run;
    enum hook_result result = HOOK_WANTS_MORE;

    memset(&wants, 0, sizeof wants);
    order = (struct hook_order){.places = places, .scores = scores};
    if (hook_begin(hook, 0, &run, &f.err) != 0) return HOOK_FAILED;
    while (result == HOOK_WANTS_MORE) {
        hits.parts = wants.parts;
        result = hook_rerank(run, &hits, &wants, &order, &f.err);
    }
    parts_given = wants.parts;
    hook_end(run);
    return result;
}

static enum hook_result run_source(bool is_trusted, const char *source)
{
    struct hook *hook = fixture_hook(&f, HOOK_RERANK, is_trusted, source);
    enum hook_result result = run_hook(hook);
    hook_destroy(hook);
    return result;
}

/* The order, as "3 1 0": ids by place. */
static void expect_order(enum hook_result result, const char *expected)
{
    char text[64] = "";
    if (result != HOOK_DONE) fail_msg("%s", f.err.text);
    for (size_t i = 0; i < order.count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u", i ? " " : "", places[i]);
    assert_string_equal(text, expected);
}

static void expect(const char *source, const char *expected)
{
    for (int trusted = 0; trusted < 2; trusted++)
        expect_order(run_source(trusted, source), expected);
}

static void expect_error(const char *source, const char *text)
{
    for (int trusted = 0; trusted < 2; trusted++) {
        assert_int_equal(run_source(trusted, source), HOOK_FAILED);
        if (f.err.code != LYNSE_HOOK || !strstr(f.err.text, text)) fail_msg("%s", f.err.text);
    }
}

static void orders_and_drops(void **state)
{
    (void)state;
    expect("function(hits) return hits end", "0 1 2 3");
    expect("function(hits) return { hits[4], hits[2] } end", "3 1");
    expect("function(hits) return {} end", "");
    expect("function(hits) table.sort(hits, function(a, b) return a.score > b.score end) end",
           "3 2 1 0");
    expect("function(hits) hits[2].score = 0/0 hits[1].score = -5 end", "0 2 3");
    assert_true(scores[0] == -5 && scores[1] == 2);
}

static void sees_fields_and_vectors_when_it_looks(void **state)
{
    (void)state;
    expect("function(hits) return hits end", "0 1 2 3");
    assert_int_equal(parts_given, 0);
    expect("function(hits) for _, h in ipairs(hits) do h.score = -h.field.n end\n"
           "table.sort(hits, function(a, b) return a.score < b.score end) end",
           "3 2 1 0");
    assert_int_equal(parts_given, HOOK_DOCUMENTS);
    expect("function(hits, dim) local t = {}\n"
           "for _, h in ipairs(hits) do\n"
           "  assert(dim == 2) if h.vector[0] == 1 then t[#t + 1] = h end\n"
           "end return t end",
           "0 1");
    assert_int_equal(parts_given, HOOK_VECTORS);
    expect("function(hits) local f = hits[3].field\n"
           "assert(f.text == 't2' and f.deep.list[1] == -2 and f.created_at == 2 * 86400)\n"
           "assert(tostring(f.deep.list[2].wide) == '9007199254740995')\n"
           "assert(f.deep.list[2].wide ~= hits[2].field.deep.list[2].wide)\n"
           "assert(f.nothing == nil and hits[1].field == hits[1].field) end",
           "0 1 2 3");
}

static void large_ids_are_exact(void **state)
{
    (void)state;
    list[0].id = id_of_number(UINT64_MAX - 1);
    list[1].id = id_of_number(UINT64_MAX - 1);
    list[2].id = id_of_text(slice_of_text("two"));
    expect("function(hits)\n"
           "assert(tostring(hits[1].id) == '18446744073709551614')\n"
           "assert(hits[1].id == hits[2].id and hits[1].id ~= hits[4].id)\n"
           "assert(getmetatable(hits[1].id) == false and hits[3].id == 'two' and hits[4].id == 3)\n"
           "end",
           "0 1 2 3");
}

static void an_answer_that_is_none_is_an_error(void **state)
{
    (void)state;
    expect_error("function(hits) return 5 end", "answers with a number instead of a list of hits");
    expect_error("function(hits) return { hits[1], hits[1] } end", "entry 2 of the answer");
    expect_error("function(hits) return { {} } end", "none of the hits");
    expect_error("function(hits) return { 1 } end", "none of the hits");
    expect_error("function(hits) return { setmetatable({}, { __index = hits[1] }) } end",
                 "entry 1");
    expect_error("function(hits) hits[1].score = 'near' end", "entry 1 of the answer has a string");
    expect_error("function(hits)\n setmetatable(hits[1], {}) end", "rerank:2:");
    expect_error("function(hits)\n\n return hits.x.y end", "rerank:3:");
}

static void many_hits_are_refused(void **state)
{
    struct hook *hook = fixture_hook(&f, HOOK_RERANK, false, "function(hits) end");
    struct hook_hits hits = {.hit_count = HOOK_HITS_MAX + 1, .hits = list};
    struct hook_wants wants = {0};
    struct hook_run *run;

    (void)state;
    assert_ok(hook_begin(hook, 0, &run, &f.err), &f.err);
    assert_int_equal(hook_rerank(run, &hits, &wants, &order, &f.err), HOOK_FAILED);
    assert_int_equal(f.err.code, LYNSE_LIMIT);
    hook_end(run);
    hook_destroy(hook);
}

/* One run of a shipped script with these options. */
static enum hook_result run_builtin(const char *name, struct slice options)
{
    struct hook_desc desc = {
        .point = HOOK_RERANK, .builtin = slice_of_text(name), .options = options};
    struct hook *hook;
    assert_ok(hook_prepare(f.host, &desc, &hook, &f.err), &f.err);
    enum hook_result result = run_hook(hook);
    hook_destroy(hook);
    return result;
}

static void expect_builtin(const char *name, const char *expected)
{
    expect_order(run_builtin(name, slice_of(NULL, 0)), expected);
}

/* {name = value}; NULL for text: the number. */
static struct slice option(struct buf *b, const char *name, double number, const char *text)
{
    buf_reset(b);
    msgpack_write_map(b, 1);
    msgpack_write_text(b, slice_of_text(name));
    if (text) msgpack_write_text(b, slice_of_text(text));
    else msgpack_write_float(b, number);
    assert_true(buf_ok(b));
    return buf_slice(b);
}

static void options_of_shipped_scripts(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    for (int i = 0; i < HITS; i++) list[i].score = (float)i / 100;
    expect_order(run_builtin("mmr", option(&b, "lambda", 1, NULL)), "0 1 2 3");
    expect_order(run_builtin("mmr", option(&b, "diversified", 0, NULL)), "0 1 2 3");
    expect_order(run_builtin("boost", option(&b, "weight", 1, NULL)), "3 2 1 0");
    expect_order(run_builtin("boost", option(&b, "field", 0, "n")), "0 1 2 3");
    expect_order(run_builtin("boost", option(&b, "weight", -1, NULL)), "0 1 2 3");
    expect_order(run_builtin("recency", option(&b, "half_life_days", 0.01, NULL)), "0 3 1 2");
    expect_order(run_builtin("recency", option(&b, "weight", 0, NULL)), "0 1 2 3");
    expect_order(run_builtin("recency", option(&b, "now", 0, NULL)), "0 1 2 3");

    assert_int_equal(run_builtin("mmr", option(&b, "lambda", 2, NULL)), HOOK_FAILED);
    assert_int_equal(f.err.code, LYNSE_HOOK);
    assert_string_equal(f.err.text, "rerank/mmr: option 'lambda' is 2, must be a number of 0 to 1");
    assert_int_equal(run_builtin("boost", option(&b, "field", 5, NULL)), HOOK_FAILED);
    assert_string_equal(f.err.text, "rerank/boost: option 'field' is a number, must be a text");
    assert_int_equal(run_builtin("recency", option(&b, "halflife", 5, NULL)), HOOK_FAILED);
    assert_string_equal(f.err.text, "rerank/recency: there is no option 'halflife'");
    buf_deinit(&b);
}

static void infinite_scores_are_kept(void **state)
{
    (void)state;
    for (int i = 0; i < HITS; i++) list[i].score = 0;
    list[1].score = INFINITY;
    list[2].score = -INFINITY;
    expect_builtin("boost", "2 3 0 1");
    expect_builtin("recency", "2 3 0 1");
    expect_builtin("mmr", "0 3 2 1");
}

/* What a run does to its options no later one sees. */
static void options_are_given_anew_to_each_run(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    for (int trusted = 0; trusted < 2; trusted++) {
        struct hook_desc desc = {
            .point = HOOK_RERANK,
            .source = slice_of_text("function(hits, dim, o)\n"
                                    "assert(dim == 2 and o.at == 2 and not o.seen) o.seen = 1\n"
                                    "return { hits[o.at] } end"),
            .options = option(&b, "at", 2, NULL),
            .is_trusted = trusted,
        };
        struct hook *hook;
        assert_ok(hook_prepare(f.host, &desc, &hook, &f.err), &f.err);
        buf_reset(&b);
        for (int run = 0; run < 3; run++) expect_order(run_hook(hook), "1");
        hook_destroy(hook);
    }
    expect("function(hits, _, o) assert(next(o) == nil) end", "0 1 2 3");

    static uint8_t long_options[HOOK_OPTIONS_BYTES_MAX + 1];
    struct hook_desc desc = {.point = HOOK_RERANK,
                             .source = slice_of_text("function() end"),
                             .options = slice_of(long_options, sizeof long_options)};
    struct hook *hook;
    assert_fails(hook_prepare(f.host, &desc, &hook, &f.err), &f.err, LYNSE_LIMIT);
    buf_deinit(&b);
}

static void scripts_that_come_along(void **state)
{
    struct hook_desc desc = {.point = HOOK_RERANK, .builtin = slice_of_text("nothing")};
    struct hook *hook;

    (void)state;
    expect_builtin("mmr", "0 3 2 1"); /* 3 is the opposite of 0, 1 the same */
    for (int i = 0; i < HITS; i++) list[i].score = (float)i / 100;
    list[3].score = 100;
    expect_builtin("boost", "2 1 0 3"); /* by 0, 10, 20, 30 of a spread of 100 */
    list[3].score = 0.03f;
    expect_builtin("recency", "0 1 2 3"); /* three days make less than their distances do */
    for (int i = 0; i < HITS; i++) list[i].score = 0;
    expect_builtin("recency", "3 2 1 0");
    assert_fails(hook_prepare(f.host, &desc, &hook, &f.err), &f.err, LYNSE_NOT_FOUND);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)
static const struct CMUnitTest tests[] = {
    CASE(orders_and_drops),
    CASE(sees_fields_and_vectors_when_it_looks),
    CASE(large_ids_are_exact),
    CASE(an_answer_that_is_none_is_an_error),
    CASE(many_hits_are_refused),
    CASE(scripts_that_come_along),
    CASE(options_of_shipped_scripts),
    CASE(infinite_scores_are_kept),
    CASE(options_are_given_anew_to_each_run),
};
TEST_MAIN(tests)
