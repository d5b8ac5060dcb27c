/* SPDX-License-Identifier: Apache-2.0 */
/* client.c — msgpack-RPC with a server: one socket, one request at a time.
 *
 * WHAT        A socket that does not block, and polls with a deadline.  An idle one is looked at
 *             before it is used: one that the server has closed meanwhile costs nothing.
 * INVARIANTS  (1) Between requests nothing is owed: what can be read then is an end, or what nobody
 *                 asked for, and the socket is closed.
 *             (2) The answer is kept as it comes, READ_BYTES at a time: what a head declares takes
 *                 no memory, and answer_limits bound it all.
 *             (3) A request whose last byte was not handed to the system is not carried out: a
 *                 frame that is not whole is none.
 *             (4) A socket that a parent process made is closed in the child and not written to.
 * THREADS     One owner.
 * FAILURE     Every outcome but an answer closes the socket.  The resolver of names knows no
 *             deadline.
 */
#include "lua/module/client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"

enum {
    READ_BYTES = 256 << 10,
    CONNECT_TIMEOUT_US = 10000000,
    POLL_MAX_MS = 60000, /* of one poll; there are as many as the deadline takes */
};

/* Hits of a whole call, with room for what stands around them. */
static const struct rpc_limits answer_limits = {
    .bytes_max = LIMIT_GROUP_BYTES + (64u << 20),
    .node_count_max = 16u << 20,
    .depth_max = CLIENT_DEPTH,
};

void client_init(struct client *c)
{
    *c = (struct client){.fd = -1};
    buf_init(&c->key, alloc_libc(), MEM_SCRIPT);
}

void client_close(struct client *c)
{
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

void client_deinit(struct client *c)
{
    client_close(c);
    buf_deinit(&c->key);
}

/* ---- Waiting ---- */

/* 1: ready, or broken, as the next call will say; 0: the deadline is over. */
static int wait_for(int fd, short events, uint64_t deadline_us)
{
    for (;;) {
        uint64_t now_us = clock_now_us(clock_system());
        uint64_t left_ms = deadline_us > now_us ? (deadline_us - now_us + 999) / 1000 : 0;
        struct pollfd p = {.fd = fd, .events = events};
        int rc = poll(&p, 1, left_ms > POLL_MAX_MS ? POLL_MAX_MS : (int)left_ms);

        if (rc > 0 || (rc < 0 && errno != EINTR)) return 1;
        if (rc == 0 && left_ms <= POLL_MAX_MS) return 0;
    }
}

static int refuse_late(struct error *err)
{
    return error_set(err, LYNSE_DEADLINE, "no answer in time");
}

/* ---- Connecting ---- */

static int connect_socket(struct client *c, int family, const struct sockaddr *to,
                          socklen_t to_bytes, uint64_t deadline_us, struct error *err)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), failed = 0;
    socklen_t size = sizeof failed;

    if (fd < 0) return error_set_errno(err, LYNSE_IO, errno, "socket");
    if (connect(fd, to, to_bytes) != 0) failed = errno;
    if (failed == EINPROGRESS || failed == EINTR) {
        if (!wait_for(fd, POLLOUT, deadline_us)) failed = ETIMEDOUT;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) != 0) failed = errno;
    }
    if (failed != 0) {
        close(fd);
        return error_set_errno(err, LYNSE_IO, failed, "no connection");
    }
    c->fd = fd;
    c->pid = getpid();
    return 0;
}

static int connect_path(struct client *c, uint64_t deadline_us, struct error *err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    _Static_assert(sizeof to.sun_path == sizeof c->path, "as long as the system has them");
    memcpy(to.sun_path, c->path, sizeof to.sun_path);
    return connect_socket(c, AF_UNIX, (const struct sockaddr *)&to, sizeof to, deadline_us, err);
}

static int connect_host(struct client *c, uint64_t deadline_us, struct error *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    char port[8];
    int rc, one = 1;

    snprintf(port, sizeof port, "%u", c->port);
    rc = getaddrinfo(c->host, port, &hints, &list);
    if (rc != 0)
        return error_set_errno(err, LYNSE_IO, rc == EAI_SYSTEM ? errno : 0, "no such host: %s",
                               gai_strerror(rc));
    rc = error_set(err, LYNSE_IO, "the host has no address");
    for (const struct addrinfo *a = list; a && rc != 0; a = a->ai_next)
        rc = connect_socket(c, a->ai_family, a->ai_addr, a->ai_addrlen, deadline_us, err);
    freeaddrinfo(list);
    if (rc == 0) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return rc;
}

/* ---- Sending ---- */

static enum exchange send_frame(struct client *c, struct slice frame, uint64_t deadline_us,
                                struct error *err)
{
    size_t done = 0;

    while (done < frame.size) {
        ssize_t n = send(c->fd, frame.data + done, frame.size - done, MSG_NOSIGNAL);
        if (n >= 0) {
            done += (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (wait_for(c->fd, POLLOUT, deadline_us)) continue;
            error_set(err, LYNSE_DEADLINE, "the server does not take the request");
            return EXCHANGE_UNSENT; /* (3) */
        } else if (errno != EINTR) {
            error_set_errno(err, LYNSE_IO, errno, "the connection was lost");
            return EXCHANGE_UNSENT;
        }
    }
    return EXCHANGE_ANSWERED;
}

/* ---- Receiving ---- */

/* More of the answer; EXCHANGE_ANSWERED: some has come. */
static enum exchange receive_some(struct client *c, uint64_t deadline_us, struct buf *answer,
                                  struct error *err)
{
    if (!buf_reserve(answer, READ_BYTES)) { /* (2) */
        error_no_memory(err, answer->size + READ_BYTES);
        return EXCHANGE_BROKEN;
    }
    for (;;) {
        ssize_t n = recv(c->fd, answer->data + answer->size, READ_BYTES, 0);
        if (n > 0) {
            answer->size += (size_t)n;
            return EXCHANGE_ANSWERED;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (wait_for(c->fd, POLLIN, deadline_us)) continue;
            refuse_late(err);
            return EXCHANGE_LATE;
        }
        if (n == 0) error_set(err, LYNSE_IO, "the connection was closed by the server");
        else error_set_errno(err, LYNSE_IO, errno, "the connection was lost");
        return EXCHANGE_LOST;
    }
}

static enum exchange receive_frame(struct client *c, uint64_t deadline_us, struct buf *answer,
                                   struct rpc_message *out, struct error *err)
{
    struct rpc_finder finder;
    size_t frame_bytes = 0;

    rpc_finder_reset(&finder);
    for (;;) {
        enum exchange end = receive_some(c, deadline_us, answer, err);
        if (end != EXCHANGE_ANSWERED) return end;
        enum rpc_found found =
            rpc_finder_feed(&finder, &answer_limits, buf_slice(answer), &frame_bytes, err);
        if (found == RPC_FRAME) break;
        if (found == RPC_BROKEN) return EXCHANGE_BROKEN;
    }
    if (frame_bytes != answer->size)
        error_set(err, LYNSE_INTERNAL, "%zu bytes behind the answer", answer->size - frame_bytes);
    else if (rpc_read(buf_slice(answer), &answer_limits, out, err) != 0) return EXCHANGE_BROKEN;
    else if (out->kind != RPC_RESPONSE || out->msgid != c->number)
        error_set(err, LYNSE_INTERNAL, "a message that answers no request of ours");
    else if (out->error.type == VALUE_NULL && out->result.type != VALUE_MAP)
        error_set(err, LYNSE_INTERNAL, "a result that is a %s instead of a map",
                  value_type_name(out->result.type));
    else return EXCHANGE_ANSWERED;
    return EXCHANGE_BROKEN;
}

/* ---- Both ---- */

static enum exchange exchange_frames(struct client *c, struct slice frame, uint64_t deadline_us,
                                     struct buf *answer, struct rpc_message *out, struct error *err)
{
    enum exchange end = send_frame(c, frame, deadline_us, err);

    if (end == EXCHANGE_ANSWERED) end = receive_frame(c, deadline_us, answer, out, err);
    if (end != EXCHANGE_ANSWERED) client_close(c);
    return end;
}

/* The key goes first; without it, or with a wrong one, nothing is done. */
static int authenticate(struct client *c, uint64_t deadline_us, struct error *err)
{
    struct rpc_message message;
    struct buf frame, answer;
    enum exchange end = EXCHANGE_REFUSED;

    buf_init(&frame, alloc_libc(), MEM_SCRIPT);
    buf_init(&answer, alloc_libc(), MEM_SCRIPT);
    rpc_write_request_head(&frame, c->number, slice_of_text("authenticate"));
    buf_append(&frame, c->key.data, c->key.size);
    if (!buf_ok(&frame)) error_no_memory(err, frame.size);
    else end = exchange_frames(c, buf_slice(&frame), deadline_us, &answer, &message, err);
    if (end != EXCHANGE_ANSWERED) {
        error_wrap(err, "authenticate");
    } else if (message.error.type != VALUE_NULL) {
        client_read_error(&message.error, err);
        end = EXCHANGE_REFUSED;
    }
    buf_deinit(&frame);
    buf_deinit(&answer);
    if (end == EXCHANGE_ANSWERED) return 0;
    client_close(c);
    return -1;
}

/* A socket that the next request may go to. */
static int prepare(struct client *c, uint64_t deadline_us, struct error *err)
{
    uint64_t latest_us = clock_now_us(clock_system()) + CONNECT_TIMEOUT_US;

    if (c->fd >= 0 && c->pid != getpid()) client_close(c);         /* (4) */
    if (c->fd >= 0 && wait_for(c->fd, POLLIN, 0)) client_close(c); /* (1) */
    if (c->fd >= 0) return 0;
    if (latest_us > deadline_us) latest_us = deadline_us;
    int rc = c->host[0] ? connect_host(c, latest_us, err) : connect_path(c, latest_us, err);
    return rc == 0 && c->key.size > 0 ? authenticate(c, latest_us, err) : rc;
}

enum exchange client_exchange(struct client *c, struct slice frame, uint64_t deadline_us,
                              struct buf *answer, struct rpc_message *out_message,
                              struct error *err)
{
    buf_reset(answer);
    if (prepare(c, deadline_us, err) != 0) return EXCHANGE_REFUSED;
    return exchange_frames(c, frame, deadline_us, answer, out_message, err);
}

void client_read_error(const struct value *answer, struct error *out)
{
    struct value_walk walk = value_walk_of(answer);
    struct value code, text, more, retry;

    if (walk.is_map || !value_walk_next(&walk, NULL, &code) || code.type != VALUE_INT ||
        code.as.integer < 1 || code.as.integer > INT32_MAX ||
        !value_walk_next(&walk, NULL, &text) || text.type != VALUE_TEXT) {
        error_set(out, LYNSE_INTERNAL, "the server answered with an error that is none");
        return;
    }
    size_t size = text.as.text.size < ERROR_TEXT_BYTES ? text.as.text.size : ERROR_TEXT_BYTES;
    error_set(out, (int)code.as.integer, "%.*s", (int)size, (const char *)text.as.text.data);
    if (!value_walk_next(&walk, NULL, &more)) return;
    if (!value_get(&more, slice_of_text("retry_after_ms"), &retry)) return;
    if (retry.type == VALUE_INT && retry.as.integer > 0 && retry.as.integer <= UINT32_MAX)
        out->retry_after_ms = (uint32_t)retry.as.integer;
}
