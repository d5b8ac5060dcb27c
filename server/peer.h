/* SPDX-License-Identifier: Apache-2.0 */
/* peer.h — the caller's end of msgpack-RPC: a blocking socket, one request at a time.
 *
 *     peer_open(&p, "http://127.0.0.1:7637", 30, &err);
 *     peer_begin(&p, slice_of_text("health"));
 *     msgpack_write_map(&p.out, 0);              the params: an array or a map
 *     peer_ask(&p, &answer, &err);
 *     peer_close(&p);
 *
 * One owner, one thread.
 */
#ifndef SERVER_PEER_H
#define SERVER_PEER_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"
#include "codec/rpc.h"

struct peer {
    int fd; /* -1: none */
    uint32_t next_id;
    struct buf out, in;
    bool has_failed; /* the last answer is the server's error */
};

/* http:// and lynse:// with HOST:PORT, both of which speak msgpack-RPC here; unix:PATH.  A step
 * of the socket's takes timeout_s at most.
 *
 * err  INVALID: no such URL; UNSUPPORTED: https; IO: nobody there */
int peer_open(struct peer *p, const char *url, unsigned timeout_s, struct error *err);
void peer_close(struct peer *p); /* one that could not be opened is allowed */

void peer_begin(struct peer *p, struct slice method);
/* Send what p->out has, and wait for its answer, which lives up to the next call.  Where the server
 * answered with an error has_failed is set, and *out is that.
 *
 * err  DEADLINE, IO, PARSE, NO_MEMORY */
int peer_ask(struct peer *p, struct value *out, struct error *err);

#endif
