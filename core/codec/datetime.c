/* SPDX-License-Identifier: Apache-2.0 */
/* datetime.c — RFC 3339 text and civil dates, to and from microseconds.
 *
 * WHAT        Days are counted in years that begin in March, in eras of 400 years (146,097 days):
 *             the leap day is then the last of its year and no table of months is needed.
 * LAYOUT      RFC 3339, section 5.6.
 * INVARIANTS  (1) Every valid count of microseconds has one text, and reading that gives it back.
 *             (2) What datetime_parse accepts is within 0001..9999 in UTC, offset applied.
 * THREADS     No state: any thread.
 * FAILURE     Text that is none is quoted in the error; nothing allocates.
 */
#include "codec/datetime.h"

#include "base/check.h"
#include "codec/quote.h"

#define DAY_US 86400000000ll

static bool is_leap_year(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int month_days(int year, int month)
{
    static const int days[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month] + (month == 2 && is_leap_year(year));
}

/* Years that begin in March have the leap day last, so that one linear formula gives the days of
 * the months before: (153 m + 2) / 5 for months 0..11 from March. */
static int64_t days_since_epoch(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t m = month + (month <= 2 ? 9 : -3);
    int64_t days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    return days - 719468; /* 0000-03-01 to 1970-01-01 */
}

/* ---- Reading ---- */

struct scanner {
    const uint8_t *at;
    const uint8_t *end;
};

/* Exactly `digits` digits, value in low..high. */
static bool scan_number(struct scanner *s, int digits, int low, int high, int *out)
{
    int v = 0;
    if (s->end - s->at < digits) return false;
    for (int i = 0; i < digits; i++) {
        unsigned digit = s->at[i] - (unsigned)'0';
        if (digit > 9) return false;
        v = 10 * v + (int)digit;
    }
    if (v < low || v > high) return false;
    s->at += digits;
    *out = v;
    return true;
}

static bool scan_one_of(struct scanner *s, const char *bytes)
{
    if (s->at == s->end || *s->at == '\0' || !strchr(bytes, *s->at)) return false;
    s->at++;
    return true;
}

static bool scan_date(struct scanner *s, struct datetime_parts *p)
{
    return scan_number(s, 4, 0, 9999, &p->year) && scan_one_of(s, "-") &&
           scan_number(s, 2, 1, 12, &p->month) && scan_one_of(s, "-") &&
           scan_number(s, 2, 1, month_days(p->year, p->month), &p->day);
}

/* hh:mm:ss[.fraction]; a fraction has one digit at least and any number. */
static bool scan_time(struct scanner *s, struct datetime_parts *p)
{
    if (!scan_number(s, 2, 0, 23, &p->hour) || !scan_one_of(s, ":") ||
        !scan_number(s, 2, 0, 59, &p->minute) || !scan_one_of(s, ":") ||
        !scan_number(s, 2, 0, 60, &p->second))
        return false;
    if (!scan_one_of(s, ".")) return true;
    int digit;
    int weight = 100000;
    if (!scan_number(s, 1, 0, 9, &digit)) return false;
    do {
        p->microsecond += digit * weight;
        weight /= 10;
    } while (scan_number(s, 1, 0, 9, &digit));
    return true;
}

/* Z, or ±hh:mm. */
static bool scan_offset(struct scanner *s, int *out_minutes)
{
    int hours;
    int minutes;
    if (scan_one_of(s, "Zz")) return true;
    bool is_west = s->at < s->end && *s->at == '-';
    if (!scan_one_of(s, "+-") || !scan_number(s, 2, 0, 23, &hours) || !scan_one_of(s, ":") ||
        !scan_number(s, 2, 0, 59, &minutes))
        return false;
    *out_minutes = (is_west ? -1 : 1) * (60 * hours + minutes);
    return true;
}

int datetime_parse(struct slice text, int64_t *out_us, struct error *err)
{
    char quoted[QUOTE_BYTES];
    struct scanner s = {text.data, text.size ? text.data + text.size : text.data};
    struct datetime_parts p = {0};
    int offset_minutes = 0;

    bool is_good = scan_date(&s, &p);
    if (is_good && s.at < s.end)
        is_good = scan_one_of(&s, "Tt ") && scan_time(&s, &p) && scan_offset(&s, &offset_minutes);
    if (!is_good || s.at != s.end)
        return error_set(err, LYNSE_PARSE,
                         "%s is no datetime; RFC 3339 has them as 2024-02-29T12:34:56Z",
                         quote_text(text, quoted, sizeof quoted));

    int64_t seconds = days_since_epoch(p.year, p.month, p.day) * 86400 + p.hour * 3600 +
                      p.minute * 60 + p.second - (int64_t)offset_minutes * 60;
    /* A leap second ends a UTC day; the count has no place for it but the next day's first. */
    if (p.second == 60 && seconds % 86400 != 0)
        return error_set(err, LYNSE_PARSE, "%s: second 60 is only at 23:59:60 UTC",
                         quote_text(text, quoted, sizeof quoted));
    int64_t us = seconds * 1000000 + p.microsecond;
    if (!datetime_is_valid(us))
        return error_set(err, LYNSE_INVALID, "%s is not within the years 0001 to 9999",
                         quote_text(text, quoted, sizeof quoted));
    *out_us = us;
    return 0;
}

/* ---- Writing ---- */

struct datetime_parts datetime_split(int64_t us)
{
    CHECK(datetime_is_valid(us));
    int64_t shifted = us - DATETIME_US_MIN; /* not negative: divisions round down */
    int64_t rest = shifted % DAY_US;
    int64_t days = shifted / DAY_US + 306; /* since 0000-03-01 */

    /* The inverse of days_since_epoch: eras of 400 years, then years, then months from March. */
    int64_t era = days / 146097;
    int64_t era_day = days % 146097;
    int64_t year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
    int64_t year_day = era_day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * year_day + 2) / 153;

    struct datetime_parts p = {
        .year = (int)(year + era * 400 + (month >= 10)),
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(year_day - (153 * month + 2) / 5 + 1),
        .hour = (int)(rest / 3600000000ll),
        .minute = (int)(rest / 60000000 % 60),
        .second = (int)(rest / 1000000 % 60),
        .microsecond = (int)(rest % 1000000),
    };
    return p;
}

static char *put_number(char *out, int v, int digits)
{
    for (int i = digits; i-- > 0; v /= 10) out[i] = (char)('0' + v % 10);
    return out + digits;
}

size_t datetime_format(int64_t us, char out[DATETIME_TEXT_BYTES])
{
    struct datetime_parts p = datetime_split(us);
    char *at = put_number(out, p.year, 4);
    *at++ = '-';
    at = put_number(at, p.month, 2);
    *at++ = '-';
    at = put_number(at, p.day, 2);
    *at++ = 'T';
    at = put_number(at, p.hour, 2);
    *at++ = ':';
    at = put_number(at, p.minute, 2);
    *at++ = ':';
    at = put_number(at, p.second, 2);
    if (p.microsecond != 0) {
        *at++ = '.';
        at = put_number(at, p.microsecond, 6);
    }
    *at++ = 'Z';
    *at = '\0';
    return (size_t)(at - out);
}
