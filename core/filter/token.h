/* SPDX-License-Identifier: Apache-2.0 */
/* token.h — a `where` text, cut into words, names, literals and signs. */
#ifndef FILTER_TOKEN_H
#define FILTER_TOKEN_H

#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"

enum token_kind {
    TOKEN_END,    /* of the text; no bytes */
    TOKEN_WORD,   /* [A-Za-z_][A-Za-z0-9_]*: a keyword or a name */
    TOKEN_NAME,   /* `name`: a ` in it is doubled */
    TOKEN_TEXT,   /* 'text': a ' in it is doubled; nothing else is special */
    TOKEN_DOUBLE, /* "name or text": a " in it is doubled */
    TOKEN_BYTES,  /* x'00ff': an even number of hexadecimal digits */
    TOKEN_NUMBER, /* by the grammar of JSON, or with a + */
    TOKEN_SIGN,   /* a run of = < > ! */
    TOKEN_MARK,   /* one of ( ) , . [ ] */
};

struct token {
    enum token_kind kind;
    size_t at;   /* its first byte in the text */
    size_t size; /* with its quotes */
};

/* The token at or after byte `at` of a text that is UTF-8; white space before it is passed over.
 * PARSE: a byte that begins none, a quote without its end, a number that is none. */
int token_read(struct slice text, size_t at, struct token *out, struct error *err);

/* What stands between the quotes of a NAME, TEXT or DOUBLE, doubled quotes made single.
 * out: room for t->size bytes.  Returns the size. */
size_t token_unquote(struct slice text, const struct token *t, uint8_t *out);

/* The bytes of a BYTES.  Likewise. */
size_t token_bytes(struct slice text, const struct token *t, uint8_t *out);

#endif
