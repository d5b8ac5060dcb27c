/* SPDX-License-Identifier: Apache-2.0 */
/* task.h — work that runs in steps beside the actors: searches and background jobs.
 *
 * A task is embedded in the object that does the work.  The scheduler owns it from a successful
 * scheduler_submit until step says that it is done, or drop is called: one of the two ends it, and
 * afterwards the scheduler touches it no more, so that either may free it.
 */
#ifndef ACTOR_TASK_H
#define ACTOR_TASK_H

#include <stdbool.h>
#include <stdint.h>

enum task_class {
    TASK_SEARCH, /* somebody waits for it */
    TASK_JOB,    /* seal, build, merge, export: long, nobody waits at each step */
    TASK_CLASS_COUNT
};

struct task {
    struct task *next; /* the scheduler's */
    uint64_t id;       /* the scheduler's: number of its submission, 1.. */
    /* Work for about budget_us, at least one unit; true = done.  Never called by two threads at
     * once, but not always by the same one. */
    bool (*step)(struct task *t, uint64_t budget_us);
    /* Instead of (further) steps, when the scheduler ends: answer with the code and free. */
    void (*drop)(struct task *t, int code);
};

/* One slice: after it a task lets others of its class go first, and a stop is noticed. */
enum { TASK_SLICE_US = 10000 };

#endif
