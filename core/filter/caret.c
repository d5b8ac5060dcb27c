/* SPDX-License-Identifier: Apache-2.0 */
#include "filter/caret.h"

#include <stdbool.h>
#include <stdio.h>

/* With 80 bytes of explanation all of it fits ERROR_TEXT_BYTES. */
enum { BEFORE_BYTES = 30, AFTER_BYTES = 16, FOUND_BYTES = 20, CUT_BYTES = 3 };

static bool is_inside_character(struct slice text, size_t at)
{
    return at < text.size && (text.data[at] & 0xc0) == 0x80;
}

static size_t count_characters(struct slice text, size_t from, size_t to)
{
    size_t count = 0;
    for (size_t i = from; i < to; i++) count += !is_inside_character(text, i);
    return count;
}

/* Bytes [from, to) on one line, "…" where the text goes on before or after; returns the place
 * behind them, where a NUL is. */
static char *copy_line(struct slice text, size_t from, size_t to, bool is_cut_before,
                       bool is_cut_after, char *out)
{
    static const char dots[] = "\xe2\x80\xa6"; /* … */
    if (is_cut_before) {
        memcpy(out, dots, CUT_BYTES);
        out += CUT_BYTES;
    }
    for (size_t i = from; i < to; i++) {
        uint8_t byte = text.data[i];
        *out++ = byte < 0x20 || byte == 0x7f ? ' ' : (char)byte;
    }
    if (is_cut_after) {
        memcpy(out, dots, CUT_BYTES);
        out += CUT_BYTES;
    }
    *out = '\0';
    return out;
}

/* The text around `at` and the caret, indented: two lines. */
static void draw(struct slice text, size_t at, char *out)
{
    size_t from = at > BEFORE_BYTES ? at - BEFORE_BYTES : 0;
    size_t to = text.size - at > AFTER_BYTES ? at + AFTER_BYTES : text.size;

    while (is_inside_character(text, from) && from < at) from++;
    while (is_inside_character(text, to) && to > at) to--;
    out = copy_line(text, from, to, from > 0, to < text.size, out);
    size_t indent = count_characters(text, from, at) + (from > 0) + 2;
    *out++ = '\n';
    memset(out, ' ', indent);
    out[indent] = '^';
    out[indent + 1] = '\0';
}

enum { DRAWING_BYTES = 2 * (BEFORE_BYTES + 8) + AFTER_BYTES + 2 * CUT_BYTES + 8 };

int caret_error(struct error *err, int code, struct slice text, size_t at, const char *what)
{
    char drawing[DRAWING_BYTES];
    draw(text, at, drawing);
    return error_set(err, code, "where: %s at %zu\n  %s", what, count_characters(text, 0, at) + 1,
                     drawing);
}

int caret_unexpected(struct error *err, struct slice text, size_t at, size_t found,
                     const char *expected)
{
    char drawing[DRAWING_BYTES], word[FOUND_BYTES + 2 * CUT_BYTES + 4] = "the end";
    size_t shown = found;

    draw(text, at, drawing);
    if (found > 0) {
        if (shown > FOUND_BYTES) shown = FOUND_BYTES;
        while (shown > 0 && is_inside_character(text, at + shown)) shown--;
        word[0] = '"';
        char *end = copy_line(text, at, at + shown, false, shown < found, word + 1);
        end[0] = '"';
        end[1] = '\0';
    }
    return error_set(err, LYNSE_PARSE, "where: expected %s at %zu, found %s\n  %s", expected,
                     count_characters(text, 0, at) + 1, word, drawing);
}
