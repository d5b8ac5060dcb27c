/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h — bytes to and from one peer, whatever they travel in: the seam for TLS (D14).
 *
 * A connection knows this alone.  stream_plain.c is TCP and Unix sockets as they are; an encrypted
 * stream is a second table over one of those.  Thread: the loop's.
 */
#ifndef SERVER_STREAM_H
#define SERVER_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"

struct stream;

struct stream_ops {
    /* 0, or an error of libuv. */
    int (*start_reading)(struct stream *s);
    void (*stop_reading)(struct stream *s);
    /* What can be written without waiting: bytes taken, 0 where nothing can, an error of libuv. */
    long (*try_write)(struct stream *s, struct slice bytes);
    /* Write all; the bytes stay until on_written.  One at a time.  0, or an error of libuv. */
    int (*write)(struct stream *s, struct slice bytes);
    size_t (*unsent)(const struct stream *s); /* of the write that is under way */
    /* The peer sees the end behind what was written; it may still be read from.  No write may be
     * under way.  0, or an error of libuv. */
    int (*end_writing)(struct stream *s);
    /* on_closed follows, and on_written before it where a write was under way. */
    void (*close)(struct stream *s);
};

/* Who uses a stream. */
struct stream_events {
    void (*on_bytes)(void *ctx, struct slice bytes); /* valid for the call */
    void (*on_end)(void *ctx, bool is_orderly);      /* the peer is done; not so: it is gone */
    void (*on_written)(void *ctx, int status);
    void (*on_closed)(void *ctx);
};

struct stream {
    const struct stream_ops *ops;
    const struct stream_events *events;
    void *ctx;
    /* Of stream_plain.c. */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    uv_write_t write;
    uv_shutdown_t shutdown;
};

struct loop;
/* 0: it is to be closed from here on; or an error of libuv. */
int stream_plain_open(struct stream *s, struct loop *l, bool is_pipe);
/* What its peer's address is counted by (address_counts.h); false: it has none, or is gone. */
bool stream_plain_address(const struct stream *s, uint64_t *out);
bool stream_plain_is_pipe(const struct stream *s);
/* Take the connection that `listener` has to give.  0, or an error of libuv. */
int stream_plain_accept(struct stream *s, uv_stream_t *listener);
/* Take a connected socket; it is the stream's where this is 0.  0, or an error of libuv. */
int stream_plain_adopt(struct stream *s, int fd);

#endif
