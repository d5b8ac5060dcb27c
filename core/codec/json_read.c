/* SPDX-License-Identifier: Apache-2.0 */
/* json_read.c — JSON text to msgpack, in one pass.
 *
 * WHAT        A loop over values with a stack of fixed depth.  How many items a container has is
 *             known only at its end, so it is begun with a head of one byte, and what is in it is
 *             moved when sixteen or more ask for a longer one: the result is the shortest encoding.
 *             Floats of arrays, which most bytes are, go by json_floats.c.
 * INVARIANTS  (1) No byte at or behind `end` is read.
 *             (2) Output that grows past limits->bytes_max stops the reading: memory is bounded
 *                 whatever the text is.
 *             (3) An error leaves `out` at the size that it had.
 * THREADS     No state: any thread.
 * FAILURE     Every error of the text names a byte.
 */
#include "base/bytes.h"
#include "base/check.h"
#include "base/planted.h"
#include "base/utf8.h"
#include "codec/decimal.h"
#include "codec/json.h"
#include "codec/json_floats.h"

struct json_frame {
    size_t head; /* offset of the container's head in out */
    uint32_t count;
    bool is_map;
};

struct json_reader {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
    const struct msgpack_limits *limits;
    struct buf *out;
    size_t out_start;
    uint64_t node_count;
    uint32_t depth;
    struct json_frame frames[MSGPACK_DEPTH_MAX];
};

static int parse_error(const struct json_reader *r, const uint8_t *at, const char *problem,
                       struct error *err)
{
    if (at == r->end)
        return error_set(err, LYNSE_PARSE, "%s: %s, at the end of the JSON", r->limits->what,
                         problem);
    return error_set(err, LYNSE_PARSE, "%s: %s, at byte %zu", r->limits->what, problem,
                     (size_t)(at - r->start));
}

static int over_bytes(const struct json_reader *r, struct error *err)
{
    return error_set(err, LYNSE_LIMIT, "%s: over the limit of %zu bytes", r->limits->what,
                     r->limits->bytes_max);
}

static const uint8_t *after_spaces(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
    return at;
}

/* Step over `byte`, with spaces before it. */
static bool take(struct json_reader *r, uint8_t byte)
{
    r->at = after_spaces(r->at, r->end);
    if (r->at == r->end || *r->at != byte) return false;
    r->at++;
    return true;
}

/* The high bit of each byte that is zero, right up to the first such byte. */
static uint64_t zero_bytes(uint64_t v)
{
    return (v - 0x0101010101010101ull) & ~v & 0x8080808080808080ull;
}

size_t json_plain_bytes(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *start = at;
    for (; end - at >= 8; at += 8) {
        uint64_t v = load_u64(at);
        uint64_t is_control = (v - 0x2020202020202020ull) & ~v & 0x8080808080808080ull;
        uint64_t stops = is_control | zero_bytes(v ^ 0x2222222222222222ull) |
                         zero_bytes(v ^ 0x5c5c5c5c5c5c5c5cull);
        if (stops != 0) return (size_t)(at - start) + (size_t)__builtin_ctzll(stops) / 8;
    }
    while (at < end && *at >= 0x20 && *at != '"' && *at != '\\') at++;
    return (size_t)(at - start);
}

/* ---- Text ---- */

static bool read_hex4(const uint8_t *at, const uint8_t *end, uint32_t *out)
{
    uint32_t v = 0;
    if (end - at + PLANTED(JSON_ESCAPE_END) < 4) return false;
    for (int i = 0; i < 4; i++) {
        uint8_t byte = at[i];
        uint8_t letter = byte | 0x20;
        if (byte >= '0' && byte <= '9') v = v << 4 | (uint32_t)(byte - '0');
        else if (letter >= 'a' && letter <= 'f') v = v << 4 | (uint32_t)(letter - 'a' + 10);
        else return false;
    }
    *out = v;
    return true;
}

static size_t encode_utf8(uint32_t code_point, uint8_t out[4])
{
    static const uint8_t marks[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    if (code_point < 0x80) {
        out[0] = (uint8_t)code_point;
        return 1;
    }
    size_t n = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; code_point >>= 6) out[i] = (uint8_t)(0x80 | (code_point & 0x3f));
    out[0] = (uint8_t)(marks[n] | code_point);
    return n;
}

/* \uXXXX, or two of them for one character beyond U+FFFF.  A surrogate alone is no text. */
static size_t decode_unicode_escape(const uint8_t *at, const uint8_t *end, uint8_t out[4],
                                    size_t *out_size)
{
    uint32_t first;
    uint32_t second;
    if (!read_hex4(at + 2, end, &first)) return 0;
    if (first < 0xd800 || first > 0xdfff) {
        *out_size = encode_utf8(first, out);
        return 6;
    }
    if (first > 0xdbff || end - at < 12 || at[6] != '\\' || at[7] != 'u' ||
        !read_hex4(at + 8, end, &second) || second < 0xdc00 || second > 0xdfff)
        return 0;
    *out_size = encode_utf8(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), out);
    return 12;
}

/* The escape at `at` (a backslash).  Returns its bytes; 0 when it is none. */
static size_t decode_escape(const uint8_t *at, const uint8_t *end, uint8_t out[4], size_t *out_size)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (end - at < 2) return 0;
    if (at[1] == 'u') return decode_unicode_escape(at, end, out, out_size);
    const char *letter = at[1] ? strchr(letters, at[1]) : NULL;
    if (!letter) return 0;
    out[0] = (uint8_t)meanings[letter - letters];
    *out_size = 1;
    return 2;
}

/* Append raw text between quotes, whose escapes are known to be good. */
static void append_unescaped(struct buf *out, struct slice raw, size_t decoded_size)
{
    const uint8_t *at = raw.data;
    const uint8_t *end = raw.data + raw.size;
    uint8_t *to = buf_extend(out, decoded_size);
    if (!to) return;
    while (at < end) {
        size_t plain = json_plain_bytes(at, end);
        memcpy(to, at, plain);
        at += plain;
        to += plain;
        if (at == end) break;
        uint8_t character[4];
        size_t size = 0;
        at += decode_escape(at, end, character, &size);
        memcpy(to, character, size);
        to += size;
    }
}

/* Text at r->at, which is its opening quote. */
static int read_text(struct json_reader *r, struct error *err)
{
    const uint8_t *start = r->at + 1;
    const uint8_t *at = start;
    size_t saved = 0; /* what escapes are longer than what they stand for */
    for (;;) {
        at += json_plain_bytes(at, r->end);
        if (at == r->end) return parse_error(r, r->at, "text without closing quote", err);
        if (*at == '"') break;
        if (*at != '\\') return parse_error(r, at, "control character within text", err);
        uint8_t character[4];
        size_t size = 0;
        size_t escape = decode_escape(at, r->end, character, &size);
        if (escape == 0) return parse_error(r, at, "bad escape or unpaired surrogate", err);
        at += escape;
        saved += escape - size;
    }
    struct slice raw = slice_of(start, (size_t)(at - start));
    size_t valid = utf8_valid_bytes(raw.data, raw.size);
    if (valid != raw.size) return parse_error(r, start + valid, "text is not UTF-8", err);
    size_t decoded_size = raw.size - saved;
    if (decoded_size > r->limits->bytes_max) return over_bytes(r, err);
    msgpack_write_text_head(r->out, decoded_size);
    append_unescaped(r->out, raw, decoded_size);
    r->at = at + 1;
    return 0;
}

/* ---- Numbers and words ---- */

/* The number at r->at, which the decimal is. */
static int write_number(struct json_reader *r, const struct decimal *d, struct error *err)
{
    uint64_t magnitude;
    bool is_integer = d->is_integer && decimal_to_u64(d, &magnitude);

    if (is_integer && !d->is_negative) {
        msgpack_write_uint(r->out, magnitude);
    } else if (is_integer && magnitude <= (uint64_t)INT64_MAX + 1) {
        msgpack_write_int(r->out, (int64_t)(0 - magnitude));
    } else {
        double v = decimal_to_f64(d);
        if (v - v != 0) return parse_error(r, r->at, "number beyond the range of a float", err);
        msgpack_write_float(r->out, v);
    }
    r->at += d->text.size;
    return 0;
}

static int read_number(struct json_reader *r, struct error *err)
{
    struct decimal d;
    size_t size = decimal_scan(slice_of(r->at, (size_t)(r->end - r->at)), &d);

    if (size == 0) return parse_error(r, r->at, "expected a value", err);
    return write_number(r, &d, err);
}

static bool take_word(struct json_reader *r, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0) return false;
    r->at += size;
    return true;
}

/* ---- Containers ---- */

static int open_container(struct json_reader *r, bool is_map, struct error *err)
{
    if (r->depth >= r->limits->depth_max)
        return error_set(err, LYNSE_LIMIT, "%s: nesting of %u is over the limit of %u",
                         r->limits->what, r->depth + 1, r->limits->depth_max);
    r->frames[r->depth++] = (struct json_frame){r->out->size, 0, is_map};
    buf_append_u8(r->out, 0); /* close_container knows what it is */
    r->at++;
    return 0;
}

/* The innermost container is complete: give it its head. */
static int close_container(struct json_reader *r, struct error *err)
{
    const struct json_frame *f = &r->frames[--r->depth];
    uint8_t head[MSGPACK_HEAD_BYTES];
    size_t head_bytes = msgpack_encode_head(f->is_map, f->count, head);
    size_t content_bytes = r->out->size - f->head - 1;

    r->at++;
    if (!buf_extend(r->out, head_bytes - 1)) return 0; /* json_to_msgpack asks buf_ok */
    uint8_t *at = r->out->data + f->head;
    if (head_bytes > 1) memmove(at + head_bytes, at + 1, content_bytes);
    memcpy(at, head, head_bytes);
    if (content_bytes > r->limits->bytes_max) return over_bytes(r, err);
    if (f->is_map && r->limits->has_unique_keys)
        return msgpack_check_unique_keys(slice_of(at + head_bytes, content_bytes), f->count,
                                         r->limits->what, err);
    return 0;
}

static int count_node(struct json_reader *r, struct error *err)
{
    if (++r->node_count > r->limits->node_count_max)
        return error_set(err, LYNSE_LIMIT, "%s: over the limit of %llu values", r->limits->what,
                         (unsigned long long)r->limits->node_count_max);
    if (r->out->size - r->out_start > r->limits->bytes_max) /* (2) */
        return over_bytes(r, err);
    return 0;
}

/* Begin an item of the innermost container: count it, and read its key and colon in a map. */
static int begin_item(struct json_reader *r, struct error *err)
{
    struct json_frame *f = &r->frames[r->depth - 1];
    f->count++;
    if (!f->is_map) return 0;
    if (f->count > r->limits->key_count_max)
        return error_set(err, LYNSE_LIMIT, "%s: a map of over %u keys is over the limit",
                         r->limits->what, r->limits->key_count_max);
    r->at = after_spaces(r->at, r->end);
    if (r->at == r->end || *r->at != '"') return parse_error(r, r->at, "expected a key", err);
    if (count_node(r, err) != 0 || read_text(r, err) != 0) return -1;
    if (!take(r, ':')) return parse_error(r, r->at, "expected ':'", err);
    return 0;
}

/* ---- The loop ---- */

/* A scalar, or the head of a container.  *out_opened: a container that is not empty was begun, and
 * its first item is next. */
static int read_value(struct json_reader *r, bool *out_opened, struct error *err)
{
    *out_opened = false;
    if (count_node(r, err) != 0) return -1;
    r->at = after_spaces(r->at, r->end);
    uint8_t byte = r->at < r->end ? *r->at : 0;
    switch (byte) {
    case '"':
        return read_text(r, err);
    case '{':
    case '[':
        if (open_container(r, byte == '{', err) != 0) return -1;
        r->at = after_spaces(r->at, r->end);
        if (r->at < r->end && *r->at == byte + 2) return close_container(r, err);
        *out_opened = true;
        return begin_item(r, err);
    case 't':
        if (!take_word(r, "true")) break;
        msgpack_write_bool(r->out, true);
        return 0;
    case 'f':
        if (!take_word(r, "false")) break;
        msgpack_write_bool(r->out, false);
        return 0;
    case 'n':
        if (!take_word(r, "null")) break;
        msgpack_write_null(r->out);
        return 0;
    default:
        return read_number(r, err);
    }
    return parse_error(r, r->at, "expected a value", err);
}

/* Behind a value: close what ends here; true in *out_more when another item follows. */
static int end_value(struct json_reader *r, bool *out_more, struct error *err)
{
    *out_more = false;
    while (r->depth > 0) {
        bool is_map = r->frames[r->depth - 1].is_map;
        if (take(r, ',')) {
            *out_more = true;
            return begin_item(r, err);
        }
        if (r->at == r->end || *r->at != (is_map ? '}' : ']'))
            return parse_error(r, r->at, is_map ? "expected ',' or '}'" : "expected ',' or ']'",
                               err);
        if (close_container(r, err) != 0) return -1;
    }
    return 0;
}

/* The next floats of an array, as long as they are written plainly, in pieces for which there is
 * room.  What would go over a limit is left for count_node to refuse.  true: there may be more. */
static bool take_floats(struct json_reader *r)
{
    enum { PIECE = 64, TEXT_BYTES_MIN = 4 };
    size_t bytes = r->out->size - r->out_start;
    uint64_t room = r->limits->bytes_max < bytes ? 0 : r->limits->bytes_max - bytes;
    uint64_t count_max = (uint64_t)(r->end - r->at) / TEXT_BYTES_MIN;

    if (count_max > PIECE) count_max = PIECE;
    if (count_max > room / JSON_FLOAT_BYTES) count_max = room / JSON_FLOAT_BYTES;
    if (count_max > r->limits->node_count_max - r->node_count)
        count_max = r->limits->node_count_max - r->node_count;
    if (!buf_reserve(r->out, count_max * JSON_FLOAT_BYTES)) return false;
    size_t count = json_take_floats(&r->at, r->end, count_max, r->out->data + r->out->size);
    r->out->size += count * JSON_FLOAT_BYTES;
    r->node_count += count;
    r->frames[r->depth - 1].count += (uint32_t)count;
    return count == PIECE;
}

/* Numbers right behind each other's commas, which is what large bodies consist of, without a turn
 * of the loop for each.  The item before which it ends is left to the loop, as the last one is. */
static int read_numbers(struct json_reader *r, struct error *err)
{
    struct json_frame *f = &r->frames[r->depth - 1];
    struct decimal d = {.is_integer = false};

    for (;;) {
        while (!d.is_integer && take_floats(r)) continue;
        const uint8_t *at = after_spaces(r->at, r->end);
        size_t size = decimal_scan(slice_of(at, (size_t)(r->end - at)), &d);
        if (size == 0 || at + size == r->end || at[size] != ',') return 0;
        r->at = at;
        if (count_node(r, err) != 0 || write_number(r, &d, err) != 0) return -1;
        r->at++;
        f->count++;
    }
}

static int read_all(struct json_reader *r, struct error *err)
{
    bool has_more = true;
    while (has_more) {
        if (r->depth > 0 && !r->frames[r->depth - 1].is_map && read_numbers(r, err) != 0) return -1;
        if (read_value(r, &has_more, err) != 0) return -1;
        if (!has_more && end_value(r, &has_more, err) != 0) return -1;
        if (!buf_ok(r->out)) return error_no_memory(err, r->out->size);
    }
    if (r->out->size - r->out_start > r->limits->bytes_max) return over_bytes(r, err);
    r->at = after_spaces(r->at, r->end);
    if (r->at != r->end) return parse_error(r, r->at, "expected the end of the JSON", err);
    return 0;
}

int json_to_msgpack(struct slice json, const struct msgpack_limits *limits, struct buf *out,
                    struct error *err)
{
    CHECK(limits->depth_max <= MSGPACK_DEPTH_MAX && limits->bytes_max <= UINT32_MAX);
    CHECK(!limits->has_unique_keys || limits->key_count_max <= MSGPACK_UNIQUE_KEYS_MAX);
    struct json_reader r; /* frames are written before they are read */
    r.start = json.data;
    r.at = json.data;
    r.end = json.size ? json.data + json.size : json.data;
    r.limits = limits;
    r.out = out;
    r.out_start = out->size;
    r.node_count = 0;
    r.depth = 0;
    if (!buf_ok(out)) return error_no_memory(err, out->size);
    if (read_all(&r, err) == 0) return 0;
    out->size = r.out_start; /* (3) */
    return -1;
}
