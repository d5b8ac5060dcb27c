/* SPDX-License-Identifier: Apache-2.0 */
/* test_arguments.c — params of every kind against a signature, and what is left of them when
 * memory runs out.  What each method refuses is tests/methods/test_arguments.py's. */
#include "server/arguments.h"

#include "codec/json.h"
#include "codec/msgpack.h"
#include "lua_bed.h"

/* More than a first chunk of an arena holds: each of these is an allocation of its own. */
enum { MANY = 700, DIM = 2000, REQUEST = 77 };

static const char signature_source[] =
    "return { { 'name', 'name', required = true },"
    "  { 'word', 'text', high = 10, choices = { 'first', 'last' } }, { 'flag', 'flag' },"
    "  { 'integer', 'integer', low = 1, high = 9 }, { 'number', 'number' }, { 'id', 'id' },"
    "  { 'ids', 'ids' }, { 'raw_ids', 'ids' }, { 'vector', 'vector' }, { 'rows', 'vectors' },"
    "  { 'floats', 'vectors' }, { 'halves', 'vectors' }, { 'documents', 'documents' },"
    "  { 'document', 'document' }, { 'body', 'body' }, { 'texts', 'texts', high = 1000 },"
    "  { 'value', 'value' }, { 'k', 'integer', default = 10 } }";

struct request_bed {
    struct bed bed;
    struct signature signature;
    struct buf params;
};

static int read_signature(lua_State *L)
{
    struct signature *s = lua_touserdata(L, 1);
    if (luaL_dostring(L, signature_source) != 0) return lua_error(L);
    signature_read(L, lua_gettop(L), s);
    return 0;
}

static void open_request(struct request_bed *b)
{
    bed_open(&b->bed);
    assert_int_equal(lua_cpcall(b->bed.L, read_signature, &b->signature), 0);
    buf_init(&b->params, b->bed.alloc, MEM_MESSAGE);
}

static void close_request(struct request_bed *b)
{
    buf_deinit(&b->params);
    signature_deinit(b->bed.L, &b->signature);
    bed_close(&b->bed);
}

/* ---- Params ---- */

static void write_text(struct buf *b, const char *text)
{
    msgpack_write_text(b, slice_of_text(text));
}

static void write_row(struct buf *b, int first)
{
    msgpack_write_array(b, DIM);
    for (int i = 0; i < DIM; i++) /* what JSON gives, and what counts as a number besides */
        if (first % 2) msgpack_write_float(b, first + i);
        else msgpack_write_int(b, first + i);
}

static void write_many_ids(struct buf *b)
{
    msgpack_write_array(b, MANY);
    for (int i = 0; i < MANY - 1; i++) msgpack_write_int(b, i);
    write_text(b, "the last");
}

static void write_halves(struct buf *b)
{
    static const uint8_t one_and_minus_two[] = {0x00, 0x3c, 0x00, 0xc0};

    msgpack_write_map(b, 3);
    write_text(b, "dtype");
    write_text(b, "float16");
    write_text(b, "shape");
    msgpack_write_array(b, 2);
    msgpack_write_int(b, 2);
    msgpack_write_int(b, DIM);
    write_text(b, "data");
    uint8_t *data = malloc((size_t)DIM * 4);
    assert_non_null(data);
    for (size_t i = 0; i < DIM; i++) memcpy(data + 4 * i, one_and_minus_two, 4);
    msgpack_write_bytes(b, slice_of(data, (size_t)DIM * 4));
    free(data);
}

static void write_zeros(struct buf *b, size_t bytes)
{
    uint8_t *zeros = calloc(1, bytes);
    assert_non_null(zeros);
    msgpack_write_bytes(b, slice_of(zeros, bytes));
    free(zeros);
}

static void write_documents(struct buf *b)
{
    msgpack_write_array(b, MANY);
    for (int i = 0; i < MANY; i++) {
        if (i % 2) {
            msgpack_write_null(b);
            continue;
        }
        msgpack_write_map(b, 1);
        write_text(b, "n");
        msgpack_write_int(b, i);
    }
}

static void write_json(struct buf *b, const char *json)
{
    struct error err;
    assert_ok(json_to_msgpack(slice_of_text(json), &msgpack_document_limits, b, &err), &err);
}

static void write_texts(struct buf *b)
{
    msgpack_write_array(b, MANY);
    for (int i = 0; i < MANY; i++) {
        char text[24];
        snprintf(text, sizeof text, "text %d", i);
        write_text(b, text);
    }
}

static void write_integer(struct buf *b)
{
    msgpack_write_int(b, 7);
}
static void write_name(struct buf *b)
{
    write_text(b, "docs");
}
static void write_word(struct buf *b)
{
    write_text(b, "LAST");
}
static void write_flag(struct buf *b)
{
    msgpack_write_bool(b, true);
}
static void write_number(struct buf *b)
{
    msgpack_write_float(b, 0.5);
}
static void write_id(struct buf *b)
{
    write_text(b, "a");
}
static void write_raw_ids(struct buf *b)
{
    write_zeros(b, MANY * sizeof(uint64_t));
}
static void write_vector(struct buf *b)
{
    write_row(b, 0);
}
static void write_rows(struct buf *b)
{
    msgpack_write_array(b, 2);
    write_row(b, 0);
    write_row(b, 1);
}
static void write_floats(struct buf *b)
{
    write_zeros(b, DIM * sizeof(float));
}
static void write_body(struct buf *b)
{
    msgpack_write_bytes(b, slice_of("body", 4));
}
static void write_document(struct buf *b)
{
    write_json(b, "{\"a\": {\"b\": [1, 2.5, null, \"c\"]}}");
}
static void write_value(struct buf *b)
{
    write_json(b, "{\"list\": [1, [2, [3]]], \"big\": 18446744073709551615, \"none\": null}");
}

/* In the order of the signature; the last argument is never given. */
static const struct param {
    const char *name;
    void (*write)(struct buf *b);
} all_params[] = {
    {"name", write_name},           {"word", write_word},         {"flag", write_flag},
    {"integer", write_integer},     {"number", write_number},     {"id", write_id},
    {"ids", write_many_ids},        {"raw_ids", write_raw_ids},   {"vector", write_vector},
    {"rows", write_rows},           {"floats", write_floats},     {"halves", write_halves},
    {"documents", write_documents}, {"document", write_document}, {"body", write_body},
    {"texts", write_texts},         {"value", write_value},
};
enum { PARAM_COUNT = sizeof all_params / sizeof *all_params };

/* ---- Reading them ---- */

struct reading {
    struct request_bed *bed;
    bool is_checked;
    struct arena arena; /* a request's, which outlives its coroutine */
};

static const struct block *block_at(lua_State *L, const char *name, enum argument_kind kind)
{
    lua_getfield(L, -1, name);
    const struct block *block = block_borrow(L, -1, kind, REQUEST);
    assert_non_null(block);
    assert_null(block_borrow(L, -1, kind, REQUEST + 1)); /* another request's arena */
    lua_pop(L, 1);
    return block;
}

static void check_small(lua_State *L)
{
    static const char source[] =
        "local a = ... "
        "return a.name == 'docs' and a.word == 'last' and a.flag == true and a.integer == 7 "
        "and a.number == 0.5 and a.k == 10 and #a.texts == 700 and a.texts[700] == 'text 699' "
        "and a.value.list[2][2][1] == 3 and tostring(a.value.big) == '18446744073709551615' "
        "and a.value.none ~= nil and #a.ids == 700 and a.rows:dim() == 2000";
    assert_int_equal(luaL_loadstring(L, source), 0);
    lua_pushvalue(L, -2);
    assert_int_equal(lua_pcall(L, 1, 1, 0), 0);
    assert_true(lua_toboolean(L, -1));
    lua_pop(L, 1);
}

static void check_blocks(lua_State *L)
{
    const struct block *block = block_at(L, "id", ARGUMENT_ID);
    assert_true(block->is_single && block->count == 1);
    assert_memory_equal(block->as.ids[0].text, "a", 1);
    block = block_at(L, "ids", ARGUMENT_IDS);
    assert_int_equal(block->as.ids[MANY - 2].number, MANY - 2);
    assert_int_equal(block->as.ids[MANY - 1].text_bytes, 8);
    assert_int_equal(block_at(L, "raw_ids", ARGUMENT_IDS)->count, MANY);
    block = block_at(L, "vector", ARGUMENT_VECTOR);
    assert_true(block->dim == DIM && block->as.vectors[DIM - 1] == DIM - 1);
    block = block_at(L, "rows", ARGUMENT_VECTORS);
    assert_true(block->count == 2 && block->as.vectors[2 * DIM - 1] == DIM);
    block = block_at(L, "floats", ARGUMENT_VECTORS);
    assert_true(block->dim == 0 && block->count == DIM);
    block = block_at(L, "halves", ARGUMENT_VECTORS);
    assert_true(block->count == 2 && block->dim == DIM);
    assert_true(block->as.vectors[0] == 1.0f && block->as.vectors[2 * DIM - 1] == -2.0f);
    block = block_at(L, "documents", ARGUMENT_DOCUMENTS);
    assert_true(block->as.documents[0].size > 0 && block->as.documents[1].size == 0);
    assert_int_equal(block_at(L, "document", ARGUMENT_DOCUMENT)->count, 1);
    block = block_at(L, "body", ARGUMENT_BODY);
    assert_memory_equal(block->as.body.data, "body", 4);
}

static int push_arguments(lua_State *L, void *ctx, struct error *err)
{
    struct reading *r = ctx;
    struct arguments_source source = {
        .params = buf_slice(&r->bed->params), .arena = &r->arena, .request = REQUEST};
    int top = lua_gettop(L);

    arena_init(&r->arena, r->bed->bed.alloc, MEM_MESSAGE);
    int rc = arguments_push(L, &r->bed->signature, &source, err);
    assert_int_equal(lua_gettop(L), rc == 0 ? top + 1 : top);
    if (rc == 0 && r->is_checked) {
        check_small(L);
        check_blocks(L);
    }
    return rc;
}

static void free_arena(void *ctx)
{
    struct reading *r = ctx;
    arena_deinit(&r->arena);
}

static int read_params(struct request_bed *b, bool is_checked, struct error *err)
{
    struct reading r = {.bed = b, .is_checked = is_checked};
    struct bed_run run = {.bed = &b->bed, .scenario = push_arguments, .end = free_arena, .ctx = &r};
    *err = (struct error){0};
    return bed_run(&run, err);
}

static void sweep_params(struct request_bed *b)
{
    struct reading r = {.bed = b};
    bed_sweep(&(struct bed_run){
        .bed = &b->bed, .scenario = push_arguments, .end = free_arena, .ctx = &r});
}

/* ---- Cases ---- */

static void write_all(struct buf *b, bool is_array)
{
    if (is_array) msgpack_write_array(b, PARAM_COUNT);
    else msgpack_write_map(b, PARAM_COUNT);
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        if (!is_array) write_text(b, all_params[i].name);
        all_params[i].write(b);
    }
    assert_true(buf_ok(b));
}

static void every_kind_is_read_by_name_and_by_position(void **state)
{
    (void)state;
    for (int is_array = 0; is_array < 2; is_array++) {
        struct request_bed b;
        struct error err;
        open_request(&b);
        write_all(&b.params, is_array);
        assert_ok(read_params(&b, true, &err), &err);
        close_request(&b);
    }
}

static void refuse(struct request_bed *b, const char *json, const char *text)
{
    struct error err;
    buf_reset(&b->params);
    write_json(&b->params, json);
    assert_int_equal(read_params(b, false, &err), -1);
    if (!strstr(err.text, text)) fail_msg("%s: '%s', not '%s'", json, err.text, text);
}

static void an_error_names_the_argument(void **state)
{
    (void)state;
    struct request_bed b;
    open_request(&b);
    refuse(&b, "{}", "name: missing");
    refuse(&b, "{\"name\":\"x\",\"interger\":1}", "did you mean 'integer'");
    refuse(&b, "{\"name\":\"x\",\"word\":\"middle\"}", "'first' or 'last'");
    refuse(&b, "{\"name\":\"x\",\"integer\":10}", "integer: 10, must be a whole number, 1 to 9");
    refuse(&b, "{\"name\":\"x\",\"ids\":[1,-2]}", "ids: entry 2: -2");
    refuse(&b, "{\"name\":\"x\",\"rows\":[[1],[1,2]]}", "rows: all vectors in a batch");
    refuse(&b, "{\"name\":\"x\",\"halves\":{\"shape\":[1]}}", "halves: shape");
    refuse(&b, "{\"name\":\"x\",\"documents\":[{},1]}", "documents: entry 2");
    refuse(&b, "{\"name\":\"x\",\"body\":\"text\"}", "body: a text");
    buf_reset(&b.params);
    msgpack_write_array(&b.params, 2);
    write_text(&b.params, "x");
    write_json(&b.params, "{\"name\":\"y\"}");
    struct error err;
    assert_fails(read_params(&b, false, &err), &err, LYNSE_INVALID);
    assert_string_equal(err.text, "name: given twice");
    close_request(&b);
}

/* One large argument after the other, so that each has the first chunk of the arena to ask for. */
static void out_of_memory_is_an_answer_for_every_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        struct request_bed b;
        open_request(&b);
        msgpack_write_map(&b.params, i == 0 ? 1 : 2);
        for (size_t j = 0; j <= i; j += i ? i : 1) {
            write_text(&b.params, all_params[j].name);
            all_params[j].write(&b.params);
        }
        assert_true(buf_ok(&b.params));
        sweep_params(&b);
        close_request(&b);
    }
}

static void out_of_memory_is_an_answer_for_all_at_once(void **state)
{
    (void)state;
    struct request_bed b;
    open_request(&b);
    write_all(&b.params, false);
    sweep_params(&b);
    struct error err;
    assert_ok(read_params(&b, true, &err), &err);
    close_request(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_read_by_name_and_by_position),
        cmocka_unit_test(an_error_names_the_argument),
        cmocka_unit_test(out_of_memory_is_an_answer_for_every_kind),
        cmocka_unit_test(out_of_memory_is_an_answer_for_all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
