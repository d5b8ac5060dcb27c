/* SPDX-License-Identifier: Apache-2.0 */
/* completion.h — from threads of the engine back to a loop: what is pushed by any thread is handed
 * to one function on the loop's, in the order of the pushes, with one wake-up for many. */
#ifndef SERVER_COMPLETION_H
#define SERVER_COMPLETION_H

#include <uv.h>

#include "base/mpsc.h"

struct completion_queue {
    struct mpsc queue;
    uv_async_t wake;
    void (*take)(void *ctx, struct mpsc_node *node); /* owns the node from then on */
    void *ctx;
};

/* Loop's thread.  0, or an error of libuv. */
int completion_queue_open(struct completion_queue *q, uv_loop_t *loop,
                          void (*take)(void *ctx, struct mpsc_node *node), void *ctx);
/* Loop's thread, once nobody pushes any more; the loop has to run on for the handle's end. */
void completion_queue_close(struct completion_queue *q);
/* Any thread; never waits. */
void completion_push(struct completion_queue *q, struct mpsc_node *node);

#endif
