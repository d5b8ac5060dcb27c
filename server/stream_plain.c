/* SPDX-License-Identifier: Apache-2.0 */
/* stream_plain.c — a socket of libuv as a stream.  Reads go to the loop's one buffer, so that a
 * connection that waits holds none. */
#include <errno.h>

#include "server/address_counts.h"
#include "server/loop.h"
#include "server/stream.h"

enum { WRITE_BYTES_MAX = 1 << 30, WRITE_PARTS_MAX = 64 }; /* a length is an int in the kernel */

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct loop *l = handle->loop->data;
    (void)suggested;
    *out = uv_buf_init(l->read_buffer, LOOP_READ_BYTES);
}

static void take_bytes(uv_stream_t *uv, ssize_t count, const uv_buf_t *buffer)
{
    struct stream *s = uv->data;

    if (count == 0) return; /* EAGAIN */
    if (count < 0) s->events->on_end(s->ctx, count == UV_EOF);
    else s->events->on_bytes(s->ctx, slice_of(buffer->base, (size_t)count));
}

static int start_reading(struct stream *s)
{
    return uv_read_start(&s->uv.stream, lend_buffer, take_bytes);
}

static void stop_reading(struct stream *s)
{
    uv_read_stop(&s->uv.stream);
}

static long try_write(struct stream *s, struct slice bytes)
{
    size_t size = bytes.size < WRITE_BYTES_MAX ? bytes.size : WRITE_BYTES_MAX;
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes.data, (unsigned)size);
    int taken = uv_try_write(&s->uv.stream, &buffer, 1);
    return taken == UV_EAGAIN ? 0 : taken;
}

static void finish_write(uv_write_t *write, int status)
{
    struct stream *s = write->data;
    s->events->on_written(s->ctx, status);
}

static int write_all(struct stream *s, struct slice bytes)
{
    uv_buf_t buffers[WRITE_PARTS_MAX];
    unsigned count = 0;

    for (; bytes.size && count < WRITE_PARTS_MAX; count++) {
        size_t size = bytes.size < WRITE_BYTES_MAX ? bytes.size : WRITE_BYTES_MAX;
        buffers[count] = uv_buf_init((char *)(uintptr_t)bytes.data, (unsigned)size);
        bytes = slice_of(bytes.data + size, bytes.size - size);
    }
    if (bytes.size) return UV_EMSGSIZE;
    s->write.data = s;
    return uv_write(&s->write, &s->uv.stream, buffers, count, finish_write);
}

static size_t unsent(const struct stream *s)
{
    return s->uv.stream.write_queue_size;
}

static void finish_shutdown(uv_shutdown_t *shutdown, int status)
{
    (void)shutdown;
    (void)status; /* a peer that is gone needs no end */
}

static int end_writing(struct stream *s)
{
    return uv_shutdown(&s->shutdown, &s->uv.stream, finish_shutdown);
}

static void finish_close(uv_handle_t *handle)
{
    struct stream *s = handle->data;
    s->events->on_closed(s->ctx);
}

static void close_stream(struct stream *s)
{
    uv_close(&s->uv.handle, finish_close);
}

static const struct stream_ops plain_ops = {
    .start_reading = start_reading,
    .stop_reading = stop_reading,
    .try_write = try_write,
    .write = write_all,
    .unsent = unsent,
    .end_writing = end_writing,
    .close = close_stream,
};

int stream_plain_open(struct stream *s, struct loop *l, bool is_pipe)
{
    int rc = is_pipe ? uv_pipe_init(&l->uv, &s->uv.pipe, 0) : uv_tcp_init(&l->uv, &s->uv.tcp);

    s->ops = &plain_ops;
    s->uv.handle.data = s;
    return rc;
}

bool stream_plain_address(const struct stream *s, uint64_t *out)
{
    struct sockaddr_storage address = {0};
    void *any = &address;
    int size = sizeof address;

    return s->uv.handle.type == UV_TCP && uv_tcp_getpeername(&s->uv.tcp, any, &size) == 0 &&
           address_key(any, out);
}

bool stream_plain_is_pipe(const struct stream *s)
{
    return s->uv.handle.type == UV_NAMED_PIPE;
}

int stream_plain_accept(struct stream *s, uv_stream_t *listener)
{
    int rc = uv_accept(listener, &s->uv.stream);

    if (rc == 0 && s->uv.handle.type == UV_TCP) uv_tcp_nodelay(&s->uv.tcp, 1);
    return rc;
}

int stream_plain_adopt(struct stream *s, int fd)
{
    if (stream_plain_is_pipe(s)) return uv_pipe_open(&s->uv.pipe, fd);
    int rc = uv_tcp_open(&s->uv.tcp, fd);
    if (rc == 0) uv_tcp_nodelay(&s->uv.tcp, 1);
    return rc;
}
