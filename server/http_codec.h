/* SPDX-License-Identifier: Apache-2.0 */
/* http_codec.h — what stands in a request's head, decoded; and the heads of answers.
 *
 * Everything here reads whole values that http_parser.c has passed, but is safe on any bytes, and
 * has no state: any thread.
 */
#ifndef SERVER_HTTP_CODEC_H
#define SERVER_HTTP_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/slice.h"

/* ---- The target ---- */

/* "/path?query" without the question mark; *out_query is empty where there is none. */
void http_split_target(struct slice target, struct slice *out_path, struct slice *out_query);

/* Append the path with its %XX decoded.  Its slashes are those that were there: an encoded one is
 * refused, so that routes mean what they say.
 *
 * err  PARSE: a '%' without two hex digits, a NUL, a slash in disguise, or what is decoded is not
 *      UTF-8.  NO_MEMORY.  On error out has its old size.
 */
int http_decode_path(struct slice path, struct buf *out, struct error *err);

struct http_pair {
    struct slice key;
    struct slice value; /* empty for a key without '=' */
};
struct http_query {
    size_t count;
    struct http_pair pairs[LIMIT_QUERY_PAIRS];
};

/* The pairs of "a=1&b=x%20y", decoded into `store`, '+' as a space; empty ones are passed over.
 * Their slices live as long as store's bytes do.
 *
 * err  PARSE as above; INVALID: a key twice, or an empty one.  LIMIT: more than LIMIT_QUERY_PAIRS.
 *      NO_MEMORY.  On error store has its old size.
 */
int http_read_query(struct slice query, struct buf *store, struct http_query *out_query,
                    struct error *err);
bool http_query_find(const struct http_query *q, const char *key, struct slice *out_value);

/* ---- Headers ---- */

/* The API key of "Bearer KEY" or "Basic base64(anybody:KEY)". */
struct http_key {
    size_t size; /* 1..LIMIT_KEY_BYTES */
    uint8_t bytes[LIMIT_KEY_BYTES];
};
/* err  UNAUTHORIZED, with a text that repeats nothing of the value. */
int http_read_key(struct slice authorization, struct http_key *out_key, struct error *err);

/* Whether a Content-Type is `type`, "application/json", whatever parameters it has. */
bool http_is_type(struct slice content_type, const char *type);
/* How welcome `type` is to who sent that Accept, 0 (refused) to 1000; an empty Accept takes all.
 * Ranges that cannot be understood are passed over. */
uint32_t http_accept_quality(struct slice accept, const char *type);

/* ---- Answers ---- */

struct http_field {
    const char *name;
    struct slice value;
};

struct http_response {
    int status;            /* 200..599 */
    uint8_t version_minor; /* of the request; 1 where it could not be read */
    bool keeps_alive;
    const char *content_type;        /* NULL: none */
    uint64_t content_length;         /* of the body, or of that which HEAD leaves out */
    uint64_t request_id;             /* 0: none */
    uint32_t retry_after_s;          /* 0: none */
    const struct http_field *fields; /* more of them, as Date or WWW-Authenticate */
    size_t field_count;
};

/* Append the status line and the headers.  204 and 304 have no body, and no length.
 *
 * err  INVALID: a field that would break the head (its name no token, a control character in its
 *      value).  NO_MEMORY.  On error out has its old size.
 */
int http_write_head(struct buf *out, const struct http_response *response, struct error *err);

/* What a request with wants_continue waits for. */
void http_write_continue(struct buf *out);

/* "Not Found"; "" for a status that is not in our table. */
const char *http_status_reason(int status);

#endif
