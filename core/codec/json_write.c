/* SPDX-License-Identifier: Apache-2.0 */
/* json_write.c — msgpack to JSON text, token by token.
 *
 * WHAT        A loop over tokens with a stack of what each open container has still to come.
 * INVARIANTS  (1) The text is JSON, in UTF-8, or there is an error: the message need not have been
 *                 checked.
 *             (2) An error leaves `out` at the size that it had.
 * THREADS     No state: any thread.
 * FAILURE     PARSE for a damaged message; nothing is put in the place of what cannot be read.
 */
#include "base/bytes.h"
#include "base/utf8.h"
#include "codec/datetime.h"
#include "codec/decimal.h"
#include "codec/json.h"

static void append_escape(struct buf *out, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = "btn?fr"; /* for 8..13; 11 has none */
    uint8_t escape[6] = {'\\', 'u', '0', '0', (uint8_t)hex[byte >> 4], (uint8_t)hex[byte & 15]};
    if (byte == '"' || byte == '\\') escape[1] = byte;
    else if (byte >= 8 && byte <= 13 && byte != 11) escape[1] = (uint8_t)letters[byte - 8];
    buf_append(out, escape, escape[1] == 'u' ? 6 : 2);
}

int json_write_text(struct buf *out, struct slice text, struct error *err)
{
    const uint8_t *at = text.data;
    const uint8_t *end = text.size ? text.data + text.size : text.data;
    if (!utf8_is_valid(text.data, text.size))
        return error_set(err, LYNSE_PARSE, "text is not UTF-8 and cannot be JSON");
    buf_append_u8(out, '"');
    while (at < end) {
        size_t plain = json_plain_bytes(at, end);
        buf_append(out, at, plain);
        at += plain;
        if (at < end) append_escape(out, *at++);
    }
    buf_append_u8(out, '"');
    return 0;
}

void json_write_f64(struct buf *out, double v)
{
    char text[DECIMAL_TEXT_BYTES];
    if (v - v != 0) buf_append(out, "null", 4);
    else buf_append(out, text, decimal_format_f64(v, text));
}

void json_write_f32(struct buf *out, float v)
{
    char text[DECIMAL_TEXT_BYTES];
    if (v - v != 0) buf_append(out, "null", 4);
    else buf_append(out, text, decimal_format_f32(v, text));
}

/* RFC 4648, section 4, with padding. */
static void write_base64(struct buf *out, struct slice bytes)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    buf_append_u8(out, '"');
    uint8_t *to = buf_extend(out, (bytes.size + 2) / 3 * 4);
    for (size_t i = 0; to && i < bytes.size; i += 3, to += 4) {
        size_t n = bytes.size - i < 3 ? bytes.size - i : 3;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        if (n > 1) group |= (uint32_t)bytes.data[i + 1] << 8;
        if (n > 2) group |= bytes.data[i + 2];
        to[0] = (uint8_t)letters[group >> 18];
        to[1] = (uint8_t)letters[group >> 12 & 63];
        to[2] = (uint8_t)(n > 1 ? letters[group >> 6 & 63] : '=');
        to[3] = (uint8_t)(n > 2 ? letters[group & 63] : '=');
    }
    buf_append_u8(out, '"');
}

static void write_datetime(struct buf *out, int64_t us)
{
    char text[DATETIME_TEXT_BYTES];
    size_t size = datetime_format(us, text);
    buf_append_u8(out, '"');
    buf_append(out, text, size);
    buf_append_u8(out, '"');
}

/* A float that was written in 32 bits has only as many digits. */
static void write_float(struct buf *out, const struct value *v)
{
    if (v->raw.data[0] == 0xca) json_write_f32(out, (float)v->as.number);
    else json_write_f64(out, v->as.number);
}

static int write_scalar(struct buf *out, const struct value *v, struct error *err)
{
    switch (v->type) {
    case VALUE_NULL:
        buf_append(out, "null", 4);
        return 0;
    case VALUE_BOOL:
        buf_append(out, v->as.boolean ? "true" : "false", v->as.boolean ? 4 : 5);
        return 0;
    case VALUE_INT:
        buf_append_text(out, "%lld", (long long)v->as.integer);
        return 0;
    case VALUE_UINT:
        buf_append_text(out, "%llu", (unsigned long long)v->as.uinteger);
        return 0;
    case VALUE_FLOAT:
        write_float(out, v);
        return 0;
    case VALUE_TEXT:
        return json_write_text(out, v->as.text, err);
    case VALUE_BYTES:
        write_base64(out, v->as.bytes);
        return 0;
    case VALUE_DATETIME:
        write_datetime(out, v->as.datetime_us);
        return 0;
    case VALUE_ARRAY:
    case VALUE_MAP:
        break;
    }
    return 0;
}

struct json_open {
    uint64_t left; /* tokens to come, keys included */
    bool is_map;
    bool is_first;
};

struct json_writer {
    struct buf *out;
    uint32_t depth;
    struct json_open stack[MSGPACK_DEPTH_MAX];
};

/* The comma or colon before v; a key must be text. */
static int begin_token(struct json_writer *w, const struct value *v, struct error *err)
{
    if (w->depth == 0) return 0;
    struct json_open *top = &w->stack[w->depth - 1];
    bool is_key = top->is_map && top->left % 2 == 0;
    if (is_key && v->type != VALUE_TEXT)
        return error_set(err, LYNSE_INVALID, "a key of a JSON object must be text, not %s",
                         value_type_name(v->type));
    if (top->is_map && !is_key) buf_append_u8(w->out, ':');
    else if (!top->is_first) buf_append_u8(w->out, ',');
    top->is_first = false;
    top->left--;
    return 0;
}

static int write_token(struct json_writer *w, const struct value *v, struct error *err)
{
    if (begin_token(w, v, err) != 0) return -1;
    if (v->type != VALUE_ARRAY && v->type != VALUE_MAP) return write_scalar(w->out, v, err);
    bool is_map = v->type == VALUE_MAP;
    if (w->depth == MSGPACK_DEPTH_MAX)
        return error_set(err, LYNSE_LIMIT, "nesting of %d is over the limit of %d",
                         MSGPACK_DEPTH_MAX + 1, MSGPACK_DEPTH_MAX);
    buf_append_u8(w->out, is_map ? '{' : '[');
    w->stack[w->depth++] = (struct json_open){
        .left = is_map ? 2 * (uint64_t)v->count : v->count, .is_map = is_map, .is_first = true};
    return 0;
}

static int write_all(struct json_writer *w, struct msgpack_cursor *c, struct error *err)
{
    const uint8_t *start = c->at;
    struct value v;
    do {
        if (!msgpack_next(c, &v))
            return error_set(err, LYNSE_PARSE, "damaged msgpack at byte %zu",
                             (size_t)(c->at - start));
        if (write_token(w, &v, err) != 0) return -1;
        while (w->depth > 0 && w->stack[w->depth - 1].left == 0)
            buf_append_u8(w->out, w->stack[--w->depth].is_map ? '}' : ']');
        if (!buf_ok(w->out)) return error_no_memory(err, w->out->size);
    } while (w->depth > 0);
    if (c->at != c->end)
        return error_set(err, LYNSE_PARSE, "%zu bytes behind a msgpack value",
                         (size_t)(c->end - c->at));
    return 0;
}

int json_from_msgpack(struct slice message, struct buf *out, struct error *err)
{
    struct json_writer w; /* the stack is written before it is read */
    struct msgpack_cursor c = msgpack_cursor_of(message);
    size_t size_before = out->size;
    w.out = out;
    w.depth = 0;
    if (!buf_ok(out)) return error_no_memory(err, out->size);
    if (write_all(&w, &c, err) == 0) return 0;
    out->size = size_before; /* (2) */
    return -1;
}
