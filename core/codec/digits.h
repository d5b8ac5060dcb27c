/* SPDX-License-Identifier: Apache-2.0 */
/* digits.h — eight decimal digits at once, in one register.
 *
 * A digit is its value, 0..9, in a byte of its own; the first one is the lowest byte, as load_u64
 * gives them.  Text becomes that by taking '0' from each byte.
 */
#ifndef CODEC_DIGITS_H
#define CODEC_DIGITS_H

#include <stdint.h>

#define DIGITS_ZERO_TEXT 0x3030303030303030ull /* "00000000" */

/* The number that they are: pairs, then fours, then all eight. */
static inline uint64_t digits_number(uint64_t v)
{
    v = v * 10 + (v >> 8); /* two digits in every second byte */
    uint64_t first = (v & 0x000000ff000000ffull) * 0x000f424000000064ull;
    uint64_t second = (v >> 16 & 0x000000ff000000ffull) * 0x0000271000000001ull;
    return (first + second) >> 32;
}

#endif
