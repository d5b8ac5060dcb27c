/* SPDX-License-Identifier: Apache-2.0 */
/* msgpack.c — read msgpack without recursion, allocation or trust.
 *
 * WHAT        A token decoder; the check of untrusted bytes, which walks them once with a stack of
 *             fixed depth; a cursor for bytes that were checked.  (The writer: msgpack_write.c.)
 * LAYOUT      The msgpack specification, version 5: one head byte, then an argument of 0..8 bytes,
 *             big-endian, then the payload.  Timestamps are extension −1 in 4, 8 or 12 bytes.
 * INVARIANTS  (1) A decoder reads no byte at or behind `end`, whatever the bytes say.
 *             (2) A token that decodes is at least one byte, so a walk ends.
 *             (3) While checking, the values that open containers still promise never exceed the
 *                 bytes left: a count of four milliards in five bytes is refused at its head, and
 *                 so is a sum of counts each of which would do alone (P9).
 *             (4) What passed msgpack_check is read by the cursor to its end without failure.
 * THREADS     No state: any thread.
 * FAILURE     The check says what is wrong and at which byte; the cursor stops.
 */
#include "codec/msgpack.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/planted.h"
#include "base/utf8.h"
#include "codec/datetime.h"
#include "codec/quote.h"

enum head_class {
    HEAD_BAD,
    HEAD_NULL,
    HEAD_BOOL,
    HEAD_F32,
    HEAD_F64,
    HEAD_UINT,
    HEAD_INT,
    HEAD_TEXT,
    HEAD_BYTES,
    HEAD_ARRAY,
    HEAD_MAP,
    HEAD_EXT,     /* argument = payload bytes; then the type */
    HEAD_FIX_EXT, /* payload bytes are the power of two in the head's low bits */
};

/* Heads 0xc0..0xdf; all others carry their argument in themselves. */
static const struct {
    uint8_t class;
    uint8_t argument_bytes;
} wide_heads[32] = {
    {HEAD_NULL, 0},    {HEAD_BAD, 0},     {HEAD_BOOL, 0},    {HEAD_BOOL, 0},    {HEAD_BYTES, 1},
    {HEAD_BYTES, 2},   {HEAD_BYTES, 4},   {HEAD_EXT, 1},     {HEAD_EXT, 2},     {HEAD_EXT, 4},
    {HEAD_F32, 4},     {HEAD_F64, 8},     {HEAD_UINT, 1},    {HEAD_UINT, 2},    {HEAD_UINT, 4},
    {HEAD_UINT, 8},    {HEAD_INT, 1},     {HEAD_INT, 2},     {HEAD_INT, 4},     {HEAD_INT, 8},
    {HEAD_FIX_EXT, 0}, {HEAD_FIX_EXT, 0}, {HEAD_FIX_EXT, 0}, {HEAD_FIX_EXT, 0}, {HEAD_FIX_EXT, 0},
    {HEAD_TEXT, 1},    {HEAD_TEXT, 2},    {HEAD_TEXT, 4},    {HEAD_ARRAY, 2},   {HEAD_ARRAY, 4},
    {HEAD_MAP, 2},     {HEAD_MAP, 4},
};

enum { EXT_TIMESTAMP = 0xff }; /* −1 */

enum decoded { DECODED, DECODED_CUT, DECODED_BAD_HEAD, DECODED_BAD_EXT, DECODED_BAD_DATETIME };

static uint64_t load_big(const uint8_t *from, size_t n)
{
    switch (n) {
    case 1:
        return from[0];
    case 2:
        return __builtin_bswap16(load_u16(from));
    case 4:
        return __builtin_bswap32(load_u32(from));
    case 8:
        return __builtin_bswap64(load_u64(from));
    default:
        return 0;
    }
}

static int64_t sign_extend(uint64_t v, size_t bytes)
{
    unsigned shift = (unsigned)(64 - 8 * bytes);
    return (int64_t)(v << shift) >> shift;
}

static void set_uint(struct value *v, uint64_t n)
{
    v->type = n <= INT64_MAX ? VALUE_INT : VALUE_UINT;
    v->as.uinteger = n; /* the same bits as the i64 */
}

static double f32_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

static double f64_of_bits(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

/* A timestamp's payload.  Nanoseconds are cut to microseconds. */
static enum decoded decode_timestamp(struct slice payload, struct value *v)
{
    int64_t seconds;
    uint64_t nanoseconds = 0;

    if (payload.size == 4) {
        seconds = (int64_t)load_big(payload.data, 4);
    } else if (payload.size == 8) {
        uint64_t both = load_big(payload.data, 8);
        nanoseconds = both >> 34;
        seconds = (int64_t)(both & 0x3ffffffffull);
    } else if (payload.size == 12) {
        nanoseconds = load_big(payload.data, 4);
        seconds = (int64_t)load_big(payload.data + 4, 8);
    } else {
        return DECODED_BAD_EXT;
    }
    if (nanoseconds > 999999999 || seconds < DATETIME_US_MIN / 1000000 ||
        seconds > DATETIME_US_MAX / 1000000)
        return DECODED_BAD_DATETIME;
    v->type = VALUE_DATETIME;
    v->as.datetime_us = seconds * 1000000 + (int64_t)(nanoseconds / 1000);
    return DECODED;
}

/* What follows the argument: `size` bytes of text or bytes, or an extension's type and payload. */
static enum decoded decode_payload(enum head_class class, const uint8_t *at, size_t left,
                                   size_t size, struct value *v, size_t *out_size)
{
    bool is_ext = class == HEAD_EXT || class == HEAD_FIX_EXT;
    size_t type_bytes = is_ext ? 1 : 0;
    if (left < type_bytes || left - type_bytes + PLANTED(MSGPACK_PAYLOAD_END) < size)
        return DECODED_CUT;
    *out_size = type_bytes + size;
    if (is_ext) {
        if (at[0] != EXT_TIMESTAMP) return DECODED_BAD_EXT;
        return decode_timestamp(slice_of(at + 1, size), v);
    }
    v->type = class == HEAD_TEXT ? VALUE_TEXT : VALUE_BYTES;
    v->as.bytes = slice_of(at, size);
    return DECODED;
}

/* Heads 0xc0..0xdf. */
static enum decoded decode_wide(const uint8_t *at, size_t left, struct value *v, size_t *out_size)
{
    enum head_class class = (enum head_class)wide_heads[at[0] & 31].class;
    size_t argument_bytes = wide_heads[at[0] & 31].argument_bytes;
    if (left < 1 + argument_bytes) return DECODED_CUT;
    uint64_t argument = load_big(at + 1, argument_bytes);

    *out_size = 1 + argument_bytes;
    switch (class) {
    case HEAD_NULL:
        v->type = VALUE_NULL;
        return DECODED;
    case HEAD_BOOL:
        v->type = VALUE_BOOL;
        v->as.boolean = at[0] & 1;
        return DECODED;
    case HEAD_F32:
    case HEAD_F64:
        v->type = VALUE_FLOAT;
        v->as.number = class == HEAD_F32 ? f32_of_bits((uint32_t)argument) : f64_of_bits(argument);
        return DECODED;
    case HEAD_UINT:
        set_uint(v, argument);
        return DECODED;
    case HEAD_INT:
        v->type = VALUE_INT;
        v->as.integer = sign_extend(argument, argument_bytes);
        return DECODED;
    case HEAD_ARRAY:
    case HEAD_MAP:
        v->type = class == HEAD_ARRAY ? VALUE_ARRAY : VALUE_MAP;
        v->count = (uint32_t)argument;
        return DECODED;
    case HEAD_TEXT:
    case HEAD_BYTES:
    case HEAD_EXT:
    case HEAD_FIX_EXT: {
        if (class == HEAD_FIX_EXT) argument = 1u << (at[0] - 0xd4);
        size_t payload = 0;
        enum decoded d =
            decode_payload(class, at + *out_size, left - *out_size, (size_t)argument, v, &payload);
        *out_size += payload;
        return d;
    }
    case HEAD_BAD:
    default:
        return DECODED_BAD_HEAD;
    }
}

/* One token; *out_size and *v are meaningful only after DECODED.  left >= 1. */
static enum decoded decode_token(const uint8_t *at, size_t left, struct value *v, size_t *out_size)
{
    uint8_t head = at[0];
    enum decoded d = DECODED;

    v->count = 0;
    v->as.content = (struct slice){NULL, 0};
    *out_size = 1;
    if (head < 0x80) {
        v->type = VALUE_INT;
        v->as.integer = head;
    } else if (head >= 0xe0) {
        v->type = VALUE_INT;
        v->as.integer = (int8_t)head;
    } else if (head >= 0xc0) {
        d = decode_wide(at, left, v, out_size);
    } else if (head >= 0xa0) {
        v->type = VALUE_TEXT;
        v->as.text = slice_of(at + 1, head & 31);
        *out_size += v->as.text.size;
        if (left < *out_size) d = DECODED_CUT;
    } else {
        v->type = head < 0x90 ? VALUE_MAP : VALUE_ARRAY;
        v->count = head & 15;
    }
    v->raw = slice_of(at, *out_size);
    return d;
}

static uint64_t child_count(const struct value *v)
{
    return v->type == VALUE_MAP ? 2 * (uint64_t)v->count : v->count;
}

/* ---- Cursor ---- */

bool msgpack_next(struct msgpack_cursor *c, struct value *out)
{
    size_t size;
    if (c->at == c->end) return false;
    if (decode_token(c->at, (size_t)(c->end - c->at), out, &size) != DECODED) return false;
    c->at += size;
    return true;
}

/* Step over float 64 values that follow each other, `count` at most: a vector from JSON. */
static uint64_t skip_doubles(struct msgpack_cursor *c, uint64_t count)
{
    uint64_t left = count;

    for (; left > 0 && c->end - c->at >= 9 && *c->at == 0xcb; left--) c->at += 9;
    return left;
}

/* Step over `count` values.  Fewer bytes than values cannot be right (3). */
static bool skip_values(struct msgpack_cursor *c, uint64_t count)
{
    struct msgpack_cursor walk = *c;
    struct value v;
    while ((count = skip_doubles(&walk, count)) > 0) {
        if (count > (uint64_t)(walk.end - walk.at) || !msgpack_next(&walk, &v)) return false;
        count += child_count(&v) - 1;
    }
    *c = walk;
    return true;
}

bool msgpack_read(struct msgpack_cursor *c, struct value *out)
{
    struct msgpack_cursor walk = *c;
    if (!msgpack_next(&walk, out)) return false;
    if (out->type == VALUE_ARRAY || out->type == VALUE_MAP) {
        const uint8_t *content = walk.at;
        if (!skip_values(&walk, child_count(out))) return false;
        out->as.content = slice_of(content, (size_t)(walk.at - content));
        out->raw.size += out->as.content.size;
    }
    *c = walk;
    return true;
}

bool msgpack_skip(struct msgpack_cursor *c)
{
    return skip_values(c, 1);
}

/* ---- Check ---- */

const struct msgpack_limits msgpack_document_limits = {
    .what = "fields",
    .bytes_max = LIMIT_DOC_BYTES,
    .node_count_max = LIMIT_DOC_BYTES, /* every value is a byte at least: no limit of its own */
    .depth_max = LIMIT_DOC_DEPTH,
    .key_count_max = LIMIT_DOC_KEYS,
    .has_text_keys = true,
    .has_unique_keys = true,
};

struct check_frame {
    uint64_t left; /* values to come, two for a pair */
    bool is_map;
};

struct check_walk {
    const struct msgpack_limits *limits;
    struct slice bytes;
    size_t at;
    uint64_t node_count;
    uint64_t promised; /* values that all open containers have to come */
    uint32_t depth;
    struct check_frame stack[MSGPACK_DEPTH_MAX];
};

static int key_twice(struct slice key, const char *what, struct error *err)
{
    char quoted[QUOTE_BYTES];
    return error_set(err, LYNSE_INVALID, "%s: the key %s is there twice", what,
                     quote_text(key, quoted, sizeof quoted));
}

enum { FEW_KEYS = 16 };

/* Almost every map: comparing all pairs is cheapest. */
static int check_few_keys(struct msgpack_cursor c, uint32_t pair_count, const char *what,
                          struct error *err)
{
    struct slice keys[FEW_KEYS];
    for (uint32_t i = 0; i < pair_count; i++) {
        struct value key;
        if (!msgpack_next(&c, &key) || key.type != VALUE_TEXT) return 0;
        for (uint32_t j = 0; j < i; j++)
            if (slice_equal(keys[j], key.as.text)) return key_twice(key.as.text, what, err);
        keys[i] = key.as.text;
        if (!msgpack_skip(&c)) return 0;
    }
    return 0;
}

static struct slice key_at(struct slice content, uint32_t offset)
{
    struct value v = {.as.text = {NULL, 0}};
    size_t size;
    decode_token(content.data + offset, content.size - offset, &v, &size);
    return v.as.text;
}

/* Heap order over keys: n log n whatever the keys are, which a hash table would not promise. */
static void sift_down(struct slice content, uint32_t *heap, size_t root, size_t count)
{
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count) return;
        if (child + 1 < count &&
            slice_compare(key_at(content, heap[child]), key_at(content, heap[child + 1])) < 0)
            child++;
        if (slice_compare(key_at(content, heap[root]), key_at(content, heap[child])) >= 0) return;
        uint32_t swap = heap[root];
        heap[root] = heap[child];
        heap[child] = swap;
        root = child;
    }
}

static int check_many_keys(struct slice content, uint32_t pair_count, const char *what,
                           struct error *err)
{
    uint32_t offsets[MSGPACK_UNIQUE_KEYS_MAX];
    struct msgpack_cursor c = msgpack_cursor_of(content);
    struct slice last = {NULL, 0};

    for (uint32_t i = 0; i < pair_count; i++) {
        struct value key;
        offsets[i] = (uint32_t)(c.at - content.data);
        if (!msgpack_next(&c, &key) || key.type != VALUE_TEXT || !msgpack_skip(&c)) return 0;
    }
    for (size_t i = pair_count / 2; i-- > 0;) sift_down(content, offsets, i, pair_count);
    for (size_t left = pair_count; left > 0;) {
        struct slice key = key_at(content, offsets[0]);
        if (left < pair_count && slice_equal(key, last)) return key_twice(key, what, err);
        last = key;
        offsets[0] = offsets[--left];
        sift_down(content, offsets, 0, left);
    }
    return 0;
}

int msgpack_check_unique_keys(struct slice content, uint32_t pair_count, const char *what,
                              struct error *err)
{
    CHECK(pair_count <= MSGPACK_UNIQUE_KEYS_MAX && content.size <= UINT32_MAX);
    if (pair_count <= FEW_KEYS)
        return check_few_keys(msgpack_cursor_of(content), pair_count, what, err);
    return check_many_keys(content, pair_count, what, err);
}

static int decoded_error(const struct check_walk *w, enum decoded d, struct error *err)
{
    const char *what = w->limits->what;
    switch (d) {
    case DECODED_CUT:
        if (w->bytes.size > w->limits->bytes_max)
            return error_set(err, LYNSE_LIMIT, "%s: over the limit of %zu bytes", what,
                             w->limits->bytes_max);
        return error_set(err, LYNSE_PARSE, "%s: the msgpack ends within a value, at byte %zu", what,
                         w->at);
    case DECODED_BAD_EXT:
        return error_set(err, LYNSE_INVALID, "%s: unknown msgpack extension at byte %zu", what,
                         w->at);
    case DECODED_BAD_DATETIME:
        return error_set(err, LYNSE_INVALID,
                         "%s: the datetime at byte %zu is not within the years 0001 to 9999", what,
                         w->at);
    case DECODED:
    case DECODED_BAD_HEAD:
    default:
        return error_set(err, LYNSE_PARSE, "%s: byte 0x%02x at %zu begins no msgpack value", what,
                         w->bytes.data[w->at], w->at);
    }
}

/* w->at is behind the head of v; left_max are the bytes that its items may have. */
static int enter_container(struct check_walk *w, const struct value *v, size_t left_max,
                           struct error *err)
{
    const struct msgpack_limits *l = w->limits;
    bool is_map = v->type == VALUE_MAP;

    if (w->depth >= l->depth_max)
        return error_set(err, LYNSE_LIMIT, "%s: nesting of %u is over the limit of %u", l->what,
                         w->depth + 1, l->depth_max);
    if (is_map && v->count > l->key_count_max)
        return error_set(err, LYNSE_LIMIT, "%s: a map of %u keys is over the limit of %u", l->what,
                         v->count, l->key_count_max);
    if (w->promised + child_count(v) > left_max)
        return decoded_error(w, DECODED_CUT, err); /* (3) */
    w->promised += child_count(v);
    struct slice content = slice_of(w->bytes.data + w->at, left_max);
    if (is_map && l->has_unique_keys &&
        msgpack_check_unique_keys(content, v->count, l->what, err) != 0)
        return -1;
    w->stack[w->depth++] = (struct check_frame){child_count(v), is_map};
    return 0;
}

static int check_token(struct check_walk *w, struct error *err)
{
    const struct msgpack_limits *l = w->limits;
    struct check_frame *top = w->depth > 0 ? &w->stack[w->depth - 1] : NULL;
    size_t end = w->bytes.size < l->bytes_max ? w->bytes.size : l->bytes_max;
    struct value v;
    size_t size;

    if (w->at == end) return decoded_error(w, DECODED_CUT, err);
    enum decoded d = decode_token(w->bytes.data + w->at, end - w->at, &v, &size);
    if (d != DECODED) return decoded_error(w, d, err);
    if (++w->node_count > l->node_count_max)
        return error_set(err, LYNSE_LIMIT, "%s: over the limit of %llu values", l->what,
                         (unsigned long long)l->node_count_max);
    if (top) {
        bool is_key = top->is_map && top->left % 2 == 0;
        if (is_key && l->has_text_keys && v.type != VALUE_TEXT)
            return error_set(err, LYNSE_INVALID, "%s: a key must be text, not %s (byte %zu)",
                             l->what, value_type_name(v.type), w->at);
        top->left--;
        w->promised--;
    }
    if (v.type == VALUE_TEXT && !utf8_is_valid(v.as.text.data, v.as.text.size))
        return error_set(err, LYNSE_PARSE, "%s: the text at byte %zu is not UTF-8", l->what, w->at);
    w->at += size;
    if (v.type == VALUE_ARRAY || v.type == VALUE_MAP)
        return enter_container(w, &v, end - w->at, err);
    return 0;
}

int msgpack_check(struct slice bytes, const struct msgpack_limits *limits, size_t *out_size,
                  struct error *err)
{
    CHECK(limits->depth_max <= MSGPACK_DEPTH_MAX && limits->bytes_max <= UINT32_MAX);
    CHECK(!limits->has_unique_keys ||
          (limits->has_text_keys && limits->key_count_max <= MSGPACK_UNIQUE_KEYS_MAX));

    struct check_walk w; /* the stack's frames are written before they are read */
    w.limits = limits;
    w.bytes = bytes;
    w.at = 0;
    w.node_count = 0;
    w.promised = 0;
    w.depth = 0;
    do {
        if (check_token(&w, err) != 0) return -1;
        while (w.depth > 0 && w.stack[w.depth - 1].left == 0) w.depth--;
    } while (w.depth > 0);
    if (out_size) *out_size = w.at;
    return 0;
}

int document_check(struct slice doc, struct error *err)
{
    const struct msgpack_limits *l = &msgpack_document_limits;
    size_t size;
    struct value top;
    struct msgpack_cursor c = msgpack_cursor_of(doc);

    if (doc.size > l->bytes_max)
        return error_set(err, LYNSE_LIMIT, "%s: %zu bytes are over the limit of %zu", l->what,
                         doc.size, l->bytes_max);
    if (msgpack_next(&c, &top) && top.type != VALUE_MAP)
        return error_set(err, LYNSE_INVALID, "%s must be a map, not %s", l->what,
                         value_type_name(top.type));
    if (msgpack_check(doc, l, &size, err) != 0) return -1;
    if (size != doc.size)
        return error_set(err, LYNSE_PARSE, "%s: %zu bytes behind the map", l->what,
                         doc.size - size);
    return 0;
}
