/* SPDX-License-Identifier: Apache-2.0 */
/* client.h — msgpack-RPC with a server: one socket, one request at a time.
 *
 * A connection is made when the first request needs it, and anew when the last one was lost.  What
 * may be sent again is for the caller, whom the outcome tells what the server can have done.
 * No Lua here, and none runs meanwhile.  One owner, no thread safety.
 */
#ifndef LUA_MODULE_CLIENT_H
#define LUA_MODULE_CLIENT_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "codec/rpc.h"

enum { CLIENT_HOST_BYTES = 256, CLIENT_PATH_BYTES = 108, CLIENT_DEPTH = 40 };

struct client {
    char host[CLIENT_HOST_BYTES]; /* a name or address; empty: path counts */
    char path[CLIENT_PATH_BYTES]; /* of a Unix socket */
    uint16_t port;
    int fd;          /* -1: none */
    pid_t pid;       /* the process that made fd: a child leaves it alone */
    uint32_t number; /* of the last request */
    struct buf key;  /* the params of authenticate; empty: there is no key */
};

/* What came of a request: of which the server cannot have done anything, or may have. */
enum exchange {
    EXCHANGE_ANSWERED,
    EXCHANGE_REFUSED, /* no connection, or no entry: not done, and no use to try at once */
    EXCHANGE_UNSENT,  /* lost before all of it was sent: not done */
    EXCHANGE_LOST,    /* lost behind it */
    EXCHANGE_LATE,    /* no answer in time */
    EXCHANGE_BROKEN,  /* what came is no answer, or too large a one */
};

/* Without a socket yet; the caller sets host and port, or path. */
void client_init(struct client *c);
void client_close(struct client *c); /* the socket alone; the next request makes another */
void client_deinit(struct client *c);

/* Send a frame, which is a request with number c->number, and wait for its answer.
 *
 * deadline_us  of the system's monotonic clock
 * answer       the frame that came, for out_message, which borrows from it; at most
 *              LIMIT_GROUP_BYTES and some heads
 * err          of everything but EXCHANGE_ANSWERED, whose own error is in out_message.  The socket
 *              is closed then.
 */
enum exchange client_exchange(struct client *c, struct slice frame, uint64_t deadline_us,
                              struct buf *answer, struct rpc_message *out_message,
                              struct error *err);

/* An error of the server's: [number, text, {retry_after_ms}].  What is none is INTERNAL. */
void client_read_error(const struct value *answer, struct error *out);

#endif
