/* SPDX-License-Identifier: Apache-2.0 */
/* test_result.c — what a method answers, in each form that an answer has, and what is left of it
 * when memory runs out. */
#include "server/result.h"

#include "codec/json.h"
#include "lua_bed.h"

enum { REQUEST = 77 };

/* Two queries: the first found 1 and 2, the second 3, which has no fields. */
static const struct lynse_id ids[] = {{.number = 1}, {.number = 2}, {.number = 3}};
static const struct lynse_id ids_with_text[] = {
    {.number = 1}, {.text = "b", .text_bytes = 1}, {.number = 3}};
static const struct lynse_bytes fields[] = {
    {"\x81\xa1n\x07", 4}, {"\x82\xa2id\x09\xa1t\xa1x", 9}, {NULL, 0}};
static const struct lynse_hits found = {
    .count = 3,
    .query_count = 2,
    .query_ends = (const size_t[]){2, 3},
    .ids = ids,
    .numbers = (const uint64_t[]){1, 2, 3},
    .scores = (const float[]){0.5f, 0.25f, 1},
    .fields = fields,
    .vectors = (const float[]){1, 2, 3, 4, 5, 6},
    .dim = 2,
    .as_of_lsn = 7,
    .metric = LYNSE_L2,
};

/* ---- Answers ---- */

typedef int block_writer(const struct hits_value *h, struct buf *out, struct error *err);

/* The registry's "answer", or the hits as a block. */
struct answer {
    struct bed *bed;
    struct lynse_hits hits; /* borrowed by `value` */
    struct hits_value *value;
    const char *expected; /* as JSON; NULL: not looked at */
    block_writer *write;  /* NULL: a result */
    struct buf out;
    bool is_whole;           /* it was written to its end */
    struct hits_value *list; /* of the request */
};

static int write_answer(lua_State *L, void *ctx, struct error *err)
{
    struct answer *a = ctx;
    int top = lua_gettop(L);

    buf_init(&a->out, a->bed->alloc, MEM_MESSAGE);
    if (a->write) {
        int rc = a->write(a->value, &a->out, err);
        return rc == 0 && !buf_ok(&a->out) ? error_no_memory(err, a->out.size) : rc;
    }
    lua_getfield(L, LUA_REGISTRYINDEX, "answer");
    int rc = result_write(L, top + 1, REQUEST, &a->out, err);
    assert_int_equal(lua_gettop(L), top + 1);
    a->is_whole = rc == 0;
    return rc;
}

static void check_and_free(void *ctx)
{
    struct answer *a = ctx;
    struct buf json;
    struct error err;

    if (a->is_whole && a->expected) {
        buf_init(&json, alloc_libc(), MEM_MESSAGE);
        assert_ok(json_from_msgpack(buf_slice(&a->out), &json, &err), &err);
        buf_append_u8(&json, 0);
        assert_string_equal((const char *)json.data, a->expected);
        buf_deinit(&json);
    }
    a->is_whole = false;
    buf_deinit(&a->out);
}

static struct bed_run run_of(struct answer *a)
{
    return (struct bed_run){
        .bed = a->bed, .scenario = write_answer, .end = check_and_free, .ctx = a};
}

static int eval(lua_State *L)
{
    const char *source = lua_touserdata(L, 1);
    if (luaL_dostring(L, source) != 0) return lua_error(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "answer");
    return 0;
}

/* What Lua makes of `source` is the answer; `hits` is a global. */
static void make_answer(struct answer *a, const char *source)
{
    if (lua_cpcall(a->bed->L, eval, (void *)(uintptr_t)source) != 0)
        fail_msg("%s: %s", source, lua_tostring(a->bed->L, -1));
}

static int push_hits(lua_State *L)
{
    struct answer *a = lua_touserdata(L, 1);
    a->value = hits_value_push(L, &a->list);
    a->value->hits = &a->hits;
    lua_setglobal(L, "hits");
    return 0;
}

static void open_hits(struct answer *a, struct bed *b)
{
    bed_open(b);
    *a = (struct answer){.bed = b, .hits = found};
    assert_int_equal(lua_cpcall(b->L, push_hits, a), 0);
}

static void close_hits(struct answer *a)
{
    a->value->hits = NULL; /* they are ours */
    bed_close(a->bed);
}

static void assert_answer(struct answer *a, const char *source, const char *expected)
{
    struct bed_run run = run_of(a);
    struct error err = {0};
    a->expected = expected;
    make_answer(a, source);
    assert_ok(bed_run(&run, &err), &err);
}

/* ---- Cases ---- */

static const struct {
    const char *source, *expected;
} forms[] = {
    {"return hits:items(5)", "{\"k\":5,\"ids\":[1,2,3],\"scores\":[0.5,0.25,1.0],"
                             "\"vector_field\":\"default\",\"fields\":[{\"n\":7},"
                             "{\"id\":9,\"t\":\"x\"},{}]}"},
    {"return hits:results()",
     "[{\"ids\":[1,2],\"scores\":[0.5,0.25],\"fields\":[{\"n\":7},{\"id\":9,\"t\":\"x\"}]},"
     "{\"ids\":[3],\"scores\":[1.0],\"fields\":[{}]}]"},
    {"return hits:range()", "{\"ids\":[1,2,3],\"distances\":[0.5,0.25,1.0]}"},
    {"return hits:data()", "[[[1.0,2.0],[3.0,4.0],[5.0,6.0]],[1,2,3],"
                           "[{\"n\":7},{\"id\":9,\"t\":\"x\"},{}]]"},
    {"return hits:records()", "[{\"id\":1,\"n\":7},{\"id\":2,\"t\":\"x\"},{\"id\":3}]"},
    {"return hits:ids()", "[1,2,3]"},
    {"return hits:columns()", "{\"ids\":[1,2,3],\"fields\":[{\"n\":7},{\"id\":9,\"t\":\"x\"},{}],"
                              "\"vectors\":[[1.0,2.0],[3.0,4.0],[5.0,6.0]],\"dim\":2}"},
    {"return hits:raw(true)", "{\"ids\":\"AQAAAAAAAAACAAAAAAAAAAMAAAAAAAAA\",\"ends\":[2,3],\"dim\""
                              ":2,\"as_of_lsn\":7,\"metric\":\"l2\",\"index_kind\":\"\","
                              "\"skipped_hooks\":[],\"scores\":\"AAAAPwAAgD4AAIA/\","
                              "\"fields\":[\"gaFuBw==\",\"gqJpZAmhdKF4\",\"\"],\"vectors\":\"AACAP"
                              "wAAAEAAAEBAAACAQAAAoEAAAMBA\"}"},
};

static void hits_have_the_shape_that_was_asked_for(void **state)
{
    (void)state;
    struct bed b;
    struct answer a;
    open_hits(&a, &b);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        assert_answer(&a, forms[i].source, forms[i].expected);
    a.hits.ids = ids_with_text;
    a.hits.numbers = NULL;
    a.hits.fields = NULL;
    assert_answer(&a, "return hits:raw(false):records()", "[{\"id\":1},{\"id\":\"b\"},{\"id\":3}]");
    a.hits.skipped_hooks = LYNSE_SKIPPED_RERANK;
    assert_answer(&a, "return hits:items(1)",
                  "{\"k\":1,\"ids\":[1,\"b\",3],\"scores\":[0.5,0.25,1.0],"
                  "\"vector_field\":\"default\",\"fields\":[],\"skipped_hooks\":[\"rerank\"]}");
    close_hits(&a);
}

static const char values[] =
    "local list = {} "
    "for i = 1, 500 do list[i] = 'text ' .. i end "
    "local deep = {} "
    "for _ = 1, 13 do deep = { deep } end "
    "return { list = list, deep = deep, mark = setmetatable({}, lynse_array), flag = true,"
    "  pair = { whole = 2^53, half = 0.5 } }";

static int push_array_metatable(lua_State *L)
{
    luaL_getmetatable(L, "lynse.array");
    lua_setglobal(L, "lynse_array");
    return 0;
}

static void open_values(struct answer *a, struct bed *b)
{
    open_hits(a, b);
    assert_int_equal(lua_cpcall(b->L, push_array_metatable, NULL), 0);
}

static void tables_become_lists_and_maps(void **state)
{
    (void)state;
    struct bed b;
    struct answer a;
    open_values(&a, &b);
    assert_answer(&a, "return 2^53", "9007199254740992");
    assert_answer(&a, "return { 1, -1, 0.5, 'x', true }", "[1,-1,0.5,\"x\",true]");
    assert_answer(&a, "return { [''] = {} }", "{\"\":{}}");
    assert_answer(&a, "return setmetatable({}, lynse_array)", "[]");
    assert_answer(&a, "return nil", "null");
    assert_answer(&a, values, NULL);
    close_hits(&a);
}

static void assert_wrong(struct answer *a, const char *source)
{
    struct bed_run run = run_of(a);
    struct error err = {0};
    make_answer(a, source);
    assert_fails(bed_run(&run, &err), &err, LYNSE_INTERNAL);
}

static int push_old_block(lua_State *L)
{
    struct block block = {.kind = ARGUMENT_IDS, .request = REQUEST - 1, .as.ids = ids, .count = 3};
    block_push(L, &block);
    lua_setfield(L, LUA_REGISTRYINDEX, "answer");
    return 0;
}

static void what_no_answer_can_have_is_a_fault_of_the_method(void **state)
{
    (void)state;
    struct bed b;
    struct answer a;
    struct error err = {0};
    open_values(&a, &b);
    assert_wrong(&a, "return print");
    assert_wrong(&a, "return { [2] = 1 }");
    assert_wrong(&a, "return { [true] = 1 }");
    assert_wrong(&a, "return io.stdout");
    assert_wrong(&a, "local t = {} t[1] = t return t");
    assert_int_equal(lua_cpcall(b.L, push_old_block, NULL), 0);
    struct bed_run run = run_of(&a);
    assert_fails(bed_run(&run, &err), &err, LYNSE_INTERNAL); /* its arena is gone */
    close_hits(&a);
}

static void out_of_memory_is_an_answer_in_every_form(void **state)
{
    (void)state;
    struct bed b;
    struct answer a;
    open_hits(&a, &b);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct bed_run run = run_of(&a);
        a.expected = forms[i].expected;
        make_answer(&a, forms[i].source);
        bed_sweep(&run);
    }
    close_hits(&a);
}

static void out_of_memory_is_an_answer_for_tables(void **state)
{
    (void)state;
    struct bed b;
    struct answer a;
    open_values(&a, &b);
    struct bed_run run = run_of(&a);
    make_answer(&a, values);
    bed_sweep(&run);
    close_hits(&a);
}

static int write_search(const struct hits_value *h, struct buf *out, struct error *err)
{
    return hits_value_write_block(h, false, out, err);
}
static int write_batch(const struct hits_value *h, struct buf *out, struct error *err)
{
    return hits_value_write_block(h, true, out, err);
}

static void blocks_are_whole_or_an_error(void **state)
{
    (void)state;
    static block_writer *const writers[] = {write_search, write_batch, hits_value_write_rows};
    enum { PAIR = 12, JSON = sizeof "[{\"n\":7},{\"id\":9,\"t\":\"x\"},{}]" - 1 };
    static const size_t sizes[] = {
        4 + 3 * PAIR + 4 + JSON,
        4 + (4 + 2 * PAIR + 4 + JSON - 3) + (4 + PAIR + 4 + 4),
        8 + 3 * 16 + 4 + JSON,
    };
    struct bed b;
    struct answer a;
    struct error err = {0};
    open_hits(&a, &b);
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        struct bed_run run = run_of(&a);
        struct buf out;
        buf_init(&out, b.alloc, MEM_MESSAGE);
        assert_ok(writers[i](a.value, &out, &err), &err);
        assert_int_equal(out.size, sizes[i]);
        buf_deinit(&out);
        a.write = writers[i];
        bed_sweep(&run);
    }
    a.hits.numbers = NULL;
    struct bed_run run = run_of(&a);
    assert_fails(bed_run(&run, &err), &err, LYNSE_INVALID);
    close_hits(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hits_have_the_shape_that_was_asked_for),
        cmocka_unit_test(tables_become_lists_and_maps),
        cmocka_unit_test(what_no_answer_can_have_is_a_fault_of_the_method),
        cmocka_unit_test(out_of_memory_is_an_answer_in_every_form),
        cmocka_unit_test(out_of_memory_is_an_answer_for_tables),
        cmocka_unit_test(blocks_are_whole_or_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
