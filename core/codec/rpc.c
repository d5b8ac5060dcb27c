/* SPDX-License-Identifier: Apache-2.0 */
/* rpc.c — where a msgpack-RPC frame ends, and what it says.
 *
 * WHAT        The finder walks from head to head and steps over payloads that have not come yet; it
 *             keeps its place, so a frame that comes in many pieces is walked once.  What is in the
 *             payloads is for msgpack_check, when the frame is whole.
 * LAYOUT      The specification of msgpack-RPC: arrays of 4, 4 and 3.  An error is ours:
 *             [number, text, {name, …}].
 * INVARIANTS  (1) A head is judged when it has come as a whole, by what stands before it: where the
 *                 stream was cut changes nothing.
 *             (2) at + promised is what the frame has at least; it never exceeds bytes_max, so a
 *                 length that is too large is refused before a byte of it is kept.
 *             (3) The frame ends when nothing is promised: then at is its size.
 *             (4) depth never exceeds depth_max + 1, which has a place in left.
 * THREADS     One owner.
 * FAILURE     The finder: the stream is lost.  rpc_read: the frame is, the stream is not.
 */
#include "codec/rpc.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/planted.h"
#include "base/utf8.h"
#include "codec/quote.h"

const struct rpc_limits rpc_limits_default = {
    .bytes_max = 256 << 20,
    .node_count_max = 4 << 20,
    .depth_max = LIMIT_DOC_DEPTH + 8, /* a record's fields, within a list, within the params */
};

/* ---- Finding frames ---- */

/* What a head says, without what it is for: only sizes matter here. */
struct head {
    uint8_t argument_bytes;
    bool has_payload;    /* the argument is the size of a payload, to which extra_bytes come */
    bool is_container;   /* the argument is a number of items */
    uint8_t item_values; /* values of each: 2 for a map */
    uint8_t extra_bytes; /* the type of an extension */
    uint64_t argument;   /* where argument_bytes is 0 */
};

/* false: a byte that begins no value. */
static bool head_of(uint8_t byte, struct head *out)
{
    static const struct head bytes_head = {.has_payload = true};
    static const struct head ext_head = {.has_payload = true, .extra_bytes = 1};
    static const struct head array_head = {.is_container = true, .item_values = 1};
    static const struct head map_head = {.is_container = true, .item_values = 2};

    *out = (struct head){0};
    if (byte < 0x80 || byte >= 0xe0) return true;
    if (byte < 0xc0) {
        *out = byte < 0x90 ? map_head : byte < 0xa0 ? array_head : bytes_head;
        out->argument = byte < 0xa0 ? byte & 15 : byte & 31;
    } else if (byte <= 0xc3) {
        return byte != 0xc1;
    } else if (byte <= 0xc9) {
        *out = byte < 0xc7 ? bytes_head : ext_head;
        out->argument_bytes = (uint8_t)(1u << ((byte - 0xc4) % 3));
    } else if (byte <= 0xcb) {
        out->argument_bytes = byte == 0xca ? 4 : 8;
    } else if (byte <= 0xd3) {
        out->argument_bytes = (uint8_t)(1u << (byte & 3));
    } else if (byte <= 0xd8) {
        *out = ext_head;
        out->argument = 1u << (byte - 0xd4);
    } else if (byte <= 0xdb) {
        *out = bytes_head;
        out->argument_bytes = (uint8_t)(1u << (byte - 0xd9));
    } else {
        *out = byte < 0xde ? array_head : map_head;
        out->argument_bytes = byte & 1 ? 4 : 2;
    }
    return true;
}

static uint64_t load_argument(const uint8_t *at, size_t size)
{
    uint64_t v = 0;
    for (size_t i = 0; i < size; i++) v = v << 8 | at[i];
    return v;
}

void rpc_finder_reset(struct rpc_finder *f)
{
    f->at = 0;
    f->node_count = 0;
    f->promised = 1;
    f->depth = 0;
}

static int refuse_bytes(const struct rpc_limits *limits, struct error *err)
{
    return error_set(err, LYNSE_TOO_LARGE, "frame: over the limit of %llu bytes",
                     (unsigned long long)limits->bytes_max);
}

static int enter_container(struct rpc_finder *f, const struct rpc_limits *limits, uint64_t values,
                           struct error *err)
{
    if (f->depth > limits->depth_max) /* (4) */
        return error_set(err, LYNSE_LIMIT, "params: nesting of %u is over the limit of %u",
                         f->depth, limits->depth_max);
    f->left[f->depth++] = values;
    f->promised += values;
    return 0;
}

/* The head at f->at, of which `left` bytes have come.  1: taken; 0: more of it has to come. */
static int take_head(struct rpc_finder *f, const struct rpc_limits *limits, const uint8_t *at,
                     size_t left, struct error *err)
{
    struct head h;
    if (!head_of(at[0], &h))
        return error_set(err, LYNSE_PARSE, "frame: byte 0x%02x at %llu begins no msgpack value",
                         at[0], (unsigned long long)f->at);
    size_t size = 1 + (size_t)h.argument_bytes;
    if (left + PLANTED(RPC_HEAD_END) < size) return 0;
    if (h.argument_bytes > 0) h.argument = load_argument(at + 1, h.argument_bytes);

    uint64_t values = h.is_container ? h.argument * h.item_values : 0;
    uint64_t end = f->at + size + h.extra_bytes + (h.has_payload ? h.argument : 0);
    bool is_frame = h.is_container && h.item_values == 1 && (values == 3 || values == 4);
    if (f->node_count == 0 && !is_frame && h.is_container && h.item_values == 1)
        return error_set(err, LYNSE_PARSE, "frame: an array of %llu values, must have 3 or 4",
                         (unsigned long long)values);
    if (f->node_count == 0 && !is_frame)
        return error_set(err, LYNSE_PARSE,
                         "frame: byte 0x%02x does not begin an array of 3 or 4 values", at[0]);
    if (end + (f->promised - 1) + values > limits->bytes_max) /* (2) */
        return refuse_bytes(limits, err);
    if (f->node_count + f->promised + values > limits->node_count_max)
        return error_set(err, LYNSE_LIMIT, "frame: over the limit of %llu values",
                         (unsigned long long)limits->node_count_max);
    f->at = end;
    f->node_count++;
    f->promised--;
    if (f->depth > 0) f->left[f->depth - 1]--;
    if (h.is_container && enter_container(f, limits, values, err) != 0) return -1;
    while (f->depth > 0 && f->left[f->depth - 1] == 0) f->depth--;
    return 1;
}

enum rpc_found rpc_finder_feed(struct rpc_finder *f, const struct rpc_limits *limits,
                               struct slice bytes, size_t *out_bytes, struct error *err)
{
    CHECK(limits->depth_max >= 1 && limits->depth_max <= MSGPACK_DEPTH_MAX);
    CHECK(limits->bytes_max <= LIMIT_BODY_BYTES);
    CHECK(limits->node_count_max <= LIMIT_REQUEST_NODES);
    while (f->promised > 0) {
        if (f->at >= bytes.size) return RPC_MORE;
        int taken = take_head(f, limits, bytes.data + f->at, bytes.size - (size_t)f->at, err);
        if (taken < 0) return RPC_BROKEN;
        if (taken == 0) return RPC_MORE;
    }
    if (f->at > bytes.size) return RPC_MORE;
    *out_bytes = (size_t)f->at; /* (3) */
    return RPC_FRAME;
}

/* The cursor goes behind the kind. */
static bool peek_kind(struct msgpack_cursor *c, enum rpc_kind wanted)
{
    struct value frame, kind;
    return msgpack_next(c, &frame) && frame.type == VALUE_ARRAY && msgpack_next(c, &kind) &&
           kind.type == VALUE_INT && kind.as.integer == wanted;
}

bool rpc_is_notification(struct slice bytes)
{
    struct msgpack_cursor c = msgpack_cursor_of(bytes);
    return peek_kind(&c, RPC_NOTIFICATION);
}

bool rpc_peek_msgid(struct slice bytes, uint32_t *out_msgid)
{
    struct msgpack_cursor c = msgpack_cursor_of(bytes);
    struct value msgid;
    if (!peek_kind(&c, RPC_REQUEST)) return false;
    if (!msgpack_next(&c, &msgid) || msgid.type != VALUE_INT || msgid.as.integer < 0 ||
        msgid.as.integer > UINT32_MAX)
        return false;
    *out_msgid = (uint32_t)msgid.as.integer;
    return true;
}

/* ---- Reading frames ---- */

/* The next value, checked as the field of that name. */
static int read_checked(struct msgpack_cursor *c, const struct rpc_limits *limits, const char *what,
                        struct value *out, struct error *err)
{
    const struct msgpack_limits checked = {
        .what = what,
        .bytes_max = limits->bytes_max,
        .node_count_max = limits->node_count_max,
        .depth_max = limits->depth_max,
        .key_count_max = MSGPACK_UNIQUE_KEYS_MAX,
        .has_text_keys = true,
        .has_unique_keys = true,
    };
    if (msgpack_check(msgpack_cursor_rest(c), &checked, NULL, err) != 0) return -1;
    CHECK(msgpack_read(c, out));
    return 0;
}

static int read_method(struct msgpack_cursor *c, struct rpc_message *m, struct error *err)
{
    char quoted[QUOTE_BYTES];
    struct value v;
    if (!msgpack_next(c, &v) || v.type != VALUE_TEXT)
        return error_set(err, LYNSE_INVALID, "method: must be text");
    struct slice name = v.as.text;
    if (name.size == 0) return error_set(err, LYNSE_INVALID, "method: is empty");
    if (name.size > LIMIT_METHOD_BYTES)
        return error_set(err, LYNSE_LIMIT, "method: a name of %zu bytes is over the limit of %d",
                         name.size, LIMIT_METHOD_BYTES);
    if (!utf8_is_valid(name.data, name.size))
        return error_set(err, LYNSE_PARSE, "method: %s is not UTF-8",
                         quote_text(name, quoted, sizeof quoted));
    m->method = name;
    return 0;
}

static int read_params(struct msgpack_cursor *c, const struct rpc_limits *limits,
                       struct rpc_message *m, struct error *err)
{
    if (read_checked(c, limits, "params", &m->params, err) != 0) return -1;
    if (m->params.type != VALUE_ARRAY && m->params.type != VALUE_MAP)
        return error_set(err, LYNSE_INVALID, "params: must be a map or an array, not %s",
                         value_type_name(m->params.type));
    return 0;
}

/* The array's head, the kind, and the msgid where the kind has one. */
static int read_front(struct msgpack_cursor *c, struct rpc_message *m, struct error *err)
{
    struct value v;
    if (!msgpack_next(c, &v) || v.type != VALUE_ARRAY)
        return error_set(err, LYNSE_INVALID, "frame: must be an array");
    uint32_t count = v.count;
    if (!msgpack_next(c, &v) || v.type != VALUE_INT || v.as.integer < RPC_REQUEST ||
        v.as.integer > RPC_NOTIFICATION)
        return error_set(err, LYNSE_INVALID, "frame: its first value must be 0, 1 or 2");
    m->kind = (enum rpc_kind)v.as.integer;
    uint32_t wanted = m->kind == RPC_NOTIFICATION ? 3 : 4;
    if (count != wanted)
        return error_set(err, LYNSE_INVALID, "frame: an array of %u values, not of %u", count,
                         wanted);
    if (m->kind == RPC_NOTIFICATION) return 0;
    if (!msgpack_next(c, &v) || v.type != VALUE_INT || v.as.integer < 0 ||
        v.as.integer > UINT32_MAX)
        return error_set(err, LYNSE_INVALID, "msgid: must be an integer of 32 bits");
    m->msgid = (uint32_t)v.as.integer;
    return 0;
}

int rpc_read(struct slice frame, const struct rpc_limits *limits, struct rpc_message *out_message,
             struct error *err)
{
    struct msgpack_cursor c = msgpack_cursor_of(frame);
    struct rpc_message m = {.kind = RPC_REQUEST};

    if (read_front(&c, &m, err) != 0) return -1;
    if (m.kind == RPC_RESPONSE) {
        if (read_checked(&c, limits, "error", &m.error, err) != 0) return -1;
        if (read_checked(&c, limits, "result", &m.result, err) != 0) return -1;
    } else {
        if (read_method(&c, &m, err) != 0 || read_params(&c, limits, &m, err) != 0) return -1;
    }
    if (c.at != c.end)
        return error_set(err, LYNSE_PARSE, "frame: %zu bytes behind it",
                         msgpack_cursor_rest(&c).size);
    *out_message = m;
    return 0;
}

/* ---- Writing ---- */

void rpc_write_result_head(struct buf *out, uint32_t msgid)
{
    msgpack_write_array(out, 4);
    msgpack_write_uint(out, RPC_RESPONSE);
    msgpack_write_uint(out, msgid);
    msgpack_write_null(out);
}

void rpc_write_request_head(struct buf *out, uint32_t msgid, struct slice method)
{
    msgpack_write_array(out, 4);
    msgpack_write_uint(out, RPC_REQUEST);
    msgpack_write_uint(out, msgid);
    msgpack_write_text(out, method);
}

void rpc_write_notification_head(struct buf *out, struct slice method)
{
    msgpack_write_array(out, 3);
    msgpack_write_uint(out, RPC_NOTIFICATION);
    msgpack_write_text(out, method);
}

void rpc_write_error(struct buf *out, uint32_t msgid, const struct error *error)
{
    bool has_retry = error->retry_after_ms > 0;
    msgpack_write_array(out, 4);
    msgpack_write_uint(out, RPC_RESPONSE);
    msgpack_write_uint(out, msgid);
    msgpack_write_array(out, 3);
    msgpack_write_int(out, error->code);
    msgpack_write_text(out, slice_of_text(error->text));
    msgpack_write_map(out, has_retry ? 2 : 1);
    msgpack_write_text(out, slice_of_text("name"));
    msgpack_write_text(out, slice_of_text(error_name(error->code)));
    if (has_retry) {
        msgpack_write_text(out, slice_of_text("retry_after_ms"));
        msgpack_write_uint(out, error->retry_after_ms);
    }
    msgpack_write_null(out);
}
