/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <stdbool.h>

#include "support/test.h"

/* Encode one scalar value by the definition; 0 for what has no encoding. */
static size_t encode(uint32_t c, char out[4])
{
    if (c >= 0xD800 && c <= 0xDFFF) return 0;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)((0xF00u >> size & 0xF0u) | c);
    return size;
}

static void every_character_is_valid(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        char bytes[4];
        size_t size = encode(c, bytes);
        if (size == 0) continue;
        assert_int_equal(utf8_valid_bytes(bytes, size), size);
        for (size_t cut = 1; cut < size; cut++) assert_int_equal(utf8_valid_bytes(bytes, cut), 0);
    }
}

static void nothing_else_is_valid(void **state)
{
    (void)state;
    const char *bad[] = {"\x80",
                         "\xBF",
                         "\xC0\x80",
                         "\xC1\xBF",
                         "\xE0\x80\x80",
                         "\xE0\x9F\xBF",
                         "\xED\xA0\x80",
                         "\xED\xBF\xBF",
                         "\xF0\x80\x80\x80",
                         "\xF0\x8F\xBF\xBF",
                         "\xF4\x90\x80\x80",
                         "\xF5\x80\x80\x80",
                         "\xFF",
                         "\xFE",
                         "\xC3(",
                         "\xE2\x82(",
                         "\xF0\x9F\x98("};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(utf8_valid_bytes(bad[i], strlen(bad[i])), 0);
        assert_false(utf8_is_valid(bad[i], strlen(bad[i])));
    }
    /* Of two bytes, exactly the pairs ASCII + ASCII and C2..DF + 80..BF. */
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            uint8_t pair[2] = {(uint8_t)a, (uint8_t)b};
            bool expected =
                (a < 0x80 && b < 0x80) || (a >= 0xC2 && a <= 0xDF && (b & 0xC0) == 0x80);
            assert_int_equal(utf8_is_valid(pair, 2), expected);
        }
    }
}

static void mending_gives_valid_text_of_no_more_bytes(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        char text[24];
        char before[24];
        for (size_t i = 0; i < sizeof text; i++) {
            seed = seed * 1664525u + 1013904223u;
            /* Bytes near the borders of the table, so that many sequences nearly fit. */
            static const uint8_t pool[] = {'a',  0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC2,
                                           0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xFF};
            text[i] = (char)pool[seed >> 28];
        }
        memcpy(before, text, sizeof text);
        size_t size = utf8_mend(text, sizeof text);
        assert_true(size <= sizeof text && size + 3 >= sizeof text);
        assert_true(utf8_is_valid(text, size));
        for (size_t i = 0; i < size; i++) assert_true(text[i] == before[i] || text[i] == '?');
    }
}

static void mending_leaves_good_text_and_drops_a_cut_end(void **state)
{
    (void)state;
    char good[] = "na\xC3\xAFve \xF0\x9F\x98\x80";
    assert_int_equal(utf8_mend(good, strlen(good)), strlen(good));
    assert_string_equal(good, "na\xC3\xAFve \xF0\x9F\x98\x80");
    for (size_t cut = 1; cut <= 3; cut++)
        assert_int_equal(utf8_mend(good, strlen(good) - cut), strlen(good) - 4);
    assert_int_equal(utf8_mend(good, 0), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_character_is_valid),
    cmocka_unit_test(nothing_else_is_valid),
    cmocka_unit_test(mending_gives_valid_text_of_no_more_bytes),
    cmocka_unit_test(mending_leaves_good_text_and_drops_a_cut_end),
};

TEST_MAIN(tests)
