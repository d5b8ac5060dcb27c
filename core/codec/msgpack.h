/* SPDX-License-Identifier: Apache-2.0 */
/* msgpack.h — bounded, non-recursive reader and writer of msgpack.
 *
 * Bytes from outside are checked once (msgpack_check, document_check); the cursor then reads them
 * without failing.  The cursor is safe on unchecked bytes too: it stops, it never over-reads.
 * Nothing here allocates except the writer, through its buf.  No thread state: any thread.
 */
#ifndef CODEC_MSGPACK_H
#define CODEC_MSGPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"
#include "codec/value.h"

enum {
    MSGPACK_DEPTH_MAX = 64,         /* no limit may allow more: the stacks are this deep */
    MSGPACK_UNIQUE_KEYS_MAX = 4096, /* key_count_max with has_unique_keys: same reason */
};

/* What a message may be.  The caller's constants, not a peer's: CHECKed. */
struct msgpack_limits {
    const char *what;        /* the field's name for error texts: "fields" */
    size_t bytes_max;        /* of the encoded value; < 4 GiB */
    uint64_t node_count_max; /* values in all, keys included */
    uint32_t depth_max;      /* 0: scalars only; <= MSGPACK_DEPTH_MAX */
    uint32_t key_count_max;  /* of one map */
    bool has_text_keys;      /* every key must be text */
    bool has_unique_keys;    /* no key twice in one map; needs has_text_keys */
};

/* The limits of one record's fields (base/limits.h). */
extern const struct msgpack_limits msgpack_document_limits;

/* Check the one value that `bytes` begins with; what follows it is not looked at.
 *
 * out_size  bytes of the value; may be NULL
 * err       PARSE: no msgpack, or cut short, or text that is not UTF-8.  INVALID: a type that we
 *           do not have (extensions other than −1), a datetime out of range, a key that is no
 *           text, a key twice.  LIMIT: over a limit; names `what`, the value and the limit.
 */
int msgpack_check(struct slice bytes, const struct msgpack_limits *limits, size_t *out_size,
                  struct error *err);

/* `doc` is exactly one map within msgpack_document_limits.  Errors as msgpack_check. */
int document_check(struct slice doc, struct error *err);

/* INVALID, naming the key, when a text key appears twice in the content of a map of pair_count
 * pairs (<= MSGPACK_UNIQUE_KEYS_MAX).  0 as well where the bytes are damaged or a key is no text:
 * that is for msgpack_check to say. */
int msgpack_check_unique_keys(struct slice content, uint32_t pair_count, const char *what,
                              struct error *err);

/* ---- Reading ---- */

struct msgpack_cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static inline struct msgpack_cursor msgpack_cursor_of(struct slice bytes)
{
    return (struct msgpack_cursor){bytes.data, bytes.size ? bytes.data + bytes.size : bytes.data};
}
static inline struct slice msgpack_cursor_rest(const struct msgpack_cursor *c)
{
    return slice_of(c->at, (size_t)(c->end - c->at));
}

/* The next token: a scalar, or the head of a container whose `count` items (pairs) follow as
 * tokens of their own; raw is then the head alone and as.content is empty.
 * false at the end and where the bytes are damaged; the cursor does not move then. */
bool msgpack_next(struct msgpack_cursor *c, struct value *out);
/* The next whole value; the cursor ends behind all that is in it. */
bool msgpack_read(struct msgpack_cursor *c, struct value *out);
bool msgpack_skip(struct msgpack_cursor *c);

/* ---- Writing: shortest encodings; failures are remembered by the buf ---- */

void msgpack_write_null(struct buf *b);
void msgpack_write_bool(struct buf *b, bool v);
void msgpack_write_int(struct buf *b, int64_t v);
void msgpack_write_uint(struct buf *b, uint64_t v);
void msgpack_write_float(struct buf *b, double v);           /* always a float 64 */
void msgpack_write_text(struct buf *b, struct slice text);   /* size < 4 GiB, CHECKed */
void msgpack_write_text_head(struct buf *b, size_t size);    /* `size` bytes of text follow */
void msgpack_write_bytes(struct buf *b, struct slice bytes); /* size < 4 GiB, CHECKed */
void msgpack_write_array(struct buf *b, uint32_t count);     /* head; count values follow */
void msgpack_write_map(struct buf *b, uint32_t count);       /* head; count pairs follow */
void msgpack_write_datetime(struct buf *b, int64_t us);      /* the shortest timestamp form */
/* Any value, containers with all that is in them as they are encoded. */
void msgpack_write_value(struct buf *b, const struct value *v);

enum { MSGPACK_HEAD_BYTES = 5 };
/* The head of an array or map into out; returns its bytes: 1, 3 or 5. */
size_t msgpack_encode_head(bool is_map, uint32_t count, uint8_t out[MSGPACK_HEAD_BYTES]);

#endif
