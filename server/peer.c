/* SPDX-License-Identifier: Apache-2.0 */
/* peer.c — the caller's end (peer.h). */
#include "server/peer.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"

enum { HOST_BYTES_MAX = 255, READ_BYTES = 64 << 10 };

/* ---- Opening ---- */

static void set_timeouts(int fd, unsigned timeout_s)
{
    struct timeval limit = {.tv_sec = (time_t)timeout_s};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); /* of connect too */
}

static int open_socket(struct peer *p, const char *path, unsigned timeout_s, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path);

    if (size == 0 || size >= sizeof address.sun_path)
        return error_set(err, LYNSE_INVALID, "unix: a path of %zu bytes, must be 1 to %zu", size,
                         sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, size);
    p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0) return error_set_errno(err, LYNSE_IO, errno, "socket");
    set_timeouts(p->fd, timeout_s);
    if (connect(p->fd, (const struct sockaddr *)&address, sizeof address) == 0) return 0;
    return error_set_errno(err, LYNSE_IO, errno, "nobody answers at %s", path);
}

/* HOST:PORT, [ADDRESS]:PORT, HOST; a slash may end it. */
static int split_place(const char *place, char host[HOST_BYTES_MAX + 1], char port[6],
                       struct error *err)
{
    size_t size = strcspn(place, "/");
    const char *last = memrchr(place, ':', size), *bracket = memchr(place, ']', size);
    size_t host_bytes = last && (!bracket || last > bracket) ? (size_t)(last - place) : size;
    size_t port_bytes = host_bytes < size ? size - host_bytes - 1 : 0;

    memcpy(port, "7637", 5);
    if (host_bytes == 0 || host_bytes > HOST_BYTES_MAX || port_bytes > 5)
        return error_set(err, LYNSE_INVALID, "url: '%.64s' must be HOST:PORT", place);
    if (port_bytes) {
        memcpy(port, last + 1, port_bytes);
        port[port_bytes] = '\0';
    }
    if (place[0] == '[' && bracket) {
        place++;
        host_bytes = (size_t)(bracket - place);
    }
    memcpy(host, place, host_bytes);
    host[host_bytes] = '\0';
    return 0;
}

static int open_port(struct peer *p, const char *place, unsigned timeout_s, struct error *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    char host[HOST_BYTES_MAX + 1], port[6];
    int failed = 0;

    if (split_place(place, host, port, err) != 0) return -1;
    int rc = getaddrinfo(host, port, &hints, &list);
    if (rc != 0) return error_set(err, LYNSE_IO, "url: %s: %s", host, gai_strerror(rc));
    for (struct addrinfo *a = list; a && p->fd < 0; a = a->ai_next) {
        p->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (p->fd >= 0) set_timeouts(p->fd, timeout_s);
        if (p->fd >= 0 && connect(p->fd, a->ai_addr, a->ai_addrlen) == 0) break;
        failed = errno;
        if (p->fd >= 0) close(p->fd);
        p->fd = -1;
    }
    freeaddrinfo(list);
    if (p->fd >= 0) return 0;
    return error_set_errno(err, LYNSE_IO, failed, "nobody answers at %s:%s", host, port);
}

static const char *behind_prefix(const char *url, const char *prefix)
{
    size_t size = strlen(prefix);
    return strncmp(url, prefix, size) == 0 ? url + size : NULL;
}

int peer_open(struct peer *p, const char *url, unsigned timeout_s, struct error *err)
{
    const char *place;

    *p = (struct peer){.fd = -1};
    buf_init(&p->out, alloc_libc(), MEM_MESSAGE);
    buf_init(&p->in, alloc_libc(), MEM_MESSAGE);
    if ((place = behind_prefix(url, "unix:"))) return open_socket(p, place, timeout_s, err);
    if ((place = behind_prefix(url, "http://")) || (place = behind_prefix(url, "lynse://")))
        return open_port(p, place, timeout_s, err);
    if (behind_prefix(url, "https://"))
        return error_set(err, LYNSE_UNSUPPORTED, "url: TLS is not there yet: http:// or lynse://");
    return error_set(err, LYNSE_INVALID,
                     "url: '%.64s' must begin with http://, lynse:// or unix:", url);
}

void peer_close(struct peer *p)
{
    if (p->fd >= 0) close(p->fd);
    buf_deinit(&p->out);
    buf_deinit(&p->in);
    p->fd = -1;
}

/* ---- Asking ---- */

void peer_begin(struct peer *p, struct slice method)
{
    buf_reset(&p->out);
    rpc_write_request_head(&p->out, ++p->next_id, method);
}

static int fail_socket(struct error *err, const char *doing)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return error_set(err, LYNSE_DEADLINE, "%s: the time is up", doing);
    return error_set_errno(err, LYNSE_IO, errno, "%s", doing);
}

static int send_all(struct peer *p, struct error *err)
{
    if (!buf_ok(&p->out)) return error_no_memory(err, p->out.size);
    for (size_t done = 0; done < p->out.size;) {
        ssize_t count = send(p->fd, p->out.data + done, p->out.size - done, MSG_NOSIGNAL);
        if (count >= 0) done += (size_t)count;
        else if (errno != EINTR) return fail_socket(err, "sending");
    }
    return 0;
}

static int receive(struct peer *p, size_t *out_frame_bytes, struct error *err)
{
    struct rpc_finder finder;

    rpc_finder_reset(&finder);
    buf_reset(&p->in);
    for (;;) {
        if (!buf_reserve(&p->in, READ_BYTES)) return error_no_memory(err, p->in.size + READ_BYTES);
        ssize_t count = recv(p->fd, p->in.data + p->in.size, READ_BYTES, 0);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_socket(err, "waiting for the answer");
        if (count == 0) return error_set(err, LYNSE_IO, "the server closed the connection");
        p->in.size += (size_t)count;
        switch (rpc_finder_feed(&finder, &rpc_limits_default, buf_slice(&p->in), out_frame_bytes,
                                err)) {
        case RPC_MORE:
            break;
        case RPC_BROKEN:
            return error_wrap(err, "the answer");
        case RPC_FRAME:
            return 0;
        }
    }
}

int peer_ask(struct peer *p, struct value *out, struct error *err)
{
    struct rpc_message message;
    size_t bytes = 0;

    p->has_failed = false;
    if (send_all(p, err) != 0 || receive(p, &bytes, err) != 0) return -1;
    if (rpc_read(slice_of(p->in.data, bytes), &rpc_limits_default, &message, err) != 0)
        return error_wrap(err, "the answer");
    if (message.kind != RPC_RESPONSE || message.msgid != p->next_id)
        return error_set(err, LYNSE_PARSE, "the answer is to another request");
    p->has_failed = message.error.type != VALUE_NULL;
    *out = p->has_failed ? message.error : message.result;
    return p->has_failed ? -1 : 0;
}
