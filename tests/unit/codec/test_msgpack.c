/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>

#include "base/limits.h"
#include "codec/msgpack.h"
#include "support/oom_sweep.h"
#include "unit/codec/random_value.h"

static const struct msgpack_limits loose = {
    .what = "message",
    .bytes_max = UINT32_MAX,
    .node_count_max = UINT64_MAX,
    .depth_max = MSGPACK_DEPTH_MAX,
    .key_count_max = UINT32_MAX,
};

/* A heap copy of exactly this size, so that ASan sees a read past it. */
static struct slice exact_copy(struct slice s)
{
    uint8_t *p = test_malloc(s.size ? s.size : 1);
    if (s.size) memcpy(p, s.data, s.size);
    return slice_of(p, s.size);
}

static void free_copy(struct slice s)
{
    test_free((void *)(uintptr_t)s.data);
}

static int check(struct slice s, const struct msgpack_limits *l, struct error *err)
{
    struct slice copy = exact_copy(s);
    size_t size = 0;
    int rc = msgpack_check(copy, l, &size, err);
    if (rc == 0) assert_true(size <= s.size);
    free_copy(copy);
    return rc;
}

/* Walk all tokens and write them again. */
static void rewrite(struct slice s, struct buf *out)
{
    struct msgpack_cursor c = msgpack_cursor_of(s);
    struct value v;
    while (msgpack_next(&c, &v)) {
        if (v.type == VALUE_MAP) msgpack_write_map(out, v.count);
        else if (v.type == VALUE_ARRAY) msgpack_write_array(out, v.count);
        else msgpack_write_value(out, &v);
    }
    assert_int_equal(msgpack_cursor_rest(&c).size, 0);
}

static void encodes(struct buf *b, const char *bytes, size_t size)
{
    assert_true(buf_ok(b));
    assert_int_equal(b->size, size);
    assert_memory_equal(b->data, bytes, size);
    buf_reset(b);
}
#define ENCODES(b, bytes) encodes(b, bytes, sizeof(bytes) - 1)

static void writes_the_shortest_encoding_of_the_specification(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    msgpack_write_null(&b);
    ENCODES(&b, "\xc0");
    msgpack_write_bool(&b, true);
    ENCODES(&b, "\xc3");
    msgpack_write_int(&b, 127);
    ENCODES(&b, "\x7f");
    msgpack_write_int(&b, 128);
    ENCODES(&b, "\xcc\x80");
    msgpack_write_int(&b, 256);
    ENCODES(&b, "\xcd\x01\x00");
    msgpack_write_int(&b, 65536);
    ENCODES(&b, "\xce\x00\x01\x00\x00");
    msgpack_write_int(&b, INT64_MAX);
    ENCODES(&b, "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff");
    msgpack_write_uint(&b, UINT64_MAX);
    ENCODES(&b, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
    msgpack_write_int(&b, -1);
    ENCODES(&b, "\xff");
    msgpack_write_int(&b, -32);
    ENCODES(&b, "\xe0");
    msgpack_write_int(&b, -33);
    ENCODES(&b, "\xd0\xdf");
    msgpack_write_int(&b, -129);
    ENCODES(&b, "\xd1\xff\x7f");
    msgpack_write_int(&b, -32769);
    ENCODES(&b, "\xd2\xff\xff\x7f\xff");
    msgpack_write_int(&b, INT64_MIN);
    ENCODES(&b, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00");
    msgpack_write_float(&b, 1.5);
    ENCODES(&b, "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00");
    msgpack_write_text(&b, slice_of_text("ab"));
    ENCODES(&b, "\xa2"
                "ab");
    msgpack_write_bytes(&b, slice_of("\x01", 1));
    ENCODES(&b, "\xc4\x01\x01");
    msgpack_write_array(&b, 15);
    ENCODES(&b, "\x9f");
    msgpack_write_array(&b, 16);
    ENCODES(&b, "\xdc\x00\x10");
    msgpack_write_map(&b, 65536);
    ENCODES(&b, "\xdf\x00\x01\x00\x00");
    msgpack_write_datetime(&b, 0);
    ENCODES(&b, "\xd6\xff\x00\x00\x00\x00");
    msgpack_write_datetime(&b, 500000);
    ENCODES(&b, "\xd7\xff\x77\x35\x94\x00\x00\x00\x00\x00");
    msgpack_write_datetime(&b, 4294967296000000ll);
    ENCODES(&b, "\xd7\xff\x00\x00\x00\x01\x00\x00\x00\x00");
    msgpack_write_datetime(&b, -1);
    ENCODES(&b, "\xc7\x0c\xff\x3b\x9a\xc6\x18\xff\xff\xff\xff\xff\xff\xff\xff");
    buf_deinit(&b);
}

static void text_lengths_choose_their_head(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        uint8_t text_head;
        uint8_t bytes_head;
        size_t text_head_bytes;
        size_t bytes_head_bytes;
    } cases[] = {
        {31, 0xbf, 0xc4, 1, 2},  {32, 0xd9, 0xc4, 2, 2},    {255, 0xd9, 0xc4, 2, 2},
        {256, 0xda, 0xc5, 3, 3}, {65535, 0xda, 0xc5, 3, 3}, {65536, 0xdb, 0xc6, 5, 5},
    };
    struct buf b;
    uint8_t *text = test_malloc(65536);
    memset(text, 'x', 65536);
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice s = slice_of(text, cases[i].size);
        struct value v;
        buf_reset(&b);
        msgpack_write_text(&b, s);
        assert_int_equal(b.data[0], cases[i].text_head);
        assert_int_equal(b.size, s.size + cases[i].text_head_bytes);
        assert_true(value_read(buf_slice(&b), &v) && v.type == VALUE_TEXT);
        assert_true(slice_equal(v.as.text, s));
        buf_reset(&b);
        msgpack_write_bytes(&b, s);
        assert_int_equal(b.data[0], cases[i].bytes_head);
        assert_int_equal(b.size, s.size + cases[i].bytes_head_bytes);
        assert_true(value_read(buf_slice(&b), &v) && v.type == VALUE_BYTES);
        assert_true(slice_equal(v.as.bytes, s));
    }
    test_free(text);
    buf_deinit(&b);
}

static struct value read_one(const char *bytes, size_t size)
{
    struct value v;
    struct error err;
    assert_ok(check(slice_of(bytes, size), &loose, &err), &err);
    assert_true(value_read(slice_of(bytes, size), &v));
    return v;
}
#define READ(bytes) read_one(bytes, sizeof(bytes) - 1)

static void reads_every_form_that_others_write(void **state)
{
    (void)state;
    assert_int_equal(READ("\xcf\x00\x00\x00\x00\x00\x00\x00\x05").as.integer, 5);
    assert_int_equal(READ("\xcf\x00\x00\x00\x00\x00\x00\x00\x05").type, VALUE_INT);
    assert_int_equal(READ("\xcf\x80\x00\x00\x00\x00\x00\x00\x00").type, VALUE_UINT);
    assert_true(READ("\xcf\x80\x00\x00\x00\x00\x00\x00\x00").as.uinteger == 1ull << 63);
    assert_int_equal(READ("\xd3\xff\xff\xff\xff\xff\xff\xff\xfe").as.integer, -2);
    assert_int_equal(READ("\xd0\x80").as.integer, -128);
    assert_int_equal(READ("\xd1\x00\x05").as.integer, 5);
    assert_true(READ("\xca\x3f\xc0\x00\x00").as.number == 1.5);
    assert_int_equal(READ("\xdb\x00\x00\x00\x01x").as.text.size, 1);
    assert_int_equal(READ("\xdd\x00\x00\x00\x01\xc0").count, 1);
    assert_int_equal(READ("\xdf\x00\x00\x00\x01\x01\xc0").as.content.size, 2);
    assert_int_equal(READ("\xd6\xff\x00\x00\x00\x01").as.datetime_us, 1000000);
    assert_int_equal(READ("\xc7\x04\xff\x00\x00\x00\x01").as.datetime_us, 1000000);
    assert_int_equal(READ("\xc8\x00\x08\xff\x00\x00\x0f\xa0\x00\x00\x00\x00").as.datetime_us, 1);
    assert_int_equal(
        READ("\xc7\x0c\xff\x3b\x9a\xc9\xff\xff\xff\xff\xff\xff\xff\xff\xff").as.datetime_us, -1);
}

static void random_documents_survive_write_check_read(void **state)
{
    (void)state;
    struct rng r;
    struct error err;
    struct buf b, again;
    rng_init(&r, test_seed(1));
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    buf_init(&again, alloc_libc(), MEM_GENERAL);
    const int rounds = test_rounds(3000);
    for (int round = 0; round < rounds; round++) {
        buf_reset(&b);
        buf_reset(&again);
        random_document(&r, &b, (struct random_shape){.depth_max = 6, .fanout_max = 20});
        assert_true(buf_ok(&b));
        assert_ok(document_check(buf_slice(&b), &err), &err);
        rewrite(buf_slice(&b), &again);
        assert_int_equal(again.size, b.size);
        assert_memory_equal(again.data, b.data, b.size);

        struct value v;
        assert_true(value_read(buf_slice(&b), &v));
        assert_int_equal(v.raw.size, b.size);
        struct msgpack_cursor c = msgpack_cursor_of(buf_slice(&b));
        assert_true(msgpack_skip(&c));
        assert_int_equal(msgpack_cursor_rest(&c).size, 0);
        assert_false(msgpack_skip(&c));
    }
    buf_deinit(&b);
    buf_deinit(&again);
}

static void every_cut_is_refused_and_every_flipped_bit_is_safe(void **state)
{
    (void)state;
    struct rng r;
    struct error err;
    struct buf b;
    rng_init(&r, test_seed(2));
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    for (int round = 0; round < 20; round++) {
        buf_reset(&b);
        random_document(&r, &b, (struct random_shape){.depth_max = 4, .fanout_max = 6});
        if (b.size > 700) continue;
        for (size_t size = 0; size < b.size; size++) {
            struct slice cut = exact_copy(slice_of(b.data, size));
            struct msgpack_cursor c = msgpack_cursor_of(cut);
            struct value v;
            assert_fails(document_check(cut, &err), &err, LYNSE_PARSE);
            assert_false(msgpack_skip(&c));
            while (msgpack_next(&c, &v)) {
            }
            doc_get(cut, slice_of_text("k1.k0.k1"), &v);
            free_copy(cut);
        }
        for (size_t bit = 0; bit < b.size * 8; bit++) {
            b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            struct slice copy = exact_copy(buf_slice(&b));
            struct value v;
            if (document_check(copy, &err) == 0) {
                struct msgpack_cursor c = msgpack_cursor_of(copy);
                while (msgpack_next(&c, &v)) {
                }
                assert_int_equal(msgpack_cursor_rest(&c).size, 0);
            }
            doc_get(copy, slice_of_text("k1.k0.k1"), &v);
            free_copy(copy);
            b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    buf_deinit(&b);
}

static void refuse(const char *bytes, size_t size, int code)
{
    struct error err;
    assert_fails(check(slice_of(bytes, size), &loose, &err), &err, code);
    assert_non_null(strstr(err.text, "message"));
}
#define REFUSE(bytes, code) refuse(bytes, sizeof(bytes) - 1, code)

static void hostile_messages_are_refused_at_their_head(void **state)
{
    (void)state;
    REFUSE("", LYNSE_PARSE);
    REFUSE("\xdd\xff\xff\xff\xff", LYNSE_PARSE);     /* an array of 4 G items */
    REFUSE("\xdf\xff\xff\xff\xff", LYNSE_PARSE);     /* a map of them */
    REFUSE("\xdb\xff\xff\xff\xff", LYNSE_PARSE);     /* text of 4 GiB */
    REFUSE("\xc6\xff\xff\xff\xff", LYNSE_PARSE);     /* bytes */
    REFUSE("\xc9\xff\xff\xff\xff\xff", LYNSE_PARSE); /* extension */
    REFUSE("\x92\xdc\x00\x01", LYNSE_PARSE);         /* both counts fit alone, not together */
    REFUSE("\xc1", LYNSE_PARSE);
    REFUSE("\xa1\xff", LYNSE_PARSE);           /* not UTF-8 */
    REFUSE("\xa3\xed\xa0\x80", LYNSE_PARSE);   /* a surrogate */
    REFUSE("\xd4\x05\x00", LYNSE_INVALID);     /* an extension that we do not have */
    REFUSE("\xd5\xff\x00\x00", LYNSE_INVALID); /* a timestamp of two bytes */
    REFUSE("\xd7\xff\xff\xff\xff\xfc\x00\x00\x00\x00", LYNSE_INVALID); /* 1.07 G nanoseconds */
    REFUSE("\xc7\x0c\xff\x00\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff", LYNSE_INVALID);
}

static void depth_ten_thousand_is_an_error_and_no_overflow(void **state)
{
    (void)state;
    struct error err;
    static const uint8_t heads[] = {0x91, 0x81};
    uint8_t *deep = test_malloc(20000);
    for (int form = 0; form < 2; form++) {
        size_t size = 0;
        for (int i = 0; i < 10000; i++) {
            deep[size++] = heads[form];
            if (form == 1) deep[size++] = 0xa0;
        }
        struct slice s = slice_of(deep, size);
        struct msgpack_cursor c = msgpack_cursor_of(s);
        assert_fails(msgpack_check(s, &loose, NULL, &err), &err, LYNSE_LIMIT);
        assert_non_null(strstr(err.text, "65"));
        assert_non_null(strstr(err.text, "64"));
        assert_false(msgpack_skip(&c));
    }
    test_free(deep);
}

static void a_value_may_be_followed_by_others(void **state)
{
    (void)state;
    struct error err;
    size_t size = 0;
    assert_ok(msgpack_check(slice_of("\x92\x01\x02\xc0", 4), &loose, &size, &err), &err);
    assert_int_equal(size, 3);
    assert_fails(document_check(slice_of("\x80\xc0", 2), &err), &err, LYNSE_PARSE);
}

static void document_limits_name_field_value_and_limit(void **state)
{
    (void)state;
    struct error err;
    struct buf b;
    buf_init(&b, alloc_libc(), MEM_GENERAL);

    assert_fails(document_check(slice_of("\x90", 1), &err), &err, LYNSE_INVALID);
    assert_string_equal(err.text, "fields must be a map, not list");
    assert_fails(document_check(slice_of("\x81\x01\x01", 3), &err), &err, LYNSE_INVALID);
    assert_non_null(strstr(err.text, "key must be text, not whole number"));

    for (uint32_t extra = 0; extra < 2; extra++) {
        buf_reset(&b);
        msgpack_write_map(&b, LIMIT_DOC_KEYS + extra);
        for (uint32_t i = 0; i < LIMIT_DOC_KEYS + extra; i++) {
            char key[16];
            snprintf(key, sizeof key, "%u", i);
            msgpack_write_text(&b, slice_of_text(key));
            msgpack_write_int(&b, 1);
        }
        int rc = document_check(buf_slice(&b), &err);
        if (extra == 0) assert_ok(rc, &err);
    }
    assert_int_equal(err.code, LYNSE_LIMIT);
    assert_string_equal(err.text, "fields: a map of 4097 keys is over the limit of 4096");

    for (uint32_t extra = 0; extra < 2; extra++) {
        buf_reset(&b);
        for (uint32_t i = 1; i < LIMIT_DOC_DEPTH + extra; i++) {
            msgpack_write_map(&b, 1);
            msgpack_write_text(&b, slice_of_text("k"));
        }
        msgpack_write_map(&b, 0);
        int rc = document_check(buf_slice(&b), &err);
        if (extra == 0) assert_ok(rc, &err);
    }
    assert_string_equal(err.text, "fields: nesting of 33 is over the limit of 32");

    for (size_t extra = 0; extra < 2; extra++) {
        buf_reset(&b);
        msgpack_write_map(&b, 1);
        msgpack_write_text(&b, slice_of_text("k"));
        size_t head = b.size + 5;
        buf_append_zeros(&b, LIMIT_DOC_BYTES - b.size + extra);
        memcpy(b.data + head - 5, "\xc6", 1);
        uint32_t size = __builtin_bswap32((uint32_t)(b.size - head));
        memcpy(b.data + head - 4, &size, 4);
        int rc = document_check(buf_slice(&b), &err);
        if (extra == 0) assert_ok(rc, &err);
    }
    assert_string_equal(err.text, "fields: 1048577 bytes are over the limit of 1048576");
    buf_deinit(&b);
}

static void general_limits_hold(void **state)
{
    (void)state;
    struct error err;
    struct msgpack_limits l = loose;
    l.bytes_max = 4;
    assert_ok(check(slice_of("\x93\x01\x02\x03", 4), &l, &err), &err);
    assert_ok(check(slice_of("\x93\x01\x02\x03\x04", 5), &l, &err), &err);
    assert_fails(check(slice_of("\x94\x01\x02\x03\x04", 5), &l, &err), &err, LYNSE_LIMIT);
    l = loose;
    l.node_count_max = 3;
    assert_ok(check(slice_of("\x92\x01\x02", 3), &l, &err), &err);
    assert_fails(check(slice_of("\x93\x01\x02\x03", 4), &l, &err), &err, LYNSE_LIMIT);
    l = loose;
    l.depth_max = 0;
    assert_ok(check(slice_of("\x01", 1), &l, &err), &err);
    assert_fails(check(slice_of("\x90", 1), &l, &err), &err, LYNSE_LIMIT);
}

static void a_key_that_is_there_twice_is_named(void **state)
{
    (void)state;
    struct error err;
    struct rng r;
    struct buf b;
    rng_init(&r, test_seed(3));
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    assert_fails(document_check(slice_of("\x82\xa1x\x01\xa1x\x02", 7), &err), &err, LYNSE_INVALID);
    assert_string_equal(err.text, "fields: the key 'x' is there twice");
    /* In a map within, and beside one of the same key in another map. */
    assert_ok(document_check(slice_of("\x82\xa1x\x81\xa1x\x01\xa1y\x02", 10), &err), &err);
    assert_fails(document_check(slice_of("\x81\xa1x\x82\xa1y\x01\xa1y\x02", 10), &err), &err,
                 LYNSE_INVALID);

    for (int round = 0; round < 200; round++) {
        uint32_t count = 2 + (uint32_t)rng_below(&r, round % 10 ? 40 : LIMIT_DOC_KEYS - 1);
        uint32_t first = (uint32_t)rng_below(&r, count);
        uint32_t second = (uint32_t)rng_below(&r, count);
        bool is_twice = first != second && rng_chance(&r, 0.7);
        buf_reset(&b);
        msgpack_write_map(&b, count);
        for (uint32_t i = 0; i < count; i++) {
            char key[32];
            uint32_t n = is_twice && i == second ? first : i;
            if (n % 7 == 0)
                snprintf(key, sizeof key, "%u", n); /* the beginning of others: lengths matter */
            else snprintf(key, sizeof key, "%u-%u", n / 7 * 7, n);
            msgpack_write_text(&b, slice_of_text(key));
            msgpack_write_int(&b, i);
        }
        int rc = document_check(buf_slice(&b), &err);
        if (is_twice) assert_fails(rc, &err, LYNSE_INVALID);
        else assert_ok(rc, &err);
    }
    buf_deinit(&b);
}

static int write_document(void *ctx, struct error *err)
{
    struct buf b;
    struct rng r;
    rng_init(&r, 4);
    buf_init(&b, ctx, MEM_GENERAL);
    random_document(&r, &b, (struct random_shape){.depth_max = 5, .fanout_max = 30});
    int rc = buf_ok(&b) ? 0 : error_no_memory(err, b.size);
    if (rc == 0) assert_true(b.size > 10000); /* it has grown often */
    buf_deinit(&b);
    return rc;
}

static void a_writer_out_of_memory_says_so_at_the_end(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(&(struct alloc_hooks){0}, 0);
    oom_sweep(a, write_document, a);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(writes_the_shortest_encoding_of_the_specification),
    cmocka_unit_test(text_lengths_choose_their_head),
    cmocka_unit_test(reads_every_form_that_others_write),
    cmocka_unit_test(random_documents_survive_write_check_read),
    cmocka_unit_test(every_cut_is_refused_and_every_flipped_bit_is_safe),
    cmocka_unit_test(hostile_messages_are_refused_at_their_head),
    cmocka_unit_test(depth_ten_thousand_is_an_error_and_no_overflow),
    cmocka_unit_test(a_value_may_be_followed_by_others),
    cmocka_unit_test(document_limits_name_field_value_and_limit),
    cmocka_unit_test(general_limits_hold),
    cmocka_unit_test(a_key_that_is_there_twice_is_named),
    cmocka_unit_test(a_writer_out_of_memory_says_so_at_the_end),
};

TEST_MAIN(tests)
