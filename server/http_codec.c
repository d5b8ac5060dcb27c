/* SPDX-License-Identifier: Apache-2.0 */
/* http_codec.c — decode what a head says, encode what an answer's head says.
 *
 * WHAT        Small readers of single values, each strict in one place: percent-encoding (RFC 3986,
 *             2.1), query strings as forms write them, credentials (RFC 7617, RFC 6750) with their
 *             base64, media types (RFC 9110, 8.3 and 12.5.1); and the writer of heads.
 * INVARIANTS  (1) What is decoded is not longer than what was given, so room is taken once.
 *             (2) Decoded text is UTF-8 without NUL: it can be a name, a key in JSON, a C string.
 *             (3) No byte of credentials gets into an error's text.
 *             (4) A head that is written has one meaning: no name or value of a field holds a
 *                 control character, and the length is there exactly where a body may be.
 * THREADS     No state: any thread.
 * FAILURE     An error that names the field; output has its old size.
 */
#include "server/http_codec.h"

#include "base/utf8.h"
#include "codec/quote.h"
#include "server/http_text.h"

#define HTTP_STATUSES(_)                                                                           \
    _(200, "OK")                                                                                   \
    _(201, "Created")                                                                              \
    _(202, "Accepted")                                                                             \
    _(204, "No Content")                                                                           \
    _(304, "Not Modified")                                                                         \
    _(400, "Bad Request")                                                                          \
    _(401, "Unauthorized")                                                                         \
    _(403, "Forbidden")                                                                            \
    _(404, "Not Found")                                                                            \
    _(405, "Method Not Allowed")                                                                   \
    _(406, "Not Acceptable")                                                                       \
    _(408, "Request Timeout")                                                                      \
    _(409, "Conflict")                                                                             \
    _(413, "Content Too Large")                                                                    \
    _(414, "URI Too Long")                                                                         \
    _(415, "Unsupported Media Type")                                                               \
    _(417, "Expectation Failed")                                                                   \
    _(422, "Unprocessable Content")                                                                \
    _(429, "Too Many Requests")                                                                    \
    _(431, "Request Header Fields Too Large")                                                      \
    _(499, "Client Closed Request")                                                                \
    _(500, "Internal Server Error")                                                                \
    _(501, "Not Implemented")                                                                      \
    _(503, "Service Unavailable")                                                                  \
    _(504, "Gateway Timeout")                                                                      \
    _(505, "HTTP Version Not Supported")                                                           \
    _(507, "Insufficient Storage")

static struct slice slice_from(struct slice s, size_t at)
{
    return slice_of(s.data + at, s.size - at);
}

/* Cut *text at the first `byte`, which goes; false, and all of it in *out_before, without one. */
static bool cut_at(struct slice *text, uint8_t byte, struct slice *out_before)
{
    *out_before = *text;
    if (text->size == 0) return false;
    const uint8_t *found = memchr(text->data, byte, text->size);
    size_t size = found ? (size_t)(found - text->data) : text->size;
    *out_before = slice_of(text->data, size);
    *text = slice_of(text->data + size, text->size - size);
    if (found) *text = slice_from(*text, 1);
    return found != NULL;
}

/* ---- Percent-encoding ---- */

static int hex_value(uint8_t byte)
{
    uint8_t letter = byte | 0x20;
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
    return -1;
}

/* The byte of "%XX" at the front; -1 when it is none. */
static int decode_escape(struct slice at)
{
    if (at.size < 3) return -1;
    int high = hex_value(at.data[1]);
    int low = hex_value(at.data[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

struct decoding {
    const char *what; /* for error texts */
    bool has_plus;    /* '+' is a space */
    bool is_path;     /* "%2F" is refused */
};

/* Append `raw` decoded; `out` has room for all of it (1).  On error its size is of no meaning. */
static int decode(struct slice raw, const struct decoding *d, struct buf *out, struct error *err)
{
    size_t start = out->size;
    for (size_t i = 0; i < raw.size; i++) {
        int byte = raw.data[i];
        bool is_escape = byte == '%';
        if (is_escape) byte = decode_escape(slice_from(raw, i));
        else if (byte == '+' && d->has_plus) byte = ' ';
        if (byte < 0)
            return error_set(err, LYNSE_PARSE,
                             "%s: byte %zu, '%%', is not followed by two hex "
                             "digits",
                             d->what, i);
        if (byte == 0) return error_set(err, LYNSE_PARSE, "%s: a NUL at byte %zu", d->what, i);
        if (is_escape && byte == '/' && d->is_path)
            return error_set(err, LYNSE_PARSE, "%s: an encoded '/' at byte %zu", d->what, i);
        buf_append_u8(out, (uint8_t)byte);
        if (is_escape) i += 2;
    }
    if (!utf8_is_valid(out->data + start, out->size - start))
        return error_set(err, LYNSE_PARSE, "%s: what is decoded is not UTF-8", d->what);
    return 0;
}

void http_split_target(struct slice target, struct slice *out_path, struct slice *out_query)
{
    struct slice path;
    if (!cut_at(&target, '?', &path)) target = slice_of(NULL, 0);
    *out_path = path;
    *out_query = target;
}

int http_decode_path(struct slice path, struct buf *out, struct error *err)
{
    static const struct decoding as_path = {.what = "path", .is_path = true};
    size_t start = out->size;
    if (!buf_reserve(out, path.size + 1)) return error_no_memory(err, path.size);
    if (decode(path, &as_path, out, err) == 0) return 0;
    out->size = start;
    return -1;
}

/* ---- Query strings ---- */

static int read_pair(struct slice text, struct buf *store, struct http_query *q, struct error *err)
{
    static const struct decoding as_query = {.what = "query", .has_plus = true};
    char quoted[QUOTE_BYTES];
    struct slice key;

    cut_at(&text, '=', &key);
    size_t key_at = store->size;
    if (decode(key, &as_query, store, err) != 0) return -1;
    size_t value_at = store->size;
    if (decode(text, &as_query, store, err) != 0) return -1;
    key = slice_of(store->data + key_at, value_at - key_at);
    if (key.size == 0) return error_set(err, LYNSE_INVALID, "query: a value without a name");
    for (size_t i = 0; i < q->count; i++)
        if (slice_equal(q->pairs[i].key, key))
            return error_set(err, LYNSE_INVALID, "query: %s is there twice",
                             quote_text(key, quoted, sizeof quoted));
    if (q->count == LIMIT_QUERY_PAIRS)
        return error_set(err, LYNSE_LIMIT, "query: more parameters than the limit of %d",
                         LIMIT_QUERY_PAIRS);
    q->pairs[q->count++] =
        (struct http_pair){key, slice_of(store->data + value_at, store->size - value_at)};
    return 0;
}

int http_read_query(struct slice query, struct buf *store, struct http_query *out_query,
                    struct error *err)
{
    size_t start = store->size;
    struct slice pair;

    out_query->count = 0;
    if (!buf_reserve(store, query.size + 1)) return error_no_memory(err, query.size);
    while (query.size > 0) {
        cut_at(&query, '&', &pair);
        if (pair.size == 0) continue;
        if (read_pair(pair, store, out_query, err) == 0) continue;
        store->size = start;
        return -1;
    }
    return 0;
}

bool http_query_find(const struct http_query *q, const char *key, struct slice *out_value)
{
    for (size_t i = 0; i < q->count; i++) {
        if (!slice_equal(q->pairs[i].key, slice_of_text(key))) continue;
        *out_value = q->pairs[i].value;
        return true;
    }
    return false;
}

/* ---- Credentials ---- */

/* 0..63, or -1. */
static int base64_value(uint8_t byte)
{
    if (byte >= 'A' && byte <= 'Z') return byte - 'A';
    if (byte >= 'a' && byte <= 'z') return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9') return byte - '0' + 52;
    if (byte == '+') return 62;
    return byte == '/' ? 63 : -1;
}

/* Decode with padding, and the bits that it leaves over zero: each value has one encoding. */
static bool decode_base64(struct slice text, uint8_t *out, size_t out_max, size_t *out_size)
{
    size_t padding = 0;
    while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=')
        padding++;
    if (text.size % 4 != 0 || text.size / 4 * 3 - padding > out_max) return false;
    size_t size = 0;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    for (size_t i = 0; i < text.size - padding; i++) {
        int value = base64_value(text.data[i]);
        if (value < 0) return false;
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count < 8) continue;
        bit_count -= 8;
        out[size++] = (uint8_t)(bits >> bit_count);
        bits &= (1u << bit_count) - 1;
    }
    *out_size = size;
    return bits == 0;
}

static int refuse_key(const char *problem, struct error *err)
{
    return error_set(err, LYNSE_UNAUTHORIZED, "Authorization: %s", problem); /* (3) */
}

static int read_bearer(struct slice text, struct http_key *key, struct error *err)
{
    if (text.size == 0 || text.size > sizeof key->bytes)
        return refuse_key("a key of no such length", err);
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
            return refuse_key("a key is of visible ASCII characters", err);
    memcpy(key->bytes, text.data, text.size);
    key->size = text.size;
    return 0;
}

static int read_basic(struct slice text, struct http_key *key, struct error *err)
{
    size_t size;
    if (!decode_base64(text, key->bytes, sizeof key->bytes, &size))
        return refuse_key("no base64, or too long", err);
    const uint8_t *colon = size ? memchr(key->bytes, ':', size) : NULL;
    size_t before = colon ? (size_t)(colon - key->bytes) + 1 : 0;
    if (!colon || before == size) return refuse_key("no name, colon and key", err);
    memmove(key->bytes, key->bytes + before, size - before);
    key->size = size - before;
    return 0;
}

int http_read_key(struct slice authorization, struct http_key *out_key, struct error *err)
{
    struct slice scheme;
    if (!cut_at(&authorization, ' ', &scheme)) return refuse_key("a scheme without a key", err);
    struct slice rest = http_trim(authorization);
    if (http_is_word(scheme, "bearer")) return read_bearer(rest, out_key, err);
    if (http_is_word(scheme, "basic")) return read_basic(rest, out_key, err);
    return refuse_key("neither 'Bearer' nor 'Basic'", err);
}

/* ---- Media types ---- */

bool http_is_type(struct slice content_type, const char *type)
{
    struct slice essence;
    cut_at(&content_type, ';', &essence);
    return http_is_word(http_trim(essence), type);
}

/* 3 for the type itself, 2 for "application/", 1 for all types, 0 for others. */
static int match_range(struct slice range, const char *type)
{
    struct slice family;
    struct slice rest = slice_of_text(type);
    if (http_is_word(range, type)) return 3;
    if (http_is_word(range, "*/*")) return 1;
    if (range.size < 2 || memcmp(range.data + range.size - 2, "/*", 2) != 0) return 0;
    cut_at(&rest, '/', &family);
    return slice_equal_word(slice_of(range.data, range.size - 2), family) ? 2 : 0;
}

/* "0.5" as 500; -1 for what is not from 0 to 1 with three digits at most. */
static int read_quality(struct slice text)
{
    int quality = 0;
    int unit = 1000;
    if (text.size == 0 || text.size > 5 || (text.size > 1 && text.data[1] != '.')) return -1;
    for (size_t i = 0; i < text.size; i++) {
        if (i == 1) continue;
        if (text.data[i] < '0' || text.data[i] > '9') return -1;
        quality += unit * (text.data[i] - '0');
        unit /= 10;
    }
    return quality <= 1000 ? quality : -1;
}

uint32_t http_accept_quality(struct slice accept, const char *type)
{
    struct slice item, parameter;
    int best_match = 0;
    int best_quality = http_trim(accept).size == 0 ? 1000 : 0;

    while (http_list_next(&accept, ',', &item)) {
        struct slice range;
        int quality = 1000;
        cut_at(&item, ';', &range);
        while (http_list_next(&item, ';', &parameter)) {
            bool is_quality = parameter.size >= 2 && (parameter.data[0] | 0x20) == 'q' &&
                              parameter.data[1] == '=';
            if (is_quality) quality = read_quality(slice_from(parameter, 2));
        }
        int match = match_range(http_trim(range), type);
        if (quality < 0 || match <= best_match) continue;
        best_match = match;
        best_quality = quality;
    }
    return (uint32_t)best_quality;
}

/* ---- Answers ---- */

const char *http_status_reason(int status)
{
    switch (status) {
#define STATUS_CASE(number, text)                                                                  \
    case number:                                                                                   \
        return text;
        HTTP_STATUSES(STATUS_CASE)
#undef STATUS_CASE
    default:
        return "";
    }
}

static void append(struct buf *out, const char *text)
{
    buf_append(out, text, strlen(text));
}

static void append_number(struct buf *out, uint64_t n)
{
    char digits[20]; /* of 2^64 */
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    buf_append(out, digits + at, sizeof digits - at);
}

static void append_number_field(struct buf *out, const char *name, uint64_t n)
{
    append(out, name);
    append_number(out, n);
    append(out, "\r\n");
}

static int append_field(struct buf *out, const char *name, struct slice value, struct error *err)
{
    char quoted[QUOTE_BYTES];
    if (!http_is_token(slice_of_text(name)) || !http_is_field_value(value)) /* (4) */
        return error_set(err, LYNSE_INVALID, "header %s: a name or value that would break the head",
                         quote_text(slice_of_text(name), quoted, sizeof quoted));
    append(out, name);
    append(out, ": ");
    buf_append(out, value.data, value.size);
    append(out, "\r\n");
    return 0;
}

static int append_fields(struct buf *out, const struct http_response *r, struct error *err)
{
    if (r->content_type &&
        append_field(out, "content-type", slice_of_text(r->content_type), err) != 0)
        return -1;
    for (size_t i = 0; i < r->field_count; i++)
        if (append_field(out, r->fields[i].name, r->fields[i].value, err) != 0) return -1;
    return 0;
}

int http_write_head(struct buf *out, const struct http_response *response, struct error *err)
{
    const struct http_response *r = response;
    bool has_length = r->status != 204 && r->status != 304;
    size_t start = out->size;
    int rc = -1;

    append(out, "HTTP/1.1 ");
    append_number(out, (uint64_t)r->status);
    append(out, " ");
    append(out, http_status_reason(r->status));
    append(out, "\r\n");
    if (append_fields(out, r, err) != 0) goto out;
    if (has_length) append_number_field(out, "content-length: ", r->content_length);
    if (r->request_id > 0) append_number_field(out, "x-request-id: ", r->request_id);
    if (r->retry_after_s > 0) append_number_field(out, "retry-after: ", r->retry_after_s);
    if (!r->keeps_alive) append(out, "connection: close\r\n");
    else if (r->version_minor == 0) append(out, "connection: keep-alive\r\n");
    append(out, "\r\n");
    if (!buf_ok(out)) error_no_memory(err, out->size);
    else rc = 0;
out:
    if (rc != 0) out->size = start;
    return rc;
}

void http_write_continue(struct buf *out)
{
    append(out, "HTTP/1.1 100 Continue\r\n\r\n");
}
