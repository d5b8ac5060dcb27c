/* SPDX-License-Identifier: Apache-2.0 */
/* quote.h — text from outside, made fit for an error message. */
#ifndef CODEC_QUOTE_H
#define CODEC_QUOTE_H

#include <stddef.h>

#include "base/slice.h"

enum { QUOTE_BYTES = 64 }; /* what an error text has room for */

/* text in single quotes, NUL-terminated: control characters, quotes, backslashes and bytes that are
 * not UTF-8 as \xNN; "…" before the closing quote where it was cut to fit.
 * out_bytes >= 16.  Returns out. */
const char *quote_text(struct slice text, char *out, size_t out_bytes);

#endif
