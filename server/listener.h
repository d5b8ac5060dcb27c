/* SPDX-License-Identifier: Apache-2.0 */
/* listener.h — where peers knock: a port, or a Unix socket.  Thread: the loop's. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <stdbool.h>
#include <uv.h>

#include "base/error.h"

enum { LISTENER_BACKLOG = 1024, LISTENER_PATH_BYTES = 107 };

struct loop;
struct listener {
    bool is_open;
    bool is_pipe;
    bool has_waiting; /* a peer that there was no memory for: it is tried again */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
};

/* port 0: any that is free; *out_port is the one.
 * err INVALID: no address; BUSY: in use; READ_ONLY: not allowed; IO. */
int listener_open_port(struct listener *s, struct loop *l, const char *host, unsigned port,
                       unsigned *out_port, struct error *err);
/* A socket that nobody listens at any more is replaced.  err LIMIT: a path over 107 bytes, before
 * anything is made; ALREADY_EXISTS: somebody listens, or it is no socket; IO. */
int listener_open_socket(struct listener *s, struct loop *l, const char *path, struct error *err);
void listener_close(struct listener *s); /* a zeroed one is allowed */

#endif
