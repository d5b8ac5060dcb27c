/* SPDX-License-Identifier: Apache-2.0 */
#include "store/file_header.h"

#include "base/bytes.h"
#include "support/test.h"

static const struct file_owner OWNER = {{{1, 2, 3}}, {{4, 5, 6}}};
static const struct uuid FILE_UUID = {{7, 8, 9}};

static void make(uint8_t bytes[FORMAT_HEADER_BYTES])
{
    struct file_header h;
    file_header_init(&h, MAGIC_MANIFEST, 112, &OWNER, &FILE_UUID);
    file_header_encode(&h, bytes);
}

static int decode(const uint8_t *bytes, const struct file_owner *owner, bool *read_only,
                  struct error *err)
{
    struct file_header h;
    return file_header_decode(bytes, MAGIC_MANIFEST, 112, owner, "manifest-7", &h, read_only, err);
}

static void what_is_encoded_is_decoded(void **state)
{
    uint8_t bytes[FORMAT_HEADER_BYTES];
    struct file_header h;
    struct error err = {0};
    bool read_only = true;
    (void)state;
    make(bytes);
    assert_memory_equal(bytes, "LynseMan", 8);
    assert_ok(file_header_decode(bytes, MAGIC_MANIFEST, 112, &OWNER, "x", &h, &read_only, &err),
              &err);
    assert_false(read_only);
    assert_int_equal(h.major, FORMAT_MAJOR);
    assert_int_equal(h.writer, FORMAT_WRITER);
    assert_true(uuid_equal(&h.file, &FILE_UUID));
    assert_true(uuid_equal(&h.owner.collection, &OWNER.collection));
}

static void a_file_of_another_kind_database_or_collection_is_refused(void **state)
{
    uint8_t bytes[FORMAT_HEADER_BYTES];
    struct error err = {0};
    struct file_owner other = OWNER;
    bool read_only;
    (void)state;
    make(bytes);
    bytes[7] = 'X';
    assert_fails(decode(bytes, &OWNER, &read_only, &err), &err, LYNSE_CORRUPT);
    make(bytes);
    other.root.bytes[0] ^= 1;
    assert_fails(decode(bytes, &other, &read_only, &err), &err, LYNSE_CORRUPT);
    assert_non_null(strstr(err.text, "database"));
    other = OWNER;
    other.collection.bytes[15] ^= 1;
    assert_fails(decode(bytes, &other, &read_only, &err), &err, LYNSE_CORRUPT);
    assert_non_null(strstr(err.text, "collection"));
    assert_ok(decode(bytes, NULL, &read_only, &err), &err);
    store_u32(bytes + 28, 116);
    assert_fails(decode(bytes, &OWNER, &read_only, &err), &err, LYNSE_CORRUPT);
}

static void what_is_newer_is_named_with_both_versions(void **state)
{
    uint8_t bytes[FORMAT_HEADER_BYTES];
    struct error err = {0};
    bool read_only = false;
    (void)state;
    make(bytes);
    store_u16(bytes + 8, 2);
    assert_fails(decode(bytes, &OWNER, &read_only, &err), &err, LYNSE_FORMAT_TOO_NEW);
    assert_non_null(strstr(err.text, "version 2"));
    assert_non_null(strstr(err.text, "than 1"));
    make(bytes);
    store_u32(bytes + 24, 4);
    assert_fails(decode(bytes, &OWNER, &read_only, &err), &err, LYNSE_FORMAT_TOO_NEW);
    assert_non_null(strstr(err.text, "0x4"));
    make(bytes);
    store_u16(bytes + 10, 9);
    store_u32(bytes + 16, 0xffffffff);
    assert_ok(decode(bytes, &OWNER, &read_only, &err), &err);
    assert_false(read_only);
    store_u32(bytes + 20, FEATURE_HOOKS);
    assert_ok(decode(bytes, &OWNER, &read_only, &err), &err);
    assert_false(read_only);
    store_u32(bytes + 20, FEATURE_INDEXES << 1);
    assert_ok(decode(bytes, &OWNER, &read_only, &err), &err);
    assert_true(read_only);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_encoded_is_decoded),
    cmocka_unit_test(a_file_of_another_kind_database_or_collection_is_refused),
    cmocka_unit_test(what_is_newer_is_named_with_both_versions),
};
TEST_MAIN(tests)
