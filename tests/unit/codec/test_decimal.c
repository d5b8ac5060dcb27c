/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>

#include "base/rng.h"
#include "codec/decimal.h"

static bool same_f64(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}
static bool same_f32(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Both widths against the C library, which rounds correctly. */
static void agrees(const char *text)
{
    struct decimal d;
    size_t size = strlen(text);
    if (decimal_scan(slice_of(text, size), &d) != size) fail_msg("not scanned: %.100s", text);
    if (!same_f64(decimal_to_f64(&d), strtod(text, NULL))) fail_msg("f64 of %.100s", text);
    if (!same_f32(decimal_to_f32(&d), strtof(text, NULL))) fail_msg("f32 of %.100s", text);
}

static void known_hard_numbers_are_correct_to_the_last_bit(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "-0.0",
        "0e999999999999999999999",
        "1",
        "0.1",
        "1e22",
        "1e23",
        "123456789012345678",
        "9007199254740993",
        "9007199254740993.0000000000000000000000000000000000000001",
        "9007199254740992.9999999999999999999999999999999999999999",
        "9007199254740995",
        "18446744073709551615",
        "18446744073709551616",
        "16777217",
        "16777217.00000000000000000000000000000001",
        "1.00000005960464477539062500000000000000000000000000000",
        "1.00000005960464477539062500000000000000000000000000001",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "4.9e-324",
        "2.4703282292062327208e-324",
        "2.4703282292062328e-324",
        "1e-400",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1e400",
        "1e-99999999999999999999999",
        "1e99999999999999999999999",
        "3.4028235e38",
        "3.4028236e38",
        "1.4e-45",
        "7.006492321624085e-46",
        "7.0064923216240854e-46",
        "7.0064923216240862e-46",
        "1.1754943508222875e-38",
        "1.1754942807573643e-38",
        "8.5e22",
        "0.000000000000000000000000000000000000000000000000000000000001",
        "100000000000000000000000000000000000000000000000000000000000",
        "12345678901234567890123456789012345678901234567890e-50",
        "0.12345678955316544",
        "7.2057594037927933e16",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) agrees(texts[i]);
}

static void random_doubles_read_as_the_c_library_reads_them(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, test_seed(1));
    const int rounds = test_rounds(400000);
    for (int i = 0; i < rounds; i++) {
        uint64_t bits = rng_u64(&r);
        double v;
        char text[64];
        memcpy(&v, &bits, sizeof v);
        if (i % 2) v = rng_normal(&r);
        if (isnan(v) || isinf(v)) continue;
        snprintf(text, sizeof text, "%.*g", 1 + (int)rng_below(&r, 25), v);
        agrees(text);
    }
}

static void random_digits_read_as_the_c_library_reads_them(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, test_seed(2));
    const int rounds = test_rounds(400000);
    for (int i = 0; i < rounds; i++) {
        char text[1100];
        size_t size = 0;
        size_t want = 1 + (size_t)rng_below(&r, i % 100 ? 40 : 1000);
        size_t point = (size_t)rng_below(&r, want + 1);
        for (size_t n = 0; n < want; n++) {
            if (n == point && n > 0) text[size++] = '.';
            text[size++] = (char)('0' + rng_below(&r, 10));
            if (n == 0 && text[0] == '0') text[0] = '7';
        }
        snprintf(text + size, 16, "e%d", (int)rng_below(&r, 700) - 350);
        if (i % 2) text[size] = '\0';
        agrees(text);
    }
}

/* Exactly between two floats, and a hair on either side of it: where rounding is decided. */
static void half_way_points_round_to_even(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, test_seed(3));
    const int rounds = test_rounds(50000);
    for (int i = 0; i < rounds; i++) {
        char text[1200];
        float f =
            ldexpf(1 + (float)rng_below(&r, 1 << 23) * 0x1p-23f, (int)rng_below(&r, 240) - 120);
        double middle = ((double)f + (double)nextafterf(f, INFINITY)) / 2;
        int size = snprintf(text, 1000, "%.400f", middle);
        agrees(text);
        text[size - 1] = '1';
        agrees(text);
        /* A double's middle is an integer below 2^54 times a power of two. */
        uint64_t odd = (1ull << 53 | rng_below(&r, 1ull << 53)) | 1;
        snprintf(text, sizeof text, "%llu", (unsigned long long)odd);
        agrees(text);
        snprintf(text, sizeof text, "%llu.00000000000000000001", (unsigned long long)odd);
        agrees(text);
    }
}

static void the_grammar_is_that_of_json(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t bytes;
        bool is_integer;
    } cases[] = {
        {"", 0, false},    {"-", 0, false},       {"+1", 0, false},  {".5", 0, false},
        {"-.5", 0, false}, {"e5", 0, false},      {"NaN", 0, false}, {"Infinity", 0, false},
        {"01", 1, true},   {"1.", 1, true},       {"1.e5", 1, true}, {"1e", 1, true},
        {"1e+", 1, true},  {"1.5e", 3, false},    {"12,", 2, true},  {"-0", 2, true},
        {"1e5", 3, false}, {"1E-05", 5, false},   {"0x10", 1, true}, {"1.0", 3, false},
        {"1 2", 1, true},  {"-12e+3x", 6, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct decimal d;
        size_t size = strlen(cases[i].text);
        char *exact = test_malloc(size ? size : 1);
        memcpy(exact, cases[i].text, size);
        size_t bytes = decimal_scan(slice_of(exact, size), &d);
        assert_int_equal(bytes, cases[i].bytes);
        if (bytes) assert_int_equal(d.is_integer, cases[i].is_integer);
        test_free(exact);
    }
}

static void integers_keep_every_bit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
        bool fits;
    } cases[] = {
        {"0", 0, true},
        {"9999999999999999999", 9999999999999999999ull, true},
        {"10000000000000000000", 10000000000000000000ull, true},
        {"18446744073709551615", UINT64_MAX, true},
        {"-18446744073709551615", UINT64_MAX, true},
        {"18446744073709551616", 0, false},
        {"99999999999999999999", 0, false},
        {"100000000000000000000", 0, false},
        {"1.0", 0, false},
        {"1e3", 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct decimal d;
        uint64_t v = 0;
        decimal_scan(slice_of_text(cases[i].text), &d);
        assert_int_equal(decimal_to_u64(&d, &v), cases[i].fits);
        if (cases[i].fits) assert_true(v == cases[i].value);
    }
}

static void formats_are_short_and_always_floats(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1, "1.0"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {100, "100.0"},
        {1e16, "10000000000000000.0"},
        {1e17, "1e17"},
        {123456789012345680.0, "1.2345678901234568e17"},
        {1e-5, "0.00001"},
        {1e-6, "1e-6"},
        {1.25e-7, "1.25e-7"},
        {5e-324, "4.94065645841247e-324"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {9007199254740993.0, "9007199254740992.0"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
        {NAN, "nan"},
    };
    char out[DECIMAL_TEXT_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = decimal_format_f64(cases[i].v, out);
        assert_string_equal(out, cases[i].text);
        assert_int_equal(size, strlen(out));
    }
    decimal_format_f32(0.1f, out);
    assert_string_equal(out, "0.1");
    decimal_format_f32(16777216.0f, out);
    assert_string_equal(out, "16777216.0");
    decimal_format_f32(3.4028235e38f, out);
    assert_string_equal(out, "3.4028235e38");
    decimal_format_f32(1e-45f, out);
    assert_string_equal(out, "1.4013e-45");
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, test_seed(4));
    const int rounds = test_rounds(200000);
    for (int i = 0; i < rounds; i++) {
        uint64_t bits = rng_u64(&r);
        uint32_t low = (uint32_t)bits;
        double v;
        float f;
        char out[DECIMAL_TEXT_BYTES];
        struct decimal d;
        memcpy(&v, &bits, sizeof v);
        memcpy(&f, &low, sizeof f);
        if (i % 2) f = rng_normal(&r);
        if (i % 3 == 0) v = (double)f;
        if (i % 3 == 1) v = (double)(int64_t)rng_below(&r, 100000) / 1000;
        if (isnan(v) || isinf(v) || isnan(f) || isinf(f)) continue;
        size_t size = decimal_format_f64(v, out);
        assert_int_equal(decimal_scan(slice_of(out, size), &d), size);
        assert_false(d.is_integer);
        if (!same_f64(decimal_to_f64(&d), v) || !same_f64(strtod(out, NULL), v))
            fail_msg("%.17g gave %s", v, out);
        if (i % 3 == 1 && size > 8) fail_msg("%s is not the shortest", out);
        size = decimal_format_f32(f, out);
        assert_int_equal(decimal_scan(slice_of(out, size), &d), size);
        if (!same_f32(decimal_to_f32(&d), f)) fail_msg("%.9g gave %s", (double)f, out);
    }
}

static int significant_digits(const char *text)
{
    int count = 0;
    int zeros = 0; /* that are its own if another digit follows */
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (*text == '0' && count == 0)) continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        count++;
    }
    return count - zeros;
}

static void float32s_are_written_with_no_more_digits_than_they_need(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, test_seed(5));
    const int rounds = test_rounds(100000);
    for (int i = 0; i < rounds; i++) {
        char needed[64];
        char out[DECIMAL_TEXT_BYTES];
        uint32_t bits = (uint32_t)rng_below(&r, 0x7f800000 - 0x00800000) + 0x00800000;
        float f;
        if (i % 8 == 0) bits &= 0xff800000; /* a power of two */
        if (i % 8 == 1) bits |= 0x007fffff;
        memcpy(&f, &bits, sizeof f);
        if (i % 2) f = fabsf(rng_normal(&r)) + 1e-6f;
        for (int count = 6; count <= 9; count++) {
            snprintf(needed, sizeof needed, "%.*e", count - 1, (double)f);
            if (strtof(needed, NULL) == f) break;
        }
        decimal_format_f32(f, out);
        if (!same_f32(strtof(out, NULL), f)) fail_msg("%.9g gave %s", (double)f, out);
        if (significant_digits(out) > significant_digits(needed))
            fail_msg("%s where %s is enough", out, needed);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(known_hard_numbers_are_correct_to_the_last_bit),
    cmocka_unit_test(random_doubles_read_as_the_c_library_reads_them),
    cmocka_unit_test(random_digits_read_as_the_c_library_reads_them),
    cmocka_unit_test(half_way_points_round_to_even),
    cmocka_unit_test(the_grammar_is_that_of_json),
    cmocka_unit_test(integers_keep_every_bit),
    cmocka_unit_test(formats_are_short_and_always_floats),
    cmocka_unit_test(what_is_written_reads_back),
    cmocka_unit_test(float32s_are_written_with_no_more_digits_than_they_need),
};

TEST_MAIN(tests)
