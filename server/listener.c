/* SPDX-License-Identifier: Apache-2.0 */
/* listener.c — sockets that accept, all on the first loop (arrival.h deals the peers out). */
#include "server/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/connection.h"
#include "server/loop.h"

static int fail_uv(struct error *err, int rc, const char *what)
{
    int code = rc == UV_EADDRINUSE ? LYNSE_BUSY : rc == UV_EACCES ? LYNSE_READ_ONLY : LYNSE_IO;
    return error_set(err, code, "%s: %s", what, uv_strerror(rc));
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *s = stream->data;
    if (status == 0) connection_accept(stream->loop->data, s);
}

/* A bound socket, or -errno. */
static int bind_socket(const struct sockaddr_storage *address)
{
    socklen_t size =
        address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

    if (fd < 0) return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (const struct sockaddr *)address, size) == 0)
        return fd;
    int rc = -errno;
    close(fd);
    return rc;
}

static unsigned port_of(const struct sockaddr_storage *address)
{
    const void *a = address; /* the port is at the same place in both families */
    const struct sockaddr_in *in = a;
    return ntohs(in->sin_port);
}

int listener_open_port(struct listener *s, struct loop *l, const char *host, unsigned port,
                       unsigned *out_port, struct error *err)
{
    struct sockaddr_storage address = {0};
    void *any = &address;
    socklen_t size = sizeof address;

    if (strcmp(host, "localhost") == 0) host = "127.0.0.1";
    if (uv_ip4_addr(host, (int)port, any) != 0 && uv_ip6_addr(host, (int)port, any) != 0)
        return error_set(err, LYNSE_INVALID, "host: '%s' is no address", host);
    int fd = bind_socket(&address);
    if (fd < 0) return fail_uv(err, fd, "port");
    uv_tcp_init(&l->uv, &s->uv.tcp);
    s->is_open = true;
    s->uv.handle.data = s;
    int rc = uv_tcp_open(&s->uv.tcp, fd);
    if (rc != 0) close(fd); /* else it is the handle's */
    if (rc == 0) rc = uv_listen(&s->uv.stream, LISTENER_BACKLOG, on_connection);
    if (rc != 0) return fail_uv(err, rc, "port");
    getsockname(fd, any, &size);
    *out_port = port_of(&address);
    return 0;
}

/* 0: nobody listens there, and nothing is in the way. */
static int clear_path(const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;

    if (lstat(path, &st) != 0) return 0;
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, LYNSE_ALREADY_EXISTS, "socket: %s is there, and is no socket", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return error_set_errno(err, LYNSE_IO, errno, "socket");
    /* One that is merely busy answers EAGAIN. */
    bool is_live = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ||
                   (errno != ECONNREFUSED && errno != ENOENT);
    close(fd);
    if (is_live)
        return error_set(err, LYNSE_ALREADY_EXISTS, "socket: somebody listens at %s", path);
    if (unlink(path) != 0)
        return error_set_errno(err, LYNSE_IO, errno, "socket: cannot replace %s", path);
    return 0;
}

int listener_open_socket(struct listener *s, struct loop *l, const char *path, struct error *err)
{
    size_t size = strlen(path);

    if (size > LISTENER_PATH_BYTES)
        return error_set(err, LYNSE_LIMIT, "socket: a path of %zu bytes, at most %d", size,
                         LISTENER_PATH_BYTES);
    if (clear_path(path, err) != 0) return -1;
    uv_pipe_init(&l->uv, &s->uv.pipe, 0);
    s->is_open = s->is_pipe = true;
    s->uv.handle.data = s;
    int rc = uv_pipe_bind(&s->uv.pipe, path);
    if (rc == 0) rc = uv_listen(&s->uv.stream, LISTENER_BACKLOG, on_connection);
    return rc == 0 ? 0 : fail_uv(err, rc, "socket");
}

void listener_close(struct listener *s)
{
    if (s->is_open && !uv_is_closing(&s->uv.handle)) uv_close(&s->uv.handle, NULL);
    s->is_open = false;
}
