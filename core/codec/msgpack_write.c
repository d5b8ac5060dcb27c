/* SPDX-License-Identifier: Apache-2.0 */
/* msgpack_write.c — the shortest encoding of each value, appended to a buf.
 *
 * WHAT        One function per type; heads of containers are followed by what the caller writes.
 * LAYOUT      msgpack.c.
 * INVARIANTS  (1) A value has one encoding: the shortest head that holds it; floats are always 64
 *                 bits wide, so that reading and writing again changes no byte.
 * THREADS     No state: any thread.
 * FAILURE     A full buf remembers that it failed; nothing else can fail.
 */
#include "base/bytes.h"
#include "base/check.h"
#include "codec/msgpack.h"

enum { EXT_TIMESTAMP = 0xff }; /* −1 */

/* The low n bytes of v, big-endian; n is 0, 1, 2, 4 or 8. */
static void store_big(uint8_t *to, uint64_t v, size_t n)
{
    switch (n) {
    case 1:
        to[0] = (uint8_t)v;
        return;
    case 2:
        store_u16(to, __builtin_bswap16((uint16_t)v));
        return;
    case 4:
        store_u32(to, __builtin_bswap32((uint32_t)v));
        return;
    case 8:
        store_u64(to, __builtin_bswap64(v));
        return;
    default:
        return;
    }
}

static void write_head(struct buf *b, uint8_t head, uint64_t argument, size_t argument_bytes)
{
    uint8_t *p = buf_extend(b, 1 + argument_bytes);
    if (!p) return;
    p[0] = head;
    store_big(p + 1, argument, argument_bytes);
}

void msgpack_write_null(struct buf *b)
{
    buf_append_u8(b, 0xc0);
}

void msgpack_write_bool(struct buf *b, bool v)
{
    buf_append_u8(b, v ? 0xc3 : 0xc2);
}

void msgpack_write_uint(struct buf *b, uint64_t v)
{
    if (v < 0x80) buf_append_u8(b, (uint8_t)v);
    else if (v <= UINT8_MAX) write_head(b, 0xcc, v, 1);
    else if (v <= UINT16_MAX) write_head(b, 0xcd, v, 2);
    else if (v <= UINT32_MAX) write_head(b, 0xce, v, 4);
    else write_head(b, 0xcf, v, 8);
}

void msgpack_write_int(struct buf *b, int64_t v)
{
    if (v >= 0) msgpack_write_uint(b, (uint64_t)v);
    else if (v >= -32) buf_append_u8(b, (uint8_t)v);
    else if (v >= INT8_MIN) write_head(b, 0xd0, (uint64_t)v, 1);
    else if (v >= INT16_MIN) write_head(b, 0xd1, (uint64_t)v, 2);
    else if (v >= INT32_MIN) write_head(b, 0xd2, (uint64_t)v, 4);
    else write_head(b, 0xd3, (uint64_t)v, 8);
}

void msgpack_write_float(struct buf *b, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    write_head(b, 0xcb, bits, 8);
}

void msgpack_write_text_head(struct buf *b, size_t size)
{
    CHECK(size <= UINT32_MAX);
    if (size < 32) buf_append_u8(b, (uint8_t)(0xa0 | size));
    else if (size <= UINT8_MAX) write_head(b, 0xd9, size, 1);
    else if (size <= UINT16_MAX) write_head(b, 0xda, size, 2);
    else write_head(b, 0xdb, size, 4);
}

void msgpack_write_text(struct buf *b, struct slice text)
{
    msgpack_write_text_head(b, text.size);
    buf_append(b, text.data, text.size);
}

void msgpack_write_bytes(struct buf *b, struct slice bytes)
{
    CHECK(bytes.size <= UINT32_MAX);
    if (bytes.size <= UINT8_MAX) write_head(b, 0xc4, bytes.size, 1);
    else if (bytes.size <= UINT16_MAX) write_head(b, 0xc5, bytes.size, 2);
    else write_head(b, 0xc6, bytes.size, 4);
    buf_append(b, bytes.data, bytes.size);
}

size_t msgpack_encode_head(bool is_map, uint32_t count, uint8_t out[MSGPACK_HEAD_BYTES])
{
    if (count < 16) {
        out[0] = (uint8_t)((is_map ? 0x80 : 0x90) | count);
        return 1;
    }
    size_t argument_bytes = count <= UINT16_MAX ? 2 : 4;
    out[0] = (uint8_t)((is_map ? 0xde : 0xdc) + (argument_bytes == 4));
    store_big(out + 1, count, argument_bytes);
    return 1 + argument_bytes;
}

void msgpack_write_array(struct buf *b, uint32_t count)
{
    uint8_t head[MSGPACK_HEAD_BYTES];
    buf_append(b, head, msgpack_encode_head(false, count, head));
}

void msgpack_write_map(struct buf *b, uint32_t count)
{
    uint8_t head[MSGPACK_HEAD_BYTES];
    buf_append(b, head, msgpack_encode_head(true, count, head));
}

void msgpack_write_datetime(struct buf *b, int64_t us)
{
    int64_t seconds = us / 1000000;
    int64_t rest = us % 1000000;
    if (rest < 0) {
        rest += 1000000;
        seconds--;
    }
    uint64_t nanoseconds = (uint64_t)rest * 1000;
    uint64_t unsigned_seconds = (uint64_t)seconds;
    uint8_t *p;
    if (unsigned_seconds >> 34 != 0) { /* negative ones too */
        if (!(p = buf_extend(b, 15))) return;
        p[0] = 0xc7;
        p[1] = 12;
        p[2] = EXT_TIMESTAMP;
        store_big(p + 3, nanoseconds, 4);
        store_big(p + 7, unsigned_seconds, 8);
    } else if (nanoseconds != 0 || unsigned_seconds > UINT32_MAX) {
        if (!(p = buf_extend(b, 10))) return;
        p[0] = 0xd7;
        p[1] = EXT_TIMESTAMP;
        store_big(p + 2, nanoseconds << 34 | unsigned_seconds, 8);
    } else {
        if (!(p = buf_extend(b, 6))) return;
        p[0] = 0xd6;
        p[1] = EXT_TIMESTAMP;
        store_big(p + 2, unsigned_seconds, 4);
    }
}

void msgpack_write_value(struct buf *b, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        msgpack_write_null(b);
        return;
    case VALUE_BOOL:
        msgpack_write_bool(b, v->as.boolean);
        return;
    case VALUE_INT:
        msgpack_write_int(b, v->as.integer);
        return;
    case VALUE_UINT:
        msgpack_write_uint(b, v->as.uinteger);
        return;
    case VALUE_FLOAT:
        msgpack_write_float(b, v->as.number);
        return;
    case VALUE_TEXT:
        msgpack_write_text(b, v->as.text);
        return;
    case VALUE_BYTES:
        msgpack_write_bytes(b, v->as.bytes);
        return;
    case VALUE_DATETIME:
        msgpack_write_datetime(b, v->as.datetime_us);
        return;
    case VALUE_ARRAY:
    case VALUE_MAP:
        buf_append(b, v->raw.data, v->raw.size);
        return;
    }
}
