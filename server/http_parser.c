/* SPDX-License-Identifier: Apache-2.0 */
/* http_parser.c — a request line, headers and a body, and not a byte that two could read apart.
 *
 * WHAT        The head is taken line by line: the bytes of a line are copied until its LF has come,
 *             and are looked at once, whole.  The body passes through untouched; what stands
 *             between its chunks is http_chunked.c's.
 * LAYOUT      RFC 9112 without what it only tolerates: obs-fold, bare LF, spaces before a colon,
 *             several Content-Lengths, codings other than chunked, targets in authority form.  Each
 *             is how requests were smuggled past somebody.  A target in absolute form, as proxies
 *             send it, is served as its path: the authority is judged as a Host is, and takes its
 *             place.  Nothing here depends on which of the two was meant, since one server has one
 *             name; but both must be right.
 * INVARIANTS  (1) What is decided depends on the bytes of the stream and not on where it was cut:
 *                 a line is judged when it is complete or as long as it may be.
 *             (2) head is never longer than the longest request line and header_bytes_max, places
 *                 than header_count_max: nothing grows that a limit does not end.
 *             (3) How long the body is was said exactly once: Content-Length or chunked, not both.
 *             (4) After HTTP_HEAD head does not move, so slices of it stay good.
 *             (5) A request that broke a rule is the last one of its connection.
 * THREADS     One owner.
 * FAILURE     One sentence that names what was there, and a status; the parser stays failed.
 */
#include "server/http_parser.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/planted.h"
#include "codec/quote.h"
#include "server/http_text.h"

enum {
    METHOD_BYTES_MAX = 32,
    KEPT_BYTES_MAX = 4096, /* an idle connection holds no more of a head than this */
};

const struct http_limits http_limits_default = {
    .uri_bytes_max = 8 << 10,
    .header_bytes_max = 16 << 10,
    .header_count_max = 100,
    .body_bytes_max = 256 << 20,
};

enum state {
    STATE_REQUEST_LINE,
    STATE_HEADER,
    STATE_BODY,    /* body_left bytes, and then all is there */
    STATE_CHUNKED, /* data while chunked.data_left > 0, framing otherwise */
    STATE_COMPLETE,
    STATE_FAILED,
};

struct place {
    uint32_t name_at;
    uint32_t name_bytes;
    uint32_t value_at;
    uint32_t value_bytes;
};

_Static_assert(LIMIT_HEADERS * sizeof(struct place) <= KEPT_BYTES_MAX, "places are kept");

enum { GO_ON = -1 }; /* beside enum http_progress: no event yet */

struct input {
    const uint8_t *at;
    const uint8_t *end;
};

static struct slice slice_from(struct slice s, size_t at)
{
    return slice_of(s.data + at, s.size - at);
}

/* ---- The parser's life ---- */

void http_parser_init(struct http_parser *p, struct alloc *a, const struct http_limits *limits)
{
    CHECK(limits->uri_bytes_max > 0 && limits->uri_bytes_max <= LIMIT_URI_BYTES);
    CHECK(limits->header_bytes_max > 0 && limits->header_bytes_max <= LIMIT_HEADER_BYTES);
    CHECK(limits->header_count_max <= LIMIT_HEADERS);
    CHECK(limits->body_bytes_max <= LIMIT_BODY_BYTES);
    *p = (struct http_parser){.limits = *limits};
    buf_init(&p->head, a, MEM_MESSAGE);
    buf_init(&p->places, a, MEM_MESSAGE);
}

void http_parser_deinit(struct http_parser *p)
{
    buf_deinit(&p->head);
    buf_deinit(&p->places);
    *p = (struct http_parser){.state = STATE_FAILED};
}

void http_parser_reset(struct http_parser *p)
{
    struct http_parser fresh = {.limits = p->limits, .head = p->head, .places = p->places};
    if (fresh.head.capacity > KEPT_BYTES_MAX) buf_deinit(&fresh.head);
    buf_reset(&fresh.head);
    buf_reset(&fresh.places);
    *p = fresh;
}

void http_parser_gather(struct http_parser *p, struct buf *out)
{
    p->gather = out;
}

bool http_parser_is_idle(const struct http_parser *p)
{
    return p->state == STATE_REQUEST_LINE && p->head.size == 0;
}

uint32_t http_parser_header_count(const struct http_parser *p)
{
    return (uint32_t)(p->places.size / sizeof(struct place));
}

void http_parser_header(const struct http_parser *p, uint32_t index, struct slice *out_name,
                        struct slice *out_value)
{
    CHECK(index < http_parser_header_count(p));
    const struct place *place = (const struct place *)(const void *)p->places.data + index;
    *out_name = slice_of(p->head.data + place->name_at, place->name_bytes);
    *out_value = slice_of(p->head.data + place->value_at, place->value_bytes);
}

uint32_t http_parser_find(const struct http_parser *p, const char *name, struct slice *out_value)
{
    uint32_t count = 0;
    *out_value = slice_of(NULL, 0);
    for (uint32_t i = 0; i < http_parser_header_count(p); i++) {
        struct slice header, value;
        http_parser_header(p, i, &header, &value);
        if (http_is_word(header, name) && count++ == 0) *out_value = value;
    }
    return count;
}

/* ---- Failure ---- */

/* refuse(p, 400, error_set(err, …)): -1. */
static int refuse(struct http_parser *p, int status, int minus_one)
{
    p->state = STATE_FAILED;
    p->status = status;
    return minus_one;
}

static int refuse_memory(struct http_parser *p, struct error *err)
{
    return refuse(p, 503, error_set(err, LYNSE_NO_MEMORY, "no memory for a request"));
}

/* Control characters show as \xNN. */
static const char *quote_byte(uint8_t byte, char out[QUOTE_BYTES])
{
    return quote_text(slice_of(&byte, 1), out, QUOTE_BYTES);
}

/* ---- The request line ---- */

static int read_method(struct http_parser *p, struct slice text, struct error *err)
{
    static const char *const names[] = {
#define METHOD_NAME(name) #name,
        HTTP_METHODS(METHOD_NAME)
#undef METHOD_NAME
    };
    char quoted[QUOTE_BYTES];

    if (!http_is_token(text) || text.size > METHOD_BYTES_MAX)
        return refuse(p, 400,
                      error_set(err, LYNSE_PARSE, "request line: %s is no method",
                                quote_text(text, quoted, sizeof quoted)));
    p->request.method = HTTP_OTHER;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_equal(text, slice_of_text(names[i])))
            p->request.method = (enum http_method)(HTTP_OTHER + 1 + i);
    p->request.method_text = text;
    return 0;
}

static int read_version(struct http_parser *p, struct slice text, struct error *err)
{
    char quoted[QUOTE_BYTES];
    bool is_version = text.size == 8 && memcmp(text.data, "HTTP/", 5) == 0 && text.data[5] >= '0' &&
                      text.data[5] <= '9' && text.data[6] == '.' && text.data[7] >= '0' &&
                      text.data[7] <= '9';
    if (!is_version)
        return refuse(p, 400,
                      error_set(err, LYNSE_PARSE, "request line: %s is no version of HTTP",
                                quote_text(text, quoted, sizeof quoted)));
    if (text.data[5] != '1' || text.data[7] > '1')
        return refuse(p, 505,
                      error_set(err, LYNSE_UNSUPPORTED,
                                "%s: this server speaks HTTP/1.1 and HTTP/1.0",
                                quote_text(text, quoted, sizeof quoted)));
    p->request.version_minor = (uint8_t)(text.data[7] - '0');
    return 0;
}

static int refuse_target(struct http_parser *p, const char *problem, struct slice text,
                         struct error *err)
{
    char quoted[QUOTE_BYTES];
    quote_text(text, quoted, sizeof quoted);
    return refuse(p, 400, error_set(err, LYNSE_PARSE, "request line: %s %s", quoted, problem));
}

/* Of "http://host:port/path", all but the path.  *out_bytes 0: it is not in absolute form. */
static int measure_origin(struct http_parser *p, struct slice text, size_t *out_bytes,
                          struct error *err)
{
    const size_t scheme_bytes = sizeof "http://" - 1;

    *out_bytes = 0;
    if (text.size < scheme_bytes || !http_is_word(slice_of(text.data, scheme_bytes), "http://"))
        return 0;
    struct slice rest = slice_from(text, scheme_bytes);
    size_t bytes = http_span(rest, HTTP_IN_HOST);
    bool is_ended = bytes == rest.size || rest.data[bytes] == '/' || rest.data[bytes] == '?';
    if (bytes == 0 || rest.data[0] == ':' || !is_ended)
        return refuse_target(p, "has neither a name nor an address", text, err);
    *out_bytes = scheme_bytes + bytes;
    return 0;
}

/* The path that a target in absolute form leaves out is "/", and "*" where OPTIONS asks for no
 * resource (RFC 9112, 3.2.4); it is written over the last byte of the authority, which nobody reads
 * again. */
static void complete_target(struct http_parser *p, size_t origin_bytes)
{
    struct slice *target = &p->request.target;
    bool is_star = target->size == 0 && p->request.method == HTTP_OPTIONS_METHOD;

    if (origin_bytes == 0 || (target->size && target->data[0] == '/')) return;
    p->target_at--;
    p->head.data[p->target_at] = is_star ? '*' : '/';
    *target = slice_of(p->head.data + p->target_at, target->size + 1);
}

static int read_target(struct http_parser *p, struct slice text, struct error *err)
{
    char quoted[QUOTE_BYTES];
    bool is_star = text.size == 1 && text.data[0] == '*';
    size_t origin_bytes;

    if (text.size > p->limits.uri_bytes_max)
        return refuse(p, 414,
                      error_set(err, LYNSE_LIMIT, "URI: %zu bytes are over the limit of %u",
                                text.size, p->limits.uri_bytes_max));
    if (measure_origin(p, text, &origin_bytes, err) != 0) return -1;
    bool is_path = text.size && (text.data[0] == '/' || origin_bytes);
    if (is_star ? p->request.method != HTTP_OPTIONS_METHOD : !is_path)
        return refuse_target(p, "is no path", text, err);
    struct slice path = slice_from(text, origin_bytes);
    size_t good = is_star ? 1 : http_span(path, HTTP_IN_TARGET);
    if (good < path.size)
        return refuse(p, 400,
                      error_set(err, LYNSE_PARSE,
                                "URI: byte %zu, %s, may not stand there unless percent-encoded",
                                origin_bytes + good, quote_byte(path.data[good], quoted)));
    p->target_at = (size_t)(path.data - p->head.data);
    p->request.target = path;
    complete_target(p, origin_bytes);
    return 0;
}

/* METHOD SP target SP HTTP/1.x */
static int read_request_line(struct http_parser *p, struct slice line, struct error *err)
{
    const uint8_t *first = memchr(line.data, ' ', line.size);
    size_t method_bytes = first ? (size_t)(first - line.data) : line.size;
    if (read_method(p, slice_of(line.data, method_bytes), err) != 0) return -1;
    struct slice rest = first ? slice_from(line, method_bytes + 1) : slice_of(NULL, 0);
    const uint8_t *second = rest.size ? memchr(rest.data, ' ', rest.size) : NULL;
    if (!second)
        return refuse(
            p, 400,
            error_set(err, LYNSE_PARSE, "request line: expected a method, a path and HTTP/1.1"));
    size_t target_bytes = (size_t)(second - rest.data);
    if (read_version(p, slice_from(rest, target_bytes + 1), err) != 0) return -1;
    if (read_target(p, slice_of(rest.data, target_bytes), err) != 0) return -1;
    p->state = STATE_HEADER;
    return 0;
}

/* ---- Headers ---- */

static int refuse_header(struct http_parser *p, const char *name, const char *problem,
                         struct error *err)
{
    return refuse(p, 400, error_set(err, LYNSE_PARSE, "%s: %s", name, problem));
}

static int on_content_length(struct http_parser *p, struct slice value, struct error *err)
{
    uint64_t length = 0;
    if (p->has_length) return refuse_header(p, "Content-Length", "given twice", err); /* (3) */
    p->has_length = true;
    for (size_t i = 0; i < value.size; i++) {
        uint8_t digit = (uint8_t)(value.data[i] - '0');
        if (digit > 9) return refuse_header(p, "Content-Length", "must be digits alone", err);
        /* Beyond 2^64 it is over every limit, whatever it is. */
        bool fits = length < (UINT64_MAX - 9) / 10;
        length = fits ? length * 10 + digit : UINT64_MAX;
    }
    if (value.size == 0) return refuse_header(p, "Content-Length", "is empty", err);
    p->request.content_length = length;
    return 0;
}

static int on_transfer_encoding(struct http_parser *p, struct slice value, struct error *err)
{
    char quoted[QUOTE_BYTES];
    if (p->request.is_chunked) return refuse_header(p, "Transfer-Encoding", "given twice", err);
    if (!http_is_word(value, "chunked"))
        return refuse(p, 501,
                      error_set(err, LYNSE_UNSUPPORTED, "Transfer-Encoding: %s is not 'chunked'",
                                quote_text(value, quoted, sizeof quoted)));
    p->request.is_chunked = true;
    return 0;
}

static int on_host(struct http_parser *p, struct slice value, struct error *err)
{
    if (p->has_host) return refuse_header(p, "Host", "given twice", err);
    p->has_host = true;
    if (http_span(value, HTTP_IN_HOST) != value.size)
        return refuse_header(p, "Host", "is neither a name nor an address", err);
    return 0;
}

static int on_connection(struct http_parser *p, struct slice value, struct error *err)
{
    struct slice option;
    while (http_list_next(&value, ',', &option)) {
        if (!http_is_token(option)) return refuse_header(p, "Connection", "is no list", err);
        if (http_is_word(option, "close")) p->has_close = true;
        if (http_is_word(option, "keep-alive")) p->has_keep_alive = true;
    }
    return 0;
}

static int on_expect(struct http_parser *p, struct slice value, struct error *err)
{
    char quoted[QUOTE_BYTES];
    if (p->request.version_minor == 0) return 0; /* to be ignored: RFC 9110, 10.1.1 */
    if (!http_is_word(value, "100-continue"))
        return refuse(p, 417,
                      error_set(err, LYNSE_UNSUPPORTED, "Expect: %s is not '100-continue'",
                                quote_text(value, quoted, sizeof quoted)));
    p->request.wants_continue = true;
    return 0;
}

/* Headers that say where the request ends and what becomes of the connection. */
static int use_header(struct http_parser *p, struct slice name, struct slice value,
                      struct error *err)
{
    if (name.size == 4 && http_is_word(name, "host")) return on_host(p, value, err);
    if (name.size == 6 && http_is_word(name, "expect")) return on_expect(p, value, err);
    if (name.size == 10 && http_is_word(name, "connection")) return on_connection(p, value, err);
    if (name.size == 14 && http_is_word(name, "content-length"))
        return on_content_length(p, value, err);
    if (name.size == 17 && http_is_word(name, "transfer-encoding"))
        return on_transfer_encoding(p, value, err);
    return 0;
}

static int refuse_name(struct http_parser *p, uint8_t byte, bool is_first, struct error *err)
{
    char quoted[QUOTE_BYTES];
    if (http_is_space(byte))
        return refuse(p, 400,
                      error_set(err, LYNSE_PARSE,
                                is_first ? "header: a line begins with a space"
                                         : "header: a space before the colon"));
    return refuse(
        p, 400, error_set(err, LYNSE_PARSE, "header: %s within a name", quote_byte(byte, quoted)));
}

static int read_header(struct http_parser *p, struct slice line, struct error *err)
{
    char quoted[QUOTE_BYTES];
    if (http_parser_header_count(p) == p->limits.header_count_max)
        return refuse(p, 431,
                      error_set(err, LYNSE_LIMIT, "headers: more than the limit of %u",
                                p->limits.header_count_max));
    size_t name_bytes = http_span(line, HTTP_IN_TOKEN);
    if (name_bytes == line.size)
        return refuse(p, 400, error_set(err, LYNSE_PARSE, "header: a line without a colon"));
    if (line.data[name_bytes] != ':' || name_bytes == 0)
        return refuse_name(p, line.data[name_bytes], name_bytes == 0, err);
    struct slice name = slice_of(line.data, name_bytes);
    struct slice value = http_trim(slice_from(line, name_bytes + 1));
    if (!http_is_field_value(value))
        return refuse(p, 400,
                      error_set(err, LYNSE_PARSE, "header %s: a control character in its value",
                                quote_text(name, quoted, sizeof quoted)));
    struct place place = {
        .name_at = (uint32_t)p->line_at,
        .name_bytes = (uint32_t)name.size,
        .value_at = (uint32_t)(value.data - p->head.data),
        .value_bytes = (uint32_t)value.size,
    };
    buf_append(&p->places, &place, sizeof place);
    if (!buf_ok(&p->places)) return refuse_memory(p, err);
    return use_header(p, name, value, err);
}

/* The empty line.  head has its last byte, and slices are taken of it (4). */
static int finish_head(struct http_parser *p, struct error *err)
{
    struct http_request *r = &p->request;

    if (r->version_minor == 1 && !p->has_host)
        return refuse_header(p, "Host", "missing, which HTTP/1.1 asks for", err);
    if (r->is_chunked && p->has_length)
        return refuse_header(p, "Content-Length", "beside Transfer-Encoding", err); /* (3) */
    if (r->is_chunked && r->version_minor == 0)
        return refuse_header(p, "Transfer-Encoding", "HTTP/1.0 has none", err);
    if (r->content_length > p->limits.body_bytes_max)
        return refuse(p, 413,
                      error_set(err, LYNSE_TOO_LARGE, "body: %llu bytes are over the limit of %llu",
                                (unsigned long long)r->content_length,
                                (unsigned long long)p->limits.body_bytes_max));

    const uint8_t *space = memchr(p->head.data, ' ', p->head.size);
    r->method_text = slice_of(p->head.data, (size_t)(space - p->head.data));
    r->target.data = p->head.data + p->target_at;
    r->keeps_alive = !p->has_close && (r->version_minor == 1 || p->has_keep_alive);
    if (!r->is_chunked && r->content_length == 0) r->wants_continue = false;
    p->body_left = r->content_length;
    p->state = r->is_chunked ? STATE_CHUNKED : STATE_BODY;
    return 0;
}

/* ---- Lines of the head ---- */

static size_t request_line_max(const struct http_parser *p)
{
    return METHOD_BYTES_MAX + 1 + p->limits.uri_bytes_max + 1 + 8 + 2;
}

static int refuse_long_line(struct http_parser *p, struct error *err)
{
    const uint8_t *line = p->head.data + p->line_at;
    size_t size = p->head.size - p->line_at;
    if (p->state == STATE_HEADER)
        return refuse(p, 431,
                      error_set(err, LYNSE_LIMIT, "headers: over the limit of %u bytes",
                                p->limits.header_bytes_max));
    if (!memchr(line, ' ', size < METHOD_BYTES_MAX + 1 ? size : METHOD_BYTES_MAX + 1))
        return read_method(p, slice_of(line, size), err);
    return refuse(
        p, 414,
        error_set(err, LYNSE_LIMIT, "URI: over the limit of %u bytes", p->limits.uri_bytes_max));
}

/* A whole line, its end included. */
static int use_line(struct http_parser *p, struct error *err)
{
    struct slice line = slice_of(p->head.data + p->line_at, p->head.size - p->line_at);
    if (line.size < 2 || line.data[line.size - 2] != '\r')
        return refuse(p, 400, error_set(err, LYNSE_PARSE, "a line ends with LF alone"));
    line.size -= 2;
    if (p->state == STATE_HEADER) {
        p->block_bytes += (uint32_t)line.size + 2;
        if (line.size == 0) return finish_head(p, err);
        return read_header(p, line, err);
    }
    if (line.size == 0 && !p->has_skipped_line) { /* some send one behind a body: RFC 9112, 2.2 */
        p->has_skipped_line = true;
        p->head.size = 0;
        return 0;
    }
    return read_request_line(p, line, err);
}

/* Take bytes up to the next LF, and use the line when it is there. */
static int read_line(struct http_parser *p, struct input *in, struct error *err)
{
    bool is_header = p->state == STATE_HEADER;
    size_t line_max = is_header ? p->limits.header_bytes_max - p->block_bytes : request_line_max(p);
    size_t room = line_max - (p->head.size - p->line_at);
    size_t left = (size_t)(in->end - in->at);
    size_t look = left < room ? left : room;
    const uint8_t *lf = look ? memchr(in->at, '\n', look) : NULL;
    size_t taken = lf ? (size_t)(lf - in->at) + 1 : look;

    buf_append(&p->head, in->at, taken);
    if (!buf_ok(&p->head)) {
        refuse_memory(p, err);
        return HTTP_FAILED;
    }
    in->at += taken;
    if (!lf && taken < room) return HTTP_MORE;
    if ((lf ? use_line(p, err) : refuse_long_line(p, err)) != 0) return HTTP_FAILED;
    p->line_at = p->head.size;
    return p->state >= STATE_BODY ? HTTP_HEAD : GO_ON;
}

/* ---- The body ---- */

/* The next of *left bytes that are the body's own. */
static int read_data(struct http_parser *p, struct input *in, uint64_t *left, struct error *err)
{
    size_t here = (size_t)(in->end - in->at);
    size_t size = here < *left ? here + PLANTED(HTTP_BODY_END) : (size_t)*left;
    if (here == 0) return HTTP_MORE;
    p->piece = slice_of(in->at, size);
    in->at += size;
    *left -= size;
    if (!p->gather) return HTTP_BODY;
    buf_append(p->gather, p->piece.data, p->piece.size);
    if (buf_ok(p->gather)) return GO_ON;
    refuse_memory(p, err);
    return HTTP_FAILED;
}

static int read_chunked(struct http_parser *p, struct input *in, struct error *err)
{
    size_t used;
    if (p->chunked.data_left > 0) return read_data(p, in, &p->chunked.data_left, err);
    if (p->chunked.is_complete) p->state = STATE_COMPLETE;
    if (p->chunked.is_complete) return GO_ON;
    if (in->at == in->end) return HTTP_MORE;
    int rc = http_chunked_feed(&p->chunked, &p->limits,
                               slice_of(in->at, (size_t)(in->end - in->at)), &used, err);
    in->at += used;
    if (rc == 0) return GO_ON;
    refuse(p, p->chunked.status, rc);
    return HTTP_FAILED;
}

/* One step: an event, or GO_ON. */
static int advance(struct http_parser *p, struct input *in, struct error *err)
{
    switch ((enum state)p->state) {
    case STATE_REQUEST_LINE:
    case STATE_HEADER:
        return read_line(p, in, err);
    case STATE_BODY:
        if (p->body_left > 0) return read_data(p, in, &p->body_left, err);
        p->state = STATE_COMPLETE;
        return HTTP_COMPLETE;
    case STATE_CHUNKED:
        return read_chunked(p, in, err);
    case STATE_COMPLETE:
        return HTTP_COMPLETE;
    case STATE_FAILED:
        return HTTP_FAILED;
    }
    UNREACHABLE();
}

enum http_progress http_parser_feed(struct http_parser *p, struct slice data, size_t *out_used,
                                    struct error *err)
{
    static const uint8_t nothing = 0; /* NULL is no place to compute with */
    if (data.size == 0) data.data = &nothing;
    struct input in = {data.data, data.data + data.size};
    int progress = GO_ON;
    while (progress == GO_ON) progress = advance(p, &in, err);
    *out_used = (size_t)(in.at - data.data);
    return (enum http_progress)progress;
}
