/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <string.h>

#include "base/limits.h"
#include "server/records_binary.h"
#include "support/oom_sweep.h"

/* Two rows of one number, ids 7 and 8; the second has {"k": [1, -1, 0.5, "hi", null, true]}. */
static const uint8_t body[] =
    "\0\0\x80\x3f\0\0\0\x40\7\0\0\0\0\0\0\0\x8\0\0\0\0\0\0\0LDBF1\2\0\0\0\0\1\1\0\0\0\1\0\0\0k\7\6"
    "\0\0\0\4\1\0\0\0\0\0\0\0\3\xff\xff\xff\xff\xff\xff\xff\xff\5\0\0\0\0\0\0\xe0\x3f\6\2\0\0\0hi\0"
    "\2";
enum { BODY_BYTES = sizeof body - 1, FIELDS_AT = 24 };

static const struct records_shape two = {.dim = 1, .row_count = 2};

static struct arena make_arena(struct alloc *a)
{
    struct arena arena;
    arena_init(&arena, a, MEM_MESSAGE);
    return arena;
}

static void a_body_becomes_ids_vectors_and_documents(void **state)
{
    (void)state;
    static const uint8_t document[] = "\x81\xa1k\x96\1\xff\xcb\x3f\xe0\0\0\0\0\0\0\xa2hi\xc0\xc3";
    struct arena arena = make_arena(alloc_libc());
    struct records records;
    struct error err;
    assert_int_equal(records_read(&two, slice_of(body, BODY_BYTES), &arena, &records, &err), 0);
    assert_true(records.vectors[0] == 1.0f && records.vectors[1] == 2.0f);
    assert_int_equal(records.ids[0].number, 7);
    assert_int_equal(records.ids[1].number, 8);
    assert_int_equal(records.fields[0].size, 0);
    assert_int_equal(records.fields[1].size, sizeof document - 1);
    assert_memory_equal(records.fields[1].data, document, sizeof document - 1);
    arena_deinit(&arena);
}

static void without_a_block_of_fields_there_are_none(void **state)
{
    (void)state;
    struct records_shape range = {.dim = 1, .row_count = 2, .is_range = true, .ids_start = 40};
    struct arena arena = make_arena(alloc_libc());
    struct records records;
    struct error err;
    assert_int_equal(records_read(&range, slice_of(body, 8), &arena, &records, &err), 0);
    assert_int_equal(records.ids[1].number, 41);
    assert_null(records.fields);
    range.encoding = VECTOR_ENCODING_F16;
    assert_int_equal(records_read(&range, slice_of("\0\x3c\0\xc0", 4), &arena, &records, &err), 0);
    assert_true(records.vectors[0] == 1.0f && records.vectors[1] == -2.0f);
    arena_deinit(&arena);
}

static void ids_of_a_range_must_fit(void **state)
{
    (void)state;
    struct records_shape range = {.dim = 1, .row_count = 2, .is_range = true};
    struct arena arena = make_arena(alloc_libc());
    struct records records;
    struct error err;
    range.ids_start = LIMIT_INT_ID - 1;
    assert_int_equal(records_read(&range, slice_of(body, 8), &arena, &records, &err), -1);
    assert_int_equal(err.code, LYNSE_LIMIT);
    arena_deinit(&arena);
}

/* Only a body without the whole block of fields is another good body. */
static void every_body_that_is_cut_short_is_refused(void **state)
{
    (void)state;
    for (size_t size = 0; size < BODY_BYTES; size++) {
        struct arena arena = make_arena(alloc_libc());
        struct records records;
        struct error err = {0};
        int rc = records_read(&two, slice_of(body, size), &arena, &records, &err);
        assert_int_equal(rc, size == FIELDS_AT ? 0 : -1);
        if (rc != 0) assert_int_equal(err.code, LYNSE_INVALID);
        arena_deinit(&arena);
    }
}

static void assert_refused(const char *fields, size_t size, const char *text)
{
    uint8_t whole[256];
    struct arena arena = make_arena(alloc_libc());
    struct records records;
    struct error err;
    memcpy(whole, body, FIELDS_AT);
    memcpy(whole + FIELDS_AT, fields, size);
    struct slice bytes = slice_of(whole, FIELDS_AT + size);
    assert_int_equal(records_read(&two, bytes, &arena, &records, &err), -1);
    assert_non_null(strstr(err.text, text));
    arena_deinit(&arena);
}
#define REFUSED(fields, text) assert_refused(fields, sizeof fields - 1, text)

static void damaged_fields_are_named(void **state)
{
    (void)state;
    REFUSED("LDBF2\2\0\0\0\0\0", "no LDBF1");
    REFUSED("LDBF1\3\0\0\0\0\0\0", "fields length must match");
    REFUSED("LDBF1\2\0\0\0\0\0\0", "behind the last row, at byte 11");
    REFUSED("LDBF1\2\0\0\0\2\0", "must be 0 or 1");
    REFUSED("LDBF1\2\0\0\0\1\1\0\0\0\1\0\0\0a\x9\0", "row 1: fields: there is no such tag");
    REFUSED("LDBF1\2\0\0\0\1\xff\xff\xff\xff\0", "more entries are promised");
    REFUSED("LDBF1\2\0\0\0\1\1\0\0\0\xff\xff\xff\x7f", "a text is cut short");
}

/* Arrays of one array, one level deeper than allowed. */
static void nesting_ends_at_its_limit(void **state)
{
    (void)state;
    char fields[256] = "LDBF1\2\0\0\0\0\1\1\0\0\0\1\0\0\0k";
    size_t size = 20;
    for (int i = 0; i < LIMIT_DOC_DEPTH; i++, size += 5) memcpy(fields + size, "\7\1\0\0\0", 5);
    fields[size++] = 0;
    assert_refused(fields, size, "nested deeper than 32");
}

static int read_all(void *ctx, struct error *err)
{
    struct arena arena = make_arena(ctx);
    struct records records;
    int rc = records_read(&two, slice_of(body, BODY_BYTES), &arena, &records, err);
    arena_deinit(&arena);
    return rc;
}

static void out_of_memory_is_an_error(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    oom_sweep(a, read_all, a);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_becomes_ids_vectors_and_documents),
        cmocka_unit_test(without_a_block_of_fields_there_are_none),
        cmocka_unit_test(ids_of_a_range_must_fit),
        cmocka_unit_test(every_body_that_is_cut_short_is_refused),
        cmocka_unit_test(damaged_fields_are_named),
        cmocka_unit_test(nesting_ends_at_its_limit),
        cmocka_unit_test(out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
