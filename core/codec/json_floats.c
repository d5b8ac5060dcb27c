/* SPDX-License-Identifier: Apache-2.0 */
/* json_floats.c — plainly written floats without a branch that depends on their digits.
 *
 * WHAT        A body with vectors is nearly all numbers like -1.0399841070175171.  Their signs and
 *             lengths are as good as random, so a loop that asks for either mispredicts once or
 *             twice a number, which takes as long as all the rest.  Here the comma is looked for in
 *             24 bytes at once; the fraction is read as three words of eight digits, whatever its
 *             length; and the product that rounds is always computed.
 *             What waits for the number before is only the search for the comma: the rest of it
 *             overlaps with the next number.
 * LAYOUT      value = digits × 10^−(16 + tail): the fraction's first 16 digits, with zeros behind
 *             those that are there, and `tail` more, 0..7.
 * INVARIANTS  (1) The result is the float nearest to the text, ties to even, as decimal.c has it.
 *             (2) No byte at or behind `end` is read: a number begins REACH bytes before it.
 *             (3) A number is taken whole, with its comma, or left whole.
 * THREADS     No state: any thread.
 * FAILURE     None; what is not plain is left to the caller.
 */
#include "codec/json_floats.h"

#include <stdbool.h>

#include "base/bytes.h"
#include "codec/decimal_powers.h"
#include "codec/digits.h"

enum {
    WIDTH = 16,       /* digits of a fraction that are always counted */
    FRACTION_MAX = 23 /* with the tail */
};
enum { REACH = 1 + 3 + 1 + 24 }; /* sign, digits, point, three words: the most that is looked at */

#define HIGH_BITS 0x8080808080808080ull

struct plain_float {
    uint64_t whole; /* what is before the point */
    uint64_t is_negative;
    const uint8_t *fraction;
    const uint8_t *comma;
};

/* A bit for each of the eight bytes that is below '-', right up to the first such byte: it is a
 * comma or a space, or what no number has.  '-', '.' and digits are above. */
static inline uint64_t stop_bits(const uint8_t *at)
{
    uint64_t marks = (load_u64(at) - 0x2d2d2d2d2d2d2d2dull) & HIGH_BITS;
    return marks * 0x0002040810204081ull >> 56; /* the eight high bits side by side */
}

static inline bool take_digit(const uint8_t **at, uint64_t *number)
{
    uint64_t digit = **at - (uint64_t)'0';
    if (digit > 9) return false;
    *number = *number * 10 + digit;
    (*at)++;
    return true;
}

/* The parts of the number at `at`; whether the fraction is one is not known yet. */
static inline bool split(const uint8_t *at, struct plain_float *out)
{
    uint64_t stops = stop_bits(at + 3) | stop_bits(at + 11) << 8 | stop_bits(at + 19) << 16;
    if (stops == 0) return false;
    out->comma = at + 3 + __builtin_ctzll(stops);
    out->is_negative = *at == '-';
    at += out->is_negative;
    out->whole = 0;
    if (!take_digit(&at, &out->whole)) return false;
    if (*at != '.') { /* no digits behind a zero, and three at most */
        if (out->whole == 0 || !take_digit(&at, &out->whole)) return false;
        if (*at != '.' && (!take_digit(&at, &out->whole) || *at != '.')) return false;
    }
    out->fraction = at + 1;
    return *out->comma == ',';
}

/* High bits where a byte is over 9, right up to the first such byte; the other bits say nothing. */
static inline uint64_t over_nine(uint64_t v)
{
    return (v + 0x7676767676767676ull) | v;
}

/* All digits as one integer; false when it is over 64 bits or there are other bytes among them. */
static inline bool read_digits(const struct plain_float *f, uint64_t *out, uint64_t *out_tail)
{
    /* Eight bytes from n before the middle have n bytes that keep what is masked with them. */
    static const uint64_t masks[6] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, 0, 0, 0};
    static const uint64_t scales[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    uint64_t count = (uint64_t)(f->comma - f->fraction);

    if (count - 1 > FRACTION_MAX - 1) return false;
    const uint8_t *mask = (const uint8_t *)&masks[3] - count;
    uint64_t tail = count > WIDTH ? count - WIDTH : 0;
    uint64_t first = (load_u64(f->fraction) ^ DIGITS_ZERO_TEXT) & load_u64(mask);
    uint64_t second = (load_u64(f->fraction + 8) ^ DIGITS_ZERO_TEXT) & load_u64(mask + 8);
    /* To the end of the word, zeros before it; in two steps, since a shift by 64 is none. */
    uint64_t third = (load_u64(f->fraction + 16) ^ DIGITS_ZERO_TEXT) << (56 - 8 * tail) << 8;
    if ((over_nine(first) | over_nine(second) | over_nine(third)) & HIGH_BITS) return false;

    uint64_t digits =
        f->whole * 10000000000000000ull + digits_number(first) * 100000000 + digits_number(second);
    *out_tail = tail;
    return !__builtin_mul_overflow(digits, scales[tail], &digits) &&
           !__builtin_add_overflow(digits, digits_number(third), out);
}

/* The bits of the double nearest to digits × 10^−(16 + tail), digits != 0: round_product of
 * decimal.c without what cannot be here.  No result is subnormal or infinite, and none is half way
 * between two doubles: it would be 5^16 times an odd number of 54 bits. */
static inline uint64_t round_digits(uint64_t digits, uint64_t tail)
{
    int q = -WIDTH - (int)tail;
    const struct power_of_five *power = &powers_of_five[q - POWER_MIN];
    uint64_t shift = (uint64_t)__builtin_clzll(digits);

    digits <<= shift;
    __extension__ unsigned __int128 product = (unsigned __int128)digits * power->high;
    uint64_t high = (uint64_t)(product >> 64);
    if ((high & 0x1ff) == 0x1ff) { /* the next 64 bits of the power may carry into it */
        uint64_t low = (uint64_t)product;
        __extension__ unsigned __int128 more = (unsigned __int128)digits * power->low;
        high += __builtin_add_overflow(low, (uint64_t)(more >> 64), &low);
    }
    uint64_t top = high >> 63;
    uint64_t mantissa = ((high >> top >> 9) + 1) >> 1; /* 53 bits; or 2^53, and that is right too */
    uint64_t exponent = (uint64_t)((217706 * q >> 16) + 63 + 1023);
    return ((exponent - shift + top - 1) << 52) + mantissa; /* the hidden bit adds the 1 */
}

size_t json_take_floats(const uint8_t **text, const uint8_t *end, size_t count_max, uint8_t *out)
{
    const uint8_t *at = *text;
    size_t count = 0;

    if (end - at < REACH) return 0;
    for (const uint8_t *last = end - REACH; count < count_max && at <= last; count++) {
        struct plain_float f;
        uint64_t digits;
        uint64_t tail;
        const uint8_t *number = at;
        if (*number == ' ' && ++number > last) break;
        if (!split(number, &f) || !read_digits(&f, &digits, &tail)) break;
        uint64_t bits = digits == 0 ? 0 : round_digits(digits, tail);
        out[0] = 0xcb;
        store_u64(out + 1, __builtin_bswap64(bits | f.is_negative << 63));
        out += JSON_FLOAT_BYTES;
        at = f.comma + 1;
    }
    *text = at;
    return count;
}
