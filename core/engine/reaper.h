/* SPDX-License-Identifier: Apache-2.0 */
/* reaper.h — what nobody needs any more ends on a job thread: old segments and indexes are unmapped
 * and freed, files of no manifest unlinked.  Each takes milliseconds, which no write and no search
 * has to wait for.
 *
 * OWNERSHIP  The engine has one.
 * THREADS    take: any.
 */
#ifndef ENGINE_REAPER_H
#define ENGINE_REAPER_H

#include "actor/scheduler.h"
#include "segment/view.h"
#include "store/file_sweep.h"

struct reaper {
    struct view_reaper views;    /* what views are given to */
    struct file_sweeper sweeper; /* what garbage is given to */
    struct task task;
    struct alloc *alloc;
    struct scheduler *scheduler;
    struct mutex mutex; /* of all below */
    struct view *dead_views;
    struct file_sweep *sweeps;
    bool is_out; /* the scheduler has the task */
};

/* NO_MEMORY. */
int reaper_create(struct alloc *a, struct scheduler *s, struct reaper **out, struct error *err);
/* Nobody gives anything any more.  First, while the scheduler runs; then, when its threads have
 * ended.  NULL allowed. */
void reaper_finish(struct reaper *r);
void reaper_destroy(struct reaper *r);

#endif
