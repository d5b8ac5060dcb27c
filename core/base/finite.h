/* SPDX-License-Identifier: Apache-2.0 */
/* finite.h — the first float that is an infinity or a NaN, at the speed of memory.
 *
 * Bits are looked at, not values, so that compilers make it lanes; a block at a time, so that the
 * loop has no way out but its end.
 */
#ifndef BASE_FINITE_H
#define BASE_FINITE_H

#include "base/bytes.h"

enum { FINITE_BLOCK = 64 };

/* An exponent of all ones. */
static inline bool f32_bits_are_finite(uint32_t bits)
{
    return (bits & 0x7f800000u) != 0x7f800000u;
}

/* Index of the first of `count` little-endian floats (any alignment) that is not finite, or
 * count. */
static inline size_t f32_find_not_finite(const void *floats, size_t count)
{
    const uint8_t *at = (const uint8_t *)floats;
    size_t i = 0;

    for (; count - i >= FINITE_BLOCK; i += FINITE_BLOCK) {
        uint32_t bad = 0;
        for (size_t k = 0; k < FINITE_BLOCK; k++)
            bad |= (uint32_t)!f32_bits_are_finite(load_u32(at + (i + k) * sizeof(float)));
        if (bad) break;
    }
    while (i < count && f32_bits_are_finite(load_u32(at + i * sizeof(float)))) i++;
    return i;
}

#endif
