/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include "server/http_codec.h"
#include "server/http_text.h"
#include "support/oom_sweep.h"

static void a_target_is_split_at_its_first_question_mark(void **state)
{
    (void)state;
    struct slice path, query;
    http_split_target(slice_of_text("/a/b?c=d?e"), &path, &query);
    assert_true(slice_equal(path, slice_of_text("/a/b")));
    assert_true(slice_equal(query, slice_of_text("c=d?e")));
    http_split_target(slice_of_text("/a"), &path, &query);
    assert_true(slice_equal(path, slice_of_text("/a")) && query.size == 0);
    http_split_target(slice_of(NULL, 0), &path, &query);
    assert_true(path.size == 0 && query.size == 0);
}

static void paths_are_decoded_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *decoded; /* or, where it is refused, what its error says */
        bool is_good;
    } cases[] = {
        {"/a+b%20c", "/a+b c", true},
        {"/%41%c3%A9", "/A\xc3\xa9", true},
        {"/%2e%2E/x", "/../x", true},
        {"", "", true},
        {"/%", "byte 1, '%'", false},
        {"/%4", "byte 1, '%'", false},
        {"/%4g", "byte 1, '%'", false},
        {"/% 41", "byte 1, '%'", false},
        {"/a%00", "a NUL at byte 2", false},
        {"/a%2fb", "an encoded '/' at byte 2", false},
        {"/a%2Fb", "an encoded '/' at byte 2", false},
        {"/%ff", "not UTF-8", false},
        {"/%c0%af", "not UTF-8", false},
        {"/%ed%a0%80", "not UTF-8", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out;
        struct error err;
        buf_init(&out, alloc_libc(), MEM_GENERAL);
        buf_append_u8(&out, '>');
        int rc = http_decode_path(slice_of_text(cases[i].path), &out, &err);
        if (cases[i].is_good) {
            assert_ok(rc, &err);
            assert_int_equal(out.size, strlen(cases[i].decoded) + 1);
            assert_memory_equal(out.data + 1, cases[i].decoded, out.size - 1);
        } else {
            assert_fails(rc, &err, LYNSE_PARSE);
            if (!strstr(err.text, cases[i].decoded)) fail_msg("%s: %s", cases[i].path, err.text);
            assert_int_equal(out.size, 1);
        }
        buf_deinit(&out);
    }
}

static void query_is(struct http_query *q, const char *key, const char *expected)
{
    struct slice value;
    assert_true(http_query_find(q, key, &value));
    assert_true(slice_equal(value, slice_of_text(expected)));
}

static void a_query_is_pairs(void **state)
{
    (void)state;
    struct http_query q;
    struct slice value;
    struct buf store;
    struct error err;
    buf_init(&store, alloc_libc(), MEM_GENERAL);
    const char *text = "a=1&b=x+%2B%20y&&c&d==%3d&%65%26=5&";
    assert_ok(http_read_query(slice_of_text(text), &store, &q, &err), &err);
    assert_int_equal(q.count, 5);
    query_is(&q, "a", "1");
    query_is(&q, "b", "x + y");
    query_is(&q, "c", "");
    query_is(&q, "d", "==");
    query_is(&q, "e&", "5");
    assert_false(http_query_find(&q, "e", &value));
    assert_ok(http_read_query(slice_of(NULL, 0), &store, &q, &err), &err);
    assert_int_equal(q.count, 0);
    buf_deinit(&store);
}

static void a_bad_query_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        int code;
        const char *text;
    } cases[] = {
        {"a=1&a=1", LYNSE_INVALID, "'a' is there twice"},
        {"a=1&%61=2", LYNSE_INVALID, "'a' is there twice"},
        {"a=1&=2", LYNSE_INVALID, "without a name"},
        {"a=%f", LYNSE_PARSE, "hex"},
        {"a%0=1", LYNSE_PARSE, "hex"},
        {"a=%00", LYNSE_PARSE, "NUL"},
        {"%ff=1", LYNSE_PARSE, "UTF-8"},
        {"a=%c3&b=%a9", LYNSE_PARSE, "UTF-8"},
        {"0&1&2&3&4&5&6&7&8&9&00&01&02&03&04&05&06&07&08&09&10&11&12&13&14&15&16&17&18&19&20&21&22&"
         "23&24&25&26&27&28&29&30&31&32&33&34&35&36&37&38&39&40&41&42&43&44&45&46&47&48&49&50&51&"
         "52&53&54",
         LYNSE_LIMIT, "limit of 64"},
    };
    struct http_query q;
    struct buf store;
    struct error err;
    buf_init(&store, alloc_libc(), MEM_GENERAL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int rc = http_read_query(slice_of_text(cases[i].query), &store, &q, &err);
        assert_fails(rc, &err, cases[i].code);
        if (!strstr(err.text, cases[i].text)) assert_string_equal(err.text, cases[i].text);
        assert_int_equal(store.size, 0);
    }
    buf_deinit(&store);
}

static void keys_come_as_bearer_or_basic(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *key; /* NULL: refused */
    } cases[] = {
        {"Bearer secret", "secret"},
        {"bEARER   lynse_a-b.c~d+e/f==", "lynse_a-b.c~d+e/f=="},
        {"Basic dTprZXk=", "key"},
        {"basic OmtleQ==", "key"},
        {"Basic dTprOmU=", "k:e"},
        {"Bearer", NULL},
        {"Bearer ", NULL},
        {"Bearersecret", NULL},
        {"Bearer two words", NULL},
        {"Bearer s\xc3\xa9", NULL},
        {"Digest secret", NULL},
        {"", NULL},
        {"Basic ", NULL},
        {"Basic dTprZXk", NULL},   /* padding left out */
        {"Basic dTprZXl=", NULL},  /* bits behind the end */
        {"Basic dTpr ZXk=", NULL}, /* a space */
        {"Basic dTprZXk==", NULL},
        {"Basic dT=rZXk=", NULL},
        {"Basic ====", NULL},
        {"Basic dTprZX_=", NULL}, /* another alphabet */
        {"Basic a2V5", NULL},     /* no colon */
        {"Basic dTo=", NULL},     /* no key */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_key key;
        struct error err;
        int rc = http_read_key(slice_of_text(cases[i].value), &key, &err);
        if (!cases[i].key) {
            assert_fails(rc, &err, LYNSE_UNAUTHORIZED);
            continue;
        }
        assert_ok(rc, &err);
        assert_int_equal(key.size, strlen(cases[i].key));
        assert_memory_equal(key.bytes, cases[i].key, key.size);
    }
}

static void a_key_is_bounded_and_stays_out_of_errors(void **state)
{
    (void)state;
    char value[LIMIT_KEY_BYTES * 4 / 3 + 16];
    struct http_key key;
    struct error err;
    memset(value, 'k', sizeof value);
    memcpy(value, "Bearer ", 7);
    assert_ok(http_read_key(slice_of(value, 7 + LIMIT_KEY_BYTES), &key, &err), &err);
    struct slice longer = slice_of(value, 7 + LIMIT_KEY_BYTES + 1);
    assert_fails(http_read_key(longer, &key, &err), &err, LYNSE_UNAUTHORIZED);
    assert_null(strstr(err.text, "kk"));
    /* "u:k", "kkk", …: 510 bytes, and 513. */
    memcpy(value, "Basic dTpr", 10);
    for (size_t i = 10; i + 4 <= sizeof value; i += 4) memcpy(value + i, "a2tr", 4);
    assert_ok(http_read_key(slice_of(value, 6 + LIMIT_KEY_BYTES / 3 * 4), &key, &err), &err);
    assert_int_equal(key.size, 508);
    longer = slice_of(value, 6 + (LIMIT_KEY_BYTES / 3 + 1) * 4);
    assert_fails(http_read_key(longer, &key, &err), &err, LYNSE_UNAUTHORIZED);
    assert_null(strstr(err.text, "kk"));
}

static void media_types_are_compared_without_parameters(void **state)
{
    (void)state;
    const char *json = "application/json";
    assert_true(http_is_type(slice_of_text("application/json"), json));
    assert_true(http_is_type(slice_of_text("Application/JSON ; charset=utf-8"), json));
    assert_false(http_is_type(slice_of_text("application/jsonp"), json));
    assert_false(http_is_type(slice_of_text("application/json charset"), json));
    assert_false(http_is_type(slice_of_text("text/plain; application/json"), json));
    assert_false(http_is_type(slice_of(NULL, 0), json));
}

static void the_most_specific_range_of_an_accept_counts(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        uint32_t quality;
    } cases[] = {
        {"", 1000},
        {" ", 1000},
        {"application/json", 1000},
        {"APPLICATION/json;q=0.25", 250},
        {"text/html, application/*;q=0.5, */*;q=0.1", 500},
        {"*/*;q=0.1, application/json;q=0.7, application/*", 700},
        {"text/html", 0},
        {"text/*", 0},
        {"*/*", 1000},
        {"application/json;q=0, */*", 0},
        {"application/json;v=1;Q=0.125", 125},
        {"application/json;q=1.000", 1000},
        {"application/json;q=1.001, */*;q=0.5", 500}, /* no quality: passed over */
        {"application/json;q=.5", 0},
        {"application/json;q=0.1234", 0},
        {"application/json;q=", 0},
        {"application/json;q=2", 0},
        {"app/*", 0},
        {"*", 0},
        {",,;,/*", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t quality = http_accept_quality(slice_of_text(cases[i].accept), "application/json");
        if (quality != cases[i].quality) fail_msg("%s: %u", cases[i].accept, quality);
    }
}

static void writes(const struct http_response *r, const char *expected)
{
    struct buf out;
    struct error err;
    buf_init(&out, alloc_libc(), MEM_GENERAL);
    assert_ok(http_write_head(&out, r, &err), &err);
    buf_append_u8(&out, 0);
    assert_string_equal((char *)out.data, expected);
    buf_deinit(&out);
}

static void heads_of_answers_say_what_follows(void **state)
{
    (void)state;
    const struct http_field basic = {"WWW-Authenticate", slice_of_text("Basic realm=\"LynseDB\"")};
    struct http_response r = {.status = 200, .version_minor = 1, .keeps_alive = true};
    r.content_type = "application/json";
    r.content_length = UINT64_MAX;
    r.request_id = 10;
    writes(&r, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
               "content-length: 18446744073709551615\r\nx-request-id: 10\r\n\r\n");
    r = (struct http_response){.status = 503, .version_minor = 1, .retry_after_s = 2};
    writes(&r, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 2\r\n"
               "connection: close\r\n\r\n");
    r = (struct http_response){.status = 204, .keeps_alive = true};
    writes(&r, "HTTP/1.1 204 No Content\r\nconnection: keep-alive\r\n\r\n");
    r = (struct http_response){.status = 401, .version_minor = 1, .keeps_alive = true};
    r.fields = &basic;
    r.field_count = 1;
    writes(&r, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"LynseDB\"\r\n"
               "content-length: 0\r\n\r\n");
    r = (struct http_response){.status = 299, .version_minor = 1, .keeps_alive = true};
    writes(&r, "HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\n");
    struct buf out;
    buf_init(&out, alloc_libc(), MEM_GENERAL);
    http_write_continue(&out);
    assert_true(slice_equal(buf_slice(&out), slice_of_text("HTTP/1.1 100 Continue\r\n\r\n")));
    buf_deinit(&out);
}

/* What would end a line, or the head, and begin another one. */
static void a_field_cannot_split_an_answer(void **state)
{
    (void)state;
    const struct http_field bad[] = {
        {"X", slice_of_text("a\r\nSet-Cookie: b")},
        {"X", slice_of_text("a\nb")},
        {"X", slice_of("a\0b", 3)},
        {"X: a\r\nY", slice_of_text("b")},
        {"", slice_of_text("b")},
        {"X Y", slice_of_text("b")},
    };
    struct buf out;
    buf_init(&out, alloc_libc(), MEM_GENERAL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_response r = {.status = 200, .fields = &bad[i], .field_count = 1};
        struct error err;
        assert_fails(http_write_head(&out, &r, &err), &err, LYNSE_INVALID);
        assert_int_equal(out.size, 0);
    }
    buf_deinit(&out);
}

static void kinds_of_bytes_are_those_of_the_standards(void **state)
{
    (void)state;
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for (int i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        bool is_word = i != 0 && strchr(word, i);
        assert_int_equal(http_is_kind(byte, HTTP_IN_TOKEN),
                         is_word || (i && strchr("!#$%&'*+-.^_`|~", i)));
        assert_int_equal(http_is_kind(byte, HTTP_IN_TARGET),
                         is_word || (i && strchr("-._~%!$&'()*+,;=:@/?", i)));
        assert_int_equal(http_is_kind(byte, HTTP_IN_HOST),
                         is_word || (i && strchr("-._~%!$&'()*+,;=:[]", i)));
        assert_int_equal(http_is_field_value(slice_of(&byte, 1)),
                         i == '\t' || (i >= 0x20 && i != 0x7f));
    }
}

static int decode_and_answer(void *ctx, struct error *err)
{
    struct http_response r = {.status = 200, .content_type = "text/plain", .request_id = 1};
    struct http_query q;
    struct buf b;
    int rc = -1;
    buf_init(&b, ctx, MEM_GENERAL);
    if (http_decode_path(slice_of_text("/a%20b"), &b, err) != 0) goto out;
    if (http_read_query(
            slice_of_text("a=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"), &b, &q,
            err) != 0)
        goto out;
    rc = http_write_head(&b, &r, err);
out:
    buf_deinit(&b);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    oom_sweep(a, decode_and_answer, a);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_target_is_split_at_its_first_question_mark),
    cmocka_unit_test(paths_are_decoded_strictly),
    cmocka_unit_test(a_query_is_pairs),
    cmocka_unit_test(a_bad_query_is_refused),
    cmocka_unit_test(keys_come_as_bearer_or_basic),
    cmocka_unit_test(a_key_is_bounded_and_stays_out_of_errors),
    cmocka_unit_test(media_types_are_compared_without_parameters),
    cmocka_unit_test(the_most_specific_range_of_an_accept_counts),
    cmocka_unit_test(heads_of_answers_say_what_follows),
    cmocka_unit_test(a_field_cannot_split_an_answer),
    cmocka_unit_test(kinds_of_bytes_are_those_of_the_standards),
    cmocka_unit_test(every_allocation_may_fail),
};
TEST_MAIN(tests)
