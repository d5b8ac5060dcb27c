/* SPDX-License-Identifier: Apache-2.0 */
/* json.h — JSON (RFC 8259) ⇄ msgpack, token by token: no tree, no recursion.
 *
 * Numbers without fraction and exponent stay integers up to the ends of i64 and u64; all others,
 * and integers beyond, become floats.  The other way round bytes become base64 text, datetimes
 * RFC 3339 text, and NaN and infinities null, since JSON has none of them.
 */
#ifndef CODEC_JSON_H
#define CODEC_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"
#include "codec/msgpack.h"

/* Append the one JSON value that `json` is, as msgpack.  What was appended passes msgpack_check
 * under the same limits; bytes_max is of the msgpack, not of the text.
 *
 * err  PARSE: what was expected and at which byte.  INVALID: a key twice (has_unique_keys).
 *      LIMIT, NO_MEMORY.  On error out has its old size.
 */
int json_to_msgpack(struct slice json, const struct msgpack_limits *limits, struct buf *out,
                    struct error *err);

/* Append the one value that `message` is, as JSON without spaces.  float 32 values are written
 * with as many digits as a float 32 needs.
 *
 * err  PARSE: the message is damaged, or its text is not UTF-8.  INVALID: a key that is not text.
 *      LIMIT: nesting over MSGPACK_DEPTH_MAX.  NO_MEMORY.  On error out has its old size.
 */
int json_from_msgpack(struct slice message, struct buf *out, struct error *err);

/* Parts of JSON for those who write it piece by piece. */
int json_write_text(struct buf *out, struct slice text, struct error *err); /* PARSE: not UTF-8 */
void json_write_f64(struct buf *out, double v); /* NaN and infinities as null */
void json_write_f32(struct buf *out, float v);

/* The bytes at the front that stand for themselves between quotes: up to the first quote,
 * backslash or control character. */
size_t json_plain_bytes(const uint8_t *at, const uint8_t *end);

#endif
