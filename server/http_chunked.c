/* SPDX-License-Identifier: Apache-2.0 */
/* http_chunked.c — sizes, extensions and trailers, a byte at a time.
 *
 * WHAT        A state for each place in the framing; nothing of it is kept, so that no line has to
 *             be put together.
 * LAYOUT      size in hex [";" extension] CR LF, that many bytes, CR LF, …, "0" CR LF, trailers as
 *             header lines, CR LF.
 * INVARIANTS  (1) A size is refused when its line ends, before a byte of its data is taken: the sum
 *                 of all never exceeds the limit of bodies.
 *             (2) Extensions and trailers of one body are together not longer than a header block.
 *             (3) CR stands before LF and nowhere else, and LF behind CR.
 * THREADS     One owner.
 * FAILURE     One sentence and a status; the stream behind it cannot be trusted.
 */
#include "server/http_chunked.h"

#include "base/check.h"
#include "codec/quote.h"
#include "server/http_parser.h"
#include "server/http_text.h"

enum state {
    AT_SIZE,
    IN_EXTENSION,
    AT_SIZE_LF,
    AT_DATA_CR,
    AT_DATA_LF,
    AT_TRAILER, /* at the beginning of a line */
    IN_TRAILER_NAME,
    IN_TRAILER_VALUE,
    AT_TRAILER_LF,
    AT_LAST_LF,
};

enum { DIGITS_MAX = 16 }; /* of a u64 */

static int refuse(struct http_chunked *c, int status, int minus_one)
{
    c->status = status;
    return minus_one;
}

static int refuse_byte(struct http_chunked *c, const char *expected, uint8_t byte,
                       struct error *err)
{
    char quoted[QUOTE_BYTES];
    return refuse(c, 400,
                  error_set(err, LYNSE_PARSE, "chunked body: expected %s, not %s", expected,
                            quote_text(slice_of(&byte, 1), quoted, sizeof quoted)));
}

static uint8_t hex_digit(uint8_t byte)
{
    uint8_t letter = byte | 0x20;
    if (byte >= '0' && byte <= '9') return (uint8_t)(byte - '0');
    if (letter >= 'a' && letter <= 'f') return (uint8_t)(letter - 'a' + 10);
    return 16;
}

static int end_size(struct http_chunked *c, const struct http_limits *limits, uint8_t byte,
                    struct error *err)
{
    if (c->digits == 0 || (byte != ';' && byte != '\r'))
        return refuse_byte(c, c->digits ? "the end of a size" : "a size", byte, err);
    if (c->size > limits->body_bytes_max - c->body_bytes) /* (1) */
        return refuse(c, 413,
                      error_set(err, LYNSE_TOO_LARGE,
                                "body: a chunk of %llu bytes behind %llu is over the limit of %llu",
                                (unsigned long long)c->size, (unsigned long long)c->body_bytes,
                                (unsigned long long)limits->body_bytes_max));
    c->body_bytes += c->size;
    c->state = byte == ';' ? IN_EXTENSION : AT_SIZE_LF;
    return 0;
}

static int read_size(struct http_chunked *c, const struct http_limits *limits, uint8_t byte,
                     struct error *err)
{
    uint8_t digit = hex_digit(byte);
    if (digit > 15) return end_size(c, limits, byte, err);
    if (c->digits == DIGITS_MAX)
        return refuse(
            c, 400,
            error_set(err, LYNSE_PARSE, "chunked body: a size of more than %d digits", DIGITS_MAX));
    c->digits++;
    c->size = c->size << 4 | digit;
    return 0;
}

/* A byte that has to be there. */
static int read_end(struct http_chunked *c, uint8_t byte, uint8_t wanted, enum state next,
                    struct error *err)
{
    if (byte != wanted) return refuse_byte(c, wanted == '\r' ? "CR" : "LF", byte, err);
    c->state = (uint8_t)next;
    return 0;
}

static int end_size_line(struct http_chunked *c, uint8_t byte, struct error *err)
{
    bool is_last = c->size == 0;
    if (read_end(c, byte, '\n', is_last ? AT_TRAILER : AT_DATA_CR, err) != 0) return -1;
    c->data_left = c->size;
    c->size = 0;
    c->digits = 0;
    return 0;
}

/* What is dropped, up to its CR. */
static int skip_text(struct http_chunked *c, uint8_t byte, enum state behind, struct error *err)
{
    if (byte == '\r') c->state = (uint8_t)behind;
    else if (!http_is_field_value(slice_of(&byte, 1))) return refuse_byte(c, "text", byte, err);
    return 0;
}

static int begin_trailer(struct http_chunked *c, const struct http_limits *limits, uint8_t byte,
                         struct error *err)
{
    if (byte == '\r') {
        c->state = AT_LAST_LF;
        return 0;
    }
    if (!http_is_kind(byte, HTTP_IN_TOKEN)) return refuse_byte(c, "a trailer's name", byte, err);
    if (c->trailer_count == limits->header_count_max)
        return refuse(c, 431,
                      error_set(err, LYNSE_LIMIT, "trailers: more than the limit of %u",
                                limits->header_count_max));
    c->trailer_count++;
    c->state = IN_TRAILER_NAME;
    return 0;
}

static int read_trailer_name(struct http_chunked *c, uint8_t byte, struct error *err)
{
    if (byte == ':') c->state = IN_TRAILER_VALUE;
    else if (!http_is_kind(byte, HTTP_IN_TOKEN))
        return refuse_byte(c, "a trailer's name and a colon", byte, err);
    return 0;
}

static int read_byte(struct http_chunked *c, const struct http_limits *limits, uint8_t byte,
                     struct error *err)
{
    bool is_extra = c->state == IN_EXTENSION || c->state >= AT_TRAILER;
    if (is_extra && ++c->extra_bytes > limits->header_bytes_max) /* (2) */
        return refuse(c, 431,
                      error_set(err, LYNSE_LIMIT,
                                "chunk extensions and trailers: over the limit of %u bytes",
                                limits->header_bytes_max));
    switch ((enum state)c->state) {
    case AT_SIZE:
        return read_size(c, limits, byte, err);
    case IN_EXTENSION:
        return skip_text(c, byte, AT_SIZE_LF, err);
    case AT_SIZE_LF:
        return end_size_line(c, byte, err);
    case AT_DATA_CR:
        return read_end(c, byte, '\r', AT_DATA_LF, err);
    case AT_DATA_LF:
        return read_end(c, byte, '\n', AT_SIZE, err);
    case AT_TRAILER:
        return begin_trailer(c, limits, byte, err);
    case IN_TRAILER_NAME:
        return read_trailer_name(c, byte, err);
    case IN_TRAILER_VALUE:
        return skip_text(c, byte, AT_TRAILER_LF, err);
    case AT_TRAILER_LF:
        return read_end(c, byte, '\n', AT_TRAILER, err);
    case AT_LAST_LF:
        c->is_complete = byte == '\n';
        return read_end(c, byte, '\n', AT_LAST_LF, err);
    }
    UNREACHABLE();
}

int http_chunked_feed(struct http_chunked *c, const struct http_limits *limits, struct slice bytes,
                      size_t *out_used, struct error *err)
{
    size_t at = 0;
    int rc = 0;
    while (rc == 0 && at < bytes.size && c->data_left == 0 && !c->is_complete)
        rc = read_byte(c, limits, bytes.data[at++], err);
    *out_used = at;
    return rc;
}
