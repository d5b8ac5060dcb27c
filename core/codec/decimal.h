/* SPDX-License-Identifier: Apache-2.0 */
/* decimal.h — numbers in decimal text ⇄ binary, correct to the last bit, whatever the locale. */
#ifndef CODEC_DECIMAL_H
#define CODEC_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct decimal {
    uint64_t digits;  /* the first 19 significant ones */
    int64_t exponent; /* the value is digits × 10^exponent, or a little more when is_cut */
    bool is_negative;
    bool is_integer;   /* written without fraction and exponent */
    bool is_cut;       /* digits other than zero follow the first 19 */
    struct slice text; /* as it was written; borrowed */
};

/* The number that text begins with, by the grammar of JSON (RFC 8259, section 6).  Returns its
 * bytes; 0 when there is none.  "01" is the number 0, "1." and "1e" are the number 1: what follows
 * is for the caller to refuse. */
size_t decimal_scan(struct slice text, struct decimal *out);

/* The magnitude of an integer; false when it has a fraction or exponent, or is over UINT64_MAX. */
bool decimal_to_u64(const struct decimal *d, uint64_t *out);

/* The nearest float, ties to the even one; infinite beyond the range. */
double decimal_to_f64(const struct decimal *d);
float decimal_to_f32(const struct decimal *d);

/* The shortest of 15, 16 or 17 digits (6..9 for a f32) that reads back as v, NUL-terminated: always
 * with a fraction or an exponent ("1.0", "1e30"), so that it reads back as a float; "nan", "inf"
 * and "-inf" for what has no decimal.  Returns the length. */
enum { DECIMAL_TEXT_BYTES = 32 };
size_t decimal_format_f64(double v, char out[DECIMAL_TEXT_BYTES]);
size_t decimal_format_f32(float v, char out[DECIMAL_TEXT_BYTES]);

#endif
