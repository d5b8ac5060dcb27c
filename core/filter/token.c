/* SPDX-License-Identifier: Apache-2.0 */
/* token.c — one token at a time, so that a text is never held twice.
 *
 * WHAT        The first byte decides what a token is; each kind has a function that finds its end.
 * INVARIANTS  (1) No byte at or behind text.size is read.
 *             (2) A token has a byte at least, but for the end: reading all of them ends.
 *             (3) A token begins and ends at characters.
 * THREADS     No state: any thread.
 * FAILURE     PARSE with the place; nothing allocates.
 */
#include "filter/token.h"

#include <stdbool.h>

#include "base/planted.h"
#include "codec/decimal.h"
#include "filter/caret.h"

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_word_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
           is_digit(byte);
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* 0..15, or -1. */
static int hex_digit(uint8_t byte)
{
    if (is_digit(byte)) return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static bool is_at(struct slice text, size_t at, uint8_t byte)
{
    return at < text.size && text.data[at] == byte;
}

/* t->at is at the opening quote. */
static int find_quote_end(struct slice text, struct token *t, struct error *err)
{
    uint8_t quote = text.data[t->at];
    size_t i = t->at + 1;

    for (; i < text.size + PLANTED(FILTER_QUOTE_END); i++) {
        if (text.data[i] != quote) continue;
        if (!is_at(text, i + 1, quote)) {
            t->size = i + 1 - t->at;
            return 0;
        }
        i++;
    }
    return caret_error(err, LYNSE_PARSE, text, t->at, "no quote ends what begins");
}

static int find_bytes_end(struct slice text, struct token *t, struct error *err)
{
    size_t i = t->at + 2;
    while (i < text.size && hex_digit(text.data[i]) >= 0) i++;
    if (!is_at(text, i, '\'') || (i - t->at) % 2 != 0)
        return caret_error(err, LYNSE_PARSE, text, t->at,
                           "expected pairs of hexadecimal digits, as x'00ff',");
    t->size = i + 1 - t->at;
    return 0;
}

static int find_number_end(struct slice text, struct token *t, struct error *err)
{
    struct decimal number;
    size_t sign = text.data[t->at] == '+';
    size_t begin = t->at + sign;
    size_t size = decimal_scan(slice_of(text.data + begin, text.size - begin), &number);
    size_t end = begin + size;

    if (size == 0 || (sign && number.is_negative) ||
        (end < text.size && (is_word_byte(text.data[end]) || text.data[end] == '.')))
        return caret_error(err, LYNSE_PARSE, text, t->at, "expected a number, as 12, -0.5 or 1e6,");
    t->size = sign + size;
    return 0;
}

static void find_run_end(struct slice text, struct token *t, bool is_part(uint8_t byte))
{
    size_t end = t->at + 1;
    while (end < text.size && is_part(text.data[end])) end++;
    t->size = end - t->at;
}

static bool is_sign_byte(uint8_t byte)
{
    return byte == '=' || byte == '<' || byte == '>' || byte == '!';
}

int token_read(struct slice text, size_t at, struct token *out, struct error *err)
{
    while (at < text.size && is_space(text.data[at])) at++;
    struct token t = {TOKEN_END, at, 0};
    uint8_t first = at < text.size ? text.data[at] : 0;
    int rc = 0;

    if (at == text.size) {
        *out = t;
        return 0;
    }
    if ((first == 'x' || first == 'X') && is_at(text, at + 1, '\'')) {
        t.kind = TOKEN_BYTES;
        rc = find_bytes_end(text, &t, err);
    } else if (is_digit(first) || first == '-' || first == '+') {
        t.kind = TOKEN_NUMBER;
        rc = find_number_end(text, &t, err);
    } else if (is_word_byte(first)) {
        t.kind = TOKEN_WORD;
        find_run_end(text, &t, is_word_byte);
    } else if (first == '\'' || first == '"' || first == '`') {
        t.kind = first == '\'' ? TOKEN_TEXT : first == '"' ? TOKEN_DOUBLE : TOKEN_NAME;
        rc = find_quote_end(text, &t, err);
    } else if (is_sign_byte(first)) {
        t.kind = TOKEN_SIGN;
        find_run_end(text, &t, is_sign_byte);
    } else if (first != '\0' && strchr("(),.[]", first)) {
        t.kind = TOKEN_MARK;
        t.size = 1;
    } else {
        rc = caret_error(err, LYNSE_PARSE, text, at,
                         first < 0x80 ? "unexpected character"
                                      : "a character that needs quotes or backticks");
    }
    if (rc == 0) *out = t;
    return rc;
}

size_t token_unquote(struct slice text, const struct token *t, uint8_t *out)
{
    uint8_t quote = text.data[t->at];
    size_t size = 0;

    for (size_t i = t->at + 1; i + 1 < t->at + t->size; i++) {
        out[size++] = text.data[i];
        if (text.data[i] == quote) i++; /* the other one of the two */
    }
    return size;
}

size_t token_bytes(struct slice text, const struct token *t, uint8_t *out)
{
    size_t size = 0;
    for (size_t i = t->at + 2; i + 2 < t->at + t->size; i += 2)
        out[size++] = (uint8_t)(hex_digit(text.data[i]) << 4 | hex_digit(text.data[i + 1]));
    return size;
}
