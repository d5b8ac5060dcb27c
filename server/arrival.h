/* SPDX-License-Identifier: Apache-2.0 */
/* arrival.h — a peer on its way from the loop that listens to the loop that serves it.
 *
 * The first loop listens; each peer goes to the loop that has the fewest connections, so that a
 * handful of clients keeps all loops at work, which a kernel that deals by a hash of the port does
 * not.
 */
#ifndef SERVER_ARRIVAL_H
#define SERVER_ARRIVAL_H

#include <stdbool.h>
#include <uv.h>

#include "base/error.h"
#include "server/completion.h"

struct loop;

/* The loop for the next peer.  Thread: the first loop's. */
struct loop *arrival_choose(struct loop *listening);
/* Send the peer that waits at `listener` to `target`, another loop, which owns it from then on.
 * 0: it is taken from the listener, and closed where the target is about to end; an error of libuv,
 * or UV_ENOMEM, where it still waits.  Thread: the listener's loop. */
int arrival_send(struct loop *target, uv_stream_t *listener, bool is_pipe);
/* Loop's thread: begin and end to receive; what comes too late is closed. */
int arrivals_open(struct loop *l);
void arrivals_close(struct loop *l);  /* the handle: server_forget_loop came before */
void arrivals_refuse(struct loop *l); /* what was never taken; the loop's thread has ended */

#endif
