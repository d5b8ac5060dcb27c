/* SPDX-License-Identifier: Apache-2.0 */
/* decimal.c — decimal text to floats and back without rounding twice.
 *
 * WHAT        Reading: small numbers by one exact multiplication (Clinger 1990); nearly all others
 *             by one or two 64 × 64 bit products with a power of five (Lemire 2021); the rest
 *             (subnormal, huge, or more digits than decide) by strtod, given digits and exponent
 *             without a decimal point, so that no locale has a say.
 *             Writing: round to 15, 16, 17 digits and keep the first that reads back; for a float
 *             32, where doubles can tell, the first that is nearer than half way to the next.
 * INVARIANTS  (1) The result of reading is the float nearest to the text, ties to even.
 *             (2) What format writes, read gives back, bit for bit.
 * THREADS     No state: any thread.
 * FAILURE     None: every number has a nearest float, if an infinite one.
 */
#include "codec/decimal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "codec/decimal_powers.h"
#include "codec/digits.h"

enum {
    DIGITS_KEPT = 19,  /* the most that always fit a u64 */
    DIGITS_EXACT = 768 /* more cannot change a nearest double: 767 decide (a digit for "more") */
};
/* Beyond this an exponent says 0 or infinity, whatever digits fit in memory. */
#define EXPONENT_MAX 1000000000000ll

/* ---- Scanning ---- */

struct digit_run {
    const uint8_t *at;
    const uint8_t *end;
    uint64_t digits;
    int kept;        /* significant digits in `digits` */
    int64_t dropped; /* digits after those */
    bool is_cut;
};

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool are_eight_digits(uint64_t v)
{
    return ((v & (v + 0x0606060606060606ull)) & 0xf0f0f0f0f0f0f0f0ull) == 0x3030303030303030ull;
}

/* Take a run of digits; returns their number. */
static int64_t take_digits(struct digit_run *run)
{
    const uint8_t *start = run->at;
    while (run->kept == 0 && run->at < run->end && *run->at == '0') run->at++;
    while (run->end - run->at >= 8 && run->kept <= DIGITS_KEPT - 8) {
        uint64_t v = load_u64(run->at);
        if (!are_eight_digits(v)) break;
        run->digits = run->digits * 100000000 + digits_number(v - DIGITS_ZERO_TEXT);
        run->kept += 8;
        run->at += 8;
    }
    for (; run->at < run->end && is_digit(*run->at); run->at++) {
        unsigned digit = *run->at - (unsigned)'0';
        if (run->kept < DIGITS_KEPT) {
            run->digits = run->digits * 10 + digit;
            run->kept++;
        } else {
            run->dropped++;
            run->is_cut |= digit != 0;
        }
    }
    return run->at - start;
}

/* e±digits at the run; nothing is taken where it is none. */
static int64_t take_exponent(struct digit_run *run)
{
    const uint8_t *at = run->at;
    int64_t exponent = 0;
    if (at == run->end || (*at != 'e' && *at != 'E')) return 0;
    at++;
    bool is_negative = at < run->end && *at == '-';
    if (at < run->end && (*at == '-' || *at == '+')) at++;
    if (at == run->end || !is_digit(*at)) return 0;
    for (; at < run->end && is_digit(*at); at++)
        if (exponent < EXPONENT_MAX) exponent = exponent * 10 + (*at - '0');
    run->at = at;
    return is_negative ? -exponent : exponent;
}

size_t decimal_scan(struct slice text, struct decimal *out)
{
    if (text.size == 0) return 0;
    struct digit_run run = {.at = text.data, .end = text.data + text.size};
    struct decimal d = {.is_integer = true};

    if (*run.at == '-') {
        d.is_negative = true;
        run.at++;
    }
    if (run.at == run.end || !is_digit(*run.at)) return 0;
    if (*run.at == '0') run.at++;
    else take_digits(&run);
    if (run.end - run.at >= 2 && run.at[0] == '.' && is_digit(run.at[1])) {
        d.is_integer = false;
        run.at++;
        d.exponent -= take_digits(&run);
    }
    d.exponent += run.dropped;
    const uint8_t *mantissa_end = run.at;
    d.exponent += take_exponent(&run);
    if (run.at != mantissa_end) d.is_integer = false;
    d.digits = run.digits;
    d.is_cut = run.is_cut;
    d.text = slice_of(text.data, (size_t)(run.at - text.data));
    *out = d;
    return d.text.size;
}

bool decimal_to_u64(const struct decimal *d, uint64_t *out)
{
    if (!d->is_integer || d->exponent > 1) return false;
    if (d->exponent == 0) {
        *out = d->digits;
        return true;
    }
    unsigned last = d->text.data[d->text.size - 1] - (unsigned)'0'; /* the twentieth digit */
    uint64_t v;
    if (__builtin_mul_overflow(d->digits, 10u, &v)) return false;
    return !__builtin_add_overflow(v, last, out);
}

/* ---- To binary ---- */

struct float_form {
    int mantissa_bits; /* without the hidden one */
    int exponent_bias;
    int exponent_all_ones; /* infinity and NaN */
    int even_min;          /* exponents of ten for which a product can be exactly half way */
    int even_max;
};
static const struct float_form form_f64 = {52, 1023, 0x7ff, -4, 23};
static const struct float_form form_f32 = {23, 127, 0xff, -17, 10};

struct product {
    uint64_t high;
    uint64_t low;
};

static struct product multiply(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 p = (unsigned __int128)a * b;
    return (struct product){(uint64_t)(p >> 64), (uint64_t)p};
}

/* The bits of the normal float nearest to digits × 10^exponent, digits != 0; false when it is
 * subnormal, too large, or not for this method to say.
 *
 * The product of the digits, shifted up to 64 bits, with the first 64 bits of 5^q decides unless
 * the bits below the rounding bit are all ones; then the next 64 bits of the power do. */
static bool round_product(const struct float_form *f, uint64_t digits, int64_t exponent,
                          uint64_t *out_bits)
{
    if (exponent < POWER_MIN || exponent > POWER_MAX) return false;
    int q = (int)exponent;
    const struct power_of_five *power = &powers_of_five[q - POWER_MIN];
    int shift = __builtin_clzll(digits);
    uint64_t below_mask = UINT64_MAX >> (f->mantissa_bits + 3);

    digits <<= shift;
    struct product p = multiply(digits, power->high);
    if ((p.high & below_mask) == below_mask) {
        uint64_t more = multiply(digits, power->low).high;
        p.low += more;
        if (p.low < more) p.high++;
    }
    int top = (int)(p.high >> 63);
    int drop = top + 64 - f->mantissa_bits - 3; /* leaves the mantissa, its hidden bit, one more */
    uint64_t mantissa = p.high >> drop;
    /* floor(log2(10^q)) for |q| <= 350: 217706 / 65536 is log2(10) from below. */
    int binary_exponent = ((217706 * q) >> 16) + 63 + top - shift + f->exponent_bias;
    if (binary_exponent <= 0) return false;
    bool is_half_way = p.low <= 1 && q >= f->even_min && q <= f->even_max && (mantissa & 3) == 1 &&
                       mantissa << drop == p.high;
    if (is_half_way) mantissa--; /* down to the even one */
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    if (mantissa >> (f->mantissa_bits + 1)) {
        mantissa >>= 1;
        binary_exponent++;
    }
    if (binary_exponent >= f->exponent_all_ones) return false;
    mantissa &= ~(1ull << f->mantissa_bits);
    *out_bits = (uint64_t)binary_exponent << f->mantissa_bits | mantissa;
    return true;
}

/* Where digits were cut the number lies between two neighbours; both must round alike. */
static bool round_decimal(const struct float_form *f, const struct decimal *d, uint64_t *out_bits)
{
    uint64_t above;
    if (!round_product(f, d->digits, d->exponent, out_bits)) return false;
    if (!d->is_cut) return true;
    return round_product(f, d->digits + 1, d->exponent, &above) && above == *out_bits;
}

enum { SLOW_TEXT_BYTES = DIGITS_EXACT + 32 };

/* All digits that can matter, "e", exponent; no point, no sign. */
static void write_slow_text(const struct decimal *d, char out[SLOW_TEXT_BYTES])
{
    size_t size = 0;
    int64_t exponent = d->exponent;
    if (!d->is_cut) {
        size = (size_t)snprintf(out, 24, "%llu", (unsigned long long)d->digits);
    } else {
        /* d->exponent belongs to the 19th digit; each one kept after it is worth a tenth. */
        bool has_more = false;
        for (size_t i = 0; i < d->text.size && (d->text.data[i] | 0x20) != 'e'; i++) {
            uint8_t byte = d->text.data[i];
            if (!is_digit(byte) || (size == 0 && byte == '0')) continue;
            if (size < DIGITS_EXACT) out[size++] = (char)byte;
            else has_more |= byte != '0';
        }
        exponent -= (int64_t)size - DIGITS_KEPT;
        if (has_more) {
            out[size++] = '1';
            exponent--;
        }
    }
    if (exponent > 100000) exponent = 100000;
    if (exponent < -100000) exponent = -100000;
    snprintf(out + size, 16, "e%lld", (long long)exponent);
}

static const double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { EXACT_POWERS = 22 }; /* 10^22 is the last that a double holds exactly */

double decimal_to_f64(const struct decimal *d)
{
    double v = 0;
    uint64_t bits;
    if (d->digits == 0) {
        v = 0;
    } else if (!d->is_cut && d->digits <= 1ull << 53 && d->exponent >= -EXACT_POWERS &&
               d->exponent <= EXACT_POWERS) {
        /* Both operands are exact, so the one operation rounds correctly. */
        v = (double)d->digits;
        v = d->exponent < 0 ? v / powers_of_ten[-d->exponent] : v * powers_of_ten[d->exponent];
    } else if (round_decimal(&form_f64, d, &bits)) {
        memcpy(&v, &bits, sizeof v);
    } else {
        char text[SLOW_TEXT_BYTES];
        write_slow_text(d, text);
        v = strtod(text, NULL);
    }
    return d->is_negative ? -v : v;
}

float decimal_to_f32(const struct decimal *d)
{
    float v = 0;
    uint64_t bits;
    if (d->digits == 0) {
        v = 0;
    } else if (round_decimal(&form_f32, d, &bits)) {
        uint32_t low = (uint32_t)bits;
        memcpy(&v, &low, sizeof v);
    } else {
        char text[SLOW_TEXT_BYTES];
        write_slow_text(d, text);
        v = strtof(text, NULL);
    }
    return d->is_negative ? -v : v;
}

/* ---- To text ---- */

static char *put_bytes(char *out, const char *bytes, int count)
{
    memcpy(out, bytes, (size_t)count);
    return out + count;
}

static char *put_zeros(char *out, int count)
{
    memset(out, '0', (size_t)count);
    return out + count;
}

/* e±x with as few digits as x has, 1..3. */
static char *put_exponent(char *out, int exponent)
{
    unsigned magnitude = (unsigned)(exponent < 0 ? -exponent : exponent);
    *out++ = 'e';
    if (exponent < 0) *out++ = '-';
    if (magnitude >= 100) *out++ = (char)('0' + magnitude / 100);
    if (magnitude >= 10) *out++ = (char)('0' + magnitude / 10 % 10);
    *out++ = (char)('0' + magnitude % 10);
    return out;
}

/* The digits without the zeros at their end; returns their number.  *exponent grows by the zeros.
 * */
static int put_digits(uint64_t value, int64_t *exponent, char out[20])
{
    char reversed[20];
    int count = 0;
    while (value != 0 && value % 10 == 0) {
        value /= 10;
        (*exponent)++;
    }
    do reversed[count++] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    for (int i = 0; i < count; i++) out[i] = reversed[count - 1 - i];
    return count;
}

/* Positional from 0.00001 to 17 digits before the point, else d.ddde±x. */
static size_t layout(const struct decimal *d, char out[DECIMAL_TEXT_BYTES])
{
    char digits[20];
    int64_t exponent = d->digits == 0 ? 0 : d->exponent;
    int count = put_digits(d->digits, &exponent, digits);
    int point = count + (int)exponent; /* digits before the point */
    char *at = out;

    if (d->is_negative) *at++ = '-';
    if (point > 17 || point < -4) {
        *at++ = digits[0];
        if (count > 1) *at++ = '.';
        at = put_bytes(at, digits + 1, count - 1);
        at = put_exponent(at, point - 1);
    } else if (point <= 0) {
        at = put_bytes(at, "0.", 2);
        at = put_zeros(at, -point);
        at = put_bytes(at, digits, count);
    } else if (point >= count) {
        at = put_bytes(at, digits, count);
        at = put_zeros(at, point - count);
        at = put_bytes(at, ".0", 2);
    } else {
        at = put_bytes(at, digits, point);
        *at++ = '.';
        at = put_bytes(at, digits + point, count - point);
    }
    *at = '\0';
    return (size_t)(at - out);
}

static bool reads_back(const struct decimal *d, double v, bool is_f32)
{
    return is_f32 ? decimal_to_f32(d) == (float)v : decimal_to_f64(d) == v;
}

/* v > 0 as `count` digits, computed in doubles and so perhaps wrong in the last: only what reads
 * back is taken.  false: it does not, or v is out of reach of exact powers of ten. */
static bool round_to_digits(double v, int count, bool is_f32, struct decimal *out)
{
    int binary;
    __builtin_frexp(v, &binary);
    /* floor(log10(v)), or one less: 1233 / 4096 is log10(2) from above, 2^(binary−1) <= v. */
    int exponent = ((binary - 1) * 1233 >> 12) - count + 1;
    double limit = powers_of_ten[count];
    if (exponent < -EXACT_POWERS || exponent > EXACT_POWERS) return false;
    double scaled = exponent < 0 ? v * powers_of_ten[-exponent] : v / powers_of_ten[exponent];
    if (scaled >= limit) {
        scaled /= 10;
        exponent++;
    }
    *out = (struct decimal){.digits = (uint64_t)(scaled + 0.5), .exponent = exponent};
    return reads_back(out, v, is_f32);
}

/* v > 0 to the fewest of 6..9 digits that are nearer to it than half way to the next float.  Both
 * distances are computed in doubles, of numbers below 10^9, so that together they are wrong by less
 * than 10^-6.  false where that cannot tell, for powers of two, whose neighbours are not equally
 * far, and out of reach of exact powers of ten. */
static bool shorten_f32(float v, struct decimal *out)
{
    static const double units[] = {1000, 100, 10, 1};
    const double doubt = 1e-6;
    uint32_t bits;
    float next;

    memcpy(&bits, &v, sizeof bits);
    int exponent = (((int)(bits >> 23) - 127) * 1233 >> 12) - 8; /* as in round_to_digits */
    if ((bits & 0x7fffff) == 0 || exponent < -EXACT_POWERS || exponent > EXACT_POWERS) return false;
    bits++;
    memcpy(&next, &bits, sizeof next);
    double half = ((double)next - (double)v) / 2;
    double power = powers_of_ten[exponent < 0 ? -exponent : exponent];
    double scaled = exponent < 0 ? (double)v * power : (double)v / power;
    half = exponent < 0 ? half * power : half / power;
    if (scaled >= 1e9) {
        scaled /= 10;
        half /= 10;
        exponent++;
    }
    for (int i = 0; i < 4; i++) {
        uint64_t digits = (uint64_t)(scaled / units[i] + 0.5);
        double distance = __builtin_fabs((double)digits * units[i] - scaled);
        *out = (struct decimal){.digits = digits, .exponent = exponent + 3 - i};
        if (distance < half - doubt) return true;
        if (distance <= half + doubt) return false;
    }
    return false;
}

/* v > 0 by the C library, whose rounding is exact; whatever its locale puts for a point is
 * stepped over. */
static void print_digits(double v, int digits_min, int digits_max, bool is_f32, struct decimal *out)
{
    for (int count = digits_min; count <= digits_max; count++) {
        char text[64];
        struct decimal d = {.exponent = 1 - count};
        snprintf(text, sizeof text, "%.*e", count - 1, v);
        const char *at = text;
        for (; *at != 'e'; at++)
            if (is_digit((uint8_t)*at)) d.digits = d.digits * 10 + (uint64_t)(*at - '0');
        d.exponent += strtol(at + 1, NULL, 10);
        *out = d;
        if (reads_back(out, v, is_f32)) return;
    }
}

static size_t format_special(double v, char out[DECIMAL_TEXT_BYTES])
{
    const char *text = v != v ? "nan" : v < 0 ? "-inf" : "inf";
    return (size_t)snprintf(out, DECIMAL_TEXT_BYTES, "%s", text);
}

size_t decimal_format_f64(double v, char out[DECIMAL_TEXT_BYTES])
{
    if (v - v != 0) return format_special(v, out);
    struct decimal d = {0};
    double magnitude = __builtin_fabs(v);
    if (magnitude > 0 && !round_to_digits(magnitude, 15, false, &d))
        print_digits(magnitude, 15, 17, false, &d);
    d.is_negative = __builtin_signbit(v) != 0;
    return layout(&d, out);
}

size_t decimal_format_f32(float v, char out[DECIMAL_TEXT_BYTES])
{
    if (v - v != 0) return format_special((double)v, out);
    struct decimal d = {0};
    double magnitude = __builtin_fabs((double)v);
    bool is_done = magnitude == 0 || shorten_f32((float)magnitude, &d);
    for (int count = 6; count <= 9 && !is_done; count++)
        is_done = round_to_digits(magnitude, count, true, &d);
    if (!is_done) print_digits(magnitude, 6, 9, true, &d);
    d.is_negative = __builtin_signbit(v) != 0;
    return layout(&d, out);
}
