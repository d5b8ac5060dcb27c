/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.c — the well-formed byte sequences of the Unicode standard, table 3-7. */
#include "base/utf8.h"

#include <stdint.h>

#include "base/bytes.h"

/* The sequence that a lead byte opens: its length, and the range of its second byte, which is what
 * keeps out overlong forms, surrogates and numbers past U+10FFFF.  Length 0: not a lead byte. */
struct sequence {
    uint8_t size;
    uint8_t second_min;
    uint8_t second_max;
};

static struct sequence sequence_of(uint8_t lead)
{
    if (lead < 0x80) return (struct sequence){1, 0, 0};
    if (lead < 0xC2 || lead > 0xF4) return (struct sequence){0, 0, 0};
    if (lead < 0xE0) return (struct sequence){2, 0x80, 0xBF};
    if (lead == 0xE0) return (struct sequence){3, 0xA0, 0xBF};
    if (lead == 0xED) return (struct sequence){3, 0x80, 0x9F};
    if (lead < 0xF0) return (struct sequence){3, 0x80, 0xBF};
    if (lead == 0xF0) return (struct sequence){4, 0x90, 0xBF};
    if (lead == 0xF4) return (struct sequence){4, 0x80, 0x8F};
    return (struct sequence){4, 0x80, 0xBF};
}

/* Size of the character at p; 0 when there is none.  *out_is_cut: it would be one with more bytes.
 */
static size_t character_bytes(const uint8_t *p, size_t left, bool *out_is_cut)
{
    struct sequence s = sequence_of(p[0]);
    *out_is_cut = false;
    for (size_t i = 1; i < s.size; i++) {
        if (i == left) {
            *out_is_cut = true;
            return 0;
        }
        uint8_t low = i == 1 ? s.second_min : 0x80;
        uint8_t high = i == 1 ? s.second_max : 0xBF;
        if (p[i] < low || p[i] > high) return 0;
    }
    return s.size;
}

size_t utf8_valid_bytes(const void *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t at = 0;
    while (at < size) {
        /* Most text is ASCII: eight characters at a time while it is. */
        if (size - at >= 8 && (load_u64(p + at) & 0x8080808080808080ull) == 0) {
            at += 8;
            continue;
        }
        bool is_cut;
        size_t step = character_bytes(p + at, size - at, &is_cut);
        if (step == 0) break;
        at += step;
    }
    return at;
}

size_t utf8_mend(char *text, size_t size)
{
    uint8_t *p = (uint8_t *)text;
    size_t at = 0;
    while (at < size) {
        bool is_cut;
        size_t step = character_bytes(p + at, size - at, &is_cut);
        if (is_cut) break;
        if (step == 0) {
            p[at] = '?';
            step = 1;
        }
        at += step;
    }
    return at;
}
