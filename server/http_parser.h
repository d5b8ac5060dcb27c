/* SPDX-License-Identifier: Apache-2.0 */
/* http_parser.h — requests of HTTP/1.1 and 1.0 out of a stream, strictly and within bounds.
 *
 * The caller feeds what the socket gave, in pieces of any size, and gets the same events however
 * the stream was cut:
 *
 *     for (;;) {
 *         switch (http_parser_feed(&p, data, &used, &err)) {
 *         case HTTP_MORE:      all of data was used: read on
 *         case HTTP_HEAD:      p.request and the headers are there; http_parser_gather, or not
 *         case HTTP_BODY:      p.piece is the next piece of the body
 *         case HTTP_COMPLETE:  answer, then http_parser_reset: what is left of data is the next
 *         case HTTP_FAILED:    answer p.status with err's text, and close
 *         }
 *         data = what is behind `used`, empty too: only HTTP_MORE asks for more
 *     }
 *
 * Slices of the head (method, target, headers) live until http_parser_reset or _deinit; p.piece
 * points into `data`.  One owner, no thread safety.
 */
#ifndef SERVER_HTTP_PARSER_H
#define SERVER_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"
#include "server/http_chunked.h"

#define HTTP_METHODS(_) _(GET) _(HEAD) _(POST) _(PUT) _(PATCH) _(DELETE) _(OPTIONS)

enum http_method {
    HTTP_OTHER, /* a good token that is none of ours */
#define HTTP_METHOD_ENUM(name) HTTP_##name##_METHOD,
    HTTP_METHODS(HTTP_METHOD_ENUM)
#undef HTTP_METHOD_ENUM
};

/* What a request may be.  At most what base/limits.h says; CHECKed. */
struct http_limits {
    uint32_t uri_bytes_max;    /* over it: 414 */
    uint32_t header_bytes_max; /* all header lines with the empty one; chunk extensions and trailers
                                  together may be as long again: 431 */
    uint32_t header_count_max; /* of headers, and of trailers: 431 */
    uint64_t body_bytes_max;   /* over it: 413, before any of it is kept */
};
extern const struct http_limits http_limits_default;

struct http_request {
    enum http_method method;
    uint8_t version_minor; /* of HTTP/1.x */
    bool keeps_alive;      /* the connection may serve another request */
    bool wants_continue;   /* waits for "100 Continue" before it sends its body */
    bool is_chunked;
    uint64_t content_length; /* 0 where is_chunked */
    struct slice method_text;
    struct slice target; /* "/path?query", not decoded, of "http://host/path?query" too; "*" for
                            OPTIONS alone */
};

enum http_progress { HTTP_MORE, HTTP_HEAD, HTTP_BODY, HTTP_COMPLETE, HTTP_FAILED };

struct http_parser {
    struct http_limits limits;
    struct http_request request; /* from HTTP_HEAD on */
    struct slice piece;          /* at HTTP_BODY */
    int status;                  /* at HTTP_FAILED: 400, 413, 414, 417, 431, 501, 503 or 505 */

    /* http_parser.c's own. */
    struct buf head;    /* the request line and the header lines, as they came */
    struct buf places;  /* where in it the headers are */
    struct buf *gather; /* borrowed; NULL: the body is handed on in pieces */
    size_t line_at;     /* in head: where the line begins that is being read */
    size_t target_at;   /* likewise: the target */
    uint64_t body_left; /* to come, of a body with a length */
    struct http_chunked chunked;
    uint32_t block_bytes; /* of header lines */
    uint8_t state;
    bool has_skipped_line;
    bool has_host;
    bool has_length;
    bool has_close;
    bool has_keep_alive;
};

/* Allocates nothing yet.  *limits is copied. */
void http_parser_init(struct http_parser *p, struct alloc *a, const struct http_limits *limits);
void http_parser_deinit(struct http_parser *p); /* a zeroed parser is allowed */

/* Ready for the next request of the connection; at any time.  A head of ordinary size keeps its
 * memory, a large one gives it back. */
void http_parser_reset(struct http_parser *p);

/* Take up to the next event, *out_used bytes of data.  data may be empty.
 *
 * err  at HTTP_FAILED, one sentence; the code is PARSE, LIMIT, TOO_LARGE, UNSUPPORTED or NO_MEMORY
 *      and p->status, which the answer bears, is finer.  What follows in the stream cannot be
 *      trusted: the connection has to be closed.  Fed again, the parser says HTTP_FAILED, uses
 *      nothing and leaves *err as it is.
 */
enum http_progress http_parser_feed(struct http_parser *p, struct slice data, size_t *out_used,
                                    struct error *err);

/* Right after HTTP_HEAD: append the body to *out instead of handing on pieces; out is borrowed
 * until HTTP_COMPLETE, HTTP_FAILED or http_parser_reset.  It grows with what has come, not with
 * what was announced. */
void http_parser_gather(struct http_parser *p, struct buf *out);

/* Whether no byte of a request has come: the connection waits idly, not for the rest of a head. */
bool http_parser_is_idle(const struct http_parser *p);

/* From HTTP_HEAD on.  Names as they came, values without the spaces around them: bytes of any
 * encoding, but no control character other than the tab. */
uint32_t http_parser_header_count(const struct http_parser *p);
void http_parser_header(const struct http_parser *p, uint32_t index, struct slice *out_name,
                        struct slice *out_value); /* index < count, CHECKed */
/* How many headers have that name, in any case of letters; *out_value is of the first, and empty
 * where there is none. */
uint32_t http_parser_find(const struct http_parser *p, const char *name, struct slice *out_value);

#endif
