/* SPDX-License-Identifier: Apache-2.0 */
/* rpc.h — msgpack-RPC: frames out of a stream, messages out of frames, answers into bufs.
 *
 * A frame is one msgpack value: [0, msgid, method, params], [1, msgid, error, result] or
 * [2, method, params].  There is no length before it, so two steps read one:
 *
 *     rpc_finder_feed   where does the frame end?  Where it fails nothing behind can be trusted:
 *                       the connection has to be closed.
 *     rpc_read          what does it say?  Where it fails the frame is known all the same, and the
 *                       connection goes on behind it.
 *
 * Everything read borrows from the frame's bytes.  One owner, no thread safety.
 */
#ifndef CODEC_RPC_H
#define CODEC_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"
#include "codec/msgpack.h"
#include "codec/value.h"

/* What a frame may be.  At most what base/limits.h says; CHECKed. */
struct rpc_limits {
    uint64_t bytes_max;      /* of the frame; < 4 GiB */
    uint64_t node_count_max; /* values in it, keys included */
    uint32_t depth_max;      /* nesting of params; 1..MSGPACK_DEPTH_MAX */
};
extern const struct rpc_limits rpc_limits_default;

/* ---- Finding frames ---- */

struct rpc_finder {
    uint64_t at;         /* bytes of the frame that need not be looked at again */
    uint64_t node_count; /* values begun so far */
    uint64_t promised;   /* values that open containers have to come, all of them */
    uint32_t depth;
    uint64_t left[MSGPACK_DEPTH_MAX + 1]; /* values to come in each open container */
};

enum rpc_found { RPC_MORE, RPC_FRAME, RPC_BROKEN };

/* Ready for the next frame; before the first one too. */
void rpc_finder_reset(struct rpc_finder *f);

/* Look for the end of the frame that `bytes` begins with.  It takes the same bytes again with more
 * behind them until the frame is whole, and looks at each head once.
 *
 * out_bytes  RPC_FRAME: of the frame; reset before the next one
 * err        RPC_BROKEN: PARSE (no msgpack, or not an array of 3 or 4), TOO_LARGE (bytes_max; said
 *            when a length that is too large is declared, not when it has come) or LIMIT
 */
enum rpc_found rpc_finder_feed(struct rpc_finder *f, const struct rpc_limits *limits,
                               struct slice bytes, size_t *out_bytes, struct error *err);

/* The msgid of the request that bytes begin with, whole or not: whom a broken frame's error is
 * for.  false: it has none, or it has not come. */
bool rpc_peek_msgid(struct slice bytes, uint32_t *out_msgid);
/* Whether they begin a notification, whose sender waits for no answer.  Any bytes. */
bool rpc_is_notification(struct slice bytes);

/* ---- Reading frames ---- */

enum rpc_kind { RPC_REQUEST, RPC_RESPONSE, RPC_NOTIFICATION };

struct rpc_message {
    enum rpc_kind kind;
    uint32_t msgid;      /* not of a notification */
    struct slice method; /* UTF-8, 1..LIMIT_METHOD_BYTES; not of a response */
    struct value params; /* array or map; not of a response */
    struct value error;  /* of a response */
    struct value result; /* of a response */
};

/* Read a whole frame.  Its values pass msgpack_check: keys are text and unique in their map.
 *
 * err  INVALID, PARSE or LIMIT, naming the field.  To be answered where rpc_peek_msgid finds a
 *      msgid; the connection goes on.
 */
int rpc_read(struct slice frame, const struct rpc_limits *limits, struct rpc_message *out_message,
             struct error *err);

/* ---- Writing ---- */

/* Everything of a message but its last value, which the caller appends: result or params. */
void rpc_write_result_head(struct buf *out, uint32_t msgid);
void rpc_write_request_head(struct buf *out, uint32_t msgid, struct slice method);
void rpc_write_notification_head(struct buf *out, struct slice method);

/* [1, msgid, [code, text, {name, retry_after_ms}], nil]; retry_after_ms only where it is known. */
void rpc_write_error(struct buf *out, uint32_t msgid, const struct error *error);

#endif
