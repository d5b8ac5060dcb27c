/* SPDX-License-Identifier: Apache-2.0 */
/* vector_codec.h — the numbers of vectors out of bytes: float32 and float16, little-endian.  Any
 * thread. */
#ifndef SERVER_VECTOR_CODEC_H
#define SERVER_VECTOR_CODEC_H

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

enum vector_encoding { VECTOR_ENCODING_F32, VECTOR_ENCODING_F16 };

/* "float32", "f32", "float16", "f16", "fp16", without case.  err INVALID. */
int vector_encoding_parse(struct slice word, enum vector_encoding *out, struct error *err);
/* `count` numbers of raw, which has as many, as floats in the arena.  err NO_MEMORY. */
int vector_codec_copy(struct slice raw, enum vector_encoding encoding, size_t count,
                      struct arena *arena, const float **out, struct error *err);

#endif
