/* SPDX-License-Identifier: Apache-2.0 */
/* task_pool.h — threads that run tasks of one class, first come first served. */
#ifndef ACTOR_TASK_POOL_H
#define ACTOR_TASK_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actor/task.h"
#include "base/alloc.h"
#include "base/error.h"

struct task_pool;

struct task_pool_desc {
    struct alloc *alloc;
    const char *name;     /* of its threads; at most 12 bytes; borrowed */
    unsigned threads_max; /* at least 1; each is started when tasks would wait without it */
    size_t queue_max;     /* tasks waiting; at least 1 */
    bool steps_back;      /* its threads leave processors to others (thread_step_back) */
    uint32_t spin_us;     /* a thread without work looks for more so long at most; 0: not at all */
};

/* NULL: NO_MEMORY. */
struct task_pool *task_pool_create(const struct task_pool_desc *desc, struct error *err);
/* Tasks that wait are dropped with SHUTTING_DOWN, those that run after their slice; joins the
 * threads.  Nobody may submit any more.  NULL is allowed. */
void task_pool_destroy(struct task_pool *p);
/* Any thread.  On error the task stays the caller's: BUSY: the queue is full; the system's error
 * when not even one thread can be started. */
int task_pool_submit(struct task_pool *p, struct task *t, struct error *err);
size_t task_pool_length(struct task_pool *p); /* tasks waiting; any thread */

#endif
