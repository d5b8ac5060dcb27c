/* SPDX-License-Identifier: Apache-2.0 */
/* caret.h — errors that show their place in the text of a filter. */
#ifndef FILTER_CARET_H
#define FILTER_CARET_H

#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"

/* "where: <what> at <position>", and below it the place with a caret under it; returns -1.
 * at: of a byte of the text, or its end.  what: at most 80 bytes, valid UTF-8. */
int caret_error(struct error *err, int code, struct slice text, size_t at, const char *what);

/* The same with what stands there, `found` bytes (0: the end): PARSE. */
int caret_unexpected(struct error *err, struct slice text, size_t at, size_t found,
                     const char *expected);

#endif
