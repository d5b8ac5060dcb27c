/* SPDX-License-Identifier: Apache-2.0 */
/* segment_task.h — the build of a segment as a task that ends as a message to its collection. */
#ifndef ENGINE_SEGMENT_TASK_H
#define ENGINE_SEGMENT_TASK_H

#include "engine/engine.h"

struct segment_task {
    struct task task; /* first */
    struct host *host;
    struct segment_build_desc desc;  /* but for rng and cancel, set by who makes it */
    struct segment_builder *builder; /* NULL before the first step */
    struct rng rng;                  /* the job's own */
    _Atomic(bool) is_cancelled;
    struct segment_ready_message ready;
};

/* All in the collection's turn. */
struct segment_task *segment_task_make(struct host *h, uint16_t ready_kind); /* NULL: NO_MEMORY */
int segment_task_start(struct segment_task *t, struct error *err); /* fails: it is still yours */
void segment_task_cancel(struct segment_task *t); /* it comes back all the same; NULL allowed */
bool segment_task_is_cancelled(const struct segment_task *t);
void segment_task_free(struct segment_task *t);

#endif
