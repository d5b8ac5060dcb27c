/* SPDX-License-Identifier: Apache-2.0 */
/* json_floats.h — runs of plainly written floats to msgpack: what vectors in JSON consist of. */
#ifndef CODEC_JSON_FLOATS_H
#define CODEC_JSON_FLOATS_H

#include <stddef.h>
#include <stdint.h>

enum { JSON_FLOAT_BYTES = 9 }; /* of one in msgpack */

/* Take numbers, each with the comma behind it, as long as they are written plainly: one to three
 * digits, a point, 1 to 23 digits; a space may precede each.  What is written otherwise (integers,
 * exponents, more digits, the last item of an array, the last bytes of the text) stops the run and
 * is for a reader of all numbers.
 *
 * at         moves behind the last comma that was taken
 * count_max  of floats
 * out        room for count_max × JSON_FLOAT_BYTES
 * Returns how many were taken.  Any thread; cannot fail.
 */
size_t json_take_floats(const uint8_t **at, const uint8_t *end, size_t count_max, uint8_t *out);

#endif
