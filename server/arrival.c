/* SPDX-License-Identifier: Apache-2.0 */
#include "server/arrival.h"

#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "server/connection.h"
#include "server/loop.h"
#include "server/server.h"

struct arrival {
    struct mpsc_node node; /* first: it is what travels */
    int fd;
    bool is_pipe;
};

struct loop *arrival_choose(struct loop *listening)
{
    struct server *s = listening->server;
    struct loop *best = listening;
    size_t least = SIZE_MAX;

    /* From behind: of equals the first loop, which accepts as well, comes last. */
    for (unsigned i = s->loop_count; i-- > 0;) {
        size_t count = atomic_load_relaxed(&s->loops[i]->peer_count);
        if (count >= least) continue;
        least = count;
        best = s->loops[i];
    }
    return best;
}

static void refuse(struct arrival *a)
{
    close(a->fd);
    mem_free(alloc_libc(), a);
}

static void free_handle(uv_handle_t *handle)
{
    mem_free(alloc_libc(), handle);
}

/* A descriptor of our own, since libuv gives an accepted one to a handle of the same loop only. */
static int take_descriptor(uv_stream_t *listener, bool is_pipe, int *out)
{
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } *taken = mem_zalloc(alloc_libc(), MEM_GENERAL, sizeof *taken);
    uv_os_fd_t fd;

    if (!taken) return UV_ENOMEM;
    int rc = is_pipe ? uv_pipe_init(listener->loop, &taken->pipe, 0)
                     : uv_tcp_init(listener->loop, &taken->tcp);
    if (rc != 0) {
        mem_free(alloc_libc(), taken);
        return rc;
    }
    *out = -1;
    rc = uv_accept(listener, &taken->stream);
    if (rc == 0 && uv_fileno(&taken->handle, &fd) == 0) *out = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    uv_close(&taken->handle, free_handle);
    return rc;
}

int arrival_send(struct loop *target, uv_stream_t *listener, bool is_pipe)
{
    struct server *s = target->server;
    struct arrival *a = mem_zalloc(alloc_libc(), MEM_GENERAL, sizeof *a);
    int rc = a ? take_descriptor(listener, is_pipe, &a->fd) : UV_ENOMEM;

    if (rc != 0 || a->fd < 0) {
        mem_free(alloc_libc(), a);
        return rc;
    }
    a->is_pipe = is_pipe;
    mutex_lock(&s->stop_lock);
    bool is_there = target->can_be_woken;
    if (is_there) {
        atomic_add_relaxed(&target->peer_count, 1);
        completion_push(&target->arrivals, &a->node);
    }
    mutex_unlock(&s->stop_lock);
    if (!is_there) refuse(a);
    return 0;
}

static void take_arrival(void *ctx, struct mpsc_node *node)
{
    struct arrival *a = (struct arrival *)node;

    connection_adopt(ctx, a->fd, a->is_pipe);
    mem_free(alloc_libc(), a);
}

int arrivals_open(struct loop *l)
{
    return completion_queue_open(&l->arrivals, &l->uv, take_arrival, l);
}

void arrivals_close(struct loop *l)
{
    completion_queue_close(&l->arrivals);
}

void arrivals_refuse(struct loop *l)
{
    struct mpsc_node *node;

    while ((node = mpsc_pop(&l->arrivals.queue))) refuse((struct arrival *)node);
}
