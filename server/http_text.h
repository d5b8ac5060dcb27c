/* SPDX-License-Identifier: Apache-2.0 */
/* http_text.h — which bytes may stand where in HTTP, and lists with commas (RFC 9110, 5.6).
 *
 * All functions are safe on any bytes, borrow what they are given and have no state.
 */
#ifndef SERVER_HTTP_TEXT_H
#define SERVER_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum {
    HTTP_IN_TOKEN = 1,  /* methods, names of headers, options in lists */
    HTTP_IN_TARGET = 2, /* path and query of a URI: RFC 3986 */
    HTTP_IN_HOST = 4,   /* a name or an address, with a port */
};

bool http_is_kind(uint8_t byte, uint8_t kind);
/* Bytes at the front that are all of that kind. */
size_t http_span(struct slice text, uint8_t kind);

/* All characters of a token, and one at least. */
bool http_is_token(struct slice text);
/* No control character but the tab: what a header's value may be. */
bool http_is_field_value(struct slice text);
/* The same word, in any case of letters. */
bool http_is_word(struct slice text, const char *word);

/* The space and the tab. */
static inline bool http_is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}
struct slice http_trim(struct slice text);

/* The next item of "a, b, c" without the spaces around it, and *list behind it; empty items are
 * passed over.  false at the end.  Quotes have no meaning: a comma within them ends an item. */
bool http_list_next(struct slice *list, uint8_t separator, struct slice *out_item);

#endif
