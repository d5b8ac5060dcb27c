/* SPDX-License-Identifier: Apache-2.0 */
/* operand.c — fields and literals of a `where` text.
 *
 * WHAT        Words decide: NULL, TRUE, FALSE are literals, DATETIME is one where a text follows,
 *             any other word that is not reserved begins a path.  A path is made of names, dots
 *             and [n] without white space between; its canonical text has no quotes, since a
 *             whole key goes before a path (doc_get).
 * INVARIANTS  (1) What a filter keeps is in its arena: the text may go away.
 * THREADS     See parser.h.
 * FAILURE     PARSE with the place, LIMIT for one path too many, NO_MEMORY.
 */
#include <stdio.h>

#include "base/limits.h"
#include "codec/datetime.h"
#include "codec/decimal.h"
#include "filter/caret.h"
#include "filter/parser.h"

enum { INDEX_MAX = 999999999 }; /* nine digits, as doc_get has it */

static uint8_t *take_bytes(struct parser *p, size_t size)
{
    uint8_t *bytes = (uint8_t *)arena_alloc(&p->filter->arena, size);
    if (!bytes) error_no_memory(p->err, size);
    return bytes;
}

/* ---- Paths ---- */

static int append_name(struct parser *p)
{
    const struct token *t = &p->token;
    if (t->at != p->end) return parser_expected(p, "the name of a field, without a space");
    if (t->kind == TOKEN_WORD) {
        buf_append(&p->items, p->text.data + t->at, t->size);
        return parser_advance(p);
    }
    if (t->kind != TOKEN_NAME && t->kind != TOKEN_DOUBLE)
        return parser_expected(p, "the name of a field");
    if (t->size == 2) return parser_expected(p, "a name between the quotes");
    size_t size = p->items.size;
    uint8_t *place = buf_extend(&p->items, t->size);
    if (place) p->items.size = size + token_unquote(p->text, t, place);
    return parser_advance(p);
}

/* The "[" is the next token. */
static int append_index(struct parser *p)
{
    struct decimal number;
    uint64_t index;

    if (parser_advance(p) != 0) return -1;
    struct slice digits = slice_of(p->text.data + p->token.at, p->token.size);
    if (p->token.kind != TOKEN_NUMBER || digits.data[0] == '+' || digits.data[0] == '-' ||
        decimal_scan(digits, &number) != digits.size || !decimal_to_u64(&number, &index) ||
        index > INDEX_MAX)
        return parser_expected(p, "the number of an item, 0 to 999999999");
    if (parser_advance(p) != 0) return -1;
    if (!parser_is_mark(p, ']')) return parser_expected(p, "\"]\"");
    buf_append_text(&p->items, "[%llu]", (unsigned long long)index);
    return parser_advance(p);
}

static int parse_path(struct parser *p, struct operand *out)
{
    size_t at = p->token.at, begin = p->items.size;

    p->end = at; /* the first name may have white space before it */
    if (append_name(p) != 0) return -1;
    while (p->token.at == p->end) {
        if (parser_is_mark(p, '.')) {
            buf_append_u8(&p->items, '.');
            if (parser_advance(p) != 0 || append_name(p) != 0) return -1;
        } else if (parser_is_mark(p, '[')) {
            if (append_index(p) != 0) return -1;
        } else {
            break;
        }
    }
    if (!buf_ok(&p->items)) return error_no_memory(p->err, p->items.size);
    struct slice path = slice_of(p->items.data + begin, p->items.size - begin);
    p->items.size = begin;
    if (!filter_has_room_for(p->filter, path)) {
        char what[80];
        snprintf(what, sizeof what, "over %d different fields", LIMIT_WHERE_PATHS);
        return caret_error(p->err, LYNSE_LIMIT, p->text, at, what);
    }
    if (filter_add_path(p->filter, path, &out->path) == 0) return 0;
    return error_no_memory(p->err, path.size);
}

/* ---- Literals ---- */

int parse_text(struct parser *p, const char *expected, struct slice *out)
{
    if (p->token.kind != TOKEN_TEXT && p->token.kind != TOKEN_DOUBLE)
        return parser_expected(p, expected);
    uint8_t *bytes = take_bytes(p, p->token.size);
    if (!bytes) return -1;
    *out = slice_of(bytes, token_unquote(p->text, &p->token, bytes));
    return parser_advance(p);
}

static int parse_bytes(struct parser *p, struct value *out)
{
    uint8_t *bytes = take_bytes(p, p->token.size);
    if (!bytes) return -1;
    out->type = VALUE_BYTES;
    out->as.bytes = slice_of(bytes, token_bytes(p->text, &p->token, bytes));
    return parser_advance(p);
}

/* An integer as far as i64 and u64 go, beyond them the nearest float. */
static int parse_number(struct parser *p, struct value *out)
{
    struct slice text = slice_of(p->text.data + p->token.at, p->token.size);
    struct decimal d;
    uint64_t magnitude;

    if (text.data[0] == '+') text = slice_of(text.data + 1, text.size - 1);
    decimal_scan(text, &d);
    bool is_integer = d.is_integer && decimal_to_u64(&d, &magnitude);
    if (is_integer && d.is_negative && magnitude <= 1ull << 63) {
        out->type = VALUE_INT;
        out->as.integer = (int64_t)(0 - magnitude);
    } else if (is_integer && !d.is_negative && magnitude <= INT64_MAX) {
        out->type = VALUE_INT;
        out->as.integer = (int64_t)magnitude;
    } else if (is_integer && !d.is_negative) {
        out->type = VALUE_UINT;
        out->as.uinteger = magnitude;
    } else {
        out->type = VALUE_FLOAT;
        out->as.number = decimal_to_f64(&d);
    }
    return parser_advance(p);
}

static int parse_datetime(struct parser *p, struct value *out)
{
    struct token t = p->token;
    struct slice text;

    if (parse_text(p, "a datetime in quotes", &text) != 0) return -1;
    out->type = VALUE_DATETIME;
    if (datetime_parse(text, &out->as.datetime_us, NULL) == 0) return 0;
    return caret_unexpected(p->err, p->text, t.at, t.size,
                            "a datetime as 2024-02-29T12:34:56Z, years 0001 to 9999,");
}

/* DATETIME without a text behind it is the name of a field. */
static bool is_datetime(const struct parser *p)
{
    struct token next;
    return parser_is_word(p, "DATETIME") &&
           token_read(p->text, p->token.at + p->token.size, &next, NULL) == 0 &&
           (next.kind == TOKEN_TEXT || next.kind == TOKEN_DOUBLE);
}

/* *out_is_one: false when no literal begins here, and nothing is read. */
static int try_literal(struct parser *p, struct value *out, bool *out_is_one)
{
    *out = (struct value){.type = VALUE_NULL};
    *out_is_one = true;
    switch (p->token.kind) {
    case TOKEN_NUMBER:
        return parse_number(p, out);
    case TOKEN_BYTES:
        return parse_bytes(p, out);
    case TOKEN_TEXT:
        out->type = VALUE_TEXT;
        return parse_text(p, "", &out->as.text);
    default:
        break;
    }
    if (is_datetime(p)) return parser_advance(p) != 0 ? -1 : parse_datetime(p, out);
    if (parser_is_word(p, "NULL")) return parser_advance(p);
    out->as.boolean = parser_is_word(p, "TRUE");
    out->type = VALUE_BOOL;
    if (out->as.boolean || parser_is_word(p, "FALSE")) return parser_advance(p);
    *out_is_one = false;
    return 0;
}

int parse_literal(struct parser *p, struct operand *out)
{
    bool is_one;

    out->path = NO_INDEX;
    if (try_literal(p, &out->literal, &is_one) != 0) return -1;
    if (is_one) return 0;
    out->literal.type = VALUE_TEXT;
    return parse_text(p, "a value", &out->literal.as.text);
}

int parse_operand(struct parser *p, enum side side, struct operand *out)
{
    bool is_one;

    out->path = NO_INDEX;
    if (try_literal(p, &out->literal, &is_one) != 0) return -1;
    if (is_one) return 0;
    if (p->token.kind == TOKEN_DOUBLE && side == SIDE_RIGHT) return parse_literal(p, out);
    bool is_word = p->token.kind == TOKEN_WORD;
    struct slice word = slice_of(p->text.data + p->token.at, p->token.size);
    if (p->token.kind == TOKEN_NAME || p->token.kind == TOKEN_DOUBLE ||
        (is_word && !word_is_reserved(word)))
        return parse_path(p, out);
    return parser_expected(p, side == SIDE_LEFT ? "a field or a value" : "a value");
}
