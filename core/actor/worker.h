/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h — a thread that runs the actors placed on it, in turns. */
#ifndef ACTOR_WORKER_H
#define ACTOR_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "actor/parker.h"
#include "base/mpsc.h"
#include "base/thread.h"

struct actor;

struct worker {
    struct mpsc run_queue; /* actors, by run_node */
    struct parker parker;
    struct spinner spinner;
    _Atomic(uint32_t) is_busy; /* between a wake and the next rest */
    _Atomic(uint32_t) is_stopping;
    void (*on_busy)(void *ctx); /* when is_busy becomes 1 */
    void *ctx;
    struct thread thread;
};

/* spin_us: how long it looks for more work before it sleeps, at most; 0: not at all. */
int worker_start(struct worker *w, unsigned number, uint32_t spin_us, void (*on_busy)(void *ctx),
                 void *ctx, struct error *err);
/* Its actors must have ended.  Joins the thread. */
void worker_stop(struct worker *w);
/* Any thread: a is in no queue and has work. */
void worker_schedule(struct worker *w, struct actor *a);

#endif
