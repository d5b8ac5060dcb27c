/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/quote.h"

#include "base/check.h"
#include "base/utf8.h"

/* Bytes of the character that text begins with; 0 when there is none. */
static size_t char_bytes(struct slice text)
{
    for (size_t n = 1; n <= 4 && n <= text.size; n++)
        if (utf8_is_valid(text.data, n)) return n;
    return 0;
}

/* One character as it is, or one byte as \xNN.  Returns the bytes of text that this stands for. */
static size_t quote_one(struct slice text, char out[4], size_t *out_size)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = char_bytes(text);
    uint8_t byte = text.data[0];
    if (n == 0 || byte < 0x20 || byte == 0x7f || byte == '\'' || byte == '\\') {
        out[0] = '\\';
        out[1] = 'x';
        out[2] = hex[byte >> 4];
        out[3] = hex[byte & 15];
        *out_size = 4;
        return 1;
    }
    memcpy(out, text.data, n);
    *out_size = n;
    return n;
}

const char *quote_text(struct slice text, char *out, size_t out_bytes)
{
    static const char dots[] = "\xe2\x80\xa6"; /* … */
    size_t end = 0;                            /* bytes of out so far */
    size_t cut = 1; /* the last place where dots, quote and NUL still fit */

    CHECK(out_bytes >= 16);
    out[end++] = '\'';
    for (size_t i = 0; i < text.size;) {
        char piece[4];
        size_t piece_size;
        i += quote_one(slice_of(text.data + i, text.size - i), piece, &piece_size);
        if (end + (sizeof dots - 1) + 2 <= out_bytes) cut = end;
        if (end + piece_size + 2 > out_bytes) {
            memcpy(out + cut, dots, sizeof dots - 1);
            end = cut + sizeof dots - 1;
            break;
        }
        memcpy(out + end, piece, piece_size);
        end += piece_size;
    }
    out[end++] = '\'';
    out[end] = '\0';
    return out;
}
