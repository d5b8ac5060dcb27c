/* SPDX-License-Identifier: Apache-2.0 */
#include "server/vector_codec.h"

#include <lynse_errors.h>
#include <string.h>

#include "base/bytes.h"

int vector_encoding_parse(struct slice word, enum vector_encoding *out, struct error *err)
{
    static const struct {
        const char *word;
        enum vector_encoding encoding;
    } words[] = {{"float32", VECTOR_ENCODING_F32},
                 {"f32", VECTOR_ENCODING_F32},
                 {"float16", VECTOR_ENCODING_F16},
                 {"f16", VECTOR_ENCODING_F16},
                 {"fp16", VECTOR_ENCODING_F16}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!slice_equal_word(word, slice_of_text(words[i].word))) continue;
        *out = words[i].encoding;
        return 0;
    }
    return error_set(err, LYNSE_INVALID, "must be 'float32' or 'float16'");
}

/* IEEE 754 binary16 to binary32; every value of the first is one of the second. */
static float widen_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
    uint32_t bits;
    float out;

    if (exponent == 31) bits = sign | 0x7f800000 | fraction << 13;
    else if (exponent != 0) bits = sign | (exponent + 112) << 23 | fraction << 13;
    else { /* zero, or below the least normal one: fraction units of 2^-24 */
        float small = (float)fraction * 0x1p-24f;
        memcpy(&bits, &small, sizeof bits);
        bits |= sign;
    }
    memcpy(&out, &bits, sizeof out);
    return out;
}

int vector_codec_copy(struct slice raw, enum vector_encoding encoding, size_t count,
                      struct arena *arena, const float **out, struct error *err)
{
    float *floats = arena_alloc(arena, count * sizeof *floats + sizeof *floats);

    if (!floats) return error_no_memory(err, count * sizeof *floats);
    if (encoding == VECTOR_ENCODING_F32) memcpy(floats, raw.data, count * sizeof *floats);
    else
        for (size_t i = 0; i < count; i++) floats[i] = widen_half(load_u16(raw.data + i * 2));
    *out = floats;
    return 0;
}
