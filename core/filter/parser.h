/* SPDX-License-Identifier: Apache-2.0 */
/* parser.h — the state of filter_parse, and what its two files call of each other.
 *
 * All functions return 0, or -1 with the parser's error set.
 */
#ifndef FILTER_PARSER_H
#define FILTER_PARSER_H

#include "filter/ast.h"
#include "filter/token.h"

struct parser {
    struct slice text;
    struct token token; /* the next one */
    size_t end;         /* of the one before it */
    uint32_t depth;     /* of parentheses */
    struct filter *filter;
    struct buf items; /* of the list that is being read, or the bytes of a path */
    struct error *err;
};

int parser_advance(struct parser *p);
/* Always -1: `what` was expected where the next token is. */
int parser_expected(struct parser *p, const char *what);
bool parser_is_word(const struct parser *p, const char *word);
bool parser_is_mark(const struct parser *p, char mark);

/* "…" is a field on the left side of an operator and a text on the right. */
enum side { SIDE_LEFT, SIDE_RIGHT };

/* Each begins at the next token, and ends with the one behind what it read as the next token. */
int parse_operand(struct parser *p, enum side side, struct operand *out);
int parse_literal(struct parser *p, struct operand *out);
/* A text in either quotes, copied into the filter's arena. */
int parse_text(struct parser *p, const char *expected, struct slice *out);

#endif
