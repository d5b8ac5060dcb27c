/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/utf8.h"
#include "support/test.h"

static void setting_fills_every_member(void **state)
{
    (void)state;
    struct error err;
    memset(&err, 0xAA, sizeof err);
    int line = __LINE__ + 1;
    assert_int_equal(error_set(&err, LYNSE_LIMIT, "k is %d, at most %d", 7, 5), -1);
    assert_int_equal(err.code, LYNSE_LIMIT);
    assert_int_equal(err.os_errno, 0);
    assert_int_equal(err.line, line);
    assert_non_null(strstr(err.file, "test_error.c"));
    assert_string_equal(err.text, "k is 7, at most 5");
}

static void null_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, LYNSE_IO, "x"), -1);
    assert_int_equal(error_set_errno(NULL, LYNSE_IO, EIO, "x"), -1);
    assert_int_equal(error_wrap(NULL, "x"), -1);
    assert_int_equal(error_no_memory(NULL, 5), -1);
}

static void system_errors_are_described(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(error_set_errno(&err, LYNSE_NOT_FOUND, ENOENT, "open '%s'", "a"), -1);
    assert_string_equal(err.text, "open 'a': No such file or directory");
    assert_int_equal(err.os_errno, ENOENT);
    error_set_errno(&err, LYNSE_IO, 99999, "read");
    assert_string_equal(err.text, "read: errno 99999");
}

static void reason_survives_a_long_text(void **state)
{
    (void)state;
    struct error err;
    char path[1000];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    error_set_errno(&err, LYNSE_IO, EIO, "open '%s'", path);
    assert_int_equal(strlen(err.text), ERROR_TEXT_BYTES - 1);
    assert_non_null(strstr(err.text, "ppp: Input/output error"));
}

static void text_is_cut_at_a_character(void **state)
{
    (void)state;
    /* Every alignment of one to four byte characters against the end of the text. */
    const char *characters[] = {"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (size_t c = 0; c < 4; c++) {
        for (int shift = 0; shift < 8; shift++) {
            char long_text[2000] = "";
            memset(long_text, 'x', (size_t)shift);
            size_t used = (size_t)shift;
            size_t step = strlen(characters[c]);
            for (; used + step < sizeof long_text; used += step)
                memcpy(long_text + used, characters[c], step);
            long_text[used] = '\0';
            struct error err;
            error_set(&err, LYNSE_INVALID, "%s", long_text);
            size_t size = strlen(err.text);
            assert_true(size < ERROR_TEXT_BYTES && size > ERROR_TEXT_BYTES - 1 - step);
            assert_memory_equal(err.text, long_text, size);
            assert_true(utf8_is_valid(err.text, size));
            error_wrap(&err, "a name %d", shift);
            assert_true(utf8_is_valid(err.text, strlen(err.text)));
        }
    }
}

static void foreign_bytes_do_not_spoil_the_text(void **state)
{
    (void)state;
    struct error err;
    error_set(&err, LYNSE_INVALID, "name '%s' is bad",
              "a\xFF\xC0\x80"
              "b");
    assert_string_equal(err.text, "name 'a???b' is bad");
}

static void wrapping_keeps_code_and_puts_context_first(void **state)
{
    (void)state;
    struct error err;
    error_set_errno(&err, LYNSE_DISK_FULL, ENOSPC, "write");
    assert_int_equal(error_wrap(&err, "rename '%s' to '%s'", "a", "b"), -1);
    assert_string_equal(err.text, "rename 'a' to 'b': write: No space left on device");
    assert_int_equal(err.code, LYNSE_DISK_FULL);
    assert_int_equal(err.os_errno, ENOSPC);
    for (int i = 0; i < 50; i++) error_wrap(&err, "again and again");
    assert_int_equal(strlen(err.text), ERROR_TEXT_BYTES - 1);
    assert_int_equal(err.code, LYNSE_DISK_FULL);
}

static void arguments_may_come_from_the_error_itself(void **state)
{
    (void)state;
    struct error err;
    error_set(&err, LYNSE_IO, "inner");
    error_set(&err, LYNSE_CORRUPT, "outer (%s)", err.text);
    assert_string_equal(err.text, "outer (inner)");
    error_wrap(&err, "%s", err.text);
    assert_string_equal(err.text, "outer (inner): outer (inner)");
}

static void errnos_have_codes(void **state)
{
    (void)state;
    const int expected[][2] = {
        {ENOSPC, LYNSE_DISK_FULL}, {EDQUOT, LYNSE_DISK_FULL}, {ENOENT, LYNSE_NOT_FOUND},
        {EROFS, LYNSE_READ_ONLY},  {EACCES, LYNSE_READ_ONLY}, {EPERM, LYNSE_READ_ONLY},
        {ENOMEM, LYNSE_NO_MEMORY}, {EMFILE, LYNSE_BUSY},      {ENFILE, LYNSE_BUSY},
        {EIO, LYNSE_IO},           {EBADF, LYNSE_IO},         {0, LYNSE_IO},
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(error_code_of_errno(expected[i][0]), expected[i][1]);
}

static void names_come_from_the_table(void **state)
{
    (void)state;
    assert_string_equal(error_name(LYNSE_NOT_FOUND), "NOT_FOUND");
    assert_string_equal(error_sentence(LYNSE_NOT_FOUND), "not found");
    assert_string_equal(error_name(25), "INTERNAL");
    assert_string_equal(error_name(LYNSE_OK), "OK");
    const int absent[] = {-1, 26, 1 << 30};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(error_name(absent[i]), "unknown");
        assert_string_equal(error_sentence(absent[i]), "unknown");
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(setting_fills_every_member),
    cmocka_unit_test(null_is_allowed),
    cmocka_unit_test(system_errors_are_described),
    cmocka_unit_test(reason_survives_a_long_text),
    cmocka_unit_test(text_is_cut_at_a_character),
    cmocka_unit_test(foreign_bytes_do_not_spoil_the_text),
    cmocka_unit_test(wrapping_keeps_code_and_puts_context_first),
    cmocka_unit_test(arguments_may_come_from_the_error_itself),
    cmocka_unit_test(errnos_have_codes),
    cmocka_unit_test(names_come_from_the_table),
};

TEST_MAIN(tests)
