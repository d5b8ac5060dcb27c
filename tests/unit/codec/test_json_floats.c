/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include "base/bytes.h"
#include "base/rng.h"
#include "codec/decimal.h"
#include "codec/json_floats.h"

enum { TEXT_MAX = 8192, COUNT_MAX = 64, BYTES_READ_AHEAD = 29 };

/* What was taken is what decimal.c reads, bit for bit, and each had a comma.  Read from a heap copy
 * of exactly this size, so that ASan sees a read past it.  Returns how many were taken. */
static size_t take(const char *text, size_t size)
{
    uint8_t *copy = test_malloc(size ? size : 1);
    uint8_t out[COUNT_MAX * JSON_FLOAT_BYTES];
    memcpy(copy, text, size);
    const uint8_t *behind = copy;
    const uint8_t *at = copy;
    const uint8_t *end = copy + size;
    size_t count = json_take_floats(&behind, end, COUNT_MAX, out);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *number = out + i * JSON_FLOAT_BYTES;
        struct decimal d;
        double v;
        if (*at == ' ') at++;
        size_t bytes = decimal_scan(slice_of(at, (size_t)(end - at)), &d);
        if (bytes == 0 || d.is_integer || at + bytes == end || at[bytes] != ',')
            fail_msg("item %zu of %.*s is no float", i, (int)size, text);
        uint64_t bits = __builtin_bswap64(load_u64(number + 1));
        memcpy(&v, &bits, sizeof v);
        double expected = decimal_to_f64(&d);
        if (number[0] != 0xcb || memcmp(&v, &expected, sizeof v) != 0)
            fail_msg("%.*s is %.17g, not %.17g", (int)bytes, (const char *)at, expected, v);
        at += bytes + 1;
    }
    assert_ptr_equal(behind, at);
    test_free(copy);
    return count;
}

/* All of `count` numbers are taken, but for those that begin too close to the end. */
static void takes_all(const char *text, size_t count)
{
    static char padded[TEXT_MAX + BYTES_READ_AHEAD + 1];
    int size = snprintf(padded, sizeof padded, "%s%*s", text, BYTES_READ_AHEAD, "");
    if (take(padded, (size_t)size) != count) fail_msg("%zu floats were not taken: %s", count, text);
}

static void what_programs_print_is_taken(void **state)
{
    (void)state;
    takes_all("0.5,", 1);
    takes_all("-0.0,0.0, 0.00000000000000000000001,", 3);
    takes_all("-1.0399841070175171, 0.750451195240020752,-0.07654548436403274,", 3);
    takes_all("999.99999999999999,999.9999999999999999,12.3456789012345678,", 3);
    takes_all("1.8446744073709551615,1.8446744073709551616,", 1);
    takes_all("9.999999999999999,0.9999999999999999999,0.99999999999999994,", 3);
}

static void what_is_not_plain_stops_the_run(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "1,",         "-3,",     "1.5e3,",  "1.5E-3,",
        "00.5,",      "01.5,",   "-00.5,",  "1234.5,",
        "1.,",        "-1.,",    "123.,",   ".5,",
        "-.5,",       "--1.5,",  "+1.5,",   "1.5 ,",
        "1..5,",      "1.5.5,",  "1.5-,",   "1.5]",
        "1.5],[2.5,", "  1.5,",  "1:5,",    "1.5\xb0,",
        "1.\xff,",    "NaN,",    "null,",   "\"1.5\",",
        "1.5/,",      "1-.5,",   "12-3.5,", "1.5\n,",
        "\t1.5",      "-,",      ",1.5",    "1.2.3,4.5",
        "1,5.5",      "\xb1.5,", "1,.5,",   "-1,.5",
        "12,.5",      "123,.5,", "1.5,5",   "0.123456789012345678901234,",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "0.25,%s", texts[i]);
        takes_all(text, strcmp(texts[i], "1.5,5") == 0 ? 2 : 1);
    }
}

/* A number with as many digits as asked, of the kinds that carry through all of them. */
static size_t print_number(struct rng *r, size_t whole, size_t fraction, char *out)
{
    size_t size = 0;
    uint64_t kind = rng_below(r, 4);
    if (rng_chance(r, 0.5)) out[size++] = '-';
    for (size_t i = 0; i < whole + fraction; i++) {
        if (i == whole) out[size++] = '.';
        uint64_t digit = rng_below(r, 10);
        if (kind == 1 && i + 2 < whole + fraction) digit = 9;
        if (kind == 2 && i >= whole && i < whole + fraction / 2) digit = 0;
        if (i == 0 && whole > 1 && digit == 0) digit = 1;
        out[size++] = (char)('0' + digit);
    }
    return size;
}

static void random_digits_are_read_as_decimal_reads_them(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, test_seed(1));
    const int rounds = test_rounds(20000);
    for (int i = 0; i < rounds; i++) {
        char text[TEXT_MAX];
        size_t size = 0;
        for (size_t n = 0; n < 40; n++) {
            size_t whole = 1 + (size_t)rng_below(&r, 3);
            if (rng_chance(&r, 0.5)) whole = 1;
            size_t fraction = 1 + (size_t)rng_below(&r, whole == 1 ? 18 : 16);
            if (n > 0 && rng_chance(&r, 0.2)) text[size++] = ' ';
            size += print_number(&r, whole, fraction, text + size);
            text[size++] = ',';
        }
        text[size] = '\0';
        takes_all(text, 40);
    }
}

/* 18 digits right below and above the middle between two doubles. */
static void rounding_is_right_next_to_half_way_points(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, test_seed(2));
    const int rounds = test_rounds(100000);
    for (int i = 0; i < rounds; i++) {
        char text[128];
        uint64_t odd = rng_below(&r, 1ull << 52) << 1 | 1;
        __extension__ unsigned __int128 scaled = (unsigned __int128)odd * 1000000000000000000ull;
        unsigned long long below = (unsigned long long)(scaled >> 53);
        snprintf(text, sizeof text, "1.%018llu,-1.%018llu,0.%018llu,", below, below + 1, below);
        takes_all(text, 3);
        double v = 1 + (double)(odd >> 1) * 0x1p-52;
        if (strtod(text, NULL) != v) fail_msg("%.30s was meant to be below the middle", text);
    }
}

static void any_bytes_are_taken_as_decimal_reads_them_or_left(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789..,,,--  e]+:/\xb0\xff\x7f";
    struct rng r;
    rng_init(&r, test_seed(3));
    const int rounds = test_rounds(200000);
    for (int i = 0; i < rounds; i++) {
        char text[160];
        size_t size = 0;
        for (size_t n = 0; n < 4; n++) {
            size += print_number(&r, 1 + (size_t)rng_below(&r, 4), (size_t)rng_below(&r, 25),
                                 text + size);
            text[size++] = ',';
        }
        for (uint64_t n = rng_below(&r, 3); n > 0; n--)
            text[rng_below(&r, size)] = alphabet[rng_below(&r, sizeof alphabet)];
        take(text, size - (size_t)rng_below(&r, size < 40 ? size : 40));
    }
}

static void a_run_ends_with_the_room(void **state)
{
    (void)state;
    const char *text = "1.5,2.5,3.5,4.5,                                        ";
    const uint8_t *at = (const uint8_t *)text;
    uint8_t out[2 * JSON_FLOAT_BYTES];
    assert_int_equal(json_take_floats(&at, at + strlen(text), 0, out), 0);
    assert_int_equal(json_take_floats(&at, at + strlen(text), 2, out), 2);
    assert_ptr_equal(at, text + 8);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_programs_print_is_taken),
    cmocka_unit_test(what_is_not_plain_stops_the_run),
    cmocka_unit_test(random_digits_are_read_as_decimal_reads_them),
    cmocka_unit_test(rounding_is_right_next_to_half_way_points),
    cmocka_unit_test(any_bytes_are_taken_as_decimal_reads_them_or_left),
    cmocka_unit_test(a_run_ends_with_the_room),
};

TEST_MAIN(tests)
