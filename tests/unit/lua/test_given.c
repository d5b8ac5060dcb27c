/* SPDX-License-Identifier: Apache-2.0 */
/* test_given.c — what the engine hands over is not refused for its size, but for the memory of a
 * state; what a script makes of it is. */
#include "base/limits.h"
#include "codec/msgpack.h"
#include "unit/lua/fixture.h"

enum { TEXT_BYTES = 1000000, DIM = 100000 };

static struct fixture f;
static struct manual_clock still;
static struct hook_hit list[HOOK_HITS_MAX];
static uint32_t places[HOOK_HITS_MAX];
static float scores[HOOK_HITS_MAX];
static struct hook_order order;
static struct buf document;
static float *vector;

static int open_fixture(void **state)
{
    (void)state;
    manual_clock_init(&still, 1000);
    fixture_open(&f, &still.base, 1);
    vector = calloc(DIM, sizeof *vector);
    assert_non_null(vector);
    for (size_t i = 0; i < DIM; i++) vector[i] = (float)i;
    buf_init(&document, alloc_libc(), MEM_GENERAL);
    for (size_t i = 0; i < HOOK_HITS_MAX; i++)
        list[i] = (struct hook_hit){.id = id_of_number(i), .score = (float)i, .vector = vector};
    return 0;
}
static int close_fixture(void **state)
{
    (void)state;
    free(vector);
    buf_deinit(&document);
    fixture_close(&f);
    return 0;
}

/* All hits have the document. */
static enum hook_result rerank(const char *source, size_t count, uint32_t dim)
{
    static struct hook_wants wants;
    struct hook *hook = fixture_hook(&f, HOOK_RERANK, false, source);
    struct hook_hits hits = {.hit_count = count, .hits = list, .dim = dim};
    struct hook_run *run;
    enum hook_result result = HOOK_WANTS_MORE;

    memset(&wants, 0, sizeof wants);
    order = (struct hook_order){.places = places, .scores = scores};
    for (size_t i = 0; i < count; i++) list[i].document = buf_slice(&document);
    assert_ok(hook_begin(hook, 0, &run, &f.err), &f.err);
    while (result == HOOK_WANTS_MORE) {
        hits.parts = wants.parts;
        result = hook_rerank(run, &hits, &wants, &order, &f.err);
    }
    hook_end(run);
    hook_destroy(hook);
    return result;
}

static void expect(const char *source, size_t count, uint32_t dim)
{
    if (rerank(source, count, dim) != HOOK_DONE) fail_msg("%s", f.err.text);
    assert_int_equal(order.count, count);
}

static void expect_error(const char *source, size_t count, uint32_t dim, const char *text)
{
    assert_int_equal(rerank(source, count, dim), HOOK_FAILED);
    if (f.err.code != LYNSE_HOOK || !strstr(f.err.text, text)) fail_msg("%s", f.err.text);
}

/* {text = TEXT_BYTES times 'x', list = [0, 1, … count - 1]} */
static void write_document(size_t text_bytes, size_t count)
{
    msgpack_write_map(&document, 2);
    msgpack_write_text(&document, slice_of_text("text"));
    char *text = malloc(text_bytes + 1);
    assert_non_null(text);
    memset(text, 'x', text_bytes);
    msgpack_write_text(&document, slice_of(text, text_bytes));
    free(text);
    msgpack_write_text(&document, slice_of_text("list"));
    msgpack_write_array(&document, (uint32_t)count);
    for (size_t i = 0; i < count; i++) msgpack_write_int(&document, (int64_t)(i % 100));
    assert_true(buf_ok(&document));
}

static void as_many_hits_as_there_may_be(void **state)
{
    (void)state;
    write_document(10, 2);
    expect("function(hits)\n"
           "  local place = {}\n"
           "  for i, hit in ipairs(hits) do place[hit] = -i end\n"
           "  table.sort(hits, function(a, b) return place[a] < place[b] end)\n"
           "end",
           HOOK_HITS_MAX, 3);
    assert_int_equal(places[0], HOOK_HITS_MAX - 1);
    assert_int_equal(places[HOOK_HITS_MAX - 1], 0);
    expect("function(hits)\n"
           "  for i = 1, #hits do hits[i].score = hits[i].score + hits[i].field.list[2] end\n"
           "end",
           HOOK_HITS_MAX, 3);
    assert_true(scores[HOOK_HITS_MAX - 1] == HOOK_HITS_MAX);
}

static void long_vectors_and_texts(void **state)
{
    (void)state;
    write_document(TEXT_BYTES, 0);
    assert_true(document.size < LIMIT_DOC_BYTES);
    expect("function(hits, dim) local v = hits[1].vector\n"
           "  assert(#v == dim - 1 and v[dim - 1] == dim - 1)\n"
           "  assert(#hits[2].field.text == 1000000 and #hits[2].field.list == 0)\n"
           "end",
           2, DIM);
}

static void long_lists(void **state)
{
    (void)state;
    write_document(0, 300000);
    expect("function(hits) assert(#hits[1].field.list == 300000) end", 1, 1);
}

/* What is larger than a state may hold is told with its line, and with what it was for. */
static void too_much_is_told(void **state)
{
    (void)state;
    write_document(0, 1000000);
    expect_error("function(hits)\n  return hits[1].field.list\nend", 1, 1,
                 "rerank:2: is given a text, table or stack of more than the limit of 4194304");
    buf_reset(&document);
    write_document(TEXT_BYTES, 0);
    expect_error("function(hits)\n  local all = {}\n"
                 "  for i = 1, #hits do all[i] = hits[i].vector end\nend",
                 100, DIM, "rerank:3: with what it is given it needs more memory than the limit");
}

/* The room for what is given is none for what is made. */
static void what_scripts_make_stays_small(void **state)
{
    static const char *const openings[] = {
        "local text = hits[1].field.text",
        /* An error inside of the giving, caught. */
        "pcall(function() local x = hits[1].field.text.x.y end) local text = hits[1].field.text",
        "local f = hits[1].field local v = hits[1].vector local text = f.text",
    };
    static const char *const makers[] = {
        "return text .. 'y'",
        "local t = {}\nfor i = 1, 100000 do t[i] = i end",
    };
    char source[512];

    (void)state;
    write_document(TEXT_BYTES, 0);
    for (size_t i = 0; i < sizeof openings / sizeof *openings; i++)
        for (size_t k = 0; k < sizeof makers / sizeof *makers; k++) {
            snprintf(source, sizeof source, "function(hits)\n %s\n%s\nend", openings[i], makers[k]);
            expect_error(source, 1, DIM,
                         k == 0 ? "rerank:3: makes a text, table or stack of more than the limit"
                                : "rerank:4: makes a text, table or stack of more than the limit");
        }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)
static const struct CMUnitTest tests[] = {
    CASE(as_many_hits_as_there_may_be),
    CASE(long_vectors_and_texts),
    CASE(long_lists),
    CASE(too_much_is_told),
    CASE(what_scripts_make_stays_small),
};
TEST_MAIN(tests)
