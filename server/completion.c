/* SPDX-License-Identifier: Apache-2.0 */
#include "server/completion.h"

#include <stddef.h>

static void take_all(uv_async_t *wake)
{
    struct completion_queue *q = wake->data;
    struct mpsc_node *node;

    do {
        while ((node = mpsc_pop(&q->queue))) q->take(q->ctx, node);
    } while (!mpsc_mark_idle(&q->queue));
}

int completion_queue_open(struct completion_queue *q, uv_loop_t *loop,
                          void (*take)(void *ctx, struct mpsc_node *node), void *ctx)
{
    mpsc_init(&q->queue);
    q->take = take;
    q->ctx = ctx;
    q->wake.data = q;
    return uv_async_init(loop, &q->wake, take_all);
}

void completion_queue_close(struct completion_queue *q)
{
    uv_close((uv_handle_t *)&q->wake, NULL);
}

void completion_push(struct completion_queue *q, struct mpsc_node *node)
{
    if (mpsc_push(&q->queue, node)) uv_async_send(&q->wake);
}
