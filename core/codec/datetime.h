/* SPDX-License-Identifier: Apache-2.0 */
/* datetime.h — RFC 3339 text ⇄ microseconds since 1970-01-01T00:00:00Z.
 *
 * Proleptic Gregorian calendar, years 0001..9999 in UTC, no leap seconds in the count.
 */
#ifndef CODEC_DATETIME_H
#define CODEC_DATETIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

#define DATETIME_US_MIN (-62135596800000000ll) /* 0001-01-01T00:00:00Z */
#define DATETIME_US_MAX 253402300799999999ll   /* 9999-12-31T23:59:59.999999Z */
enum { DATETIME_TEXT_BYTES = 28 };             /* 2024-02-29T12:34:56.789012Z and a NUL */

struct datetime_parts { /* in UTC */
    int year;           /* 1..9999 */
    int month;          /* 1..12 */
    int day;            /* 1..31 */
    int hour;
    int minute;
    int second;
    int microsecond;
};

static inline bool datetime_is_valid(int64_t us)
{
    return us >= DATETIME_US_MIN && us <= DATETIME_US_MAX;
}

/* A date-time ("T", "t" or a space between), or a full date alone, which is midnight UTC.  Offsets
 * are applied; fractions beyond six digits are cut; 23:59:60 UTC is the next midnight.
 * err: PARSE (text is quoted) when it is none, INVALID when it is outside 0001..9999 in UTC. */
int datetime_parse(struct slice text, int64_t *out_us, struct error *err);

/* "2024-02-29T12:34:56Z", with six digits of fraction when there is one.  us must be valid
 * (CHECK).  Returns the length without the NUL. */
size_t datetime_format(int64_t us, char out[DATETIME_TEXT_BYTES]);

/* us must be valid (CHECK). */
struct datetime_parts datetime_split(int64_t us);

#endif
