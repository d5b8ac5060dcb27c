/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <time.h>

#include "base/rng.h"
#include "codec/datetime.h"

static void texts_and_their_microseconds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
        const char *canonical; /* NULL: the text itself */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0, NULL},
        {"1969-12-31T23:59:59.999999Z", -1, NULL},
        {"0001-01-01T00:00:00Z", DATETIME_US_MIN, NULL},
        {"9999-12-31T23:59:59.999999Z", DATETIME_US_MAX, NULL},
        {"2000-02-29T12:00:00Z", 951825600000000, NULL},
        {"2024-02-29T23:59:59.000001Z", 1709251199000001, NULL},
        {"1900-03-01T00:00:00Z", -2203891200000000, NULL},
        {"2100-03-01T00:00:00Z", 4107542400000000, NULL},
        {"2024-01-01T00:00:00.1Z", 1704067200100000, "2024-01-01T00:00:00.100000Z"},
        {"2024-01-01T00:00:00.1234569Z", 1704067200123456, "2024-01-01T00:00:00.123456Z"},
        {"2024-01-01t00:00:00z", 1704067200000000, "2024-01-01T00:00:00Z"},
        {"2024-01-01 00:00:00+00:00", 1704067200000000, "2024-01-01T00:00:00Z"},
        {"2024-01-01", 1704067200000000, "2024-01-01T00:00:00Z"},
        {"2024-01-01T01:30:00+01:30", 1704067200000000, "2024-01-01T00:00:00Z"},
        {"2023-12-31T16:00:00-08:00", 1704067200000000, "2024-01-01T00:00:00Z"},
        {"2024-01-01T00:00:00-00:00", 1704067200000000, "2024-01-01T00:00:00Z"},
        {"2016-12-31T23:59:60Z", 1483228800000000, "2017-01-01T00:00:00Z"},
        {"2017-01-01T08:59:60+09:00", 1483228800000000, "2017-01-01T00:00:00Z"},
        {"0000-12-31T23:00:00-01:00", DATETIME_US_MIN, "0001-01-01T00:00:00Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err;
        int64_t us;
        char out[DATETIME_TEXT_BYTES];
        assert_ok(datetime_parse(slice_of_text(cases[i].text), &us, &err), &err);
        assert_true(us == cases[i].us);
        size_t size = datetime_format(us, out);
        assert_int_equal(size, strlen(out));
        assert_string_equal(out, cases[i].canonical ? cases[i].canonical : cases[i].text);
    }
}

static void what_is_no_datetime_is_quoted(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2024",
        "2024-1-01",
        "2024-13-01",
        "2024-00-01",
        "2024-01-00",
        "2024-04-31",
        "2023-02-29",
        "1900-02-29",
        "2100-02-29T00:00:00Z",
        "2024-01-01T",
        "2024-01-01T00:00",
        "2024-01-01T00:00:00",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:61Z",
        "2024-01-01T12:00:60Z",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00+1:00",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+00:60",
        "2024-01-01T00:00:00+0000",
        "2024-01-01T00:00:00Z ",
        " 2024-01-01T00:00:00Z",
        "+2024-01-01T00:00:00Z",
        "2024/01/01T00:00:00Z",
        "not a date",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err;
        int64_t us = 77;
        size_t size = strlen(bad[i]);
        char *copy = test_malloc(size + 1); /* one byte more than the slice: no NUL to rely on */
        memcpy(copy, bad[i], size);
        copy[size] = '9';
        assert_fails(datetime_parse(slice_of(copy, size), &us, &err), &err, LYNSE_PARSE);
        assert_true(us == 77);
        assert_non_null(strstr(err.text, "'"));
        test_free(copy);
    }
}

static void years_outside_the_calendar_are_invalid(void **state)
{
    (void)state;
    struct error err;
    int64_t us;
    assert_fails(datetime_parse(slice_of_text("0000-12-31T00:00:00Z"), &us, &err), &err,
                 LYNSE_INVALID);
    assert_fails(datetime_parse(slice_of_text("0001-01-01T00:00:00+00:01"), &us, &err), &err,
                 LYNSE_INVALID);
    assert_fails(datetime_parse(slice_of_text("9999-12-31T23:59:59-00:01"), &us, &err), &err,
                 LYNSE_INVALID);
    assert_fails(datetime_parse(slice_of_text("9999-12-31T23:59:60Z"), &us, &err), &err,
                 LYNSE_INVALID);
}

static void every_day_of_the_calendar_agrees_with_the_c_library(void **state)
{
    (void)state;
    struct error err;
    const int64_t step_us = 86400000000 * (int64_t)test_stride();
    for (int64_t us = DATETIME_US_MIN; us <= DATETIME_US_MAX; us += step_us) {
        time_t seconds = (time_t)(us / 1000000);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        struct datetime_parts p = datetime_split(us);
        if (p.year != tm.tm_year + 1900 || p.month != tm.tm_mon + 1 || p.day != tm.tm_mday)
            fail_msg("day %lld", (long long)(us / 86400000000));
        char text[DATETIME_TEXT_BYTES];
        int64_t again;
        datetime_format(us, text);
        assert_ok(datetime_parse(slice_of_text(text), &again, &err), &err);
        if (again != us) fail_msg("%s", text);
    }
}

static void random_moments_survive_format_and_parse(void **state)
{
    (void)state;
    struct rng r;
    struct error err;
    rng_init(&r, test_seed(1));
    const int rounds = test_rounds(200000);
    for (int i = 0; i < rounds; i++) {
        int64_t again;
        char text[DATETIME_TEXT_BYTES];
        int64_t us = DATETIME_US_MIN +
                     (int64_t)rng_below(&r, (uint64_t)(DATETIME_US_MAX - DATETIME_US_MIN) + 1);
        size_t size = datetime_format(us, text);
        assert_ok(datetime_parse(slice_of(text, size), &again, &err), &err);
        if (again != us) fail_msg("%s", text);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(texts_and_their_microseconds),
    cmocka_unit_test(what_is_no_datetime_is_quoted),
    cmocka_unit_test(years_outside_the_calendar_are_invalid),
    cmocka_unit_test(every_day_of_the_calendar_agrees_with_the_c_library),
    cmocka_unit_test(random_moments_survive_format_and_parse),
};

TEST_MAIN(tests)
