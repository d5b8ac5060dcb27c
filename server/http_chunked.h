/* SPDX-License-Identifier: Apache-2.0 */
/* http_chunked.h — what stands between the data of a chunked body (RFC 9112, 7.1).
 *
 * For http_parser.c.  Extensions and trailers are checked, counted and dropped.  One owner.
 */
#ifndef SERVER_HTTP_CHUNKED_H
#define SERVER_HTTP_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

struct http_limits;

/* All zero where a body begins. */
struct http_chunked {
    uint64_t data_left; /* of the present chunk: whoever takes data counts it down */
    bool is_complete;   /* nothing of the body is to come */
    int status;         /* after -1: 400, 413 or 431 */

    /* http_chunked.c's own. */
    uint8_t state;
    uint8_t digits;
    uint64_t size;       /* that is being read */
    uint64_t body_bytes; /* of all chunks so far */
    uint32_t extra_bytes;
    uint32_t trailer_count;
};

/* Take bytes while data_left is 0: until data begin, the body is complete, or there are no more.
 *
 * err  PARSE, LIMIT or TOO_LARGE; not to be called again.
 */
int http_chunked_feed(struct http_chunked *c, const struct http_limits *limits, struct slice bytes,
                      size_t *out_used, struct error *err);

#endif
